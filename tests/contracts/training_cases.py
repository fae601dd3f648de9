"""Training runs that take seconds: tiny pictures, tiny networks, few steps; on the real simulator or without one."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from method_cases import SIZE, images, tiny
from noise_envs import make_noise
from probe_envs import Probe, make_probe
from safetensors.torch import load_file

from saccade.agents import METHODS, Architecture
from saccade.agents.agent import Agent
from saccade.agents.configs_discrete import PlainTrunk
from saccade.agents.configs_on_policy import Trunk
from saccade.agents.given import Given
from saccade.data.replay import ReplayBuffer
from saccade.envs.config import EnvConfig
from saccade.envs.workers.env_workers import EnvWorkers
from saccade.policies import evaluate
from saccade.runs.agents import make_agent
from saccade.runs.config import to_json
from saccade.runs.training import OffPolicy, RunConfig, Training
from saccade.train import assembling, session
from saccade.train.events import Event
from saccade.train.loop import Loop
from saccade.train.off_policy import OffPolicyTraining
from saccade.types import Continuous

ARCHITECTURE = Architecture(image_size=16, filters=4, conv_layers=2, projection=8, hidden=16)
TRUNK = Trunk(network="small", image_size=16, filters=(4, 4, 4), hidden=16)
KILLED_RUN = """
import json, sys
from pathlib import Path
from saccade.runs.config import from_json
from saccade.train import session
config = from_json(json.loads(sys.argv[1]))
session.start(config, Path(sys.argv[2]), {}, lambda event, training: None, lambda: False)
"""
"""A program that trains a run, given as JSON and the name of its folder."""
TASK = "dmc/cartpole_balance@video_hard"  # with clips, whose position must be saved
GRID = "minigrid/red_fetch_green"
"""For methods that choose among actions."""
EPISODE_STEPS = 25
ACTION_REPEAT = 1000 // EPISODE_STEPS  # physics costs little, pictures and updates much


def config(method: str = "sgqn", **training: Any) -> RunConfig:
    options: dict[str, Any] = {
        "steps": 48,
        "random_steps": 8,
        "workers": 0,
        "device": "cpu",
        "threads": 1,
        "precision": "float32",  # or else what a run computes would depend on the machine
        "evaluate_every": 0,
        "evaluation_modes": (),
        "checkpoint_every": 16,
        "log_every": 5,
        "image_count": 8,
    }
    sizes = {
        "architecture": ARCHITECTURE,
        "trunk": TRUNK,
        "rollout_steps": 8,
        "minibatches": 2,
        "batch_size": 4,
        "decoder_filters": (4, 4),
        "saliency_every": 2,
        "rendered_size": 20,
        "stem_layers": 1,
        "soda_batch_size": 4,
    }
    agent = METHODS[method].config

    def shrink(values: Any) -> Any:
        if isinstance(values, PlainTrunk):
            return PlainTrunk("small", 16, (4, 4, 4), 16)
        changes = {}
        for field in dataclasses.fields(values):
            value = getattr(values, field.name)
            if field.name in sizes and not isinstance(value, PlainTrunk):
                changes[field.name] = sizes[field.name]
            elif dataclasses.is_dataclass(value):
                changes[field.name] = shrink(value)
        return dataclasses.replace(values, **changes)

    agent = shrink(agent)
    size = METHODS[method].rendered_size(agent)
    if Continuous in METHODS[method].actions:
        env = EnvConfig.parse(TASK, image_size=size, render_quality="fast", action_repeat=ACTION_REPEAT)
    else:
        env = EnvConfig.parse(GRID, image_size=size)
    return run_config(method, env, agent, options | training)


def run_config(method: str, env: EnvConfig, agent: Any, options: dict[str, Any]) -> RunConfig:
    """A run with these options, of training and of its loop."""
    of_loop = {field.name for field in dataclasses.fields(OffPolicy)} & set(options)
    training = Training(**{name: value for name, value in options.items() if name not in of_loop})
    replay = OffPolicy(**{name: options[name] for name in of_loop})
    return RunConfig(method, env, agent, training, replay if METHODS[method].loop == "off_policy" else None)


def ignore(event: Event, training: Loop) -> None:
    pass


def never() -> bool:
    return False


def fail(sentence: str) -> None:
    raise AssertionError(sentence)


def after_steps(env_steps: int, seen: list[int]) -> tuple[Any, Any]:
    """A watch and a stop that end a run once it has made so many agent steps."""

    def watch(event: Event, training: Loop) -> None:
        seen.append(training.counters.env_steps)

    return watch, lambda: bool(seen) and seen[-1] >= env_steps


def train(folder: Path, run: RunConfig) -> Any:
    return session.start(run, folder, {}, ignore, never)


def resume(folder: Path, steps: int | None = None) -> Any:
    return session.resume(folder, steps, ignore, never, fail)


def train_in_parts(folder: Path, run: RunConfig, moments: list[int]) -> None:
    """Stop after so many agent steps each, and resume."""
    first, *further = moments
    watch, stop = after_steps(first, seen=[])
    assert session.start(run, folder, {}, watch, stop) is None
    for moment in further:
        watch, stop = after_steps(moment, seen=[])
        assert session.resume(folder, None, watch, stop, warn=lambda sentence: None) is None
    assert resume(folder) is not None


def train_killed(folder: Path, run: RunConfig, seconds: float) -> None:
    """Train in a process that is killed so long after its first checkpoint, and go on if it had not ended by then."""
    process = subprocess.Popen([sys.executable, "-c", KILLED_RUN, json.dumps(to_json(run)), str(folder)])
    deadline = time.monotonic() + 120
    while not list((folder / "checkpoints").glob("step_*")) and time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before its first checkpoint"
        time.sleep(0.005)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if not (folder / "result.json").exists():
        resume(folder)


def newest(folder: Path) -> Path:
    return sorted((folder / "checkpoints").glob("step_*"))[-1]


def final_tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Everything that the newest checkpoint holds: weights, moments, replay or rollout, generators, simulator."""
    files = sorted(newest(folder).glob("*.safetensors"))
    held = "replay" if (newest(folder) / "replay.safetensors").exists() else "rollout"
    assert [path.stem for path in files] == sorted(["networks", "optimizers", "generators", "environments", held])
    return {f"{path.stem}/{key}": value for path in files for key, value in load_file(path).items()}


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert different == []


