"""Make a finished run an agent of the zoo: python scripts/make_zoo.py NAME RUN

RUN is the folder that the command of NAME in AGENTS wrote, with --out. What comes of it lies in src/saccade/zoo/NAME:
the run without optimizer, replay and TensorBoard, its weights in float16, evaluated again with these weights, a
thinned curve, and a card. An agent of another name is one entry of AGENTS more.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saccade.cli import train_command
from saccade.data.checkpoints import newest_checkpoint, write_checkpoint
from saccade.data.documents import read_document
from saccade.envs.config import EnvConfig
from saccade.envs.suites import modes_of
from saccade.policies.evaluate import EvaluationEnvs, evaluate, evaluation_row, in_mode, with_gaps
from saccade.policies.policy import Policy
from saccade.policies.sources.run import load_policy
from saccade.runs.agents import NETWORKS, SPACES, make_agent, saved_spaces, spaces_of
from saccade.runs.config import CONFIG, read_config, to_json
from saccade.runs.training import RunConfig
from saccade.runs.zoo import ACCOUNT, CARD, PREFIX, ZOO, Account
from saccade.train.logs import read_rows
from saccade.train.session import CHECKPOINTS, EVALUATIONS, METRICS, RESULT
from saccade.train.ways import ENVIRONMENT
from saccade.viewer.figures import learning_curves, training_curve

FIRST_ROWS, CURVE_ROWS = 20, 160
CURVE = "curve.svg"
LARGEST_FLOAT16 = 65504.0


@dataclass(frozen=True)
class Entry:
    """What a person has to say of an agent; everything else is read off its run."""

    summary: str
    command: str
    good_for: str
    not_for: str


AGENTS = {
    "sgqn-reach": Entry(
        "SGQN on the robot's reach, 10,000 steps: comes to the goal in most episodes of every mode, stays in fewer",
        "saccade train sgqn manipulation/reach --preset small --frame-stack 1 --steps 10000 --seed 3 --threads 1 "
        "--workers 0 --evaluate-every 0 --evaluation-episodes 20 "
        "--evaluation-modes train test1 test2 test3 test4 test5 --checkpoint-every 100000",
        "looking at an agent that predicts its own saliency; maps before and after the surroundings change",
        "comparing methods: one seed, a twenty-fifth of the published steps, pictures of 40 pixels, fast rendering",
    ),
    "sac-reach": Entry(
        "SAC on the robot's reach, 20,000 steps: comes to the goal in most episodes, in few of test1, test3 and test5",
        "saccade train sac manipulation/reach --preset small --frame-stack 1 --steps 20000 --seed 3 --threads 1 "
        "--workers 0 --evaluate-every 0 --evaluation-episodes 20 "
        "--evaluation-modes train test1 test2 test3 test4 test5 --checkpoint-every 100000",
        "seeing what a plain agent looks at, and what it loses when only the surroundings change",
        "comparing methods: one seed, a twelfth of the published steps, pictures of 40 pixels, fast rendering",
    ),
    "ppo-red-fetch-green": Entry(
        "PPO on a grid world, where green is to be fetched: right where it draws actions and knows the colours",
        "saccade train ppo minigrid/red_fetch_green --preset small --seed 0 --workers 0 --threads 1",
        "maps on a picture where it is known which object matters; a policy that draws its actions; no OpenGL needed",
        "any claim of generalisation: with other colours it is near the chance it began with",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=AGENTS)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=ZOO)
    options = parser.parse_args()
    folder = options.out / options.name
    make(options.name, options.run, folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.2f} MB")


def make(name: str, run: Path, folder: Path) -> None:
    """Write the agent's folder anew. Stops where the run is not finished, or was made by another command."""
    entry, config = AGENTS[name], read_config(run)
    result = read_document(run / RESULT, dict[str, Any])
    if not is_of(entry.command, config):
        raise SystemExit(f"{run} is not what the command of {name} in {__file__} trains: change one of them.")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    first_weights = store_weights(run, folder, config)
    write_json(folder / CONFIG, to_json(config))
    write_json(folder / ENVIRONMENT, without_machine(read_document(run / ENVIRONMENT, dict[str, Any])))
    curve = list(thinned(read_rows(run / METRICS)))
    write_rows(folder / METRICS, curve)
    kept = evaluated(load_policy(folder, "cpu"), config)
    before = [row for row in read_rows(run / EVALUATIONS) if row["env_steps"] < result["env_steps"]]
    write_rows(folder / EVALUATIONS, [*before, *kept])
    as_trained = [row for row in kept if row["sampled"] == config.training.evaluation_sampled]
    write_json(folder / RESULT, {**result, "evaluations": as_trained})
    minutes = round(result["seconds"] / 60, 1)
    account = Account(entry.summary, entry.command, minutes, FIRST_ROWS, first_weights, result["evaluations"])
    write_json(folder / ACCOUNT, asdict(account))
    uri = learning_curves([training_curve(name, curve[FIRST_ROWS:])])
    (folder / CURVE).write_bytes(base64.b64decode(uri.partition(",")[2]))
    (folder / CARD).write_text(card(name, folder))
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def is_of(command: str, config: RunConfig) -> bool:
    """Whether a command trains a run of this configuration, but for what depends on the machine."""
    asked, _ = train_command.parse(shlex.split(command)[2:])
    here = {"precision": config.training.precision, "envs": asked.training.envs or 1}
    return replace(asked, training=replace(asked.training, **here)) == config


