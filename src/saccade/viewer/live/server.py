"""The server of the live page: one page and one WebSocket, reachable only from this machine and with the token."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any, TypeVar, final

import msgspec

from saccade.explain.session import Session
from saccade.types import UserError
from saccade.viewer.live import messages, payloads, saving
from saccade.viewer.live.curves import Curves

HOST = "127.0.0.1"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FILES = {
    "/page.css": ("saccade.viewer", "page.css", "text/css"),
    "/timeline.css": ("saccade.viewer", "timeline.css", "text/css"),
    "/timeline.js": ("saccade.viewer", "timeline.js", "text/javascript"),
    "/live.css": ("saccade.viewer.live", "live.css", "text/css"),
    **{f"/{name}": ("saccade.viewer.live", name, "text/javascript") for name in ("live.js", "stage.js", "tools.js")},
}
PATIENCE = 0.15  # seconds for which maps are still drawn after a newer question, so that a moving brush shows them
REFUSED = 4000  # as live.js has
WRONG_TOKEN = "This address has no token, or a wrong one: use the one that saccade view printed."
Result = TypeVar("Result")
Make = Callable[[], Session]


@final
class Inbox:
    """Unanswered messages of a page; of several questions in a row only the last counts."""

    def __init__(self) -> None:
        self._waiting: deque[str | None] = deque()
        self._came = asyncio.Event()

    def put(self, text: str | None) -> None:
        """Add a message; None means that the page has gone."""
        self._waiting.append(text)
        self._came.set()

    @property
    def more(self) -> bool:
        return bool(self._waiting)

    async def get(self) -> str | None:
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        return self._waiting.popleft()


@final
class Desk:
    """The single thread that plays and draws everything: simulators render only in the thread that made them."""

    def __init__(self, make: Make, title: str, command: str) -> None:
        self.make, self.title, self.command = make, title, command
        self._thread = ThreadPoolExecutor(1, "saccade view")
        self._ready: list[Session] = []
        try:
            self._ready.append(self._thread.submit(make).result())  # mistakes show before a page is opened
        except BaseException:
            self._thread.shutdown()
            raise

    async def do(self, work: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def session(self) -> Session:
        """Return a session for a page; called in the thread."""
        return self._ready.pop() if self._ready else self.make()

    def close(self) -> None:
        for session in self._ready:
            self._thread.submit(session.close).result()
        self._thread.shutdown()


def application(desk: Desk, token: str, port: int) -> Any:
    """Return the ASGI application that uvicorn runs."""
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route, WebSocketRoute

    hosts = (f"{HOST}:{port}", f"localhost:{port}")
    origins = tuple(f"http://{host}" for host in hosts)
    headers = {
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }

    def known(given: str | None) -> bool:
        return secrets.compare_digest((given or "").encode(), token.encode())

    async def page(request: Any) -> Response:
        if request.headers.get("host") not in hosts or not known(request.query_params.get("token")):
            return Response(WRONG_TOKEN, 403, headers, "text/plain")
        text = resources.files("saccade.viewer.live").joinpath("live.html").read_text("utf-8")
        return Response(text, 200, headers, "text/html")

    async def file(request: Any) -> Response:
        folder, name, kind = FILES[request.url.path]
        if request.headers.get("host") not in hosts:
            return Response(WRONG_TOKEN, 403, headers, "text/plain")
        return Response(resources.files(folder).joinpath(name).read_text("utf-8"), 200, headers, kind)

    async def talk(socket: Any) -> None:
        asked = socket.headers
        if (
            asked.get("origin") not in origins
            or asked.get("host") not in hosts
            or not known(socket.query_params.get("token"))
        ):
            await socket.close(1008)  # before it is accepted, so the browser gets a 403
            return
        await socket.accept()
        await _conversation(socket, desk)

    routes = [Route("/", page), *(Route(path, file) for path in FILES), WebSocketRoute("/talk", talk)]
    return Starlette(routes=routes)


async def _conversation(socket: Any, desk: Desk) -> None:
    """Answer one page until it goes; then close its environments."""
    from starlette.websockets import WebSocketDisconnect

    inbox = Inbox()

    async def listen() -> None:
        try:
            while True:
                inbox.put(await socket.receive_text())
        except (WebSocketDisconnect, RuntimeError, KeyError):
            inbox.put(None)

    async def say(payload: dict[str, Any]) -> None:
        text = msgspec.json.encode(payload).decode()
        try:
            await socket.send_text(text)
        except RuntimeError as error:  # the socket has been closed meanwhile
            raise WebSocketDisconnect from error

    listener = asyncio.create_task(listen())
    session: Session | None = None
    curves = Curves()
    try:
        try:
            session = await desk.do(desk.session)
        except UserError as error:
            await say({"kind": "error", "sentence": str(error)})
            await socket.close(REFUSED)  # the page does not try again by itself
            return
        await say(payloads.hello(session, desk.title))
        await say(await desk.do(payloads.history, session))
        await _send_curves(curves, session, desk, inbox, say)
        while (text := await inbox.get()) is not None:
            try:
                await _answered(messages.read(text), session, curves, desk, inbox, say)
            except UserError as error:
                await say({"kind": "error", "sentence": str(error)})
            await _send_curves(curves, session, desk, inbox, say)
    except WebSocketDisconnect:
        pass
    finally:
        listener.cancel()
        if session is not None:
            await desk.do(session.close)


async def _send_curves(curves: Curves, session: Session, desk: Desk, inbox: Inbox, say: Any) -> None:
    """Send new curves piece by piece while no question is waiting."""
    while not inbox.more:
        found = await desk.do(curves.new, session)
        if found is None:
            return
        await say(found)


async def _answered(
    message: messages.Message, session: Session, curves: Curves, desk: Desk, inbox: Inbox, say: Any
) -> None:
    """Do what a page asks. A question overtaken by another is not answered, and drawing its maps ends soon."""
    match message:
        case messages.Start(seed, mode, actions):
            await desk.do(session.restore, seed, mode, actions)
            await _send_history(0, session, curves, desk, say)
        case messages.Step(policy):
            await desk.do(session.step, policy)
            await _send_history(max(len(session.actions) - 1, 0), session, curves, desk, say)
        case messages.Branch(index, action):
            await desk.do(session.play_on_with_action, index, action)
            await _send_history(index, session, curves, desk, say)
        case messages.Save(what, view):
            loop = asyncio.get_running_loop()

            def report(done: int, total: int) -> None:  # from the desk's thread
                asyncio.run_coroutine_threadsafe(say({"kind": "making", "done": done, "total": total}), loop)

            name, kind, content = await desk.do(saving.saved, what, session, view, desk.title, desk.command, report)
            await say({"kind": "file", "name": name, "type": kind, "content": base64.b64encode(content).decode()})
        case messages.Look(number, view):
            if inbox.more:
                return
            await _looked(number, view, session, curves, desk, inbox, say)


async def _send_history(start: int, session: Session, curves: Curves, desk: Desk, say: Any) -> None:
    """Send the history from an action on; the moment where it was taken now has another reward."""
    curves.forget(start)
    await say(await desk.do(payloads.history, session, start))


async def _looked(
    number: int, view: messages.View, session: Session, curves: Curves, desk: Desk, inbox: Inbox, say: Any
) -> None:
    panes, question, began = view.shown(), view.question, time.monotonic()

    def late() -> bool:
        return inbox.more and time.monotonic() - began > PATIENCE

    answers = [await desk.do(session.look, pane, question) for pane in panes]
    curves.of(panes[0].policy)
    shown = [payloads.answer_payload(answer) for answer in answers]
    await say({"kind": "look", "number": number, "index": view.index, "panes": shown})
    waiting = [
        (place, name, session.maps(pane, answers[place], name, view.score))
        for name in view.methods
        for place, pane in enumerate(panes)
    ]
    while waiting:  # round by round: every map is shown coarsely before any becomes fine
        again = []
        for place, name, levels in waiting:
            if late():
                return
            try:
                level = await desk.do(next, levels, None)
            except UserError as error:
                await say({"kind": "no map", "number": number, "pane": place, "method": name, "sentence": str(error)})
                continue
            if level is None:
                continue
            found = payloads.map_payload(answers[place], level)
            await say({"kind": "map", "number": number, "pane": place, "method": name, **found})
            if view.metrics and level.level == level.levels and not late():
                scores = await desk.do(_scores, session, panes[place], question, answers[place], level, view.metrics)
                await say({"kind": "scores", "number": number, "pane": place, "method": name, **scores})
            again.append((place, name, levels))
        waiting = again


def _scores(session: Session, *asked: Any) -> dict[str, Any]:
    """Return the scores of a map that is shown, which stays if it cannot be scored."""
    try:
        return {"scores": payloads.score_payloads(session.scored(*asked))}
    except UserError as error:
        return {"scores": [], "sentence": str(error)}
