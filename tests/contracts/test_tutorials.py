"""Tutorials do what they say: every file, block and command of a page, in order, in an empty folder."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from outside import loaded

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
MOST_KILOBYTES = 200  # of a notebook as it is kept


SCRIPT = loaded("scripts/make_tutorial_pictures.py")


def play(page: str, folder: Path) -> dict[str, Any]:
    with SCRIPT.inside(folder), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="stable_baselines3")
        names = SCRIPT.play(TUTORIALS / f"{page}.md")
    assert [made for made in SCRIPT.PICTURES[page].values() if not (folder / made).is_file()] == []
    return names


def returns(rows: Path) -> dict[str, float]:
    """Mean return by mode, or by strength where a dial was turned."""
    read = [json.loads(line) for line in rows.read_text().splitlines()]
    return {row["mode"]: row["return_mean"] for row in read}


def test_an_agent_that_looks_at_the_lamp_is_found_out_and_mended(tmp_path: Path) -> None:
    play("1-explain-your-own-agent", tmp_path)
    cheats = returns(tmp_path / "evaluations" / "catch" / "evaluations.jsonl")
    honest = returns(tmp_path / "evaluations" / "honest" / "evaluations.jsonl")
    assert cheats["train"] > 19 and cheats["dark"] < 13, "20 of 20, and no better than a coin"
    assert honest["train"] > 17 and honest["dark"] > 17, "19 of 20 in both"


def test_a_method_is_written_checked_trained_resumed_and_explained(tmp_path: Path) -> None:
    names = play("2-write-a-method", tmp_path)
    assert len(names["losses"]) >= 3
    result = json.loads((tmp_path / "runs" / "steady" / "result.json").read_text())
    assert result["env_steps"] == 250


def test_a_policy_fails_because_it_looks_at_what_is_green_now(tmp_path: Path) -> None:
    names = play("3-find-why-a-policy-fails", tmp_path)
    modes = returns(tmp_path / "runs" / "zoo" / "ppo-red-fetch-green" / "evaluations.jsonl")
    assert modes["train"] > 0.9 and modes["darkness:0.6"] > 0.8 and modes["hue:0.5"] < 0.2
    assert names["found"]["train", "pointing_game"] == 1 and names["found"]["hue:0.5", "pointing_game"] == 0
    assert names["found"]["train", "mass_inside"] > 4 * names["found"]["hue:0.5", "mass_inside"]


def test_every_tutorial_is_played_and_shows_pictures_that_the_script_makes() -> None:
    assert {page.stem for page in TUTORIALS.glob("*.md")} == set(SCRIPT.PICTURES)
    for page, pictures in SCRIPT.PICTURES.items():
        text = (TUTORIALS / f"{page}.md").read_text()
        assert [name for name in pictures if f"../pictures/tutorials/{name}" not in text] == []


def test_a_command_that_fails_stops_a_tutorial(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("```sh\nsaccade evaluate nowhere\n```\n")
    with SCRIPT.inside(tmp_path), pytest.raises(RuntimeError, match="ended with 2"):
        SCRIPT.play(tmp_path / "page.md")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_from_top_to_bottom(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    assert path.stat().st_size < MOST_KILOBYTES * 1000
    assert all(not cell.get("outputs") for cell in notebook.cells), "a notebook is kept without outputs"
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    drawn = [out for cell in notebook.cells for out in cell.get("outputs", ()) if "image/png" in out.get("data", {})]
    assert len(drawn) >= 2, "it shows pictures"


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS
