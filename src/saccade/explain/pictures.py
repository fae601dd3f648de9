"""Pictures that an agent computes from its observations: its own masks in grey, and pictures it outputs itself."""

from __future__ import annotations

import numpy as np

from saccade.explain.episodes import Progress
from saccade.explain.maps import groups
from saccade.policies.normalisation import BYTE
from saccade.policies.pixels import RGB
from saccade.policies.policy import Policy
from saccade.types import UserError

MASK = "mask"
"""How the name of a policy's map ends if it is a mask in 0..1, and so makes a picture too."""


def picture_names(policy: Policy) -> list[str]:
    """Return the names of a policy's pictures: its masks, then the pictures it outputs."""
    return [*(name for name in policy.maps if name.endswith(MASK)), *policy.pictures]


def find_pictures(
    policy: Policy, obs: np.ndarray, max_batch: int, progress: Progress = lambda done, total: None
) -> dict[str, np.ndarray]:
    """Compute pictures of each moment's newest frame by name, uint8 ``[moments, 3, h, w]``; masks are white where 1.

    They are as large as the observation, or smaller if the agent crops it.

    Raises:
        UserError: a picture is not finite.
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in picture_names(policy)}
    if not parts:
        return {}
    for some in groups(len(obs), max_batch, policy.device):
        for name, found in parts.items():
            drawn = policy.picture(name, obs[some]) if name in policy.pictures else _grey(policy, name, obs[some])
            height, width = drawn.shape[-2:]
            assert height <= policy.pixels.channels_first[1] and width <= policy.pixels.channels_first[2], drawn.shape
            found.append(drawn[:, -RGB:])
        progress(some.stop, len(obs))
    return {name: np.concatenate(found) for name, found in parts.items()}


def _grey(policy: Policy, name: str, obs: np.ndarray) -> np.ndarray:
    """The newest frame's mask as three equal colours."""
    mask = policy.map(name, obs)[:, -1:]
    if not np.isfinite(mask).all():
        raise UserError(f"{name} gave NaN or infinity: are {policy.name}'s weights finite?")
    return np.rint(mask.clip(0, 1) * BYTE).astype(np.uint8).repeat(RGB, axis=1)
