"""Make a simulation from a MuJoCo task; importing this loads no simulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from saccade.envs.mujoco.opengl import claim_process, load_simulator

if TYPE_CHECKING:
    from saccade.envs.config import EnvConfig
    from saccade.envs.mujoco.simulation import MujocoSimulation, MujocoTask


def make_simulation(config: EnvConfig, *, task: Callable[[EnvConfig], MujocoTask]) -> MujocoSimulation:
    """Make the simulation of the task that ``task`` returns for a configuration.

    Raises:
        UserError: the simulator or an OpenGL cannot be used, or this is a fork of a process that renders.
    """
    load_simulator()
    from saccade.envs.mujoco.simulation import MujocoSimulation

    claim_process()
    return MujocoSimulation(config, task(config))
