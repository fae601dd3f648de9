"""What the simulators that render with MuJoCo share."""
