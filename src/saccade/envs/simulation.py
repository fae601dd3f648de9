"""The protocol of a simulator, as ``PixelEnv`` uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import numpy as np

from saccade.types import Continuous, Discrete

StateValue = np.ndarray | int | float | str | bool
"""The types of values in a state."""

REPEATED: Literal["repeated"] = "repeated"
BLACK: Literal["black"] = "black"
KEPT: Literal["kept"] = "kept"
Before = Literal["repeated", "black", "kept"]
"""What an observation's older frames show when an episode begins: the first frame again, black, or the frames from
before."""


class Simulation(Protocol):
    """One task in a simulator: physics, reward, and the picture before any pixel distraction.

    Attributes:
        size: height and width of a picture in pixels.
        colours: channels of a picture: 3 (RGB) or 1 (grey).
        actions: what ``step`` takes.
        action_names: of discrete actions, their names in a word or two; else empty.
        control_seconds: how long a control step lasts, in the simulator's own time.
        scene: what scene distractions paint on, as far as the suite's modes need it.
        settings: how the task is played and shown beyond what every environment reports, for the provenance.
        versions: of the simulator, for the provenance.
        before: what an observation's older frames show when an episode begins. If ``black`` after a step,
            what was seen before is forgotten then too.
    """

    size: tuple[int, int]
    colours: int
    actions: Continuous | Discrete
    action_names: tuple[str, ...]
    control_seconds: float
    scene: Any
    settings: Mapping[str, object]
    versions: Mapping[str, str]
    before: Before

    def check_usable(self) -> None:
        """Raise UserError if it cannot be used now, such as in another thread than its own."""
        ...

    def seed(self, seed: int) -> None:
        """Restart the task's own random numbers."""
        ...

    def reset(self) -> None:
        """Start an episode."""
        ...

    def step(self, action: Any, control_steps: int) -> tuple[float, bool]:
        """Play an action for some control steps, or until the episode ends: the sum of rewards, and whether it did.

        action: float64 ``[dims]`` in -1..1 if actions are continuous, else an int below their count.
        """
        ...

    def picture(self) -> np.ndarray:
        """Return what is seen now: uint8 ``[H, W, colours]``, which the next call may overwrite."""
        ...

    def mask(self, ground: bool = False) -> np.ndarray | None:
        """Return which pixels show the task now: bool ``[H, W]``; None if that is not known.

        Called in every step if the configuration's ``task_mask`` is on, or it has an oracle.

        ground: whether to include what the task's bodies stand on.
        """
        ...

    def outcome(self) -> dict[str, Any]:
        """Return what ``info`` says about the current state, such as success."""
        ...

    def save(self) -> dict[str, StateValue]:
        """Return all that later steps and episodes depend on, as arrays and plain values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what ``save`` returned; ``state`` may hold other keys too."""
        ...

    def close(self) -> None:
        """Free what it holds; it is not used afterwards."""
        ...


def repeated(step: Callable[[], tuple[float, bool]], control_steps: int) -> tuple[float, bool]:
    """Repeat a control step as often as asked for, or until the episode ends; return what ``Simulation.step`` does.

    step: returns its reward, and whether the episode ended with it.
    """
    total = 0.0
    for _ in range(control_steps):
        reward, ended = step()
        total += reward
        if ended:
            return total, True
    return total, False
