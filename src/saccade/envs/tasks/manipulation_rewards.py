"""Rewards and success of the robot tasks, from positions alone.

Source: the published code of Jangir et al. (2022); the bonus of Reach is that of SGQN's code (Bertoin et al., 2022).
Positions are in metres, ``[x, y, z]`` with z up; ``action_length`` is the Euclidean length of the action as the agent
gave it (-1..1 each), before the arm's limits cut it.
"""

from __future__ import annotations

import numpy as np

DECIMALS = 4  # to which positions and the reward of Reach are rounded
REACH_RADIUS = 0.05
PEG_RADIUS = 0.08  # of success; the peg's reward has its own radius
PEG_BONUS_RADIUS = 0.05


def distance(position: np.ndarray, goal: np.ndarray, axes: int) -> float:
    """Return the distance of two points in their first ``axes`` coordinates, rounded to a tenth of a millimetre."""
    apart = np.round(position[:axes], DECIMALS) - np.round(goal[:axes], DECIMALS)
    return float(np.sqrt(np.sum(apart**2)))


def reach_reward(away: float, action_length: float, bonus: bool) -> float:
    """Return 1 within the radius, if there is a bonus; else -3 d - |a|^2 / 2, rounded."""
    if bonus and away < REACH_RADIUS:
        return 1.0
    return float(np.round(-3.0 * away - 0.5 * action_length**2, DECIMALS))


def peg_reward(away_xy: float, away_xyz: float, action_length: float) -> float:
    """Return -|a|^2 - 4 d_xy, plus 10 - 20 d_xyz over the box, so that lowering the peg pays."""
    reward = -(action_length**2) - 4.0 * away_xy
    if away_xy <= PEG_BONUS_RADIUS:
        reward += 10.0 - 20.0 * away_xyz
    return reward
