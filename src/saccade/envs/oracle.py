"""The oracle: it shows the pixels inside the simulator's own mask, and black in place of the others.

An agent that sees only these need not learn where to look, so its gain is the most that a method can
gain by learning just that.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from saccade.envs.checks import check_name

Oracle = Literal["off", "task", "task_and_ground"]
OFF: Oracle = "off"
TASK: Oracle = "task"
TASK_AND_GROUND: Oracle = "task_and_ground"


def check_oracle(oracle: str) -> None:
    """Raise UserError for an invalid value."""
    check_name("oracle_mask", oracle, (OFF, TASK, TASK_AND_GROUND))


def shown(pictures: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return pictures ``[..., H, W, colours]`` inside masks, bool ``[..., H, W]``, and black outside."""
    return np.where(masks[..., None], pictures, pictures.dtype.type(0))
