"""The demo: what it trains with, what it refuses, and a page that says what came out, on a phone, in the dark too."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import browser
from method_cases import SIZE, build
from test_page import Reader

from saccade.cli import demo_command, demo_page, main, train_command
from saccade.cli.options import Demo
from saccade.envs.suites import modes_of
from saccade.policies.pixels import BYTE, RGB, pixels_of
from saccade.policies.policy import Policy
from saccade.runs.training import OffPolicy

ROBOT, CHEETAH = "manipulation/reach", "dmc/cheetah_run"
EPISODES = 4
PHONE = 390  # pixels across


def policy(method: str, env_steps: int, random_steps: int = 8) -> Policy:
    agent = build(method)
    pixels = pixels_of((9, SIZE, SIZE), "uint8", 0, BYTE, layout="channels_first", colours=RGB)
    told: Any = type("Config", (), {"loop": OffPolicy(random_steps=random_steps)})
    return Policy(
        method, agent.networks, agent.outputs, pixels, False, torch.device("cpu"), maps=agent.maps,
        env_steps=env_steps, config=told,
    )  # fmt: skip


def row(method: str, mode: str, value: float, success: float | None) -> dict[str, Any]:
    return {
        "env_steps": 100, "method": method, "task": ROBOT, "seed": 0, "mode": mode, "episodes": EPISODES,
        "episode_seed": 0, "return_mean": value, "return_std": 1.0, "returns": [value] * EPISODES,
        "success_rate": success, "gap": None, "changed_pixels": None if mode == "train" else 0.4,
        "provenance": {
            "render_quality": "fast", "image_size": SIZE, "action_repeat": 1, "mujoco": "3.8.1", "table_top": "drawn",
        },
    }  # fmt: skip


SUCCESS = {
    "sac": {"train": 0.5, "test1": 0.25, "test2": 0.0},
    "sgqn": {"train": 0.75, "test1": 0.75, "test2": 0.5},
    "random": {"train": 0.1, "test1": 0.1, "test2": 0.1},
}


def rows(*, success: bool = True) -> list[dict[str, Any]]:
    return [
        row(method, mode, 100 * share, share if success else None)
        for method, by_mode in SUCCESS.items()
        for mode, share in by_mode.items()
    ]


def played(random: np.random.Generator, steps: int) -> demo_page.Played:
    seen = random.integers(0, 256, (steps + 1, 9, SIZE, SIZE), np.uint8)
    return demo_page.Played(seen, random.uniform(-1, 1, (steps, 2)), np.arange(float(steps)))


def write(path: Path, found: list[dict[str, Any]], steps: int = 6) -> str:
    random = np.random.default_rng(0)
    policies = {"sac": policy("sac", 200), "sgqn": policy("sgqn", 90)}
    metrics = {
        method: [{"env_steps": 25 * i, "seconds": 3.0 * i, "episode/return": float(i)} for i in range(1, 9)]
        for method in policies
    }
    episodes = {method: {mode: played(random, steps) for mode in SUCCESS[method]} for method in policies}
    told = demo_page.DemoRun(ROBOT, {"sac": 200, "sgqn": 100}, 1.5, "saccade demo --minutes 2", path.parent / "sgqn")
    demo_page.write_demo_page(path, told, policies, found, metrics, episodes)
    return path.read_text()


def test_the_page_begins_with_what_came_out(tmp_path: Path) -> None:
    page = Reader(write(tmp_path / "index.html", rows()))
    first = next(text for tag, text in page.texts if tag == "p")
    # (25 + 0) / 2 = 12.5, which Python rounds to the even neighbour; (75 + 50) / 2 = 62.5.
    assert first == (
        "SAC: 50 % of the episodes succeed where it was trained and 12 % of the episodes succeed on average in "
        "surroundings it has not seen. SGQN: 75 % of the episodes succeed where it was trained and 62 % of the "
        "episodes succeed on average in surroundings it has not seen. Acting at random: 10 % of the episodes succeed."
    )
    assert page.count("img") + page.count("image") > 10
    text = " ".join(text for _, text in page.texts)
    assert "200 of SAC and 90 of SGQN" in text and "Time was up before SGQN had made all 100." in text
    assert (
        "side by side on one core each, 1.5 minutes in all" in text
        and "Training return over minutes" in (tmp_path / "index.html").read_text()
    )


def test_where_a_task_knows_no_success_returns_are_told(tmp_path: Path) -> None:
    told = write(tmp_path / "index.html", rows(success=False))
    assert "SAC: a return of 50 where it was trained and a return of 12" in told and "succeed" not in told


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_on_a_phone(tmp_path: Path, dark: bool) -> None:
    write(tmp_path / "index.html", rows())
    with browser(tmp_path / "browser") as tab:
        tab.open(tmp_path / "index.html", width=PHONE, dark=dark)
        assert tab.value("document.documentElement.scrollWidth") == PHONE
        assert tab.value(
            "[...document.querySelectorAll('table')].every(t => t.offsetWidth <= t.parentElement.clientWidth)"
        )
        filtered = "getComputedStyle(document.querySelector('img.chart')).filter"
        assert ("invert" in tab.value(filtered)) == dark
        assert tab.problems == []


def test_the_film_has_value_reward_and_actions_of_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 9 moments 4 are drawn; the curves have all, and what is not known where the episode ends is a gap."""
    monkeypatch.setattr(demo_page, "FILM_FRAMES", 4)
    page = Reader(write(tmp_path / "index.html", rows(), steps=8))
    [drawn] = [json.loads(found["data-charts"] or "") for tag, found in page.elements if "data-charts" in found]
    both = ["SAC", "SGQN"]
    assert [one["title"] for one in drawn] == [
        "value, train", "reward, train", *(f"action, {name}, train" for name in both),
        "value, test2", "reward, test2", *(f"action, {name}, test2" for name in both),
    ]  # fmt: skip
    for one in drawn:
        acts = one["title"].startswith("action")
        assert [line["name"] for line in one["lines"]] == (["part 1", "part 2"] if acts else both)
        for line in one["lines"]:
            assert len(line["values"]) == 9
            assert (line["values"][-1] is None) == (not one["title"].startswith("value"))
    assert drawn[1]["lines"][0]["values"] == [*range(8), None]
    parts = [found for tag, found in page.elements if found.get("class") == "part"]
    assert [json.loads(one["data-drawn"] or "") for one in parts] == [[0, 2, 5, 8]] * 2
    assert len(json.loads(parts[0]["data-lines"] or "")) == 9


