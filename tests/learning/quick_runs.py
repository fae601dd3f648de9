"""Training runs of seconds: settings that learn fast, and the real loop on environments of a few pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import torch
from method_cases import images

from saccade.agents.given import Given
from saccade.data.replay import ReplayBuffer
from saccade.envs.config import EnvConfig
from saccade.envs.workers.env_workers import EnvWorkers
from saccade.nets.precision import set_compute_dtype
from saccade.runs.agents import make_agent
from saccade.runs.training import OffPolicy, RunConfig, Training
from saccade.train.off_policy import OffPolicyTraining

QUICK: dict[str, Any] = {
    "batch_size": 32,
    "decoder_filters": (8, 8),
    "discount": 0.5,  # so that values settle within a few moves of the target
    "critic_lr": 3e-3,
    "actor_lr": 3e-3,
    # So little reward for entropy that it does not show in the values.
    "initial_temperature": 0.01,
    "temperature_lr": 1e-5,
    "q_target_rate": 0.2,
    "encoder_target_rate": 0.2,
}
CPU = torch.device("cpu")


def quick(config: Any, changes: dict[str, Any]) -> Any:
    """A method's configuration with other values, wherever in it they stand."""
    replaced: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in changes:
            replaced[field.name] = changes[field.name]
        elif dataclasses.is_dataclass(value):
            replaced[field.name] = quick(value, changes)
    return dataclasses.replace(config, **replaced)


def trained(
    method: str,
    config: Any,
    stages: Sequence[Any],
    make: Callable[[Any, int | None], gymnasium.Env[Any, Any]],
    *,
    env_seeds: Sequence[int] | None = None,
    draw_images: Callable[..., torch.Tensor] = images,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> OffPolicyTraining:
    """A finished run of the real loop, without evaluations.

    Args:
        stages: what ``make`` makes an environment of, one each.
        draw_images: for overlays.
        dtype: of the convolutions.
        options: of ``Training`` and ``OffPolicy``.
    """
    of_loop = {name: options.pop(name) for name in ("random_steps", "overlap", "replay_capacity") if name in options}
    training = Training(evaluate_every=0, evaluation_modes=(), device="cpu", envs=len(stages), **options)
    with EnvWorkers(list(stages), list(env_seeds or [training.seed]), num_workers=0, make=make) as workers:
        channels, *sides = workers.spaces.obs_shape
        stack = channels // 3
        run = RunConfig(
            method, EnvConfig("dmc/cartpole_balance", frame_stack=stack), config, training, OffPolicy(**of_loop)
        )
        agent = make_agent(run, workers.spaces, CPU, Given(draw_images))
        set_compute_dtype(agent.networks, dtype)
        layout = {"frame_stack": stack, "num_envs": len(stages), "segment_frames": 64}
        replay = ReplayBuffer(training.steps, (3, *sides), workers.spaces.actions, **layout)
        loop = OffPolicyTraining(run, agent, workers, replay, CPU)
        for _ in loop.events():
            pass
    assert loop.counters.updates == training.steps
    return loop
