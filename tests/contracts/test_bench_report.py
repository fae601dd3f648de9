"""The report of a grid: its numbers are the runs', what differs never mixes, and the page works in a browser."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from browser import Browser, browser
from PIL import Image
from test_page import Reader

from saccade.bench.associations import associations_of
from saccade.bench.catalogue import GRIDS, TABLES
from saccade.bench.cells import RUN, cells_of
from saccade.bench.comparison import (
    aggregates_of,
    attacked,
    groups_of,
    lines_of,
    pairs_of,
    tasks_of_success_alone,
    with_means,
)
from saccade.bench.grids import Arm, Evaluating, Grid, part_of
from saccade.bench.outcomes import Outcome, outcomes_of
from saccade.bench.printed import escaped, latex, markdown, printed
from saccade.bench.published import Published
from saccade.bench.running import FAILURES
from saccade.cli import bench_report, train_command
from saccade.cli.bench_deviations import deviations
from saccade.cli.bench_looking import looks_of
from saccade.cli.bench_report import LATEX, MARKDOWN, PAGE, write_reports
from saccade.runs.config import to_json
from saccade.runs.zoo import zoo_folder
from saccade.types import UserError
from saccade.viewer.experiment import Experiment, write_experiment
from saccade.viewer.experiment_results import over_tasks, results
from saccade.viewer.experiment_saliency import saliency
from saccade.viewer.figures import PALETTE
from saccade.viewer.page import Folded, Gallery, Picture, Table, Text, write_page
from saccade.viewer.pictures import data_uri, png

PHONE, WIDE = 390, 1440
TASK = "dmc/walker_walk"
ARMS = {"sac": 200.0, "sgqn": 700.0}
MODES = ("train", "video_hard")
SEEDS = (0, 1, 2)
GRID = Grid(
    "sgqn-table-1",
    "A <b>made-up</b> grid",
    tuple(Arm(name, name) for name in ARMS),
    (TASK, "dmc/cartpole_swingup"),
    (*SEEDS, 3),
    source="SGQN, table 1",
    preset="small",
    evaluation=Evaluating(MODES, 10),
    published=("sgqn-table-1",),
    assumptions=("Nobody says how often.",),
)


def level(arm: str, mode: str, seed: int) -> float:
    """The mean return of a run in a mode."""
    return ARMS[arm] * (1.0 if mode == "train" else 0.5) + 10 * seed


def write_run(folder: Path, arm: str, task: str, seed: int, setting: dict[str, Any] | None = None) -> None:
    """What a finished run leaves of itself, without a checkpoint."""
    folder.mkdir(parents=True)
    config, _ = train_command.parse([arm, task, "--preset", "small", "--seed", str(seed)])
    (folder / "config.json").write_text(json.dumps(to_json(config)))
    facts = {
        "python": "3.11.7",
        "versions": {"saccade": "0.1.0", "torch": "2.13.0"},
        "hardware": {"processor": "a <processor>", "cores": 2, "gpus": []},
        "git": {"commit": "0123456789abcdef", "changed": False},
        "paths": ["cpu, 1 thread"],
    }
    (folder / "env.json").write_text(json.dumps(facts))
    provenance = {"render_quality": "fast", "image_size": 40, "action_repeat": 4, "mujoco": "3.8.1", **(setting or {})}
    rows = [
        {
            "env_steps": 3000,
            "method": arm,
            "task": task,
            "seed": seed,
            "mode": mode,
            "sampled": False,
            "episodes": 10,
            "episode_seed": seed,
            "return_mean": level(arm, mode, seed),
            "return_std": 5.0,
            "returns": [level(arm, mode, seed)] * 10,
            "success_rate": None,
            "gap": 0.0,
            "changed_pixels": None,
            "provenance": provenance | ({"clips": "generated", "num_clips": 8} if mode != "train" else {}),
        }
        for mode in MODES
    ]
    write_lines(folder / "evaluations.jsonl", rows)
    metrics = [
        {"env_steps": 100 * n, "updates": n, "seconds": 60.0 * n, "env": 0, "episode/return": ARMS[arm] * n / 30}
        for n in range(1, 31)
    ]
    write_lines(folder / "metrics.jsonl", metrics)


def write_measured(folder: Path, arm: str, seed: int) -> None:
    """Saliency scores and returns under attack."""
    scores = [
        {"mode": "train", "method": method, "metric": "area_under_roc", "mean": 0.6 + seed / 100, "std": 0.1,
         "count": 4, "undefined": 0, "direction": "higher", "question": "truth"}
        for method in ("gradient", "baseline: random")
    ]  # fmt: skip
    (folder / "explain").mkdir()
    write_lines(folder / "explain" / "scores.jsonl", scores)
    attacks = [
        {"task": TASK, "attack": "fgsm" if epsilon else "none", "epsilon": float(epsilon), "seed": seed, "episodes": 5,
         "returns": [ARMS[arm] - 10 * epsilon] * 5, "return_mean": ARMS[arm] - 10 * epsilon, "success_rate": None,
         "provenance": {}, "target": "policy"}
        for epsilon in (0, 2, 8)
    ]  # fmt: skip
    write_lines(folder / "attacks.jsonl", attacks)


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three of four seeds of both arms on both tasks, with scores and attacks on one; one seed has larger pictures."""
    place = tmp_path_factory.mktemp("grid")
    for cell in cells_of(GRID):
        if cell.seed in SEEDS:
            write_run(place / cell.name, cell.arm.name, cell.task, cell.seed)
            if cell.task == TASK:
                write_measured(place / cell.name, cell.arm.name, cell.seed)
    return place


