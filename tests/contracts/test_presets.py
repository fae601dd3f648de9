"""Presets are what was published: `saccade train METHOD TASK` with no further flag is the paper's run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from saccade.agents import METHODS
from saccade.agents.presets import SIZES, Preset, preset
from saccade.agents.published_settings import PUBLISHED, SMG_RERUN, SMG_TABLE, Setting
from saccade.agents.small_settings import SMALL_VALUES
from saccade.cli import list_command, main, train_command
from saccade.cli.train_options import Environment
from saccade.envs.config import EnvConfig
from saccade.envs.suites import SUITES, TASKS, suite_of
from saccade.runs.training import OffPolicy, Teaching, Training
from saccade.testing.cases import MethodCase
from saccade.types import Continuous, Discrete, UserError

GRID = "minigrid/red_fetch_green"
OPTIONS = {
    field.name
    for kind in (Training, OffPolicy, Teaching, Environment, *(suite.options for suite in SUITES.values()))
    for field in dataclasses.fields(kind)
}
"""Of training, of a replay, of teachers and of environments."""


def values_of(config: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        yield field.name, value
        if dataclasses.is_dataclass(value):
            yield from values_of(value)


@pytest.mark.parametrize(
    ("method", "task", "expected"),
    [
        ("smg", "dmc/cheetah_run", {"mask_ratio": 0.06, "batch_size": 64, "projection": 256, "steps": 500_000}),
        ("smg", "dmc/cartpole_swingup", {"mask_ratio": 0.04, "steps": 500_000, "action_repeat": 8}),
        ("smg", "dmc/finger_spin", {"mask_ratio": 0.04, "steps": 500_000, "action_repeat": 2}),
        ("smg", "dmc/walker_stand", {"mask_ratio": 0.06, "steps": 250_000, "action_repeat": 4}),
        ("smg", "manipulation/reach", {"mask_ratio": 0.12, "steps": 250_000, "action_repeat": 1, "frame_stack": 3}),
        ("sgqn", "dmc/walker_walk", {"quantile": 0.95, "batch_size": 128, "projection": 100, "steps": 500_000}),
        ("sgqn", "dmc/ball_in_cup_catch", {"quantile": 0.98, "consistency_weight": 0.5}),
        ("sgqn", "manipulation/peg_in_box", {"consistency_weight": 1.0, "frame_stack": 1, "steps": 250_000}),
        ("svea", "manipulation/reach", {"steps": 250_000, "batch_size": 128, "frame_stack": 3}),
        ("madi", "dmc/walker_walk", {"batch_size": 128, "augmentation": "overlay", "steps": 500_000}),
        ("simgrl", "dmc/walker_walk", {"batch_size": 128, "augmentation": "shifted_overlay", "steps": 500_000}),
    ],
)
def test_training_without_flags_is_the_papers_run(method: str, task: str, expected: dict[str, Any]) -> None:
    config, _ = train_command.parse([method, task])
    env = config.env
    run = {**dict(values_of(config.agent)), "steps": config.training.steps}
    run |= {"action_repeat": env.control_steps_per_action, "frame_stack": env.frame_stack}
    assert {name: run[name] for name in expected} == expected


@pytest.mark.parametrize("method", ["sac", "svea", "sgqn", "srm"])
def test_the_rerun_has_smgs_batches_and_embeddings(method: str) -> None:
    config, _ = train_command.parse([method, "dmc/walker_stand", "--preset", "smg_rerun"])
    values = dict(values_of(config.agent))
    assert (values["batch_size"], values["projection"], config.training.steps) == (64, 256, 250_000)


def test_the_rerun_of_smg_is_smg() -> None:
    for task in ("dmc/walker_walk", "manipulation/reach"):
        assert preset("smg", task, "smg_rerun") == preset("smg", task)


def test_a_flag_overrules_a_preset() -> None:
    config, _ = train_command.parse(["smg", "manipulation/reach", "--steps", "7", "--mask-ratio", "0.2"])
    assert (config.training.steps, config.agent.mask_ratio) == (7, 0.2)


def settings() -> Iterator[tuple[str, Setting]]:
    for method, published in PUBLISHED.items():
        for setting in published:
            yield method, setting


@pytest.mark.parametrize(("method", "setting"), list(settings()))
def test_published_names_and_tasks_exist(method: str, setting: Setting) -> None:
    assert set(setting.values) <= OPTIONS | set(dict(values_of(METHODS[method].config)))
    assert all(any(task.startswith(start) for task in TASKS) for start in setting.tasks)


def test_fls_on_atari_is_its_authors_run() -> None:
    """OpenAI's Baselines with its settings for Atari, for 200 million frames of which an agent step has four."""
    values = dict(values_of(METHODS["fls"].config))
    for setting in PUBLISHED["fls"]:
        values |= setting.values if "atari/Breakout".startswith(setting.tasks) else {}
    published = {
        "attention": "sparse", "attention_filters": 256, "network": "nature", "filters": (32, 64, 64), "hidden": 512,
        "shared_trunk": True, "envs": 8, "rollout_steps": 128, "epochs": 4, "minibatches": 4, "frame_stack": 4,
        "steps": 50_000_000, "discount": 0.99, "gae_lambda": 0.95, "truncation": "end", "clip_range": 0.1,
        "clip_schedule": "constant", "value_clip": 0.1, "value_weight": 0.5, "entropy_weight": 0.01,
        "learning_rate": 2.5e-4, "learning_rate_schedule": "linear", "adam": "tensorflow", "adam_epsilon": 1e-5,
        "max_gradient_norm": 0.5, "advantage_normalization": "minibatch", "evaluation_sampled": True,
    }  # fmt: skip
    assert {name: values[name] for name in published} == published


