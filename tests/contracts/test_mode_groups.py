"""A name that stands for several modes: wherever modes are listed, and nowhere else."""

from __future__ import annotations

from itertools import combinations

import pytest

from saccade.bench.results import Result, means_of_groups, newest_results
from saccade.cli import main
from saccade.cli.train_command import parse
from saccade.envs.config import EnvConfig
from saccade.envs.shifts import SHIFTS
from saccade.envs.suites import ALL_MODES, MODE_GROUPS, SUITES, expanded, modes_of, usual_modes
from saccade.explain.modes import read_modes
from saccade.explain.tasks import find_task
from saccade.types import UserError

GEOMETRIC = (
    "gb2_rotate_easy", "gb2_rotate_hard", "gb2_shift_easy", "gb2_shift_hard", "gb2_rotate_shift_easy",
    "gb2_rotate_shift_hard",
)  # fmt: skip


def test_a_group_is_its_modes_each_once_in_order() -> None:
    assert expanded(("gb2_geometric",)) == GEOMETRIC
    assert expanded(("gb2_shift_hard", "train", "gb2_geometric")) == (
        "gb2_shift_hard",
        "train",
        *GEOMETRIC[:3],
        *GEOMETRIC[4:],
    )
    assert expanded(("train", "video_hard")) == ("train", "video_hard")
    assert expanded(("gb2",))[:6] == GEOMETRIC and len(expanded(("gb2",))) == 12


@pytest.mark.parametrize("name", SUITES)
def test_groups_hold_modes_of_their_suite_and_have_names_of_their_own(name: str) -> None:
    suite = SUITES[name]
    for group in suite.mode_groups:
        modes = expanded((group,))
        known = {*suite.modes, *suite.graded(suite.tasks[0])} - {"train"}
        assert len(modes) > 1 and set(modes) <= known
        assert group not in ALL_MODES and group not in SHIFTS
    for one, other in combinations(SUITES.values(), 2):
        assert not set(one.mode_groups) & set(other.mode_groups)
    ungrouped = set(suite.modes) - set(expanded([*suite.mode_groups]))
    assert ungrouped == ({"train"} if suite.mode_groups else set(suite.modes))


def test_the_distracting_control_suite_is_played_at_all_intensities_by_its_name() -> None:
    modes = expanded(("train", "distracting_cs"))
    assert modes[:2] == ("train", "distracting_cs:0.025") and len(modes) == 9
    assert read_modes(("distracting_cs",), tuple(modes_of("dmc/walker_walk"))).names == modes[1:]
    for mode in modes:
        assert EnvConfig.parse("dmc/walker_walk", mode=mode).mode == mode
    with pytest.raises(UserError, match="needs an intensity"):
        EnvConfig.parse("dmc/walker_walk", mode="distracting_cs")


def test_where_nobody_says_the_benchmark_is_played_that_papers_report() -> None:
    assert usual_modes("dmc/walker_walk") == ("train", "color_easy", "color_hard", "video_easy", "video_hard")
    assert find_task("dmc/walker_walk").usual_modes == usual_modes("dmc/walker_walk")
    assert usual_modes("manipulation/reach") == tuple(modes_of("manipulation/reach"))


def test_where_modes_are_listed_a_group_stands_for_them() -> None:
    known = tuple(modes_of("dmc/walker_walk"))
    assert read_modes(("train", "gb2_geometric", "noise:0.1"), known).names == ("train", *GEOMETRIC, "noise:0.1")
    # A function of a person's own may have that name.
    assert read_modes(("train", "gb2=my.py:make")).names == ("train", "gb2")
    config, _ = parse(["sac", "dmc/walker_walk", "--evaluation-modes", "train", "gb2_geometric"])
    assert config.training.evaluation_modes == ("train", *GEOMETRIC)


def results(task: str, *returns: dict[str, float]) -> list[Result]:
    provenance = {"render_quality": "fast"}
    return newest_results(
        {
            "method": "sac", "task": task, "seed": seed, "env_steps": 1, "mode": mode, "return_mean": mean,
            "provenance": provenance,
        }
        for seed, of_run in enumerate(returns)
        for mode, mean in of_run.items()
    )  # fmt: skip


def test_the_mean_of_a_group_that_is_whole() -> None:
    # 0 + 10 + ... + 50 over six is 25; with six more of 85 it is (150 + 510) / 12 = 55.
    half = {mode: 10.0 * number for number, mode in enumerate(GEOMETRIC)}
    whole = {"train": 900.0, **half, **dict.fromkeys(expanded(("gb2_photometric",)), 85.0)}
    told = "Mean return over the modes of a group"
    assert means_of_groups(results("dmc/walker_walk", whole)) == [
        f"{told}: gb2 55, gb2_geometric 25, gb2_photometric 85"
    ]
    lacking = {mode: value for mode, value in half.items() if mode != "gb2_shift_easy"}
    assert means_of_groups(results("dmc/walker_walk", half, lacking)) == [
        f"{told}, sac dmc/walker_walk: gb2_geometric 25"
    ]
    usual = dict.fromkeys(usual_modes("dmc/walker_walk"), 5.0)
    assert means_of_groups(results("dmc/walker_walk", usual)) == means_of_groups(results("my.py:make", half)) == []


def test_one_environment_has_one_mode() -> None:
    with pytest.raises(UserError, match=r"'gb2_geometric' stands for several modes: name one of gb2_rotate_easy, "):
        EnvConfig.parse("dmc/walker_walk@gb2_geometric")


def test_a_group_of_another_suite_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "zoo:sac-reach", "--modes", "gb2"]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "manipulation/reach has no mode 'gb2_" in err and "the choices are train, test1, test2" in err


def test_a_name_that_is_nearly_one_is_answered_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "sac", "dmc/walker_walk", "--evaluation-modes", "gb2_geometic"]) == 2
    assert "gb2_geometric" in capsys.readouterr().err
    assert main(["train", "sac", "dmc/walker_walk@gb2_rotate_esy"]) == 2
    assert "gb2_rotate_easy" in capsys.readouterr().err


def test_the_list_shows_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert "  dmc: train\n" in out and "dmcgb = color_easy color_hard video_easy video_hard" in out
    for name in MODE_GROUPS:
        assert f"    {name} = " in out
