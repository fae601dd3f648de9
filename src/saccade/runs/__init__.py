"""Runs: their configuration, their folder, and how PyTorch is set up for them."""
