"""One HTML file that carries everything: opens from a disk, without a network, on a phone, in the dark."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import Literal, TypeAlias

from saccade.data.files import written_aside
from saccade.viewer.film import Film, Films, breakable, film_html, films_html
from saccade.viewer.pictures import check_carried

STYLES = ("page.css", "timeline.css")  # lie beside this file, and are copied into every page
SCRIPTS = ("timeline.js", "page.js")

Cell: TypeAlias = str | int | float | None  # None is a dash
Better: TypeAlias = Literal["higher", "lower"]
SIDEWAYS = "The table is wider than the screen: it scrolls sideways."
MOST_COLUMNS = 6  # that have room on a page at full size
LEADING_NUMBER = re.compile(r"[-\u2212]?\d+(,\d{3})*(\.\d+)?(e[-+]?\d+)?")  # as page.js reads it


@dataclass(frozen=True)
class Heading:
    """The title of what follows; the page's own title is level 1, and 3 is below 2."""

    text: str
    level: Literal[2, 3] = 2


@dataclass(frozen=True)
class Contents:
    """Links to the page's headings of level 2."""


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Found:
    """What was found, in a sentence or a few: the first thing on a page, before anything that explains it."""

    text: str


@dataclass(frozen=True)
class Code:
    """Lines to copy, such as the command that repeats a result."""

    text: str


@dataclass(frozen=True)
class Facts:
    """Names and what they are here, such as settings: short texts, one pair to a line."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Folded:
    """What few want to see, such as settings: it opens when its title is pressed."""

    title: str
    inside: Facts | Table | tuple[Table, ...]


@dataclass(frozen=True)
class Table:
    """Rows that a click on a column's title sorts; the first cell of a row is its name.

    A text that begins with a number, such as ``431 ± 12``, is sorted by that number.

    Attributes:
        caption: a plain sentence: what the table shows and how to read it.
        better: for each column whether a higher or a lower number is the better one, or None; may be empty. Such a
            column says so by an arrow, and its best cells, ties included, are marked.
        baselines: names of rows that are never marked as best, and that a cell has to beat to be marked.
        chance: for each column a number that a cell has to beat as well, or None; may be empty.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str
    better: tuple[Better | None, ...] = ()
    baselines: frozenset[str] = frozenset()
    chance: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        if self.better and len(self.better) != len(self.columns):
            raise ValueError(f"{len(self.columns)} columns need as many directions, not {len(self.better)}")
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells does not fit {len(self.columns)} columns: {row}")

    def best(self, column: int) -> float | None:
        """The best number of a column as it is shown, so that what looks equal is marked alike.

        None if the column has no direction or no numbers, or if a baseline is as good.
        """
        ranked, beaten = self._numbers(column, baselines=False), self._numbers(column, baselines=True)
        if self.chance and (chance := self.chance[column]) is not None:
            beaten.append(chance)
        better = self.better[column] if self.better else None
        if better is None or not ranked:
            return None
        best = max(ranked) if better == "higher" else min(ranked)
        is_best = all(best > one if better == "higher" else best < one for one in beaten)
        return best if is_best else None

    def lost(self) -> tuple[str, ...]:
        """The columns in which no row is better than every baseline."""
        ranked = range(len(self.columns) if self.better else 0)
        return tuple(
            self.columns[column]
            for column in ranked
            if self.better[column] and self._numbers(column, baselines=False) and self.best(column) is None
        )

    def _numbers(self, column: int, *, baselines: bool) -> list[float]:
        shown = (_number(_shown(row[column])) for row in self.rows if (row[0] in self.baselines) == baselines)
        return [number for number in shown if not math.isnan(number)]


@dataclass(frozen=True)
class Picture:
    """A picture or chart.

    Attributes:
        data_uri: the picture itself, ``data:image/...``; an address elsewhere is refused.
        alt: what is to be seen, for those who cannot see it.
        caption: a plain sentence: what the picture shows and how to read it.
    """

    data_uri: str
    alt: str
    caption: str

    def __post_init__(self) -> None:
        check_carried(self.data_uri)


@dataclass(frozen=True)
class Gallery:
    """Rows of small pictures such as observations, enlarged with square pixels.

    Attributes:
        rows: a label, and the row's pictures as data URIs; the rows may differ in length.
        column_labels: what stands under each picture of a row; may be empty.
        caption: a plain sentence: what the pictures show and how to read them.
    """

    rows: tuple[tuple[str, tuple[str, ...]], ...]
    column_labels: tuple[str, ...]
    caption: str

    def __post_init__(self) -> None:
        for label, pictures in self.rows:
            if self.column_labels and len(pictures) > len(self.column_labels):
                raise ValueError(f"row {label!r} has more pictures than there are column labels")
            for data_uri in pictures:
                check_carried(data_uri)


Section: TypeAlias = (
    Heading | Contents | Found | Text | Code | Facts | Folded | Table | Picture | Gallery | Film | Films
)


def write_page(path: str | Path, title: str, sections: Sequence[Section]) -> None:
    """Write the sections as one self-contained page; written aside and renamed.

    Every text is shown as it is: markup in a run's name stays text, and the page forbids the browser to
    load or run anything but what this function put there.

    Raises:
        UserError: the file cannot be written.
    """
    with written_aside(Path(path)) as aside:
        aside.write_text(page(title, sections), encoding="utf-8")


def page(title: str, sections: Sequence[Section]) -> str:
    """The text of the HTML file that ``write_page`` writes."""
    style, script = map(_carried, (STYLES, SCRIPTS))
    body = "\n".join(_htmls(sections))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