@pytest.fixture(scope="module")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reports(GRID, folder, tmp_path_factory.mktemp("report"), commands=["saccade bench run x"], draw=False)


def text_of(page: Path) -> str:
    """What a person reads."""
    shown = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown))


# ---------------------------------------------------------------------------------------------- the numbers


def outcome(arm: str = "sac", seed: int = 0, value: float = 1.0, **changes: Any) -> Outcome:
    given: dict[str, Any] = {"task": TASK, "measure": "return", "mode": "train", "env_steps": 100, "count": 10}
    return Outcome(arm, seed=seed, value=value, **{**given, **changes})


def test_a_line_is_its_seeds_and_stands_beside_what_was_published() -> None:
    published = Published("sac", TASK, "return", "train", 900.0, 20.0, "a paper")
    (line,) = lines_of([outcome(seed=seed, value=800 + seed) for seed in (2, 0, 1)], [published])
    assert (line.seeds, line.values) == ((0, 1, 2), (800.0, 801.0, 802.0))
    assert (line.mean, line.difference) == (801.0, -99.0)
    assert line.deviation == pytest.approx((2 / 3) ** 0.5)
    assert line.estimate.low is not None and 800 <= line.estimate.low <= line.estimate.high <= 802


@pytest.mark.parametrize(
    "other", [{"setting": "84 px"}, {"data": "Places365"}, {"version": "saccade 2"}, {"sampled": True}]
)
def test_what_was_measured_in_another_way_has_a_table_of_its_own(other: dict[str, Any]) -> None:
    lines = lines_of([outcome(), outcome("sgqn", **other), outcome(seed=1), outcome("sgqn", seed=1, **other)])
    assert [{line.arm for line in group.lines} for group in groups_of(lines)] == [{"sac"}, {"sgqn"}]
    assert aggregates_of(lines) == []
    seeds = lines_of([outcome(), outcome(seed=1, **other)])
    assert [line.seeds for line in seeds] == [(0,), (1,)]  # nor are they averaged


def test_all_tasks_together_are_shares_of_the_greatest_return_where_it_is_known() -> None:
    outcomes = [
        outcome(arm, seed, value, task=task)
        for arm, value in (("sac", 100.0), ("sgqn", 500.0))
        for task in (TASK, "dmc/finger_spin")
        for seed in range(3)
    ]
    sac, sgqn = aggregates_of(lines_of(outcomes))
    assert sgqn.scores.shape == (3, 2)
    assert (sgqn.interquartile_mean.value, sgqn.optimality_gap.value) == (0.5, 0.5)
    (pair,) = pairs_of([sac, sgqn])
    assert (pair.arm, pair.other, pair.probability.value) == ("sgqn", "sac", 1.0)
    assert pair.difference.value == pytest.approx(0.4)
    robot = [outcome(seed=seed, task="manipulation/reach") for seed in range(3)]
    assert aggregates_of(lines_of(robot))[0].optimality_gap is None


