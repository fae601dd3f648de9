"""``saccade evaluate --dial``: rows, page and sentence of a zip and of a run; and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from any_evaluations import ENVIRONMENT, put_policy, refusal, rows_of
from browser import Browser, browser

import saccade
from saccade.bench.dials import sentences
from saccade.cli import main
from saccade.explain import dial
from saccade.explain.dials import clean_episode, drift_in
from saccade.explain.modes import in_modes, read_modes
from saccade.explain.tasks import find_task
from saccade.policies.scores import make_score
from saccade.types import UserError
from saccade.viewer.dials import Dialled, write_dials
from saccade.viewer.pictures import png

pytestmark = pytest.mark.usefixtures("elsewhere")
WORDS = ["evaluate", "ppo.zip", "--task", "envs.py:Waves", "--device", "cpu"]
RUN = ["evaluate", "zoo:ppo-red-fetch-green", "--episodes", "1", "--workers", "0", "--device", "cpu"]


@pytest.fixture
def policy(ppo_zip: Path, elsewhere: None) -> Path:
    return put_policy(ppo_zip)


def test_a_zip_in_somebodys_environment(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dials = ["--dial", "darkness", "0", "1", "0.4", "--dial", "noise", "0.5"]
    assert main([*WORDS, *dials, "--episodes", "5"]) == 0
    rows = rows_of("evaluations/ppo")
    assert [row["mode"] for row in rows] == ["train", "darkness:0.4", "darkness:1", "noise:0.5"]
    assert [(row["dial"], row["strength"]) for row in rows] == [
        (None, 0.0), ("darkness", 0.4), ("darkness", 1.0), ("noise", 0.5),
    ]  # fmt: skip
    for row in rows[1:]:
        assert row["gap"] == rows[0]["return_mean"] - row["return_mean"] and len(row["returns"]) == 5
        assert row["policy_drift"]["unit"] == "KL, in nats" and row["policy_drift"]["mean"] > 0
        moved = row["map_drift"]
        assert 0 <= moved["low"] <= moved["high"] <= 1 and moved["mean"] > 0 and moved["method"] == "gradient"
        assert row["action_drift"]["count"] == 8  # an episode has so many steps
    out = capsys.readouterr().out
    page = Path("evaluations/ppo/dials.html").read_text()
    assert len(sentences(rows)) == 2
    for sentence in sentences(rows):
        assert sentence in out and sentence in page
    assert page.count("data:image/png") == 5  # the clean picture stands in both strips


def test_python_gives_the_same(policy: Path) -> None:
    assert main([*WORDS, "--dial", "noise", "0.5", "1", "--episodes", "2"]) == 0
    rows = rows_of("evaluations/ppo")
    found = dial(saccade.load("ppo.zip", device="cpu"), "envs.py:Waves", "noise", (0.5, 1), episodes=2)
    assert [one.strength for one in found] == [0.0, 0.5, 1.0]
    for one, row in zip(found, rows, strict=True):
        assert list(one.evaluation.returns) == row["returns"] and one.evaluation.mode == row["mode"]
        assert all(row[name] == numbers for name, numbers in one.drifts.items())
    assert set(found[1].drifts) == {"policy_drift", "action_drift", "map_drift"}


def test_strengths_that_were_played_are_not_played_again(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WORDS, "--episodes", "2", "--dial", "blur"]
    assert main([*words, "0", "1"]) == 0
    assert main([*words, "0", "1"]) == 0
    assert len(rows_of("evaluations/ppo")) == 2
    assert "2 of 2 strengths have been played before" in capsys.readouterr().out
    assert main([*words, "0.5", "1"]) == 0
    assert [row["mode"] for row in rows_of("evaluations/ppo")] == ["train", "blur:1", "blur:0.5"]
    assert main([*words, "1", "--seed", "3"]) == 0  # another setting
    assert main([*words, "1", "--again"]) == 0
    assert [row["mode"] for row in rows_of("evaluations/ppo")[3:]] == ["train", "blur:1"] * 2
    Path("envs.py").write_text(ENVIRONMENT.replace("light, ends, bonus = 1.0", "light, ends, bonus = 0.9"))
    assert main([*words, "1"]) == 0  # the environment has changed
    assert len(rows_of("evaluations/ppo")) == 9


def test_a_run_has_its_rows_and_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--dial", "brightness", "0", "1"]) == 0
    folder = Path("runs/zoo/ppo-red-fetch-green")
    rows = rows_of(folder)
    assert [row["mode"] for row in rows] == ["train", "brightness:1"] and (folder / "dials.html").exists()
    assert rows[0]["provenance"]["task"] == "minigrid/red_fetch_green"
    assert main(["evaluate", "zoo:ppo-red-fetch-green", "--modes", "brightness:1", "train", *RUN[2:]]) == 0
    plain = {row["mode"]: row for row in rows_of(folder)[2:]}
    for row in rows:  # a dial at a strength is that mode
        same = plain[row["mode"]]
        assert (row["returns"], row["changed_pixels"]) == (same["returns"], same["changed_pixels"])
        assert (row["method"], row["seed"], row["env_steps"]) == (same["method"], same["seed"], same["env_steps"])


def test_drifts_are_those_of_the_same_states(policy: Path) -> None:
    loaded = saccade.load("ppo.zip", device="cpu")
    modes = ("train", "darkness:0", "darkness:0.2", "darkness:0.6", "darkness:1")
    task = find_task("envs.py:Waves")
    task = in_modes(task, read_modes(modes, task.modes), loaded)
    clean = clean_episode(loaded, task, 3)
    found = [drift_in(clean, mode) for mode in modes[1:]]
    for name in ("policy_drift", "action_drift", "map_drift"):
        numbers = found[0][name]
        assert numbers is not None and numbers["mean"] == pytest.approx(
            0.0, abs=1e-15
        )  # strength 0 is the same picture
    means = [one["policy_drift"]["mean"] for one in found if one["policy_drift"] is not None]
    assert means == sorted(means) and len(set(means)) == 4
    dark = np.rint(clean.obs * np.float32(0.2)).astype(np.uint8)  # darkness 1 leaves a fifth
    score = make_score(clean.policy, "kl", clean.policy.tensor(clean.obs))
    with torch.no_grad():
        assert means[-1] == pytest.approx(score(clean.policy.tensor(dark)).double().mean().item(), abs=1e-7)


def test_another_episode_is_not_compared(policy: Path) -> None:
    loaded = saccade.load("ppo.zip", device="cpu")
    task = find_task("envs.py:Waves")
    task = in_modes(task, read_modes(("train", "other=envs.py:Generous"), task.modes), loaded)
    clean = clean_episode(loaded, task, 0)
    with pytest.warns(UserWarning, match="bring other rewards in other than in train"):
        assert set(drift_in(clean, "other").values()) == {None}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--dial", "blur", "2"], "a strength lies from 0"),
        (["--dial", "bluur"], "There is no dial 'bluur': did you mean blur"),
        (["--dial", "hue", "0.5"], "hue rotates colours"),
        (["--dial", "video", "0.5"], "--video-where"),
        (["--dial", "blur", "--modes", "train"], "leave --modes out"),
        (["--dial", "blur", "--task", "envs.py:Numbers"], "Numbers"),
        (["--dial", "blur", "--max-steps", "0"], "--max-steps 0 is too small"),
        (["--again"], "--again is for the strengths of --dial"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_played(
    policy: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    assert reason in refusal(capsys, *WORDS, *words)
    assert not Path("evaluations/ppo/evaluations.jsonl").exists()


def test_the_policy_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Name the policy before --dial" in refusal(capsys, "evaluate", "--dial", "blur", "0.5", "ppo.zip")
    assert "nothere" in refusal(capsys, "evaluate", "nothere", "--dial", "blur")


def test_what_a_grey_task_cannot_turn_is_said_first(capsys: pytest.CaptureFixture[str]) -> None:
    loaded = saccade.load("zoo:ppo-red-fetch-green", device="cpu")
    task = find_task("atari/Pong")
    with pytest.raises(UserError, match="hue rotates colours, but atari/Pong is grey"):
        in_modes(task, read_modes(("hue:0.5",), task.modes), loaded)


def test_a_dial_of_another_suite_is_refused(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, whose in ((RUN, "minigrid/red_fetch_green"), (WORDS, "envs.py:Waves")):
        told = refusal(capsys, *words, "--dial", "brightness", "--dial", "camera_yaw", "0.5")
        assert f"in tasks of dmc and manipulation, and not in {whose}: there are brightness, darkness" in told
    assert not Path("runs").exists() and not Path("evaluations/ppo/evaluations.jsonl").exists()


# -------------------------------------------------------------------------------------------------------- page


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def written(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    rows, pictures = [], {}
    for name, strength in ((None, 0.0), ("brightness", 0.5), ("brightness", 1.0), ("noise", 1.0)):
        returns = random.normal(20 * (1 - 0.8 * strength), 0.1, 6)
        drift = {"mean": strength, "low": strength / 2, "high": 2 * strength, "unit": "KL, in nats", "count": 4}
        rows.append(
            {
                "mode": f"{name}:{strength}",
                "dial": name,
                "strength": strength,
                "returns": returns.tolist(),
                "return_mean": returns.mean(),
                "return_std": returns.std(),
                "changed_pixels": strength,
                "policy_drift": drift if name else None,
                "map_drift": drift if name == "noise" else None,
            }
        )
        pictures[rows[-1]["mode"]] = png(random.integers(0, 256, (36, 36, 3), np.uint8))
    return write_dials(tmp_path, Dialled("<b>mine</b>", "it", rows, (("policy", "<b>mine</b>"),), pictures, "again"))


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_stands_alone_and_fits_a_phone(tab: Browser, tmp_path: Path, dark: bool) -> None:
    page = written(tmp_path)
    text = page.read_text()
    assert "<b>mine" not in text and not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert text.count("data:image/svg") == 3 and text.count("data:image/png") == 5
    tab.open(page, width=390, dark=dark)
    assert tab.value("document.documentElement.scrollWidth") == 390 and tab.problems == []
    assert tab.value("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    first = tab.value("document.querySelector('h1').nextElementSibling.textContent")
    assert first.startswith("Under brightness this policy does not keep nine tenths of its return even at 0.5")
    light = tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light != dark
