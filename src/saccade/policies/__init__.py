"""Policies as something that acts: what a run folder holds, and how good it is in an environment."""
