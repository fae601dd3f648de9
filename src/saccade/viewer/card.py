"""The model card of an exported policy: its returns in every mode and the quality of its maps, for people and hubs.

Its head is YAML with the hub's ``model-index``; every word in it is quoted as in JSON, which is valid YAML.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from saccade.bench.results import Result, backgrounds_of, cell, changes_of, decimals_of
from saccade.viewer.recordings import ScoreRow

TASK = "reinforcement-learning"
TAGS = (TASK, "deep-reinforcement-learning", "saliency", "saccade")


@final
@dataclass(frozen=True)
class Carded:
    """The contents of a model card.

    Attributes:
        method, task, seed: of the run.
        env_steps: agent steps that the weights were trained for.
        results: the newest results of these very weights, one for each setting.
        scores: rows of saliency scores of these very weights.
        settings: the method's hyper-parameters and the like, by name.
        versions: of the packages that trained it.
        commit: of the code that trained it; None if unknown.
        left_out: sentences on results of the run that are not about these weights.
    """

    method: str
    task: str
    seed: int
    env_steps: int
    results: Sequence[Result]
    scores: Sequence[ScoreRow] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str | None] = field(default_factory=dict)
    commit: str | None = None
    left_out: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The policy's name on the hub: ``sgqn-manipulation-reach``."""
        return f"{self.method}-{self.task.replace('/', '-')}"


def card(carded: Carded) -> str:
    """Return the text of ``README.md``."""
    return "\n".join(["---", *_yaml(metadata(carded)), "---", "", *_body(carded)])


def metadata(carded: Carded) -> dict[str, Any]:
    """Return what a hub reads: tags, and in ``model-index`` each mode's return and each saliency score's mean."""
    results = [
        _of_mode(carded.task, mode, row, one.setting) for one in carded.results for mode, row in one.rows.items()
    ]
    by_mode: dict[str, list[ScoreRow]] = {}
    for score in carded.scores:
        if score.mean is not None:
            by_mode.setdefault(score.mode, []).append(score)
    results += [_of_scores(carded.task, mode, rows) for mode, rows in by_mode.items()]
    head: dict[str, Any] = {"library_name": "saccade", "tags": [*TAGS, carded.task, carded.method]}
    return head | ({"model-index": [{"name": carded.name, "results": results}]} if results else {})


def _of_mode(task: str, mode: str, row: Mapping[str, Any], setting: str) -> dict[str, Any]:
    metrics = [
        {
            "type": "mean_reward",
            "value": f"{row['return_mean']:.2f} +/- {row['return_std']:.2f}",
            "name": f"return over {row['episodes']} episodes",
            "verified": False,
        }
    ]
    if row.get("success_rate") is not None:
        rate = {"type": "success_rate", "value": row["success_rate"], "name": "success rate", "verified": False}
        metrics.append(rate)
    return {**_where(task, mode, f"{task}@{mode}" + (f" ({setting})" if setting else "")), "metrics": metrics}


def _of_scores(task: str, mode: str, rows: Sequence[ScoreRow]) -> dict[str, Any]:
    metrics = [
        {"type": row.metric, "value": row.mean, "name": f"{row.metric} of {row.method}", "verified": False}
        for row in rows
    ]
    return {**_where(task, mode, f"saliency in {task}@{mode}"), "metrics": metrics}


def _where(task: str, mode: str, name: str) -> dict[str, Any]:
    return {"task": {"type": TASK, "name": TASK}, "dataset": {"type": f"{task}@{mode}", "name": name}}


def _yaml(value: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Lines of YAML; everything but mappings and lists is written as in JSON."""
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield f"{before}{key}:"
            yield from _yaml(inner, f"{before}  ")
        elif isinstance(inner, list):
            yield f"{before}{key}:"
            for item in inner:
                if isinstance(item, Mapping):
                    first, *others = _yaml(item, f"{before}  ")
                    yield f"{before}- {first.strip()}"
                    yield from others
                else:
                    yield f"{before}- {json.dumps(item)}"
        else:
            yield f"{before}{key}: {json.dumps(inner)}"


def _body(carded: Carded) -> Iterator[str]:
    yield f"# {carded.method} on {carded.task}"
    yield ""
    yield (
        f"A policy that [Saccade](https://pypi.org/project/saccade-rl/) trained with {carded.method} on "
        f"`{carded.task}` for {carded.env_steps:,} agent steps (seed {carded.seed}). It acts on pictures only."
    )
    yield from ("", "```python", "import saccade", "", 'policy = saccade.load("FOLDER")', "```", "")
    yield (
        "`FOLDER` is this folder, or `hub:OWNER/NAME` if it is on the hub. `policy.act(obs)` returns actions; "
        "`saccade evaluate`, `saccade explain` and `saccade score` take the same name."
    )
    yield from ("", "## Returns", "")
    if not carded.results:
        yield "These weights have not been evaluated."
    for result in carded.results:
        yield from _returns(result)
    yield from ("", "## What it looks at", "")
    yield from _scores(carded.scores)
    if carded.left_out:
        yield from ("", *carded.left_out)
    yield from _training(carded)


def _returns(result: Result) -> Iterator[str]:
    decimals = decimals_of([result])
    yield from (
        f"{_capital(result.setting)}." if result.setting else "",
        "",
        "| mode | return | episodes |",
        "|---|---|---|",
    )
    for mode, row in result.rows.items():
        yield f"| {mode} | {cell(row, decimals)} | {row['episodes']} |"
    yield ""
    rates = any(row.get("success_rate") is not None for row in result.rows.values())
    yield (
        "Mean ± standard deviation of the return of an episode"
        + (", and in brackets how many episodes succeeded." if rates else ".")
        + " One seed: these numbers say how good this policy is, not how good the method is."
    )
    for sentence in (*backgrounds_of(result.rows.values()), *changes_of([result])):
        yield from ("", f"{_capital(sentence)}.")


def _scores(rows: Sequence[ScoreRow]) -> Iterator[str]:
    if not rows:
        yield "Its saliency maps have not been scored: `saccade score` does that."
        return
    yield from ("| mode | saliency method | score | mean | better | frames |", "|---|---|---|---|---|---|")
    for row in rows:
        mean = "undefined" if row.mean is None else f"{row.mean:.3g}"
        yield f"| {row.mode} | {row.method} | {row.metric} | {mean} | {row.direction or '-'} | {row.count} |"


def _training(carded: Carded) -> Iterator[str]:
    yield from ("", "## How it was trained", "")
    yield ", ".join(f"{name} {version}" for name, version in carded.versions.items() if version) or "Versions unknown."
    yield from ("", f"Code: commit {carded.commit}." if carded.commit else "Code: no commit is known.")
    yield from ("", "| setting | value |", "|---|---|")
    for name, value in carded.settings.items():
        text = json.dumps(value).replace("|", "\\|")
        yield f"| {name} | {text} |"
    yield ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
