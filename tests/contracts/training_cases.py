"""A training run on the real simulator that takes seconds: tiny pictures, tiny networks, few steps."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from saccade.agents import METHODS, Architecture
from saccade.envs.env import EnvConfig
from saccade.policies.run import RunConfig, Training
from saccade.train import session
from saccade.train.off_policy import Event, OffPolicyTraining

ARCHITECTURE = Architecture(image_size=16, filters=4, conv_layers=2, projection=8, hidden=16)
TASK = "dmc/cartpole_balance@video_hard"  # with clips, whose position must be saved
EPISODE_STEPS = 25
ACTION_REPEAT = 1000 // EPISODE_STEPS  # physics costs little, pictures and updates much


def config(method: str = "sgqn", **training: Any) -> RunConfig:
    options: dict[str, Any] = {
        "steps": 48,
        "random_steps": 8,
        "workers": 0,
        "device": "cpu",
        "threads": 1,
        "evaluate_every": 0,
        "evaluation_modes": (),
        "checkpoint_every": 16,
        "log_every": 5,
        "image_count": 8,
    }
    sizes = {
        "architecture": ARCHITECTURE,
        "batch_size": 4,
        "decoder_filters": (4, 4),
        "rendered_size": 20,
        "stem_layers": 1,
        "soda_batch_size": 4,
    }
    agent = METHODS[method].config

    def shrink(values: Any) -> Any:
        changes = {
            field.name: sizes[field.name] if field.name in sizes else shrink(getattr(values, field.name))
            for field in dataclasses.fields(values)
            if field.name in sizes or dataclasses.is_dataclass(getattr(values, field.name))
        }
        return dataclasses.replace(values, **changes)

    agent = shrink(agent)
    size = METHODS[method].rendered_size(agent)
    env = EnvConfig.parse(TASK, image_size=size, render_quality="fast", action_repeat=ACTION_REPEAT)
    return RunConfig(method, env, agent, Training(**(options | training)))


def ignore(event: Event, training: OffPolicyTraining) -> None:
    pass


def never() -> bool:
    return False


def fail(sentence: str) -> None:
    raise AssertionError(sentence)


def after_steps(env_steps: int, seen: list[int]) -> tuple[Any, Any]:
    """A watch and a stop that end a run once it has made so many agent steps."""

    def watch(event: Event, training: OffPolicyTraining) -> None:
        seen.append(training.counters.env_steps)

    return watch, lambda: bool(seen) and seen[-1] >= env_steps


def train(folder: Path, run: RunConfig) -> Any:
    return session.start(run, folder, {}, ignore, never)


def resume(folder: Path, steps: int | None = None) -> Any:
    return session.resume(folder, steps, ignore, never, fail)


def newest(folder: Path) -> Path:
    return sorted((folder / "checkpoints").glob("step_*"))[-1]


def final_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Everything that the newest checkpoint holds: weights, moments, replay, generators, simulator."""
    step = newest(folder)
    files = ("networks", "optimizers", "replay", "generators", "environments")
    return {f"{name}/{key}": value for name in files for key, value in load_file(step / f"{name}.safetensors").items()}


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert different == []
