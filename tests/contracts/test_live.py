"""The live page: its server refuses strangers, and a browser plays, paints, goes back and comes back."""

from __future__ import annotations

import dataclasses
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("minigrid")

import uvicorn
from browser import Browser, browser
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from saccade.cli import main
from saccade.explain.session import Session
from saccade.explain.tasks import task_of
from saccade.policies.load import load_any
from saccade.policies.policy import Policy
from saccade.types import UserError
from saccade.viewer.live.server import HOST, Desk, application, listening

TOKEN, PORT = "a-secret-of-tests", 8642
ADDRESS = f"http://{HOST}:{PORT}"
ORIGIN = {"origin": ADDRESS}
TALK = f"ws://{HOST}:{PORT}/talk"
STROKE = {"kind": "paint", "points": [[0.1, 0.5], [0.9, 0.5]], "radius": 0.2, "colour": [1, 0, 0]}


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_any("zoo:ppo-red-fetch-green", device="cpu")


@pytest.fixture(scope="module")
def client(policy: Policy) -> Iterator[TestClient]:
    desk = Desk(lambda: Session([policy, policy], task_of(policy, None)), "ppo", "saccade view")
    with TestClient(application(desk, TOKEN, PORT), base_url=ADDRESS) as found:
        yield found
    desk.close()


def _until(talk: Any, kind: str) -> dict[str, Any]:
    while True:
        told = talk.receive_json()
        if told["kind"] == kind:
            return told
        assert told["kind"] != "error" or kind == "error", told


def _view(**changes: Any) -> dict[str, Any]:
    return {"index": 0, "panes": [{"policy": 0, "mode": "train"}], "methods": ["gradient"], **changes}


def test_page_is_for_whoever_knows_the_token_and_loads_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/", params={"token": TOKEN})
    assert answer.status_code == 200 and "default-src 'none'" in answer.headers["content-security-policy"]
    for path in ("/live.js", "/live.css", "/page.css"):
        text = client.get(path).text
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text
    assert client.get("/", params={"token": "wrong"}).status_code == 403
    assert client.get("/").status_code == 403
    assert client.get("/", params={"token": TOKEN}, headers={"host": "elsewhere.example"}).status_code == 403


@pytest.mark.parametrize(
    ("token", "headers"),
    [(TOKEN, {"origin": "http://elsewhere.example"}), (TOKEN, {}), ("wrong", ORIGIN), ("", ORIGIN)],
)
def test_strangers_are_not_talked_to(client: TestClient, token: str, headers: dict[str, str]) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"{TALK}?token={token}", headers=headers):
        pass


def test_a_stroke_changes_what_is_told_and_files_stand_alone(client: TestClient) -> None:
    with client.websocket_connect(f"{TALK}?token={TOKEN}", headers=ORIGIN) as talk:
        assert _until(talk, "hello")["policies"][1].startswith("2: ")
        talk.send_json({"do": "step"})
        _until(talk, "history")
        assert len(_until(talk, "history")["actions"]) == 1
        both = [{"policy": 0, "mode": "train"}, {"policy": 1, "mode": "palette"}]
        talk.send_json({"do": "look", "number": 1, "view": _view(edits=[STROKE], panes=both)})
        told = _until(talk, "look")["panes"]
        assert told[0]["before"]["preferences"] != told[0]["after"]["preferences"]
        assert told[0]["picture"] != told[1]["picture"]
        assert _until(talk, "map")["map"].startswith("data:image/png")
        for what, name in (("still", "saccade.png"), ("page", "saccade.html"), ("film", "saccade.mp4")):
            talk.send_json({"do": "save", "what": what, "view": _view(edits=[STROKE])})
            assert _until(talk, "file")["name"] == name


