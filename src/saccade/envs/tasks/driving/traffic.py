"""The cars on a straight highway, step by step: highway-env's road, drivers (IDM, MOBIL) and collisions.

Only road and vehicles of highway-env (Leurent, 2018) are used: its environment would draw with pygame, and spend two
thirds of a step on a table of observations that is not used here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from saccade.envs.simulation import StateValue
from saccade.envs.tasks.driving.rewards import Driven
from saccade.types import UserError

LANE_WIDTH = 4.0  # metres, highway-env's
SHOULDER = 1.0  # metres of asphalt beside the outer lanes, up to the guard rail
EDGE = LANE_WIDTH / 2 + SHOULDER  # metres from an outer lane's middle to the guard rail
HALF_CAR = 1.0
STEP = 0.05  # seconds: 20 Hz
FIRST_SPEED, TOP_SPEED, SPEED_LIMIT = 25.0, 40.0, 30.0  # metres per second
FULL_STEERING = 0.1  # radians of the wheels at steer 1
FULL_THROTTLE, FULL_BRAKE = 3.0, 8.0  # m/s² at 1, as gym-carla counts its accelerations
BEHIND = 4  # of the other cars, one in this many begins behind the ego
NO_IMPACT = (np.nan, np.nan)  # a car that nothing pushes
KEPT = ("heading", "speed", "target_speed", "timer", "DELTA")  # the state of an IDM driver besides its place

NINE_ACTIONS: tuple[tuple[float, float], ...] = tuple(
    (steer, pedal) for pedal in (-3.0 / FULL_BRAKE, 0.0, 3.0 / FULL_THROTTLE) for steer in (0.2, 0.0, -0.2)
)
"""Steering and pedal of each discrete action: gym-carla's steps of 0.2 and of 3 m/s² (Xing et al., 2021)."""
NINE_NAMES = tuple(f"{pedal}{way}" for pedal in ("brake", "coast", "accelerate") for way in (" left", "", " right"))


class VehicleMasks(NamedTuple):
    """Which pixels show the ego, and which the other vehicles: bool ``[H, W]`` each."""

    ego: NDArray[np.bool_]
    others: NDArray[np.bool_]


def load_highway() -> Any:
    """Import highway-env's vehicles. Raises UserError, with what to install, if it is missing."""
    try:
        import highway_env.vehicle.behavior
        import highway_env.vehicle.kinematics
        from highway_env.road.road import Road, RoadNetwork
    except ImportError as problem:
        raise UserError(f'driving tasks need highway-env ({problem}): pip install "saccade-rl[driving]"') from problem
    return Road, RoadNetwork, highway_env.vehicle.behavior.IDMVehicle, highway_env.vehicle.kinematics.Vehicle


