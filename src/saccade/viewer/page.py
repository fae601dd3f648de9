"""One HTML file that carries everything: opens from a disk, without a network, on a phone, in the dark."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from saccade.viewer.files import written_aside

PARTS = ("page.css", "page.js")  # lie beside this file, and are copied into every page

Cell: TypeAlias = str | int | float | None  # None is a dash


@dataclass(frozen=True)
class Heading:
    """The title of what follows; the page's own title is the level above."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Code:
    """Lines to copy, such as the command that repeats a result."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows that a click on a column's title sorts; the first cell of a row is its name.

    A text that begins with a number, such as ``431 ± 12``, is sorted by that number.

    Attributes:
        caption: a plain sentence: what the table shows and how to read it.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells does not fit {len(self.columns)} columns: {row}")


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
        _check_carried(self.data_uri)


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
                _check_carried(data_uri)


def _check_carried(data_uri: str) -> None:
    if not data_uri.startswith("data:image/"):
        raise ValueError(f"a picture is a data:image/ URI, not {data_uri[:40]!r}")


Section: TypeAlias = Heading | Text | Code | Table | Picture | Gallery


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
    style, script = (resources.files("saccade.viewer").joinpath(name).read_text("utf-8") for name in PARTS)
    body = "\n".join(_html(section) for section in sections)
    policy = f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}"
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


def _html(section: Section) -> str:
    match section:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Code(text):
            return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'
        case Table():
            return _table(section)
        case Picture(data_uri, alt, caption):
            image = f'<img class="chart" src="{escape(data_uri)}" alt="{escape(alt)}">'
            return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"
        case Gallery():
            return _gallery(section)


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
    titles = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{_breakable(column)}</button></th>'
        for column in table.columns
    )
    rows = "\n".join(f"<tr>{_row(row)}</tr>" for row in table.rows)
    # What is wider than a phone scrolls in itself, also by keyboard.
    return (
        f'<figure><div class="scroll" role="region" tabindex="0" aria-label="{escape(table.caption)}">'
        f"<table><thead><tr>{titles}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
        f"<figcaption>{escape(table.caption)}</figcaption></figure>"
    )


def _breakable(title: str) -> str:
    """A title that may be broken after each underscore, so that columns stay narrow."""
    return escape(title).replace("_", "_<wbr>")


def _row(row: tuple[Cell, ...]) -> str:
    name, *values = row
    cells = "".join(f"<td{_sort_key(value)}>{_shown(value)}</td>" for value in values)
    return f'<th scope="row"{_sort_key(name)}>{_shown(name)}</th>{cells}'


def _sort_key(value: Cell) -> str:
    return "" if value is None or isinstance(value, str) else f' data-value="{float(value)!r}"'


def _shown(value: Cell) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 10 or value == 0 else f"{value:.3g}"
    return escape(str(value))


def _digest(text: str) -> str:
    """How a page's policy names the one script and the one style that it allows."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
