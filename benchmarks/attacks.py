"""What a curve of attacks costs: whole episodes of a small policy, timed, and its passes through the network counted.

    python benchmarks/attacks.py [--policy zoo:ppo-red-fetch-green] [--attacks fgsm pgd mi_fgsm mad]
                                 [--epsilons 0 1 2 4 8 12 16] [--episodes 50] [--threads 2] [--workers 0] [--out FILE]

Plays what ``saccade attack WHAT --sampled`` plays, in its own environments, and prints for each attack: seconds and
processor seconds, steps of the policy, and forward and backward passes of a batch, counted by hooks. The count that the
arithmetic says, for a batch: 2 passes forward (what it would do, what it does) and one more for each budget that draws
its actions, and for each gradient step one forward and one backward of the pictures that are new to the attack.
Budgets that are played side by side are counted with the first of them.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import saccade
from saccade.attacks import EPSILONS, PUBLISHED
from saccade.doctor.facts import processor_name
from saccade.explain.attacking import Play, cells_of, under_attack
from saccade.explain.tasks import task_of
from saccade.policies.attacked import AttackSettings
from saccade.policies.policy import Policy

COUNTS = ("forward", "backward", "pictures")


class Passes:
    """How often the first convolution runs, and how often with a gradient wanted for its input."""

    def __init__(self, policy: Policy) -> None:
        self.forward = self.backward = self.pictures = 0
        first = next(layer for layer in policy.network.modules() if isinstance(layer, nn.Conv2d))
        first.register_forward_hook(self._count)

    def _count(self, layer: nn.Module, given: tuple[torch.Tensor, ...], result: torch.Tensor) -> None:
        self.forward += 1
        self.pictures += len(given[0])
        self.backward += given[0].requires_grad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", default="zoo:ppo-red-fetch-green")
    parser.add_argument("--attacks", nargs="+", default=list(PUBLISHED))
    parser.add_argument("--epsilons", nargs="+", type=float, default=list(EPSILONS))
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    policy = saccade.load(options.policy, device="cpu")
    passes = Passes(policy)
    play = Play(options.episodes, sampled=True, workers=options.workers)
    cells = cells_of(options.attacks, options.epsilons)
    rows, begun = [], time.process_time()
    before = (0, 0, 0)
    for one in under_attack(policy, task_of(policy, None), cells, AttackSettings(), play):
        now = (passes.forward, passes.backward, passes.pictures)
        counted = [after - earlier for after, earlier in zip(now, before, strict=True)]
        row = {"attack": one.cell.attack, "epsilon": one.cell.epsilon, "return_mean": one.evaluation.mean}
        row |= {"seconds": one.seconds, "processor_seconds": time.process_time() - begun}
        rows.append(row | dict(zip(COUNTS, counted, strict=True)))
        print(json.dumps(rows[-1]), flush=True)
        before, begun = now, time.process_time()
    _show(rows, options)


def _show(rows: list[dict[str, float]], options: argparse.Namespace) -> None:
    table = Table(box=None, title=f"{options.policy}, {options.episodes} episodes a budget, {processor_name()}")
    for column in ("attack", "budgets", "seconds", "processor s", "forward", "backward", "forward of a picture, us"):
        table.add_column(column, justify="left" if column == "attack" else "right")
    for attack in [*dict.fromkeys(row["attack"] for row in rows), "all"]:
        some = [row for row in rows if attack in (row["attack"], "all")]
        total = {key: sum(row[key] for row in some) for key in ("seconds", "processor_seconds", *COUNTS)}
        table.add_row(
            str(attack),
            str(len(some)),
            f"{total['seconds']:.0f}",
            f"{total['processor_seconds']:.0f}",
            f"{total['forward']:.0f}",
            f"{total['backward']:.0f}",
            f"{1e6 * total['processor_seconds'] / total['pictures']:.0f}",
        )
    Console(width=120).print(table)
    if options.out is not None:
        options.out.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
