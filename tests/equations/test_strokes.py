"""What a brush covers, pixel by pixel: distances to its path, without leaving any pixel out."""

from __future__ import annotations

import numpy as np
import pytest

from saccade.explain.edits import stroke


def distance(x: float, y: float, path: list[tuple[float, float]]) -> float:
    """From a point to the nearest of many on a path."""
    ends = list(zip(path, path[1:] or path, strict=False))
    shares = np.linspace(0, 1, 2001)
    return min(float(np.hypot(x - a - shares * (c - a), y - b - shares * (d - b)).min()) for (a, b), (c, d) in ends)


@pytest.mark.parametrize("soft", [0.0, 0.25])
@pytest.mark.parametrize("points", [((0.5, 0.5),), ((0.0, 0.1), (1.0, 0.9)), ((0.9, 0.2), (0.2, 0.3), (0.2, 1.0))])
def test_all_within_the_radius_is_covered_and_the_rest_fades(
    points: tuple[tuple[float, float], ...], soft: float
) -> None:
    height, width, radius = 12, 20, 0.2
    reach, covered = radius * height, stroke(points, radius, height, width, soft)
    path = [(x * width, y * height) for x, y in points]
    for row in range(height):
        for column in range(width):
            away = distance(column + 0.5, row + 0.5, path)
            if abs(away - reach) > 1e-2:
                faded = np.clip(1 - (away - reach) / (reach * soft), 0, 1) if soft else float(away <= reach)
                assert covered[row, column] == pytest.approx(faded, abs=0.02)
    assert 0 < covered.mean() < 1
