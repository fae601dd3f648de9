"""What an oracle shows of a picture: the pixels that the simulator's own mask keeps, and black in place of the others.

An agent that sees no more than that need not learn where to look, so that what it gains is the most that a method can
gain which learns just this.
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
    """Raise UserError for a value that no task can have."""
    check_name("oracle_mask", oracle, (OFF, TASK, TASK_AND_GROUND))


def shown(pictures: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The pixels of masks, bool ``[..., H, W]``, as they are in pictures ``[..., H, W, colours]``; the others black."""
    return np.where(masks[..., None], pictures, pictures.dtype.type(0))
