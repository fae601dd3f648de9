"""Initial places of cars on CARLA's highway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from saccade.envs.tasks.carla.server import Server
    from saccade.envs.tasks.carla.settings import Setting

LANES, FIRST_LANE, LANE_STEP = 4, 1.5, 3.5  # Town04's highway at y = 0 (RL-ViGen)
ABOVE = 0.5  # metres from which a car is dropped
NEAR, TOO_NEAR = 40.0, 8.0  # metres along the road
MOST_LANE_CHANGES = 3


def place_of_ego(server: Server, setting: Setting, random: np.random.Generator) -> Any:
    """Return a random one of the four lanes of Town04's highway; without near cars, any of the map's own places."""
    carla = server.carla
    if not setting.cars[1]:
        places = server.world.get_map().get_spawn_points()
        return places[int(random.integers(len(places)))]
    lane = int(random.integers(LANES)) + 1
    return carla.Transform(carla.Location(x=FIRST_LANE + LANE_STEP * lane, y=0.0, z=ABOVE), carla.Rotation(yaw=-90.0))


def near_places(server: Server, setting: Setting, ego: Any, random: np.random.Generator) -> list[Any]:
    """Return places within 40 m in front of and behind the ego on its road; some may be taken."""
    found: list[Any] = []
    with server.asked():
        here = server.world.get_map().get_waypoint(ego.location)
        for _ in range(setting.cars[1]):
            distance, forwards = float(random.uniform(TOO_NEAR, NEAR)), bool(random.integers(2))
            ways = here.next(distance) if forwards else here.previous(distance)
            if not ways:
                continue
            way = _another_lane(ways[0], int(random.integers(MOST_LANE_CHANGES + 1)), bool(random.integers(2)))
            transform = way.transform
            transform.location.z += ABOVE
            found.append(transform)
    return found


def _another_lane(way: Any, changes: int, to_the_left: bool) -> Any:
    """Move this many lanes aside, or as many as there are on the same road in the same direction."""
    for _ in range(changes):
        beside = way.get_left_lane() if to_the_left else way.get_right_lane()
        same_way = beside is not None and beside.lane_id * way.lane_id > 0 and beside.road_id == way.road_id
        if not same_way or str(beside.lane_type).rpartition(".")[2] != "Driving":
            break
        way = beside
    return way


def spawn_others(server: Server, setting: Setting, near: list[Any], random: np.random.Generator) -> None:
    """Spawn as many other cars as the setting has, the near ones first, driven by the traffic manager."""
    with server.asked():
        everywhere = list(server.world.get_map().get_spawn_points())
        kinds = sorted(server.world.get_blueprint_library().filter("vehicle.*"), key=lambda kind: str(kind.id))
        cars = [kind for kind in kinds if int(kind.get_attribute("number_of_wheels")) == 4] or kinds
    random.shuffle(everywhere)
    wanted = setting.cars[0]
    for place in (*near, *everywhere):
        if not wanted:
            return
        car = server.spawn(cars[int(random.integers(len(cars)))], place)
        if car is not None:
            wanted -= 1
            with server.asked():
                car.set_autopilot(True, server.traffic_port)
