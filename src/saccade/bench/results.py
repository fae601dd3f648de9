"""Rows of ``evaluations.jsonl`` side by side: the return of each run in each mode, and whether runs are comparable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev
from typing import Any

from saccade.envs.changes import MARK, changed_share_text, too_little
from saccade.envs.suites import TASKS, expanded, suite_of

SMALL_RETURN = 10.0  # below it the first digits are decimals

Row = Mapping[str, Any]

NOT_TOLD = (
    "seed", "steps", "device", "workers", "threads", "compile", "graphs", "checkpoint_every", "log_every", "video",
    "evaluate_every", "evaluation_episodes", "evaluation_modes", "data", "images",
)  # fmt: skip
"""Options in which two runs may differ and still be described by the same words."""


@dataclass(frozen=True)
class Result:
    """Newest results of one run under one setting, rows by mode; or the mean of runs that differ only in their seeds.

    ``run`` names its folder where there are several; ``differs`` says how it differs from others of its method. The
    ``seed`` of a mean is None.
    """

    method: str
    task: str
    seed: int | None
    env_steps: int
    setting: str
    rows: Mapping[str, Row]
    run: str = ""
    differs: str = ""


def setting_of(provenance: Mapping[str, Any]) -> str:
    """What decides whether two numbers may stand in one column: rendering, picture size, action repeat, clip order.

    Where a mode's colours or videos came from is reported beside the table, by ``backgrounds_of``.
    """
    parts = [
        *([f"{provenance['render_quality']} rendering"] if "render_quality" in provenance else []),
        *([f"{provenance['image_size']} px"] if "image_size" in provenance else []),
        *([f"action repeat {provenance['action_repeat']}"] if "action_repeat" in provenance else []),
        # Of another library's environment only the way it is observed is known.
        *([f"sees {provenance['observations']}"] if "observations" in provenance else []),
    ]
    if provenance.get("clip_order", "seed") != "seed":
        parts.append(f"{provenance['clip_order']} clips")
    if provenance.get("action_space", "xy") != "xy":
        parts.append(f"{provenance['action_space']} actions")
    if provenance.get("camera", 0):
        parts.append(f"camera {provenance['camera']}")
    if not provenance.get("reach_bonus", True):
        parts.append("no reach bonus")
    if provenance.get("oracle_mask", "off") != "off":
        parts.append(f"behind an oracle that shows {provenance['oracle_mask'].replace('_', ' ')}")
    return ", ".join(parts)


def marked(result: Result) -> Result:
    """Return the result with the oracle it was played behind added to its differences: no other row says so."""
    oracle = next(iter(result.rows.values()))["provenance"].get("oracle_mask", "off")
    shown_by = f"oracle_mask {oracle}"
    if oracle == "off" or shown_by in result.differs:
        return result
    return replace(result, differs=", ".join(filter(None, (shown_by, result.differs))))


def backgrounds_of(rows: Iterable[Row]) -> list[str]:
    """Return where colours, videos and textures came from: a part of a sentence for all modes with the same answer."""
    modes: dict[str, dict[str, None]] = {}
    for row in rows:
        for source in _sources(row["provenance"]):
            modes.setdefault(source, {})[row["mode"]] = None
    return [f"{', '.join(names)}: {source}" for source, names in modes.items()]


def _sources(provenance: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("colors", "clips"):
        if kind in provenance:
            yield " ".join(filter(None, (str(provenance.get(f"num_{kind}", "")), provenance[kind], kind)))
    if "table_top" in provenance:
        yield f"{provenance['table_top']} table top"


def newest_results(rows: Iterable[Row]) -> list[Result]:
    """Return for each run and setting the rows of its latest step, in the order in which they first appear."""
    groups: dict[tuple[str, str, int, str], dict[str, Row]] = {}
    for row in rows:
        drawn = ", actions drawn from the policy" if row.get("sampled") else ""
        key = (row["method"], row["task"], row["seed"], setting_of(row["provenance"]) + drawn)
        group = groups.setdefault(key, {})
        if group and next(iter(group.values()))["env_steps"] < row["env_steps"]:
            group.clear()
        if not group or next(iter(group.values()))["env_steps"] == row["env_steps"]:
            group[row["mode"]] = row
    return [
        Result(method, task, seed, next(iter(group.values()))["env_steps"], setting, group)
        for (method, task, seed, setting), group in groups.items()
    ]


def mean_over_seeds(results: Sequence[Result]) -> list[Result]:
    """Mean for every two or more results that differ only in their seeds, over the modes that all of them have.

    ``return_std`` of its rows is the (population) standard deviation of the runs' mean returns.
    """
    groups: dict[tuple[Any, ...], dict[int | None, Result]] = {}
    for result in results:
        key = (result.method, result.task, result.setting, result.env_steps, result.differs)
        groups.setdefault(key, {})[result.seed] = result
    return [_mean(list(group.values())) for group in groups.values() if len(group) > 1]


def _mean(results: Sequence[Result]) -> Result:
    first = results[0]
    modes = [mode for mode in first.rows if all(mode in result.rows for result in results)]
    rows = {}
    for mode in modes:
        several = [result.rows[mode] for result in results]
        means = [row["return_mean"] for row in several]
        rows[mode] = {
            "mode": mode,
            "return_mean": fmean(means),
            "return_std": pstdev(means),
            "success_rate": _mean_of("success_rate", several),
            "gap": _mean_of("gap", several),
        }
    return replace(first, seed=None, rows=rows, run=f"mean of {len(results)} seeds")


def _mean_of(name: str, rows: Sequence[Row]) -> float | None:
    values = [row.get(name) for row in rows]
    return None if None in values else fmean(value for value in values if value is not None)


def differences(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return for each run's configuration (``config.json``) what differs between runs of its method and task.

    For example ``batch_size 64, projection 256``; without what does not affect results, and without the seed and the
    steps, which have columns of their own.
    """
    flat = [
        {name: value for name, value in settings_of(configuration) if name not in NOT_TOLD}
        for configuration in configurations
    ]
    differing = []
    for number, configuration in enumerate(configurations):
        alike = [
            settings
            for other, settings in zip(configurations, flat, strict=True)
            if (other["method"], other["env"]["task"]) == (configuration["method"], configuration["env"]["task"])
        ]
        names = [name for name, value in flat[number].items() if any(other.get(name) != value for other in alike)]
        differing.append(", ".join(f"{name} {flat[number][name]}" for name in names))
    return differing