<script>{script}</script>
</body>
</html>
"""


def _carried(names: Sequence[str]) -> str:
    folder = resources.files("saccade.viewer")
    return "\n".join(folder.joinpath(name).read_text("utf-8") for name in names)


def _htmls(sections: Sequence[Section]) -> list[str]:
    """Each section as HTML; the contents link to the headings by their numbers."""
    titles = [section.text for section in sections if isinstance(section, Heading) and section.level == 2]
    number = 0
    htmls = []
    for section in sections:
        match section:
            case Heading(text, 2):
                number += 1
                htmls.append(f'<h2 id="part-{number}">{escape(text)}</h2>')
            case Contents():
                items = (f'<li><a href="#part-{i}">{escape(title)}</a></li>' for i, title in enumerate(titles, start=1))
                htmls.append(f'<nav aria-label="Contents"><ol>{"".join(items)}</ol></nav>')
            case _:
                htmls.append(_html(section))
    return htmls


def _html(section: Section) -> str:
    match section:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Found(text):
            return f'<p class="found">{escape(text)}</p>'
        case Code(text):
            return f"<pre><code>{escape(text)}</code></pre>"
        case Facts(pairs):
            items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
            return f"<dl>{items}</dl>"
        case Folded(title, inside):
            parts = inside if isinstance(inside, tuple) else (inside,)
            return f"<details><summary>{escape(title)}</summary>{''.join(map(_html, parts))}</details>"
        case Table():
            return _table(section)
        case Picture(data_uri, alt, caption):
            image = f'<img class="chart" src="{escape(data_uri)}" alt="{escape(alt)}">'
            return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"
        case Gallery():
            return _gallery(section)
        case Film():
            return film_html(section)
        case Films():
            return films_html(section)
        case Contents():
            raise AssertionError("the contents are made where all headings are known")


def _gallery(gallery: Gallery) -> str:
    rows = "\n".join(_strip(label, pictures, gallery.column_labels) for label, pictures in gallery.rows)
    return f"<figure>{rows}<figcaption>{escape(gallery.caption)}</figcaption></figure>"


def _strip(label: str, pictures: Sequence[str], column_labels: Sequence[str]) -> str:
    below = [*column_labels, *[""] * (len(pictures) - len(column_labels))]
    cells = "".join(
        f'<div><img class="pixels" src="{escape(picture)}" alt="{escape(f"{label}, {column}".rstrip(", "))}">'
        f"<small>{escape(column)}</small></div>"
        for picture, column in zip(pictures, below, strict=False)
    )
    name = escape(label)
    strip = f'<div class="strip" role="group" tabindex="0" aria-label="{name}">{cells}</div>'
    return f'<p class="row">{name}</p>{strip}'


def _table(table: Table) -> str:
    better = table.better or (None,) * len(table.columns)
    titles = "".join(map(_title, table.columns, better))
    best = [table.best(column) for column in range(len(table.columns))]
    rows = "\n".join(f"<tr>{_row(row, best, row[0] in table.baselines)}</tr>" for row in table.rows)
    wide = ' class="wide"' if len(table.columns) > MOST_COLUMNS else ""
    whole = f"<table{wide}><thead><tr>{titles}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"
    return f"<figure>{scrolling(whole, table.caption)}<figcaption>{escape(table.caption)}</figcaption></figure>"


def scrolling(table: str, label: str, *, by_width: bool = False) -> str:
    """A table's HTML in a box: what is wider than a phone scrolls in itself, also by keyboard, and says so above.

    Args:
        by_width: say it on every narrow screen, for pages without a script, which cannot measure.
    """
    shown = ' class="sideways narrow"' if by_width else ' class="sideways" hidden'
    return (
        f"<p{shown}>{SIDEWAYS}</p>"
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{table}</div>'
    )


def _title(column: str, better: Better | None) -> str:
    arrow, first = "", ""
    if better is not None:
        sign = "↑" if better == "higher" else "↓"
        arrow = f' <span aria-hidden="true">{sign}</span><span class="unseen">, {better} is better</span>'
        first = f' data-first="{"descending" if better == "higher" else "ascending"}"'
    button = f'<button type="button">{breakable(escape(column))}{arrow}</button>'
    return f'<th scope="col" aria-sort="none"{first}>{button}</th>'


def _number(shown: str) -> float:
    found = LEADING_NUMBER.match(shown)
    return float(found[0].replace("\u2212", "-").replace(",", "")) if found else math.nan


def _row(row: tuple[Cell, ...], best: Sequence[float | None], baseline: bool) -> str:
    name, *values = row
    cells = "".join(
        f"<td{_sort_key(value)}>{_marked(_shown(value), None if baseline else mark)}</td>"
        for value, mark in zip(values, best[1:], strict=True)
    )
    return f'<th scope="row"{_sort_key(name)}>{breakable(_shown(name))}</th>{cells}'


def _marked(shown: str, best: float | None) -> str:
    if best is None or _number(shown) != best:
        return shown
    return f'<strong class="best">{shown}</strong><span class="unseen"> best</span>'  # page.css adds a star


def _sort_key(value: Cell) -> str:
    return "" if value is None or isinstance(value, str) else f' data-value="{float(value)!r}"'


def _shown(value: Cell) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 10 or value == 0 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else escape(value)


def _digest(text: str) -> str:
    """How a page's policy names the one script and the one style that it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
