"""``saccade demo``: two methods trained for some minutes, compared in every mode, and drawn on one page."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TimeElapsedColumn, TimeRemainingColumn

from saccade.bench.results import newest_results
from saccade.cli import terminal
from saccade.cli.demo_page import write_demo_page
from saccade.cli.evaluate_command import play, show
from saccade.cli.options import Demo, Evaluate
from saccade.cli.parsing import parsed
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.suites import modes_of, suite_of
from saccade.policies.evaluate import Act, evaluation_row, with_gaps
from saccade.policies.policy import Policy
from saccade.policies.sources.run import load_policy
from saccade.train.logs import append_row, read_rows
from saccade.train.session import EVALUATIONS, METRICS
from saccade.types import UserError

METHODS_SHOWN = ("sac", "sgqn")
STEPS_BETWEEN_ROWS = 50
EVALUATION_SHARE = 0.2  # of the time, kept for the evaluations behind the training
POLL_SECONDS = 0.5
RANDOM_POLICY = "random"


def run(words: list[str]) -> int:
    """Carry out the command; returns the exit code."""
    options = parsed(Demo, "saccade demo", words)
    if options.steps < 1 or options.minutes <= 0 or options.episodes < 1:
        raise UserError("--steps, --minutes and --episodes must be positive.")
    env = EnvConfig.parse(options.task)
    folder = _new_folder(options.out)
    console, began = terminal.console(), time.monotonic()
    console.print(f"Training {' and '.join(METHODS_SHOWN)} on {env.task}, each on one core, into {folder}.")
    _train(options, folder, console, began + 60 * options.minutes * (1 - EVALUATION_SHARE))
    policies = {method: load_policy(folder / method, "cpu") for method in METHODS_SHOWN}
    rows = _compare(policies, options, folder, console)
    console.print()
    show(newest_results(rows), console)
    page = folder / "index.html"
    metrics = {method: read_rows(folder / method / METRICS) for method in METHODS_SHOWN}
    write_demo_page(page, env.task, policies, rows, metrics, _hardest(env.task), _states(policies, options))
    verdict(rows, console)
    console.print(f"\n{(time.monotonic() - began) / 60:.1f} minutes. Open {page} in a browser.", highlight=False)
    return 0


def _new_folder(wanted: Path | None) -> Path:
    names = [wanted] if wanted else [Path("runs/demo"), *(Path(f"runs/demo-{number}") for number in range(2, 1000))]
    folder = next((name for name in names if not name.exists()), None)
    if folder is None:
        raise UserError(f"{names[0]} exists already: give another --out.")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): give another folder with --out.") from error
    return folder


def _train(options: Demo, folder: Path, console: Console, deadline: float) -> None:
    """Train the methods in processes of their own; ask them to save and leave at the deadline."""
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for method in METHODS_SHOWN:
            log = (folder / f"{method}.log").open("wb")
            command = [sys.executable, "-m", "saccade.cli", *_train_words(method, options, folder)]
            processes[method] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _wait(processes, options, folder, console, deadline)
    finally:
        for process in processes.values():
            if process.poll() is None:
                process.terminate()
    for method, process in processes.items():
        if process.wait() not in (0, 130):
            tail = (folder / f"{method}.log").read_text(errors="replace").strip().splitlines()[-1:]
            raise UserError(f"Training {method} failed: {' '.join(tail)} The whole output is in {folder / method}.log.")


def _train_words(method: str, options: Demo, folder: Path) -> list[str]:
    settings = {
        "preset": "small", "steps": options.steps, "seed": options.seed, "device": "cpu",
        "threads": 1, "workers": 0, "random-steps": min(500, options.steps // 4), "log-every": STEPS_BETWEEN_ROWS,
        "evaluate-every": 0, "checkpoint-every": max(options.steps // 4, 1), "out": folder / method,
    }  # fmt: skip
    flags = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return ["train", method, options.task, *flags, "--evaluation-modes"]


def _wait(
    processes: dict[str, subprocess.Popen[bytes]], options: Demo, folder: Path, console: Console, deadline: float
) -> None:
    columns = (
        terminal.column("{task.description:>6}"),
        BarColumn(bar_width=None),
        terminal.column("{task.completed}/{task.total}"),
    )
    with Progress(
        *columns, terminal.column("{task.fields[latest]}"), TimeElapsedColumn(), TimeRemainingColumn(), console=console
    ) as progress:
        log = terminal.LogLines(console)
        lines = {method: progress.add_task(method, total=options.steps, latest="") for method in processes}
        for tick in count():
            for method, line in lines.items():
                _show_training(progress, line, read_rows(folder / method / METRICS))
            log.say(lambda: ", ".join(f"{task.description}: {task.completed:.0f} steps" for task in progress.tasks))
            if all(process.poll() is not None for process in processes.values()):
                return
            if tick and time.monotonic() > deadline:
                console.print("Time to evaluate: saving what was learned so far.")
                for process in processes.values():
                    process.send_signal(signal.SIGTERM)
                for process in processes.values():
                    process.wait()
                return
            time.sleep(POLL_SECONDS)


def _show_training(progress: Progress, line: TaskID, rows: list[dict[str, Any]]) -> None:
    if rows:
        returns = [row["episode/return"] for row in rows if "episode/return" in row]
        latest = f"return {returns[-1]:.0f}" if returns else ""
        progress.update(line, completed=rows[-1]["env_steps"], latest=latest)


def _compare(policies: dict[str, Policy], options: Demo, folder: Path, console: Console) -> list[dict[str, Any]]:
    """Evaluate both methods and a random policy in every mode, on the same episodes."""
    first = next(iter(policies.values()))
    actors: dict[str, tuple[Act, EnvConfig, int]] = {
        method: (policy.act, policy.config.env, policy.env_steps) for method, policy in policies.items()
    }
    actors[RANDOM_POLICY] = (_random_act(first, options.seed), first.config.env, 0)
    asked = Evaluate(runs=(), episodes=options.episodes)
    everything: list[dict[str, Any]] = []
    with terminal.progress(console) as progress:
        for method, (act, env, env_steps) in actors.items():
            rows = with_gaps(
                [
                    evaluation_row(result, method=method, env=env, seed=options.seed, env_steps=env_steps)
                    for result in play(act, env, asked, options.seed, progress, method)
                ]
            )
            place = folder / method if method in policies else folder
            for row in rows:
                append_row(place / EVALUATIONS, row)
            everything += rows
    return everything


def _random_act(policy: Policy, seed: int) -> Act:
    action_dim = policy.act(_blank(policy)).shape[-1]
    random = np.random.default_rng(seed)
    return lambda obs: random.uniform(-1, 1, (len(obs), action_dim)).astype(np.float32)


def _blank(policy: Policy) -> np.ndarray:
    env = policy.config.env
    return np.zeros((env.frame_stack * 3, env.image_size, env.image_size), np.uint8)


def _states(policies: dict[str, Policy], options: Demo) -> np.ndarray:
    """Observations ``[number, channel, height, width]``, evenly spaced in SGQN's episode in the last mode."""
    policy = policies["sgqn"]
    own: EnvConfig = policy.config.env
    config = EnvConfig.parse(own.task, mode=_hardest(own.task), image_size=own.image_size, **suite_of(own.task).fast)
    env = make_env(config, options.seed)
    seen = [env.reset(seed=options.seed)[0]]
    ended = False
    while not ended:
        obs, _, terminated, truncated, _ = env.step(policy.act(seen[-1]))
        seen.append(obs)
        ended = terminated or truncated
    env.close()
    return np.stack([seen[int(place)] for place in np.linspace(0.1, 0.9, 6) * (len(seen) - 1)])


def _hardest(task: str) -> str:
    """The mode that is listed last."""
    return list(modes_of(task))[-1]


def verdict(rows: list[dict[str, Any]], console: Console) -> None:
    """Say how the training returns compare with the random policy's."""
    returns = {row["method"]: row["return_mean"] for row in rows if row["mode"] == "train"}
    chance = returns.pop(RANDOM_POLICY)
    for method, value in returns.items():
        times = f", {value / chance:.1f} times the random policy's {chance:.0f}" if chance > 0 else ""
        console.print(f"{method}: training return {value:.0f}{times}.", highlight=False)
