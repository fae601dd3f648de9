"""Policies of every origin, one file each."""
