"""Chromium without a window, driven over a pipe: what a person would see and do on a page."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SECONDS = 60  # more than a busy machine needs for anything here
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# A sandbox and a GPU are what a container lacks; nothing but the page's own file is opened.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
)
# Code and text of keys that are no letters.
KEYS = {
    "Tab": (9, ""), "Enter": (13, "\r"), "Escape": (27, ""), " ": (32, " "), "End": (35, ""), "Home": (36, ""),
    "ArrowLeft": (37, ""), "ArrowUp": (38, ""), "ArrowRight": (39, ""), "ArrowDown": (40, ""),
}  # fmt: skip
MODIFIERS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
# The protocol reads file descriptor 3 and writes 4: an interpreter in between puts them there.
WITH_PIPES = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One tab."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._number, self._pending, self._session = 0, b"", {}
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        self.problems: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Carry out a command of the DevTools protocol, and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.problems.append(json.dumps(answer["params"])[:500])
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def open(self, path: Path, *, width: int = 1000, dark: bool = False, scripts: bool = True) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.send("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + SECONDS
        while not self.value("location.protocol === 'file:' && document.readyState === 'complete'"):
            assert time.monotonic() < deadline, "the page does not load"
            time.sleep(0.02)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives; of a promise what it comes to."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, *modifiers: str) -> None:
        """A key, as a person presses it: whatever has the focus gets it."""
        code, number, text = (key, *KEYS[key]) if key in KEYS else (f"Key{key.upper()}", ord(key.upper()), key)
        held = sum(MODIFIERS[one] for one in modifiers)
        known = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": held}
        kind = {"type": "keyDown", "text": text} if text and not held else {"type": "rawKeyDown"}
        self.send("Input.dispatchKeyEvent", **kind, **known)
        self.send("Input.dispatchKeyEvent", type="keyUp", **known)

    def pixels(self, selector: str) -> bytes:
        """A picture of one element, as a PNG file."""
        self.value(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self.value(
            f"(() => {{ const box = document.querySelector({selector!r}).getBoundingClientRect();"
            " return {x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height, scale: 1}; })()"
        )
        return self.screenshot(clip=box)

    def screenshot(self, **options: Any) -> bytes:
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True, **options)
        return base64.b64decode(answer["data"])

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._answers], [], [], SECONDS)
            assert ready, "the browser does not answer"
            received = os.read(self._answers, 1 << 20)
            assert received, "the browser has closed"
            self._pending += received
        message, _, self._pending = self._pending.partition(b"\0")
        return json.loads(message)


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser whose settings lie in ``folder``; the test is skipped where there is none."""
    program = next((found for found in map(shutil.which, PROGRAMS) if found), None)
    if program is None:
        pytest.skip(f"pages are looked at with one of {', '.join(PROGRAMS)}, and none is installed")
    (to_read, commands), (answers, to_write) = os.pipe(), os.pipe()
    arguments = [*FLAGS, f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", WITH_PIPES, str(to_read), str(to_write), program, *arguments],
        pass_fds=(to_read, to_write),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(to_write)
    try:
        tab = Browser(commands, answers)
        yield tab
        tab._session = {}
        tab.send("Browser.close")
        process.wait(SECONDS)
    finally:
        process.kill()
        process.wait()
        os.close(commands)
        os.close(answers)