def test_perturbation_maps_come_coarse_first(client: TestClient) -> None:
    with client.websocket_connect(f"{TALK}?token={TOKEN}", headers=ORIGIN) as talk:
        talk.send_json({"do": "look", "number": 7, "view": _view(methods=["occlusion"])})
        assert [_until(talk, "map")["level"] for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("nonsense", "does not understand"),
        (json.dumps({"do": "branch", "index": 99, "action": 0}), "no moment 99"),
        (json.dumps({"do": "branch", "index": 0, "action": 99}), "no action 99"),
        (json.dumps({"do": "look", "number": 1, "view": _view(panes=[{"mode": "nowhere"}])}), "no mode 'nowhere'"),
        (json.dumps({"do": "look", "number": 1, "view": _view(edits=[{**STROKE, "radius": 9}])}), "radius 9"),
        (json.dumps({"do": "look", "number": 1, "view": _view(dial=["camera_yaw", 1])}), "no dial 'camera_yaw'"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence_and_the_session_lives_on(
    client: TestClient, message: str, said: str
) -> None:
    with client.websocket_connect(f"{TALK}?token={TOKEN}", headers=ORIGIN) as talk:
        talk.send_text(message)
        assert said in _until(talk, "error")["sentence"]
        talk.send_json({"do": "look", "number": 2, "view": _view()})
        assert _until(talk, "look")["number"] == 2


def test_two_pages_have_an_episode_each(client: TestClient) -> None:
    def at(talk: Any) -> int:
        return len(_until(talk, "history")["actions"])

    address = f"{TALK}?token={TOKEN}"
    with (
        client.websocket_connect(address, headers=ORIGIN) as one,
        client.websocket_connect(address, headers=ORIGIN) as other,
    ):
        assert at(one) == at(other) == 0
        one.send_json({"do": "step"})
        assert at(one) == 1
        other.send_json({"do": "branch", "index": 0, "action": 0})
        assert at(other) == 1
        other.send_json({"do": "step"})
        assert at(other) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["zoo:ppo-red-fetch-green", "--port", "99999"], "--port 99999"),
        (["zoo:ppo-red-fetch-green", "--token", "short"], "--token is a secret"),
        (["zoo:ppo-red-fetch-green", "--task", "dmc/walker_walk"], "walker"),
        (["zoo:ppo-red-fetch-green", "--obs", "frames.npz"], "--obs"),
        (["zoo:ppo-red-fetch-green", "--other", "nothing.zip"], "nothing.zip"),
    ],
)
def test_bad_input_ends_in_a_sentence(words: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["view", *words]) == 2
    told = capfd.readouterr().err
    assert said in told and "Traceback" not in told


def test_port_in_use_ends_in_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["view", "zoo:ppo-red-fetch-green", "--port", str(port)]) == 2
    assert f"Port {port}" in capfd.readouterr().err


def test_missing_extra_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["view", "zoo:ppo-red-fetch-green"]) == 2
    assert "saccade-rl[viewer]" in capfd.readouterr().err


class Served:
    """A server in a thread, which can be stopped and started again on its port."""

    def __init__(self, make: Callable[[], Session], port: int = 0) -> None:
        self._listener = listening(port)
        self.port = int(self._listener.getsockname()[1])
        self._desk = Desk(make, "ppo in a test", "saccade view")
        config = uvicorn.Config(
            application(self._desk, TOKEN, self.port),
            log_level="critical",
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self._listener.close()
        self._desk.close()
        assert not self._thread.is_alive()


def _wait(tab: Browser, expression: str) -> None:
    deadline = time.monotonic() + 60
    while not tab.value(expression):
        assert time.monotonic() < deadline, (expression, tab.value("at('status').textContent"), tab.problems)
        time.sleep(0.03)


def _open(tab: Browser, port: int, width: int, dark: bool) -> None:
    tab.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    tab.send("Emulation.setEmulatedMedia", features=[scheme])
    tab.send("Page.navigate", url=f"http://{HOST}:{port}/?token={TOKEN}")
    _wait(tab, "typeof state !== 'undefined' && state.answered !== null && !state.waiting")


def _key(tab: Browser, key: str) -> None:
    tab.value(f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: {key!r}, bubbles: true}})), 0")


