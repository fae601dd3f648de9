"""The live page in a browser: all that a person can do there, with the mouse and with the keyboard alone."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("minigrid")

import torch
from accessibility import assert_accessible
from browser import Browser, browser
from live_page import HOST, TOKEN, Served, open_page, stroke, wait

from saccade.cli import main, view_command
from saccade.explain.looking import Pane, Question
from saccade.explain.session import Session
from saccade.explain.tasks import task_of
from saccade.policies.load import load_any
from saccade.policies.policy import Policy
from saccade.viewer.live.server import WRONG_TOKEN

ZOO = "zoo:ppo-red-fetch-green"
ANSWERED = "state.answered && state.answered.number === state.number && !state.waiting && !state.dirty"
FIRST = "state.answered.panes[0]"
CHANGED = f"JSON.stringify({FIRST}.before) !== JSON.stringify({FIRST}.after)"
MAPPED = "[...document.querySelectorAll('.maps figure')].every(one => one.dataset.number == state.number)"
MOST_TABS = 120


@pytest.fixture(scope="module")
def policies() -> list[Policy]:
    """One of the zoo, and the same with other weights."""
    first = load_any(ZOO, device="cpu")
    network = copy.deepcopy(first.network)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    return [first, dataclasses.replace(first, name="shaken", network=network)]


@pytest.fixture(scope="module")
def served(policies: list[Policy]) -> Iterator[Served]:
    found = Served(lambda: Session(policies, task_of(policies[0], None)))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def tab(shared: Browser, served: Served) -> Iterator[Browser]:
    """The page as it opens, with an episode of its own."""
    shared.problems.clear()
    open_page(shared, served.port)
    yield shared
    assert shared.problems == []


def _tab_to(tab: Browser, selector: str) -> None:
    """With the Tab key alone."""
    for _ in range(MOST_TABS):
        if tab.value(f"document.activeElement.matches({selector!r})"):
            return
        tab.press("Tab")
    raise AssertionError(f"the Tab key does not come to {selector}")


def _choose(tab: Browser, selector: str, value: str) -> None:
    """What a person does to a field, as the page hears of it."""
    tab.value(
        f"(() => {{ const one = document.querySelector({selector!r}); one.value = {value!r};"
        " for (const kind of ['input', 'change']) one.dispatchEvent(new Event(kind, {bubbles: true})); })()"
    )
    assert tab.value(f"document.querySelector({selector!r}).value") == value


def _click(tab: Browser, selector: str) -> None:
    tab.value(f"document.querySelector({selector!r}).click(), 0")


def test_page_is_for_everybody(tab: Browser) -> None:
    _click(tab, "#metrics input[value=mass_inside]")
    tab.press("ArrowRight")
    wait(tab, f"state.history.actions.length === 1 && {ANSWERED} && document.querySelector('.maps li') !== null")
    assert_accessible(tab)
    assert tab.value("document.querySelector('.timeline').getAttribute('aria-valuetext')").startswith("2 of 2: value ")


def test_all_is_done_with_the_keyboard_alone(tab: Browser) -> None:
    before = tab.value(f"{FIRST}.picture")
    _tab_to(tab, ".pane canvas")
    for _ in range(3):
        tab.press("ArrowLeft")
    tab.press("ArrowUp")
    wait(tab, "at('status').textContent === 'Cross at 35 % across, 45 % down.'")
    tab.press("Enter")
    wait(tab, f"state.edits.length === 1 && {ANSWERED} && {FIRST}.picture !== {before!r}")
    assert tab.value("state.edits[0].points[0].map(one => one.toFixed(2)).join()") == "0.35,0.45"
    tab.press("u")
    wait(tab, f"!state.edits.length && {ANSWERED} && {FIRST}.picture === {before!r}")
    _tab_to(tab, "#next")
    tab.press("Enter")
    wait(tab, f"state.history.actions.length === 1 && state.index === 1 && {ANSWERED}")
    _tab_to(tab, "#slider")
    tab.press("Home")
    wait(tab, f"state.index === 0 && {ANSWERED}")
    _tab_to(tab, "#curves")
    tab.press("End")
    wait(tab, f"state.index === 1 && {ANSWERED}")
    _tab_to(tab, "[data-tool=erase]")
    tab.press(" ")
    assert tab.value("state.tool") == "erase" and not tab.value("state.playing")
    _tab_to(tab, "#shiftstrength")
    tab.press("End")
    wait(tab, f"{ANSWERED} && {CHANGED}")
    tab.press("Home")
    _tab_to(tab, "#actions button")
    tab.press("Enter")
    wait(tab, f"state.history.actions.length === 2 && state.history.actions[1] === 0 && {ANSWERED}")
    _tab_to(tab, "#methods input[value=grad_cam]")
    tab.press(" ")
    wait(tab, f"state.methods.join() === 'gradient,grad_cam' && {ANSWERED} && {MAPPED}")


def test_an_episode_plays_pauses_and_is_scrubbed(tab: Browser) -> None:
    tab.press(" ")
    wait(tab, "state.history.over && !state.playing && state.index === state.history.actions.length")
    last = tab.value("state.history.actions.length")
    assert last >= 2 and tab.value("at('slider').max") == str(last)
    assert f"step {last} of {last}, over; return" in tab.value("at('count').textContent")
    assert tab.value("[at('next').disabled, at('play').disabled]") == [True, True]
    _choose(tab, "#slider", "1")
    wait(tab, f"state.answered.index === 1 && {ANSWERED}")
    assert "return 0.00" in tab.value("at('count').textContent")
    tab.value("document.querySelector('.timeline .plot').scrollIntoView({block: 'center', behavior: 'instant'}), 0")
    box = tab.value(
        "(() => { const box = document.querySelector('.timeline .plot').getBoundingClientRect();"
        " return [box.x + 1, box.y + box.height / 2]; })()"
    )
    for kind in ("mousePressed", "mouseReleased"):
        tab.send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", buttons=1, clickCount=1)
    wait(tab, f"state.answered.index === 0 && {ANSWERED}")


def test_curves_are_what_the_policy_thought(tab: Browser, policies: list[Policy]) -> None:
    tab.press("ArrowRight")
    wait(tab, f"state.history.actions.length === 1 && {ANSWERED}")
    session = Session(policies, task_of(policies[0], None))
    session.step()
    told = {one["title"]: one["lines"] for one in tab.value("state.history.curves")}
    readings = session.course()
    assert told["value"][0]["values"] == pytest.approx([one.value for one in readings], rel=1e-3)
    assert told["reward"][0]["values"] == [session.rewards[0], None]
    assert [line["name"] for line in told["probabilities"]] == list(session.action_names)
    liked = readings[0].preferences
    assert liked is not None
    assert [line["values"][0] for line in told["probabilities"]] == pytest.approx(liked.tolist(), rel=1e-3, abs=1e-9)
    session.close()


@pytest.mark.parametrize("tool", ["paint", "erase", "drop"])
def test_a_brush_changes_picture_value_and_map(tab: Browser, tool: str) -> None:
    wait(tab, MAPPED)
    before, shown = tab.value(f"{FIRST}.picture"), tab.value("document.querySelector('.maps img').src")
    _click(tab, f"[data-tool={tool}]")
    stroke(tab)
    wait(tab, f"state.edits[0]?.kind === {tool!r} && {ANSWERED} && {CHANGED} && {MAPPED}")
    assert tab.value(f"{FIRST}.picture") != before
    assert tab.value("document.querySelector('.maps img').src") != shown
    _click(tab, "#clear")
    wait(tab, f"{ANSWERED} && !({CHANGED}) && {FIRST}.picture === {before!r}")


def test_a_slider_changes_the_whole_picture(tab: Browser) -> None:
    _choose(tab, "#shift", "brightness")
    values = []
    for strength in ("0.5", "1"):
        _choose(tab, "#shiftstrength", strength)
        wait(tab, f"{ANSWERED} && {CHANGED}")
        values.append(tab.value(f"{FIRST}.after.value"))
    assert values[0] != values[1]


def test_light_and_camera_of_a_simulator_move(shared: Browser) -> None:
    pytest.importorskip("mujoco")
    policy = load_any("zoo:sac-reach", device="cpu")
    served = Served(lambda: Session([policy], task_of(policy, None)))
    try:
        open_page(shared, served.port)
        before = shared.value(f"{FIRST}.picture")
        pictures = {before}
        for dial in [one for one in shared.value("state.offer.dials") if one.startswith(("light", "camera"))][:4]:
            _choose(shared, "#dial", dial)
            _choose(shared, "#dialstrength", "0.5")
            wait(shared, f"{ANSWERED} && {CHANGED}")
            pictures.add(shared.value(f"{FIRST}.picture"))
        assert len(pictures) >= 3
        parts = "[...document.querySelectorAll('#actions input')].map(one => Number(one.value))"
        shown = "[...document.querySelectorAll('#actions output')].map(one => one.textContent.replace('\u2212', '-'))"
        does = shared.value(f"{FIRST}.before.action")
        assert shared.value(parts) == pytest.approx(does, abs=0.006)  # they begin where the policy is
        assert [float(one) for one in shared.value(shown)] == pytest.approx(does, abs=0.011)
        _choose(shared, "#part1", "-0.25")
        _choose(shared, "#slider", "0")
        wait(shared, ANSWERED)
        assert shared.value(parts)[1] == -0.25, "a person's own"
        shared.value("[...document.querySelectorAll('#actions button')].at(-1).click(), 0")
        assert shared.value(parts) == pytest.approx(does, abs=0.006)
        shared.value("document.querySelectorAll('#actions input')[0].value = 0.5, 0")
        _click(shared, "#actions button")
        wait(shared, f"state.history.actions[0]?.[0] === 0.5 && {ANSWERED}")
    finally:
        served.stop()


def test_method_mode_and_policy_are_switched(tab: Browser) -> None:
    picture = tab.value(f"{FIRST}.picture")
    _click(tab, "#methods input[value=gradient]")
    _click(tab, "#methods input[value=occlusion]")
    wait(
        tab, f"{ANSWERED} && {MAPPED} && document.querySelector('.maps figcaption').textContent.startsWith('occlusion')"
    )
    before = tab.value(f"JSON.stringify({FIRST}.before)")
    _choose(tab, ".pane select[aria-label^=Policy]", "1")
    wait(tab, f"{ANSWERED} && JSON.stringify({FIRST}.before) !== {json.dumps(before)}")
    assert tab.value(f"{FIRST}.picture") == picture
    _choose(tab, ".pane select[aria-label^=Mode]", "palette")
    wait(tab, f"state.history.mode === 'palette' && {ANSWERED} && {FIRST}.picture !== {picture!r}")


def test_two_policies_stand_side_by_side_on_the_same_states(tab: Browser) -> None:
    assert tab.value("at('second').getAttribute('aria-pressed')") == "true"  # a second one was given
    for moment in range(2):
        wait(tab, f"state.answered.panes.length === 2 && state.index === {moment} && {ANSWERED}")
        one, other = tab.value("state.answered.panes")
        assert one["picture"] == other["picture"] and one["before"]["preferences"] != other["before"]["preferences"]
        does = [tab.value(f"actionName({pane['before']['action']})") for pane in (one, other)]
        assert tab.value("at('status').textContent") == f"Step {moment}: the policy does {does[0]}. View 2: {does[1]}."
        tab.press("ArrowRight")
    assert tab.value("[...document.querySelectorAll('.pane select[aria-label^=Policy]')].map(one => one.value)") == [
        "0",
        "1",
    ]


def test_scores_stand_beside_the_maps_and_on_the_saved_page(tab: Browser, policies: list[Policy]) -> None:
    for name in ("deletion", "insertion", "mass_inside"):
        _click(tab, f"#metrics input[value={name}]")
    wait(tab, f"{ANSWERED} && document.querySelector('.maps figure').dataset.scored == state.number")
    session = Session(policies, task_of(policies[0], None))
    answer = session.look(Pane(), Question())
    *_, level = session.maps(Pane(), answer, "gradient")
    asked = tab.value("state.metrics")
    found = session.scored(Pane(), Question(), answer, level, asked)
    session.close()
    told = tab.value("[...document.querySelector('.maps').querySelectorAll('li')].map(one => one.textContent)")
    assert [one.metric for one in found] == asked and len(told) == len(asked) == 3
    for one, line in zip(found, told, strict=True):
        assert one.value is not None and f"{one.metric.replace('_', ' ')} {one.value:.2f} ({one.direction} is" in line
    _click(tab, "[data-save=page]")
    wait(tab, "state.saved?.name === 'saccade.html'")


def test_two_pages_at_once_have_an_episode_each(tab: Browser, served: Served, tmp_path: Path) -> None:
    with browser(tmp_path) as other:
        open_page(other, served.port)
        tab.press("ArrowRight")
        wait(tab, f"state.history.actions.length === 1 && {ANSWERED}")
        assert other.value("state.history.actions.length") == 0
        stroke(other)
        wait(other, f"state.edits.length === 1 && {ANSWERED} && {CHANGED}")
        assert tab.value("state.edits.length") == 0 and not tab.value(CHANGED)


def test_strangers_see_nothing(shared: Browser, served: Served, tmp_path: Path) -> None:
    shared.send("Page.navigate", url=f"http://{HOST}:{served.port}/?token=wrong-token")
    wait_for = f"document.body?.innerText === {WRONG_TOKEN!r}"
    for _ in range(200):
        if shared.value(wait_for):
            break
    assert shared.value(wait_for) and shared.value("typeof state") == "undefined"
    page = tmp_path / "foreign.html"
    page.write_text("<!DOCTYPE html><title>another page, which even knows the secret</title>", "utf-8")
    shared.open(page)
    talk = f"ws://{HOST}:{served.port}/talk?token={TOKEN}"
    opened = shared.value(
        f"new Promise(done => {{ const one = new WebSocket({talk!r}); one.onopen = () => done('opened');"
        " one.onclose = () => done('refused'); })"
    )
    assert opened == "refused"


def test_no_browser_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def none(*_: Any) -> Any:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", none)
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    assert main(["view", ZOO, "--browser", "--port", str(port)]) == 2
    assert "no browser on this machine" in capfd.readouterr().err
    with socket.socket() as left, pytest.raises(ConnectionRefusedError):
        left.connect((HOST, port))


def test_interrupted_it_leaves_nothing_running(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "saccade", "view", ZOO, "--port", "0"]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, start_new_session=True
    )
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "http://" in line)
        address = line.partition("http://")[2].partition("/")[0]
        port = int(address.rpartition(":")[2])
        with socket.create_connection((HOST, port)):  # a page that stays open holds nothing up
            process.send_signal(signal.SIGINT)
            told = process.stdout.read()
            assert process.wait(30) == 130
        assert "Traceback" not in told
        with socket.socket() as left, pytest.raises(ConnectionRefusedError):
            left.connect((HOST, port))
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    finally:
        process.kill()
        process.communicate()


OWN = """
import gymnasium, numpy as np, torch
from gymnasium import spaces

