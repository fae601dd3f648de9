"""Every page stands alone, shows hostile text as text, and can be read without seeing its pictures."""

import base64
import dataclasses
import hashlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from saccade.types import UserError
from saccade.viewer import film
from saccade.viewer import page as pages
from saccade.viewer.pictures import data_uri, png

HOSTILE = "</script></style><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp; http://evil.example/"
PICTURE = data_uri(png(np.zeros((2, 2, 3), dtype=np.uint8)))

FRAMES = np.zeros((3, 5, 7, 3), dtype=np.uint8)
PANELS = (film.panel(HOSTILE, HOSTILE, FRAMES), film.panel("b", "b moves", FRAMES))

FILM = film.Film(PANELS, (HOSTILE, "second", "third"), 5, 7, HOSTILE, film.Scale(HOSTILE, HOSTILE, PICTURE))

# One of each kind of section; a new kind must be put here too, see test_every_kind_of_section_is_tested.
SECTIONS = (
    pages.Heading(HOSTILE),
    pages.Found(HOSTILE),
    pages.Text(HOSTILE),
    pages.Code(HOSTILE),
    pages.Table((HOSTILE, "value"), ((HOSTILE, 1.5), ("b", None), ("c", 431), ("d", "12 ± 3")), HOSTILE),
    pages.Picture(PICTURE, HOSTILE, HOSTILE),
    pages.Gallery(((HOSTILE, (PICTURE, PICTURE)), ("short", (PICTURE,))), (HOSTILE, "b"), HOSTILE),
    pages.Heading(HOSTILE, 3),
    pages.Contents(),
    pages.Facts(((HOSTILE, HOSTILE),)),
    pages.Folded(HOSTILE, pages.Facts(((HOSTILE, HOSTILE),))),
    FILM,
    film.Films({HOSTILE: FILM, "shorter": dataclasses.replace(FILM, lines=(HOSTILE,))}, HOSTILE),
)


