"""Every kind of page shares one set of pieces: what it found first, nothing from elsewhere, room for everybody."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import fake_explanations
import numpy as np
import pytest
from accessibility import assert_accessible
from browser import Browser, browser
from test_bench_report import GRID, SEEDS, TASK, write_measured, write_run
from test_demo import rows, write
from test_dials import written
from test_evaluate_any import evaluated
from test_page import Reader

from saccade.bench.cells import cells_of
from saccade.bench.running import FAILED, RUNNING, Moment, Shown
from saccade.bench.standing import DONE, Standing
from saccade.cli.bench_report import write_reports
from saccade.explain.session import Session
from saccade.explain.tasks import task_of
from saccade.policies.load import load_any
from saccade.viewer.attacks import AttackedEpisode, Robustness, write_attacks
from saccade.viewer.grid import write_page
from saccade.viewer.live.messages import PaneMessage, View
from saccade.viewer.live.saving import recorded_page
from saccade.viewer.report import write_report
from saccade.viewer.timeline import chart

LARGEST = 20_000_000  # bytes of a page
ACTIONS = ("left", "right", "forward")


def explained(folder: Path) -> Path:
    fake_explanations.write_folder(folder, scores=False)
    for place in (folder / "maps").iterdir():
        content = dict(np.load(place))
        count = len(content["step"])
        chances = np.random.default_rng(0).dirichlet(np.ones(3), count)
        content |= {
            "action": chances.argmax(1),
            "action_names": np.array(ACTIONS),
            "probabilities": chances.astype(np.float32),
            "value": np.linspace(0, 1, count, dtype=np.float32),
        }
        np.savez_compressed(place, **content)
    return write_report(folder)


def scored(folder: Path) -> Path:
    return write_report(fake_explanations.write_folder(folder))


def attacked(folder: Path) -> Path:
    random = np.random.default_rng(0)
    found = [
        {"attack": "fgsm" if epsilon else "none", "epsilon": float(epsilon), "returns": [10.0 - epsilon] * 6,
         "return_mean": 10.0 - epsilon, "return_std": 0.0, "action_change": epsilon / 10, "untouched": 0.0}
        for epsilon in (0, 2, 8)
    ]  # fmt: skip
    clean, seen = random.integers(0, 256, (2, 4, 12, 12, 3), np.uint8)
    film = AttackedEpisode("fgsm", 8, clean, seen, tuple("abcd"), (chart("reward", [0, 1, 0, 2]),))
    meanings = {"fgsm": "One step"}
    return write_attacks(folder, Robustness("mine", "it", found, meanings, film, (("policy", "mine"),), "again"))


def demonstrated(folder: Path) -> Path:
    write(folder / "demo.html", rows())
    return folder / "demo.html"


def benched(folder: Path) -> Path:
    runs = folder / "runs"
    for cell in cells_of(GRID):
        if cell.seed in SEEDS:
            write_run(runs / cell.name, cell.arm.name, cell.task, cell.seed)
            if cell.task == TASK:
                write_measured(runs / cell.name, cell.arm.name, cell.seed)
    return write_reports(GRID, runs, folder / "report", commands=["saccade bench run x"], draw=False)


def at_work(folder: Path) -> Path:
    states = (RUNNING, FAILED, DONE)
    shown = tuple(
        Shown(cell, states[place % 3], Standing("begun", "train", 10, 100, 5.0, 2.0), "train", "core 0")
        for place, cell in enumerate(cells_of(GRID))
    )
    return write_page(Moment(GRID, shown, 60.0, None, 2, stopping=True), folder)


def saved(folder: Path) -> Path:
    pytest.importorskip("minigrid")
    policy = load_any("zoo:ppo-red-fetch-green", device="cpu")
    session = Session([policy], task_of(policy, None))
    for _ in range(3):
        session.step()
    view = View(1, (PaneMessage(),), methods=("gradient",))
    name, _, content = recorded_page(session, view, "ppo", "saccade view it")
    session.close()
    (folder / name).write_bytes(content)
    return folder / name


PAGES: dict[str, Callable[[Path], Path]] = {
    "explain": explained,
    "score": scored,
    "evaluate": evaluated,
    "dials": written,
    "attack": attacked,
    "demo": demonstrated,
    "bench report": benched,
    "grid": at_work,
    "saved session": saved,
}
FILMS = ("explain", "score", "attack", "demo", "saved session")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp("page")) for name, make in PAGES.items()}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.parametrize("name", PAGES)
def test_nothing_comes_from_elsewhere_and_the_policy_says_so(made: dict[str, Path], name: str) -> None:
    reader = Reader(made[name].read_text("utf-8"))
    [policy] = [
        found["content"] for tag, found in reader.elements if found.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.split(maxsplit=1) for rule in (policy or "").split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert set(rules) <= {"default-src", "img-src", "style-src", "script-src", "base-uri", "form-action"}
    assert rules.get("img-src", "data:") == "data:"
    assert all(re.fullmatch(r"'sha256-[\w+/=]+'", rules[kind]) for kind in ("style-src", "script-src") if kind in rules)
    addresses = [found[kind] or "" for _, found in reader.elements for kind in ("src", "href") if kind in found]
    assert all(address.startswith(("data:", "#")) for address in addresses)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_begins_with_what_was_found_and_folds_its_settings_away(made: dict[str, Path], name: str) -> None:
    reader = Reader(made[name].read_text("utf-8"))
    tags = [(tag, found.get("class")) for tag, found in reader.elements]
    start = tags.index(("h1", None))
    assert tags[start + 1] == ("p", "found")
    told = next(text for tag, text in reader.texts[[tag for tag, _ in reader.texts].index("h1") :] if tag == "p")
    assert len(told) > 20 and told.rstrip().endswith(".")
    if name != "grid":
        assert "How to repeat this" in reader.text("h2") or name == "demo"


@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_use_the_page(tab: Browser, made: dict[str, Path], name: str) -> None:
    tab.problems.clear()
    tab.open(made[name])
    assert tab.problems == []
    assert_accessible(tab)


@pytest.mark.parametrize("name", PAGES)
def test_a_table_that_scrolls_says_so(tab: Browser, made: dict[str, Path], name: str) -> None:
    tab.open(made[name], width=390)
    told = tab.value(
        "[...document.querySelectorAll('.scroll')].map(box => [box.scrollWidth > box.clientWidth + 1,"
        " box.previousElementSibling.matches('.sideways') && box.previousElementSibling.offsetHeight > 0])"
    )
    assert all(said for scrolls, said in told if scrolls)
    if name != "grid":  # which measures nothing, for nothing runs in it
        assert all(scrolls for scrolls, said in told if said)


@pytest.mark.parametrize("name", FILMS)
def test_a_film_has_one_slider_and_curves_that_move_it(tab: Browser, made: dict[str, Path], name: str) -> None:
    tab.open(made[name])
    assert tab.value("document.querySelectorAll('.film input[type=range]').length") == 1
    assert tab.value("document.querySelectorAll('.choices button, .enlarge').length") > 2
    tab.value("document.querySelector('.timeline').focus()")
    tab.press("ArrowRight")
    assert tab.value("document.querySelector('.film .count').textContent").startswith("2 of ")


def test_an_explanation_has_value_reward_and_actions_by_name(tab: Browser, made: dict[str, Path]) -> None:
    tab.open(made["explain"])
    titles = "[...document.querySelectorAll('.timeline .title')].map(one => one.textContent)"
    assert tab.value(titles) == ["value", "reward", "probabilities, train", "probabilities, video_hard"]
    heads = tab.value("[...document.querySelectorAll('.timeline .head')].map(one => one.textContent)")
    assert all(name in heads[2] for name in ACTIONS) and heads[2].count("%") == 3


def long_episode(folder: Path, frames: np.ndarray) -> Path:
    """Of frames ``[time, 3, height, width]`` an explanation in two modes by one method."""
    fake_explanations.write_folder(folder, methods=("a",), scores=False)
    random, count = np.random.default_rng(0), len(frames)
    for mode in ("train", "video_hard"):
        content = {
            "colours": np.array(3),
            "obs": frames,
            "map_a": frames[:, :1].astype(np.float32),
            "step": np.arange(count),
            "action": random.uniform(-1, 1, (count, 6)).astype(np.float32),
            "reward": random.random(count),
        }
        np.savez(folder / "maps" / f"{mode}.npz", **content)
    return write_report(folder)


def test_a_thousand_steps_of_two_modes_stay_small(tmp_path: Path) -> None:
    """At 84 pixels all steps of the longest usual episode; the curves and texts are of every step."""
    coarse = np.random.default_rng(0).integers(0, 256, (1000, 3, 7, 7), np.uint8)
    page = long_episode(tmp_path, coarse.repeat(12, 2).repeat(12, 3))
    text = page.read_text("utf-8")
    assert LARGEST / 100 < page.stat().st_size < LARGEST
    assert re.search(r"Pictures of \d+ of 1000 recorded moments, to keep the page small", text)
    assert text.count('max="999"') == 1


def test_pictures_that_are_hard_to_compress_are_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise, of which nothing can be left out."""
    most = 1_000_000
    monkeypatch.setattr("saccade.viewer.report.MOST_BYTES", most)
    noise = np.random.default_rng(0).integers(0, 256, (60, 3, 84, 84), np.uint8)
    text = long_episode(tmp_path, noise).read_text("utf-8")
    carried = sum(map(len, re.findall(r'href="(data:image/webp[^"]*)"', text)))
    assert most / 2 < carried <= most
    assert re.search(r"Pictures of \d+ of 60 recorded moments", text)
