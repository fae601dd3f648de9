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
    """A ``Simulation`` of one highway. An episode ends when the ego collides, and succeeds if it does not.

    Raises:
        UserError: highway-env, the renderer or an OpenGL cannot be used.
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
        """Raise UserError in a process or thread that cannot render, with what to do instead."""
        check_drawing(self._thread)

    def seed(self, seed: int) -> None:
        """Restart the traffic's random numbers."""
        self._traffic.seed(seed)

    def reset(self) -> None:
        """Start an episode with new traffic."""
        self._traffic.reset()

    def step(self, action: Any, control_steps: int) -> tuple[float, bool]:
        """Play a discrete action of ``NINE_ACTIONS``, or (steer, pedal); a collision ends the episode."""
        steer, pedal = NINE_ACTIONS[action] if self._discrete else map(float, action)
        return repeated(lambda: self._step(steer, pedal), control_steps)

    def _step(self, steer: float, pedal: float) -> tuple[float, bool]:
        driven = self._traffic.step(steer, pedal)
        return float(self._reward(driven)), driven.crashed

    def picture(self) -> np.ndarray:
        """Return what the camera sees: uint8 ``[H, W, 3]``."""
        self.scene.show(self._traffic)
        return self.scene.render()

    def mask(self, ground: bool = False) -> np.ndarray | None:
        """Return where cars are, including the ego; with the ground also the road and its lines."""
        self.scene.show(self._traffic)
        return self.scene.mask("ego", "others", *(("road",) if ground else ()))

    def vehicle_masks(self) -> VehicleMasks:
        """Return the ego's pixels and the other cars', separately."""
        self.scene.show(self._traffic)
        return VehicleMasks(self.scene.mask("ego"), self.scene.mask("others"))

    def outcome(self) -> dict[str, Any]:
        """Return whether there has been no collision so far, and the ego's speed in metres per second."""
        return {SUCCESS: not self._traffic.crashed, "speed": float(self._traffic.ego.speed)}

    def save(self) -> dict[str, StateValue]:
        """Return the traffic's whole state, including its random numbers."""
        return self._traffic.save()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what ``save`` returned."""
        self._traffic.restore(state)

    def close(self) -> None:
        """Free the renderer, in the process that owns it."""
        if not is_fork():
            self.scene.close()
