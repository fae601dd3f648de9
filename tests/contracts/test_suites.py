"""Every row of the table of suites keeps its promises, and runs from before there was one can still be read."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

import pytest
from fake_carla import fake_carla

from saccade.cli import main
from saccade.cli.help import options_of
from saccade.cli.options import Evaluate, Subject
from saccade.cli.train_options import train_options
from saccade.envs import config as env_config
from saccade.envs import suites
from saccade.envs.config import EnvConfig
from saccade.envs.forked import ForkedEnv
from saccade.envs.suites import SUITES, TASKS, Suite, name_of_suite, option_names, processes_wanted, suite_of
from saccade.envs.tasks import dmc_suite
from saccade.runs.config import from_json, to_json
from saccade.runs.migrations import MIGRATIONS
from saccade.types import Continuous, Discrete, Spaces, UserError

OLD = Path(__file__).parent / "references" / "configurations"


@pytest.fixture(params=SUITES)
def row(request: pytest.FixtureRequest) -> Suite:
    return SUITES[request.param]


def test_tasks_modes_and_numbers_of_every_suite(row: Suite) -> None:
    assert next(iter(row.modes)) == "train" and row.modes["train"] == ()
    assert bool(row.evaluated_in) != row.one_at_a_time and set(row.evaluated_in) <= set(row.modes)
    assert sum(map(len, row.listed.values())) == len(row.tasks) == len(set(row.tasks))
    for task in row.tasks:
        assert suite_of(task) is row and task in TASKS
        assert 1 <= row.action_repeat(task) <= row.episode_control_steps(EnvConfig(task))
        assert row.action_repeat_source(task) != ""
        config = EnvConfig(task, frame_stack=2)
        assert config.options == row.options()
        spaces = row.spaces(config)
        assert spaces.obs_shape[0] == 2 * spaces.colours and isinstance(spaces.actions, Continuous | Discrete)


def test_options_are_frozen_dataclasses_with_defaults_and_those_of_one_name_mean_the_same(row: Suite) -> None:
    assert row.options.__dataclass_params__.frozen
    assert not set(option_names(row)) & {field.name for field in dataclasses.fields(EnvConfig)}
    EnvConfig.parse(row.tasks[0], **row.fast)
    for other in SUITES.values():
        for name in set(option_names(row)) & set(option_names(other)):
            assert get_type_hints(row.options)[name] == get_type_hints(other.options)[name]
            assert getattr(row.options(), name) == getattr(other.options(), name)


def test_a_suite_brings_its_flags(row: Suite) -> None:
    told = [option.name for option in options_of(train_options("sac", row.tasks[0], "paper")())]
    others = {name for other in SUITES.values() for name in option_names(other)} - set(option_names(row))
    assert set(option_names(row)) <= set(told) and not others & set(told)
    for options in (Evaluate(()), Subject()):
        assert set(option_names(row)) <= {option.name for option in options_of(options)}


@pytest.mark.parametrize("task", TASKS)
def test_what_environments_show_and_take_is_known_before_one_is_made(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a task with physics of its own the actions alone: its pictures are compared by the tests of forks."""
    monkeypatch.setitem(sys.modules, "carla", fake_carla())
    row, config = suite_of(task), EnvConfig(task)
    configs = [config, *(config.changed(**{name: value}) for name, value in row.other_actions.items())]
    make_physics = row.simulation.keywords.get("task")  # type: ignore[attr-defined]
    if make_physics is None:
        for each in configs:
            made = row.simulation(each)
            shape = (each.frame_stack * made.colours, *made.size)
            assert row.spaces(each) == Spaces(shape, made.actions, made.colours)
            made.close()
        return
    from saccade.envs.mujoco.opengl import load_simulator

    load_simulator()
    physics_alone = make_physics(config)
    assert row.spaces(config).actions == Continuous(physics_alone.num_actions)
    physics_alone.physics.free()


@pytest.mark.parametrize("suite", [name for name, row in SUITES.items() if row.other_actions])
def test_other_actions_are_other_ones(suite: str) -> None:
    row, config = SUITES[suite], EnvConfig(SUITES[suite].tasks[0])
    for name, value in row.other_actions.items():
        kinds = {type(row.spaces(each).actions) for each in (config, config.changed(**{name: value}))}
        assert kinds == {Continuous, Discrete}


def test_the_robot_has_as_many_actions_as_it_is_let() -> None:
    config = EnvConfig.parse("manipulation/reach", action_space="xyz")
    assert suite_of(config.task).spaces(config) == Spaces((9, 84, 84), Continuous(3))
    assert ForkedEnv(suite_of(config.task).spaces(config), "").action_space.shape == (3,)