def test_averages_that_papers_print_are_made_of_each_run() -> None:
    modes = {"test1": 1.0, "test2": 2.0, "test3": 6.0}
    found = with_means([outcome(mode=mode, value=value) for mode, value in modes.items()])
    assert [one.value for one in found if one.mode == "tests"] == [3.0]
    assert len(with_means([outcome(mode="test1"), outcome(mode="test2")])) == 2


def test_smgs_averages_are_of_five_tests_and_stand_beside_ours_of_five() -> None:
    task = "manipulation/reach"
    modes = {"train": 31.0, "test1": 1.0, "test2": 2.0, "test3": 6.0, "test4": 30.0, "test5": 31.0}
    printed = [*TABLES["smg-table-2"].rows, *TABLES["sgqn-table-6"].rows]
    printed.append(Published("sgqn", task, "return", "all", 25.0, None, "a paper"))
    outcomes = with_means([outcome("sgqn", mode=mode, value=value, task=task) for mode, value in modes.items()])
    found = {line.mode: (line.mean, [one.value for one in line.published]) for line in lines_of(outcomes, printed)}
    assert found["tests"] == (3.0, [24.9])
    assert found["five_tests"] == (14.0, [21.0])
    assert found["all"] == (pytest.approx(101 / 6), [25.0])


def test_an_attacks_curve_begins_where_nobody_attacks() -> None:
    rows = [("none", 0.0), ("fgsm", 2.0), ("pgd", 1.0), ("fgsm", 1.0)]
    lines = lines_of([outcome(mode=f"train+{name}:{epsilon:g}", attack=(name, epsilon)) for name, epsilon in rows])
    found = attacked(lines)
    assert [what for _, _, what in found] == ["fgsm in train", "pgd in train"]
    budgets = [[line.attack for line in arms["sac"]] for arms in found.values()]
    assert budgets == [[("none", 0.0), ("fgsm", 1.0), ("fgsm", 2.0)], [("none", 0.0), ("pgd", 1.0)]]


def test_one_method_stands_beside_the_others_also_where_it_was_not_measured_yet() -> None:
    arms = {"sac": MODES, "svea": MODES, "sgqn": MODES[:1]}
    lines = lines_of([outcome(arm, mode=mode) for arm, modes in arms.items() for mode in modes])
    assert [(pair.arm, pair.other, pair.mode) for pair in pairs_of(aggregates_of(lines))] == [
        ("sgqn", "sac", "train"),
        ("sgqn", "svea", "train"),
    ]


def test_a_learning_curve_is_of_the_runs_own_setting_whatever_was_measured_later(folder: Path) -> None:
    outcomes = outcomes_of(GRID, folder)
    assert any(one.attack is not None for one in outcomes)
    learned = bench_report._learned(folder, [cell for cell in cells_of(GRID) if cell.seed in SEEDS], outcomes)
    assert {one.setting for one in learned} == {"fast rendering, 40 px, action repeat 4"}


def test_what_several_papers_print_of_one_thing_is_all_told_and_the_first_stands_beside() -> None:
    printed = [Published("sac", TASK, "return", "train", value, None, f"paper {value:g}") for value in (900.0, 700.0)]
    _, table = list(results(groups_of(lines_of([outcome(value=800.0)], printed)), []))[1:]
    assert isinstance(table, Table)
    assert table.rows[0][2:4] == ("900", "\u2212100")
    assert "Published: paper 900. Others print: sac, train: 700 (paper 700)." in table.caption


def test_two_seeds_say_so() -> None:
    (line,) = lines_of([outcome(seed=0), outcome(seed=1)])
    table = printed([line], "caption")
    assert dict(zip(table.columns, *table.rows, strict=True))["95 % interval"] == "2 seeds: too few"


