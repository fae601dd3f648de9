"""What ``PixelEnv`` asks of a simulator; each has a file that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import numpy as np

from saccade.types import Continuous, Discrete

StateValue = np.ndarray | int | float | str | bool
"""What a state is made of."""

REPEATED: Literal["repeated"] = "repeated"
BLACK: Literal["black"] = "black"
KEPT: Literal["kept"] = "kept"
Before = Literal["repeated", "black", "kept"]
"""What an observation shows before the present picture where an episode begins: the same again, nothing, or what there
was.
"""


class Simulation(Protocol):
    """One task in a simulator: physics, reward, and the picture before any pixel distraction.

    Attributes:
        size: height and width of a picture in pixels.
        colours: channels of a picture: 3 (RGB) or 1 (grey).
        actions: what ``step`` takes.
        action_names: of discrete actions, what each does in a word or two; else empty.
        control_seconds: how long a control step lasts, in the simulator's own time.
        scene: what scene distractions paint on; as much of it as those of the suite's modes need.
        settings: how the task is played and shown beyond what every environment tells, for the provenance.
        versions: of the simulator, for the provenance.
        before: what an observation shows before the present picture where an episode begins. ``black`` after a step,
            too, has what was seen before forgotten.
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
        """Raise UserError where it cannot be used now, such as in another thread than its own."""
        ...

    def seed(self, seed: int) -> None:
        """Restart the task's own random numbers."""
        ...

    def reset(self) -> None:
        """Start an episode."""
        ...

    def step(self, action: Any, control_steps: int) -> tuple[float, bool]:
        """Play an action for so many control steps, or fewer if the episode ends with one: the sum of their rewards,
        and whether it did.

        action: float64 ``[dims]`` in -1..1 where actions are continuous, else an int below their count.
        """
        ...

    def picture(self) -> np.ndarray:
        """What is seen now: uint8 ``[H, W, colours]``, which the next call may overwrite."""
        ...

    def mask(self, ground: bool = False) -> np.ndarray | None:
        """Which pixels show the task now: bool ``[H, W]``; None where that is not known. Asked for in every step if
        the configuration's ``task_mask`` is on, or it has an oracle.

        ground: what the task's bodies stand on is shown too.
        """
        ...

    def outcome(self) -> dict[str, Any]:
        """What ``info`` tells of the present state, such as success."""
        ...

    def save(self) -> dict[str, StateValue]:
        """All that later steps and episodes depend on, as arrays and plain values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what ``save`` gave; ``state`` may hold other keys too."""
        ...

    def close(self) -> None:
        """Free what it holds; nothing is asked of it afterwards."""
        ...


def repeated(step: Callable[[], tuple[float, bool]], control_steps: int) -> tuple[float, bool]:
    """A control step as often as asked for, or until the episode ends with one: what ``Simulation.step`` gives.

    step: its reward, and whether the episode ended with it.
    """
    total = 0.0
    for _ in range(control_steps):
        reward, ended = step()
        total += reward
        if ended:
            return total, True
    return total, False
