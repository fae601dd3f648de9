"""Films that a page can hold without a video: sprite sheets side by side, moved by one slider."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from saccade.viewer.pictures import check_carried, data_uri
from saccade.viewer.timeline import Chart, timeline_html, together

# Cells end where the blocks of lossy WebP end, so that no frame bleeds into its neighbour.
CELL_MULTIPLE = 16
LOSSY_QUALITY = 90  # of 100: about 3 kB for 84 x 84 pixels


@dataclass(frozen=True)
class Panel:
    """One of the pictures that move together.

    Attributes:
        label: the text above it.
        alt: a description for those who cannot see it.
        sheet: data URI of all its frames in one picture, as ``panel`` arranges them.
    """

    label: str
    alt: str
    sheet: str

    def __post_init__(self) -> None:
        check_carried(self.sheet)


@dataclass(frozen=True)
class Scale:
    """The meaning of the colours in a film's panels: a bar from darkest to brightest, with a word at either end."""

    darkest: str
    brightest: str
    bar: str

    def __post_init__(self) -> None:
        check_carried(self.bar)


@dataclass(frozen=True)
class Film:
    """Panels side by side that a slider moves through time; without JavaScript their first frame.

    Attributes:
        panels: made by ``panel`` from equally many frames.
        lines: a line of text per moment.
        height, width: of a frame in pixels.
        caption: a plain sentence: what the film shows and how to read it.
        curves: numbers along the slider.
        drawn: the moments that have a frame, in order, if not all do: the others show the previous one.
    """

    panels: tuple[Panel, ...]
    lines: tuple[str, ...]
    height: int
    width: int
    caption: str
    scale: Scale | None = None
    curves: tuple[Chart, ...] = ()
    drawn: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.panels or not self.lines:
            raise ValueError(f"a film of {len(self.panels)} panels and {len(self.lines)} frames shows nothing")


@dataclass(frozen=True)
class Films:
    """Films under one slider, such as one episode in several modes; a shorter one waits at its last frame.

    Attributes:
        films: by their titles.
        caption: a plain sentence about all of them; each film's own caption is above its panels.
    """

    films: Mapping[str, Film]
    caption: str

    def __post_init__(self) -> None:
        if not self.films:
            raise ValueError("no films show nothing")


def panel(label: str, alt: str, frames: NDArray[np.uint8], *, lossless: bool = False) -> Panel:
    """Arrange frames ``[time, height, width, 3]`` as one panel.

    They are in rows on a sheet about as high as wide: a strip would be longer than browsers and WebP allow.
    """
    if frames.ndim != 4 or frames.shape[0] == 0 or frames.shape[3] != 3:
        raise ValueError(f"a panel's frames have shape [time, height, width, 3], not {list(frames.shape)}")
    count, height, width, _ = frames.shape
    columns = _columns(count)
    rows = -(-count // columns)
    below, right = _cell(height) - height, _cell(width) - width
    cells = np.pad(frames, ((0, 0), (0, below), (0, right), (0, 0)), mode="edge")
    # The places after the last frame repeat it, which costs nothing once compressed.
    cells = cells[np.minimum(np.arange(rows * columns), count - 1)]
    rowwise = cells.reshape(rows, columns, *cells.shape[1:]).swapaxes(1, 2)
    sheet = rowwise.reshape(rows * _cell(height), columns * _cell(width), 3)
    return Panel(label, alt, data_uri(*_encoded(sheet, lossless)))


def film_html(film: Film) -> str:
    """Return the film as a figure; page.js operates its controls."""
    return _figure([film.scale], _part(film), _controls(film.lines, _line(film)), film.curves, film.caption)


def films_html(films: Films) -> str:
    """Return the films as one figure with one slider."""
    parts = "\n".join(
        _part(film, f'<p class="row">{escape(title)}</p><p class="note">{escape(film.caption)}</p>{_line(film)}')
        for title, film in films.films.items()
    )
    several = films.films.values()
    longest = max((film.lines for film in several), key=len)
    curves = together({title: film.curves for title, film in films.films.items()})
    return _figure([film.scale for film in several], parts, _controls(longest, ""), curves, films.caption)


def _figure(scales: Iterable[Scale | None], parts: str, controls: str, curves: Sequence[Chart], caption: str) -> str:
    bars = "".join(_scale(scale) for scale in dict.fromkeys(scales))
    below = f"{controls}{timeline_html(curves)}<figcaption>{escape(caption)}</figcaption>"
    return f'<figure class="film">{bars}{parts}\n{below}</figure>'


def _part(film: Film, above: str = "") -> str:
    """One film's panels, with what the script needs to move them."""
    count = len(film.drawn or film.lines)
    columns = _columns(count)
    cell_height, cell_width = _cell(film.height), _cell(film.width)
    rows = -(-count // columns)
    size = f'width="{columns * cell_width}" height="{rows * cell_height}"'
    panels = "\n".join(
        f'<div class="panel"><small>{breakable(escape(one.label))}</small>'
        f'<svg viewBox="0 0 {film.width} {film.height}" role="img" aria-label="{escape(one.alt)}">'
        f'<image x="0" y="0" {size} href="{escape(one.sheet)}"/></svg></div>'
        for one in film.panels
    )
    return (
        f'<div class="part" data-lines="{escape(json.dumps(film.lines))}" data-columns="{columns}"'
        f' data-drawn="{escape(json.dumps(film.drawn))}"'
        f' data-cell-width="{cell_width}" data-cell-height="{cell_height}">'
        f'{above}<div class="panels">{panels}</div></div>'
    )


def breakable(title: str) -> str:
    """Return an escaped title that can be broken after each underscore, so that columns stay narrow."""
    return title.replace("_", "_<wbr>")


def _line(film: Film) -> str:
    return f'<p class="line">{escape(film.lines[0])}</p>'


def _controls(lines: Sequence[str], line: str) -> str:
    count = len(lines)
    if count == 1:
        return f'<div class="controls">{line}</div>\n' if line else ""
    return (
        f'<div class="controls" role="group" aria-label="Frames of the film">{line}'
        '<div class="moving" hidden><button type="button">Play</button>'
        f'<input type="range" min="0" max="{count - 1}" step="1" value="0" aria-label="Frame"'
        f' aria-valuetext="{escape(lines[0])}"><span class="count">1 of {count}</span></div></div>\n'
        f"<noscript><p>This is the first of {count} frames; a browser that runs JavaScript shows the others.</p>"
        "</noscript>\n"
    )


def _scale(scale: Scale | None) -> str:
    if scale is None:
        return ""
    bar = f'<img class="scale" src="{escape(scale.bar)}" alt="dark to bright">'
    return f'<p class="scale"><small>{escape(scale.darkest)}</small>{bar}<small>{escape(scale.brightest)}</small></p>'


def _encoded(sheet: NDArray[np.uint8], lossless: bool) -> tuple[bytes, str]:
    """The content of the smallest kind of file that this installation of Pillow writes, and its media type."""
    from PIL import Image, features

    buffer = io.BytesIO()
    if features.check("webp"):
        Image.fromarray(sheet).save(buffer, format="WEBP", lossless=lossless, quality=LOSSY_QUALITY)
        return buffer.getvalue(), "image/webp"
    Image.fromarray(sheet).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue(), "image/png"


def _columns(count: int) -> int:
    return math.isqrt(count - 1) + 1


def _cell(side: int) -> int:
    return -(-side // CELL_MULTIPLE) * CELL_MULTIPLE
