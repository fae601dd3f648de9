"""Policies: load one from anywhere, let it act, and measure how good it is in an environment."""
