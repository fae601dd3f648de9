"""What the simulators that draw with MuJoCo share."""