def _stroke(tab: Browser) -> None:
    """With the mouse, across the first picture."""
    tab.value("document.querySelector('canvas').scrollIntoView({block: 'center', behavior: 'instant'}), 0")
    box = tab.value(
        "(() => { const b = document.querySelector('canvas').getBoundingClientRect();"
        " return [b.x, b.y, b.width, b.height]; })()"
    )
    for kind, share in (("mousePressed", 0.2), ("mouseMoved", 0.8), ("mouseReleased", 0.8)):
        x, y = box[0] + share * box[2], box[1] + 0.5 * box[3]
        tab.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_a_person_plays_paints_and_goes_back(policy: Policy, tmp_path: Path, width: int, dark: bool) -> None:
    served = Served(lambda: Session([policy], task_of(policy, None)))
    try:
        with browser(tmp_path) as tab:
            _open(tab, served.port, width, dark)
            assert tab.value("document.documentElement.scrollWidth") <= width
            unnamed = (
                "[...document.querySelectorAll('button, input, select, img, canvas, [role=img]')].filter(one =>"
                " !(one.textContent.trim() || one.ariaLabel || one.alt || one.labels?.length)).length"
            )
            assert tab.value(unnamed) == 0
            _key(tab, "ArrowRight")
            _wait(tab, "state.history.actions.length === 1 && state.answered.index === 1 && !state.waiting")
            _key(tab, "Home")
            _wait(tab, "state.index === 0 && state.answered.index === 0 && !state.waiting")
            shown = "document.querySelector('.maps img').src"
            _wait(tab, f"document.querySelector('.maps figure').dataset.number == state.number && {shown}")
            before = tab.value(shown)
            _stroke(tab)
            changed = "JSON.stringify(state.answered.panes[0].before) !== JSON.stringify(state.answered.panes[0].after)"
            _wait(tab, f"state.edits.length === 1 && !state.waiting && {changed}")
            _wait(
                tab, f"document.querySelector('.maps figure').dataset.number == state.number && {shown} !== '{before}'"
            )
            _key(tab, "u")
            _wait(tab, f"!state.edits.length && !state.waiting && !({changed})")
            _key(tab, "e")
            _stroke(tab)
            _wait(tab, f"state.edits[0]?.kind === 'erase' && !state.waiting && {changed}")
            tab.value("document.querySelector('#actions button').click(), 0")
            _wait(tab, "state.history.actions[0] === 0 && state.answered.index === 1 && !state.waiting")
            tab.value("at('second').click(), 0")
            _wait(tab, "state.answered.panes.length === 2 && !state.waiting")
            tab.value("document.querySelector('[data-save=page]').click(), 0")
            _wait(tab, "state.saved?.name === 'saccade.html' && state.saved.size < 20e6")
            assert tab.problems == []
            port = served.port
            served.stop()
            _wait(tab, "at('status').textContent.includes('away')")
            served = Served(lambda: Session([policy], task_of(policy, None)), port)
            _wait(tab, "!at('status').textContent.includes('away') && !state.waiting && socket.readyState === 1")
            _wait(tab, "state.history.actions.length === 1 && state.history.actions[0] === 0")
            assert tab.value("state.edits.length") == 1
    finally:
        served.stop()


def test_a_policy_that_raises_is_told_and_the_page_lives_on(policy: Policy, tmp_path: Path) -> None:
    session: list[Session] = []

    def make() -> Session:
        session.append(Session([policy], task_of(policy, None)))
        return session[-1]

    served = Served(make)
    try:
        with browser(tmp_path) as tab:
            _open(tab, served.port, 1000, False)

            def fail(*_: Any) -> Any:
                raise ValueError("no such luck")

            healthy = session[-1].policies
            broken = dict.fromkeys(policy.outputs, fail)
            session[-1].policies = (dataclasses.replace(policy, outputs=broken),)
            _key(tab, "ArrowRight")
            _wait(tab, "at('status').textContent.includes('no such luck')")
            session[-1].policies = healthy
            _key(tab, "ArrowRight")
            _wait(tab, "state.history.actions.length === 1 && state.answered.index === 1")
    finally:
        served.stop()


def test_a_policy_and_a_task_that_do_not_fit(policy: Policy) -> None:
    with pytest.raises(UserError):
        Session([policy], task_of(load_any("zoo:sac-reach", device="cpu"), None))
