"""How much of a picture a mode changes: a mode that changes nothing tests nothing, whatever its returns are."""

from __future__ import annotations

import numpy as np

VISIBLE_LEVELS = 4  # of 255: a pixel counts if a colour differs by at least this
LEAST_SHARE = 0.01  # of the pixels; a mode that changes less is marked, since its results say nothing
MARK = "!"


def changed_share(clean: np.ndarray, seen: np.ndarray) -> float:
    """Return the share of the pixels, 0..1, that look different in the same states.

    Args:
        clean: uint8 ``[states, channel, height, width]`` in the mode without distractions, one frame of each state.
        seen: of the same shape, in the mode in question.
    """
    assert clean.shape == seen.shape and clean.dtype == seen.dtype == np.uint8, (clean.shape, seen.shape, seen.dtype)
    difference = np.abs(clean.astype(np.int16) - seen.astype(np.int16)).max(1)
    return float((difference >= VISIBLE_LEVELS).mean())


def too_little(share: float | None) -> bool:
    """Return whether a mode changes too little to test anything; False if that was not measured."""
    return share is not None and share < LEAST_SHARE


def changed_share_text(share: float) -> str:
    """Format it in per cent, marked if it is too little: ``43%``, ``0.2% !``."""
    percent = 100 * share
    decimals = 0 if percent >= 10 or percent == 0 else 1 if percent >= 0.1 else 3
    return f"{percent:.{decimals}f}%" + (f" {MARK}" if too_little(share) else "")
