"""Data that agents and environments read: colours, clips, pictures, replay. Each file is imported by name."""
