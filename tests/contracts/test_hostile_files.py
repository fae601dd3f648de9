"""Every JSON file that the program reads, with every kind of wrong content: it is used, or refused in a sentence."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_explanations import write_folder
from foreign_policies import CASES, trained
from hostile_json import TEXTS, as_bytes, variants
from training_cases import fail, ignore, never, newest, noise_config, without_simulator

from saccade.data import documents
from saccade.data.banks.clips import decode_clip
from saccade.data.banks.colors import load_colors
from saccade.data.banks.textures import read_texture
from saccade.data.cache import cached_array, is_cached
from saccade.data.checkpoints import newest_checkpoint
from saccade.data.documents import BadDocument, parse, read_document, read_lines
from saccade.data.files import NoFile, read_bounded, refuse_endless
from saccade.data.folder import DataFolder
from saccade.data.pictures import UnusableError, read_picture
from saccade.explain.recorded import read_recorded
from saccade.policies.load import load_any
from saccade.policies.sources.stable_baselines3_zip import read_zip
from saccade.policies.sources.weights import read, state_dicts
from saccade.runs.config import read_config
from saccade.train import session
from saccade.train.logs import EvaluationRow, read_rows
from saccade.train.ways import had_graphs
from saccade.types import UserError
from saccade.viewer.recordings import read_explanation, read_maps

MOST = 400
"""Variants of each file that are tried."""


def answered(ask: Callable[[], Any]) -> str | None:
    """The sentence of a refusal, None where there was none; whatever else is raised fails the test."""
    try:
        ask()
    except UserError as error:
        sentence = str(error)
        assert "\n" not in sentence and len(sentence) < 2000, sentence
        return sentence
    return None


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two checkpoints."""
    folder = tmp_path_factory.mktemp("hostile") / "run"
    with pytest.MonkeyPatch.context() as patches:
        without_simulator(patches)
        config = noise_config(steps=24, checkpoint_every=12, evaluation_modes=("train",), evaluation_episodes=1)
        assert session.start(config, folder, {"saccade": "0"}, ignore, never) is not None
    return folder


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zips") / "dqn.zip"
    trained(CASES["dqn"]).save(path)
    return path


def contents(document: Any, most: int = MOST) -> Iterator[bytes]:
    yield from TEXTS.values()
    yield from map(as_bytes, variants(document, most))


def test_a_configuration(run: Path, tmp_path: Path) -> None:
    good = json.loads((run / "config.json").read_text())
    path, refused = tmp_path / "config.json", 0
    for content in contents(good, 3 * MOST):
        path.write_bytes(content)
        sentence = answered(lambda: read_config(tmp_path))
        refused += sentence is not None
        assert content not in TEXTS.values() or sentence is not None, content
    assert refused > MOST


def forged(folder: Path, name: str, content: bytes) -> None:
    """Put a file into a checkpoint whose manifest then vouches for it."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    signed(folder, manifest)


def signed(folder: Path, manifest: Any) -> None:
    if isinstance(manifest, dict):
        manifest.pop("digest", None)
        manifest["digest"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_manifest_that_its_own_sum_vouches_for(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "checkpoints", tmp_path / "checkpoints")
    last = newest(tmp_path)
    good = json.loads((last / "manifest.json").read_text())
    del good["digest"]
    for manifest in variants(good, MOST):
        signed(last, manifest)
        answered(lambda: newest_checkpoint(last.parent))
    for content in TEXTS.values():
        (last / "manifest.json").write_bytes(content)
        assert newest_checkpoint(last.parent)[0].folder != last
    outside = tmp_path / "secret"
    outside.write_bytes(b"x")
    signed(last, good | {"files": {"../../secret": {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}}})
    assert "no file of a checkpoint" in newest_checkpoint(last.parent)[1][last]


@pytest.mark.parametrize("name", ["counters.json", "environments.json"])
def test_a_document_of_a_checkpoint(name: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is resumed: what cannot be right is refused, and nothing runs for ever."""
    without_simulator(monkeypatch)
    folder, refused = tmp_path / "run", 0
    good = json.loads((newest(run) / name).read_text())
    for content in contents(good, 40):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(run, folder)
        forged(newest(folder), name, content)
        refused += answered(lambda: session.resume(folder, None, ignore, never, fail)) is not None
    assert refused > len(TEXTS)


@pytest.mark.filterwarnings("ignore:.*that line is left out")
@pytest.mark.parametrize(("name", "kind"), [("metrics.jsonl", None), ("evaluations.jsonl", EvaluationRow)])
def test_rows(name: str, kind: Any, run: Path, tmp_path: Path) -> None:
    lines = (run / name).read_bytes().splitlines()
    path = tmp_path / name
    for content in contents(json.loads(lines[-1])):
        path.write_bytes(b"\n".join([lines[0], content, lines[-1], b""]))
        rows = read_rows(path, kind) if kind else read_rows(path)
        assert rows[0] == json.loads(lines[0]) and rows[-1] == json.loads(lines[-1])
        assert all(isinstance(row["env_steps"], int) and row["env_steps"] >= 0 for row in rows)


