"""Make environments from their descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from saccade.envs.config import EnvConfig
from saccade.envs.mujoco.opengl import ForkedError
from saccade.envs.suites import suite_of

if TYPE_CHECKING:
    from saccade.envs.forked import ForkedEnv
    from saccade.envs.tasks.pixel_env import PixelEnv


def make_env(config: EnvConfig, seed: int | None = None, render_mode: Literal["rgb_array"] | None = None) -> PixelEnv:
    """Make the environment that ``config`` describes, with its random numbers seeded.

    Observations are uint8 ``[frame_stack * colours, height, width]``, oldest frame first (RGB and square, unless the
    suite says otherwise); actions are float32 in -1..1, or a number from 0; the reward of a step is the plain sum over
    its control steps. Close it when done.

    Raises:
        UserError: the simulator, its renderer or the data cannot be used; the message says what to do.
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
    """Make what ``gymnasium.make("dmc/walker_walk", mode="video_hard")`` returns; ``fields`` go to ``EnvConfig.parse``.

    In a fork of a process that has rendered, it returns an environment that reports this when it is reset.
    """
    config = EnvConfig.parse(task, **fields)
    try:
        return make_env(config, seed, render_mode)
    except ForkedError as refusal:
        from saccade.envs.forked import ForkedEnv

        return ForkedEnv(suite_of(task).spaces(config), str(refusal))
