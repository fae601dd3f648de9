"""``saccade evaluate`` of any policy in any task: rows, table, page, sentence; and what is refused before it plays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from any_evaluations import ENVIRONMENT, put_policy, refusal, rows_of
from browser import Browser, browser
from foreign_policies import pictures

import saccade
from saccade.bench.verdicts import sentence
from saccade.cli import main
from saccade.explain import Moments, evaluate, explain
from saccade.explain.modes import task_of_makers
from saccade.types import UserError
from saccade.viewer.evaluation import Evaluated, write_evaluation

pytestmark = pytest.mark.usefixtures("elsewhere")

QUICK = ["--device", "cpu"]


@pytest.fixture
def policy(ppo_zip: Path, elsewhere: None) -> Path:
    return put_policy(ppo_zip)


MODES = ["noise:0.50", "train", "dim=envs.py:Dim", "dim+blur:0.5", "brightness:0.3+shadow:1"]


def test_a_zip_in_somebodys_environment(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "ppo.zip", "--task", "envs.py:Waves", "--modes", *MODES, "--episodes", "3", *QUICK, "--video"]
    assert main(words) == 0
    out = capsys.readouterr().out
    rows = rows_of("evaluations/ppo")
    names = ["train", "noise:0.5", "dim", "dim+blur:0.5", "brightness:0.3+shadow:1"]
    assert [row["mode"] for row in rows] == names  # what the others are compared with comes first
    clean = rows[0]["return_mean"]
    for row in rows:
        assert row["method"] == "PPO" and row["task"] == "envs.py:Waves" and row["source"] == "ppo.zip"
        assert len(row["returns"]) == 3 and row["return_mean"] == np.mean(row["returns"])
        assert row["gap"] == clean - row["return_mean"] and 0 <= row["success_rate"] <= 1
        assert "4 grey frames of 36x36" in row["provenance"]["observations"]
        assert (row["changed_pixels"] is None) == (row["mode"] == "train")
    shares = {row["mode"]: row["changed_pixels"] for row in rows[1:]}
    assert min(shares.values()) > 0.3
    assert rows[3]["provenance"]["shifts"] == "dim+blur:0.5"
    assert sentence(rows) in out and "3 episodes are too few to tell" in out
    page = (Path("evaluations/ppo/evaluation.html")).read_text()
    assert sentence(rows) in page and page.count("<img") == 1 + len(names)
    assert f"saccade {' '.join(words)}" in page
    assert {path.stem.partition("_")[2] for path in Path("evaluations/ppo/videos").iterdir()} == {
        f"{rows[0]['env_steps']:09d}_{name}" for name in names
    }
    assert main([word for word in words if word != "--video"]) == 0
    again = rows_of("evaluations/ppo")
    assert again[:5] == rows and again[5:] == rows  # added, and the same


def test_python_gives_the_same(policy: Path) -> None:
    words = ["evaluate", "ppo.zip", "--task", "envs.py:Waves", "--modes", *MODES, "--episodes", "2", "--seed", "4"]
    assert main([*words, *QUICK]) == 0
    loaded = saccade.load("ppo.zip", device="cpu")
    found = {one.mode: one for one in evaluate(loaded, "envs.py:Waves", modes=MODES, episodes=2, seed=4)}
    for row in rows_of("evaluations/ppo"):
        one = found[row["mode"]]
        assert (list(one.returns), one.success_rate) == (row["returns"], row["success_rate"])
        assert one.changed_pixels == row["changed_pixels"]
        assert one.first is not None and one.first.shape == (36, 36, 3)
    kinds = {}
    exec(ENVIRONMENT, kinds)
    functions = {"train": kinds["Waves"], "dim": lambda: kinds["Dim"]}  # a function may give one
    assert task_of_makers(functions).modes == ("train", "dim")
    by_function = evaluate(loaded, {"train": kinds["Waves"], "dim": kinds["Dim"]}, episodes=2, seed=4)
    assert [one.mode for one in by_function] == ["train", "dim"]
    assert [one.returns for one in by_function] == [found["train"].returns, found["dim"].returns]
    with pytest.raises(UserError, match="needs one of them under 'train'; there are dim"):
        evaluate(loaded, {"dim": kinds["Dim"]})


def test_drawn_actions_repeat_and_are_the_same_in_every_mode(policy: Path) -> None:
    loaded = saccade.load("ppo.zip", device="cpu")
    modes = ("train", "noise:0")
    first, second = evaluate(loaded, "envs.py:Waves", modes=modes, episodes=3, sampled=True)
    assert first.returns == second.returns and second.changed_pixels == 0
    likely = evaluate(loaded, "envs.py:Waves", modes=("train",), episodes=3)
    other = evaluate(loaded, "envs.py:Waves", modes=("train",), episodes=3, sampled=True, seed=1)
    assert first.returns != other[0].returns or likely[0].returns != first.returns


REFUSED = {
    "train brigthness:0.5": "There is no shift 'brigthness': did you mean brightness",
    "train noise:2": "needs a strength from 0",
    "train night": "envs.py:Waves has no mode 'night': it has train, and shifts such as brightness:0.5",
    "train a/b=envs.py:Dim": "is no mode: write a name of letters",
    "train blur=envs.py:Dim": "takes the name 'blur', which another mode or a shift has",
    "dim=envs.py:Dim dim=envs.py:Generous": "takes the name 'dim'",
    "train dim=nothing.py:Dim": "There is no file 'nothing.py'",
    "train dim=envs.py:Darker": "envs.py has no 'Darker'",
    "train dim=envs.py:Numbers": "envs.py:Waves in dim gives observations of shape (4,)",
    "train hue:0.5": "hue rotates colours, but what envs.py:Waves shows is grey",
    "train video:1": 'envs.py:Waves tells no info["task_mask"]',
    "train blur:1 --video-where black": "no mode has one: leave it out",
    "train video:1 --video-where pink": "--video-where pink is no colour",
    "train --episodes 0": "--episodes 0 is too small",
    "train --max-steps 0": "--max-steps 0 is too small",
    "train --seed -1": "--seed -1 is negative",
    "train --channels rgb": "--channels rgb names 3 channels for each frame",
    "train noise:0.1 --channels grey,depth,walls,doors --task envs.py:Numbers": "observations of shape (4,)",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_wrong_is_said_before_anything_is_played(
    words: str, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = [] if "--task" in words else ["--task", "envs.py:Waves"]
    assert REFUSED[words] in refusal(capsys, "evaluate", "ppo.zip", *task, "--modes", *words.split(), *QUICK)
    assert not Path("evaluations").exists()
    # What a picture cannot have is seen on one, and a few steps show what its channels are.
    assert Path("played").exists() == ("hue" in words or words == "train video:1")
    assert not ("brigthness" in words or "noise:2" in words) or not Path("made").exists()


def test_what_belongs_to_others_is_refused_of_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--channels", "rgb"], ["--out", "here"], ["--max-steps", "5"], ["--video-where", "black"]):
        assert f"{words[0]} is for other policies than Saccade's runs" in refusal(
            capsys, "evaluate", "zoo:sac-reach", *words
        )
    assert "does not say what it was trained on" not in refusal(capsys, "evaluate", "nothere")


def test_what_is_done_is_kept_at_ctrl_c(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "ppo.zip", "--task", "envs.py:Interrupted", "--modes", "noise:0.1", "train", "--episodes", "2"]
    assert main([*words, *QUICK]) == 130
    assert "interrupted; the rows of 1 of 2 modes are in evaluations/ppo/evaluations.jsonl." in capsys.readouterr().err
    assert [row["mode"] for row in rows_of("evaluations/ppo")] == ["train"]


def test_rows_of_another_policy_stay(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--task", "envs.py:Waves", "--modes", "train", "--episodes", "1", *QUICK]
    assert main(["evaluate", "ppo.zip", *words]) == 0
    Path("other").mkdir()
    Path("other/ppo.zip").write_bytes(policy.read_bytes())
    first = (Path("evaluations/ppo/evaluations.jsonl")).read_bytes()
    assert main(["evaluate", "other/ppo.zip", *words]) == 0
    assert len(rows_of("evaluations/ppo-2")) == 1 and Path("evaluations/ppo/evaluations.jsonl").read_bytes() == first
    assert main(["evaluate", "other/ppo.zip", *words]) == 0
    assert len(rows_of("evaluations/ppo-2")) == 2  # its own are gone on with
    told = refusal(capsys, "evaluate", "other/ppo.zip", *words, "--out", "evaluations/ppo")
    assert "holds rows of another policy" in told
    Path("mine").mkdir()
    Path("mine/evaluation.html").write_text("a person's")
    assert "holds rows of another policy" in refusal(capsys, "evaluate", "ppo.zip", *words, "--out", "mine")
    assert Path("mine/evaluation.html").read_text() == "a person's"


def test_two_policies_stand_in_one_table(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("second.zip").write_bytes(policy.read_bytes())
    words = ["--task", "envs.py:Waves", "--modes", "train", "darkness:1", "--episodes", "1", *QUICK]
    assert main(["evaluate", "ppo.zip", "second.zip", *words]) == 0
    out = capsys.readouterr().out
    assert "evaluations/ppo: " in out and "evaluations/second: " in out
    assert rows_of("evaluations/ppo")[0]["returns"] == rows_of("evaluations/second")[0]["returns"]
    assert "--out is one policy's folder" in refusal(capsys, "evaluate", "ppo.zip", "second.zip", *words, "--out", "x")


def test_an_endless_episode_is_left_and_said(policy: Path) -> None:
    loaded = saccade.load("ppo.zip", device="cpu")
    with pytest.warns(UserWarning, match="2 of 2 episodes in train had not ended after 5 agent steps and were left"):
        (found,) = evaluate(loaded, "envs.py:Endless", modes=("train",), episodes=2, max_steps=5)
    assert max(found.returns) <= 5


# ----------------------------------------------------------------------------------------- Saccade's own tasks

RUN, GRID = "zoo:ppo-red-fetch-green", "minigrid/red_fetch_green"
FEW = ["--episodes", "1", "--workers", "0", "--device", "cpu"]


def test_a_run_under_shifts_has_rows_as_ever_and_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", RUN, "--modes", "train", *FEW]) == 0
    folder = Path("runs/zoo/ppo-red-fetch-green")
    assert not (folder / "evaluation.html").exists()
    assert main(["evaluate", RUN, "--modes", "train", "palette+noise:0.2", *FEW]) == 0
    rows = rows_of(folder)
    assert [row["mode"] for row in rows[1:]] == ["train", "palette+noise:0.2"]
    assert rows[1] == rows[0] and rows[2]["changed_pixels"] > 0.9
    assert rows[2]["provenance"]["shifts"] == "noise:0.2" and "table_top" not in rows[2]["provenance"]
    assert (
        sentence(rows[1:]) in capsys.readouterr().out and sentence(rows[1:]) in (folder / "evaluation.html").read_text()
    )


def test_one_of_our_tasks_played_as_anybodys_brings_the_same() -> None:
    modes = ["--modes", "train", "brightness:0.1"]
    assert main(["evaluate", RUN, *modes, "--seed", "3", *FEW]) == 0
    assert main(["evaluate", RUN, "--task", GRID, *modes, "--seed", "3", *FEW]) == 0
    ours, theirs = rows_of("runs/zoo/ppo-red-fetch-green"), rows_of("evaluations/zoo-ppo-red-fetch-green")
    for name in ("mode", "returns", "success_rate", "changed_pixels", "gap", "provenance"):
        assert [row[name] for row in ours] == [row[name] for row in theirs]
    alone = evaluate(saccade.load(RUN, device="cpu"), GRID, modes=("train", "brightness:0.1"), episodes=1, seed=3)
    assert [list(one.returns) for one in alone] == [row["returns"] for row in ours]
    assert [one.changed_pixels for one in alone] == [row["changed_pixels"] for row in ours]


# ----------------------------------------------------------------------------------------------------- explain


def test_moments_under_a_shift_have_their_clean_states(policy: Path, tmp_path: Path) -> None:
    loaded = saccade.load("ppo.zip", device="cpu")
    modes = ("train", "darkness:0.50", "dim=envs.py:Dim")
    found = explain(loaded, "envs.py:Waves", modes=modes, methods="gradient", moments=Moments(frames=4))
    assert list(found.episodes) == ["train", "darkness:0.5", "dim"]
    dark = found.episodes["darkness:0.5"]
    assert dark.clean_obs is not None and dark.changed_pixels is not None and dark.changed_pixels > 0.8
    np.testing.assert_array_equal(dark.obs, np.rint(dark.clean_obs * np.float32(0.6)))
    dim = found.episodes["dim"]
    assert dim.clean_obs is not None and (dim.obs <= 0.3 * dim.clean_obs + 1).all()
    told = [episode.provenance.get("shifts") for episode in found.episodes.values()]
    assert told == [None, "darkness:0.5", None]
    with pytest.warns(UserWarning, match="bring other rewards in other than in train"):
        other = explain(loaded, "envs.py:Waves", modes=("other=envs.py:Generous",), methods="gradient")
    assert other.episodes["other"].clean_obs is None and other.episodes["other"].changed_pixels is None


def test_explain_takes_the_same_modes(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["ppo.zip", "--task", "envs.py:Waves", "--methods", "gradient", "--frames", "2", *QUICK]
    assert main(["explain", *words, "--modes", "train", "noise:0.3"]) == 0
    folder = Path("explanations/ppo")
    assert {path.stem for path in (folder / "maps").iterdir()} == {"train", "noise:0.3"}
    page = (folder / "report.html").read_text()
    begin = page.index('<p class="found">')
    assert page[begin:].startswith('<p class="found">In one episode of each mode this policy gets a return of')
    assert "under noise 0.3" in page[begin : begin + 300] and "one episode is too few to tell" in page
    capsys.readouterr()
    assert "needs a strength" in refusal(capsys, "explain", *words, "--modes", "noise:5")
    assert "leave --video-where out" in refusal(
        capsys, "explain", "ppo.zip", "--obs", str(saved()), "--video-where", "black", *QUICK
    )


def saved() -> Path:
    from foreign_policies import STACK

    np.save("frames.npy", pictures(STACK))
    return Path("frames.npy")


# -------------------------------------------------------------------------------------------------------- page


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def evaluated(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    modes = ("train", "brightness:0.3+noise:0.1", "hue:1", "a_name_that_is_quite_long_for_a_mode")
    rows = []
    for place, mode in enumerate(modes):
        returns = random.normal(20 - 5 * place, 1, 10)
        rows.append(
            {
                "mode": mode,
                "returns": returns.tolist(),
                "return_mean": returns.mean(),
                "return_std": returns.std(),
                "gap": 5.0 * place,
                "changed_pixels": (None, 0.5, 0.001, 0.9)[place],
                "success_rate": 0.5,
            }
        )
    firsts = {mode: random.integers(0, 256, (36, 36, 3), np.uint8) for mode in modes}
    facts = (("policy", "<b>mine</b>"),)
    return write_evaluation(tmp_path, Evaluated("<b>mine</b>", "it", rows, facts, firsts, "saccade evaluate it"))


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_stands_alone_and_fits_a_phone(tab: Browser, tmp_path: Path, dark: bool) -> None:
    page = evaluated(tmp_path)
    text = page.read_text()
    assert "<b>mine" not in text and not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "hue 1 next to nothing of the picture changes" in text and "tests no distraction" in text
    tab.open(page, width=390, dark=dark)
    assert tab.value("document.documentElement.scrollWidth") == 390 and tab.problems == []
    assert tab.value("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    first = tab.value("document.querySelector('h1').nextElementSibling.textContent")
    assert first.startswith("In a_name_that_is_quite_long_for_a_mode this policy gets ")
    light = tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light != dark
