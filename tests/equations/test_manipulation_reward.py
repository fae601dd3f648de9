"""Rewards of the robot tasks by hand arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from saccade.envs.tasks.manipulation_rewards import distance, peg_reward, reach_reward


def test_distances_are_rounded_to_a_tenth_of_a_millimetre() -> None:
    goal = np.array([1.0, 0.5, 0.25])
    # x apart 0.03004 -> 1.0300 - 1.0 = 0.03, y 0.04 exactly: the hypotenuse is 0.05. z counts with three axes only.
    assert distance(np.array([1.03004, 0.54, 0.37]), goal, 2) == pytest.approx(0.05, abs=1e-12)
    # sqrt(0.03^2 + 0.04^2 + 0.12^2) = 0.13
    assert distance(np.array([1.03004, 0.54, 0.37]), goal, 3) == pytest.approx(0.13, abs=1e-12)
    assert distance(goal + 0.00004, goal, 3) == 0
    assert distance(np.array([1.00006, 0.5, 0.25]), goal, 3) == pytest.approx(0.0001, abs=1e-12)


@pytest.mark.parametrize(
    ("away", "action_length", "bonus", "expected"),
    [
        (0.2, 0.0, True, -0.6),
        (0.2, 1.0, True, -1.1),  # -0.6 - 0.5
        (0.2, np.sqrt(2), True, -1.6),  # both at their limit: -0.6 - 0.5 * 2
        (0.05, 0.5, True, -0.275),  # on the radius is not within it: -0.15 - 0.125
        (0.0499, 1.0, True, 1.0),  # the action costs nothing there
        (0.0, 0.0, True, 1.0),
        (0.0499, 1.0, False, -0.6497),  # -0.1497 - 0.5
        (0.01, 0.02, False, -0.0302),  # -0.03 - 0.0002
        (0.12344, 0.0, False, -0.3703),  # -0.37032, rounded to four decimals
    ],
)
def test_reach(away: float, action_length: float, bonus: bool, expected: float) -> None:
    assert reach_reward(away, action_length, bonus) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("away_xy", "away_xyz", "action_length", "expected"),
    [
        (0.3, 0.4, 0.0, -1.2),
        (0.3, 0.4, 1.0, -2.2),  # -1.2 - 1
        (0.0501, 0.1, 0.0, -0.2004),  # not over the goal yet
        (0.05, 0.1, 0.0, 7.8),  # -0.2 + 10 - 2
        (0.0, 0.0, 0.0, 10.0),
        (0.03, 0.05, 0.5, 8.63),  # -0.25 - 0.12 + 10 - 1
        (0.04, 0.6, 0.0, -2.16),  # high above: -0.16 + 10 - 12
    ],
)
def test_peg_in_box(away_xy: float, away_xyz: float, action_length: float, expected: float) -> None:
    assert peg_reward(away_xy, away_xyz, action_length) == pytest.approx(expected, abs=1e-12)