def test_where_nothing_is_published_there_are_no_columns_for_it() -> None:
    (line,) = lines_of([outcome(seed=seed) for seed in range(3)])
    alone = printed([line], "")
    assert alone.columns == ("method", "mode", "ours", "95 % interval", "seeds")
    assert len(alone.rows[0]) == len(alone.columns)
    beside = replace(line, published=(Published("sac", TASK, "return", "train", 900.0, 20.0, "a paper"),))
    assert {"published", "difference"} <= set(printed([line, beside], "").columns)


# -------------------------------------------------------------------------------------------------- the page


def test_the_page_tells_everything_of_the_grid(page: Path) -> None:
    told = text_of(page)
    assert "12 of 16 runs have numbers" in told
    # Published 739 in video_hard; ours (350 + 360 + 370) / 3.
    assert "739 ± 21" in told
    assert "360 ± 8" in told
    assert "\u2212379" in told
    for heading in (
        "What differs from the paper", f"Results: {TASK}", "All tasks together", "How they learned",
        "How good their saliency maps are", "How robust they are", "What was published", "How to repeat this",
    ):  # fmt: skip
        assert heading in told, heading
    for part in ("a &lt;processor&gt;", "commit 0123456789abcdef", "torch 2.13.0", "saccade bench run x", "generated"):
        assert part in told, part
    assert "seed 3" in told  # which is missing
    assert "&lt;b&gt;made-up&lt;/b&gt;" in page.read_text()


def test_columns_without_a_number_are_left_out_and_what_all_rows_share_stands_below() -> None:
    alone = lines_of([outcome(seed=seed, value=800.0 + seed) for seed in SEEDS])
    (table,) = (one for one in results(groups_of(alone), []) if isinstance(one, Table))
    assert table.columns == ("method, mode", "ours", "interval", "seeds")
    assert "10 episodes each after 100 agent steps" in table.caption
    longer = lines_of([outcome(), outcome("sgqn", env_steps=20_000)])
    (table,) = (one for one in results(groups_of(longer), []) if isinstance(one, Table))
    assert table.columns[-1] == "agent steps" and [row[-1] for row in table.rows] == [100, 20_000]
    fewer = lines_of([outcome(), outcome("sgqn", count=3)])
    (table,) = (one for one in results(groups_of(fewer), []) if isinstance(one, Table))
    assert table.columns[-1] == "episodes" and [row[-1] for row in table.rows] == [10, 3]
    assert "over seeds after 100 agent steps" in table.caption
    two = aggregates_of(fewer)
    *_, pairs = over_tasks(two, pairs_of(two))
    assert isinstance(pairs, Table)
    assert pairs.rows[0][1] == "50 % (1 seed: too few)"
    aggregates = aggregates_of(lines_of([outcome(task="manipulation/reach", seed=seed, value=0.125) for seed in SEEDS]))
    (table,) = (one for one in over_tasks(aggregates, []) if isinstance(one, Table))
    assert table.columns == ("method, mode", "interquartile mean", "seeds")
    assert table.rows[0][1] == "0.12 [0.12, 0.12]"


def both(arm: str, value: float, success: float, **more: Any) -> list[Outcome]:
    return [outcome(arm, value=value, **more), outcome(arm, value=success, measure="success", **more)]


def test_a_return_that_is_the_success_is_shown_once() -> None:
    one = lines_of([*both("sac", 0.5, 0.5), *both("sgqn", 0.25, 0.25)])
    other = lines_of([*both("sac", 0.5, 0.5), *both("sgqn", 0.25, 0.3)])
    assert (tasks_of_success_alone(one), tasks_of_success_alone(other)) == ({TASK}, set())
    assert tasks_of_success_alone(lines_of([outcome()])) == set(), "a return alone is no success"
    for lines, tables in ((one, 1), (other, 2)):
        same = tasks_of_success_alone(lines)
        sections = list(results(groups_of(lines), [], (), same))
        assert sum(isinstance(section, Table) for section in sections) == tables
        assert any(isinstance(section, Text) for section in sections) == bool(same)
        together = [section for section in over_tasks(aggregates_of(lines), [], (), same) if isinstance(section, Table)]
        assert len(together) == tables and "optimality gap" in together[-1].columns


