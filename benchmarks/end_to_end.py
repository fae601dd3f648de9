"""Agent steps per second of whole training runs, evaluation included: ours, and one arranged as SGQN's authors run it.

    python benchmarks/end_to_end.py [--method sgqn] [--task dmc/walker_walk] [--preset paper|small] [--steps 1000]
                                    [--envs 4] [--workers N] [--device auto|cpu|cuda] [--threads 1] [--no-overlap]
                                    [--precision auto|float32|bfloat16] [--compile auto|on|off]
                                    [--random-steps 200] [--evaluate-every 500] [--episodes 1] [--out FILE]

"saccade" is what ``saccade train`` runs: environments in their own processes, which step while the networks learn if
there are several, and evaluations beside the training. "as published" is one environment and one evaluation
environment a mode in the learner's process: act, step, update, one after the other, and everything waits for the
episodes of an evaluation, which are played one by one. Its update is the authors' where the method is sgqn
(benchmarks/reference.py), else ours without compilation. Both make one update per agent step, take the same task,
networks, evaluations and pictures, and run one after the other: a machine that is busy only now and then distorts the
ratio. Favourable to "as published": its replay and its green-screen keying are ours, and its pictures are cut to size
before the clock starts.

Time is wall time, from the moment when the random steps and the updates that they call for are over, so that neither
making networks and environments nor compiling is in it. A share of "environments" or "evaluation" is what the loop
waited for them: what happens meanwhile is not counted twice. On a GPU updates go on while the loop does other things,
and their time shows where it waits for them. The defaults evaluate 1.25 times as many steps as are trained, the
published schedule of two modes 1.5 times. The evaluation before the first step is outside the clock, but for what still
runs of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reference import ReferenceUpdate
from rich.console import Console
from rich.table import Table

from saccade.agents import METHODS
from saccade.agents.agent import Agent, make_update
from saccade.agents.given import Given
from saccade.agents.methods.sgqn import SGQNNetworks
from saccade.agents.presets import SIZES, preset
from saccade.data.banks.images import load_bank
from saccade.data.replay import ReplayBuffer
from saccade.doctor.facts import environment_facts
from saccade.envs.config import EnvConfig
from saccade.envs.workers.env_workers import EnvWorkers
from saccade.policies.evaluate import in_mode
from saccade.runs.agents import make_agent
from saccade.runs.config import check
from saccade.runs.device import device_of
from saccade.runs.training import OffPolicy, RunConfig, Training
from saccade.train import session
from saccade.train.events import Event
from saccade.train.loop import Loop
from saccade.types import Batch, UserError

OURS, PUBLISHED = "saccade", "as published"
UPDATES, ENVIRONMENTS, EVALUATION, SAVING = PARTS = ("updates", "environments", "evaluation", "saving")
PART_OF_EVENT = {
    "begun": ENVIRONMENTS,
    "losses": UPDATES,
    "episode": ENVIRONMENTS,
    "evaluating": EVALUATION,
    "evaluation": EVALUATION,
}
RESTATED = "sgqn"
COLOURS = 3  # of the newest frame of an observation


class Clock:
    """What the time after the first ``skipped`` agent steps went to, part by part."""

    def __init__(self, skipped: int) -> None:
        self.skipped, self.seconds = skipped, dict.fromkeys(PARTS, 0.0)
        self.steps = self.updates = 0
        self._begun_at = (0, 0)
        self._last = time.perf_counter()

    def spent_on(self, part: str) -> None:
        """The time since the last call went to this part; ``steps`` and ``updates`` are up to date."""
        now = time.perf_counter()
        if self.steps > self.skipped:
            self.seconds[part] += now - self._last
        else:
            self._begun_at = (self.steps, self.updates)
        self._last = now

    def row(self, arrangement: str) -> dict[str, Any]:
        total = sum(self.seconds.values())
        steps, updates = self.steps - self._begun_at[0], self.updates - self._begun_at[1]
        return {
            "arrangement": arrangement,
            "agent_steps": steps,
            "updates": updates,
            "seconds": total,
            "agent_steps_per_second": steps / total,
            "updates_per_second": updates / total,
            "shares": {part: seconds / total for part, seconds in self.seconds.items()},
        }


def main() -> None:
    options = parse_arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = device_of(options.device)
    ours = run_config(options)
    if options.random_steps >= options.steps:
        sys.exit(f"--steps {options.steps} leaves nothing to time after --random-steps {options.random_steps}.")
    try:
        check(ours)
    except UserError as error:
        sys.exit(str(error))
    published = dataclasses.replace(ours, training=dataclasses.replace(ours.training, envs=1, workers=0))
    rows = []
    for arrangement, train, config in ((OURS, train_ours, ours), (PUBLISHED, train_as_published, published)):
        say(f"training: {arrangement}")
        rows.append(train(config, device).row(arrangement))
    for row in rows:
        row["ratio"] = row["agent_steps_per_second"] / rows[-1]["agent_steps_per_second"]
    show(rows, options, device)
    if options.out:
        settings = {name: value for name, value in vars(options).items() if name != "out"}
        told = {"settings": settings, "machine": environment_facts(), "threads": torch.get_num_threads(), "runs": rows}
        options.out.write_text(json.dumps(told, indent=2) + "\n")


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default=RESTATED, choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--task", default="dmc/walker_walk")
    parser.add_argument("--preset", default="small", choices=SIZES)
    parser.add_argument("--steps", type=int, default=1000, help="agent steps of each run")
    parser.add_argument("--random-steps", type=int, default=200, help="with random actions; their updates follow")
    parser.add_argument("--envs", type=int, default=4, help="of ours")
    parser.add_argument("--workers", type=int, help="processes for them; by default one each, at most one per core")
    parser.add_argument("--overlap", action=argparse.BooleanOptionalAction, default=True, help="step while learning")
    parser.add_argument(
        "--precision", default="auto", choices=("auto", "float32", "bfloat16"), help="of our convolutions"
    )
    parser.add_argument("--compile", default="auto", choices=("auto", "on", "off"), help="losses of ours")
    parser.add_argument("--evaluate-every", type=int, default=500, help="agent steps; 0 only at the end")
    parser.add_argument("--episodes", type=int, default=1, help="of an evaluation, in each mode")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of torch on a CPU")
    parser.add_argument("--image-count", type=int, default=256, help="pictures to overlay")
    parser.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    return parser.parse_args()


def run_config(options: argparse.Namespace) -> RunConfig:
    start = preset(options.method, options.task, options.preset)
    training = Training(**start.training)
    training = dataclasses.replace(
        training,
        steps=options.steps,
        envs=options.envs,
        workers=options.workers,
        compile=options.compile,
        precision=options.precision,
        device=options.device,
        threads=options.threads,
        image_count=options.image_count,
        evaluate_every=options.evaluate_every,
        evaluation_episodes=options.episodes,
        checkpoint_every=options.steps,
    )
    side = METHODS[options.method].rendered_size(start.agent)
    env = EnvConfig.parse(options.task, image_size=side, **start.environment)
    loop = OffPolicy(random_steps=options.random_steps, overlap=options.overlap)
    return RunConfig(options.method, env, start.agent, training, loop)


def train_ours(config: RunConfig, device: torch.device) -> Clock:
    """A run of ``saccade train`` in a folder that vanishes."""
    assert config.loop is not None
    clock = Clock(config.loop.random_steps)

    def watch(event: Event, training: Loop) -> None:
        counters = training.counters
        part = PART_OF_EVENT.get(event.kind, SAVING)
        if event.kind == "tick":
            part = UPDATES if counters.env_steps == clock.steps else ENVIRONMENTS
        clock.steps, clock.updates = counters.env_steps, counters.updates
        clock.spent_on(part)

    with tempfile.TemporaryDirectory() as folder:
        session.start(config, Path(folder) / "run", {}, watch, lambda: False)
    return clock


def train_as_published(config: RunConfig, device: torch.device) -> Clock:
    """One environment in this process: act, step, update, and wait for every evaluation."""
    assert config.loop is not None
    training, loop_options = config.training, config.loop
    clock = Clock(loop_options.random_steps)
    with ExitStack() as stack:
        env, *evaluated = [
            stack.enter_context(EnvWorkers([in_mode(config.env, mode)], [training.seed], num_workers=0))
            for mode in (config.env.mode, *training.evaluation_modes)
        ]
        loop = PublishedLoop(config, env, device)
        while True:
            while clock.updates < clock.steps and clock.steps >= loop_options.random_steps:
                loop.update(clock.updates)
                clock.updates += 1
            wait_for(device)
            clock.spent_on(UPDATES)
            finished = clock.steps >= training.steps
            if finished or (training.evaluate_every and clock.steps % training.evaluate_every == 0):
                for one in evaluated:
                    loop.play(one, training.evaluation_episodes)
                clock.spent_on(EVALUATION)
            if finished:
                return clock
            loop.step(random=clock.steps < loop_options.random_steps)
            clock.steps += 1
            clock.spent_on(ENVIRONMENTS)


class PublishedLoop:
    """The pieces of the authors' loop: an agent, its one environment and its replay."""

    def __init__(self, config: RunConfig, env: EnvWorkers[EnvConfig], device: torch.device) -> None:
        self.env, self.device, spaces = env, device, env.spaces
        self.agent, self._update = published_update(config, env, device)
        frame = (spaces.obs_shape[0] // config.env.frame_stack, *spaces.obs_shape[1:])
        self.replay = ReplayBuffer(config.training.steps, frame, spaces.actions, frame_stack=config.env.frame_stack)
        self.host = torch.Generator().manual_seed(config.training.seed)
        self.generator = torch.Generator(device).manual_seed(config.training.seed)
        self.obs = self._begin_episode()

    def update(self, index: int) -> None:
        self._update(self._sample, self.generator, index)

    def step(self, *, random: bool) -> None:
        shape = (1, self.env.spaces.action_dim)
        if random:
            action = (torch.rand(shape, generator=self.host) * 2 - 1).numpy()
        else:
            action = self._act(self.obs, self.generator)
        step = self.env.step(action)
        self.replay.add(0, action[0], step.reward[0], float(not step.terminated[0]), step.obs[0, -COLOURS:])
        self.obs = self._begin_episode() if step.terminated[0] or step.truncated[0] else step.obs

    def play(self, env: EnvWorkers[EnvConfig], episodes: int) -> None:
        """Whole episodes, one after the other."""
        for _ in range(episodes):
            obs, ended = env.reset(), False
            while not ended:
                step = env.step(self._act(obs, None))
                obs, ended = step.obs, bool(step.terminated[0] or step.truncated[0])

    def _act(self, obs: np.ndarray, generator: torch.Generator | None) -> np.ndarray:
        return self.agent.act(torch.as_tensor(obs, device=self.device), generator).cpu().numpy()

    def _begin_episode(self) -> np.ndarray:
        obs = self.env.reset()
        self.replay.start_episode(0, obs[0, -COLOURS:])
        return obs

    def _sample(self, count: int) -> Batch:
        batch = self.replay.sample(count, self.host)
        obs, action, reward, discount, next_obs = (value.to(self.device) for value in batch[:5])
        return Batch(obs, action, reward, discount, next_obs)


def published_update(
    config: RunConfig, env: EnvWorkers[EnvConfig], device: torch.device
) -> tuple[Agent, Callable[..., Any]]:
    """An agent that acts, and the update: the authors' of SGQN, on networks of its own that it does not act with.

    The networks that act do not learn then, which changes no time.
    """
    bank = load_bank(None, count=config.training.image_count, seed=config.training.seed, device=device)
    agent = make_agent(config, env.spaces, device, Given(bank.sample))
    if config.method != RESTATED:
        return agent, make_update(agent)
    assert isinstance(agent.networks, SGQNNetworks)
    generator = torch.Generator(device).manual_seed(config.training.seed)
    pictures = bank.sample(agent.batch_size, env.spaces.obs_shape[-1], generator)
    reference = ReferenceUpdate(config.agent, env.spaces, agent.networks, pictures)

    def update(sample: Callable[[int], Batch], generator: torch.Generator, index: int) -> dict[str, float]:
        return reference.update(reference.prepare(sample(agent.batch_size), generator), index)

    return agent, update


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def show(rows: list[dict[str, Any]], options: argparse.Namespace, device: torch.device) -> None:
    console = Console()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    console.print(
        f"{options.method} on {options.task}, preset {options.preset}, {options.steps} steps, {options.envs} "
        f"environments, {device} ({name}), torch {torch.__version__}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    table.add_column("loop", no_wrap=True)
    for heading in ("steps/s", "updates/s", *PARTS, "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        shares = [f"{row['shares'][part]:.0%}" for part in PARTS]
        speeds = [f"{row['agent_steps_per_second']:.1f}", f"{row['updates_per_second']:.1f}"]
        table.add_row(row["arrangement"], *speeds, *shares, f"{row['ratio']:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
