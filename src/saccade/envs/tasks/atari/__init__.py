"""Atari 2600 games: how their frames are processed before a network sees them, and the wrappers of the papers."""
