"""A highway with traffic: its cars, its rewards and its rendering."""
