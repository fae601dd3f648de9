"""Stands for the program ``saccade`` where grids are tested: runs of some milliseconds that can be stopped and killed.

What a method does is its name: ``steady``; ``breaks`` once in the middle; ``hopeless`` breaks every time; ``refused``
says that the input is wrong; ``slow`` takes its time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

STEPS = 6
SECONDS = {"slow": 0.4}
STOP: list[int] = []


def write(path: Path, value: Any) -> None:
    aside = path.with_name(f".{path.name}")
    aside.write_text(json.dumps(value))
    os.replace(aside, path)


def append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def train(words: list[str]) -> int:
    if words[0] == "--resume":
        run = Path(words[1])
        config = json.loads((run / "config.json").read_text())
        teacher = words[words.index("--teacher") + 1] if "--teacher" in words else config["teacher"]
    else:
        run = Path(words[words.index("--out") + 1])
        teacher = words[words.index("--teacher") + 1] if "--teacher" in words else None
        if run.exists():
            sys.stderr.write(f"saccade: {run} exists already" + "\n")
            return 2
        given = {"method": words[0], "task": words[1], "seed": int(words[words.index("--seed") + 1])}
        config = {**given, "training": {"steps": STEPS}, "teacher": teacher}
        if config["method"] == "refused":
            sys.stderr.write("saccade: this is refused" + "\n")
            return 2
    if teacher is not None and not (Path(teacher) / "result.json").exists():
        sys.stderr.write("saccade: there is no teacher" + "\n")
        return 2
    if not run.exists():
        run.mkdir(parents=True)
        write(run / "config.json", config)
    return go_on(run, config)


def go_on(run: Path, config: dict[str, Any]) -> int:
    checkpoint = run / "checkpoint.json"
    step = json.loads(checkpoint.read_text()) if checkpoint.exists() else 0
    append(run / "begun.jsonl", {"at": step})
    while step < STEPS:
        time.sleep(SECONDS.get(config["method"], 0.001))
        step += 1
        append(run / "metrics.jsonl", {"env_steps": step, "seconds": 0.01 * step, "episode/return": float(step)})
        write(checkpoint, step)
        if STOP:
            return 130
        broken = config["method"] == "hopeless" and step >= STEPS // 2
        if broken or (config["method"] == "breaks" and step == STEPS // 2 and first(run)):
            os.kill(os.getpid(), signal.SIGKILL)
    row = {"env_steps": step, "task": config["task"], "seed": config["seed"], "mode": "train", "episodes": 2}
    value = 10.0 * len(config["method"]) + config["seed"]
    append(run / "evaluations.jsonl", row | {"episode_seed": 0, "return_mean": value, "provenance": {}})
    write(run / "result.json", {"env_steps": step})
    return 0


def first(run: Path) -> bool:
    """Whether it is the first time that the run comes here."""
    return len((run / "begun.jsonl").read_text().splitlines()) == 1


def evaluate(words: list[str]) -> int:
    run = Path(words[0])
    config = json.loads((run / "config.json").read_text())
    row = {"env_steps": STEPS, "task": config["task"], "seed": config["seed"], "mode": "noise", "episodes": 2}
    append(run / "evaluations.jsonl", row | {"episode_seed": 0, "return_mean": -1.0, "provenance": {}})
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: STOP.append(number))
    sys.exit({"train": train, "evaluate": evaluate}[sys.argv[1]](sys.argv[2:]))
