"""Explaining and scoring, end to end: a run of Saccade, policies of Stable-Baselines3, a network of one's own."""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
import training_cases
from foreign_policies import CASES, PPO_FILE, trained
from PIL import Image
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.logger import Image as LoggedImage
from stable_baselines3.common.logger import KVWriter, Logger

import saccade
from saccade.cli import explaining, main
from saccade.explain import MethodSettings, Moments, ScoreSettings, explain, score
from saccade.explain.episodes import Episode
from saccade.explain.explanation import Explanation
from saccade.explain.maps import finder
from saccade.explain.measuring import CENTRE, RANDOM, UNIFORM, blurred
from saccade.explain.randomisation import used_layers
from saccade.explain.returns import kept_returns
from saccade.explain.tasks import find_task, task_of
from saccade.integrations.stable_baselines3 import ExplainCallback
from saccade.metrics import METRICS
from saccade.policies.policy import Policy
from saccade.saliency import METHODS
from saccade.types import UserError
from saccade.viewer.explanation import film_frames, grid_picture, write_figure
from saccade.viewer.recordings import read_explanation
from saccade.viewer.report import write_report

MOMENTS = Moments(frames=3, max_steps=12)
QUICK = MethodSettings(
    changes={
        "rise": {"masks": 8, "cells": 4},
        "integrated_gradients": {"steps": 3},
        "occlusion": {"window": 8, "stride": 8},
        **{name: {"stride": 8} for name in ("perturbation_actor", "perturbation_critic", "perturbation_kl", "sarfa")},
    }
)
QUICK_WORDS = ["--rise-masks", "8", "--perturbation-stride", "8", "--frames", "3", "--max-steps", "12"]
CONTINUOUS = [name for name in METHODS if name != "sarfa"]
OWN_ENV = """
import sys
import foreign_policies

def make_noise():
    return foreign_policies.NoiseEnv(foreign_policies.STACK, foreign_policies.ACTIONS)

def make_rgb():
    return foreign_policies.NoiseEnv(foreign_policies.RGB, foreign_policies.ACTIONS)

def not_an_env():
    return 3

def broken():
    return 1 / 0

class BreaksLater(foreign_policies.NoiseEnv):
    def step(self, action):
        raise KeyError("lost")

def breaks_later():
    return BreaksLater(foreign_policies.STACK, foreign_policies.ACTIONS)

def unit_range():
    import gymnasium, numpy
    space = gymnasium.spaces.Box(0, 1, foreign_policies.STACK.shape, numpy.float32)
    return foreign_policies.NoiseEnv(space, foreign_policies.ACTIONS)

def fewer_actions():
    import gymnasium
    return foreign_policies.NoiseEnv(foreign_policies.STACK, gymnasium.spaces.Discrete(1))
"""
DMC_OPTIONS = {"image_size": 36, "frame_stack": 1, "render_quality": "fast", "action_repeat": 40}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "sgqn"
    training_cases.train(folder, training_cases.config("sgqn", steps=16))
    return folder


@pytest.fixture(scope="module")
def ppo_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ppo") / "ppo.zip"
    trained(CASES["ppo_discrete"]).save(path)
    return path


@pytest.fixture(scope="module")
def sac_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a plain script trains it: Stable-Baselines3's SAC on one of our environments."""
    env = gymnasium.make("dmc/cartpole_balance", **DMC_OPTIONS)
    model = SAC("CnnPolicy", env, buffer_size=32, learning_starts=4, batch_size=4, seed=0, device="cpu",
                policy_kwargs={"net_arch": [16]})  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.learn(12)
    env.close()
    path = tmp_path_factory.mktemp("sac") / "sac.zip"
    model.save(path)
    return path


@pytest.fixture
def noise_task(tmp_path: Path) -> str:
    (tmp_path / "my_envs.py").write_text(OWN_ENV)
    return "my_envs.py:make_noise"


@pytest.fixture(scope="module")
def explanation(run: Path) -> Explanation:
    return explain(saccade.load(run), modes=("train", "video_hard"), moments=MOMENTS, settings=QUICK)


@pytest.fixture(scope="module")
def rows(explanation: Explanation) -> list[dict[str, Any]]:
    settings = ScoreSettings(sanity_frames=2, sanity_stages=2, return_steps=3, return_methods=("gradient",))
    return score(explanation, settings)


# --- what an explanation holds --------------------------------------------------------------------


