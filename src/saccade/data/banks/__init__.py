"""Pictures, clips, textures and colours for distractions: the user's own, or generated."""