class Dots(gymnasium.Env):
    observation_space = spaces.Box(0, 255, (36, 36, 3), np.uint8)
    action_space = spaces.Discrete(3)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._seen(), {}
    def step(self, action):
        return self._seen(), float(action), False, False, {}
    def _seen(self):
        return self.np_random.integers(0, 255, (36, 36, 3), np.uint8)

if "OwnDots-v0" not in gymnasium.registry:
    gymnasium.register("OwnDots-v0", Dots)

def make():
    return Dots()

class Net(torch.nn.Module):
    def __init__(self, observation_space=None, action_space=None):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 8, 4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(256, 3)
        )
    def forward(self, x):
        return self.net(x.permute(0, 3, 1, 2) / 255.0)
"""


@pytest.mark.parametrize("task", ["own.py:make", "own:OwnDots-v0"])
def test_a_network_of_ones_own_plays_in_an_environment_of_ones_own(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(OWN, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[Session] = []
    monkeypatch.setattr(view_command, "serve", lambda make, **_: made.append(make()))
    namespace: dict[str, Any] = {"__name__": "own"}
    exec(OWN, namespace)  # the same file, for its weights
    torch.save(namespace["Net"]().state_dict(), tmp_path / "net.pt")
    words = ["view", "--policy", "own.py:Net", "--checkpoint", "net.pt", "--task", task, "--output", "logits"]
    assert main(words) == 0
    (session,) = made
    assert session.step() and session.actions[0].shape == ()
    answer = session.look(Pane(), Question(1))
    (level,) = session.maps(Pane(), answer, "gradient")
    scores = session.scored(Pane(), Question(1), answer, level, session.metrics())
    assert [one.metric for one in scores] == ["deletion", "insertion"] and level.values.shape == (36, 36)
    session.close()


def test_a_field_keeps_the_focus_when_what_it_changed_has_come(tab: Browser) -> None:
    mode = ".pane select[aria-label^=Mode]"
    tab.value(f"document.querySelector({mode!r}).focus(), 0")
    _choose(tab, mode, "palette")
    wait(tab, f"state.history.mode === 'palette' && {ANSWERED}")
    assert tab.value(f"document.activeElement === document.querySelector({mode!r})")


def test_an_action_after_the_end_is_refused_and_the_page_stays_where_it_is(tab: Browser) -> None:
    assert not tab.value("at('actions').querySelector('button').disabled") and tab.value("at('ended').hidden")
    tab.press(" ")
    wait(tab, f"state.history.over && state.index === state.history.actions.length && {ANSWERED}")
    last = tab.value("state.index")
    assert tab.value("at('actions').querySelector('button').disabled") and not tab.value("at('ended').hidden")
    tab.value("takeAction(0), 0")  # a button that was pressed just before
    wait(tab, "at('status').textContent.includes('The episode is over')")
    assert tab.value("state.index") == last == tab.value("state.history.actions.length")
    tab.press("ArrowLeft")
    wait(tab, f"state.answered.index === {last - 1} && {ANSWERED}")
    assert not tab.value("at('actions').querySelector('button').disabled")


def test_the_policy_of_the_first_view_plays_and_has_the_curves(tab: Browser) -> None:
    before = tab.value("JSON.stringify(state.history.curves)")
    _choose(tab, ".pane select[aria-label^=Policy]", "1")
    wait(tab, f"{ANSWERED} && JSON.stringify(state.history.curves) !== {json.dumps(before)}")
    does = tab.value(f"{FIRST}.before")
    assert tab.value("state.history.curves[0].lines[0].values[0]") == pytest.approx(does["value"], rel=1e-3)
    tab.press("ArrowRight")
    wait(tab, f"state.history.actions.length === 1 && {ANSWERED}")
    assert tab.value("state.history.actions[0]") == does["action"]


def test_pictures_stay_in_sight_while_the_tools_are_in_hand(shared: Browser, served: Served) -> None:
    open_page(shared, served.port, 390)
    wait(shared, MAPPED)
    assert shared.value("at('glance').hidden")
    shared.value("at('shiftstrength').scrollIntoView({block: 'center', behavior: 'instant'}), 0")
    wait(shared, "!at('glance').hidden")
    _choose(shared, "#shift", "brightness")
    wait(shared, f"{ANSWERED} && {CHANGED} && {MAPPED}")
    small = shared.value("[...document.querySelectorAll('#glanced img')].map(one => one.src)")
    assert small[0] == shared.value(f"{FIRST}.picture")
    assert small[1] == shared.value("document.querySelector('.maps img').src") and len(small) == 4
    assert shared.value("at('said').textContent === at('status').textContent")
    assert shared.value("document.documentElement.scrollWidth") <= 390
    shared.value("scrollTo({top: 0, behavior: 'instant'}), 0")
    wait(shared, "at('glance').hidden")


def test_what_is_chosen_shows_at_once(tab: Browser) -> None:
    """A dial that stands at nothing is turned halfway when it is chosen."""
    assert tab.value("at('shiftstrength').value") == "0" and tab.value("at('clear').disabled")
    _choose(tab, "#shift", "brightness")
    wait(tab, f"{ANSWERED} && {CHANGED}")
    assert tab.value("document.querySelector('output[data-of=shiftstrength]').textContent") == "50 %"
    _click(tab, "#clear")
    wait(tab, f"{ANSWERED} && !({CHANGED})")
    _choose(tab, "#drop", "noise")
    assert tab.value("state.tool") == "drop"
    _choose(tab, "#colour", "#00ff00")
    assert tab.value("state.tool") == "paint"


def test_a_map_is_enlarged(tab: Browser) -> None:
    wait(tab, MAPPED)
    wide = "document.querySelector('.maps img').getBoundingClientRect().width"
    before = tab.value(wide)
    _click(tab, ".maps .enlarge")
    assert tab.value(wide) > 1.5 * before
    assert tab.value("document.querySelector('.maps .enlarge').getAttribute('aria-pressed')") == "true"
    tab.press("ArrowRight")
    wait(tab, f"state.history.actions.length === 1 && {ANSWERED} && {MAPPED}")
    assert tab.value(wide) > 1.5 * before, "it stays so at the next moment"


def test_a_map_of_another_moment_is_marked_until_its_own_has_come(tab: Browser) -> None:
    old = "document.querySelector('.maps figure').classList.contains('old')"
    wait(tab, f"{MAPPED} && !{old}")
    tab.value("window.kept = mapped, mapped = message => { window.late = message; }, 0")
    tab.press("ArrowRight")
    wait(tab, f"state.history.actions.length === 1 && {ANSWERED} && window.late?.number === state.number")
    assert tab.value(old)
    tab.value("[0, 1].forEach(pane => kept({...window.late, pane})), 0")
    assert not tab.value(old)


def test_a_seed_is_begun_with_enter_and_the_next_one_with_a_button(tab: Browser) -> None:
    picture = tab.value(f"{FIRST}.picture")
    tab.value("at('seed').focus(), at('seed').select(), 0")
    for letter in ("1", "."):
        tab.send("Input.insertText", text=letter)
    tab.send("Input.insertText", text="5")
    tab.press("Enter")
    assert tab.value("at('seed').validity.valid") is False and tab.value("state.history.seed") == 0
    _choose(tab, "#seed", "7")
    tab.press("Enter")
    wait(tab, f"state.history.seed === 7 && {ANSWERED} && {FIRST}.picture !== {picture!r}")
    _click(tab, "#another")
    wait(tab, f"state.history.seed === 8 && {ANSWERED} && at('seed').value === '8'")


def test_the_space_bar_opens_what_is_folded_and_does_not_play(tab: Browser) -> None:
    tab.value("document.querySelector('summary').focus(), 0")
    tab.press(" ")
    wait(tab, "document.querySelector('details').open")
    assert not tab.value("state.playing") and tab.value("state.history.actions.length") == 0


def test_strokes_are_small_and_too_many_are_told(tab: Browser) -> None:
    tab.value("document.querySelector('canvas').scrollIntoView({block: 'center', behavior: 'instant'}), 0")
    box = tab.value(
        "(({x, y, width, height}) => [x, y, width, height])(document.querySelector('canvas').getBoundingClientRect())"
    )
    at = [(box[0] + (0.3 + 0.001 * step) * box[2], box[1] + 0.5 * box[3]) for step in range(40)]
    kinds = ["mousePressed", *["mouseMoved"] * 38, "mouseReleased"]
    for kind, (x, y) in zip(kinds, at, strict=True):
        tab.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
    wait(tab, f"state.edits.length === 1 && {ANSWERED}")
    points = tab.value("state.edits[0].points")
    assert 5 <= len(points) <= 12 and all(round(one, 4) == one for point in points for one in point)
    tab.value(
        "state.edits = Array(3000).fill({...state.edits[0], points: Array(100).fill([0.1234, 0.1234])}), ask(), 0"
    )
    wait(tab, "at('status').textContent.includes('too many changes')")
    assert tab.value("socket.readyState") == 1 and not tab.value("state.waiting")
    tab.press("c")
    wait(tab, f"!state.edits.length && {ANSWERED} && at('status').textContent.startsWith('Step 0')")


def test_steps_are_read_aloud_only_while_nothing_plays(tab: Browser) -> None:
    tab.press(" ")
    assert tab.value("at('status').getAttribute('aria-live')") == "off"
    wait(tab, "!state.playing")
    assert tab.value("at('status').getAttribute('aria-live')") == "polite"


@pytest.mark.parametrize("keys", [("Tab",), ("Tab", "Shift")])
def test_what_has_the_focus_lies_under_nothing(shared: Browser, served: Served, keys: tuple[str, ...]) -> None:
    """Neither under the bar that stays at the bottom nor under the small pictures at the top, on a phone."""
    open_page(shared, served.port, 390)
    if len(keys) > 1:
        shared.value("document.querySelector('summary').focus(), 0")
    under = (
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {"
        " const one = document.activeElement, box = one.getBoundingClientRect();"
        " const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);"
        " done([one.tagName, one.id || one.value || '', one === document.body || one.contains(top)]); })))"
    )
    walked = []
    for _ in range(60):
        shared.press(*keys)
        walked.append(tuple(shared.value(under)))
    assert [one for one in walked if not one[2]] == []
    assert {"SELECT", "CANVAS", "BUTTON", "INPUT"} <= {one[0] for one in walked}


@pytest.mark.parametrize("place", [0, 1])
def test_a_mode_that_cannot_be_made_is_told_and_left(tab: Browser, place: int) -> None:
    """Such as one whose clips are not on this machine."""
    tab.value(f"changeMode({place}, 'nowhere'), 0")
    wait(tab, "at('status').textContent.includes('no mode \\'nowhere\\'')")
    modes = "[...document.querySelectorAll('.pane select[aria-label^=Mode]')].map(one => one.value)"
    assert tab.value(modes) == ["train", "train"]
    tab.press("ArrowRight")
    wait(tab, f"state.history.actions.length === 1 && {ANSWERED} && at('status').textContent.startsWith('Step 1')")


def test_maps_move_with_a_brush_that_does_not_rest(tab: Browser) -> None:
    """Each answer is followed by another question at once, for as long as it takes."""
    wait(tab, MAPPED)
    tab.value(
        "window.drawn = new Set(), window.heard_map = mapped, window.heard_look = looked, window.goes_on = true,"
        " mapped = message => { heard_map(message); drawn.add(document.querySelector('.maps img').src); },"
        " looked = message => { heard_look(message); if (goes_on) { const x = (message.number % 50) / 50;"
        " state.edits = [{kind: 'paint', points: [[x, 0.5]], radius: 0.1, colour: [1, 0, 0]}]; ask(); } },"
        " ask(), 0"
    )
    wait(tab, "drawn.size >= 5")
    tab.value("goes_on = false, 0")
    wait(tab, f"{ANSWERED} && {MAPPED}")
