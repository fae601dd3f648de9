"""Saliency methods: ``(score, obs) -> real-valued map``, one per file."""
