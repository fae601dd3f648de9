"""Rotations about the axes by an angle in radians, float64 ``[3, 3]`` each.

They are anticlockwise as seen with the axis pointing at the viewer.
"""

from __future__ import annotations

import math

import numpy as np


def about_x(angle: float) -> np.ndarray:
    """Rotate about the first axis."""
    sine, cosine = math.sin(angle), math.cos(angle)
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])


def about_y(angle: float) -> np.ndarray:
    """Rotate about the second axis."""
    sine, cosine = math.sin(angle), math.cos(angle)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])


def about_z(angle: float) -> np.ndarray:
    """Rotate about the third axis."""
    sine, cosine = math.sin(angle), math.cos(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
