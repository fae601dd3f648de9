"""A CARLA server: found, taken over for one environment, and left as it was found.

Every failure of it is reported in one sentence. ``carla`` is only imported when a server is needed.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import hashlib
import queue
import socket
from collections.abc import Callable, Iterator
from typing import Any, final

from saccade.types import UserError

CONTROL_SECONDS = 0.05
CLIENT = "0.9.16"


def load_carla() -> Any:
    """Import the client. Raises UserError, with what to install, if it is missing."""
    try:
        import carla
    except ImportError as problem:
        raise UserError(
            f'carla/highway needs the CARLA client, {CLIENT} ({problem}): pip install "saccade-rl[carla]"'
        ) from problem
    return carla


@final
class Server:
    """A world in synchronous mode, with the actors that are spawned in it, until it is closed.

    Args:
        host, port: where it listens; the traffic manager at ``traffic_port``.
        town: the map to load, unless it is loaded already.
        timeout: seconds within which it must answer.

    Raises:
        UserError: there is no answer, it is of another version than the client, or it is lost; or another environment
            on this machine uses it.
    """

    def __init__(self, host: str, port: int, traffic_port: int, town: str, timeout: float) -> None:
        self.carla = load_carla()
        self._place, self._timeout = f"{host}:{port}", timeout
        self._claim = _claimed(self._place)
        self._actors: list[Any] = []
        self._settings: Any = None
        self._weather: Any = None
        self._traffic: Any = None
        self.world: Any = None
        atexit.register(self.close)
        try:
            self._connect(host, port, traffic_port, town)
        except BaseException:
            self.close()
            raise

    def _connect(self, host: str, port: int, traffic_port: int, town: str) -> None:
        with self.asked(lost=False):
            self._client = self.carla.Client(host, port)
            self._client.set_timeout(self._timeout)
            theirs, ours = self._client.get_server_version(), self._client.get_client_version()
        if theirs != ours:
            raise UserError(
                f"the CARLA server at {self._place} is {theirs} but the client here is {ours}, and the two must be "
                "equal: "
                f"start a server of {ours}, or run `pip install carla=={theirs}`"
            )
        with self.asked():
            self.world = self._client.get_world()
            if self.world.get_map().name.rpartition("/")[2] != town:  # newer servers say Carla/Maps/Town04
                self.world = self._client.load_world(town)
            self._weather = self.world.get_weather()
            # Saved before anything is changed, so that an interruption in between restores it too.
            self._settings = self.world.get_settings()
            wanted = self.world.get_settings()
            wanted.synchronous_mode, wanted.fixed_delta_seconds = True, CONTROL_SECONDS
            self.world.apply_settings(wanted)
            self._traffic = self._client.get_trafficmanager(traffic_port)
            self._traffic.set_synchronous_mode(True)
        self.version, self.traffic_port = theirs, traffic_port

    @contextlib.contextmanager
    def asked(self, lost: bool = True) -> Iterator[None]:
        """Turn the server's failures inside the block into UserErrors.

        lost: whether it has answered before.
        """
        try:
            yield
        except (RuntimeError, OSError, queue.Empty) as fault:
            said = str(fault).strip().rstrip(".") or f"no answer for {self._timeout:g} s"
            if lost:
                raise UserError(
                    f"the CARLA server at {self._place} was lost ({said}): restart it and continue with --resume"
                ) from fault
            why = "took too long" if "time-out" in said or "timeout" in said else "refused"
            raise UserError(
                f"no CARLA server answers at {self._place}, the connection {why} ({said}): start one there, such as "
                f"./CarlaUE4.sh -RenderOffScreen -carla-rpc-port={self._place.rpartition(':')[2]}"
            ) from fault

    @property
    def traffic(self) -> Any:
        """Return the traffic manager."""
        return self._traffic

    def spawn(self, blueprint: Any, transform: Any, attach_to: Any = None) -> Any:
        """Spawn an actor, which is destroyed with the others; None if something stands there already."""
        with self.asked():
            actor = self.world.try_spawn_actor(blueprint, transform, attach_to=attach_to)
            if actor is not None:
                self._actors.append(actor)
            return actor

    def listen(self, sensor: Any) -> queue.Queue[Any]:
        """Return a queue of what a sensor measures from now on."""
        found: queue.Queue[Any] = queue.Queue()
        with self.asked():
            sensor.listen(found.put)
        return found

    def tick(self) -> int:
        """Advance by 0.05 s; return the number of the frame."""
        with self.asked():
            return int(self.world.tick())

    def measured(self, found: queue.Queue[Any], frame: int) -> Any:
        """Return what a sensor measured in a frame; older measurements are dropped."""
        with self.asked():
            while True:
                measured = found.get(timeout=self._timeout)
                if measured.frame >= frame:
                    return measured

    def clear(self) -> None:
        """Destroy all actors that were spawned here, even if destroying one of them fails."""
        while self._actors:
            actor = self._actors.pop()
            if actor.type_id.startswith("sensor."):
                _quietly(actor.stop)
            _quietly(actor.destroy)

    def close(self) -> None:
        """Destroy the actors and restore the server's settings, as far as it still answers; again does nothing."""
        atexit.unregister(self.close)
        with self._claim:
            try:
                self.clear()
            finally:
                settings, traffic, weather = self._settings, self._traffic, self._weather
                self._settings = self._traffic = self._weather = None
                if traffic is not None:
                    _quietly(lambda: traffic.set_synchronous_mode(False))
                if weather is not None:
                    _quietly(lambda: self.world.set_weather(weather))
                if settings is not None:
                    _quietly(lambda: self.world.apply_settings(settings))


def _claimed(place: str) -> socket.socket:
    """A lock that no other process on this machine can hold, and that is released however its process ends.

    Raises UserError if it is taken: two clients that advance time would each drive the other's cars.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        # An abstract name, which Linux has, where CARLA's client runs: not a file.
        claim.bind(f"\0saccade-carla-{hashlib.sha256(place.encode()).hexdigest()}")
    except OSError as taken:
        claim.close()
        if taken.errno != errno.EADDRINUSE:
            raise
        raise UserError(
            f"another environment drives on the CARLA server at {place}, which allows one at a time: close it, or use "
            "one environment alone (--envs 1, and no --evaluation-modes)"
        ) from taken
    return claim


def _quietly(act: Callable[[], object]) -> None:
    """Do last cleanup and ignore failures: the server may be gone."""
    with contextlib.suppress(RuntimeError, OSError):
        act()
