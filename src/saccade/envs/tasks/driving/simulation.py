"""The highway as ``PixelEnv`` plays it: highway-env's traffic, seen from a camera that follows the ego."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, final

import numpy as np

from saccade.envs.config import EnvConfig
from saccade.envs.mujoco.opengl import VERSIONS, check_drawing, claim_process, is_fork, load_simulator
from saccade.envs.simulation import REPEATED, Before, StateValue, repeated
from saccade.envs.streams import SUCCESS
from saccade.envs.suites import suite_of
from saccade.envs.tasks.driving.rewards import REWARDS
from saccade.envs.tasks.driving.traffic import NINE_ACTIONS, NINE_NAMES, STEP, Traffic, VehicleMasks
from saccade.types import Discrete


@final
class HighwaySimulation:
    """A ``Simulation`` of one highway. An episode ends with a collision of the ego's, and is a success without one.

    Raises:
        UserError: highway-env, the simulator that draws or an OpenGL cannot be used.
    """

    colours = 3
    control_seconds = STEP
    before: Before = REPEATED

    def __init__(self, config: EnvConfig) -> None:
        options = config.options
        self._traffic = Traffic(options.lanes, options.vehicles)
        load_simulator()
        claim_process()
        from saccade.envs.tasks.driving.scene import RoadScene

        self.size = (config.image_size, config.image_size)
        self.actions = suite_of(config.task).spaces(config).actions
        self._discrete = isinstance(self.actions, Discrete)
        self.action_names = NINE_NAMES if self._discrete else ()
        self._reward = REWARDS[options.driving_reward]
        self.scene = RoadScene(options.lanes, options.vehicles, config.image_size)
        self.settings: Mapping[str, object] = {
            "controls": options.controls,
            "driving_reward": options.driving_reward,
            "vehicles": options.vehicles,
            "lanes": options.lanes,
        }
        self.versions: Mapping[str, str] = {"highway-env": version("highway-env"), **VERSIONS}
        self._thread = threading.get_ident()

    def check_usable(self) -> None:
        """Raise UserError in a process or a thread that cannot draw, with what to do instead."""
        check_drawing(self._thread)

    def seed(self, seed: int) -> None:
        """Restart the traffic's random numbers."""
        self._traffic.seed(seed)

    def reset(self) -> None:
        """New traffic."""
        self._traffic.reset()

    def step(self, action: Any, control_steps: int) -> tuple[float, bool]:
        """Play a discrete action of ``NINE_ACTIONS``, or (steer, pedal); a collision ends the episode."""
        steer, pedal = NINE_ACTIONS[action] if self._discrete else map(float, action)
        return repeated(lambda: self._step(steer, pedal), control_steps)

    def _step(self, steer: float, pedal: float) -> tuple[float, bool]:
        driven = self._traffic.step(steer, pedal)
        return float(self._reward(driven)), driven.crashed

    def picture(self) -> np.ndarray:
        """What the camera sees: uint8 ``[H, W, 3]``."""
        self.scene.show(self._traffic)
        return self.scene.render()

    def mask(self, ground: bool = False) -> np.ndarray | None:
        """Where cars are, the ego among them; with the ground the road and its lines too."""
        self.scene.show(self._traffic)
        return self.scene.mask("ego", "others", *(("road",) if ground else ()))

    def vehicle_masks(self) -> VehicleMasks:
        """The ego's pixels and the others', apart."""
        self.scene.show(self._traffic)
        return VehicleMasks(self.scene.mask("ego"), self.scene.mask("others"))

    def outcome(self) -> dict[str, Any]:
        """Whether there was no collision so far, and the ego's speed in metres a second."""
        return {SUCCESS: not self._traffic.crashed, "speed": float(self._traffic.ego.speed)}

    def save(self) -> dict[str, StateValue]:
        """The traffic's whole state, its random numbers' too."""
        return self._traffic.save()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what ``save`` returned."""
        self._traffic.restore(state)

    def close(self) -> None:
        """Free what draws, in the process that it belongs to."""
        if not is_fork():
            self.scene.close()
