"""The live page: its server refuses strangers, and a browser plays, paints, goes back and comes back."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import functools
import json
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("minigrid")

from browser import browser
from live_page import HOST, TOKEN, Served, key, open_page, stroke, wait
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from test_page import Reader

from saccade.cli import main
from saccade.explain.session import Session
from saccade.explain.tasks import Task, task_of
from saccade.policies.load import load_any
from saccade.policies.policy import Policy
from saccade.types import UserError
from saccade.viewer.live.server import Desk, application
from saccade.viewer.live.serving import serve

PORT = 8642
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


def test_an_interrupt_while_the_event_loop_is_made_leaves_a_whole_one(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[asyncio.AbstractEventLoop] = []

    def interrupted(config: object) -> Callable[[], asyncio.AbstractEventLoop]:
        def loop() -> asyncio.AbstractEventLoop:
            signal.raise_signal(signal.SIGINT)
            made.append(asyncio.new_event_loop())
            return made[-1]

        return loop

    monkeypatch.setattr("uvicorn.Config.get_loop_factory", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run where it is ignored
    make = functools.partial(Session, [policy], task_of(policy, None))
    try:
        with pytest.raises(KeyboardInterrupt):
            serve(make, title="", command="", port=0, token=TOKEN, ready=str)
        assert [loop.is_closed() for loop in made] == [True]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


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
    for path in ("/live.js", "/stage.js", "/tools.js", "/live.css", "/page.css"):
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


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_a_saved_page_tells_the_same_without_a_server(
    client: TestClient, tmp_path: Path, width: int, dark: bool
) -> None:
    with client.websocket_connect(f"{TALK}?token={TOKEN}", headers=ORIGIN) as talk:
        names = _until(talk, "hello")["names"]
        for _ in range(2):
            talk.send_json({"do": "step"})
        view = _view(index=1, edits=[STROKE])
        talk.send_json({"do": "look", "number": 1, "view": view})
        (told,), found = _until(talk, "look")["panes"], _until(talk, "map")
        talk.send_json({"do": "save", "what": "page", "view": view})
        page = tmp_path / "saccade.html"
        page.write_bytes(base64.b64decode(_until(talk, "file")["content"]))
    with browser(tmp_path / "settings") as tab:
        tab.send("Network.enable")
        tab.send("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        tab.open(page, width=width, dark=dark)
        was, now = (names[told[when]["action"]] for when in ("before", "after"))
        with_changes = f"the policy does {was}" if was == now else f"with the changes it does {now}"
        text = tab.value("document.body.innerText")
        assert f"At step 1 the policy does {was}" in text and with_changes in text
        assert "What was changed: painted over." in text
        rows = tab.value("[...document.querySelector('table').tBodies[0].rows].map(row => row.innerText.split('\\t'))")
        assert [row[1].strip() for row in rows] == [was, now]
        values = [float(row[2].replace("\u2212", "-")) for row in rows]
        assert values == pytest.approx([told["before"]["value"], told["after"]["value"]], abs=0.01)
        drawn = tab.value("[...document.images].filter(one => one.complete && one.naturalWidth).map(one => one.src)")
        assert {told["picture"], found["map"]} <= set(drawn)
        assert len(drawn) == tab.value("document.images.length")
        assert tab.value("document.querySelector('.film input[type=range]').max") == "2"
        elsewhere = (
            "performance.getEntriesByType('resource').map(one => one.name).filter(one => !one.startsWith('data:'))"
        )
        assert tab.value(elsewhere) == [] and tab.problems == []
        assert tab.value("document.documentElement.scrollWidth") <= width


def test_a_saved_film_has_pictures_of_some_moments_and_curves_of_all(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of both policies, where their mode is the one that is played; of another mode the last that was drawn is told."""
    monkeypatch.setattr("saccade.viewer.live.saving.MOST_MOMENTS", 2)
    with client.websocket_connect(f"{TALK}?token={TOKEN}", headers=ORIGIN) as talk:
        talk.send_json({"do": "start", "seed": 0, "mode": "train", "actions": [0, 0, 1]})
        for mode in ("train", "palette"):
            panes = [{"policy": 0, "mode": "train"}, {"policy": 1, "mode": mode}]
            talk.send_json({"do": "save", "what": "page", "view": _view(panes=panes)})
            making = [_until(talk, "making") for _ in range(4)]  # two moments of two views
            assert [(one["done"], one["total"]) for one in making] == [(0, 4), (1, 4), (2, 4), (3, 4)]
            reader = Reader(base64.b64decode(_until(talk, "file")["content"]).decode())
            moments = [text for tag, text in reader.texts if tag == "th" and text.startswith(("1: ", "2: "))]
            assert moments == ["1: ppo, train", f"2: ppo, {mode}"]  # nothing was changed, so each stands there once
            parts = [found for _, found in reader.elements if "data-lines" in found]
            lines = [[line.split(":")[0] for line in json.loads(one["data-lines"] or "")] for one in parts]
            played = ["step 0", "step 1", "step 2", "step 3"]
            assert lines == [played, played if mode == "train" else ["step 0"] * 3 + ["step 3"]]
            assert [json.loads(one["data-drawn"] or "") for one in parts] == [[0, 3], [0, 3]]
            [charts] = [
                json.loads(found["data-charts"] or "") for _, found in reader.elements if "data-charts" in found
            ]
            assert {len(line["values"]) for one in charts for line in one["lines"]} == {4}
            assert len(charts[1]["lines"]) == (2 if mode == "train" else 1) and charts[1]["title"] == "reward"
            assert any("Pictures of 2 of 4 moments" in text for _, text in reader.texts)


