"""A method in a person's own file, ``file.py:NAME``: trained, resumed, evaluated, explained, and run only if named."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import saccade
from saccade.agents import methods_of
from saccade.agents.methods_of import label_of, method_of, open_named
from saccade.agents.presets import preset
from saccade.agents.small_settings import SMALL
from saccade.cli import main, train_command
from saccade.runs.config import read_config
from saccade.train.session import run_folder
from saccade.types import UserError

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-method.md"
EXAMPLE = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)[0]
COMMANDS = re.findall(r"^```text\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)[0].splitlines()
NAME = "my_method.py:INVARIANCE"
TASK = "dmc/cartpole_balance"
TINY = shlex.split(
    "--image-size 16 --filters 4 --conv-layers 2 --projection 8 --hidden 16 --batch-size 4 --image-count 8 "
    "--render-quality fast --action-repeat 100 --steps 12 --random-steps 8 --workers 0 --threads 1 --device cpu "
    "--evaluate-every 0 --evaluation-episodes 1 --evaluation-modes train --checkpoint-every 6"
)
EVALUATE = shlex.split("--modes train --episodes 1 --workers 0 --device cpu")
EXPLAIN = shlex.split("--modes train --methods gradient --frames 2 --max-steps 4 --device cpu")
RAN = "\nimport pathlib\npathlib.Path('ran').touch()\n"

of_another_file = pytest.mark.filterwarnings("always:.* is not the file that")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In an empty folder, by a person who has named no file yet; threads are as before, whatever --threads said."""
    before = torch.get_num_threads()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(methods_of, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr(methods_of, "_OPENED", {})
    Path("my_method.py").write_text(EXAMPLE)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of the guide's method, and then another process."""
    assert main(["train", NAME, TASK, *TINY, "--out", "run"]) == 0
    another_process(monkeypatch)
    return Path("run")


def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods_of, "_OPENED", {})


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a mistake is answered with: one line, and exit code 2."""
    capsys.readouterr()
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert err.startswith("saccade: ") and err.count("\n") == 1 and "Traceback" not in out + err, err
    return err.strip()


def opening(run: Path) -> list[list[str]]:
    """Every command that opens a run."""
    return [
        ["evaluate", str(run), *EVALUATE],
        ["explain", str(run), *EXPLAIN],
        ["score", str(run), *EXPLAIN],
        ["train", "--resume", str(run), "--steps", "18"],
    ]


def test_the_guides_commands_run(monkeypatch: pytest.MonkeyPatch) -> None:
    smaller = {"train": [*TINY, "--steps", "12"], "evaluate": EVALUATE[2:], "explain": EXPLAIN[2:]}
    steps = {"300": "12", "100": "8", "400": "18"}
    assert [line.split()[1] for line in COMMANDS] == ["train", "train", "evaluate", "explain"]
    for line in COMMANDS:
        words = [steps.get(word, word) for word in shlex.split(line)[1:]]
        more = [] if "--resume" in words else smaller[words[0]]
        assert main([*words, *more]) == 0, line
        another_process(monkeypatch)
    folder = Path("runs", "invariance")
    config = json.loads((folder / "config.json").read_text())
    assert config["method"] == str(Path(NAME).resolve()) and config["agent"]["invariance_weight"] == 1.0
    assert json.loads((folder / "result.json").read_text())["env_steps"] == 18
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    evaluations = [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines()]
    assert {row["method"] for row in evaluations} == {"my_method-INVARIANCE"}
    assert {"train", "video_hard"} <= {row["mode"] for row in evaluations} and rows
    assert (folder / "explain" / "report.html").is_file()
    policy = saccade.load(folder, device="cpu")
    assert policy.name == "my_method-INVARIANCE" and policy.env_steps == 18


def test_its_hyper_parameters_are_flags_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    assert "or FILE.PY:NAME, a Method of that name" in capsys.readouterr().out
    assert main(["train", NAME, TASK, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "--invariance-weight X Weight of the invariance loss relative to the Bellman error. (default: 0.5)" in told
    config, folder = train_command.parse([NAME, TASK, "--invariance-weight", "2"])
    assert config.agent.invariance_weight == 2 and config.method == str(Path(NAME).resolve())
    assert folder == Path("runs", "dmc-cartpole_balance", "my_method-INVARIANCE", "0") == run_folder(config)


def test_its_presets_are_its_own_defaults_and_small_networks() -> None:
    name = open_named(NAME)
    row = method_of(name)
    assert preset(name, "manipulation/reach").agent == row.config and preset(name, TASK).sources == {}
    small = preset(name, TASK, "small").agent
    assert small.sac.architecture == SMALL and small.invariance_weight == row.config.invariance_weight
    with pytest.raises(UserError, match="smg_rerun"):
        preset(name, TASK, "smg_rerun")


WRONG = {
    "no_file.py:INVARIANCE": ("", "There is no file"),
    "mine.py": ("", "Say which method of .* with mine.py:INVARIANCE; it has INVARIANCE"),
    "mine.py:Invariance": ("", "names no method of .*, which is no Method; it has INVARIANCE"),
    "mine.py:OTHER": ("", "names no method of .*, which it does not have; it has INVARIANCE"),
    "none.py:INVARIANCE": ("x = 1\n", "it has none: make one with saccade.agents.Method"),
    "syntax.py:A": ("x = 1\ndef (\n", r"SyntaxError: .*syntax.py, line 2"),
    "raises.py:A": ("x = 1\n1 / 0\n", r"ZeroDivisionError: division by zero \(.*raises.py, line 2\)"),
    "config.py:A": (
        "from saccade.agents import Method\nA = Method('', '', {'lr': 1}, print)\n",
        "must be an instance of a dataclass",
    ),
    "size.py:A": (
        "from saccade.agents import Method\nfrom saccade.agents.configs import SAC\nA = Method('', '', SAC(), print)\n",
        r"rendered_size\(config\) of .*size.py:A failed: AttributeError",
    ),
    "kept.py:A": (
        "import dataclasses, pathlib\nfrom saccade.agents import Method\n\n@dataclasses.dataclass\nclass Own:\n"
        "    place: pathlib.Path = pathlib.Path()\n\nA = Method('', '', Own(), print)\n",
        "cannot be stored in a run .Object of type PosixPath is not JSON serializable",
    ),
    "loop.py:INVARIANCE": (
        EXAMPLE.replace("    make_invariance,", "    make_invariance, 'rollouts',"),
        "'rollouts': it must",
    ),
    "actions.py:INVARIANCE": (
        EXAMPLE.replace("    make_invariance,", "    make_invariance, actions=int,"),
        "The actions of .*:INVARIANCE must be a tuple",
    ),
    "clash.py:INVARIANCE": (
        EXAMPLE.replace("invariance_weight", "log_every"),
        "hyper-parameter log_every of clash-INVARIANCE is an option of every run",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_or_name_is_one_sentence(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text, expected = WRONG[name]
    file = Path(name.partition(":")[0])
    if file.name != "no_file.py":
        file.write_text(text or EXAMPLE)
    for words in (["train", name, TASK, *TINY, "--out", "run"], ["train", name, TASK, "--help"]):
        assert re.search(expected, refusal(capsys, *words))
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("nets = sac.make", "nets = saccade.make", "Making the agent of my_method-INVARIANCE failed: NameError"),
        ('batch.drawn["aug', 'batch.drawn["org', "Training my_method-INVARIANCE failed: KeyError"),
        (
            "prepare=in_order(",
            "prepare=in_order(lambda batch, generator: batch.nothing, ",
            "Training my_method-INVARIANCE failed: AttributeError",
        ),
    ],
)
def test_an_error_in_the_file_is_told_with_its_line(
    before: str, after: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = EXAMPLE.replace(before, after)
    Path("my_method.py").write_text(text)
    sentence = refusal(capsys, "train", NAME, TASK, *TINY, "--out", "run")
    line = next(number for number, own in enumerate(text.splitlines(), 1) if after in own)
    assert expected in sentence
    assert f"my_method.py, line {line})" in sentence


def test_an_error_while_it_acts_is_told_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    acting = "act=lambda obs, generator: obs.nothing"
    Path("my_method.py").write_text(EXAMPLE.replace("act=sac.squashed_gaussian_policy(nets)", acting))
    words = [*TINY, "--random-steps", "12", "--evaluation-modes"]  # it learns nothing and never acts
    assert main(["train", NAME, TASK, *words, "--out", "run"]) == 0
    sentence = refusal(capsys, "evaluate", "run", *EVALUATE, "--sampled")
    assert "Acting by my_method-INVARIANCE failed: AttributeError" in sentence and "my_method.py, line" in sentence


@of_another_file
def test_a_run_alone_has_no_file_run(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever writes a run folder can write the digest of any file into it."""
    shutil.copytree(run, "theirs")
    evil = Path("theirs", "evil.py").resolve()
    evil.write_text(EXAMPLE + RAN)
    for file, key, value in (
        ("config.json", "method", f"{evil}:INVARIANCE"),
        ("env.json", "method_sha256", methods_of._digest(evil, "")),
    ):
        path = Path("theirs", file)
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    for words in opening(Path("theirs")):
        sentence = refusal(capsys, *words)
        meant = f"if it is the one you mean, say so with --method {evil}"
        assert f"a file that you have not named before: {meant}" in sentence
    assert not Path("ran").exists()
    assert main([*opening(Path("theirs"))[0], "--method", f"{evil}:INVARIANCE"]) == 0
    assert Path("ran").exists()
    another_process(monkeypatch)
    assert main(opening(Path("theirs"))[0]) == 0  # from now on it is named


