"""The zoo: real runs, kept small, that every command takes by name, that say of themselves what is so, and that nobody
writes to."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import saccade
from saccade.agents.given import Given
from saccade.cli import main, train_command
from saccade.data.checkpoints import newest_checkpoint
from saccade.data.documents import read_document
from saccade.envs.config import EnvConfig
from saccade.envs.suites import modes_of
from saccade.policies.evaluate import episode_seeds, evaluate, in_mode
from saccade.runs.agents import make_agent, spaces_of
from saccade.runs.config import read_config
from saccade.runs.training import RunConfig
from saccade.runs.zoo import PREFIX, ZOO, account_of, zoo_folder, zoo_names
from saccade.train import session
from saccade.train.logs import read_rows
from saccade.types import UserError

NAMES = zoo_names()
MOST_BYTES = 2_000_000
PPO = "ppo-red-fetch-green"
EPISODES = 4
SAME_RETURN = 0.02  # of returns up to 50: other processors round otherwise
SAME_WEIGHT = 1e-3  # of sums of up to 500,000 numbers, for the same reason
FIRST_ROLLOUT = 2048  # agent steps, before which PPO learns nothing
RANDOM_STEPS = 200  # agent steps, with which the others begin: four episodes

every_agent = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working folder of its own; and what lies in the package is afterwards as it was."""
    monkeypatch.chdir(tmp_path)
    before = listing()
    yield
    assert listing() == before


def listing() -> dict[str, tuple[int, int]]:
    stats = {str(path): path.stat() for path in ZOO.rglob("*")}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def kept_rows(name: str) -> list[dict[str, Any]]:
    """Of the weights as they are kept."""
    result = read_document(zoo_folder(name) / session.RESULT, dict[str, Any])
    return [row for row in read_rows(zoo_folder(name) / session.EVALUATIONS) if row["env_steps"] == result["env_steps"]]


def recorded(name: str) -> RunConfig:
    return read_config(zoo_folder(name))


# --- what is kept -----------------------------------------------------------------------------------


def test_there_is_a_method_on_two_tasks_and_another_to_hold_it_against() -> None:
    configs = [recorded(name) for name in NAMES]
    assert {"sgqn-reach", "sac-reach", PPO} <= set(NAMES)
    assert len({config.env.task for config in configs}) >= 2 and len({config.method for config in configs}) >= 3


