"""Pieces for other libraries' programs, such as callbacks."""
