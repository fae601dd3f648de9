"""What people are told before anything runs: help of every command, quickly, in full, and in lines that fit."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import saccade
from saccade.agents import METHODS, configs
from saccade.cli import main
from saccade.cli.commands import COMMANDS
from saccade.cli.help import METAVARS, WIDEST, Option, nothing_given, options_of
from saccade.cli.parsing import whole_number
from saccade.cli.train_options import Resume, train_options
from saccade.later import Later
from saccade.policies.score_kinds import SCORES
from saccade.runs.training import OffPolicy
from saccade.saliency import METHODS as SALIENCY

TASK = "dmc/cartpole_balance"
GRID = "minigrid/red_fetch_green"
HEAVY = ("torch", "gymnasium", "matplotlib", "av", "dm_control", "mujoco")
HELPS = [*COMMANDS, "train sgqn", f"train sgqn {TASK}", f"train ppo {GRID}", "train --resume run"]
QUICK = [*(f"{words} --help" for words in ("", *HELPS)), "list", "list --preset sgqn", "list --preset small"]
FLAG = re.compile(r"^  (--[\w-]+|WHAT|RUN|VERB|NAME)\b", re.MULTILINE)

LOADED = """
import json, sys
from saccade.cli import main
codes = []
for words in json.loads(sys.argv[1]):
    codes.append(main(words.split()))
    print("LOADED", json.dumps([words, [name for name in json.loads(sys.argv[2]) if name in sys.modules]]))
sys.exit(max(codes))
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(saccade.__file__).parents[1])}


def test_neither_help_nor_a_list_loads_what_takes_seconds() -> None:
    """What is loaded is counted, not timed: a machine may be busy."""
    words = [sys.executable, "-c", LOADED, json.dumps(QUICK), json.dumps(HEAVY)]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True)
    told = [json.loads(line.partition(" ")[2]) for line in done.stdout.splitlines() if line.startswith("LOADED")]
    assert told == [[words, []] for words in QUICK]


def test_gymnasium_knows_the_tasks_whichever_is_imported_first() -> None:
    for order in ("saccade, gymnasium", "gymnasium, saccade", "saccade, gymnasium.envs.registration as gymnasium"):
        code = f"import {order}; print('dmc/walker_walk' in gymnasium.registry)"
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
        )
        assert done.stdout == "True\n"


def test_python_m_saccade_is_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "saccade", "--version"], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == saccade.__version__


@pytest.mark.parametrize("words", HELPS)
@pytest.mark.parametrize("columns", [70, 200])
def test_help_fits_and_begins_with_usage_and_examples(
    words: str, columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main([*words.split(), "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.startswith("usage: saccade ") and "\nexamples:\n  saccade " in out
    options = out.split("\nexamples:\n")[1].split("\n\n", 1)[1]
    assert max(map(len, options.splitlines())) <= min(columns, WIDEST)
    assert "None" not in out.replace("None of", "") and "{" not in re.sub(r"\{[\w,]+\}", "", out) and "`" not in out


def told(words: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main([*words.split(), "--help"]) == 0
    return FLAG.findall(capsys.readouterr().out)


def typed(options: list[Option]) -> list[str]:
    return [option.typed.split()[0].rstrip(",") for option in options]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "train"])
def test_every_option_of_a_command_is_told_once(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    kind = COMMANDS[name].options
    assert kind is not None
    assert sorted(told(name, capsys)) == sorted(typed(options_of(nothing_given(kind))))


@pytest.mark.parametrize("method", METHODS)
def test_every_option_of_training_is_told_once(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = typed(options_of(train_options(method, TASK, "paper")()))
    assert sorted(told(f"train {method} {TASK}", capsys)) == sorted([*options, "--preset"])
    general = set(told("train", capsys))
    assert (
        general <= {*options, "--preset"} and "--steps" in general and not general & {"--batch-size", "--random-steps"}
    )
    replay = {option.typed.split()[0].rstrip(",") for option in options_of(OffPolicy())}
    assert replay & set(options) == (replay if METHODS[method].loop == "off_policy" else set())


def every_option() -> Iterator[Option]:
    for command in COMMANDS.values():
        if command.options is not None:
            yield from options_of(nothing_given(command.options))
    for method in METHODS:
        yield from options_of(train_options(method, TASK, "paper")())
    yield from options_of(Resume(Path("run")))


def test_every_option_is_explained() -> None:
    options = list(every_option())
    assert len(options) > 100
    assert [option.name for option in options if len(option.sentence.partition("(default")[0].split()) < 3] == []


def test_headings_and_names_of_values_are_of_options_that_exist() -> None:
    names = {option.name for option in every_option()} | {"preset"}
    headed = [name for command in COMMANDS.values() for group in command.groups.values() for name in group]
    assert set(headed) <= names and set(METAVARS) <= names


def test_help_has_the_methods_values_for_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "sgqn", TASK, "--help"]) == 0
    assert "--quantile X" in (out := capsys.readouterr().out) and "(default: 0.98)" in out
    assert main(["train", "sgqn", TASK, "--preset", "small", "-h"]) == 0
    assert "--preset small" in (out := " ".join(capsys.readouterr().out.split()))
    assert "--batch-size N Transitions in a minibatch. (default: 24)" in out


def test_help_of_what_does_not_exist_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "trian"]) == 2 and "Did you mean train" in capsys.readouterr().err
    assert main(["train", "SGQN", "--help"]) == 2 and "Did you mean sgqn" in capsys.readouterr().err


