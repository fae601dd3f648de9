"""Rotations about the axes, anticlockwise where these point at the viewer: float64 ``[3, 3]`` each, of an angle in
radians.
"""

from __future__ import annotations

import math

import numpy as np


def about_x(angle: float) -> np.ndarray:
    """About the first axis."""
    sine, cosine = math.sin(angle), math.cos(angle)
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])


def about_y(angle: float) -> np.ndarray:
    """About the second axis."""
    sine, cosine = math.sin(angle), math.cos(angle)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])


def about_z(angle: float) -> np.ndarray:
    """About the third axis."""
    sine, cosine = math.sin(angle), math.cos(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
