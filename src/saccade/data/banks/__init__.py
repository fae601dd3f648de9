"""Pictures, clips, textures and colours to distract with: people's own, or made here."""