class Reader(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and each element's text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open = ["none"]
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "wbr", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self._open[-1], data))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)

    def text(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


@pytest.fixture(scope="module")
def content() -> str:
    return pages.page(HOSTILE, SECTIONS)


@pytest.fixture(scope="module")
def reader(content: str) -> Reader:
    return Reader(content)


def test_every_kind_of_section_is_tested():
    assert {type(section) for section in SECTIONS} == set(pages.Section.__args__)


def test_hostile_text_stays_text(reader: Reader):
    assert reader.count("script") == reader.count("style") == 1
    assert reader.count("img") == 6  # a picture, a gallery of three, two films' scales: none came out of a text
    assert reader.count("image") == 2 * 3  # the films' panels
    assert not [name for _, attributes in reader.elements for name in attributes if name.startswith("on")]
    for tag in ("title", "h1", "h2", "h3", "code", "small", "a", "dt", "dd", "summary"):
        assert HOSTILE in reader.text(tag), tag
    assert reader.text("figcaption") == [HOSTILE] * 5
    assert HOSTILE in reader.text("th")


def test_nothing_is_loaded_from_elsewhere(reader: Reader):
    addresses = [
        value
        for _, attributes in reader.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster", "background")
    ]
    assert len(addresses) == 14  # twelve pictures, an empty icon, and a link to the page's own heading
    assert all(address.startswith("data:") or address == "#part-1" for address in addresses)
    assert ("h2", {"id": "part-1"}) in reader.elements
    assert "url(" not in "".join(reader.text("style"))
    assert "@import" not in "".join(reader.text("style"))


def test_the_browser_may_run_nothing_but_the_pages_own_script(reader: Reader):
    [policy] = [attributes["content"] for _, attributes in reader.elements if "http-equiv" in attributes]
    rules = dict(rule.split(maxsplit=1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256("".join(reader.text(tag)).encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"


def test_pictures_and_figures_can_be_read_unseen(reader: Reader):
    assert all(attributes["alt"] for tag, attributes in reader.elements if tag == "img")
    assert [attributes["aria-label"] for tag, attributes in reader.elements if tag == "svg"] == [HOSTILE, "b moves"] * 3
    assert all(attributes["role"] == "img" for tag, attributes in reader.elements if tag == "svg")
    assert reader.count("figure") == reader.count("figcaption") == 5
    assert reader.elements[0] == ("html", {"lang": "en"})


def test_cells_show_numbers_shortly_and_keep_them_exactly_for_sorting(reader: Reader):
    assert reader.text("td") == ["1.5", "–", "431", "12 ± 3"]
    keys = [attributes.get("data-value") for tag, attributes in reader.elements if tag == "td"]
    assert keys == ["1.5", None, "431.0", None]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0.0"), (1234.567, "1234.6"), (-0.12345, "-0.123"), (float("nan"), "nan")]
)
def test_floats_are_rounded_for_the_eye(value: float, shown: str):
    table = pages.Table(("name", "value"), (("a", value),), "caption")
    assert Reader(pages.page("title", [table])).text("td") == [shown]


def test_a_title_may_break_after_underscores_and_reads_the_same():
    table = pages.Table(("mode", "video_hard"), (), "caption")
    reader = Reader(pages.page("title", [table]))
    assert reader.count("wbr") == 1
    assert "".join(reader.text("button")) == "modevideo_hard"


def test_the_best_numbers_of_a_column_are_marked_and_their_direction_is_told():
    columns = ("method", "auc", "drift", "note")
    rows = (("a", "0.80 ± 0.1", 0.2, 3), ("b", 0.8, "\u22120.5", 4), ("c", None, 0.004, 5), ("prior", 0.7, -0.4, 9))
    better = (None, "higher", "lower", None)
    reader = Reader(pages.page("title", [pages.Table(columns, rows, "caption", better, frozenset({"prior"}))]))
    # Equal as they are shown: both are best. A minus sign counts.
    assert reader.text("strong") == ["0.80 ± 0.1", "0.8", "\u22120.5"]
    assert reader.text("td") == ["0.2", "3", "4", "–", "0.004", "5", "0.7", "-0.4", "9"]
    assert [text for _, text in reader.texts if "is better" in text] == [", higher is better", ", lower is better"]
    first = [
        attributes.get("data-first") for tag, attributes in reader.elements if tag == "th" and "scope" in attributes
    ]
    assert first[:4] == [None, "descending", "ascending", None]


@pytest.mark.parametrize(
    ("better", "methods", "baselines", "best"),
    [
        ("higher", (0.2, 0.5), (0.4, None), ["0.5"]),
        ("higher", (0.2, 0.5), (0.6, 0.1), []),
        ("higher", (0.2, 0.5), (0.5, 0.1), []),  # as good is not better
        ("higher", (0.2, 0.501), ("0.50 ± 0.9", None), ["0.501"]),
        ("higher", (None, None), (0.1, None), []),
        ("lower", (0.2, 0.5), (0.3, 0.9), ["0.2"]),
        ("lower", (0.2, 0.5), (0.1, 0.9), []),
        ("lower", ("\u22120.2", 0.5), (0.0, None), ["\u22120.2"]),
        (None, (0.2, 0.5), (0.1, 0.9), []),
    ],
)
def test_a_row_is_best_only_where_it_beats_the_baselines(better, methods, baselines, best):
    rows = (*zip("ab", methods, strict=True), *zip(("noise", "centre"), baselines, strict=True))
    table = pages.Table(("method", "x"), rows, "caption", (None, better), frozenset({"noise", "centre"}))
    assert Reader(pages.page("title", [table])).text("strong") == best
    is_lost = better is not None and not best and methods != (None, None)
    assert table.lost() == (("x",) if is_lost else ())


def test_a_column_without_numbers_has_no_best():
    table = pages.Table(("method", "auc"), (("a", None), ("b", "nan")), "caption", (None, "higher"))
    assert Reader(pages.page("title", [table])).count("strong") == 0


def test_directions_must_fit_the_columns():
    with pytest.raises(ValueError, match="2 columns need as many directions, not 1"):
        pages.Table(("a", "b"), (), "caption", ("higher",))


def test_a_film_shows_its_first_frame_without_a_script(reader: Reader):
    window, *_ = [attributes for tag, attributes in reader.elements if tag == "svg"]
    assert window["viewbox"] == "0 0 7 5"
    sheet = next(attributes for tag, attributes in reader.elements if tag == "image")
    # Three frames lie two by two, each in a cell of 16 by 16.
    assert (sheet["x"], sheet["y"], sheet["width"], sheet["height"]) == ("0", "0", "32", "32")
    moving = [attributes for _, attributes in reader.elements if attributes.get("class") == "moving"]
    assert len(moving) == 2 and all("hidden" in attributes for attributes in moving)
    assert any("first of 3 frames" in text for text in reader.text("p"))


def test_a_film_of_one_frame_has_nothing_to_move():
    still = film.Film((film.panel("a", "a", FRAMES[:1]),), ("only",), 5, 7, "caption")
    assert Reader(pages.page("title", [still])).count("input") == 0


def test_films_of_nothing_are_refused():
    with pytest.raises(ValueError, match="0 panels and 1 frames"):
        film.Film((), ("a",), 5, 7, "caption")
    with pytest.raises(ValueError, match="no films"):
        film.Films({}, "caption")
    with pytest.raises(ValueError, match="time, height, width, 3"):
        film.panel("a", "a", FRAMES[:0])


@pytest.mark.parametrize("address", ["http://a/b.png", "https://a/b.png", "file:///b.png", "b.png", "data:text/html,x"])
def test_pictures_from_elsewhere_are_refused(address: str):
    with pytest.raises(ValueError, match="data:image/"):
        pages.Picture(address, "alt", "caption")
    with pytest.raises(ValueError, match="data:image/"):
        pages.Gallery((("label", (address,)),), (), "caption")
    with pytest.raises(ValueError, match="data:image/"):
        film.Panel("label", "alt", address)
    with pytest.raises(ValueError, match="data:image/"):
        film.Scale("dark", "bright", address)


def test_rows_must_fit_their_columns():
    with pytest.raises(ValueError, match="a row of 1 cells does not fit 2 columns"):
        pages.Table(("a", "b"), (("only one",),), "caption")


def test_a_page_replaces_an_older_one_and_leaves_nothing_beside_it(tmp_path: Path):
    path = tmp_path / "new" / "report.html"
    pages.write_page(path, "first", [])
    pages.write_page(path, "second", SECTIONS)
    assert path.read_text(encoding="utf-8") == pages.page("second", SECTIONS)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_written_says_so(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        pages.write_page(tmp_path / "file" / "report.html", "title", [])
