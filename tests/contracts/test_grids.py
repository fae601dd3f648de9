"""Grids as data: names that stay, cells that are told apart, and what is no grid."""

from __future__ import annotations

import dataclasses

import pytest

from saccade.agents import METHODS
from saccade.bench.catalogue import GRIDS, TABLES, published_of
from saccade.bench.cells import RUN, TEACHER, cells_of, words_of
from saccade.bench.checking import check_names, check_words
from saccade.bench.grids import Arm, Attacking, Evaluating, Form, Grid, in_form, part_of
from saccade.bench.papers.sgqn import FIVE
from saccade.bench.published import mean_of
from saccade.cli.bench_command import parse_step
from saccade.envs.suites import TASKS
from saccade.types import UserError

TABLES_ASKED_FOR = [
    *(f"sgqn-table-{number}" for number in (1, 2, 5, 6, 7, 8)),
    *(f"smg-table-{number}" for number in range(1, 10)),
    *(f"fls-table-{number}" for number in (2, 4, 5)),
    "digr-table-1",
    "digr-figure-8",
    "digr-figure-9",
]
every_table = pytest.mark.parametrize("name", TABLES)
every_grid = pytest.mark.parametrize("name", GRIDS)


def probe(**changes: object) -> Grid:
    arms = (Arm("a", "ppo", {"hidden": 64}), Arm("b", "ppo", {"hidden": 32}))
    return dataclasses.replace(Grid("probe", "two arms", arms, ("minigrid/Empty-5x5",), (3, 5)), **changes)


@pytest.mark.parametrize("name", TABLES_ASKED_FOR)
def test_every_table_of_the_papers_can_be_shown(name: str) -> None:
    table = TABLES[name]
    assert table.title
    assert table.rows or table.missing, "a table without numbers says that they were not read"


@every_table
def test_published_numbers_add_up_to_the_averages_that_are_printed(name: str) -> None:
    for average in TABLES[name].averages:
        assert mean_of(TABLES[name], average) == pytest.approx(average.value, abs=average.tolerance), average


def test_there_are_averages_to_add_up() -> None:
    assert sum(len(table.averages) for table in TABLES.values()) >= 9


@every_table
def test_a_published_number_stands_once_and_says_where_it_was_read(name: str) -> None:
    rows = TABLES[name].rows
    keys = [(row.arm, row.task, row.measure, row.mode) for row in rows]
    assert len(set(keys)) == len(keys)
    assert all(row.source for row in rows)


def test_a_methods_own_paper_stands_beside_it_before_those_that_ran_it_again() -> None:
    numbers = [row for table in published_of(GRIDS["rivals-video-hard"]) for row in table.rows]
    of_sgqn = [row.source for row in numbers if (row.arm, row.task, row.mode) == ("sgqn", FIVE[0], "video_hard")]
    assert len(of_sgqn) > 1
    assert of_sgqn[0].startswith("SGQN (Bertoin")


@every_grid
def test_grids_name_tables_tasks_and_arms_that_there_are(name: str) -> None:
    grid = GRIDS[name]
    assert set(grid.published) <= set(TABLES)
    assert set(grid.tasks) <= set(TASKS)
    for form in grid.forms.values():
        assert set(form.arm_options) <= {arm.name for arm in grid.arms}


@every_grid
@pytest.mark.parametrize("preset", ["paper", "small"])
def test_runs_are_named_by_what_they_are(name: str, preset: str) -> None:
    cells = cells_of(in_form(GRIDS[name], preset))
    names = [cell.name for cell in cells]
    assert len(set(names)) == len(names)
    for cell in cells:
        assert cell.name == f"{cell.task.replace('/', '-')}/{cell.arm.name}/{cell.seed}"
        assert cell.needs is None or names.index(cell.needs) < names.index(cell.name), "a teacher comes first"
        assert cell.steps[0].name == "train"
        assert cell.steps[0].words[-2:] == ("--out", RUN)
        assert (TEACHER in cell.steps[0].words) == (cell.needs is not None)
        assert all(RUN in step.words for step in cell.steps)


