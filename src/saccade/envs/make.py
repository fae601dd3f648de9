"""How an environment is made of its description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from saccade.envs.config import EnvConfig
from saccade.envs.mujoco.opengl import ForkedError
from saccade.envs.suites import suite_of

if TYPE_CHECKING:
    from saccade.envs.forked import ForkedEnv
    from saccade.envs.tasks.pixel_env import PixelEnv


def make_env(config: EnvConfig, seed: int | None = None, render_mode: Literal["rgb_array"] | None = None) -> PixelEnv:
    """The environment that ``config`` describes, its random numbers seeded.

    Observations are uint8 ``[frame_stack * colours, height, width]``, oldest frame first (RGB and square, unless the
    suite says otherwise); actions float32 in -1..1, or a number from 0; the reward of a step is the plain sum over its
    control steps. Close it when done.

    Raises:
        UserError: the simulator, what it draws with or the data cannot be used; the message says what to do.
    """
    simulation = suite_of(config.task).simulation(config)
    from saccade.envs.tasks.pixel_env import PixelEnv

    try:
        return PixelEnv(config, simulation, seed, render_mode)
    except BaseException:
        simulation.close()
        raise


def gymnasium_env(
    task: str, seed: int | None = None, render_mode: Literal["rgb_array"] | None = None, **fields: Any
) -> PixelEnv | ForkedEnv:
    """What ``gymnasium.make("dmc/walker_walk", mode="video_hard")`` calls; ``fields`` are ``EnvConfig.parse``'s.

    In a fork of a process that has drawn it is an environment that says so when it is reset.
    """
    config = EnvConfig.parse(task, **fields)
    try:
        return make_env(config, seed, render_mode)
    except ForkedError as refusal:
        from saccade.envs.forked import ForkedEnv

        return ForkedEnv(suite_of(task).spaces(config), str(refusal))
