"""CARLA's highway as ``PixelEnv`` plays it, through the official client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from saccade.envs.config import EnvConfig
from saccade.envs.oracle import OFF
from saccade.envs.simulation import REPEATED, Before, StateValue, repeated
from saccade.envs.streams import SUCCESS
from saccade.envs.suites import suite_of
from saccade.envs.tasks.carla.cars import near_places, place_of_ego, spawn_others
from saccade.envs.tasks.carla.rewards import CARLA_REWARDS
from saccade.envs.tasks.carla.server import CONTROL_SECONDS, Server
from saccade.envs.tasks.carla.settings import CLEAR, SETTINGS, WEATHERS, Setting, Weather
from saccade.envs.tasks.driving.rewards import Driven
from saccade.envs.tasks.driving.traffic import NINE_ACTIONS, NINE_NAMES, VehicleMasks
from saccade.types import Discrete, UserError

EGO_MODEL = "vehicle.lincoln.mkz_2017"
VEHICLE_TAGS = (14, 15, 16, 17, 18, 19)  # car, truck, bus, train, motorcycle, bicycle (CARLA 0.9.14 and later)
ROAD_TAGS = (1, 24)  # road, its lines
STUCK_BELOW, STUCK_EVERY = 0.02, 100  # metres per second; control steps
EGO_MIDDLE = 0.8  # metres above the ground
WARM_UP = 10  # ticks until cars stand on their wheels


@final
class CarlaScene:
    """What distractions change: the weather."""

    def __init__(self) -> None:
        self.weather: Weather | None = None

    def set_weather(self, name: str) -> None:
        """Set the weather to one of ``WEATHERS`` from now on."""
        self.weather = WEATHERS[name]


@final
class CarlaSimulation:
    """A ``Simulation`` of one car on a CARLA server that you run.

    Raises:
        UserError: the client is missing; no server answers, or one of another version; or it is lost on the way.
    """

    colours = 3
    control_seconds = CONTROL_SECONDS
    before: Before = REPEATED

    def __init__(self, config: EnvConfig) -> None:
        options = config.options
        self._setting = setting = SETTINGS[options.carla_setting]
        self._server = Server(
            options.carla_host, options.carla_port, options.traffic_port, setting.town, options.carla_timeout
        )
        self.size = (config.image_size, config.image_size)
        self.actions = suite_of(config.task).spaces(config).actions
        self.action_names = NINE_NAMES if isinstance(self.actions, Discrete) else ()
        self.scene = CarlaScene()
        self.settings: Mapping[str, object] = {"carla_setting": options.carla_setting}
        self.versions: Mapping[str, str] = {"carla": self._server.version}
        self._reward = CARLA_REWARDS[setting.reward]
        self._masked = config.task_mask or options.oracle_mask != OFF
        self._random = np.random.default_rng()
        self._ego: Any = None
        self._shown: Weather | None = None
        self._own_weather = CLEAR
        self._forget()

    def _forget(self) -> None:
        self._frame = self._steps = self._collisions = 0
        self._crashed = False
        self._image: Any = None
        self._segments: Any = None

    def check_usable(self) -> None:
        """Raise nothing: it is usable anywhere."""

    def seed(self, seed: int) -> None:
        """Restart the random numbers of places, cars and the traffic manager."""
        self._random = np.random.default_rng(seed)

    def reset(self) -> None:
        """Spawn new cars. The server's physics does not repeat bit for bit."""
        server, setting = self._server, self._setting
        server.clear()
        self._forget()
        with server.asked():
            server.traffic.set_random_device_seed(int(self._random.integers(1 << 31)))
            server.traffic.set_global_distance_to_leading_vehicle(2.0)
            server.traffic.global_percentage_speed_difference(setting.slower)
            library = server.world.get_blueprint_library()
            transform = place_of_ego(server, setting, self._random)
            blueprint = library.find(EGO_MODEL)
            blueprint.set_attribute("role_name", "hero")
        self._ego = server.spawn(blueprint, transform)
        if self._ego is None:
            raise UserError(
                f"the car cannot be placed on {setting.town}: other cars stand there; restart the CARLA server, or end "
                "the other client that drives on it"
            )
        places = near_places(server, setting, transform, self._random)
        spawn_others(server, setting, places, self._random)
        self._place_sensors()
        if setting.drifts:
            self._own_weather = _drifted(self._random)
        self._show_weather()
        for _ in range(WARM_UP):
            self._frame = server.tick()
        self._drain()

    def _place_sensors(self) -> None:
        server, carla = self._server, self._server.carla
        forwards, up, pitch = self._setting.camera
        place = carla.Transform(carla.Location(x=forwards, z=up), carla.Rotation(pitch=pitch))
        with server.asked():
            library = server.world.get_blueprint_library()
            kinds = ["sensor.camera.rgb", *(["sensor.camera.instance_segmentation"] if self._masked else [])]
            blueprints = [library.find(kind) for kind in kinds]
            for blueprint in blueprints:
                for name, value in (
                    ("image_size_x", self.size[1]),
                    ("image_size_y", self.size[0]),
                    ("fov", self._setting.field_of_view),
                ):
                    blueprint.set_attribute(name, str(value))
            bumper = library.find("sensor.other.collision")
        cameras = [server.spawn(blueprint, place, self._ego) for blueprint in blueprints]
        self._bumps = server.listen(server.spawn(bumper, carla.Transform(), self._ego))
        self._pictures = server.listen(cameras[0])
        self._parts = server.listen(cameras[1]) if self._masked else None

    def step(self, action: Any, control_steps: int) -> tuple[float, bool]:
        """Play an action; RL-ViGen's reward is the mean over its control steps, the others' the sum."""
        steer, pedal = self._read(action)
        total, ended = repeated(lambda: self._tick(steer, pedal), control_steps)
        return (total / control_steps if self._setting.reward == "impulse" else total), ended

    def _read(self, action: Any) -> tuple[float, float]:
        """Return steering, in CARLA's convention (1 is right), and pedal."""
        if self._setting.controls == "discrete":
            left, pedal = NINE_ACTIONS[action]
            return -left, pedal
        first, second = map(float, action)
        return (first, second) if self._setting.controls == "steer_pedal" else (second, first)

    def _tick(self, steer: float, pedal: float) -> tuple[float, bool]:
        server, setting = self._server, self._setting
        throttle, brake = max(pedal, 0.0), max(-pedal, 0.0)
        self._show_weather()
        with server.asked():
            self._ego.apply_control(server.carla.VehicleControl(throttle=throttle, steer=steer, brake=brake))
        self._frame = server.tick()
        self._image = self._segments = None
        self._steps += 1
        impulse, hit = self._drain()
        self._collisions = self._collisions + 1 if hit else 0
        with server.asked():
            place, velocity = self._ego.get_location(), self._ego.get_velocity()
            lane = server.world.get_map().get_waypoint(place)
            ahead = lane.transform.get_forward_vector()
            off_road = server.world.get_map().get_waypoint(place, project_to_road=False) is None
        middle = lane.transform.location
        along = velocity.x * ahead.x + velocity.y * ahead.y + velocity.z * ahead.z
        speed = float(np.sqrt(velocity.x**2 + velocity.y**2 + velocity.z**2))
        self._crashed = self._crashed or hit
        driven = Driven(
            speed=along,
            off_centre=float(np.hypot(place.x - middle.x, place.y - middle.y)),
            crashed=hit,
            steer=-steer,
            brake=brake,
            impulse=impulse,
            seconds=CONTROL_SECONDS,
        )
        stuck = setting.stuck and self._steps % STUCK_EVERY == 0 and speed < STUCK_BELOW
        ended = self._collisions >= setting.collisions or (setting.off_road and off_road) or stuck
        return self._reward(driven), ended

    def _drain(self) -> tuple[float, bool]:
        """Return the impulse of the collisions since the last call, and whether there was one."""
        total, hit = 0.0, False
        while not self._bumps.empty():
            push = self._bumps.get_nowait().normal_impulse
            total, hit = total + float(np.sqrt(push.x**2 + push.y**2 + push.z**2)), True
        return total, hit

    def _show_weather(self) -> None:
        wanted = self.scene.weather or self._own_weather
        if wanted != self._shown:
            with self._server.asked():
                weather = self._server.carla.WeatherParameters(**wanted._asdict())
                self._server.world.set_weather(weather)
            self._shown = wanted

    def picture(self) -> np.ndarray:
        """Return what the camera saw in this frame: uint8 ``[H, W, 3]``."""
        if self.scene.weather is not None and self._shown != self.scene.weather:  # painted after the reset
            self._show_weather()
            self._frame, self._image, self._segments = self._server.tick(), None, None
        if self._image is None:
            self._image = self._pixels(self._server.measured(self._pictures, self._frame))
        return np.asarray(self._image[:, :, 2::-1])  # CARLA's are blue, green, red, opaque

    def _pixels(self, image: Any) -> NDArray[np.uint8]:
        return np.frombuffer(image.raw_data, np.uint8).reshape(*self.size, 4)

    def mask(self, ground: bool = False) -> np.ndarray | None:
        """Where vehicles are, including the ego; with the ground also the road. None if masks were not asked for."""
        if self._parts is None:
            return None
        tags = self._instances()[:, :, 2]
        return np.isin(tags, (*VEHICLE_TAGS, *(ROAD_TAGS if ground else ())))

    def vehicle_masks(self) -> VehicleMasks:
        """Return the ego's pixels and the other vehicles', separately; the ego is where the camera sees it."""
        if self._parts is None:
            raise UserError("vehicles can only be told apart with task_mask=True: make the environment with it")
        parts = self._instances()
        vehicles = np.isin(parts[:, :, 2], VEHICLE_TAGS)
        ego = np.zeros(self.size, np.bool_)
        if self._setting.sees_ego:
            row, column = _middle_of_ego(self._setting, self.size[0])
            if vehicles[row, column]:
                ego = vehicles & (parts[:, :, :2] == parts[row, column, :2]).all(-1)
        return VehicleMasks(ego, vehicles & ~ego)

    def _instances(self) -> NDArray[np.uint8]:
        """Return each pixel's instance (two bytes) and kind: uint8 ``[H, W, 4]``."""
        assert self._parts is not None
        if self._segments is None:
            self.picture()
            self._segments = self._pixels(self._server.measured(self._parts, self._frame))
        return np.asarray(self._segments)

    def outcome(self) -> dict[str, Any]:
        """Return whether there has been no collision so far."""
        return {SUCCESS: not self._crashed}

    def save(self) -> dict[str, StateValue]:
        """Return the random numbers. A server's cars cannot be saved: ``restore`` begins a new episode instead."""
        return {"carla/random": json.dumps(self._random.bit_generator.state)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Begin an episode with the random numbers that ``save`` returned."""
        self._random.bit_generator.state = json.loads(state["carla/random"])
        self.reset()

    def close(self) -> None:
        """Destroy the cars and restore the server's settings."""
        self._server.close()


def _drifted(random: np.random.Generator) -> Weather:
    """A random weather for an episode, between a clear noon and a storm."""
    # Deviation: published weather drifts from frame to frame; here it changes between episodes, which are repeatable.
    storm, sun = float(random.uniform(0, 80)), float(random.uniform(10, 90))
    return Weather(storm, max(storm - 40, 0), max(storm - 30, 0), storm / 2, storm / 4, max(storm - 40, 0), sun)


def _middle_of_ego(setting: Setting, side: int) -> tuple[int, int]:
    """The pixel at which the middle of the car is seen."""
    forwards, up, pitch = setting.camera
    tilt = np.deg2rad(pitch)
    ahead, above = -forwards, EGO_MIDDLE - up
    depth = ahead * np.cos(tilt) + above * np.sin(tilt)
    height = -ahead * np.sin(tilt) + above * np.cos(tilt)
    focal = side / 2 / np.tan(np.deg2rad(setting.field_of_view) / 2)
    row = int(np.clip(side / 2 - focal * height / depth, 0, side - 1))
    return row, side // 2
