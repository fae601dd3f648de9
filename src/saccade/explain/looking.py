"""Questions about a moment of a session, and the answers to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from saccade.explain.edits import Edit
from saccade.explain.reading import Reading
from saccade.explain.tasks import CLEAN

BLURS = ("perturbation_actor", "perturbation_critic", "perturbation_kl", "sarfa")
COARSE_TO_FINE: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    **{name: ({"stride": 20}, {"stride": 10}, {"stride": 5}) for name in BLURS},
    "occlusion": ({"window": 16, "stride": 16}, {"window": 8, "stride": 8}, {"window": 8, "stride": 4}),
    "rise": ({"masks": 60}, {"masks": 250}, {"masks": 1000}),
}
"""Numbers of samples for slow methods, coarse to fine; the last is the default of ``saccade explain``."""


@final
@dataclass(frozen=True)
class Pane:
    """One way to see the episode: with which policy (its number), and in which mode."""

    policy: int = 0
    mode: str = CLEAN


@final
@dataclass(frozen=True)
class Question:
    """A moment, and what is changed about it.

    Attributes:
        index: how many actions came before it, from 0.
        edits: of the picture, in order.
        dial: a dial of the scene and its strength, such as ``("camera_yaw", 0.4)``: the state is rendered again.
    """

    index: int = 0
    edits: tuple[Edit, ...] = ()
    dial: tuple[str, float] | None = None


@final
@dataclass(frozen=True)
class Answer:
    """One pane's answer: the newest frame, uint8 ``[height, width, 3]`` or ``[height, width, 1]``, and two readings.

    ``before`` is for the moment as the mode shows it, ``after`` for the question's changes; equal if there are none.
    """

    picture: np.ndarray
    before: Reading
    after: Reading
    obs: np.ndarray


@final
@dataclass(frozen=True)
class MapLevel:
    """A map ``[height, width]``, unsigned, and how fine it is: ``level`` of ``levels``, counted from 1."""

    values: np.ndarray
    level: int
    levels: int
    score: str | None
