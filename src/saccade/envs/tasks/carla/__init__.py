"""A highway in CARLA, on a server that you run."""
