"""A module with as much of CARLA's interface as the toolkit calls, whose server can be told to fail."""

from __future__ import annotations

import copy
import math
import types
from typing import Any

import numpy as np


class Location:
    def __init__(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> None:
        self.x, self.y, self.z = x, y, z


class Rotation:
    def __init__(self, pitch: float = 0.0, yaw: float = 0.0, roll: float = 0.0) -> None:
        self.pitch, self.yaw, self.roll = pitch, yaw, roll


class Transform:
    def __init__(self, location: Location | None = None, rotation: Rotation | None = None) -> None:
        self.location, self.rotation = location or Location(), rotation or Rotation()

    def get_forward_vector(self) -> Location:
        yaw = math.radians(self.rotation.yaw)
        return Location(math.cos(yaw), math.sin(yaw), 0.0)


class VehicleControl:
    def __init__(self, throttle: float = 0.0, steer: float = 0.0, brake: float = 0.0) -> None:
        self.throttle, self.steer, self.brake = throttle, steer, brake


class Record:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Record) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


class Blueprint:
    def __init__(self, name: str) -> None:
        self.id, self.attributes = name, {"number_of_wheels": "4"}

    def set_attribute(self, name: str, value: str) -> None:
        assert isinstance(value, str)
        self.attributes[name] = value

    def get_attribute(self, name: str) -> Any:
        return self.attributes[name]


class Library:
    def find(self, name: str) -> Blueprint:
        return Blueprint(name)

    def filter(self, pattern: str) -> list[Blueprint]:
        assert pattern == "vehicle.*"
        return [Blueprint("vehicle.b"), Blueprint("vehicle.a")]


class Waypoint:
    def __init__(self, location: Location) -> None:
        self.transform = Transform(Location(location.x, 0.0, 0.0), Rotation(yaw=-90.0))
        self.transform.location = Location(5.0, location.y, 0.0)
        self.lane_id, self.road_id, self.lane_type = -1, 45, "Driving"

    def next(self, distance: float) -> list[Waypoint]:
        return [Waypoint(Location(5.0, self.transform.location.y - distance))]

    def previous(self, distance: float) -> list[Waypoint]:
        return self.next(-distance)

    def get_left_lane(self) -> Waypoint | None:
        return None

    get_right_lane = get_left_lane


class Map:
    def __init__(self, name: str, server: FakeServer) -> None:
        self.name, self._server = name, server

    def get_spawn_points(self) -> list[Transform]:
        return [Transform(Location(5.0, -100.0 - 10 * number, 0.0), Rotation(yaw=-90.0)) for number in range(60)]

    def get_waypoint(self, location: Location, project_to_road: bool = True) -> Waypoint | None:
        return Waypoint(location) if project_to_road or not self._server.off_road else None


class Actor:
    def __init__(self, server: FakeServer, blueprint: Blueprint, transform: Transform, parent: Actor | None) -> None:
        self.type_id, self.blueprint, self.parent, self._server = blueprint.id, blueprint, parent, server
        self.transform, self.control, self.speed = transform, VehicleControl(), 10.0
        self.listener: Any = None
        server.actors.append(self)

    def listen(self, listener: Any) -> None:
        self.listener = listener

    def stop(self) -> None:
        self._server.answer("stop")
        self.listener = None

    def destroy(self) -> None:
        self._server.answer("destroy")
        self._server.actors.remove(self)

    def apply_control(self, control: VehicleControl) -> None:
        self._server.answer("apply_control")
        self.control = control

    def set_autopilot(self, on: bool, port: int) -> None:
        assert on and port == self._server.traffic_port

    def get_location(self) -> Location:
        return self.transform.location

    def get_velocity(self) -> Location:
        return Location(0.0, -self.speed, 0.0)


class World:
    def __init__(self, server: FakeServer) -> None:
        self._server = server

    def get_map(self) -> Map:
        return Map(self._server.map, self._server)

    def get_settings(self) -> Any:
        return copy.copy(self._server.settings)

    def apply_settings(self, settings: Any) -> None:
        self._server.answer("apply_settings")
        self._server.settings = settings

    def get_weather(self) -> Any:
        return self._server.weather

    def set_weather(self, weather: Any) -> None:
        self._server.weather = weather

    def get_blueprint_library(self) -> Library:
        return Library()

    def try_spawn_actor(self, blueprint: Blueprint, transform: Transform, attach_to: Any = None) -> Actor | None:
        self._server.answer("spawn")
        if self._server.crowded and blueprint.id.startswith("vehicle."):
            return None
        return Actor(self._server, blueprint, transform, attach_to)

    def tick(self) -> int:
        self._server.answer("tick")
        return self._server.tick()


