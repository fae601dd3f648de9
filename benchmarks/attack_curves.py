"""Curves of attacks by this code beside those of another version of it, in turns and in one process.

    git worktree add ../before COMMIT
    OMP_NUM_THREADS=1 python benchmarks/attack_curves.py ../before/src [--policy zoo:ppo-red-fetch-green]
        [--attacks fgsm pgd mi_fgsm mad pgd_restarts random_sign] [--epsilons 1 2 4 8 12 16] [--episodes 10]
        [--most-likely] [--threads 1] [--out FILE]

Each plays what ``saccade attack`` plays, attack by attack, and the versions take turns, so that whatever else the
machine does falls on both. Times are the processor's, with environments in this process. The ratio is the other
version's time over this one's. How many rows are the same, number by number, is told beside it: versions differ by
rounding, which may let an episode end otherwise.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

Curve = dict[str, Any]
"""``{"budget": [return of each episode, ..., share of actions that changed]}``."""
ALL = "all"


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    versions = {"other": load(options.other, options), "this": load(Path(__file__).parents[1] / "src", options)}
    rows = []
    for play in versions.values():
        play(options.attacks[0], options.epsilons[:1])  # whatever is loaded and drawn once
    for attack in options.attacks:
        seconds, curves = {}, {}
        for name, play in versions.items():
            began = time.process_time()
            curves[name] = play(attack, options.epsilons)
            seconds[name] = time.process_time() - began
        same = sum(curves["other"][budget] == curves["this"][budget] for budget in curves["this"])
        rows.append({"attack": attack, **seconds, "same_rows": same, "rows": len(curves["this"])})
        print(json.dumps(rows[-1]), flush=True)
    rows.append({"attack": ALL, **{key: sum(row[key] for row in rows) for key in rows[0] if key != "attack"}})
    rows = [{**row, "ratio": row["other"] / row["this"]} for row in rows]
    show(rows, options)
    if options.out is not None:
        settings = {key: value for key, value in vars(options).items() if key not in ("out", "other")}
        options.out.write_text(json.dumps({"settings": settings, "rows": rows}, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the src folder of the other version")
    parser.add_argument("--policy", default="zoo:ppo-red-fetch-green")
    parser.add_argument(
        "--attacks", nargs="+", default=["fgsm", "pgd", "mi_fgsm", "mad", "pgd_restarts", "random_sign"]
    )
    parser.add_argument("--epsilons", nargs="+", type=float, default=[1.0, 2.0, 4.0, 8.0, 12.0, 16.0])
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--most-likely", action="store_true", help="actions that are not drawn from the policy")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    options = parser.parse_args()
    if not (options.other / "saccade").is_dir():
        parser.error(f"{options.other} holds no folder saccade: give the src folder of a checkout")
    return options


def load(source: Path, options: argparse.Namespace) -> Callable[[str, list[float]], Curve]:
    """What plays an attack at some budgets with the package in a folder, imported as if it were the only one."""
    only({})
    sys.path.insert(0, os.fspath(source.resolve()))
    try:
        return player(options)
    finally:
        sys.path.pop(0)


def player(options: argparse.Namespace) -> Callable[[str, list[float]], Curve]:
    """The same of whichever version is imported now."""
    attacking = importlib.import_module("saccade.explain.attacking")
    settings = importlib.import_module("saccade.policies.attacked").AttackSettings()
    policy = importlib.import_module("saccade.policies.load").load_any(options.policy, device="cpu")
    task = importlib.import_module("saccade.explain.tasks").task_of(policy, None)
    play = attacking.Play(options.episodes, 0, not options.most_likely, workers=0)
    version = modules()

    def played(attack: str, epsilons: list[float]) -> Curve:
        only(version)  # some rooms are imported only when they are needed
        results = attacking.under_attack(policy, task, attacking.cells_of([attack], epsilons), settings, play)
        found = {f"{one.cell.epsilon:g}": [*one.evaluation.returns, one.action_change] for one in results}
        version.update(modules())
        return found

    return played


def modules() -> dict[str, ModuleType]:
    """What is imported of the package."""
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "saccade"}


def only(version: Mapping[str, ModuleType]) -> None:
    """Let these be all that is imported of it."""
    for name in modules():
        del sys.modules[name]
    sys.modules.update(version)


def show(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    title = f"{options.policy}, {options.episodes} episodes a budget, {options.threads} threads, processor seconds"
    table = Table(box=None, title=title)
    for column in ("attack", "other", "this", "times as fast", "rows the same"):
        table.add_column(column, justify="left" if column == "attack" else "right")
    for row in rows:
        times = (f"{row['other']:.1f}", f"{row['this']:.1f}", f"{row['ratio']:.1f}")
        table.add_row(row["attack"], *times, f"{row['same_rows']} of {row['rows']}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
