"""``saccade export RUN``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saccade.agents.methods_of import label_of
from saccade.bench.results import newest_results, settings_of
from saccade.cli import terminal
from saccade.cli.explaining import IN_RUN, say
from saccade.cli.options import Export
from saccade.cli.parsing import parsed
from saccade.data.checkpoints import newest_checkpoint
from saccade.data.documents import Count
from saccade.runs.agents import NETWORKS, saved_spaces, spaces_of
from saccade.runs.config import read_config, to_json
from saccade.runs.exported import portable, refuse_exporting, refuse_taken, write_export
from saccade.runs.training import RunConfig
from saccade.runs.zoo import folder_of_results, folder_of_run
from saccade.train.logs import EvaluationRow, read_rows
from saccade.train.session import CHECKPOINTS, EVALUATIONS
from saccade.train.ways import facts_of
from saccade.types import UserError
from saccade.viewer.card import Carded, card
from saccade.viewer.recordings import EXPLANATION, ScoreRow, read_explanation

ELSEWHERE = Path("exports")


class _Evaluated(EvaluationRow):
    """What a model card needs from a row of ``evaluations.jsonl``."""

    method: str
    task: str
    seed: Count
    return_std: float
    returns: list[float]
    provenance: dict[str, Any]


def run(words: list[str]) -> int:
    """Run the command; return the exit code."""
    options = parsed(Export, "saccade export", words)
    if options.what is None:
        raise UserError("A run folder is needed, such as `saccade export runs/small --out exports/small`, or zoo:NAME.")
    run_folder = folder_of_run(options.what)
    config = read_config(run_folder)
    refuse_exporting(config, run_folder)
    out = options.out or ELSEWHERE / f"{config.env.task.replace('/', '-')}-{config.method}-{config.training.seed}"
    refuse_taken(out)
    checkpoint, _ = newest_checkpoint(run_folder / CHECKPOINTS)
    spaces, weights = spaces_of(checkpoint, config), checkpoint.tensors(NETWORKS)
    facts = facts_of(run_folder)
    carded = _carded(config, options.what, run_folder, checkpoint.env_steps, facts)
    write_export(out, config, weights, saved_spaces(spaces), checkpoint.env_steps, facts, card(carded))
    console = terminal.console()
    modes = sum(len(result.rows) for result in carded.results)
    say(
        console,
        f"{out} holds the policy of step {checkpoint.env_steps}, with {modes} returns and {len(carded.scores)} "
        f"saliency scores on its card. saccade.load({str(out)!r}) loads it.",
    )
    for sentence in carded.left_out:
        say(console, sentence)
    return 0


def _carded(config: RunConfig, what: Path, folder: Path, env_steps: int, facts: Mapping[str, Any]) -> Carded:
    """What is known about the weights of one step; rows of other weights are left out."""
    places = dict.fromkeys((folder, folder_of_results(what)))
    rows = [row for place in places for row in read_rows(place / EVALUATIONS, _Evaluated)]
    # Rows of --dial are curves over strengths, which a card has no room for.
    own = [row for row in rows if row["env_steps"] == env_steps and row.get("dial") is None]
    scores, left_out = _scores([*places], env_steps)
    if rows and not own:
        steps = max(row["env_steps"] for row in rows)
        left_out.append(
            f"The newest evaluation is of step {steps}, but these are the weights of step {env_steps}: its returns are "
            "left out. `saccade evaluate` plays these."
        )
    versions, git = facts.get("versions"), facts.get("git")
    settings = dict(settings_of(to_json(portable(config))))
    return Carded(
        label_of(config.method),
        config.env.task,
        config.training.seed,
        env_steps,
        newest_results(own),
        scores,
        {name: value for name, value in settings.items() if value is not None},
        versions if isinstance(versions, dict) else {},
        git.get("commit") if isinstance(git, Mapping) else None,
        left_out,
    )


def _scores(places: list[Path], env_steps: int) -> tuple[tuple[ScoreRow, ...], list[str]]:
    """The scores of the run's explanation, and a message if it is of other weights."""
    for place in places:
        folder = place / IN_RUN
        if not (folder / EXPLANATION).is_file():
            continue
        explanation = read_explanation(folder)
        if explanation.policy.get("env_steps") == env_steps:
            return explanation.scores, []
        if explanation.scores:
            return (), [
                f"The saliency scores in {IN_RUN} are of step {explanation.policy.get('env_steps')}, but these are the "
                f"weights of step {env_steps}: they are left out. `saccade score` makes new ones."
            ]
    return (), []