def test_every_general_value_is_of_some_method() -> None:
    known = OPTIONS.union(*(dict(values_of(method.config)) for method in METHODS.values()))
    assert set(SMALL_VALUES) <= known
    assert set().union(*SMG_RERUN.values()) <= known
    assert set(SMG_TABLE) <= set(METHODS)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("task", ["dmc/walker_walk", "dmc/cartpole_swingup", "manipulation/reach"])
def test_an_ablation_stays_one_in_every_preset(task: str, size: str) -> None:
    assert preset("sac_self_supervision", task, size).agent.consistency_weight == 0
    assert preset("sac_self_supervision", task, size).agent.self_supervision
    assert preset("sac_consistency", task, size).agent.consistency_weight > 0
    assert not preset("sac_consistency", task, size).agent.self_supervision


def test_the_rerun_of_sgqn_on_the_robot_is_not_its_authors() -> None:
    start = preset("sgqn", "manipulation/reach", "smg_rerun")
    assert (start.agent.consistency_weight, start.agent.strong.augmentation) == (0.5, "overlay")
    assert start.training["steps"] == 250_000 and "frame_stack" not in start.environment


@pytest.mark.parametrize(
    "method",
    [
        name
        for name, row in METHODS.items()
        if row.loop == "off_policy" and Continuous in row.actions and not row.taught
    ],
)
def test_small_is_small_for_every_method_with_a_replay(method: str) -> None:
    config = preset(method, "dmc/walker_walk", "small").agent
    values = dict(values_of(config))
    assert values["conv_layers"] == 3 and values["batch_size"] == 24 and METHODS[method].rendered_size(config) <= 48


@pytest.mark.parametrize(
    ("method", "task", "times"),
    [
        (name, task, times)
        for name, row in METHODS.items()
        for task, times, kind in (("dmc/walker_walk", 10, Continuous), (GRID, 3, Discrete))
        if row.loop == "on_policy" and kind in row.actions
    ],
)
def test_small_is_small_for_every_method_with_rollouts(method: str, task: str, times: int) -> None:
    """On a grid, whose pictures are as small as its cells allow, the networks alone can be smaller."""
    small, paper = (preset(method, task, size) for size in ("small", "paper"))
    assert times * multiplications(method, small, task) <= multiplications(method, paper, task)
    assert small.training["steps"] < paper.training.get("steps", Training().steps)
    values = dict(values_of(small.agent))
    rollout = small.training["envs"] * values["rollout_steps"]
    assert rollout % values["minibatches"] == 0 and small.training["steps"] % rollout == 0


def multiplications(method: str, start: Preset, task: str) -> int:
    """Of one observation's way through all networks that decide and judge."""
    size = METHODS[method].rendered_size(start.agent)
    spaces = suite_of(task).spaces(EnvConfig.parse(task, image_size=size, **start.environment))
    agent = METHODS[method].make(
        start.agent, spaces, torch.device("cpu"), MethodCase(METHODS[method], start.agent, spaces).given
    )
    with FlopCounterMode(display=False) as counted:
        agent.networks(torch.zeros(1, *spaces.obs_shape))
    return counted.get_total_flops() // 2


@pytest.mark.parametrize("method", ["dqn", "sg_dqn"])
def test_small_is_small_for_methods_with_a_replay_that_choose(method: str) -> None:
    small, paper = (preset(method, GRID, size) for size in ("small", "paper"))
    assert 3 * multiplications(method, small, GRID) <= multiplications(method, paper, GRID)
    assert small.training["steps"] * 5 < paper.training["steps"]
    config, _ = train_command.parse([method, GRID, "--preset", "small", "--update-every", "2"])
    assert config.loop == OffPolicy(random_steps=2_000, replay_capacity=128_000, update_every=2)
    door = preset(method, "minigrid/DoorKey-5x5", "small")
    assert door.loop["replay_capacity"] == 50_000
    own, doors = (getattr(one.agent, "dqn", one.agent) for one in (small, door))
    assert (own.discount, own.n_steps, doors.discount, doors.n_steps) == (0.9, 1, 0.99, 3)