@pytest.mark.parametrize("task", [ROBOT, CHEETAH])
def test_what_it_trains_with(task: str, tmp_path: Path) -> None:
    options = Demo(task=task, steps=1000, seed=3)
    configs = [
        train_command.parse(demo_command._train_words(method, options, tmp_path)[1:])[0]
        for method in demo_command.METHODS_SHOWN
    ]
    first, second = configs
    assert first.env == second.env and first.loop == second.loop
    assert (first.training.steps, second.training.steps) == (1000, 500)
    assert replace(first.training, steps=500) == second.training
    assert first.env.frame_stack == (1 if task == ROBOT else 3) and first.training.seed == 3
    assert first.training.threads == 1 and first.training.workers == 0 and first.training.device == "cpu"


def test_a_deadline_that_is_too_short_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_command, "_train", lambda *_: None)
    monkeypatch.setattr(demo_command, "load_policy", lambda folder, device: policy(folder.name, 8))
    assert main(["demo", "--out", str(tmp_path / "demo"), "--minutes", "0.1"]) == 2
    told = capsys.readouterr().err
    assert "0.1 minutes were too short: sac made 8 steps" in told and "Traceback" not in told


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("kept")
    assert main(["demo", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err and (tmp_path / "mine").read_text() == "kept"


def test_where_a_method_fails_the_other_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is left running, and the reason is the last line of the log."""
    waits = tmp_path / "waits.py"
    waits.write_text(
        "import json, os, sys, time\n"
        "if sys.argv[1] == 'sac': sys.exit('it broke')\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setattr(demo_command, "PROGRAM", [sys.executable, str(waits)])
    monkeypatch.setattr(demo_command, "_train_words", lambda method, options, folder: [method])
    began = time.monotonic()
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 2
    assert "Training sac failed: it broke" in capsys.readouterr().err and time.monotonic() - began < 60
    if (tmp_path / "pid").exists():
        assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


def test_every_mode_is_played_from_the_same_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[tuple[str, int]] = []

    def play(policy: Policy, config: Any, seed: int) -> None:
        played.append((config.mode, seed))

    monkeypatch.setattr(demo_command, "_played", play)
    told = policy("sac", 9)
    config = type("Config", (), {"env": demo_command.EnvConfig(ROBOT), "loop": OffPolicy()})
    found = demo_command._episodes({"sac": replace(told, config=config)}, 7)
    assert list(found["sac"]) == list(modes_of(ROBOT)) and played == [(mode, 7) for mode in modes_of(ROBOT)]
