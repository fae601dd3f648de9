"""How evaluation rows are told: cells, settings, and where backgrounds came from."""

from __future__ import annotations

import io

from rich.console import Console

from saccade.bench.results import Result, backgrounds_of, cell, differences, marked, mean_over_seeds, setting_of
from saccade.cli.evaluate_command import show

PROVENANCE = {"render_quality": "full", "image_size": 84, "action_repeat": 1}


def row(mode: str, **provenance: object) -> dict[str, object]:
    return {"mode": mode, "provenance": provenance}


def test_a_cell_tells_success_where_the_task_knows_it() -> None:
    values = {"return_mean": 31.7, "return_std": 2.2}
    assert cell(values) == "32 ± 2"
    assert cell({**values, "success_rate": None}) == "32 ± 2"
    assert cell({**values, "success_rate": 0.95}) == "32 ± 2 (95%)"
    assert cell(None) == "-"
    assert cell({**values, "return_mean": 0.5, "return_std": 0.25}, decimals=2) == "0.50 ± 0.25"


def test_a_table_too_wide_for_the_terminal_is_turned() -> None:
    modes = ("train", *(f"test{number}" for number in range(1, 6)))
    values = {"return_mean": -93.0, "return_std": 12.0, "success_rate": 0.5, "gap": 1.0, "returns": [0.0]}
    rows = {mode: {**values, "mode": mode, "provenance": PROVENANCE} for mode in modes}
    results = [Result("smg", "manipulation/reach", 0, 250_000, "full rendering", rows)]
    for width, line in ((160, "smg"), (60, "test5")):
        console = Console(width=width, file=io.StringIO())
        show(results, console)
        told = console.file.getvalue()
        assert any(each.startswith(line) and "-93 ± 12 (50%)" in each for each in told.splitlines()), told
        assert "250000" in told and "…" not in told


def test_backgrounds_are_told_once_for_all_modes_alike() -> None:
    rows = [
        row("train"),
        row("color_hard", colors="generated", num_colors=100),
        row("test1", table_top="generated"),
        row("test2", table_top="benchmark"),
        row("test3", table_top="generated"),
        row("test3", table_top="generated"),
    ]
    assert backgrounds_of(rows) == [
        "color_hard: 100 generated colors",
        "test1, test3: generated table top",
        "test2: benchmark table top",
    ]


def test_what_was_played_behind_an_oracle_is_marked_once() -> None:
    def result(differs: str, **provenance: str) -> Result:
        rows = {"train": {"provenance": {**PROVENANCE, **provenance}}}
        return Result("sac", "dmc/walker_walk", 0, 100, "", rows, differs=differs)

    assert marked(result("")).differs == "" and marked(result("lr 1")).differs == "lr 1"
    assert marked(result("", oracle_mask="task")).differs == "oracle_mask task"
    assert marked(result("lr 1", oracle_mask="task")).differs == "oracle_mask task, lr 1"
    assert marked(result("lr 1, oracle_mask task", oracle_mask="task")).differs == "lr 1, oracle_mask task"


def test_other_actions_and_rewards_are_another_setting() -> None:
    plain = setting_of(PROVENANCE)
    assert setting_of({**PROVENANCE, "action_space": "xy", "reach_bonus": True}) == plain
    assert setting_of({**PROVENANCE, "action_space": "xyz"}) == f"{plain}, xyz actions"
    assert setting_of({**PROVENANCE, "reach_bonus": False}) == f"{plain}, no reach bonus"


def result(seed: int, mean: float, differs: str = "", gap: float | None = None, success: float | None = None) -> Result:
    values = {"return_mean": mean, "return_std": 99.0, "gap": gap, "success_rate": success, "returns": [mean]}
    rows = {mode: {**values, "mode": mode, "provenance": PROVENANCE} for mode in ("train", "test1")}
    return Result("sac", "manipulation/reach", seed, 100, "full rendering", rows, f"runs/{seed}{differs}", differs)


def test_the_mean_over_seeds_is_that_of_runs_alike() -> None:
    runs = [
        result(0, 10.0, gap=20.0, success=0.5),
        result(1, 30.0, gap=40.0, success=1.0),
        result(0, 1000.0, "shift 0"),
    ]
    (mean,) = mean_over_seeds(runs)
    assert (mean.run, mean.seed, mean.differs) == ("mean of 2 seeds", None, "")
    row = mean.rows["test1"]
    # 10 and 30: 20 +- 10; the runs' own deviations over episodes play no part.
    assert (row["return_mean"], row["return_std"], row["gap"], row["success_rate"]) == (20.0, 10.0, 30.0, 0.75)
    assert mean_over_seeds(runs[1:]) == []


def test_a_mean_has_the_modes_that_every_seed_has_and_no_gap_that_one_lacks() -> None:
    first, second = result(0, 1.0, gap=5.0), result(1, 2.0)
    del second.rows["train"]  # type: ignore[attr-defined]
    (mean,) = mean_over_seeds([first, second])
    assert list(mean.rows) == ["test1"] and mean.rows["test1"]["gap"] is None


def test_runs_are_told_by_what_differs_within_their_method_and_task() -> None:
    def config(method: str, seed: int, **agent: object) -> dict[str, object]:
        return {
            "method": method,
            "env": {"task": "dmc/a"},
            "agent": {"sac": agent},
            "training": {"seed": seed, "steps": 5},
        }

    configs = [config("sac", 0, lr=1, size=2), config("sac", 1, lr=1, size=3), config("sgqn", 0, lr=7)]
    assert differences(configs) == ["size 2", "size 3", ""]
