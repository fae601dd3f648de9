"""What a run is: its configuration, its folder, how PyTorch is set up for it."""
