"""A live page for tests: its server in a thread, and a browser that looks at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import uvicorn
from browser import Browser

from saccade.explain.session import Session
from saccade.viewer.live.server import HOST, Desk, application
from saccade.viewer.live.serving import listening

TOKEN = "a-secret-of-tests"


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


def wait(tab: Browser, expression: str) -> None:
    """Until a JavaScript expression is true on the page."""
    deadline = time.monotonic() + 60
    while not tab.value(expression):
        assert time.monotonic() < deadline, (expression, tab.value("at('status').textContent"), tab.problems)
        time.sleep(0.03)


def open_page(tab: Browser, port: int, width: int = 1000, dark: bool = False) -> None:
    """The live page, once it has answered."""
    tab.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    tab.send("Emulation.setEmulatedMedia", features=[scheme])
    tab.send("Page.navigate", url=f"http://{HOST}:{port}/?token={TOKEN}")
    wait(tab, "typeof state !== 'undefined' && state.answered !== null && !state.waiting")


def key(tab: Browser, key: str) -> None:
    """A key while nothing has the focus."""
    tab.value(f"document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: {key!r}, bubbles: true}})), 0")


def stroke(tab: Browser) -> None:
    """With the mouse, across the first picture."""
    tab.value("document.querySelector('canvas').scrollIntoView({block: 'center', behavior: 'instant'}), 0")
    box = tab.value(
        "(() => { const b = document.querySelector('canvas').getBoundingClientRect();"
        " return [b.x, b.y, b.width, b.height]; })()"
    )
    for kind, share in (("mousePressed", 0.2), ("mouseMoved", 0.8), ("mouseReleased", 0.8)):
        x, y = box[0] + share * box[2], box[1] + 0.5 * box[3]
        tab.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
