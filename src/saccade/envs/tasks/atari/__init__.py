"""Atari 2600 games: what their frames become before a network sees them, and the wrappers of the papers."""