@every_agent
def test_it_is_small_finished_and_says_nothing_of_whose_machine_it_was(name: str) -> None:
    files = [path for path in zoo_folder(name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    assert {"config.json", "env.json", "metrics.jsonl", "evaluations.jsonl", "result.json", "card.md"} <= {
        path.name for path in files
    }
    config = recorded(name)
    assert config.training.images is None and config.env.option("data") is None
    for path in files:
        if path.suffix in (".json", ".jsonl", ".md"):
            told = re.findall(r"(?<![\w.)>])/(?:home|root|tmp|work|mnt|Users|usr|var|data)\b[^\s\"]*", path.read_text())
            assert told == [], path


@every_agent
def test_weights_are_in_float16_and_the_policy_acts(name: str) -> None:
    checkpoint, problems = newest_checkpoint(zoo_folder(name) / session.CHECKPOINTS)
    weights = checkpoint.tensors("networks").values()
    assert not problems and {value.dtype for value in weights if value.is_floating_point()} == {torch.float16}
    policy = saccade.load(f"{PREFIX}{name}", device="cpu")
    assert policy.source == f"{PREFIX}{name}"
    assert {value.dtype for value in policy.network.parameters()} == {torch.float32}
    with saccade.make(recorded(name).env.task, **fields_of(recorded(name).env)) as env:
        obs, _ = env.reset(seed=0)
        assert env.action_space.contains(policy.act(obs))


def fields_of(env: EnvConfig) -> dict[str, Any]:
    return {"image_size": env.image_size, "frame_stack": env.frame_stack, "options": env.options}


@every_agent
def test_the_card_tells_the_rows(name: str) -> None:
    text, rows = (zoo_folder(name) / "card.md").read_text(), kept_rows(name)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    assert lines[0][:5] == ["mode", "actions", "episodes", "return", "success"]
    told = {(mode, actions): tuple(cells) for mode, actions, *cells, _, _ in lines[1:]}
    assert told == {
        (row["mode"], "drawn" if row["sampled"] else "most likely"): (
            str(row["episodes"]), f"{row['return_mean']:.2f} ± {row['return_std']:.2f}", f"{row['success_rate']:.2f}",
        )
        for row in rows
    }  # fmt: skip
    assert {row["mode"] for row in rows} == set(modes_of(recorded(name).env.task))
    assert f"`{account_of(name).command}`" in text and f"seed {recorded(name).training.seed}" in text
    for version in read_document(zoo_folder(name) / "env.json", dict[str, Any])["versions"].values():
        assert version in text


@every_agent
def test_the_rows_are_of_these_weights(name: str) -> None:
    row = kept_rows(name)[0]
    config, policy = recorded(name), saccade.load(f"{PREFIX}{name}", device="cpu")
    assert (
        episode_seeds(row["episode_seed"], EPISODES) == episode_seeds(row["episode_seed"], row["episodes"])[:EPISODES]
    )
    again = evaluate(
        policy.act, in_mode(config.env, row["mode"]), episodes=EPISODES, seed=row["episode_seed"], workers=0
    )
    assert again.returns == pytest.approx(row["returns"][:EPISODES], abs=SAME_RETURN)


# --- they are real runs -----------------------------------------------------------------------------


@every_agent
def test_the_command_begins_as_the_run_did(name: str, tmp_path: Path) -> None:
    account, config = account_of(name), recorded(name)
    asked, _ = train_command.parse(shlex.split(account.command)[2:])
    as_here = replace(asked.training, precision=config.training.precision, envs=asked.training.envs or 1)
    assert replace(asked, training=as_here) == config
    checkpoint, _ = newest_checkpoint(zoo_folder(name) / session.CHECKPOINTS)
    spaces = spaces_of(checkpoint, config)
    agent = make_agent(config, spaces, torch.device("cpu"), Given(lambda count, size, generator: torch.empty(0)))
    told = {}
    for key, value in agent.networks.state_dict().items():
        flat = value.double().flatten()
        told[key] = [float(flat.sum()), float(flat[0]), float(flat[-1])]
    assert list(told) == list(account.first_weights)
    for key, numbers in told.items():
        assert numbers == pytest.approx(account.first_weights[key], abs=SAME_WEIGHT), key
    steps = FIRST_ROLLOUT if config.loop is None else RANDOM_STEPS
    shorter = replace(config.training, steps=steps, evaluate_every=0, evaluation_modes=())
    session.start(replace(config, training=shorter), tmp_path / "run", {}, lambda event, loop: None, lambda: False)
    again = episodes_of(read_rows(tmp_path / "run" / session.METRICS))
    first = episodes_of(read_rows(zoo_folder(name) / session.METRICS)[: account.first_rows])
    count = min(len(again), len(first))
    assert count >= 3
    for ours, theirs in zip(again[:count], first[:count], strict=True):
        assert ours == pytest.approx(theirs, abs=SAME_RETURN)


def episodes_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of episodes, without the time that they took."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows if "episode/return" in row]


# --- commands take it by name -----------------------------------------------------------------------


def test_explain_writes_into_the_working_folder(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", f"{PREFIX}{PPO}", "--frames", "2", "--methods", "gradient", "guided_backpropagation"]
    assert main(words) == 0
    folder = Path(f"explanations/zoo-{PPO}")
    assert (folder / "report.html").is_file() and (folder / "grids" / "train.png").stat().st_size > 0
    assert json.loads((folder / "explanation.json").read_text())["policy"]["source"] == f"{PREFIX}{PPO}"
    assert main([*words, "--modes", "noise"]) == 0  # the same agent's maps stand beside each other
    assert {path.name for path in (folder / "grids").iterdir()} == {"train.png", "noise.png"}
    assert str(folder) in capsys.readouterr().out.replace("\n", "")


def test_score_takes_it() -> None:
    assert main(["score", f"{PREFIX}{PPO}", "--frames", "2", "--methods", "gradient", "--sanity-frames", "1"]) == 0
    assert Path(f"explanations/zoo-{PPO}/scores.jsonl").is_file()


def test_evaluate_keeps_rows_in_the_working_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", f"{PREFIX}{PPO}", "--episodes", "2", "--modes", "train", "--workers", "0"]) == 0
    (row,) = read_rows(Path(f"runs/zoo/{PPO}/evaluations.jsonl"))
    recorded_returns = next(row["returns"] for row in kept_rows(PPO) if row["mode"] == "train" and not row["sampled"])
    assert row["returns"] == recorded_returns[:2]
    assert f"The rows of zoo:{PPO} are added to runs/zoo/{PPO}/evaluations.jsonl." in " ".join(
        capsys.readouterr().out.split()
    )


def test_the_folder_itself_is_the_same_agent() -> None:
    assert saccade.load(zoo_folder(PPO)).source == f"{PREFIX}{PPO}"
    assert main(["evaluate", str(zoo_folder(PPO)), "--episodes", "1", "--modes", "train", "--workers", "0"]) == 0
    assert Path(f"runs/zoo/{PPO}/evaluations.jsonl").is_file()


def test_a_folder_of_that_name_elsewhere_is_not() -> None:
    Path(PPO).mkdir()
    with pytest.raises(UserError, match=f"Did you mean zoo:{PPO}?"):
        saccade.load(PPO)


@pytest.mark.parametrize("command", ["explain", "score", "evaluate"])
def test_an_unknown_name_is_one_sentence_with_the_nearest(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "zoo:sgqn-reech"]) == 2
    sentence = "saccade: There is no agent 'zoo:sgqn-reech' in the zoo: did you mean zoo:sgqn-reach"
    told = capsys.readouterr().err
    assert told.startswith(sentence) and told.count("\n") == 1 and list(Path().iterdir()) == []
    assert main([command, "zoo:../../x"]) == 2 and f"there are zoo:{NAMES[0]}" in capsys.readouterr().err


def test_it_does_not_learn_on(capsys: pytest.CaptureFixture[str]) -> None:
    for run in (f"{PREFIX}{PPO}", str(zoo_folder(PPO))):
        assert main(["train", "--resume", run, "--steps", "600000"]) == 2
        assert f"zoo:{PPO} cannot be trained further" in capsys.readouterr().err
    assert main(["train", "--resume", "zoo:sac-rech"]) == 2 and "did you mean zoo:sac-reach" in capsys.readouterr().err


def test_list_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(any(line.startswith(f"{PREFIX}{name} ") for line in lines) for name in NAMES)
