"""Curves along a slider: what is drawn of an episode, and how a person goes to a moment by them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, browser
from test_page import Reader

from saccade.viewer import film, page, timeline

MOMENTS = 11
HOSTILE = "</script><b>\"'"


def a_film(moments: int = MOMENTS, curves: tuple[timeline.Chart, ...] = ()) -> film.Film:
    panels = (film.panel("sees", "what it sees", np.zeros((moments, 5, 7, 3), dtype=np.uint8)),)
    return film.Film(panels, tuple(map(str, range(moments))), 5, 7, "caption", curves=curves)


def test_what_nobody_knows_is_a_gap_and_numbers_are_as_fine_as_a_picture() -> None:
    [line] = timeline.chart("value", [1.23456789, np.nan, -np.inf, 0]).lines
    assert line == timeline.Line("", (1.235, None, None, 0.0))


def test_of_many_actions_those_that_weigh_most_are_drawn_in_their_order_and_it_is_said() -> None:
    values = np.tile(np.arange(10)[::-1] / 45, (3, 1))
    chart = timeline.chart_of_actions("actions", values, [f"a{place}" for place in range(10)], "share")
    assert [line.name for line in chart.lines] == [f"a{place}" for place in range(8)]
    assert chart.note == "8 of 10 are drawn"
    few = timeline.chart_of_actions("actions", values[:, :3], ["a", "b", "c"])
    assert few.note == "" and len(few.lines) == 3


def test_a_chart_needs_curves_and_names() -> None:
    with pytest.raises(ValueError, match="a chart without curves"):
        timeline.Chart("value", ())
    with pytest.raises(ValueError, match="2 actions need as many names, not 1"):
        timeline.chart_of_actions("actions", np.zeros((3, 2)), ["a"])


def test_of_several_films_single_curves_share_a_chart_and_actions_have_one_each() -> None:
    actions = timeline.chart_of_actions("actions", np.zeros((2, 2)), ["left", "right"], "share")
    own = (timeline.chart("value", [0, 1]), actions)
    charts = timeline.together({"train": own, "video_hard": own, "bare": ()})
    assert [chart.title for chart in charts] == ["value", "actions, train", "actions, video_hard"]
    assert [line.name for line in charts[0].lines] == ["train", "video_hard"]


def test_hostile_names_stay_text() -> None:
    chart = timeline.Chart(HOSTILE, (timeline.Line(HOSTILE, (1.0, 2.0)),), note=HOSTILE)
    reader = Reader(page.page("title", [a_film(2, curves=(chart,))]))
    assert reader.count("b") == 0
    [told] = [json.loads(found["data-charts"] or "") for _, found in reader.elements if "data-charts" in found]
    assert told == [
        {"title": HOSTILE, "lines": [{"name": HOSTILE, "values": [1.0, 2.0]}], "unit": "number", "note": HOSTILE}
    ]


def test_without_curves_there_is_no_timeline() -> None:
    assert "data-charts" not in page.page("title", [a_film()])


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def opened(tab: Browser, tmp_path: Path) -> Browser:
    value = np.linspace(-1, 1, MOMENTS)
    value[3:6] = np.nan
    value[4] = 0.5
    chances = np.stack([np.linspace(0, 1, MOMENTS), np.linspace(1, 0, MOMENTS)], 1)
    charts = (timeline.chart("value", value), timeline.chart_of_actions("actions", chances, ["left", "right"], "share"))
    page.write_page(tmp_path / "page.html", "title", [a_film(curves=charts)])
    tab.problems.clear()
    tab.open(tmp_path / "page.html", width=390)
    return tab


def told(tab: Browser) -> str:
    return tab.value("[...document.querySelectorAll('.timeline .now')].map(one => one.textContent).join(' ')")


def test_curves_are_drawn_and_say_what_they_are_at_the_moment(opened: Browser) -> None:
    assert opened.problems == []
    assert told(opened) == "−1 0 % 100 %"
    heads = opened.value("[...document.querySelectorAll('.timeline .head')].map(one => one.textContent)")
    assert heads == ["value−1−1 to 1", "actionsleft 0 %right 100 %"]
    paths = opened.value("[...document.querySelectorAll('.timeline .plot .curve')].map(one => one.getAttribute('d'))")
    assert len(paths) == 3
    assert paths[0].count("M") == 3  # two gaps
    assert re.search(r"M400\.0 \S+?h0M", paths[0])  # a lone moment is a dot


def test_a_press_and_a_drag_on_a_curve_go_to_the_moment_and_stop_the_film(opened: Browser) -> None:
    opened.value("document.querySelector('.moving button').click()")
    assert opened.value("document.querySelector('.moving button').textContent") == "Pause"
    box = opened.value(
        "(() => { const box = document.querySelector('.plot').getBoundingClientRect();"
        " return [box.x, box.y + scrollY, box.width, box.height]; })()"
    )
    x, y, width, height = box

    def mouse(kind: str, share: float) -> None:
        opened.send(
            "Input.dispatchMouseEvent", type=kind, x=x + share * width, y=y + height / 2, button="left", clickCount=1
        )

    mouse("mousePressed", 0.3)
    assert opened.value("document.querySelector('.moving button').textContent") == "Play"
    assert opened.value("document.querySelector('.moving input').value") == "3"
    assert told(opened) == "– 30 % 70 %"
    mouse("mouseMoved", 0.82)
    assert opened.value("document.querySelector('.moving input').value") == "8"
    mouse("mouseMoved", 1.4)  # beyond the end is the end
    mouse("mouseReleased", 1.4)
    assert opened.value("document.querySelector('.count').textContent") == "11 of 11"
    mouse("mouseMoved", 0.1)  # a hand that only passes by changes nothing
    assert told(opened) == "1 100 % 0 %"


def test_curves_are_used_by_keyboard_and_read_aloud(opened: Browser) -> None:
    opened.value("document.querySelector('.timeline').focus()")
    opened.press("ArrowRight")
    opened.press("ArrowRight")
    opened.press("ArrowLeft")
    assert told(opened) == "−0.8 10 % 90 %"
    read = (
        "(() => { const one = document.querySelector('.timeline'); return ['role', 'aria-valuemin', 'aria-valuenow', "
    )
    read += "'aria-valuemax', 'aria-valuetext', 'aria-label'].map(name => one.getAttribute(name)); })()"
    spoken = "2 of 11: value −0.8, actions left 10 %, actions right 90 %"
    assert opened.value(read) == ["slider", "0", "1", "10", spoken, "Moment, along the curves"]


def test_the_slider_moves_the_curves(opened: Browser) -> None:
    opened.value(
        "(() => { const slider = document.querySelector('.moving input'); slider.value = 10;"
        " slider.dispatchEvent(new Event('input')); })()"
    )
    assert told(opened) == "1 100 % 0 %"
    assert opened.value("document.querySelector('.cursor').getAttribute('d')").startswith("M1000.0 ")


def luminance(colour: str) -> float:
    """Of WCAG 2.2: relative luminance of ``#rrggbb``."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
def test_every_curve_stands_out_from_its_ground(dark: bool) -> None:
    """3 to 1, as WCAG asks of what is no text."""
    folder = Path(timeline.__file__).parent
    colours, grounds = (
        re.findall(pattern, (folder / name).read_text())
        for pattern, name in ((r"--line-\d: (#\w{6})", "timeline.css"), (r"--soft: (#\w{6})", "page.css"))
    )
    own = colours[timeline.MOST_LINES :] if dark else colours[: timeline.MOST_LINES]
    assert len(colours) == 2 * timeline.MOST_LINES == 16
    ground = luminance(grounds[dark])
    for colour in own:
        low, high = sorted((luminance(colour), ground))
        assert (high + 0.05) / (low + 0.05) > 3, colour