def test_a_page_whose_episode_cannot_begin_says_so_and_does_not_try_again(policy: Policy, tmp_path: Path) -> None:
    made: list[Session] = []

    def make() -> Session:
        if made:
            raise UserError("There is no room for a second one.")
        made.append(Session([policy], task_of(policy, None)))
        return made[-1]

    served = Served(make)
    try:
        with browser(tmp_path) as tab:
            open_page(tab, served.port, 1000, False)
            tab.send("Page.navigate", url=f"http://{HOST}:{served.port}/?token={TOKEN}")
            said = "document.getElementById('status')?.textContent"
            wait(tab, f"{said} === 'There is no room for a second one.'")
            time.sleep(1)  # a page that waits for its server tries again after half a second
            assert tab.value(said) == "There is no room for a second one."
            assert tab.value("socket.readyState") == 3
    finally:
        served.stop()


def test_a_saved_page_has_the_scores_of_both_policies_maps(client: TestClient) -> None:
    with client.websocket_connect(f"{TALK}?token={TOKEN}", headers=ORIGIN) as talk:
        both, asked = [{"policy": 0, "mode": "train"}, {"policy": 1, "mode": "train"}], ["mass_inside", "deletion"]
        view = _view(edits=[STROKE], panes=both, metrics=asked)
        talk.send_json({"do": "look", "number": 1, "view": view})
        told = [_until(talk, "scores")["scores"] for _ in both]
        talk.send_json({"do": "save", "what": "page", "view": view})
        page = base64.b64decode(_until(talk, "file")["content"]).decode()
    table = page[: page.rindex("Scores of the maps. mass inside: higher is better; deletion: ")].rpartition("<tbody>")[
        2
    ]
    rows = [re.findall(r">([^<>]+)</t[hd]>", row) for row in table.split("</tr>")[:4]]
    assert [row[0].partition(", ")[2] for row in rows] == ["train, gradient", "train, gradient: by chance"] * 2
    wanted = [[one[kind] for one in scores] for scores in told for kind in ("value", "by_chance")]
    assert [[float(cell) for cell in row[1:]] for row in rows] == [pytest.approx(row, abs=0.01) for row in wanted]


def test_perturbation_maps_come_coarse_first(client: TestClient) -> None:
    with client.websocket_connect(f"{TALK}?token={TOKEN}", headers=ORIGIN) as talk:
        talk.send_json({"do": "look", "number": 7, "view": _view(methods=["occlusion"])})
        assert [_until(talk, "map")["level"] for _ in range(3)] == [1, 2, 3]


def test_a_map_stays_where_it_cannot_be_scored(client: TestClient) -> None:
    with client.websocket_connect(f"{TALK}?token={TOKEN}", headers=ORIGIN) as talk:
        _until(talk, "curves")
        talk.send_json({"do": "look", "number": 3, "view": _view(metrics=["luck"])})
        kinds = [talk.receive_json() for _ in range(3)]
        assert [one["kind"] for one in kinds] == ["look", "map", "scores"]
        assert kinds[2]["scores"] == [] and "no score 'luck' here" in kinds[2]["sentence"]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("nonsense", "does not understand"),
        (json.dumps({"do": "branch", "index": 99, "action": 0}), "no moment 99"),
        (json.dumps({"do": "branch", "index": 0, "action": 99}), "no action 99"),
        (json.dumps({"do": "look", "number": 1, "view": _view(panes=[{"mode": "nowhere"}])}), "no mode 'nowhere'"),
        (json.dumps({"do": "look", "number": 1, "view": _view(edits=[{**STROKE, "radius": 9}])}), "radius 9"),
        (json.dumps({"do": "look", "number": 1, "view": _view(edits=[{**STROKE, "points": [[0, 1e308]]}])}), "0 to 1"),
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


