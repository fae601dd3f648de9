"""Noise instead of a task, for whole training runs: states are small, and its processes need neither torch nor GL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fake_envs import FakeConfig, FakeEnv

if TYPE_CHECKING:
    from saccade.envs.config import EnvConfig

EPISODE_STEPS = 5


class NoiseEnv(FakeEnv):
    """As its parent, with a state that fits in a checkpoint and a provenance that is the same in every process."""

    @property
    def provenance(self) -> dict[str, Any]:
        return {"pixels": "noise"}

    def get_state(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_state().items() if name != "ballast"}


def make_noise(config: EnvConfig, seed: int | None) -> NoiseEnv:
    return NoiseEnv(FakeConfig(EPISODE_STEPS, config.image_size), seed)
