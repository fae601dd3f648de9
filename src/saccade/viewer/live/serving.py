"""Serve the live page until it is interrupted."""

from __future__ import annotations

import signal
import socket as sockets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from saccade.types import UserError
from saccade.viewer.live import messages
from saccade.viewer.live.server import HOST, Desk, Make, application


def needs_extra() -> None:
    """Raise UserError where the page's libraries are not installed."""
    try:
        import starlette
        import uvicorn
        import websockets
    except ImportError as error:
        raise UserError(
            f"The live page needs {error.name}, which is not installed: pip install 'saccade-rl[viewer]'."
        ) from error
    del starlette, uvicorn, websockets


def listening(port: int) -> sockets.socket:
    """Socket that only this machine can reach; port 0 is any free one. Raises UserError where the port is taken."""
    found = sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM)
    found.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen()
    except (OSError, OverflowError) as error:
        found.close()
        raise UserError(
            f"Port {port} of this machine cannot be used ({error}): choose another with --port, or 0 for a free one."
        ) from error
    return found


@contextmanager
def _interrupted_by(leave: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Turn Ctrl-C into a request to stop while the context lasts, and into the usual interrupt at its end.

    The server itself handles Ctrl-C only once its event loop runs: an interrupt while the loop is being made would
    leave it half made.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread can catch signals
        yield
        return
    caught: list[int] = []

    def catch(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        leave(number, frame)

    before = signal.signal(signal.SIGINT, catch)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if caught:
        signal.raise_signal(signal.SIGINT)


def serve(make: Make, *, title: str, command: str, port: int, token: str, ready: Callable[[str], None]) -> None:
    """Serve the page until interrupted.

    Args:
        ready: called with the address once the page answers; what it raises ends the server.
    """
    needs_extra()
    import uvicorn

    listener = listening(port)
    try:
        number = int(listener.getsockname()[1])
        desk = Desk(make, title, command)
        try:
            config = uvicorn.Config(
                application(desk, token, number),
                log_level="critical",
                ws="websockets-sansio",
                ws_max_size=messages.LARGEST,
                timeout_graceful_shutdown=2,
            )
            server = uvicorn.Server(config)
            with _interrupted_by(server.handle_exit):
                ready(f"http://{HOST}:{number}/?token={token}")
                server.run(sockets=[listener])
        finally:
            desk.close()
    finally:
        listener.close()