@dataclasses.dataclass(frozen=True)
class MazeOptions:
    tile_pixels: int = 8
    """Side of a cell."""


@pytest.fixture
def maze(monkeypatch: pytest.MonkeyPatch) -> str:
    """A suite whose tasks are drawn by nobody, so that they have no rendering to choose."""
    row = dataclasses.replace(
        SUITES["dmc"], tasks=("maze/small",), options=MazeOptions, fast={}, evaluated_in=("train",),
        action_repeat=lambda task: 1, action_repeat_source=lambda task: None,
        spaces=lambda config: Spaces((config.frame_stack * 3, 84, 84), Continuous(1)),
    )  # fmt: skip
    table = MappingProxyType({**SUITES, "maze": row})
    for module in (suites, env_config):
        monkeypatch.setattr(module, "SUITES", table)
        monkeypatch.setattr(module, "TASKS", (*TASKS, "maze/small"))
    return "maze/small"


def test_an_option_that_other_suites_have_is_refused_with_what_there_is(
    maze: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert EnvConfig.parse(maze, tile_pixels=4).options == MazeOptions(4)
    with pytest.raises(UserError) as caught:
        EnvConfig.parse(maze, render_quality="fast")
    expected = "is an option of dmc and manipulation, but maze/small is of maze, which has"
    assert str(caught.value) == f"render_quality {expected} tile_pixels"
    assert main(["train", "sac", maze, "--render-quality", "fast"]) == 2
    assert capsys.readouterr().err == f"saccade: --render-quality {expected} --tile-pixels.\n"
    assert name_of_suite(maze) == "maze" and EnvConfig(maze).option("data") is None


@pytest.mark.parametrize("method", ["sac", "sgqn"])
def test_presets_of_a_suite_that_no_paper_knows(method: str, maze: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", method, maze, "--preset", "small", "--help"]) == 0
    told = capsys.readouterr().out
    assert "--tile-pixels N" in told and "--render-quality" not in told and "(default: train)" in told


def of_old(suite: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((OLD / f"flat_{suite}.json").read_text())
    return found


def test_a_run_of_the_control_suite_from_before_suites_had_options() -> None:
    run = from_json(of_old("dmc"))
    options = dmc_suite.ControlOptions(render_quality="fast", camera="1", clip_order="sequential")
    assert run.env == EnvConfig("dmc/walker_walk", image_size=40, options=options)
    assert from_json(json.loads(json.dumps(to_json(run)))) == run


def test_a_run_of_the_robot_from_before_suites_had_options() -> None:
    run = from_json(of_old("manipulation"))
    shown = {"render_quality": "fast", "action_space": "xyz", "reach_bonus": False}
    assert run.env == EnvConfig.parse("manipulation/reach", image_size=40, **shown)
    assert from_json(json.loads(json.dumps(to_json(run)))) == run


@pytest.mark.parametrize("change", MIGRATIONS)
@pytest.mark.parametrize("suite", ["dmc", "manipulation"])
def test_what_is_of_today_is_not_changed(change: Callable[[Any], Any], suite: str) -> None:
    told = json.loads(json.dumps(to_json(from_json(of_old(suite)))))
    assert change(told) == told
    for nothing in ({}, {"env": None, "training": 3}, {"env": [], "training": []}):
        assert change(nothing) == nothing


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"action_space": "xyz"}, "differ in action_space"),
        ({"task": "dmc/walker_wlak"}, "there is no task 'dmc/walker_wlak'; the nearest: dmc/walker_walk"),
        ({"options": []}, "expected `object`, got `array`"),
        ({"render_quality": "fasst"}, "invalid enum value 'fasst' at render_quality"),
        ({"hue": 3}, "differ in hue"),
    ],
)
def test_a_configuration_that_was_written_by_hand(change: dict[str, Any], told: str) -> None:
    values = of_old("dmc")
    if "options" in change:
        values = json.loads(json.dumps(to_json(from_json(values))))
    values["env"] |= change
    with pytest.raises(UserError) as caught:
        from_json(values)
    assert told in str(caught.value)


def test_light_environments_have_no_processes_unless_some_are_asked_for() -> None:
    assert [processes_wanted("minigrid/DoorKey-5x5", asked) for asked in (None, 0, 2)] == [0, 0, 2]
    assert [processes_wanted("dmc/walker_walk", asked) for asked in (None, 0, 2)] == [None, 0, 2]
