"""How evaluation rows are told: cells, settings, and where backgrounds came from."""

from __future__ import annotations

import io

from rich.console import Console

from saccade.bench.results import Result, backgrounds_of, cell, setting_of
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


def test_other_actions_and_rewards_are_another_setting() -> None:
    plain = setting_of(PROVENANCE)
    assert setting_of({**PROVENANCE, "action_space": "xy", "reach_bonus": True}) == plain
    assert setting_of({**PROVENANCE, "action_space": "xyz"}) == f"{plain}, xyz actions"
    assert setting_of({**PROVENANCE, "reach_bonus": False}) == f"{plain}, no reach bonus"
