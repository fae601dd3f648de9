"""Training loops, as generators of what happened."""
