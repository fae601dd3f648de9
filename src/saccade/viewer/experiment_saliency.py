"""The section on saliency maps of an experiment's page: their scores, with methods as rows and maps as columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from saccade.bench.comparison import MEASURES, Group, Line
from saccade.bench.printed import counts_text, frames_asked_text, frames_text, ours_text
from saccade.viewer.experiment_curves import beside_published
from saccade.viewer.page import Better, Cell, Folded, Heading, Section, Table

BASELINE = "baseline"
SMALL = 10  # below it scores have three decimals

Scored = Sequence[tuple[str, Line]]
"""The name of a saliency method or baseline, and the line of its scores."""


def saliency(groups: Sequence[Group]) -> Iterator[Section]:
    """Yield a table for every measured score of saliency maps, and, folded, each number with its interval.

    Where numbers were published, the table with intervals and published numbers is not folded.
    """
    tables: dict[tuple[str, str, str], list[tuple[str, Line]]] = {}
    for group in groups:
        metric, colon, method = group.measure.partition(":")
        if colon and group.measure not in MEASURES:
            for line in group.lines:
                tables.setdefault((group.task, metric, group.version), []).append((method, line))
    if not tables:
        return
    yield Heading("How good their saliency maps are")
    folded = []
    for (task, metric, version), lines in tables.items():
        whole = _each_below_the_other(task, metric, version, lines)
        if any(line.published for _, line in lines) or not _fits_side_by_side(lines):
            yield whole
            continue
        folded.append(whole)
        for mode in dict.fromkeys(line.mode for _, line in lines):
            yield _side_by_side(task, metric, version, [one for one in lines if one[1].mode == mode])
    if folded:
        yield Folded("Each score with its interval", tuple(folded))


def _fits_side_by_side(lines: Scored) -> bool:
    """Whether every map of every method has one number, and there are several maps."""
    places = [(line.arm, line.mode, method) for method, line in lines]
    return len(places) == len(set(places)) and len({method for method, _ in lines}) > 1


def _side_by_side(task: str, metric: str, version: str, lines: Scored) -> Table:
    """Return the table of one mode, with maps side by side."""
    methods = list(dict.fromkeys(method for method, _ in lines))
    found = {(line.arm, method): line for method, line in lines}
    decimals, mode = _decimals(lines), lines[0][1].mode
    rows: list[tuple[Cell, ...]] = []
    for arm in dict.fromkeys(line.arm for _, line in lines):
        own = [found.get((arm, method)) for method in methods]
        rows.append((arm, *(None if line is None else ours_text(line, decimals) for line in own)))
    seeds = sorted({len(line.seeds) for _, line in lines})
    return Table(
        ("method", *(method.replace("_", " ") for method in methods)),
        tuple(rows),
        _caption(task, f"{metric.replace('_', ' ')} in {mode}", f"{_several(seeds)} seeds", version, lines),
        (None, *(None if method.startswith(BASELINE) else _better(lines) for method in methods)),
    )


def _each_below_the_other(task: str, metric: str, version: str, scored: Scored) -> Table:
    lines = [line for _, line in scored]
    names = [f"{line.arm}, {method.replace('_', ' ')}, {line.mode}" for method, line in scored]
    name = metric.replace("_", " ")
    columns: dict[str, list[Cell]] = {
        "method, map, mode": [*names],
        **beside_published(lines, _decimals(scored), name),
        "frames": [frames_text(line) for line in lines],
    }
    return Table(
        tuple(columns),
        tuple(zip(*columns.values(), strict=True)),
        _caption(task, name, "seeds", version, scored),
        tuple(_better(scored) if title == name else None for title in columns),
        frozenset(name for name, (method, _) in zip(names, scored, strict=True) if method.startswith(BASELINE)),
    )


def _caption(task: str, what: str, seeds: str, version: str, lines: Scored) -> str:
    own = [line for _, line in lines]
    counts = [count for line in own for count in line.frames]
    on = f", on {counts_text(counts)} frames" if counts else ""
    asked = frames_asked_text(own)
    sentences = [
        f"{task}, {what}: mean ± standard deviation over {seeds}{on}.",
        asked,
        f"{version}." if version else "",
    ]
    return " ".join(filter(None, sentences))


def _several(words: Sequence[object]) -> str:
    return " or ".join(map(str, words))


def _decimals(lines: Scored) -> int:
    return 3 if all(abs(line.mean) < SMALL for _, line in lines) else 1


def _better(lines: Scored) -> Better | None:
    ways = {line.better for _, line in lines}
    if ways == {"higher"}:
        return "higher"
    return "lower" if ways == {"lower"} else None