def test_every_method_explains_a_run_and_what_cannot_is_told(explanation: Explanation) -> None:
    assert list(explanation.methods) == [*CONTINUOUS, "q_attribution", "predicted_mask"]
    assert explanation.left_out == {"sarfa": "sarfa explains the score sarfa, which sgqn does not have."}
    for mode in ("train", "video_hard"):
        for name, maps in explanation.maps[mode].items():
            assert maps.shape in ((3, 3, 16, 16), (3, 1, 16, 16)) and maps.dtype == np.float32, name
            assert np.isfinite(maps).all() and (maps != 0).any(), name


def test_the_moments_are_what_the_policy_saw_and_did(explanation: Explanation, run: Path) -> None:
    policy = saccade.load(run)
    episode = explanation.episodes["video_hard"]
    task = task_of(policy, None)
    env = task.make("video_hard", True)
    obs, info = env.reset(seed=0)
    total = 0.0
    for step in range(12):
        action = policy.act(obs)
        if step in episode.step:
            at = list(episode.step).index(step)
            np.testing.assert_array_equal(episode.obs[at], obs)
            np.testing.assert_array_equal(episode.task_mask[at], info["task_mask"])
            np.testing.assert_array_equal(episode.action[at], action)
        obs, reward, *_, info = env.step(action)
        total += reward
    env.close()
    assert episode.step.tolist() == [0, 6, 11] and episode.length == 12 and episode.total == pytest.approx(total)


def test_the_clean_counterparts_are_the_very_same_states(explanation: Explanation, run: Path) -> None:
    """A pole that the policy moved under video_hard stands just so without the video."""
    policy = saccade.load(run)
    episode = explanation.episodes["video_hard"]
    task = task_of(policy, None)
    distracted, clean = task.make("video_hard", False), task.make("train", True)
    obs, _ = distracted.reset(seed=0)
    seen, info = clean.reset(seed=0)
    for step in range(12):
        if step in episode.step:
            at = list(episode.step).index(step)
            np.testing.assert_array_equal(episode.clean_obs[at], seen)
            np.testing.assert_array_equal(episode.task_mask[at], info["task_mask"])
            assert (seen != obs).any()
        action = policy.act(obs)
        obs, *_ = distracted.step(action)
        seen, *_, info = clean.step(action)
    distracted.close()
    clean.close()
    assert explanation.episodes["train"].clean_obs is None and explanation.episodes["train"].changed_pixels is None
    difference = np.abs(episode.obs[:, -3:].astype(int) - episode.clean_obs[:, -3:]).max(1)
    assert 0.2 < episode.changed_pixels == (difference >= 4).mean()


def test_an_explanation_repeats(explanation: Explanation, run: Path) -> None:
    again = explain(
        saccade.load(run), modes=("video_hard",), methods=("smoothgrad", "rise"), moments=MOMENTS, settings=QUICK
    )
    for name in ("smoothgrad", "rise"):
        np.testing.assert_array_equal(again.maps["video_hard"][name], explanation.maps["video_hard"][name])
    other = dataclasses.replace(QUICK, seed=1)
    changed = explain(saccade.load(run), modes=("video_hard",), methods="rise", moments=MOMENTS, settings=other)
    assert (changed.maps["video_hard"]["rise"] != explanation.maps["video_hard"]["rise"]).any()


