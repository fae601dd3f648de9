"""Atari-HEAD: people playing Atari games, and where they looked; read from the files as downloaded."""
