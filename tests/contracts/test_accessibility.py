"""The check of pages finds what it is for, each fault on a page that has that one alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from accessibility import assert_accessible, faults, faults_of_focus, show
from browser import Browser, browser

PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
<meta name="viewport" content="width=device-width"><style>
:root {{ color-scheme: light dark; }} body {{ color: CanvasText; background: Canvas; }} {style}
</style></head><body><main><h1>A page</h1>{body}</main></body></html>"""
GOOD = """<p>Some text, and <a href="#one">a link</a>.</p>
<h2 id="one">One</h2><h3>Deeper</h3><h2>Two</h2>
<label>Side <input type="number" value="3"></label> <label for="far">Far</label>
<select id="far"><option>a</option></select>
<button type="button" aria-label="Next">▶</button> <button type="button" aria-pressed="true">On</button>
<input type="range" aria-label="Step"> <img alt="a square" src="data:,"> <svg aria-hidden="true"></svg>
<svg role="img" aria-label="a curve" viewBox="0 0 90 20">
<rect width="90" height="20" fill="#000"/><text y="15" fill="#fff">told</text></svg>
<canvas role="img" aria-label="a picture" tabindex="0"></canvas>
<fieldset><legend>Both</legend><input type="radio" name="r" aria-label="a" checked>
<input type="radio" name="r" aria-label="b"></fieldset>
<div style="overflow-x: auto; width: 5rem" tabindex="0" role="region" aria-label="A table">
<table><tr><td></td><th scope="col">long heading</th></tr>
<tr><th scope="row">row</th><td>3</td></tr></table></div>
<details><summary>More</summary><p style="color: #767676; background: #fff">just enough</p></details>
<button type="button" disabled style="color: #bbb; background: #ccc">not now</button>"""
BAD = {
    "name": "<button type='button'><span aria-hidden='true'>▶</span></button>",
    "name of a field": "<input type='text' placeholder='name'>",
    "name of a group": "<fieldset><label>Side <input type='number'></label></fieldset>",
    "nested": "<button type='button'>a <a href='#'>link</a></button>",
    "order": "<button type='button' tabindex='3'>first</button>",
    "picture": "<img src='data:,'>",
    "picture that is painted": "<canvas></canvas>",
    "picture that is drawn": "<svg viewBox='0 0 9 9'><path d='M0 0L9 9'/></svg>",
    "role": "<div role='buton'>x</div>",
    "role without its state": "<div role='slider' tabindex='0' aria-label='x'></div>",
    "state": "<button type='button' aria-pressed='yes'>x</button>",
    "state that is none": "<p aria-labeled='x'>x</p>",
    "reference": "<button type='button' aria-controls='nowhere'>x</button>",
    "hidden": "<div aria-hidden='true'><button type='button'>x</button></div>",
    "id": "<p id='same'>x</p><p id='same'>y</p>",
    "label": "<label for='nowhere'>x</label>",
    "heading": "<h3>too deep</h3>",
    "heading, a second first": "<h1>again</h1>",
    "table": "<table><tr><td>1</td></tr></table>",
    "list": "<div><li>x</li></div>",
    "contrast": "<p style='color: #777; background: #fff'>nearly</p>",
    "contrast through a veil": "<div style='opacity: .4'><p>faint</p></div>",
    "contrast of a field": "<input aria-label='x' value='y' style='color: #888; background: #999'>",
    "contrast in a drawing": "<svg role='img' aria-label='x' viewBox='0 0 99 20'>"
    "<rect width='99' height='20' fill='#fff'/><text y='15' fill='#ddd'>told</text></svg>",
    "scrolls": "<div style='overflow: auto; height: 2rem; width: 3rem'><p>one two three four five six seven</p></div>",
    "scrolls sideways": "<div style='width: 2000px'>wide</div>",
}


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def _open(tab: Browser, folder: Path, body: str, style: str = "") -> None:
    page = folder / "page.html"
    page.write_text(PAGE.format(body=body, style=style), "utf-8")
    tab.open(page)


def test_a_good_page_has_no_fault(tab: Browser, tmp_path: Path) -> None:
    _open(tab, tmp_path, GOOD)
    assert_accessible(tab)


@pytest.mark.parametrize("name", BAD)
def test_a_fault_is_found_and_no_other(tab: Browser, tmp_path: Path, name: str) -> None:
    _open(tab, tmp_path, BAD[name])
    show(tab, 390, False)
    found = faults(tab)
    assert {one.partition(":")[0] for one in found} == {
        name.split(" ")[0].strip(",") if name != "scrolls sideways" else name
    }


def test_what_lacks_from_the_document_is_found(tab: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<!DOCTYPE html><body><h1>x</h1></body>", "utf-8")
    tab.open(page)
    assert {one.partition(":")[0] for one in faults(tab)} == {"language", "title", "main", "viewport"}


@pytest.mark.parametrize(
    ("style", "said"),
    [
        ("button { outline: none }", "does not show that it has the focus"),
        ("button:focus-visible { outline: 2px solid #ddd }", "has a contrast of"),
        ("button:focus-visible { outline: none; background: #036; color: #fff }", None),
        ("button:focus-visible { outline: 2px solid #036 }", None),
    ],
)
def test_focus_is_seen(tab: Browser, tmp_path: Path, style: str, said: str | None) -> None:
    _open(tab, tmp_path, "<button type='button'>x</button>", style)
    show(tab, 390, False)
    found = faults_of_focus(tab)
    assert found == [] if said is None else len(found) == 1 and said in found[0]


def test_what_the_keyboard_cannot_reach_is_found(tab: Browser, tmp_path: Path) -> None:
    kept = 'if (event.key === "Tab") event.preventDefault()'
    trap = f"<button type='button' onkeydown='{kept}'>a</button><a href='#'>b</a>"
    _open(tab, tmp_path, trap)
    found = faults_of_focus(tab)
    assert len(found) == 1 and "“b” is not reached" in found[0]
