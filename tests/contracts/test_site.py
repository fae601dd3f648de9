"""The documentation as a site: it builds without a warning, loads nothing from elsewhere and can be read everywhere."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browser import Browser, browser

import saccade
from saccade import explain, testing

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NAMED = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
ADDRESS = re.compile(r"""(?:url\(\s*["']?|@import\s+["']?)(?:https?:)?//""")
LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
WIDTHS = (390, 1440)
SECONDS = 30  # more than a busy machine takes to search
TYPED = """(() => {
    const field = document.querySelector(".md-search__input");
    field.focus();
    field.value = "guided";
    for (const kind of ["keyup", "input"]) field.dispatchEvent(new Event(kind, {bubbles: true}));
})()"""
FOUND = "document.querySelectorAll('.md-search-result__item').length"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


class Loaded(HTMLParser):
    """What a page makes a browser load, and what its links lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        canonical = tag == "link" and given.get("rel") in ("canonical", "prev", "next")
        if not canonical and (address := given.get(LOADS.get(tag, ""))):
            self.addresses.append(address)
        self.ids.add(given.get("id") or "")


def test_every_page_is_built(site: Path) -> None:
    pages = [page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")]
    assert [page for page in pages if not (site / page).is_file()] == []


def test_every_page_stands_in_the_navigation(site: Path) -> None:
    links = set(re.findall(r'href="([^"#]+\.html)', (site / "index.html").read_text()))
    pages = {page.relative_to(DOCS).with_suffix(".html").as_posix() for page in DOCS.rglob("*.md")}
    assert pages - links - {"index.html"} == set()


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text()
        foreign = [address for address in Loaded(text).addresses if re.match(r"(\w+:)?//", address)]
        assert foreign == [], page
        assert "Content-Security-Policy" in text, page
    for style in site.rglob("*.css"):
        assert not ADDRESS.search(style.read_text()), style


def test_what_pages_load_is_there(site: Path) -> None:
    for page in site.rglob("*.html"):
        base = site if page.name == "404.html" else page.parent
        for address in Loaded(page.read_text()).addresses:
            path = address.partition("?")[0].partition("#")[0]
            place = site / path.lstrip("/") if path.startswith("/") else base / path
            assert path.startswith("data:") or place.exists(), (page, address)


def reference_names() -> Iterator[str]:
    for page in sorted((DOCS / "api").glob("*.md")):
        yield from NAMED.findall(page.read_text())


def test_the_reference_has_every_public_name(site: Path) -> None:
    named = {name.rpartition(".")[2] for name in reference_names()}
    public = {*saccade.__all__, *explain.__all__, *testing.__all__} - {"__version__"}
    assert public - named == set()
    built = set().union(*(Loaded(page.read_text()).ids for page in (site / "api").glob("*.html")))
    assert set(reference_names()) - built == set()


def test_names_of_the_reference_exist_and_say_what_they_are() -> None:
    for name in reference_names():
        module, _, attribute = name.rpartition(".")
        assert getattr(importlib.import_module(module), attribute).__doc__, name


def test_words_of_the_glossary_are_in_order_and_explained_once() -> None:
    words = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", (DOCS / "glossary.md").read_text(), re.MULTILINE)[2:]
    words = [re.sub(r"[^a-z ]", "", word.lower()) for word in words]
    assert len(words) > 40 and words == sorted(set(words))


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_fit_and_load_without_a_complaint(site: Path, tab: Browser, width: int, dark: bool) -> None:
    for name in ("index", "tutorials/1-explain-your-own-agent", "api/2-explain", "reference/command-line"):
        tab.problems.clear()
        tab.open(site / f"{name}.html", width=width, dark=dark)
        assert tab.value("document.documentElement.scrollWidth") <= width, name
        assert tab.value("[...document.images].every(image => image.complete && image.naturalWidth)"), name
        assert tab.value("[...document.images].every(image => image.alt)"), name
        scheme = tab.value("document.body.dataset.mdColorScheme")
        assert scheme == ("slate" if dark else "default"), name
        assert tab.problems == [], name


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Requests are nobody's business."""


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_served_site_can_be_searched(served: str, tab: Browser) -> None:
    tab.problems.clear()
    tab.send("Page.navigate", url=f"{served}index.html")
    deadline = time.monotonic() + SECONDS
    while not tab.value("document.readyState === 'complete' && location.protocol === 'http:'"):
        assert time.monotonic() < deadline, "the page does not load"
        time.sleep(0.05)
    while not tab.value(FOUND):
        assert time.monotonic() < deadline, "nothing is found"
        tab.value(TYPED)
        time.sleep(0.3)
    assert tab.problems == []
