"""A highway with traffic: its cars, its rewards and how it is drawn."""