def store_weights(run: Path, folder: Path, config: RunConfig) -> dict[str, list[float]]:
    """The newest checkpoint's weights in float16; returns what tells the weights that training began with."""
    checkpoint, _ = newest_checkpoint(run / CHECKPOINTS)
    spaces = spaces_of(checkpoint, config)
    tensors = {name: in_float16(name, value) for name, value in checkpoint.tensors(NETWORKS).items()}
    documents = {"counters": checkpoint.document("counters", dict[str, Any]), SPACES: saved_spaces(spaces)}
    write_checkpoint(folder / CHECKPOINTS, checkpoint.env_steps, {NETWORKS: tensors}, documents)
    (folder / CHECKPOINTS / "replay").rmdir()  # nothing is in it
    beginning = make_agent(config, spaces, torch.device("cpu"), lambda count, size, generator: torch.empty(0))
    return {name: told(value) for name, value in beginning.networks.state_dict().items()}


def in_float16(name: str, value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value
    if value.abs().max() > LARGEST_FLOAT16:
        raise SystemExit(f"{name} has numbers that float16 does not hold.")
    return value.half()


def told(value: Tensor) -> list[float]:
    """A tensor's sum, first and last number."""
    flat = value.double().flatten()
    return [float(flat.sum()), float(flat[0]), float(flat[-1])]


def without_machine(facts: Mapping[str, Any]) -> dict[str, Any]:
    """``env.json`` without the release of the kernel, which is the owner's own."""
    return {**facts, "platform": re.sub(r"^(\w+)-.*-(x86_64|aarch64)-", r"\1-\2-", facts["platform"])}


def thinned(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The first rows as they are, and then means over as many rows of a kind as leave a curve of few points."""
    yield from rows[:FIRST_ROWS]
    kinds: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows[FIRST_ROWS:]:
        kinds.setdefault(tuple(sorted(set(row) - {"env"})), []).append(row)
    means = []
    for some in kinds.values():
        size = -(-len(some) * len(kinds) // CURVE_ROWS)
        means += [mean_row(some[first : first + size]) for first in range(0, len(some), size)]
    yield from sorted(means, key=lambda row: row["env_steps"])


def mean_row(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Where the last of some rows stands, and the means of their numbers; ``rows`` says of how many."""
    counted = ("env_steps", "updates", "seconds")
    means = {
        name: round(sum(row[name] for row in rows) / len(rows), 6)
        for name in rows[0]
        if name not in counted and name != "env"
    }
    return {**{name: rows[-1][name] for name in counted}, **means, "rows": len(rows)}


def evaluated(policy: Policy, config: RunConfig) -> list[dict[str, Any]]:
    """Rows of every mode: of the most likely actions, and of drawn ones where the run's own evaluations drew them."""
    rows = []
    for sampled in dict.fromkeys((False, config.training.evaluation_sampled)):
        rows += with_gaps(list(played(policy, config, config.env, sampled)))
    return rows


def played(policy: Policy, config: RunConfig, env: EnvConfig, sampled: bool) -> Iterator[dict[str, Any]]:
    training = config.training
    with closing(EvaluationEnvs(workers=0)) as envs:
        for mode in modes_of(env.task):
            act = policy.sampler(training.seed) if sampled else policy.act
            result = evaluate(
                act, in_mode(env, mode), episodes=training.evaluation_episodes, seed=training.seed, envs=envs
            )
            print(f"{mode}, {'drawn' if sampled else 'most likely'} actions: {result.mean:.2f}")
            yield evaluation_row(
                result, method=config.method, env=env, seed=training.seed, env_steps=policy.env_steps, sampled=sampled
            )


def card(name: str, folder: Path) -> str:
    """The agent's card, all of whose numbers are read off its files."""
    entry, config = AGENTS[name], read_config(folder)
    account, facts = read_document(folder / ACCOUNT, Account), read_document(folder / ENVIRONMENT, dict[str, Any])
    result = read_document(folder / RESULT, dict[str, Any])
    rows = [row for row in read_rows(folder / EVALUATIONS) if row["env_steps"] == result["env_steps"]]
    trained = {row["mode"]: row for row in account.in_training}
    versions = ", ".join(f"{package} {version}" for package, version in facts["versions"].items() if version)
    git = facts["git"] or {}
    seed, episodes = config.training.seed, config.training.evaluation_episodes
    lines = [
        f"# {PREFIX}{name}",
        "",
        f"{entry.summary}.",
        "",
        f"- task: `{config.env.task}`, pictures of {config.env.image_size} pixels, {config.env.frame_stack} in a stack",
        f"- method: {config.method}, seed {seed}, {result['env_steps']:,} agent steps, {result['updates']:,} updates",
        f"- trained by `{account.command}`",
        f"- in {account.minutes} minutes on {facts['hardware']['processor']}, "
        f"{config.training.threads} thread, without evaluations, on a machine that others used too",
        f"- with Python {facts['python']}, {versions}; commit {git.get('commit', 'unknown')}",
        f"- good for: {entry.good_for}",
        f"- not for: {entry.not_for}",
        "- licence: MIT, as the package",
        "",
        f"Weights are kept in float16, and the table is of these: {episodes} episodes in each mode, with the same",
        f"first states in all (seed {seed}), mean ± standard deviation. Success is the share of episodes in which a",
        "step succeeded. The last two columns are what the run itself had at its end, with weights in float32.",
        "",
        "| mode | actions | episodes | return | success | in training: return | success |",
        "|---|---|---|---|---|---|---|",
        *(card_row(row, trained, config) for row in rows),
        "",
        "The curve is the return of training episodes. In `metrics.jsonl` the first "
        f"{account.first_rows} rows are the run's own, each",
        "later one is a mean of as many as its `rows` says.",
        "",
        f"![return of training episodes]({CURVE})",
    ]
    return "\n".join(lines) + "\n"


def card_row(row: Mapping[str, Any], trained: Mapping[str, Mapping[str, Any]], config: RunConfig) -> str:
    same = trained.get(row["mode"]) if row["sampled"] == config.training.evaluation_sampled else None
    actions = "drawn" if row["sampled"] else "most likely"
    before = "- | -" if same is None else f"{in_words(same)} | {share(same)}"
    return f"| {row['mode']} | {actions} | {row['episodes']} | {in_words(row)} | {share(row)} | {before} |"


def in_words(row: Mapping[str, Any]) -> str:
    return f"{row['return_mean']:.2f} ± {row['return_std']:.2f}"


def share(row: Mapping[str, Any]) -> str:
    return "-" if row["success_rate"] is None else f"{row['success_rate']:.2f}"


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
