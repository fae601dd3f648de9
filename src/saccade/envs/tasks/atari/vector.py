"""ALE's own batch of games, stepped by threads in C++, for loops of rollouts: ``--wrappers ale_vector``.

``AtariSimulation`` with the same wrappers shows the same, frame by frame, except for how long it waits at the start of
a game: the C++ code draws that from a generator of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from saccade.envs.config import EnvConfig
from saccade.envs.streams import Streams, StreamStep
from saccade.envs.suites import suite_of
from saccade.envs.tasks.atari.emulator import load_ale
from saccade.envs.tasks.atari_suite import game_of, wrappers_of
from saccade.envs.workers.env_workers import Arrangement
from saccade.envs.workers.process import NO_OPENGL
from saccade.types import Spaces

LARGEST_SEED = 2**31


def streams_of(config: EnvConfig, seeds: Sequence[int]) -> Streams | None:
    """Return the batch if it can be played in C++: not in a mode with distractions, nor with a game's switches."""
    options = config.options
    plain = options.game_mode is None and options.difficulty is None and not game_of(config.task).infinite
    if options.wrappers != "ale_vector" or config.mode != "train" or not plain:
        return None
    return VectorStreams(config, seeds)


@final
class VectorStreams:
    """``Streams`` of ``AtariVectorEnv``. Its games cannot be saved: a resumed run restarts all of them.

    Args:
        config: for all environments, with the wrappers ``ale_vector``.
        seeds: one each.

    Raises:
        UserError: ``ale-py`` is not installed.
    """

    def __init__(self, config: EnvConfig, seeds: Sequence[int]) -> None:
        load_ale()
        from ale_py.vector_env import AtariVectorEnv
        from gymnasium.vector import AutoresetMode

        options, wrappers = config.options, wrappers_of(config)
        self._seeds = np.array(seeds, np.int64)
        self._spaces = suite_of(config.task).spaces(config)
        self._frames = np.zeros(len(seeds), np.int64)  # of each game so far
        self._times_resumed = 0
        self._games = AtariVectorEnv(
            game_of(config.task).rom,
            len(seeds),
            max_num_frames_per_episode=wrappers.frames,
            repeat_action_probability=wrappers.sticky,
            full_action_space=wrappers.every_action,
            autoreset_mode=AutoresetMode.SAME_STEP,
            img_height=config.image_size,
            img_width=config.image_size,
            stack_num=config.frame_stack,
            frameskip=config.control_steps_per_action,
            noop_max=wrappers.most + 1,
            life_loss_info=options.episodic_life,
            reward_clipping=options.clip_rewards,
        )

    @property
    def num_envs(self) -> int:
        return len(self._seeds)

    @property
    def spaces(self) -> Spaces:
        return self._spaces

    @property
    def arrangement(self) -> Arrangement:
        return Arrangement(0, self.num_envs, NO_OPENGL, 0)

    def start(self) -> NDArray[np.uint8]:
        seeds = np.random.SeedSequence([*self._seeds.tolist(), self._times_resumed]).generate_state(self.num_envs)
        obs, info = self._games.reset(seed=(seeds % LARGEST_SEED).astype(np.int64))
        self._frames = np.array(info["episode_frame_number"], np.int64)
        return np.array(obs)

    def step(self, actions: NDArray[Any]) -> StreamStep:
        obs, reward, terminated, truncated, info = self._games.step(np.ascontiguousarray(actions, np.int64))
        obs, terminated, truncated = np.array(obs), np.array(terminated), np.array(truncated)
        frames = np.array(info["episode_frame_number"], np.int64)
        is_new, self._frames = frames <= self._frames, frames
        ended = np.flatnonzero(terminated | truncated)
        last = obs[ended]
        for row, index in enumerate(ended):
            if is_new[index]:  # else only a life was lost: the game goes on, and ALE returns no final picture
                last[row] = info["final_obs"][index]
        return StreamStep(obs, np.array(reward, np.float64), terminated, truncated, last)

    def truth(self) -> None:
        """Return None: a console has no masks."""

    def get_state(self) -> list[dict[str, Any]]:
        """Return how often the run has been resumed: the games themselves stay in C++."""
        return [{"times_resumed": self._times_resumed} for _ in self._seeds]

    def set_state(self, states: Sequence[dict[str, Any]]) -> None:
        """Begin games with other seeds than before. The first action still answers the last observation from before."""
        warnings.warn(
            "games of --wrappers ale_vector cannot be saved, so they restart; with paper and recommended a run "
            "continues bit for bit",
            stacklevel=2,
        )
        self._times_resumed = int(states[0]["times_resumed"]) + 1
        self.start()

    def close(self) -> None:
        self._games.close()
