"""Many environments in processes."""