def settings_of(configuration: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every setting of a configuration (``config.json``) by its own name, at any depth."""
    for name, value in configuration.items():
        if isinstance(value, Mapping):
            yield from settings_of(value)
        else:
            yield name, value


def modes_of(results: Sequence[Result]) -> list[str]:
    """Return the modes that any of the results has, in order of appearance."""
    return list(dict.fromkeys(mode for result in results for mode in result.rows))


def decimals_of(results: Iterable[Result]) -> int:
    """Return the decimals to show returns with: none, or two where all of them are as small as a grid world's."""
    means = [abs(row["return_mean"]) for result in results for row in result.rows.values()]
    return 2 if all(mean < SMALL_RETURN for mean in means) else 0


def cell(row: Row | None, decimals: int = 0) -> str:
    """``mean ± standard deviation`` of a row, and the success rate in per cent where the task defines it; or a dash.

    The number is marked where the mode changes so little of the picture that it says nothing about the mode.
    """
    if row is None:
        return "-"
    text, rate = f"{row['return_mean']:.{decimals}f} ± {row['return_std']:.{decimals}f}", row.get("success_rate")
    if rate is not None:
        text += f" ({100 * rate:.0f}%)"
    return f"{text} {MARK}" if too_little(row.get("changed_pixels")) else text


def changes_of(results: Iterable[Result]) -> list[str]:
    """Return how much of the picture each mode changes, by task, and what the mark means where there is one."""
    shares: dict[str, dict[str, float]] = {}
    for result in results:
        for mode, row in result.rows.items():
            if row.get("changed_pixels") is not None:
                shares.setdefault(result.task, {})[mode] = row["changed_pixels"]
    lines = [
        f"Pixels that look different from train in {task}: "
        + ", ".join(f"{mode} {changed_share_text(share)}" for mode, share in of_task.items())
        for task, of_task in shares.items()
    ]
    if any(too_little(share) for of_task in shares.values() for share in of_task.values()):
        lines.append(f"{MARK}: the mode changes next to nothing there, so that its return tests no distraction")
    return lines


def means_of_groups(results: Sequence[Result]) -> list[str]:
    """Return for each result that has all modes of a group the mean of their returns, every mode with equal weight.

    The first group of a suite is left out: its modes are those played by default.
    """
    lines = []
    for result in results:
        groups = list(suite_of(result.task).mode_groups)[1:] if result.task in TASKS else []
        means = {
            group: fmean(result.rows[mode]["return_mean"] for mode in expanded((group,)))
            for group in groups
            if set(expanded((group,))) <= set(result.rows)
        }
        if means:
            whose = " ".join(filter(None, (result.run, result.method, result.task))) if len(results) > 1 else ""
            numbers = ", ".join(f"{group} {mean:.{decimals_of(results)}f}" for group, mean in means.items())
            lines.append(f"Mean return over the modes of a group{f', {whose}' if whose else ''}: {numbers}")
    return lines


def worst_gap(result: Result) -> float | None:
    """Return the largest share of the training return that any mode loses; None without the training mode."""
    gaps = [row["gap"] for mode, row in result.rows.items() if mode != "train" and row["gap"] is not None]
    return max(gaps, default=None)
