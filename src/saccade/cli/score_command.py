"""``saccade score WHAT --task T``."""

from __future__ import annotations

from rich.table import Table

from saccade.cli import terminal
from saccade.cli.explaining import Bars, explained, say
from saccade.cli.options import Score
from saccade.cli.parsing import parsed
from saccade.envs.changes import told_share
from saccade.explain.measuring import ScoreSettings, check, score
from saccade.explain.rows import Row, save_rows
from saccade.viewer.report import write_report

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
}
"""Metrics in the table that is printed, with short titles; the page has all of them in full."""
TOLD = (
    "points: the most salient pixel shows the task; AUC: task pixels are more salient than others; inside: share of "
    "the saliency on the task; hide, show: change of the policy as salient pixels are hidden or shown; return: with "
    "the kept pixels alone; random: likeness to the map of random weights; drift: what the distraction moves; "
    "ms: per frame. (-n): frames without a score; ↑ ↓: which way is better."
)
WIDTH_OF_FILES = 120  # characters, where what is printed goes to no terminal
ARROWS = {"higher": "↑", "lower": "↓"}


def run(words: list[str]) -> int:
    """Carry out the command; returns the exit code."""
    options = parsed(Score, "saccade score", words)
    checks = options.checks
    settings = ScoreSettings(checks.sanity_frames, checks.sanity_stages, checks.return_steps, checks.return_methods)
    check(settings)
    console = terminal.console()
    bars = Bars(console)
    with bars.shown():
        explanation, folder, _ = explained(options.subject, options.maps, console, bars, words=["score", *words])
        rows = score(explanation, settings, bars)
        path = save_rows(folder, rows)
        page = write_report(folder)
    wide = console if console.is_terminal else terminal.console(max(console.width, WIDTH_OF_FILES))
    for mode in explanation.episodes:
        wide.print(table_of(rows, mode))
    say(console, TOLD)
    say(console, f"All scores are in {path}. Open {page}")
    return 0


def table_of(rows: list[Row], mode: str) -> Table:
    """Methods down, the most telling metrics across, with an arrow to the better side.

    What was measured in the first mode alone (random weights, cost) stands in its table.
    """
    here = [row for row in rows if row["mode"] == mode]
    metrics = [metric for metric in SHOWN if any(row["metric"] == metric for row in here)]
    directions = {row["metric"]: ARROWS[row["direction"]] for row in here}
    share = here[0].get("changed_pixels") if here else None
    title = mode if share is None else f"{mode} (changes {told_share(share)} of the pixels)"
    table = Table(box=None, pad_edge=False, padding=(0, 1), title=title)
    table.add_column("method", no_wrap=True)
    for metric in metrics:
        table.add_column(f"{SHOWN[metric]} {directions[metric]}", justify="right", no_wrap=True)
    cells = {(row["method"], row["metric"]): row for row in here}
    for method in dict.fromkeys(row["method"] for row in here):
        table.add_row(method, *(_cell(cells.get((method, metric))) for metric in metrics))
    return table


def _cell(row: Row | None) -> str:
    """The mean, with the number of frames it leaves out; a dash where there is none."""
    if row is None or row["mean"] is None:
        return "-"
    value = row["mean"]
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}" + (f" (-{row['undefined']})" if row["undefined"] else "")