def test_a_row_that_is_none_is_said(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"env_steps": 1}\n{"env_steps": "2"}\n{"env_steps": 3}\n{"env_st')
    with pytest.warns(UserWarning, match=r"metrics\.jsonl is damaged in line 2 .expected `int`, got `str`"):
        assert read_rows(path) == [{"env_steps": 1}, {"env_steps": 3}]


def test_what_a_run_said_of_its_machine(run: Path, tmp_path: Path) -> None:
    for content in contents(json.loads((run / "env.json").read_text())):
        (tmp_path / "env.json").write_bytes(content)
        assert had_graphs(tmp_path) in (False, True)


@pytest.mark.parametrize("name", ["explanation.json", "scores.jsonl"])
def test_an_explanation(name: str, tmp_path: Path) -> None:
    path = write_folder(tmp_path, modes=("train",), methods=("gradient",)) / name
    good = path.read_bytes().splitlines()[-1]
    for content in contents(json.loads(good)):
        path.write_bytes(content)
        answered(lambda: read_explanation(tmp_path))


def test_the_settings_of_a_zip(zipped: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(zipped) as archive:
        good, weights = json.loads(archive.read("data")), archive.read("policy.pth")
    # Settings that only training needs are not looked at.
    read_of = ("policy_class", "policy_kwargs", "observation_space", "action_space", "num_timesteps", "use_sde")
    rest = {name: value for name, value in good.items() if name not in read_of}
    path = tmp_path / "hostile.zip"
    texts = list(TEXTS.values())
    changed = [as_bytes(rest | one) for one in variants({name: good[name] for name in read_of}, 150)]
    for content in (*texts, *changed):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data", content)
            archive.writestr("policy.pth", weights)
        sentence = answered(lambda: load_any(path, device="cpu"))
        assert content not in texts or sentence is not None, content[:80]


# --- the reader itself ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ('{"a": "1"}', dict[str, int], "expected `int`, got `str` at "),
        ("[1, true]", list[int], r"expected `int`, got `bool` at \[1\]"),
        ("-1", documents.Count, "expected `int` >= 0"),
        ("{", dict[str, Any], "it is not JSON"),
        ("[" * 70 + "]" * 70, list[Any], "more than 64 deep"),
        ("[" * 2_000_000, list[Any], "deep|not JSON"),
        (str(2**63), int, "a number of 19 digits"),
        ("1e400", float, "out of range"),
    ],
)
def test_what_is_wrong_is_said(text: str, kind: Any, sentence: str) -> None:
    with pytest.raises(BadDocument, match=sentence):
        parse(text, kind)


def test_what_is_right_is_as_it_was_written() -> None:
    value = {"a": [1, 2.5, None, True, "é"], "b": {"c": -(2**63 - 1)}}
    assert parse(json.dumps(value), dict[str, Any]) == value
    assert parse("3", float) == 3.0


# --- files that never end ---------------------------------------------------------------------------


def endless(folder: Path) -> Iterator[Path]:
    pipe = folder / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    yield pipe
    for name, target in (("zero", "/dev/zero"), ("device", "/dev/random"), ("folder", str(folder))):
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(target)
        yield link


def within_seconds(ask: Callable[[], Any], seconds: float = 20.0) -> str | None:
    """``answered``, which must be over in time: a reader that waits for a pipe would wait for ever."""
    found: list[Any] = []

    def call() -> None:
        try:
            found.append(answered(ask))
        except BaseException as error:  # told to the test
            found.append(error)
            raise

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, "it did not end"
    assert not isinstance(found[0], BaseException), found[0]
    return found[0]


POLICY: Any = None
"""What reading recorded observations needs, and not before the file is open."""

READERS: dict[str, Callable[[Path], Any]] = {
    "a document": lambda path: read_document(path, dict[str, Any]),
    "lines": lambda path: list(read_lines(path)),
    "weights": lambda path: read(path, "it"),
    "a zip": read_zip,
    "anything": lambda path: load_any(path, device="cpu"),
    "a guard": refuse_endless,
}


BANKS: dict[str, Callable[[Path], Any]] = {
    "colours": load_colors,
    "a clip": lambda path: decode_clip(path, 84),
    "a texture": read_texture,
    "a picture": lambda path: _picture(path),
    "recorded": lambda path: read_recorded(path.rename(path.with_suffix(".npz")) if path.is_fifo() else path, POLICY),
}


def _picture(path: Path) -> None:
    try:
        read_picture(path, {"PNG"})
    except UnusableError as error:
        raise UserError(str(error)) from error


@pytest.mark.parametrize("bank", BANKS)
def test_data_that_never_ends_is_refused(bank: str, tmp_path: Path) -> None:
    for path in endless(tmp_path):
        if bank == "recorded" and path.is_dir():
            continue  # it may be of pictures
        sentence = within_seconds(lambda path=path: BANKS[bank](path))
        assert sentence is not None and "not a file" in sentence, sentence