def test_dqns_published_numbers() -> None:
    """Mnih et al. (2015) for Atari, with the loop's numbers and Adam's of Hessel et al. (2018)."""
    config, _ = train_command.parse(["dqn", "atari/Breakout"])
    values = dict(values_of(config.agent))
    assert config.loop is not None and config.training.steps == 50_000_000 and config.env.frame_stack == 4
    assert (config.loop.random_steps, config.loop.replay_capacity, config.loop.update_every) == (20_000, 1_000_000, 4)
    published = {
        "batch_size": 32, "discount": 0.99, "learning_rate": 6.25e-5, "adam_epsilon": 1.5e-4, "target_every": 10_000,
        "epsilon_end": 0.1, "filters": (32, 64, 64), "hidden": 512, "network": "nature", "image_size": 84,
    }  # fmt: skip
    assert {name: values[name] for name in published} == published
    assert values["epsilon_share"] * config.training.steps == 1_000_000


@pytest.mark.parametrize("task", ["dmc/walker_walk", "manipulation/reach"])
def test_a_small_run_is_short_and_cheap_unless_something_else_is_said(task: str) -> None:
    config, _ = train_command.parse(["sgqn", task, "--preset", "small"])
    assert (config.training.steps, config.env.options.render_quality) == (20_000, "fast")
    assert config.training.evaluate_every == 5_000 and config.training.evaluation_episodes == 5
    config, _ = train_command.parse(["sgqn", task, "--preset", "small", "--steps", "1e5", "--render-quality", "full"])
    assert (config.training.steps, config.env.options.render_quality) == (100_000, "full")
    paper, _ = train_command.parse(["sgqn", "dmc/walker_walk"])
    assert (paper.training.steps, paper.env.options.render_quality) == (500_000, "full")


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UserError, match="paper, smg_rerun or small"):
        train_command.parse(["smg", "dmc/walker_walk", "--preset", "tiny"])


def test_list_tells_values_and_sources(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert list_command.run(["--preset", "smg", "--task", "dmc/cartpole_swingup"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.startswith("--")}
    assert "0.04" in lines["--mask-ratio"] and "SMG" in lines["--mask-ratio"]
    assert "8" in lines["--action-repeat"] and "500000" in lines["--steps"]
    assert "SMG's code" in lines["--projection"] and "SMG's code" in lines["--batch-size"]
    assert "DMControl-GB" in lines["--discount"] and "SimGRL" in lines["--overlay-velocity"]


@pytest.mark.parametrize(
    ("method", "task", "option", "source"),
    [
        ("sgqn", "manipulation/reach", "--quantile", "not published"),
        ("sgqn", "manipulation/reach", "--consistency-weight", "SGQN's code for the robot"),
        ("madi", "manipulation/reach", "--steps", "not published"),
        ("svea", "manipulation/reach", "--steps", "SMG paper"),
        ("svea", "dmc/humanoid_walk", "--action-repeat", "not published"),
        ("svea", "dmc/cheetah_run", "--action-repeat", "SMG paper"),
        ("digr", "dmc/walker_walk", "--batch-size", "not published"),
        ("digr", "dmc/walker_walk", "--frame-stack", "not published"),
        ("digr", "minigrid/red_fetch_green", "--frame-stack", "DIGR paper"),
        ("distillation", "minigrid/red_fetch_green", "--hidden", "DIGR's first author"),
        ("digr", "minigrid/red_fetch_green", "--saliency-states", "DIGR paper, table 3"),
        ("digr", "atari/Breakout", "--saliency-stride", "not published"),
    ],
)
def test_sources_are_those_who_published(
    method: str,
    task: str,
    option: str,
    source: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    list_command.run(["--preset", method, "--task", task])
    assert [source in line for line in capsys.readouterr().out.splitlines() if line.startswith(option)] == [True]


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.taught])
def test_students_have_nothing_of_the_benchmark(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    list_command.run(["--preset", method])
    assert "DMControl-GB" not in capsys.readouterr().out


def test_the_last_of_two_presets_counts() -> None:
    config, _ = train_command.parse(["sac", "dmc/walker_walk", "--preset", "small", "--preset=smg_rerun"])
    assert config.agent.batch_size == 64


@pytest.mark.parametrize("content", [None, b"no picture"], ids=["empty", "damaged"])
def test_table_tops_are_looked_at_before_training(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    textures = tmp_path / "textures"
    textures.mkdir()
    (tmp_path / "video_easy").mkdir()
    if content:
        (textures / "test2.png").write_bytes(content)
    words = ["train", "sac", "manipulation/reach", "--preset", "small", "--steps", "10", "--data", str(tmp_path)]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert "texture" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_run_with_fewer_pictures_than_a_batch_is_refused(tmp_path: Path) -> None:
    words = ["train", "svea", "dmc/cartpole_balance", "--preset", "small", "--augmentation", "overlay"]
    words += [
        "--image-count",
        "23",
        "--steps",
        "10",
        "--workers",
        "0",
        "--device",
        "cpu",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(words) == 2
    assert not (tmp_path / "run").exists()