def test_a_step_tells_what_is_new_and_no_more(client: TestClient) -> None:
    with client.websocket_connect(f"{TALK}?token={TOKEN}", headers=ORIGIN) as talk:
        whole = _until(talk, "curves")
        assert whole["from"] == 0 and [len(line["values"]) for line in whole["charts"][0]["lines"]] == [1]
        for action in (0, 0, 1):
            before = len(_told_of(whole))
            talk.send_json({"do": "branch", "index": before - 1, "action": action})
            history, curves = _until(talk, "history"), _until(talk, "curves")
            assert history["from"] == before - 1 == curves["from"]
            assert history["actions"] == [action] and len(history["rewards"]) == 1
            for known, new in zip(whole["charts"], curves["charts"], strict=True):
                assert [line["name"] for line in known["lines"]] == [line["name"] for line in new["lines"]]
                for line, more in zip(known["lines"], new["lines"], strict=True):
                    assert len(more["values"]) == 2  # the moment before, whose action has its reward now, and this one
                    line["values"][curves["from"] :] = more["values"]
        talk.send_json({"do": "branch", "index": 1, "action": 0})
        history, curves = _until(talk, "history"), _until(talk, "curves")
        assert history["from"] == curves["from"] == 1 and history["actions"] == [0]
        talk.send_json({"do": "start", "seed": history["seed"], "mode": "train", "actions": [0, 0, 1]})
        history, again = _until(talk, "history"), _until(talk, "curves")
        assert history["actions"] == [0, 0, 1] and again == whole  # piece by piece it came to the same


def _told_of(curves: dict[str, Any]) -> list[Any]:
    return list(curves["charts"][0]["lines"][0]["values"])


def test_curves_are_those_of_the_first_views_policy(client: TestClient) -> None:
    with client.websocket_connect(f"{TALK}?token={TOKEN}", headers=ORIGIN) as talk:
        _until(talk, "curves")
        talk.send_json({"do": "look", "number": 1, "view": _view(panes=[{"policy": 1, "mode": "train"}])})
        assert _until(talk, "curves")["from"] == 0
        talk.send_json({"do": "look", "number": 2, "view": _view(panes=[{"policy": 7, "mode": "train"}])})
        assert "no policy number 8" in _until(talk, "error")["sentence"]
        talk.send_json({"do": "step", "policy": 1})
        assert len(_told_of(_until(talk, "curves"))) == 2


def test_two_pages_have_an_episode_each(client: TestClient) -> None:
    def at(talk: Any) -> int:
        told = _until(talk, "history")
        return int(told["from"]) + len(told["actions"])

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