@final
class Traffic:
    """The ego and the other cars. Positions are highway-env's: metres along the road, and to the right of lane 0.

    Args:
        lanes: how many there are.
        others: how many cars there are besides the ego.
    """

    def __init__(self, lanes: int, others: int) -> None:
        self._road, self._network, self._driver, self._car = load_highway()
        self.lanes, self.num_others = lanes, others
        self._random = np.random.default_rng()
        self.steer = self.pedal = 0.0
        self.hit_rail = False
        self.vehicles: list[Any] = []
        self.styles = np.zeros(others + 1, np.int64)

    def seed(self, seed: int) -> None:
        """Restart the random numbers."""
        self._random = np.random.default_rng(seed)

    def reset(self) -> None:
        """Place new cars: one in four of the others behind the ego, the rest in front, as dense as in highway-env."""
        self.steer = self.pedal = 0.0
        self.hit_rail = False
        road = self._new_road()
        behind = self.num_others // BEHIND
        for number in range(self.num_others + 1):
            if number == behind:
                placed = self._car.create_random(road, speed=FIRST_SPEED, spacing=1.5)
                ego = self._car(road, placed.position, placed.heading, placed.speed)
                road.vehicles.append(ego)
                continue
            other = self._driver.create_random(road, spacing=1.5 if number == behind + 1 else 1.0)
            other.randomize_behavior()
            other.check_collisions = False  # drivers keep their distance; only the ego's collisions matter
            road.vehicles.append(other)
        self.vehicles = [ego, *(vehicle for vehicle in road.vehicles if vehicle is not ego)]
        self.styles = self._random.integers(0, 1 << 16, self.num_others + 1)

    def step(self, steer: float, pedal: float) -> Driven:
        """Play 0.05 s.

        Args:
            steer: -1 (right) to 1 (left).
            pedal: -1 (full brake) to 1 (full throttle).
        """
        self.steer, self.pedal = steer, pedal
        ego, before = self.ego, float(self.ego.position[0])
        wanted = pedal * (FULL_THROTTLE if pedal > 0 else FULL_BRAKE)
        # A braking car comes to a stop; highway-env's would go backwards.
        wanted = min(max(wanted, -ego.speed / STEP), (TOP_SPEED - ego.speed) / STEP)
        for other in self.others:
            other.act()
        ego.act({"steering": -steer * FULL_STEERING, "acceleration": wanted})
        ego.road.step(STEP)
        right = (self.lanes - 1) * LANE_WIDTH
        self.hit_rail = not HALF_CAR - EDGE <= ego.position[1] <= right + EDGE - HALF_CAR
        lane = min(max(round(ego.position[1] / LANE_WIDTH), 0), self.lanes - 1)
        return Driven(
            speed=(float(ego.position[0]) - before) / STEP,
            off_centre=abs(float(ego.position[1]) - lane * LANE_WIDTH),
            crashed=self.crashed,
            steer=steer,
            brake=max(-pedal, 0.0),
            lane=lane / max(self.lanes - 1, 1),
            seconds=STEP,
        )

    @property
    def ego(self) -> Any:
        """The car that is driven."""
        return self.vehicles[0]

    @property
    def others(self) -> list[Any]:
        """The other cars."""
        return self.vehicles[1:]

    @property
    def crashed(self) -> bool:
        """Whether the ego has hit a car or a guard rail."""
        return bool(self.ego.crashed) or self.hit_rail

    def save(self) -> dict[str, StateValue]:
        """Return all that later steps and episodes depend on."""
        return {
            "traffic/random": json.dumps(self._random.bit_generator.state),
            "traffic/place": np.array([vehicle.position for vehicle in self.vehicles]),
            "traffic/ego": np.array([self.ego.heading, self.ego.speed, self.steer, self.pedal]),
            "traffic/others": np.array([[getattr(each, name) for name in KEPT] for each in self.others]).reshape(
                self.num_others, len(KEPT)
            ),
            "traffic/wanted_lane": np.array([each.target_lane_index[2] for each in self.others], np.int64),
            "traffic/acceleration": np.array([float(each.action["acceleration"]) for each in self.others]),
            "traffic/impact": np.array([NO_IMPACT if each.impact is None else each.impact for each in self.vehicles]),
            "traffic/crashed": np.array([vehicle.crashed for vehicle in self.vehicles]),
            "traffic/hit_rail": self.hit_rail,
            "traffic/styles": self.styles.copy(),
            "traffic/order": np.array([self.vehicles.index(each) for each in self.ego.road.vehicles], np.int64),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what ``save`` returned."""
        self._random.bit_generator.state = json.loads(state["traffic/random"])
        road, places = self._new_road(), state["traffic/place"]
        heading, speed, self.steer, self.pedal = map(float, state["traffic/ego"])
        vehicles = [self._car(road, places[0], heading, speed)]
        for number, numbers in enumerate(state["traffic/others"]):
            numbers_of = dict(zip(KEPT, map(float, numbers), strict=True))
            lane = ("0", "1", int(state["traffic/wanted_lane"][number]))
            other = self._driver(
                road, places[number + 1], numbers_of["heading"], numbers_of["speed"], target_lane_index=lane
            )
            other.target_speed, other.timer, other.DELTA = (
                numbers_of["target_speed"],
                numbers_of["timer"],
                numbers_of["DELTA"],
            )
            other.action["acceleration"] = float(state["traffic/acceleration"][number])
            other.check_collisions = False
            vehicles.append(other)
        states = zip(vehicles, state["traffic/crashed"], state["traffic/impact"], strict=True)
        for vehicle, crashed, impact in states:
            vehicle.crashed = bool(crashed)
            vehicle.impact = None if np.isnan(impact[0]) else np.array(impact)
        road.vehicles = [vehicles[int(index)] for index in state["traffic/order"]]
        self.vehicles = vehicles
        self.hit_rail = bool(state["traffic/hit_rail"])
        self.styles = np.array(state["traffic/styles"])

    def _new_road(self) -> Any:
        network = self._network.straight_road_network(self.lanes, speed_limit=SPEED_LIMIT)
        return self._road(network=network, np_random=self._random)