def test_max_batch_bounds_memory_and_changes_no_map(explanation: Explanation, run: Path) -> None:
    few = dataclasses.replace(QUICK, max_batch=2)
    methods = ("gradient", "integrated_gradients", "perturbation_kl", "rise")
    again = explain(saccade.load(run), modes=("train",), methods=methods, moments=MOMENTS, settings=few)
    for name in methods:
        expected = explanation.maps["train"][name]
        np.testing.assert_allclose(again.maps["train"][name], expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_pictures_are_what_the_agent_makes_of_the_newest_frame(explanation: Explanation) -> None:
    for mode in ("train", "video_hard"):
        pictures, newest = explanation.pictures[mode], explanation.episodes[mode].obs[:, -3:]
        assert list(pictures) == ["predicted_mask", "masked"]
        for picture in pictures.values():
            assert picture.shape == (3, 3, 16, 16) and picture.dtype == np.uint8
        mask = explanation.maps[mode]["predicted_mask"][:, -1]
        for colour in range(3):
            assert np.abs(pictures["predicted_mask"][:, colour] - 255 * mask).max() <= 0.51
        kept = (pictures["masked"] != 0).any(1)
        np.testing.assert_array_equal(pictures["masked"], np.where(kept[:, None], newest, 0))
        # The most salient twentieth, or more where many pixels are equally salient.
        assert (kept.mean((1, 2)) >= 0.04).all() and kept.mean() < 1


def test_pictures_depend_neither_on_the_methods_nor_on_the_batch(explanation: Explanation, run: Path) -> None:
    one = dataclasses.replace(QUICK, max_batch=1)
    again = explain(saccade.load(run), modes=("video_hard",), methods="gradient", moments=MOMENTS, settings=one)
    for name, expected in explanation.pictures["video_hard"].items():
        moved = again.pictures["video_hard"][name].astype(int) - expected
        assert np.abs(moved).max() <= 1, name


def test_pictures_of_an_agent_that_crops_are_drawn(run: Path, tmp_path: Path) -> None:
    policy = saccade.load(run)
    centre = {"centre": lambda obs: obs[:, :, 3:13, 4:10]}
    cropping = dataclasses.replace(policy, maps={}, pictures=centre)
    found = explain(cropping, modes=("train",), methods="gradient", moments=MOMENTS)
    drawn = found.pictures["train"]["centre"]
    np.testing.assert_array_equal(drawn, found.episodes["train"].obs[:, -3:, 3:13, 4:10])
    folder = found.save(tmp_path / "cropped")
    assert write_report(folder).exists() and write_figure(folder) == folder / "figure.png"
    assert grid_picture(folder, "train").any() and next(film_frames(folder, "train")).any()


def test_a_picture_with_nan_is_refused(run: Path) -> None:
    policy = saccade.load(run)
    nowhere = {"own_mask": lambda obs, action: torch.full((len(obs), 3, 16, 16), float("nan"))}
    for broken in (
        dataclasses.replace(policy, maps=nowhere),
        dataclasses.replace(policy, pictures={"own_mask": lambda obs: nowhere["own_mask"](obs, None)}),
    ):
        with pytest.raises(UserError, match=r"own_mask.* NaN or infinity: are .*weights finite"):
            explain(broken, methods="gradient", moments=Moments(frames=1, max_steps=1))


def test_every_so_many_steps(run: Path) -> None:
    moments = Moments(frames=2, every=5, max_steps=25)
    found = explain(saccade.load(run), methods="gradient", moments=moments)
    assert found.episodes["train"].step.tolist() == [0, 5]


def test_what_is_saved_is_what_was_found(explanation: Explanation, tmp_path: Path) -> None:
    explanation.save(tmp_path / "out", command="saccade explain x")
    with np.load(tmp_path / "out" / "maps" / "video_hard.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["map_gradient"], explanation.maps["video_hard"]["gradient"])
        np.testing.assert_array_equal(arrays["clean_obs"], explanation.episodes["video_hard"].clean_obs)
        np.testing.assert_array_equal(arrays["picture_masked"], explanation.pictures["video_hard"]["masked"])
    told = read_explanation(tmp_path / "out")
    assert told.pictures == ("predicted_mask", "masked")
    assert told.command == "saccade explain x" and told.task == "dmc/cartpole_balance" and told.score == "q"
    assert json.loads((tmp_path / "out" / "explanation.json").read_text())["versions"]["train"]["mode"] == "train"


# --- rows -----------------------------------------------------------------------------------------


def test_rows_answer_every_question_that_can_be_asked(rows: list[dict[str, Any]], explanation: Explanation) -> None:
    asked = {(row["question"], row["metric"]) for row in rows}
    expected = {(entry.question, name) for name, entry in METRICS.items() if entry.question != "people"}
    expected |= {("cost", "milliseconds_per_frame"), ("cost", "milliseconds_alone"), ("faithfulness", "kept_return")}
    assert asked == expected
    methods = {row["method"] for row in rows if row["metric"] == "mass_inside"}
    assert methods == {*explanation.methods, UNIFORM, CENTRE, RANDOM}
    json.dumps(rows, allow_nan=False)


def test_what_modes_change_is_kept_when_other_modes_are_explained(run: Path, tmp_path: Path) -> None:
    def one(mode: str) -> Explanation:
        return explain(saccade.load(run), modes=(mode,), methods="gradient", moments=MOMENTS, settings=QUICK)

    shares = {}
    for mode in ("video_hard", "train", "color_hard"):
        found = one(mode)
        shares[mode] = found.episodes[mode].changed_pixels
        told = json.loads((found.save(tmp_path / "out") / "explanation.json").read_text())
        assert told["changed_pixels"] == shares and told["modes"] == list(shares)
        settings = ScoreSettings(sanity_frames=0)
        assert {row["changed_pixels"] for row in score(found, settings)} == {shares[mode]}
    assert shares["train"] is None and min(shares["video_hard"], shares["color_hard"]) > 0.2


def test_rows_say_how_many_frames_were_asked_for_and_how_many_there_were(run: Path) -> None:
    short = Moments(frames=8, max_steps=3)
    found = explain(saccade.load(run), modes=("train",), methods="gradient", moments=short, settings=QUICK)
    told = {
        row["metric"]: (row["frames"], row["count"] + row["undefined"])
        for row in score(found, ScoreSettings(sanity_frames=2, sanity_stages=1))
    }
    assert told["mass_inside"] == told["deletion"] == told["centre_correlation"] == (8, 3)
    assert told["randomisation"] == (2, 2) and told["milliseconds_alone"] == (1, 1)


def test_rows_lie_in_their_metrics_ranges(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        entry = METRICS.get(row["metric"])
        if entry is None or row["mean"] is None:
            continue
        assert row["direction"] == entry.direction
        assert entry.lowest is None or row["mean"] >= entry.lowest - 1e-9, row
        assert entry.highest is None or row["mean"] <= entry.highest + 1e-9, row
        assert row["count"] + row["undefined"] in (2, 3), row


def test_an_undefined_score_is_counted_and_not_made_up(rows: list[dict[str, Any]]) -> None:
    """A uniform map points nowhere."""
    uniform = next(row for row in rows if row["method"] == UNIFORM and row["metric"] == "area_under_roc")
    assert uniform["mean"] is None and uniform["count"] == 0 and uniform["undefined"] == 3


def test_an_undefined_point_of_a_curve_is_a_gap(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["metric"] in ("deletion", "insertion"):
            y = row["curve"]["y"]
            assert len(y) == len(row["curve"]["x"])
            assert all(value is None for value in y) if row["count"] == 0 else y[0] is not None


def test_without_distractions_nothing_drifts(rows: list[dict[str, Any]]) -> None:
    drifts = [row for row in rows if row["question"] == "stability"]
    assert {row["mode"] for row in drifts} == {"video_hard"}
    assert all(row["mean"] > 0 for row in drifts if row["metric"] == "map_drift" and row["count"])


def test_the_whole_picture_kept_is_the_policys_own_return(explanation: Explanation, rows: list[dict[str, Any]]) -> None:
    policy, task = explanation.policy, explanation.task
    whole = explain(policy, task, methods="gradient", moments=Moments(frames=1, max_steps=3))
    curve = next(r for r in rows if r["metric"] == "kept_return" and r["mode"] == "train" and r["method"] == "gradient")
    assert curve["curve"]["x"][-1] == 1.0
    assert curve["curve"]["y"][-1] == pytest.approx(whole.episodes["train"].total, rel=1e-5)


def test_kept_pixels_are_all_that_the_policy_sees(explanation: Explanation) -> None:
    """With nothing kept and a black filling, it acts as on black pictures."""
    policy, task = explanation.policy, explanation.task
    find = finder(policy, "gradient", QUICK)
    result = kept_returns(policy, task, "train", find, torch.zeros_like, fractions=(0.0,), seed=0, steps=4)
    env = task.make("train", False)
    obs, _ = env.reset(seed=0)
    expected = sum(env.step(policy.act(np.zeros_like(obs)))[1] for _ in range(4))
    env.close()
    assert result.returns == pytest.approx((expected,), rel=1e-5) and result.steps == 4


def test_weights_are_randomised_in_the_order_of_their_use(run: Path) -> None:
    policy = saccade.load(run)
    obs = policy.tensor(np.random.default_rng(0).integers(0, 256, (1, 9, 16, 16), np.uint8))
    layers = used_layers(policy, "q", obs)
    assert [name.split(".")[2] for name in layers] == ["convolutions"] * 2 + ["projection"] * 2 + ["q1"] * 3
    assert all(
        "actor_critic.actor" in name or "convolutions" in name for name in used_layers(policy, "action_mean", obs)
    )


def test_the_filling_tells_no_shapes(run: Path) -> None:
    obs = torch.zeros(1, 3, 40, 40)
    obs[..., 18:22, 18:22] = 255.0
    filled = blurred(obs)
    assert filled.mean() == pytest.approx(float(obs.mean()), rel=0.05) and filled.max() < 20


# --- other people's policies -----------------------------------------------------------------------


def test_one_command_explains_and_scores_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(run), "--modes", "video_hard", *QUICK_WORDS, "--sanity-stages", "2"]) == 0
    out = run / "explain"
    assert {path.name for path in out.iterdir()} == {
        "explanation.json", "figure.png", "grids", "maps", "report.html", "scores.jsonl", "videos",
    }  # fmt: skip
    assert (out / "grids" / "video_hard.png").stat().st_size > 1000
    assert (out / "videos" / "video_hard.mp4").stat().st_size > 1000
    printed = capsys.readouterr().out
    assert "3 RGB frames of 16x16 pixels, 0..255" in printed and "predicted_mask" in printed
    assert "left out sarfa" in printed


def test_one_command_explains_and_scores_a_policy_of_stable_baselines3(
    sac_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--task",
        "dmc/cartpole_balance",
        "--modes",
        "color_hard",
        "--render-quality",
        "fast",
        "--action-repeat",
        "40",
    ]
    assert main(["score", str(sac_zip), *words, *QUICK_WORDS, "--sanity-frames", "1", "--sanity-stages", "2"]) == 0
    out = tmp_path / "explanations" / "sac"
    told = read_explanation(out)
    assert set(told.methods) == set(CONTINUOUS) and told.score == "q"
    assert any(row.metric == "mass_inside" and row.count for row in told.scores)
    assert "1 RGB frame of 36x36 pixels" in capsys.readouterr().out


def test_one_command_draws_a_figure_of_all_modes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", str(run), *QUICK_WORDS, "--methods", "gradient", "--out", "drawn"]
    assert main([*words, "--modes", "train"]) == 0
    one = np.asarray(Image.open("drawn/figure.png"))
    assert main([*words, "--modes", "video_hard"]) == 0  # joins the other one
    assert np.asarray(Image.open("drawn/figure.png")).shape[0] > 1.8 * one.shape[0]
    printed = capsys.readouterr().out
    assert printed.count("drawn/figure.png.") == 2
    assert Path("drawn/grids/video_hard.png").exists()


def test_a_discrete_policy_on_an_environment_of_ones_own(ppo_zip: Path, noise_task: str, tmp_path: Path) -> None:
    words = ["explain", str(ppo_zip), "--task", noise_task, *QUICK_WORDS, "--channels", "grey", "--out", "here"]
    assert main(words) == 0
    assert not (tmp_path / "here" / "figure.png").exists()  # it makes no pictures of what it sees
    told = read_explanation(tmp_path / "here")
    assert set(told.methods) == set(METHODS) and told.score == "logit"
    with np.load(tmp_path / "here" / "maps" / "train.npz") as arrays:
        assert arrays["map_sarfa"].shape == (3, 1, 36, 36) and arrays["map_gradient"].shape == (3, 4, 36, 36)


def test_a_cleanrl_checkpoint(noise_task: str, tmp_path: Path) -> None:
    (tmp_path / "ppo.py").write_text(PPO_FILE)
    policy = saccade.load(None, policy="ppo.py:Agent", checkpoint=_checkpoint(tmp_path), **_spaces(noise_task))
    assert isinstance(policy, Policy)
    words = ["--policy", "ppo.py:Agent", "--checkpoint", "agent.pt", "--task", noise_task, *QUICK_WORDS]
    assert main(["explain", *words, "--methods", "gradient", "sarfa", "perturbation_critic"]) == 0
    assert set(read_explanation(tmp_path / "explanations" / "agent").methods) == {
        "gradient",
        "sarfa",
        "perturbation_critic",
    }


def _spaces(task: str) -> dict[str, Any]:
    env = find_task(task).make("train", False)
    return {"observation_space": env.observation_space, "action_space": env.action_space}


def _checkpoint(folder: Path) -> Path:
    from types import SimpleNamespace

    from saccade.data.user_code import from_file

    case = CASES["ppo_discrete"]
    envs = SimpleNamespace(single_observation_space=case.observations, single_action_space=case.actions)
    torch.manual_seed(0)
    torch.save(from_file(f"{folder}/ppo.py:Agent")(envs).state_dict(), folder / "agent.pt")
    return folder / "agent.pt"


# --- the callback ----------------------------------------------------------------------------------


class Kept(KVWriter):
    """A sink of the logger that keeps the pictures."""

    def __init__(self) -> None:
        self.pictures: list[tuple[int, str, np.ndarray]] = []

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        for name, value in key_values.items():
            if isinstance(value, LoggedImage):
                self.pictures.append((step, name, np.asarray(value.image)))

    def close(self) -> None:
        pass


def test_a_callback_can_be_used_again() -> None:
    """Also with another model, whose pictures they then are."""
    callback, sink = ExplainCallback(8, ("gradient",), frames=1), Kept()
    for _ in range(2):
        model = _ppo()
        model.set_logger(Logger(None, [sink]))
        for _ in range(2):
            model.learn(16, log_interval=1, callback=callback)
        assert callback._policy is not None and callback._policy.network is model.policy
    assert len(sink.pictures) >= 6


def test_a_mistyped_method_is_told_before_training() -> None:
    model = _ppo()
    with pytest.raises(UserError, match="no saliency method 'gradcam'"):
        model.learn(8, callback=ExplainCallback(methods=("gradcam",)))
    assert model.num_timesteps == 0


def _ppo() -> PPO:
    case = CASES["ppo_discrete"]
    from foreign_policies import NoiseEnv

    return PPO("CnnPolicy", NoiseEnv(case.observations, case.actions), n_steps=8, batch_size=8, n_epochs=1, seed=1,
               device="cpu", policy_kwargs={"features_extractor_kwargs": {"features_dim": 16}})  # fmt: skip


def test_the_callback_logs_pictures_and_changes_nothing() -> None:
    quiet, sink = _ppo(), Kept()  # makes its random state anew, as the other one does
    quiet.set_logger(Logger(None, []))
    quiet.learn(24, log_interval=1)
    watched = _ppo()
    watched.set_logger(Logger(None, [sink]))
    methods = ("gradient", "guided_backpropagation", "perturbation_actor", "smoothgrad")
    watched.learn(24, log_interval=1, callback=ExplainCallback(8, methods, frames=1, settings=QUICK))
    assert {name for _, name, _ in sink.pictures} == {f"explain/{name}" for name in methods}
    first, last = sink.pictures[0][2], sink.pictures[-len(methods)][2]
    assert first.dtype == np.uint8 and first.ndim == 3 and min(first.shape[:2]) >= 160 and first.std() > 0
    assert (first != last).any()
    for name, value in quiet.policy.state_dict().items():
        assert torch.equal(value, watched.policy.state_dict()[name]), name


@pytest.mark.parametrize("options", [{"every": 0}, {"frames": 0}])
def test_the_callback_refuses_numbers_that_make_no_sense(options: dict[str, int]) -> None:
    with pytest.raises(UserError, match="at least 1"):
        ExplainCallback(**options)


# --- what people get wrong -------------------------------------------------------------------------


@pytest.fixture
def wrong(run: Path, ppo_zip: Path, noise_task: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "text.zip").write_text("not a zip")
    (tmp_path / "exits.py").write_text("import sys\nsys.exit('usage: foo')\n")
    return {"RUN": str(run), "ZIP": str(ppo_zip), "TASK": noise_task}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("explain", "Say which policy"),
        ("explain nowhere", "not a run folder"),
        ("explain text.zip --task TASK", "zip"),
        ("explain ZIP", "name the task with --task"),
        ("explain ZIP --task dmc/walker_wlk", "no task 'dmc/walker_wlk'.*dmc/walker_walk"),
        ("explain ZIP --task dmc/walker_walk", "RGB"),
        ("explain ZIP --task my_envs.py:make_rgb", "make the environment as in training"),
        ("explain ZIP --task my_envs.py:nothing", "has no 'nothing'"),
        ("explain ZIP --task my_envs.py:not_an_env", "gymnasium.Env"),
        ("explain ZIP --task other.py:make", "no file 'other.py'"),
        ("explain ZIP --task TASK --modes video_hard", "no mode 'video_hard'"),
        ("explain ZIP --task TASK --methods gradcam", "no saliency method 'gradcam'"),
        ("explain ZIP --task TASK --methods", "No method was named"),
        ("explain ZIP --task TASK --score nonsense", "no score 'nonsense'"),
        ("explain ZIP --task TASK --score action_mean --methods gradient", "has no score 'action_mean'"),
        ("explain ZIP --task TASK --score q", "has no score 'q'"),
        ("explain RUN --score action_mean:7", "no action dimension 7"),
        ("explain ZIP --task TASK --perturbation-radius 0", "--perturbation-radius 0 is no valid size"),
        ("explain ZIP --task TASK --score kl --methods gradient", "distance"),
        ("explain ZIP --task TASK --frames 0", "--frames 0 is too small"),
        ("explain ZIP --task TASK --every 0", "--every 0 is too small"),
        ("explain ZIP --task TASK --max-batch 0", "--max-batch 0 is too small"),
        ("explain ZIP --task TASK --seed -1", "--seed -1 is negative"),
        ("explain ZIP --task TASK --rise-masks 0", "--rise-masks 0 is too small"),
        ("explain ZIP --task TASK --perturbation-stride 0", "--perturbation-stride 0 is too small"),
        ("explain ZIP --task TASK --occlusion-window 50 --methods occlusion", "window 50 is larger"),
        ("explain RUN --modes video_medium", "no mode 'video_medium'"),
        ("explain RUN --methods sarfa", "sarfa"),
        ("explain RUN --task dmc/cartpole_balance@train --modes train", "names a mode, and so does"),
        ("explain RUN --out text.zip", "cannot be written"),
        ("score RUN --return-steps -1 --methods gradient --frames 1", "--return-steps -1 is too small"),
        ("score RUN --return-steps 1 --return-methods rise --methods gradient --frames 1", "has no 'rise'"),
        ("explain --policy my_envs.py:not_an_env --checkpoint x.pt", "needs --task"),
        ("explain ZIP --task my_envs.py:broken", "ZeroDivisionError"),
        ("explain ZIP --task my_envs.py:breaks_later", "A step of my_envs.py:breaks_later failed: KeyError: 'lost'"),
        ("explain ZIP --task my_envs.py:unit_range", "in 0..1 and the policy acts on uint8 in 0..255"),
        ("explain ZIP --task my_envs.py:fewer_actions", "takes one of 1 actions"),
        (
            "explain ZIP --task TASK --image-size 64 --data nowhere",
            "--data, --image-size belong to Saccade's own tasks",
        ),
        ("explain ZIP --task TASK --device meta", "--device meta is not supported"),
        ("explain ZIP --task TASK --perturbation-radius inf", "--perturbation-radius inf is no valid size"),
        ("explain exits.zip --policy exits.py:Net --task TASK", "exits.py failed: SystemExit: usage: foo"),
        ("score RUN --sanity-stages 0", "--sanity-stages 0 is too small"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    words: str, sentence: str, wrong: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import re

    for name, value in wrong.items():
        words = re.sub(rf"\b{name}\b", value, words)
    before = {path for path in tmp_path.rglob("*") if path.suffix in (".json", ".npz", ".html", ".jsonl", ".mp4")}
    assert main(words.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("saccade: ") and error.count("\n") == 1 and re.search(sentence, error), error
    written = {path for path in tmp_path.rglob("*") if path.suffix in (".json", ".npz", ".html", ".jsonl", ".mp4")}
    if words.startswith("explain"):
        assert written == before


def test_what_another_explanation_left_does_not_stay(run: Path, ppo_zip: Path, noise_task: str, tmp_path: Path) -> None:
    """Scores of one policy must never stand on the page of another one's maps."""
    quick = [*QUICK_WORDS, "--methods", "gradient", "--out", "same"]
    assert main(["score", str(run), "--modes", "video_hard", *quick, "--sanity-stages", "1"]) == 0
    assert main(["explain", str(run), "--modes", "train", *quick]) == 0
    both = read_explanation(tmp_path / "same")
    assert both.modes == ("video_hard", "train") == both.modes_with_maps
    assert {row.mode for row in both.scores} == {"video_hard"}  # the same explanation in another mode: it stays
    assert main(["explain", str(ppo_zip), "--task", noise_task, *quick, "--replace"]) == 0
    other = read_explanation(tmp_path / "same")
    assert other.policy["name"] == "PPO" and other.modes == ("train",) and other.scores == ()
    assert {path.name for path in (tmp_path / "same").rglob("*.*") if path.is_file()} == {
        "explanation.json", "report.html", "train.npz", "train.png", "train.mp4",
    }  # fmt: skip


def test_other_weights_of_the_same_name_are_another_explanation(run: Path) -> None:
    policy = saccade.load(run)
    found = explain(policy, methods="gradient", moments=Moments(frames=1, max_steps=1))
    before = found.identity
    with torch.no_grad():
        policy.network.actor_critic.critic.q1[-1].bias.add_(1.0)
    assert found.identity != before


@pytest.mark.parametrize("name", ["weird [/bold] name", "weird[red]name"])
def test_a_path_that_looks_like_markup_is_printed_as_it_is(
    name: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(run), *QUICK_WORDS, "--methods", "gradient", "--out", name]) == 0
    assert f"Open {name}/report.html" in capsys.readouterr().out


def test_the_mode_in_a_tasks_name_is_told_where_it_belongs(run: Path) -> None:
    with pytest.raises(UserError, match=r"give the task 'dmc/cartpole_balance' and modes=\('video_hard',\)"):
        explain(saccade.load(run), "dmc/cartpole_balance@video_hard")


def test_the_peak_of_a_density_explains_nothing(run: Path) -> None:
    with pytest.raises(UserError, match="at its peak"):
        explain(saccade.load(run), methods="gradient", settings=MethodSettings(score="log_probability"))


def test_hidden_pixels_are_compared_with_the_largest_change(rows: list[dict[str, Any]]) -> None:
    tops = [max(row["curve"]["y"]) for row in rows if row["metric"] in ("deletion", "insertion") and row["count"]]
    assert max(tops) <= 1 + 1e-9 and max(tops) > 0.5


def test_an_episode_with_a_nan_weight_is_refused(run: Path) -> None:
    policy = saccade.load(run)
    with torch.no_grad():
        policy.network.actor_critic.critic.q1[-1].bias.fill_(float("nan"))
    with pytest.raises(UserError, match=r"weights 'actor_critic.critic.q1.4.bias' hold NaN"):
        explain(policy, methods="perturbation_critic", moments=Moments(frames=1, max_steps=2))


def test_an_episode_is_a_plain_record(explanation: Explanation) -> None:
    assert isinstance(explanation.episodes["train"], Episode)
    assert explanation.settings["environment"]["task"] == "dmc/cartpole_balance"


# --- whose folder it is ---------------------------------------------------------------------------


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_files_of_one_name_have_a_folder_each(
    ppo_zip: Path, noise_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As people name the best model of every run; and a file that was trained further replaces its own."""
    monkeypatch.chdir(tmp_path)
    for run_folder in ("run1", "run2"):
        (tmp_path / run_folder).mkdir()
        shutil.copy(ppo_zip, tmp_path / run_folder / "best_model.zip")
    words = ["--task", noise_task, "--methods", "gradient", "--frames", "1", "--max-steps", "2"]
    assert main(["explain", "run1/best_model.zip", *words]) == 0
    first = everything(tmp_path / "explanations" / "best_model")
    assert first
    assert main(["explain", "run2/best_model.zip", *words]) == 0
    assert everything(tmp_path / "explanations" / "best_model") == first
    assert {path.name for path in (tmp_path / "explanations").iterdir()} == {"best_model", "best_model-2"}
    assert main(["explain", "run2/best_model.zip", *words, "--seed", "3"]) == 0
    assert main(["explain", str(tmp_path / "run1" / "best_model.zip"), *words]) == 0  # another way to the same file
    assert {path.name for path in (tmp_path / "explanations").iterdir()} == {"best_model", "best_model-2"}


def test_what_another_policy_left_goes_only_when_asked(
    ppo_zip: Path, noise_task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ppo_zip, "other.zip")
    words = ["--task", noise_task, "--methods", "gradient", "--frames", "1", "--max-steps", "2", "--out", "out"]
    assert main(["explain", str(ppo_zip), *words]) == 0
    before = everything(Path("out"))
    assert main(["explain", "other.zip", *words]) == 2
    assert "--replace" in capsys.readouterr().err and everything(Path("out")) == before
    assert main(["explain", "other.zip", *words, "--replace"]) == 0
    assert read_explanation("out").policy["source"] == "other.zip"


def test_a_persons_own_videos_are_not_deleted(explanation: Explanation, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "holiday.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match="holds files of its own"):
        explanation.save(tmp_path)
    assert (tmp_path / "videos" / "holiday.mp4").exists()


@pytest.mark.parametrize("name", ["..zip", "...zip", ".zip", "a.b.zip"])
def test_a_default_folder_lies_below_explanations(name: str) -> None:
    folder = explaining._folder(explaining.Subject(what=Path(name)))
    assert folder.parent == Path("explanations") and folder.name not in ("", ".", "..")
