"""How long `saccade --help`, `saccade list` and every other `--help` take, and what they import.

Each command runs in a process of its own, several times; the fastest counts, since anything else on the machine only
makes it slower. Modules are counted by `python -X importtime`.

    python benchmarks/start_up.py --repeats 5
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

COMMANDS = (
    "--help", "train --help", "train sgqn --help", "evaluate --help", "explain --help", "score --help", "demo --help",
    "doctor --help", "list --help", "list", "list --preset sgqn", "list --preset small",
)  # fmt: skip
PROGRAM = (sys.executable, "-m", "saccade")
SLOWEST_SHOWN = 5


def seconds(words: list[str], repeats: int) -> float:
    """The fastest of some runs."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run([*PROGRAM, *words], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
    return min(taken)


def imported(words: list[str]) -> list[tuple[int, str]]:
    """Every module that a command loads, with the microseconds that it and what it loads take."""
    program, *rest = PROGRAM
    done = subprocess.run([program, "-X", "importtime", *rest, *words], check=True, capture_output=True, text=True)
    lines = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if "|" in line]
    return [(int(total), name.strip()) for _, total, name in lines[1:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"{'saccade ...':<22} {'seconds':>8} {'modules':>8}")
    for command in COMMANDS:
        words = command.split()
        print(f"{command:<22} {seconds(words, options.repeats):>8.2f} {len(imported(words)):>8}")
    slowest = sorted(imported(["train", "sgqn", "--help"]), reverse=True)
    outermost = [row for row in slowest if not row[1].startswith("saccade")][:SLOWEST_SHOWN]
    print("slowest imports of `train sgqn --help`:", ", ".join(f"{name} {us / 1e6:.2f} s" for us, name in outermost))


if __name__ == "__main__":
    main()
