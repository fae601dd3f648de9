"""Policies leave the house: a folder that loads anywhere, acts as the run did, and tells of itself what is so."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import saccade
from saccade.cli import main
from saccade.runs.exported import CARD, WEIGHTS
from saccade.runs.zoo import zoo_folder
from saccade.train.logs import append_row, read_rows
from saccade.types import UserError

AGENT = "ppo-red-fetch-green"
SMALL = ["--methods", "gradient", "--frames", "2", "--max-steps", "3"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with an evaluation and saliency scores of its newest weights."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    shutil.copytree(zoo_folder(AGENT), folder)
    words = ["score", str(folder), *SMALL, "--sanity-frames", "0"]
    assert main(words) == 0
    return folder


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "mine"
    assert main(["export", str(run), "--out", str(folder)]) == 0
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_three_files_and_no_path_of_the_machine(exported: Path, run: Path) -> None:
    files = sorted(path.name for path in exported.iterdir() if path.is_file())
    assert files == sorted([CARD, "config.json", WEIGHTS])
    written = (exported / "config.json").read_text() + (exported / CARD).read_text()
    assert str(run) not in written
    assert os.path.expanduser("~") + "/" not in written
    assert not list(exported.parent.glob(".*"))  # nothing is left aside


def test_it_acts_bit_for_bit_as_the_run(exported: Path, run: Path) -> None:
    ours, theirs = saccade.load(run, device="cpu"), saccade.load(exported, device="cpu")
    obs = np.random.default_rng(0).integers(0, 256, (16, *ours.pixels.shape), dtype=np.uint8)
    assert ours.env_steps == theirs.env_steps > 0
    for name, output in ours.outputs.items():
        assert torch.equal(
            output(ours.network, ours.tensor(obs)), theirs.outputs[name](theirs.network, theirs.tensor(obs))
        )
    assert np.array_equal(ours.sampler(3)(obs), theirs.sampler(3)(obs))


def test_the_card_tells_what_the_run_measured_in_the_form_of_the_hub(exported: Path, run: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard.load(exported / CARD).data
    told = {(one.dataset_type, one.metric_type, one.metric_name, one.metric_value) for one in data.eval_results}
    of_weights = [
        row for row in read_rows(run / "evaluations.jsonl") if row["env_steps"] == saccade.load(run).env_steps
    ]
    assert len(of_weights) == len([one for one in told if one[1] == "mean_reward"])
    for row in of_weights:
        value = f"{row['return_mean']:.2f} +/- {row['return_std']:.2f}"
        of_mode = f"{row['task']}@{row['mode']}"
        assert (of_mode, "mean_reward", f"return over {row['episodes']} episodes", value) in told
    scores = [row for row in read_scores(run) if row["mean"] is not None]
    assert scores
    for row in scores:
        name = f"{row['metric']} of {row['method']}"
        assert (f"minigrid/red_fetch_green@{row['mode']}", row["metric"], name, row["mean"]) in told
    assert {"ppo", "minigrid/red_fetch_green", "reinforcement-learning"} <= {*data.tags}


def read_scores(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "explain" / "scores.jsonl").read_text().splitlines()]


def test_the_usual_commands_take_it(exported: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(exported, mine)
    assert main(["evaluate", str(mine), "--modes", "train", "--episodes", "1", "--workers", "0"]) == 0
    (row,) = read_rows(mine / "evaluations.jsonl")
    assert row["env_steps"] == saccade.load(mine).env_steps
    assert main(["explain", str(mine), *SMALL]) == 0
    assert (mine / "explain" / "report.html").is_file()


def test_what_is_of_other_weights_is_left_out(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = tmp_path / "later"
    shutil.copytree(run, later)
    for name in ("evaluations.jsonl", "explain/explanation.json"):
        path = later / name
        path.write_text(path.read_text().replace('"env_steps": ', '"env_steps": 9'))
    append_row(later / "evaluations.jsonl", {**read_rows(later / "evaluations.jsonl")[0], "mode": "noise"})
    assert main(["export", str(later), "--out", "there"]) == 0
    told = (tmp_path / "there" / CARD).read_text()
    assert "have not been evaluated" in told
    assert "model-index" not in told
    assert "left out" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / WEIGHTS).unlink(), "is missing"),
        (lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-8]), "bytes instead of"),
        (lambda folder: flip(folder / WEIGHTS), "was altered"),
        (lambda folder: change(folder, "format", 2), "format 2"),
        (lambda folder: change(folder, "spaces", {"obs_shape": [3, 1, 1]}), "is damaged"),
        (lambda folder: change(folder, "env_steps", -1), "is damaged"),
        (lambda folder: change(folder, "weights", None), "is damaged"),
    ],
)
def test_damage_is_told_in_a_sentence(exported: Path, tmp_path: Path, damage: Any, sentence: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    damage(copy)
    with pytest.raises(UserError, match=sentence):
        saccade.load(copy)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def change(folder: Path, name: str, value: Any) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["exported"][name] = value
    (folder / "config.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["export"], "A run folder is needed"),
        (["export", "nowhere"], "is not a run folder"),
        (["export", f"zoo:{AGENT}", "--out", "full"], "is there already"),
        (["export", "EXPORTED", "--out", "again"], "is an exported policy already"),
        (["train", "--resume", "EXPORTED"], "cannot be trained further"),
        (["train", "--resume", "hub:some/body"], "cannot be trained further"),
        (["evaluate", "hub:nobody"], "names no repository"),
        (["explain", "hub:../up"], "names no repository"),
    ],
)
def test_mistakes_are_sentences_and_leave_nothing(
    words: list[str], sentence: str, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("kept")
    before = sorted(tmp_path.rglob("*"))
    assert main([str(exported) if word == "EXPORTED" else word for word in words]) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_is_not_exported_onto_the_one_it_is_done_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", f"zoo:{AGENT}", "--out", "."]) == 2
    assert "is there already" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_method_of_ones_own_stays_at_home(run: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from saccade.runs.config import read_config
    from saccade.runs.exported import refuse_exporting

    config = replace(read_config(run), method="/home/me/mine.py:MINE")
    with pytest.raises(UserError, match="a method in a file of your own"):
        refuse_exporting(config, run)


class TestHub:
    """The hub's client is stood in for by a module that "fetches" from a local folder."""

    @pytest.fixture
    def hub(self, exported: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
        asked: list[dict[str, Any]] = []
        module = ModuleType("huggingface_hub")

        def snapshot_download(repository: str, **options: Any) -> str:
            asked.append({"repository": repository, **options})
            if repository != "some/body":
                raise OSError(f"404: no repository {repository}.\nmore")
            return str(exported)

        module.snapshot_download = snapshot_download  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "huggingface_hub", module)
        return asked

    def test_a_repository_is_loaded_by_its_name(self, hub: list[dict[str, Any]], exported: Path) -> None:
        policy, local = saccade.load("hub:some/body@v1"), saccade.load(exported)
        assert policy.source == "hub:some/body@v1"
        assert hub[0]["repository"] == "some/body"
        assert hub[0]["revision"] == "v1"
        assert {*hub[0]["allow_patterns"]} == {"config.json", WEIGHTS, CARD}
        obs = np.random.default_rng(0).integers(0, 256, (4, *local.pixels.shape), dtype=np.uint8)
        assert np.array_equal(policy.act(obs), local.act(obs))

    def test_results_stay_out_of_its_cache(self, hub: list[dict[str, Any]], exported: Path, tmp_path: Path) -> None:
        before = sorted(exported.rglob("*"))
        words = ["--modes", "train", "--episodes", "1", "--workers", "0"]
        assert main(["evaluate", "hub:some/body", *words]) == 0
        assert read_rows(tmp_path / "runs" / "hub" / "some" / "body" / "evaluations.jsonl")
        few = ["--attacks", "fgsm", "--beside", "--epsilons", "0", "--episodes", "1", "--workers", "0"]
        assert main(["attack", "hub:some/body", *few, "--max-steps", "10"]) == 0
        assert read_rows(tmp_path / "runs" / "hub" / "some" / "body" / "attacks.jsonl")
        assert main(["explain", "hub:some/body", *SMALL]) == 0
        assert (tmp_path / "explanations" / "body" / "report.html").is_file()
        assert sorted(exported.rglob("*")) == before

    def test_what_cannot_be_fetched_is_a_sentence(self, hub: list[dict[str, Any]]) -> None:
        with pytest.raises(UserError, match=r"cannot be fetched \(404: no repository some/thing\): check"):
            saccade.load("hub:some/thing")

    def test_a_missing_client_is_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(UserError, match=r"pip install 'saccade-rl\[hub\]'"):
            saccade.load("hub:some/body")