@pytest.mark.parametrize("name", ["ppo_discrete", "ppo_box", "dqn", "sac"])
def test_a_zip_of_stable_baselines3_is_played_and_looked_at(name: str, tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3")
    from foreign_policies import CASES, NoiseEnv, trained

    case = CASES[name]
    model = trained(case)
    model.save(tmp_path / "theirs.zip")
    theirs = load_any(tmp_path / "theirs.zip", device="cpu")
    task = Task("noise", lambda mode, masks: NoiseEnv(case.observations, case.actions), ("train",), False)
    desk = Desk(lambda: Session([theirs], task), "theirs", "saccade view")
    with (
        TestClient(application(desk, TOKEN, PORT), base_url=ADDRESS) as client,
        client.websocket_connect(f"{TALK}?token={TOKEN}", headers=ORIGIN) as talk,
    ):
        hello = _until(talk, "hello")
        assert (hello["names"] is None) == (hello["low"] is not None) == name.endswith(("box", "sac"))
        talk.send_json({"do": "step"})
        talk.send_json({"do": "look", "number": 1, "view": _view(edits=[STROKE])})
        (told,) = _until(talk, "look")["panes"]
        env = NoiseEnv(case.observations, case.actions)
        wanted, _ = model.predict(env.reset(seed=0)[0], deterministic=True)
        np.testing.assert_allclose(told["before"]["action"], wanted, rtol=1e-5, atol=1e-6)
        liked = told["before"]["preferences"]
        assert {"dqn": "action_values", "ppo_discrete": "probabilities"}.get(name) == (liked and told["before"]["kind"])
        if name == "dqn":
            assert told["before"]["value"] == max(liked)
        assert told["before"]["value"] != told["after"]["value"]
        assert _until(talk, "map")["map"].startswith("data:image/png")
        talk.send_json({"do": "branch", "index": 0, "action": np.asarray(case.actions.sample()).tolist()})
        assert len(_until(talk, "history")["actions"]) == 1
    desk.close()


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


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
def test_a_person_plays_paints_and_goes_back(policy: Policy, tmp_path: Path, width: int, dark: bool) -> None:
    served = Served(lambda: Session([policy], task_of(policy, None)))
    try:
        with browser(tmp_path) as tab:
            open_page(tab, served.port, width, dark)
            assert tab.value("document.documentElement.scrollWidth") <= width
            unnamed = (
                "[...document.querySelectorAll('button, input, select, img, canvas, [role=img]')].filter(one =>"
                " !(one.textContent.trim() || one.ariaLabel || one.alt || one.labels?.length"
                " || one.closest('[aria-hidden=true]'))).length"
            )
            assert tab.value(unnamed) == 0
            key(tab, "ArrowRight")
            wait(tab, "state.history.actions.length === 1 && state.answered.index === 1 && !state.waiting")
            key(tab, "Home")
            wait(tab, "state.index === 0 && state.answered.index === 0 && !state.waiting")
            shown = "document.querySelector('.maps img').src"
            wait(tab, f"document.querySelector('.maps figure').dataset.number == state.number && {shown}")
            before = tab.value(shown)
            stroke(tab)
            changed = "JSON.stringify(state.answered.panes[0].before) !== JSON.stringify(state.answered.panes[0].after)"
            wait(tab, f"state.edits.length === 1 && !state.waiting && {changed}")
            wait(
                tab, f"document.querySelector('.maps figure').dataset.number == state.number && {shown} !== '{before}'"
            )
            key(tab, "u")
            wait(tab, f"!state.edits.length && !state.waiting && !({changed})")
            key(tab, "e")
            stroke(tab)
            wait(tab, f"state.edits[0]?.kind === 'erase' && !state.waiting && {changed}")
            tab.value("document.querySelector('#actions button').click(), 0")
            wait(tab, "state.history.actions[0] === 0 && state.answered.index === 1 && !state.waiting")
            tab.value("at('second').click(), 0")
            wait(tab, "state.answered.panes.length === 2 && !state.waiting")
            tab.value("document.querySelector('[data-save=page]').click(), 0")
            wait(tab, "state.saved?.name === 'saccade.html' && state.saved.size < 20e6")
            assert tab.problems == []
            port = served.port
            served.stop()
            wait(tab, "/away.*Start it again with the same --port and --token/.test(at('status').textContent)")
            served = Served(lambda: Session([policy], task_of(policy, None)), port)
            wait(tab, "!at('status').textContent.includes('away') && !state.waiting && socket.readyState === 1")
            wait(tab, "state.history.actions.length === 1 && state.history.actions[0] === 0")
            assert tab.value("state.edits.length") == 1
    finally:
        served.stop()


def kept(policy: Policy) -> tuple[list[Session], Callable[[], Session]]:
    """The sessions of a policy that were made, and what makes one more."""
    made: list[Session] = []

    def make() -> Session:
        made.append(Session([policy], task_of(policy, None)))
        return made[-1]

    return made, make


def test_a_policy_that_raises_is_told_and_the_page_lives_on(policy: Policy, tmp_path: Path) -> None:
    session, make = kept(policy)
    served = Served(make)
    try:
        with browser(tmp_path) as tab:
            open_page(tab, served.port, 1000, False)

            def fail(*_: Any) -> Any:
                raise ValueError("no such luck")

            healthy = session[-1].policies
            broken = dict.fromkeys(policy.outputs, fail)
            session[-1].policies = (dataclasses.replace(policy, outputs=broken),)
            key(tab, "ArrowRight")
            wait(tab, "at('status').textContent.includes('no such luck')")
            session[-1].policies = healthy
            key(tab, "ArrowRight")
            wait(tab, "state.history.actions.length === 1 && state.answered.index === 1")
    finally:
        served.stop()


def test_a_file_that_is_asked_for_holds_no_question_up(policy: Policy, tmp_path: Path) -> None:
    session, make = kept(policy)
    go_on = threading.Event()
    served = Served(make)
    try:
        with browser(tmp_path) as tab:
            open_page(tab, served.port, 1000, False)
            find = session[-1].maps

            def slowly(*arguments: Any) -> Any:
                go_on.wait(60)
                yield from find(*arguments)

            session[-1].maps = slowly  # type: ignore[method-assign]
            tab.value("ask(), 0")
            wait(tab, "!state.waiting")
            tab.value("ask(), document.querySelector('[data-save=still]').click(), 0")  # both while a map is drawn
            time.sleep(0.2)
            go_on.set()
            wait(tab, "state.saved && !state.waiting")
            wait(tab, "document.querySelector('.maps figure').dataset.number == state.number")
            assert tab.value("at('status').textContent") == "Saved saccade.png."
            stroke(tab)
            wait(tab, "at('status').textContent.startsWith('Step 0')")
    finally:
        go_on.set()
        served.stop()


def test_a_policy_and_a_task_that_do_not_fit(policy: Policy) -> None:
    with pytest.raises(UserError):
        Session([policy], task_of(load_any("zoo:sac-reach", device="cpu"), None))