def rows(folder: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    """Rows of a run but for their times; none where there is no file."""
    path = folder / name
    parsed = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [{key: value for key, value in row.items() if key != "seconds"} for row in parsed]


def counters(folder: Path) -> dict[str, Any]:
    """Of the newest checkpoint, but for the time."""
    return json.loads((newest(folder) / "counters.json").read_text()) | {"seconds": 0}


# --- without a simulator ----------------------------------------------------------------------------

CPU = torch.device("cpu")
NOTHING_PAYS = Probe()


def without_simulator(monkeypatch: pytest.MonkeyPatch, processes: bool = False) -> None:
    """Have runs train and evaluate on noise; their configurations must be ``noise_config``'s.

    Unless ``processes``, no environment has one, whatever the configuration says: a run then starts at once.
    """

    def make(*arguments: Any, num_workers: int | None, opengl: str = "default") -> EnvWorkers[EnvConfig]:
        return EnvWorkers(*arguments, num_workers=num_workers if processes else 0, make=make_noise)

    for module in (assembling, evaluate):
        monkeypatch.setattr(module, "EnvWorkers", make)


def noise_config(method: str = "sac", **training: Any) -> RunConfig:
    run = config(method, **training)
    return dataclasses.replace(run, env=dataclasses.replace(run.env, frame_stack=1))


@contextmanager
def loop(
    method: str = "sac",
    probe: Probe = NOTHING_PAYS,
    change: Callable[[Agent], Agent] = lambda agent: agent,
    **options: Any,
) -> Iterator[OffPolicyTraining]:
    """The training loop on a probe environment, without a simulator or a folder."""
    agent_config = tiny(METHODS[method].config)
    probe = dataclasses.replace(probe, size=SIZE)
    training = {
        "steps": 24,
        "envs": 1,
        "random_steps": 8,
        "evaluate_every": 0,
        "evaluation_modes": (),
        "log_every": 100,
    }
    run = run_config(method, EnvConfig("dmc/cartpole_balance"), agent_config, training | options)
    envs = run.training.num_envs
    with EnvWorkers([probe] * envs, list(range(envs)), num_workers=0, make=make_probe) as workers:
        agent = change(make_agent(run, workers.spaces, CPU, Given(images)))
        replay = ReplayBuffer(100, (3, SIZE, SIZE), workers.spaces.actions, num_envs=envs, segment_frames=16)
        yield OffPolicyTraining(run, agent, workers, replay, CPU)


def play(training: OffPolicyTraining, saved: list[tuple[int, int]]) -> None:
    """Train to the end as a caller does that saves when told to: the steps and updates of each time go to ``saved``."""
    for event in training.events():
        if event.kind == "checkpoint_due":
            saved.append((training.counters.env_steps, training.counters.updates))
            training.counters.checkpointed_at = training.counters.env_steps