def test_a_subject_is_compared_with_the_others_ahead_and_behind(tmp_path: Path) -> None:
    levels = {"sac": 100.0, "sgqn": 500.0, "svea": 900.0}
    outcomes = [
        outcome(arm, seed, value + seed, mode=mode) for arm, value in levels.items() for seed in SEEDS for mode in MODES
    ]
    aggregates = aggregates_of(lines_of(outcomes))
    assert {pair.arm for pair in pairs_of(aggregates, subject="sgqn")} == {"sgqn"}
    assert (
        {pair.arm for pair in pairs_of(aggregates, subject="gone")}
        == {"svea"}
        == {pair.arm for pair in pairs_of(aggregates)}
    )
    experiment = Experiment("x", "X", "somebody", lines_of(outcomes), 3, 3, subject="sgqn")
    write_experiment(tmp_path / "page.html", experiment)
    told = text_of(tmp_path / "page.html")
    assert (
        "By intervals of the difference that leave out 0, sgqn is ahead of sac in train and video_hard, and behind "
        "svea in train and video_hard."
    ) in told
    assert "An experiment of somebody." in told
    grid = replace(GRID, subject="sac")
    assert part_of(grid, ["sgqn"]).subject == "" and part_of(grid, ["sac"]).subject == "sac"
    with pytest.raises(UserError, match="no method 'sca': did you mean sac"):
        replace(GRID, subject="sca")


def test_maps_stand_side_by_side_and_folded_with_their_intervals() -> None:
    scored = [
        outcome(arm, seed, 0.5 + seed / 10, measure=f"area_under_roc:{method}", mode=mode, count=64, frames=frames,
                better="higher", version="saccade 1")
        for arm in ARMS for seed, frames in zip(SEEDS, (11, 64, 64), strict=True)
        for method, mode in (("grad_cam", "train"), ("baseline: random", "train"), ("grad_cam", "noise"))
    ]  # fmt: skip
    _, train, noise, folded = saliency(groups_of(lines_of(scored)))
    assert isinstance(train, Table) and isinstance(noise, Table) and isinstance(folded, Folded)
    assert train.columns == ("method", "grad cam", "baseline: random") and noise.columns == ("method", "grad cam")
    assert train.rows[0] == ("sac", "0.600 ± 0.082", "0.600 ± 0.082") and train.better == (None, "higher", None)
    assert train.caption == (
        f"{TASK}, area under roc in train: mean ± standard deviation over 3 seeds, on 11 to 64 frames. 64 frames were "
        "asked for; an episode that ends sooner gives fewer. saccade 1."
    )
    (whole,) = folded.inside  # type: ignore[misc]
    assert len(whole.rows) == 6 and whole.columns[-1] == "frames" and "[0.500, 0.700]" in whole.rows[0]
    published = [Published("sac", TASK, "area_under_roc:grad_cam", "train", 0.9, None, "a paper")]
    _, whole = saliency(groups_of(lines_of(scored, published)))
    assert "published" in whole.columns, "what a paper prints stands beside ours, open"


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_a_report_of_a_part_of_the_runs_says_how_many_and_why(seeds: int, tmp_path: Path) -> None:
    grid = part_of(GRID, tasks=[TASK])
    for seed in range(seeds):
        write_run(tmp_path / f"dmc-walker_walk/sac/{seed}", "sac", TASK, seed)
    (tmp_path / "dmc-walker_walk/sac/0/result.json").write_text("{}")
    (tmp_path / "dmc-walker_walk/sac/0/steps").mkdir()
    (tmp_path / "dmc-walker_walk/sac/0/steps/evaluate.json").write_text("{}")
    why = {"dmc-walker_walk/sgqn/0": "no memory.", "dmc-walker_walk/sgqn/1": "no memory.", "gone": "?"}
    (tmp_path / FAILURES).write_text(json.dumps(why))
    told = text_of(write_reports(grid, tmp_path, draw=False))
    one = seeds == 1
    assert f"{seeds} of 8 runs {'has' if one else 'have'} numbers." in told
    assert f"Numbers are of {seeds} seed{'' if one else 's'} instead of 5." in told
    assert ("All numbers come from" in told) == (seeds < 3) and "Some numbers" not in told
    assert ("interval can be given" in told) == (seeds < 3)
    assert "Runs without numbers: " in told and "sgqn on dmc/walker_walk, seeds 0, 1, 2, 3" in told
    assert "Given up: sgqn on dmc/walker_walk, seeds 0, 1: no memory." in told and "gone" not in told
    begun = "Runs that are not finished, with the step that they are in: sac on dmc/walker_walk, seed"
    assert (f"{begun}{'s' * (seeds > 2)} {', '.join(map(str, range(1, seeds)))} (train after 3,000" in told) != one
    assert "Highest interquartile mean" not in told, "of one method"