def test_steps_are_ordinary_commands() -> None:
    grid = probe(preset="small", options={"steps": 512}, evaluation=Evaluating(("train",), 2, sampled=True))
    first = cells_of(grid)[0]
    assert first.name == "minigrid-Empty-5x5/a/3"
    words = "train ppo minigrid/Empty-5x5 --preset small --seed 3 --steps 512 --hidden 64 --out {run}"
    assert first.steps[0].words == tuple(words.split())
    assert first.steps[1].words == ("evaluate", RUN, "--modes", "train", "--episodes", "2", "--sampled")


def test_words_of_options() -> None:
    given = {"overlap": False, "video": True, "steps": None, "modes": ("train", "noise"), "learning_rate": 0.5}
    assert words_of(given) == ("--no-overlap", "--video", "--modes", "train", "noise", "--learning-rate", "0.5")


def test_a_form_changes_what_it_says_and_no_names() -> None:
    form = Form("short", {"steps": 9}, {"a": {"hidden": 8}}, seeds=(7,))
    small = in_form(probe(options={"steps": 100, "envs": 2}, forms={"small": form}), "small")
    assert (small.preset, small.options, small.seeds) == ("small", {"steps": 9, "envs": 2}, (7,))
    assert [arm.options for arm in small.arms] == [{"hidden": 8}, {"hidden": 32}]
    assert [cell.name for cell in cells_of(small)] == ["minigrid-Empty-5x5/a/7", "minigrid-Empty-5x5/b/7"]


def test_a_part_has_the_teachers_of_its_arms_and_the_first_seeds() -> None:
    grid = part_of(GRIDS["digr-red-fetch-green"], ["digr-mass"], seeds=5)
    assert [arm.name for arm in grid.arms] == ["teacher", "digr-mass"]
    assert grid.seeds == (0, 1, 2, 3, 4)
    assert part_of(probe(), seeds=1).seeds == (3,)


def test_a_teacher_of_the_first_seed_is_one_for_all() -> None:
    arms = (Arm("t", "ppo"), Arm("s", "ppo", {"hidden": 9}, teacher="t", teacher_seed="first"))
    assert [cell.needs for cell in cells_of(probe(arms=arms)) if cell.needs] == ["minigrid-Empty-5x5/t/3"] * 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"arms": ()}, "no method"),
        ({"evaluation": Evaluating(("train",), 0)}, "0 episodes"),
        ({"attacks": Attacking(("fgsm",), (1,), 0)}, "0 episodes"),
        ({"attacks": Attacking(("fgsm",), (0, 999))}, "budget 999"),
        ({"tasks": ()}, "no task"),
        ({"seeds": ()}, "no seed"),
        ({"seeds": (1, 1)}, "seed 1 twice"),
        ({"seeds": (-1,)}, "from 0"),
        ({"tasks": ("minigrid/Empty-5x5",) * 2}, "twice"),
        ({"tasks": ("minigrid/Empty-5x5", "minigrid-Empty-5x5")}, "would both be the run"),
        ({"arms": (Arm("a", "sac"), Arm("a", "drq"))}, "method a twice"),
        ({"arms": (Arm("a", "sac"), Arm("b", "sac"))}, "one run twice"),
        ({"arms": (Arm("a/b", "sac"),)}, "folder"),
        ({"arms": (Arm("a", "sac", teacher="c"),)}, "teacher 'c'"),
        ({"arms": (Arm("a", "sac", teacher="b"), Arm("b", "sac", teacher="a"))}, "no beginning"),
    ],
)
def test_what_is_no_grid_is_told_in_a_sentence(changes: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told) as error:
        probe(**changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("part", "told"),
    [({"methods": ["c"]}, "no method 'c'"), ({"tasks": ["x"]}, "no task 'x'"), ({"seeds": 0}, "at least 1")],
)
def test_a_part_that_is_not_there_is_told(part: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        part_of(probe(), **part)


@pytest.mark.parametrize("preset", ["paper", "small"])
@every_grid
def test_the_words_of_every_grid_are_commands(name: str, preset: str) -> None:
    grid = in_form(GRIDS[name], preset)
    unknown = [arm.name for arm in grid.arms if arm.method not in METHODS]
    if unknown:
        with pytest.raises(UserError, match="which does not exist"):
            check_names(grid)
        return
    check_names(grid)
    if preset == "small":
        check_words(part_of(grid, tasks=grid.tasks[:1]), parse_step)