def test_list_says_what_a_preset_changes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--preset", "small", "--task", "manipulation/reach"]) == 0
    out = capsys.readouterr().out
    replay, rollouts = map(compared, out.split("methods that learn from rollouts: ppo, fls\n"))
    assert replay["--steps"][:2] == ["20000", "(digr"] and replay["--render-quality"] == ["fast", "full"]
    assert replay["--image-size"] == ["40", "84"] and replay["--batch-size"][:3] == ["24", "(digr", "64,"]
    assert "250000 (digr 100000," in out and "128 (smg 64, sada 256," in out
    assert rollouts["--steps"] == ["204800", "500000"] and rollouts["--envs"] == ["8", "1"]
    assert not {"--discount", "--gae-lambda"} & {*replay, *rollouts} and "CPU can manage" in " ".join(out.split())


def compared(told: str) -> dict[str, list[str]]:
    """The values of each option in a table of ``saccade list``."""
    lines = (line.split() for line in told.splitlines() if line.startswith("--") and ":" not in line)
    return {name: values for name, *values in lines}


def test_list_compares_the_methods_that_can_learn_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--preset", "small", "--task", GRID]) == 0
    out = capsys.readouterr().out
    assert "rollouts: ppo, fls, sg_ppo" in out and "replay: digr, distillation, dqn, sg_dqn\n" in out
    assert compared(out)["--num-actions"] == ["4", "7"] and compared(out)["--wrong-pick"] == ["0.0", "-1.0"]
    assert main(["list", "--preset", "sac", "--task", GRID]) == 2
    assert "use one of ppo, fls" in capsys.readouterr().err


def test_sources_of_what_learns_from_rollouts_are_not_those_of_sac(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["list", "--preset", "ppo", "--task", GRID]) == 0
    sources = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.startswith("--")}
    assert "DIGR paper" in sources["--clip-range"] and "Baselines" in sources["--gae-lambda"]
    assert "FetchColorEnv" in sources["--wrong-pick"] and "not published" in sources["--evaluation-sampled"]
    assert not any("DMControl-GB" in line for line in sources.values())


def test_configurations_are_where_their_methods_are() -> None:
    from saccade.agents.methods.sac import SAC, Architecture
    from saccade.agents.methods.sgqn import SGQN

    assert (SAC, Architecture, SGQN) == (configs.SAC, configs.Architecture, configs.SGQN)
    assert all(type(row.config).__module__.startswith("saccade.agents.configs") for row in METHODS.values())


def test_a_function_named_in_a_table_is_like_the_function() -> None:
    later = Later("saccade.saliency.smooth_gradient", "smooth_gradient", {"guided": True})
    assert later.__name__ == "smooth_gradient" and inspect.signature(later).parameters["guided"].default is True
    assert Later("math", "hypot")(3, 4) == 5
    rows = [*METHODS.values(), *SCORES.values()]
    functions = [row.make for row in rows] + [method.find for method in SALIENCY.values()]
    assert all(isinstance(function, Later) and callable(function.function) for function in functions)


@pytest.mark.parametrize(
    ("word", "number"), [("1e5", 100_000), ("100_000", 100_000), ("-7", -7), ("2.5e3", 2500), ("1E2", 100), ("7.0", 7)]
)
def test_whole_numbers_as_people_write_them(word: str, number: int) -> None:
    assert whole_number(word) == number


@pytest.mark.parametrize("word", ["1.5", "1e-1", "nan", "inf", "1e999999999", "-1e31", "five", "", "0x10", "9" * 5000])
def test_what_is_no_whole_number_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="not a whole number"):
        whole_number(word)
    with pytest.raises(SystemExit) as left:
        main(["train", "sac", TASK, f"--steps={word}"])
    assert left.value.code == 2 and "whole number" in " ".join(capsys.readouterr().err.split())
