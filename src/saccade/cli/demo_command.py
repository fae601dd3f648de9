"""``saccade demo``: train two methods for a few minutes, compare them in every mode, and write one page."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TimeElapsedColumn, TimeRemainingColumn

from saccade.agents.presets import preset
from saccade.bench.results import newest_results
from saccade.cli import terminal
from saccade.cli.demo_page import DemoRun, Played, sentences, write_demo_page
from saccade.cli.evaluate_command import play, show
from saccade.cli.options import Demo, Evaluate
from saccade.cli.parsing import parsed
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.suites import modes_of
from saccade.policies.evaluate import Act, evaluation_row, in_mode, with_gaps
from saccade.policies.policy import Policy
from saccade.policies.sources.run import load_policy
from saccade.train.logs import append_row, read_rows
from saccade.train.session import EVALUATIONS, METRICS
from saccade.types import UserError

SHARES = {"sac": 1.0, "sgqn": 0.5}  # of --steps, by method: an update of SGQN costs twice as much as SAC's
METHODS_SHOWN = tuple(SHARES)
RANDOM_STEPS = 1000
STEPS_BETWEEN_ROWS = 50
EVALUATION_SHARE = 0.2  # of the time, kept for the evaluations after the training
POLL_SECONDS = 0.5
ENDED_WELL = (0, 130)  # exit codes of a run that is done, and of one that was saved and interrupted
PROGRAM = [sys.executable, "-m", "saccade.cli"]
RANDOM_POLICY = "random"
FRAME_STACK = 3  # of both methods, as used by SGQN's authors


def run(words: list[str]) -> int:
    """Run the command; return the exit code."""
    options = parsed(Demo, "saccade demo", words)
    if options.steps < 1 or options.minutes <= 0 or options.episodes < 1:
        raise UserError("--steps, --minutes and --episodes must be positive.")
    env = EnvConfig.parse(options.task)
    folder = _new_folder(options.out)
    console, began = terminal.console(), time.monotonic()
    console.print(f"Training {' and '.join(METHODS_SHOWN)} on {env.task}, each on one core, into {folder}.")
    _train(options, folder, console, began + 60 * options.minutes * (1 - EVALUATION_SHARE))
    trained = (time.monotonic() - began) / 60
    policies = {method: load_policy(folder / method, "cpu") for method in METHODS_SHOWN}
    _refuse_too_short(policies, options, folder)
    rows = _compare(policies, options, folder, console)
    console.print()
    show(newest_results(rows), console)
    page = folder / "index.html"
    metrics = {method: read_rows(folder / method / METRICS) for method in METHODS_SHOWN}
    wanted = {method: _steps_of(method, options) for method in METHODS_SHOWN}
    demo = DemoRun(env.task, wanted, trained, " ".join(["saccade demo", *words]), folder / "sgqn")
    write_demo_page(page, demo, policies, rows, metrics, _episodes(policies, options.seed))
    for sentence in sentences(rows):
        console.print(sentence, highlight=False)
    console.print(f"\n{(time.monotonic() - began) / 60:.1f} minutes. Open {page} in a browser.", highlight=False)
    return 0


def _refuse_too_short(policies: dict[str, Policy], options: Demo, folder: Path) -> None:
    """Raise UserError if a method has not begun to learn: its numbers would mean nothing."""
    for method, policy in policies.items():
        if policy.env_steps <= policy.config.loop.random_steps:
            raise UserError(
                f"{options.minutes:g} minutes were too short: {method} made {policy.env_steps} steps and learned "
                f"nothing yet. Give more --minutes, or continue with `saccade train --resume {folder / method}`."
            )


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
    failed: list[str] = []
    try:
        for method in METHODS_SHOWN:
            command = [*PROGRAM, *_train_words(method, options, folder)]
            with (folder / f"{method}.log").open("wb") as log:
                processes[method] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _wait(processes, options, folder, console, deadline)
        failed = [method for method, process in processes.items() if process.poll() not in (None, *ENDED_WELL)]
    finally:
        for process in processes.values():
            process.terminate()  # has no effect on one that has ended
        for process in processes.values():
            process.wait()
    for method in failed:
        tail = (folder / f"{method}.log").read_text(errors="replace").strip().splitlines()[-1:]
        raise UserError(f"Training {method} failed: {' '.join(tail)} The whole output is in {folder / method}.log.")


def _train_words(method: str, options: Demo, folder: Path) -> list[str]:
    settings = {
        "preset": "small", "steps": _steps_of(method, options), "seed": options.seed, "device": "cpu",
        "threads": 1, "workers": 0, "random-steps": min(RANDOM_STEPS, options.steps // 8),
        "log-every": STEPS_BETWEEN_ROWS,
        "evaluate-every": 0, "checkpoint-every": max(options.steps // 8, 1), "out": folder / method,
        "frame-stack": preset("sgqn", options.task, "small").environment.get("frame_stack", FRAME_STACK),
    }  # fmt: skip
    flags = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return ["train", method, options.task, *flags, "--evaluation-modes"]


def _steps_of(method: str, options: Demo) -> int:
    """Steps of each method, chosen so that all learn for about the same time."""
    return max(round(options.steps * SHARES[method]), 1)


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
        lines = {method: progress.add_task(method, total=_steps_of(method, options), latest="") for method in processes}
        for tick in count():
            for method, line in lines.items():
                _show_training(progress, line, read_rows(folder / method / METRICS))
            log.say(lambda: ", ".join(f"{task.description}: {task.completed:.0f} steps" for task in progress.tasks))
            codes = [process.poll() for process in processes.values()]
            if None not in codes or any(code not in (None, *ENDED_WELL) for code in codes):
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
            played = play(_always(act), env, asked, options.seed, progress, method)
            rows = with_gaps(
                [
                    evaluation_row(
                        result,
                        method=method,
                        env=env,
                        seed=options.seed,
                        env_steps=env_steps,
                        network=policies[method].network if method in policies else None,
                    )
                    for result in played
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


def _episodes(policies: dict[str, Policy], seed: int) -> dict[str, dict[str, Played]]:
    """By method and mode: an episode that begins alike for all."""
    return {
        method: {
            mode: _played(policy, in_mode(policy.config.env, mode), seed) for mode in modes_of(policy.config.env.task)
        }
        for method, policy in policies.items()
    }


def _played(policy: Policy, config: EnvConfig, seed: int) -> Played:
    env = make_env(config, seed)
    seen, actions, rewards, ended = [env.reset(seed=seed)[0]], list[np.ndarray](), list[float](), False
    while not ended:
        actions.append(policy.act(seen[-1]))
        obs, reward, terminated, truncated, _ = env.step(actions[-1])
        seen.append(obs)
        rewards.append(float(reward))
        ended = terminated or truncated
    env.close()
    return Played(np.stack(seen), np.stack(actions), np.array(rewards))


def _always(act: Act) -> Callable[[], Act]:
    """Wrap an actor without state in the form that ``play`` starts each mode with."""
    return lambda: act