def test_a_highest_mean_of_two_seeds_has_no_interval_and_no_words_about_it(tmp_path: Path) -> None:
    lines = lines_of([outcome(arm, seed, value) for arm, value in ARMS.items() for seed in (0, 1)])
    write_experiment(tmp_path / "page.html", Experiment("x", "X", "", lines, 2, 2))
    assert "of 2 methods: sgqn in train (700)." in text_of(tmp_path / "page.html")


def test_what_is_cheap_or_dear_is_no_better_map() -> None:
    measures = ("area_under_roc:gradient", "milliseconds_alone:gradient", "return")
    outcomes = [outcome(seed=seed, value=seed, measure=measure) for seed in SEEDS for measure in measures]
    assert [one.score for one in associations_of(lines_of(outcomes))] == ["area_under_roc:gradient"]


def test_what_deviates_is_said_in_words(page: Path) -> None:
    told = text_of(page)
    for words in (
        "start from the preset small",
        "40 pixels of a side instead of 84",
        "fast rendering instead of full",
        "agent steps instead of 500,000",
        "3 seeds instead of 5",
        "played for 10 episodes instead of 100",
        "not the benchmark",
        "generated pictures for overlays instead of Places365",
        "Nobody says how often.",
    ):
        assert words in told, words


def test_an_experiment_without_a_paper_does_not_speak_of_one(folder: Path) -> None:
    assert GRID.published
    own = replace(GRID, published=())
    said = list(deviations(own, folder, [cell for cell in cells_of(own) if (folder / cell.name).exists()], []))
    assert said[0].startswith("The runs start from the preset small, not from the settings of the preset paper")
    assert said[1].startswith("Instead of the settings of the preset paper")
    assert not any("the paper" in sentence for sentence in said)


@pytest.mark.parametrize("name", ["smg-table-1", "fls-table-4", "sgqn-table-1"])
def test_runs_as_the_paper_made_them_deviate_in_nothing(name: str, tmp_path: Path) -> None:
    grid = part_of(GRIDS[name], tasks=GRIDS[name].tasks[:1])
    cells = [cell for cell in cells_of(grid) if cell.seed == grid.seeds[0]]
    for cell in cells:
        config, _ = train_command.parse([word for word in cell.steps[0].words[1:] if word not in (RUN, "--out")])
        config = replace(config, training=replace(config.training, images=str(tmp_path)))
        (tmp_path / cell.name).mkdir(parents=True)
        (tmp_path / cell.name / "config.json").write_text(json.dumps(to_json(config)))
    assert grid.evaluation is not None
    lines = lines_of(
        [outcome(task=grid.tasks[0], seed=seed, count=grid.evaluation.episodes) for seed in GRIDS[name].seeds]
    )
    assert list(deviations(grid, tmp_path, cells, lines)) == []