class TrafficManager:
    def __init__(self, server: FakeServer) -> None:
        self._server = server

    def set_synchronous_mode(self, on: bool) -> None:
        self._server.traffic_synchronous = on

    def set_random_device_seed(self, seed: int) -> None:
        self._server.seeds.append(seed)

    def set_global_distance_to_leading_vehicle(self, metres: float) -> None:
        assert metres == 2.0

    def global_percentage_speed_difference(self, percent: float) -> None:
        self._server.slower = percent


class FakeServer:
    """What stands at one port. ``fails``: what is asked -> the fault that is raised, from the ``after``-th time on."""

    def __init__(self) -> None:
        self.version = "0.9.16"
        self.map = "Carla/Maps/Town10HD"
        self.settings = Record(synchronous_mode=False, fixed_delta_seconds=None)
        self.own_settings = self.settings
        self.weather: Any = "own"
        self.actors: list[Actor] = []
        self.seeds: list[int] = []
        self.traffic_port, self.traffic_synchronous, self.slower = 0, False, 0.0
        self.frame, self.after = 0, 0
        self.fails: dict[str, BaseException] = {}
        self.asked: dict[str, int] = {}
        self.bump, self.off_road, self.crowded, self.silent = 0.0, False, False, False

    def answer(self, what: str) -> None:
        self.asked[what] = self.asked.get(what, 0) + 1
        if what in self.fails and self.asked[what] > self.after:
            raise self.fails[what]

    def tick(self) -> int:
        self.frame += 1
        for actor in [*self.actors]:
            if actor.listener is None or self.silent:
                continue
            if actor.type_id == "sensor.other.collision":
                if self.bump:
                    actor.listener(Record(frame=self.frame, normal_impulse=Location(self.bump, 0.0, 0.0)))
                continue
            actor.listener(Record(frame=self.frame, raw_data=self.drawn(actor).tobytes()))
        return self.frame

    def drawn(self, camera: Actor) -> np.ndarray:
        """A blue sky and a grey road with two cars on it, the ego's before the middle; or what each pixel is."""
        side = int(camera.blueprint.attributes["image_size_x"])
        picture = np.zeros((side, side, 4), np.uint8)
        segments = camera.type_id.endswith("instance_segmentation")
        picture[:] = (0, 0, 11, 255) if segments else (200, 100, self.frame % 256, 255)
        picture[side // 2 :] = (0, 0, 1, 255) if segments else (90, 90, 90, 255)
        ego = (slice(side // 2, side * 3 // 4), slice(side * 3 // 8, side * 5 // 8))
        other = (slice(side // 2, side * 5 // 8), slice(0, side // 8))
        picture[ego] = (7, 1, 14, 255) if segments else (0, 0, 255, 255)
        picture[other] = (9, 2, 15, 255) if segments else (0, 255, 0, 255)
        return picture


class Client:
    def __init__(self, module: Any, host: str, port: int) -> None:
        self._server: FakeServer = module.server
        self._server.answer("connect")

    def set_timeout(self, seconds: float) -> None:
        assert seconds > 0

    def get_server_version(self) -> str:
        self._server.answer("version")
        return self._server.version

    def get_client_version(self) -> str:
        return "0.9.16"

    def get_world(self) -> World:
        self._server.answer("get_world")
        return World(self._server)

    def load_world(self, town: str) -> World:
        self._server.answer("load_world")
        self._server.map = f"Carla/Maps/{town}"
        return World(self._server)

    def get_trafficmanager(self, port: int) -> TrafficManager:
        self._server.answer("traffic")
        self._server.traffic_port = port
        return TrafficManager(self._server)


def fake_carla() -> Any:
    """A fresh ``carla`` with one server, ``.server``."""
    module: Any = types.ModuleType("carla")
    module.server = FakeServer()
    module.Client = lambda host, port: Client(module, host, port)
    for kind in (Location, Rotation, Transform, VehicleControl):
        setattr(module, kind.__name__, kind)
    module.WeatherParameters = Record
    return module
