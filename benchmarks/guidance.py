"""By how much agents of a grid differ in success, beyond the pairs of its report: a comparison of any two.

    python benchmarks/guidance.py runs/bench/saliency-guidance-small/minigrid-red_fetch_green

prints, for each mode, differences of interquartile means with 95 % intervals from resampled seeds and each seed's
success, and the success of each agent at every evaluation in training's own mode.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

from saccade.bench.statistics import difference
from saccade.data.documents import read_lines

Found = dict[tuple[str, str, int], list[float]]


def successes(folder: Path) -> Found:
    """Return the success of every run by agent, mode and step; of several evaluations of a step, the last one's."""
    found: Found = {}
    for path in sorted(folder.glob("*/*/evaluations.jsonl")):
        of_run = {(line.row["mode"], line.row["env_steps"]): line.row["success_rate"] for line in read_lines(path)}
        for (mode, step), success in of_run.items():
            found.setdefault((path.parts[-3], mode, step), []).append(success)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="runs of one task: AGENT/SEED")
    found = successes(parser.parse_args().folder)
    agents, modes = (list(dict.fromkeys(key[place] for key in found)) for place in (0, 1))
    for mode in modes:
        last = {agent: found[agent, mode, max(step for one, _, step in found if one == agent)] for agent in agents}
        for first, second in itertools.combinations(agents, 2):
            print(f"{mode}: {first} - {second}: {difference(last[first], last[second]).text(2)}")
        for agent in agents:
            print(f"{mode}: {agent}:", ", ".join(f"{success:.2f}" for success in last[agent]))
    for agent in agents:
        steps = sorted(step for one, mode, step in found if (one, mode) == (agent, "train"))
        print(f"{agent}:", ", ".join(f"{step:,} {np.mean(found[agent, 'train', step]):.2f}" for step in steps))


if __name__ == "__main__":
    main()
