"""``saccade bench``: what it prints, and what bad input gets: a sentence, exit code 2, and nothing written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from saccade.bench import costs, running
from saccade.bench.catalogue import GRIDS, TABLES
from saccade.bench.cells import cells_of
from saccade.bench.described import grid_of_toml
from saccade.bench.grids import Arm, Grid
from saccade.cli import main

GOOD = """
tasks = ["minigrid/Empty-5x5"]
seeds = 2
preset = "small"
arms = ["ppo"]
"""
OTHER_STEPS = "options = { steps = 9 }\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path.parent / "cache"))
    (tmp_path / "good.toml").write_text(GOOD)
    return tmp_path


def refused(words: str, capsys: pytest.CaptureFixture[str]) -> str:
    before = sorted(Path.cwd().rglob("*"))
    assert main(words.split()) == 2
    told = capsys.readouterr().err
    assert told.startswith("saccade: ") and told.count("\n") == 1, told
    assert sorted(Path.cwd().rglob("*")) == before, "nothing is written"
    return told


def test_list_names_every_grid_and_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "list"]) == 0
    out = capsys.readouterr().out
    assert [name for name in (*GRIDS, *TABLES) if name not in out] == []


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_shown_with_its_numbers(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "show", name]
    if name in GRIDS:  # so that the costs of one run are asked for, not of a hundred
        words += ["--tasks", GRIDS[name].tasks[0], "--methods", GRIDS[name].arms[0].name]
    assert main(words) == 0
    out = capsys.readouterr().out
    table = TABLES[name]
    assert all(f"{row.value:g}" in out for row in table.rows)
    assert all(sentence.split()[0] in out for sentence in table.missing)
    assert list(here.iterdir()) == [here / "good.toml"]


def write_returns(run: Path, task: str, modes: tuple[str, ...]) -> None:
    """What a finished run was played in, and attacked by."""
    run.mkdir(parents=True)
    row = {"env_steps": 512_000, "task": task, "seed": 0, "episodes": 5, "episode_seed": 0, "return_mean": 0.1234567}
    row |= {"return_std": 0.1, "success_rate": None, "provenance": {}}
    (run / "evaluations.jsonl").write_text("".join(json.dumps(row | {"mode": mode}) + "\n" for mode in modes))
    attacks = [
        ("none", 0, 0.9),
        *((name, budget, budget / 90) for name in ("fgsm", "pgd_restarts") for budget in BUDGETS),
    ]
    rows = [{**row, "attack": name, "epsilon": budget, "return_mean": mean} for name, budget, mean in attacks]
    (run / "attacks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


BUDGETS = (1, 2, 4, 8, 12, 16)


@pytest.mark.parametrize("columns", [80, 140])
def test_show_cuts_no_name_and_no_number(
    columns: int, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    task, other, method = "dmc/cartpole_swingup", "dmc/ball_in_cup_catch", "sac_self_supervision_alone"
    (here / "wide.toml").write_text(
        f'name = "wide"\ntasks = ["{task}", "{other}"]\narms = [{{ method = "sac", name = "{method}" }}]\n'
        'preset = "small"\nseeds = 1\npublished = ["sgqn-table-1"]\n'
    )
    for cell in cells_of(grid_of_toml(here / "wide.toml")):
        write_returns(here / "runs" / cell.name, cell.task, ("train", "video_easy", "video_hard"))
    assert main(["bench", "show", "wide.toml", "--out", "runs"]) == 0
    out = capsys.readouterr().out
    assert "…" not in out
    tables = [line for line in out.splitlines() if not line.startswith(("Protocol", "Not there", "Remark", "Source"))]
    assert max(map(len, tables)) <= columns
    for told in (task, other, method, "video_hard", "pgd_restarts", "0.1235", "0.178", "20,000", "782 ± 57"):
        assert told in out, told
    (attacked, _) = [line.split() for line in out.splitlines() if "pgd_restarts" in line]
    assert attacked == ["pgd_restarts", *(f"{budget / 90:.3g}" for budget in BUDGETS)]


def test_show_tells_in_one_line_why_seeds_are_not_averaged(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, cell in enumerate(cells_of(grid_of_toml(here / "good.toml"))):
        run = here / "runs" / cell.name
        write_returns(run, cell.task, ("train",))
        score = {"mode": "train", "mean": 0.5, "std": 0.1, "count": 11, "frames": 16 * (number + 1)}
        rows = [score | {"metric": name, "method": "gradient"} for name in ("area_under_roc", "mass_inside")]
        (run / "explain").mkdir()
        (run / "explain" / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["bench", "show", "good.toml", "--out", "runs"]) == 0
    apart = [line for line in capsys.readouterr().out.splitlines() if "not averaged" in line]
    assert apart == [
        "Seeds that differ in frames asked for (16 or 32) are not averaged: ppo on minigrid/Empty-5x5, area under roc "
        "and mass inside of gradient in train."
    ]


def test_show_says_why_runs_were_given_up(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = cells_of(grid_of_toml(here / "good.toml"))
    (here / "runs").mkdir()
    (here / "runs" / running.FAILURES).write_text(json.dumps({cell.name: "no memory." for cell in cells}))
    assert main(["bench", "show", "good.toml", "--out", "runs"]) == 0
    assert "Given up: ppo on minigrid/Empty-5x5, seeds 0, 1: no memory.\n" in capsys.readouterr().out


def test_show_says_what_is_missing_and_what_it_costs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = grid_of_toml(here / "good.toml")
    run = here / "runs" / cells_of(grid)[0].name
    run.mkdir(parents=True)
    (run / "metrics.jsonl").write_text(json.dumps({"env_steps": 1000, "seconds": 10.0}) + "\n")
    assert main(["bench", "show", "good.toml", "--out", "runs"]) == 0
    out = capsys.readouterr().out
    assert "0 done, 1 begun, 1 missing" in out
    assert "512,000" in out and "100.0" in out and "its own runs" in out
    assert "2.8 h" in out, "two runs of 512,000 steps at 100 a second"


def test_one_measurement_serves_grids_of_like_cost_and_its_file_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SACCADE_CACHE", str(here / "rates"))
    brief = GOOD + "options = { steps = 2_048, evaluation_episodes = 1 }\n"
    (here / "brief.toml").write_text(
        brief.replace('"minigrid/Empty-5x5"', '"minigrid/Empty-5x5", "minigrid/Empty-6x6"')
    )
    monkeypatch.setattr(costs, "MEASURED_STEPS", {"on_policy": 2_048})
    assert main(["bench", "show", "brief.toml", "--measure", "--tasks", "minigrid/Empty-5x5"]) == 0
    assert "Measured: ppo on minigrid/Empty-5x5: " in capsys.readouterr().out
    (rate,) = json.loads((here / "rates" / costs.RATES).read_text()).values()
    assert main(["bench", "show", "good.toml"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"512,000 {rate:.1f}" in out and "512,000" in out and "Training what is missing takes about" in out
    assert "that were not measured" not in out
    assert str(here / "rates" / costs.RATES) in out.replace(" ", "")
    assert main(["bench", "show", "brief.toml", "--tasks", "minigrid/Empty-6x6"]) == 0
    assert "--measure` measures" in capsys.readouterr().out, "another task is another speed"


STUDENTS = GOOD.replace(
    'arms = ["ppo"]', 'arms = [{ method = "ppo", name = "master" }, { method = "digr", teacher = "master" }]'
)


def test_students_are_measured_on_what_their_teacher_is_after_its_measurement(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SACCADE_CACHE", str(here / "rates"))
    monkeypatch.setattr(costs, "MEASURED_STEPS", {"on_policy": 2_048, "student": 640})
    (here / "students.toml").write_text(STUDENTS)
    assert main(["bench", "show", "students.toml", "--measure"]) == 0
    out = capsys.readouterr().out
    assert "Measured: digr on minigrid/Empty-5x5: " in out and "could not" not in out and "not measured" not in out
    rates = json.loads((here / "rates" / costs.RATES).read_text())
    assert sorted(key.split()[1] for key in rates) == ["digr", "ppo"] and min(rates.values()) > 0


def test_what_cannot_be_measured_says_why(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import sys; print('saccade: warning: slow\\nsaccade: this is refused.', file=sys.stderr); sys.exit(2)"
    monkeypatch.setattr(costs, "PROGRAM", (sys.executable, "-c", program))
    (here / "students.toml").write_text(STUDENTS)
    assert main(["bench", "show", "students.toml", "--measure"]) == 0
    out = capsys.readouterr().out
    assert "master on minigrid/Empty-5x5: could not be measured: this is refused." in out
    assert "digr on minigrid/Empty-5x5: could not be measured: its teacher master made no run." in out


def test_how_a_run_is_evaluated_changes_nothing_of_how_fast_it_learns() -> None:
    watched = {"evaluation_maps": 200, "evaluation_sampled": True}
    arms = Arm("sg_ppo", "sg_ppo"), Arm("sg_ppo", "sg_ppo", watched), Arm("sg_ppo", "sg_ppo", {"rollout_steps": 64})
    plain, evaluated, shorter = (
        costs.key_of(cells_of(Grid("one", "One", (arm,), ("minigrid/Empty-5x5",), (0,)))[0]) for arm in arms
    )
    assert plain == evaluated != shorter


def test_show_knows_what_a_student_costs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "show", "digr-red-fetch-green", "--preset", "small", "--methods", "digr", "--seeds", "1"]
    assert main(words) == 0
    told = capsys.readouterr()
    assert "40,000" in told.out and "Missing value" not in told.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("bench dance", "no `saccade bench dance`"),
        ("bench run", "Name a grid"),
        ("bench run sgqn-tabel-6", "sgqn-table-6"),
        ("bench run sgqn-table-6 --methods sgn", "did you mean sgqn"),
        ("bench run sgqn-table-6 --tasks dmc/walker_walk", "has no task"),
        ("bench run sgqn-table-6 --seeds 0", "--seeds 0"),
        ("bench run sgqn-table-6 --preset large", "preset 'large'"),
        ("bench run good.toml --slots 0", "--slots 0"),
        ("bench run good.toml --gpus 99", "more than the"),
        ("bench run good.toml --retries -1", "--retries -1"),
        ("bench run good.toml --executor cloud", "no executor 'cloud'"),
        ("bench run good.toml --executor ray --address nowhere", "no HOST:PORT"),
        ("bench run none.toml", "cannot be read"),
        ("bench run none.py:MINE", "no file"),
        ("bench show none.toml", "cannot be read"),
    ],
)
def test_bad_words_are_a_sentence(words: str, told: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told in refused(words, capsys)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tasks = [", "is not TOML"),
        (GOOD + "sed = 3\n", "'sed', which no grid has: it may be seeds"),
        (GOOD.replace("seeds = 2", 'seeds = "two"'), "no description of a grid"),
        (GOOD.replace('["ppo"]', "3"), "no description of a grid"),
        (GOOD.replace('["ppo"]', '[{ method = "ppo", teacher_seed = "last" }]'), "teacher_seed"),
        (GOOD.replace('"ppo"', '"pppo"'), "did you mean ppo"),
        (GOOD.replace('"ppo"', '"ppo", "ppo"'), "method ppo twice"),
        (GOOD.replace("Empty-5x5", "Empty-5x6"), "Empty-5x5"),
        (
            GOOD.replace("minigrid/Empty-5x5", "dmc/walker_walk").replace("ppo", "sac")
            + "[evaluation]\nmodes = ['fog']\n",
            "fog",
        ),
        (GOOD + "[attacks]\nattacks = ['fgms']\n", "did you mean fgsm"),
        (GOOD + "[scores]\nmethods = ['gradiant']\n", "did you mean gradient"),
        (GOOD.replace('["ppo"]', '[{ method = "ppo", teacher = "nobody" }]'), "teacher 'nobody'"),
        (GOOD.replace('"ppo"', '"sac"'), "which sac cannot learn"),
        (GOOD + 'published = ["no-table"]\n', "published table"),
    ],
)
def test_a_file_that_is_no_grid_is_a_sentence(
    text: str, told: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bad.toml").write_text(text)
    assert told in refused("bench run bad.toml", capsys)


def test_runs_of_other_settings_are_a_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = grid_of_toml(here / "good.toml")
    with running.planned(grid, here / "runs"):
        run = here / "runs" / cells_of(grid)[0].name
        run.mkdir(parents=True)
        (run / "config.json").write_text("{}")
    (here / "other.toml").write_text(GOOD + OTHER_STEPS)
    assert "was made with other settings" in refused("bench run other.toml --out runs", capsys)
