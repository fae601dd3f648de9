"""What guidance costs: PPO beside SG-PPO and DQN beside SG-DQN, whole loops in one process, in turns.

    python benchmarks/guided.py [--methods ppo sg_ppo dqn sg_dqn] [--task minigrid/red_fetch_green]
                                [--preset small|paper] [--rounds 7] [--steps 2048] [--threads 1] [--out FILE]

A round is as many agent steps, environments, updates and markings included. Its time is that of the processor, so that
a machine with other work tells nearly the same. A ratio is the median over the rounds, each taken within its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from saccade.agents import METHODS
from saccade.agents.presets import SIZES
from saccade.cli.train_command import parse
from saccade.train.assembling import assembled
from saccade.train.loop import Loop
from saccade.train.off_policy import OffPolicyTraining
from saccade.train.on_policy import OnPolicyTraining

PLAIN = {"off_policy": "dqn", "on_policy": "ppo"}
"""Whose time a method's is divided by, by the loop that feeds it."""


class Entrant:
    """A method's loop, a round at a time, and the processor's seconds that its parts took."""

    def __init__(self, method: str, loop: Loop) -> None:
        self.method, self.loop, self.events = method, loop, loop.events()
        self.rounds: list[float] = []
        self.parts: dict[str, float] = {}
        updates, ahead = self._timed("updates", loop.update), loop.update.ahead
        updates.ahead = ahead
        loop.update = updates
        owners: dict[str, tuple[Any, tuple[str, ...]]] = {"acting": (loop.agent, ("act",))}
        if isinstance(loop, OnPolicyTraining):
            owners |= {"environments": (loop.streams, ("step",)), "judging": (loop.rollout, ("judged",))}
            owners |= {"marking": (loop.rollout, ("marked",))}
        if isinstance(loop, OffPolicyTraining):
            owners |= {"environments": (loop.workers, ("begin_step", "finish_step", "reset"))}
            owners |= {"remembering": (loop.replay, ("add", "start_episode"))}
        for part, (owner, names) in owners.items():
            for name in names:
                object.__setattr__(owner, name, self._timed(part, getattr(owner, name)))

    def _timed(self, part: str, function: Callable[..., Any]) -> Any:
        def timed(*arguments: Any) -> Any:
            began = time.process_time()
            result = function(*arguments)
            self.parts[part] = self.parts.get(part, 0.0) + time.process_time() - began
            return result

        return timed

    def begin(self) -> None:
        """Forget what was measured."""
        self.rounds.clear()
        self.parts.clear()

    def play(self, steps: int) -> None:
        """One round."""
        counters, began = self.loop.counters, time.process_time()
        until = counters.env_steps + steps
        while counters.env_steps < until:
            next(self.events)
        self.rounds.append(time.process_time() - began)

    def row(self, plain: Entrant | None, steps: int) -> dict[str, Any]:
        """What is told of it. plain: who it is compared with."""
        whole = sum(self.rounds)
        row: dict[str, Any] = {"method": self.method}
        shares = {part: spent / whole for part, spent in self.parts.items() if spent > 0}
        row |= {"steps_per_second": steps / statistics.median(self.rounds), "compared_with": None, "time_ratio": None}
        if plain is not None:
            ratios = sorted(own / other for own, other in zip(self.rounds, plain.rounds, strict=True))
            row |= {"compared_with": plain.method, "time_ratio": statistics.median(ratios)}
            row |= {"time_ratio_range": [ratios[0], ratios[-1]]}
        return row | {"shares": shares | {"the rest": max(1 - sum(shares.values()), 0.0)}}


def main() -> None:
    options = parse_arguments()
    with ExitStack() as stack:
        entrants = {name: Entrant(name, loop_of(name, options, stack)) for name in options.methods}
        for entrant in entrants.values():
            entrant.play(random_steps_of(entrant.loop) + options.steps)  # warms up
            entrant.begin()
        for _ in range(options.rounds):
            for entrant in entrants.values():
                entrant.play(options.steps)
        rows = [one.row(entrants.get(PLAIN[METHODS[name].loop]), options.steps) for name, one in entrants.items()]
    print(f"{options.task}, preset {options.preset}, {options.threads} threads: agent steps per processor second")
    for row in rows:
        shares = ", ".join(f"{part} {100 * share:.0f} %" for part, share in row["shares"].items())
        ratio = "" if row["time_ratio"] is None else f"time/{row['compared_with']} {row['time_ratio']:.2f}"
        print(f"{row['method']:24} {row['steps_per_second']:7.0f}   {ratio:15} {shares}")
    if options.out:
        told = {"task": options.task, "preset": options.preset, "threads": options.threads, "rounds": options.rounds}
        told |= {"steps": options.steps, "torch": torch.__version__, "methods": rows}
        options.out.write_text(json.dumps(told, indent=1) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    methods = ["ppo", "sg_ppo", "dqn", "sg_dqn"]
    parser.add_argument("--methods", nargs="+", default=methods, choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--task", default="minigrid/red_fetch_green")
    parser.add_argument("--preset", default="small", choices=SIZES)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2048, help="agent steps in a round: whole rollouts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def loop_of(method: str, options: argparse.Namespace, stack: ExitStack) -> Loop:
    """A method's loop as ``saccade train`` makes it, with all environments in this process and no evaluation."""
    words = ["--preset", options.preset, "--steps", str(10**9), "--workers", "0", "--threads", str(options.threads)]
    words += ["--device", "cpu", "--evaluate-every", "0", "--checkpoint-every", str(10**9), "--log-every", str(10**9)]
    config, _ = parse([method, options.task, *words])
    return stack.enter_context(assembled(config, None, lambda why: None))


def random_steps_of(loop: Loop) -> int:
    """Agent steps before it learns."""
    return loop.options.random_steps if isinstance(loop, OffPolicyTraining) else 0


if __name__ == "__main__":
    main()
