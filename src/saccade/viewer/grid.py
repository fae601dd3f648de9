"""A running grid as one page without a server, which a browser reloads every few seconds until all is done."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib import resources
from pathlib import Path

from saccade.bench.cells import TRAIN
from saccade.bench.running import FAILED, RUNNING, SKIPPED, WAITING, Moment, Shown
from saccade.bench.standing import DONE
from saccade.data.files import written_aside
from saccade.viewer.film import breakable
from saccade.viewer.page import scrolling

PAGE = "live.html"
SECONDS_BETWEEN_READS = 5
STATES = (RUNNING, FAILED, SKIPPED, DONE, WAITING)
"""The order of states where not all of a grid can be seen: a run that is done shows more than one that waits."""
HEAD = ("run", "state", "return", "left", "steps", "where")
"""Columns, the most important first: on a phone the last ones do not fit and are scrolled to."""
OWN = """
progress { width: 100%; height: .9rem; accent-color: var(--accent); }
thead th, thead th:first-child { padding: .35rem .7rem; }
td.state, td.where, th.state, th.where { text-align: left; }
main { max-width: 62rem; }
tbody th:first-child { max-width: none; white-space: nowrap; }
@media (max-width: 40rem) {
  tbody th:first-child { max-width: 10rem; white-space: normal; }
  th, td { padding: .35rem .5rem; }
}
tr.failed td.state, tr.skipped td.state, td.why { color: #b3261e; font-weight: 600; }
td.why { text-align: left; white-space: normal; font-weight: 400; max-width: 0; overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { tr.failed td.state, tr.skipped td.state, td.why { color: #ff9d94; } }
tr.done, tr.waiting { color: var(--quiet); }
"""


def write_page(moment: Moment, folder: Path) -> Path:
    """Write the page of a moment in one go, so that nobody reads half of it; return its path."""
    path = folder / PAGE
    with written_aside(path) as aside:
        aside.write_text(page_of(moment), encoding="utf-8")
    return path


def page_of(moment: Moment) -> str:
    """Return the page: nothing in it runs or is fetched, and it reloads itself while runs remain."""
    over = moment.stopping or not moment.count(RUNNING, WAITING)
    style = (resources.files(__package__) / "page.css").read_text() + OWN
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    refresh = "" if over else f'<meta http-equiv="refresh" content="{SECONDS_BETWEEN_READS}">\n'
    policy = f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"
    shared = shared_name(moment)
    rows = "\n".join(_row(shown, shared) for shown in sorted(moment.cells, key=lambda shown: STATES.index(shown.state)))
    head = "".join(f'<th scope="col" class="{name}">{name}</th>' for name in HEAD)
    title = escape(moment.grid.name)
    table = f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
    done = moment.count(DONE)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
{refresh}<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{done}/{len(moment.cells)} {title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p class="found">{escape(_sentence(moment, over))}</p>
<p>{escape(moment.grid.title)}</p>{f"{chr(10)}<p>Names of runs begin with {escape(shared)}</p>" if shared else ""}
<progress max="{len(moment.cells)}" value="{done}" aria-label="runs done">{done} of {len(moment.cells)}</progress>
{scrolling(table, "runs", by_width=True)}
</main>
</body>
</html>
"""


def _sentence(moment: Moment, over: bool) -> str:
    states = (DONE, RUNNING, WAITING, FAILED, SKIPPED)
    parts = [f"{moment.count(state)} {state}" for state in states if moment.count(state)]
    parts.append(f"{duration_text(moment.seconds)} so far")
    if moment.seconds_left is not None and not over:
        parts.append(time_left_text(moment))
    return f"{len(moment.cells)} runs: {', '.join(parts)}. {'Nothing runs now.' if over else ''}".strip()


def time_left_text(moment: Moment) -> str:
    """Return ``about 13 min left``; ``at least`` while it is unknown how long the steps after training take."""
    assert moment.seconds_left is not None
    return f"{'at least' if moment.at_least else 'about'} {duration_text(moment.seconds_left)} left"


def cells_of_line(shown: Shown) -> tuple[str, ...]:
    """Return a run as the cells of a line, whose columns are ``HEAD``."""
    standing = shown.standing
    training = shown.state == RUNNING and standing.step == TRAIN
    left = duration_text(standing.seconds_left) if training and standing.seconds_left is not None else ""
    steps = "" if standing.steps is None else f"{standing.env_steps:,}/{standing.steps:,}"
    state = shown.step if shown.state == RUNNING and shown.step else shown.state
    if shown.tries and not shown.reason:
        state += f", try {shown.tries + 1}"
    returned = "" if standing.returned is None else f"{standing.returned:.4g}"
    return shown.cell.name, state, returned, left, steps, shown.place


def _row(shown: Shown, shared: str) -> str:
    run, *rest = map(escape, cells_of_line(shown))
    cells = "".join(f'<td class="{name}">{text}</td>' for name, text in zip(HEAD[1:], rest, strict=True))
    name = breakable(run.removeprefix(escape(shared)))
    row = f'<tr class="{shown.state}"><th scope="row">{name}</th>{cells}</tr>'
    if shown.reason:
        row += f'\n<tr class="{shown.state}"><td class="why" colspan="{len(HEAD)}">{escape(shown.reason)}</td></tr>'
    return row


def shared_name(moment: Moment) -> str:
    """Return the common prefix of all runs' names: their task or a part of it up to a separator; empty if none."""
    names = [shown.cell.name for shown in moment.cells]
    first, last = min(names), max(names)
    common = first[: next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)]
    task, slash, _ = common.partition("/")
    return task + slash if slash else common[: common.rfind("-") + 1]


def duration_text(seconds: float) -> str:
    """Return ``40 s``, ``12 min``, ``3.5 h`` or ``2.1 days``."""
    for unit, length, most in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 48)):
        if seconds < most * length:
            value = seconds / length
            return f"{value:.1f} {unit}" if unit == "h" and value < 10 else f"{value:.0f} {unit}"
    return f"{seconds / 86400:.1f} days"
