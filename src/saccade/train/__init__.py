"""Training loops, as generators of events."""
