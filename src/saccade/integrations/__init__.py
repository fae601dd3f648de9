"""Pieces that other libraries' programs use: callbacks and the like."""
