"""A highway in CARLA, on a server that a person runs."""
