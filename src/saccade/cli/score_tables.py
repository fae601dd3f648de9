"""Print tables of scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table

from saccade.cli import terminal
from saccade.envs.changes import changed_share_text
from saccade.explain.rows import Row
from saccade.metrics.gaze import CHANCE

SHOWN = {
    "pointing_game": "points",
    "area_under_roc": "AUC",
    "mass_inside": "inside",
    "deletion": "hide",
    "insertion": "show",
    "kept_return": "return",
    "randomisation": "random",
    "map_drift": "drift",
    "milliseconds_per_frame": "ms",
    "nss": "NSS",
    "kl_divergence": "KL",
    "shuffled_auc": "sAUC",
    "auc_judd": "AUC-J",
    "correlation_coefficient": "CC",
    "similarity": "SIM",
}
"""Metrics in the printed table, with short titles; the page has all of them in full."""
TRUTH_SHOWN = {
    "important_sum": "important",
    "unimportant_sum": "unimportant",
    "area_under_roc": "AUC",
    "milliseconds_per_frame": "ms",
    "milliseconds_alone": "ms alone",
}
"""The same for maps scored on shared states: DIGR's table 1, and what each map costs."""
WIDTH_OF_FILES = 120  # characters, if the output is not a terminal
ARROWS = {"higher": "↑", "lower": "↓"}
BASELINE, BEST = "baseline: ", " *"


def print_tables(rows: list[Row], modes: Iterable[str], console: Console, shown: Mapping[str, str] = SHOWN) -> None:
    """Print a table for each mode; wide enough if the output is not a terminal. shown: metrics with their titles."""
    wide = console if console.is_terminal else terminal.console(max(console.width, WIDTH_OF_FILES))
    for mode in modes:
        wide.print(table_of(rows, mode, shown))


def table_of(rows: list[Row], mode: str, shown: Mapping[str, str] = SHOWN) -> Table:
    """Return a table with methods as rows and the most telling metrics as columns; arrows show what is better.

    Against people's gaze the best is marked, if it beats every row that does not use the network.

    What was measured only in the first mode (random weights, cost) is in its table.
    """
    here = [row for row in rows if row["mode"] == mode]
    metrics = [metric for metric in shown if any(row["metric"] == metric for row in here)]
    directions = {row["metric"]: ARROWS[row["direction"]] for row in here}
    share = here[0].get("changed_pixels") if here else None
    title = mode if share is None else f"{mode} (changes {changed_share_text(share)} of the pixels)"
    table = Table(box=None, pad_edge=False, padding=(0, 1), title=title)
    table.add_column("method", no_wrap=True)
    for metric in metrics:
        table.add_column(f"{shown[metric]} {directions[metric]}", justify="right", no_wrap=True)
    cells = {(row["method"], row["metric"]): row for row in here}
    for method in dict.fromkeys(row["method"] for row in here):
        found = (cells.get((method, metric)) for metric in metrics)
        table.add_row(method, *(_cell(row) + BEST * (row is not None and is_best(row, here)) for row in found))
    return table


def is_best(row: Row, rows: list[Row]) -> bool:
    """Return whether a map agrees with people as well as any in its column, and better than chance and baselines."""
    if row["question"] != "people" or row["mean"] is None or row["method"].startswith(BASELINE):
        return False
    sign = 1 if row["direction"] == "higher" else -1
    others = [other for other in rows if other["metric"] == row["metric"] and other["mean"] is not None]
    beaten = [sign * other["mean"] for other in others if other["method"].startswith(BASELINE)]
    if row["metric"] in CHANCE:
        beaten.append(sign * CHANCE[row["metric"]])
    ranked = [sign * other["mean"] for other in others if not other["method"].startswith(BASELINE)]
    own = sign * row["mean"]
    return own >= max(ranked) and all(own > one for one in beaten)


def _cell(row: Row | None) -> str:
    """The mean, with the number of frames that it leaves out; a dash if there is none."""
    if row is None or row["mean"] is None:
        return "-"
    value = row["mean"]
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}" + (f" (-{row['undefined']})" if row["undefined"] else "")