def test_a_run_that_was_shown_larger_pictures_is_set_apart(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "grid"
    shutil.copytree(folder, copy)
    changed = copy / "dmc-walker_walk" / "sac" / "1"
    shutil.rmtree(changed)
    write_run(changed, "sac", TASK, 1, {"image_size": 84})
    told = text_of(write_reports(GRID, copy, draw=False))
    assert "What is not averaged" in told
    assert "84 px" in told
    assert "205 ± 5" not in told and "210 ± 10" in told  # seeds 0 and 2 alone: 200 and 220


def test_tables_for_papers_have_the_same_numbers(page: Path) -> None:
    marked, tex = page.with_name(MARKDOWN).read_text(), page.with_name(LATEX).read_text()
    assert "| sgqn | video\\_hard | 739 ± 21 | 360 ± 8 | −379 | [350, 370] | 3 |" in marked
    assert r"sgqn & video\_hard & 739 $\pm$ 21 & 360 $\pm$ 8 & $-$379 & [350, 370] & 3 \\" in tex
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == marked.count("| mode |")
    assert "| area under roc of gradient | video\\_hard | " in marked and "area under roc of gradient & train & " in tex
    assert "Instead of the paper's settings" in marked


def test_words_that_are_markup_elsewhere_stay_words() -> None:
    assert escaped(r"50% of a_b & {x} \ ±") == r"50\% of a\_b \& \{x\} \textbackslash{} $\pm$"
    (line,) = lines_of([outcome("a|b*c_<i>")])
    table = printed([line], "50% | all")
    assert "a\\|b\\*c\\_&lt;i>" in markdown([table], "x")
    assert "50\\% | all" in latex([table], "x")


def test_a_report_of_nothing_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is nothing to report: no run of sgqn-table-1"):
        write_reports(GRID, tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


def test_the_command_writes_beside_the_runs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "grid"
    shutil.copytree(folder, copy)
    monkeypatch.setattr(bench_report, "looks_of", lambda *_: ([], []))
    options = SimpleNamespace(
        name="sgqn-table-1", preset="small", methods=("sac", "sgqn"), tasks=(), seeds=3, out=None, images=None,
        data=None, device=None,
    )  # fmt: skip
    assert bench_report.report(GRID, copy, options) == 0
    assert "saccade bench run sgqn-table-1 --preset small --methods sac sgqn --seeds 3" in text_of(copy / PAGE)


# ---------------------------------------------------------------------------------------------- the pictures


def test_pictures_are_drawn_of_one_kept_observation(tmp_path: Path) -> None:
    task = "minigrid/red_fetch_green"
    grid = Grid("one", "One agent", (Arm("ppo", "ppo"),), (task,), (0,), preset="small")
    run = tmp_path / cells_of(grid)[0].name
    shutil.copytree(zoo_folder("ppo-red-fetch-green"), run)
    first = write_reports(grid, tmp_path).read_text()
    kept = tmp_path / "minigrid-red_fetch_green" / "observation.npz"
    with np.load(kept) as file:
        (obs,) = (file[name] for name in file.files)
    assert obs.shape == (3, 64, 64) and obs.dtype == np.uint8 and obs.std() > 0
    assert "one observation" in first and "what the policy sees" in first
    assert write_reports(grid, tmp_path).read_text() == first  # of the same observation, the same page


def test_pictures_come_from_explanations_where_there_are_some(tmp_path: Path) -> None:
    from fake_explanations import write_folder

    grid = Grid("one", "One agent", (Arm("sac", "sac"),), (TASK,), (0,), preset="small")
    run = tmp_path / cells_of(grid)[0].name
    write_run(run, "sac", TASK, 0)
    write_folder(run / "explain")
    told = text_of(write_reports(grid, tmp_path))
    assert "from the explanation in its run" in told


def test_pictures_stand_below_their_own_names_where_methods_were_explained_otherwise(tmp_path: Path) -> None:
    from fake_explanations import write_folder

    methods = {"sac": ("rise", "gradient"), "sgqn": ("gradient",)}
    grid = Grid("two", "Two agents", tuple(Arm(name, name) for name in methods), (TASK,), (0,), preset="small")
    alone = {}
    for cell in cells_of(grid):
        write_run(tmp_path / cell.name, cell.arm.name, TASK, 0)
        write_folder(tmp_path / cell.name / "explain", methods=methods[cell.arm.name])
        looks, _ = looks_of(grid, tmp_path, [cell], draw=False)
        alone[cell.arm.name] = dict(zip(looks[0].columns, looks[0].rows[cell.arm.name], strict=True))
    (look,), _ = looks_of(grid, tmp_path, cells_of(grid), draw=False)
    assert "gradient" in look.columns and "rise" not in look.columns
    for arm, row in look.rows.items():
        for name, picture in zip(look.columns, row, strict=True):
            assert np.array_equal(picture, alone[arm][name]), (arm, name)


def test_why_there_is_no_picture_is_said(folder: Path, page: Path) -> None:
    assert "There is no picture of dmc/walker_walk: no explanation is in its runs" in text_of(page)


# ----------------------------------------------------------------------------------------------- the browser


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, WIDE])
def test_the_page_in_a_browser(tab: Browser, page: Path, width: int, dark: bool) -> None:
    tab.open(page, width=width, dark=dark)
    assert tab.problems == []
    assert tab.value("document.documentElement.scrollWidth") == width
    assert tab.value("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    fetched = "performance.getEntriesByType('resource').filter(one => !one.name.startsWith('data:')).length"
    assert tab.value(fetched) == 0
    background = np.array(Image.open(io.BytesIO(tab.screenshot())).convert("L"))[5, 5]
    assert (background < 60) == dark


def test_a_folded_table_says_that_it_scrolls_once_it_is_opened(tab: Browser, tmp_path: Path) -> None:
    wide = Table(tuple("a" * 12 + str(n) for n in range(9)), (tuple("b" * 9 for _ in range(9)),), "wide")
    narrow = Table(("a", "b"), (("c", 43_200), ("d", 9_000)), "narrow")
    write_page(tmp_path / "page.html", "Folded", [Folded("More", (wide, narrow))])
    tab.open(tmp_path / "page.html", width=PHONE)
    tab.value("document.querySelector('summary').click()")
    told = "[...document.querySelectorAll('.sideways')].map(one => one.hidden)"
    assert tab.value(f"new Promise(done => setTimeout(() => done({told}), 200))") == [False, True]
    # Thousands are sorted as numbers.
    tab.value("document.querySelectorAll('table')[1].querySelectorAll('thead button')[1].click()")
    shown = "[...document.querySelectorAll('table')[1].querySelectorAll('td')].map(one => one.textContent)"
    assert tab.value(shown) == ["9,000", "43,200"]


def test_the_pictures_of_a_row_are_equally_large_on_a_phone(tab: Browser, tmp_path: Path) -> None:
    dot = data_uri(png(np.zeros((4, 4, 3), np.uint8)))
    gallery = Gallery((("sac", (dot,) * 4),), ("seen", "the task", "gradient", "guided_backpropagation_of_all"), "look")
    write_page(tmp_path / "page.html", "Looks", [gallery])
    tab.open(tmp_path / "page.html", width=PHONE)
    widths = tab.value("[...document.querySelectorAll('.strip > div')].map(one => one.getBoundingClientRect().width)")
    assert len(widths) == 4 and max(widths) - min(widths) < 1


def test_a_method_has_one_colour_in_all_charts(folder: Path) -> None:
    lines = lines_of([outcome(arm, seed) for arm in ARMS for seed in SEEDS])
    alone = [line for line in lines if line.arm == "sgqn"]
    second = PALETTE[1].lower()
    for arms, there in ((tuple(ARMS), True), ((), False)):
        (chart,) = (one for one in results(groups_of(alone), [], arms) if isinstance(one, Picture))
        assert (second in base64.b64decode(chart.data_uri.partition(",")[2]).decode().lower()) == there


def test_it_is_used_by_keyboard(tab: Browser, page: Path) -> None:
    tab.open(page, width=PHONE)
    # Whatever scrolls or sorts can be reached with the tab key.
    assert tab.value("[...document.querySelectorAll('.scroll')].every(one => one.tabIndex === 0)")
    tab.value("document.querySelectorAll('thead button')[1].focus()")
    tab.value("document.activeElement.click()")
    order = tab.value("document.querySelector('th[aria-sort=ascending], th[aria-sort=descending]').textContent")
    assert order.startswith("ours")
    assert tab.problems == []


def test_nothing_is_loaded_and_the_policy_says_so(page: Path) -> None:
    reader = Reader(page.read_text(encoding="utf-8"))
    assert reader is not None
    assert "default-src 'none'" in page.read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page.read_text())
