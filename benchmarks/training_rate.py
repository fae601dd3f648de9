"""How fast a training run went, of the rows that it left: also of one that was cut off.

    python benchmarks/training_rate.py RUN [--after 1500]

The first updates compile and record, so the rate is that of the time after them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

PAPERS_STEPS = 500_000
SHOWN_EVALUATIONS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--after", type=int, default=1500, help="updates that do not count")
    options = parser.parse_args()
    print(rate_in_words(rows_of(options.run / "metrics.jsonl"), options.after))
    facts = options.run / "env.json"
    for path in json.loads(facts.read_text()).get("paths", []) if facts.exists() else []:
        print(f"  {path}")
    for row in rows_of(options.run / "evaluations.jsonl")[-SHOWN_EVALUATIONS:]:
        print(f"evaluation at {row['env_steps']} in {row['mode']}: {row['return_mean']:.1f}")


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a file; a last one that was cut off is none."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def rate_in_words(rows: list[dict[str, Any]], after: int) -> str:
    counted = [row for row in rows if row["updates"] > after]
    if len({row["updates"] for row in counted}) < 2:
        last = rows[-1]["updates"] if rows else 0
        return f"TRAINING: no rate, which needs rows of two different updates after {after} updates; it came to {last}"
    updates = counted[-1]["updates"] - counted[0]["updates"]
    seconds = counted[-1]["seconds"] - counted[0]["seconds"]
    minutes = PAPERS_STEPS / updates * seconds / 60
    return (
        f"TRAINING: {updates / seconds:.1f} updates/s = {1000 * seconds / updates:.2f} ms a step, all in, over "
        f"{seconds:.0f} s: {PAPERS_STEPS:,} steps in {minutes:.0f} minutes"
    )


if __name__ == "__main__":
    main()