def test_a_moved_file_is_said_and_can_be_named(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("there").mkdir()
    Path("my_method.py").rename("there/renamed.py")
    for words in opening(run):
        assert "run was trained with it: say which it is now with --method FILE.PY:NAME" in refusal(capsys, *words)
    for words in opening(run):
        assert main([*words, "--method", "there/renamed.py:INVARIANCE"]) == 0
        assert "warning" not in capsys.readouterr().err  # it is the same file
    another_process(monkeypatch)
    assert read_config(run).method == str(Path("there/renamed.py:INVARIANCE").resolve())  # which --resume kept


@of_another_file
def test_a_changed_file_is_said_and_can_be_meant(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("my_method.py").write_text(EXAMPLE + RAN)
    for words in opening(run):
        assert f"my_method.py has changed since {run} was trained" in refusal(capsys, *words)
    assert not Path("ran").exists()
    for words in opening(run):
        assert main([*words, "--method", NAME]) == 0
        assert "is not the file that run was trained with" in capsys.readouterr().err
        another_process(monkeypatch)
    assert Path("ran").exists()
    (note,) = [json.loads(line) for line in (run / "notes.jsonl").read_text().splitlines()]
    assert note["env_steps"] == 12 and note["note"].endswith(methods_of._digest(Path("my_method.py"), ""))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert saccade.load(run, device="cpu").env_steps == 18  # --resume kept it
        assert saccade.load(run, device="cpu", method=NAME).name == label_of(NAME)


@of_another_file
def test_another_configuration_than_the_runs_is_one_sentence(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("my_method.py").write_text(EXAMPLE.replace("invariance_weight", "other_weight"))
    assert main([*opening(run)[0], "--method", NAME]) == 2
    sentence = capsys.readouterr().err
    assert "invariance_weight, other_weight" in sentence and "my_method-INVARIANCE" in sentence


def test_method_is_only_for_runs_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["evaluate", "zoo:sac-reach"], ["explain", "zoo:sac-reach"]):
        assert "was trained with sac: leave it out" in refusal(capsys, *words, "--method", NAME)
    assert "none: leave it out" in refusal(capsys, "explain", "x.zip", "--method", NAME)


def test_two_files_of_one_name_are_two_methods() -> None:
    Path("there").mkdir()
    Path("there/my_method.py").write_text(EXAMPLE.replace("= 0.5", "= 0.25"))
    ours, theirs = open_named(NAME), open_named(f"there/{NAME}")
    assert [method_of(name).config.invariance_weight for name in (ours, theirs)] == [0.5, 0.25]