@pytest.mark.parametrize("mode", ["color_easy", "video_easy"])
def test_a_data_folder_of_pipes(mode: str, tmp_path: Path) -> None:
    name = tmp_path / ("color_easy.pt" if mode == "color_easy" else "video_easy/video0.mp4")
    name.parent.mkdir(exist_ok=True)
    os.mkfifo(name)
    folder = DataFolder(tmp_path)
    if mode == "color_easy":
        sentence = within_seconds(lambda: folder.colors("color_easy"))
        assert sentence is not None and "color_easy.pt is a pipe, not a file" in sentence
    else:
        assert folder.clips("video_easy") == []


@pytest.mark.parametrize("number", range(4))
def test_a_cache_that_never_ends_is_made_again(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    bad = list(endless(tmp_path))[number]
    bad.rename(tmp_path / "cache" / "mine.npy")
    made = np.arange(2 * 3, dtype=np.uint8).reshape(2, 3)
    found: list[Any] = []

    def ask() -> None:
        assert not is_cached("mine", (3,))
        found.append(cached_array("mine", (3,), lambda: made))

    within_seconds(ask)
    np.testing.assert_array_equal(found[0], made)


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_never_ends_is_refused(reader: str, tmp_path: Path) -> None:
    for path in endless(tmp_path):
        sentence = within_seconds(lambda path=path: READERS[reader](path))
        assert sentence is not None and ("not a file" in sentence or "not a run folder" in sentence), sentence


@pytest.mark.parametrize("name", ["manifest.json", "networks.safetensors", "counters.json"])
def test_a_checkpoint_of_pipes_is_passed_over(name: str, run: Path, tmp_path: Path) -> None:
    for number, path in enumerate(endless(tmp_path)):
        shutil.copytree(run / "checkpoints", tmp_path / str(number) / "checkpoints")
        last = newest(tmp_path / str(number))
        (last / name).unlink()
        (last / name).symlink_to(path)
        assert within_seconds(lambda last=last: newest_checkpoint(last.parent)) is None
        assert newest_checkpoint(last.parent)[0].folder != last


def test_no_more_is_read_than_a_file_of_its_kind_has(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 11)
    assert read_bounded(path, 11) == b"x" * 11
    with pytest.raises(NoFile, match="larger than 10 bytes"):
        read_bounded(path, 10)


# --- more than a machine holds ----------------------------------------------------------------------


@pytest.mark.parametrize("member", ["data", "policy.pth"])
def test_a_bomb_is_not_unpacked(member: str, zipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_BYTES", 2**20)
    monkeypatch.setattr("saccade.policies.sources.weights.MOST_BYTES", 2**20)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(zipped) as good, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("data", "policy.pth"):
            archive.writestr(name, bytes(2**22) if name == member else good.read(name))
    with pytest.raises(UserError, match=rf"declares 4,194,304 bytes of '{member}'"):
        read_zip(path)


def test_a_bomb_of_weights_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saccade.policies.sources.weights.MOST_BYTES", 2**20)
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(2**22))
    with pytest.raises(UserError, match="declares 4,194,304 bytes of weights"):
        read(path, "it")


def test_weights_that_are_larger_than_their_file(tmp_path: Path) -> None:
    """An expanded tensor has billions of numbers and a file of a kilobyte."""
    path = tmp_path / "hollow.pt"
    torch.save({"weight": torch.zeros(1).expand(10**6, 10**6)}, path)
    with pytest.raises(UserError, match=r"'weight' have shape \(1000000, 1000000\), but the file has fewer numbers"):
        list(state_dicts(read(path, "it")))


@pytest.mark.parametrize(
    ("space", "change", "sentence"),
    [
        ("action_space", {"n": 10**8}, "declares 100,000,000 actions"),
        ("action_space", {"n": "9" * 5000}, "cannot be read without unpickling"),
        ("observation_space", {"_shape": [10**5, 10**5, 3]}, "which no picture has"),
    ],
)
def test_spaces_that_no_machine_holds(
    space: str, change: dict[str, Any], sentence: str, zipped: Path, tmp_path: Path
) -> None:
    path = tmp_path / "huge.zip"
    with zipfile.ZipFile(zipped) as good, zipfile.ZipFile(path, "w") as archive:
        data = json.loads(good.read("data"))
        data[space] |= change
        archive.writestr("data", json.dumps(data))
        archive.writestr("policy.pth", good.read("policy.pth"))
    with pytest.raises(UserError, match=sentence):
        load_any(path, device="cpu")


def test_a_maps_file_that_declares_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path, modes=("train",))
    monkeypatch.setattr("saccade.data.memory.available_bytes", lambda device: 1000)
    with pytest.raises(UserError, match=r"train\.npz needs .* of memory"):
        read_maps(read_explanation(folder), "train")
