"""CARLA's highway against a module of the same interface: what is played, and what each fault of a server becomes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from fake_carla import fake_carla

from saccade.cli import main
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.suites import SUITES
from saccade.envs.tasks.carla.settings import SETTINGS, WEATHERS
from saccade.types import Continuous, Discrete, UserError

SIDE = 32


@pytest.fixture
def carla(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = fake_carla()
    monkeypatch.setitem(sys.modules, "carla", module)
    return module


def config(setting: str = "digr", **fields: Any) -> EnvConfig:
    return EnvConfig.parse(
        fields.pop("task", "carla/highway"), image_size=SIDE, frame_stack=1, carla_setting=setting,
        **{"carla_timeout": 0.05, **fields},
    )  # fmt: skip


def action_of(env: Any) -> Any:
    return 4 if isinstance(env.simulation.actions, Discrete) else np.array([0.5, 0.25])


def as_found(server: Any) -> bool:
    """Whether nothing is left of whoever drove there."""
    return not server.actors and server.settings == server.own_settings and not server.traffic_synchronous


@pytest.mark.parametrize("setting", SETTINGS)
def test_an_episode_of_every_setting(carla: Any, setting: str) -> None:
    server, row = carla.server, SETTINGS[setting]
    env = make_env(config(setting), seed=1)
    spaces = SUITES["carla"].spaces(env.config)
    assert spaces.actions == (Discrete(9) if setting == "digr" else Continuous(2))
    obs, _ = env.reset()
    assert obs.shape == spaces.obs_shape and env.simulation.actions == spaces.actions
    assert server.map.endswith("Town04") and server.settings.synchronous_mode
    assert server.settings.fixed_delta_seconds == 0.05 and server.traffic_synchronous
    vehicles = [actor for actor in server.actors if actor.type_id.startswith("vehicle.")]
    assert len(vehicles) == 1 + row.cars[0] and server.slower == row.slower
    (camera,) = [actor for actor in server.actors if actor.type_id.startswith("sensor.camera")]
    assert float(camera.blueprint.attributes["fov"]) == row.field_of_view and camera.parent is vehicles[0]
    assert (camera.transform.location.x, camera.transform.location.z, camera.transform.rotation.pitch) == row.camera
    obs, reward, terminated, truncated, info = env.step(action_of(env))
    assert obs[:, -1, -1].tolist() == [90, 90, 90] and obs[:, 0, 0].tolist() == [server.frame % 256, 100, 200]
    assert not terminated and not truncated and info["is_success"]
    control = vehicles[0].control
    where = vehicles[0].transform.location
    off = abs(where.x - 5.0)
    if setting == "digr":
        assert (control.steer, control.throttle, control.brake) == (0, 0, 0)
        assert reward == pytest.approx(10 * 0.05 / (1 + off))
    elif setting == "rlvigen":
        assert (control.steer, control.throttle) == (0.5, 0.25) and reward == pytest.approx(10 * 0.05 - 0.5)
    else:
        assert (control.steer, control.throttle) == (0.25, 0.5) and reward == pytest.approx(-100 * off)
    env.close()
    assert as_found(server) and server.weather == "own"
    env.close()


def test_steering_and_braking_of_the_nine_actions(carla: Any) -> None:
    env = make_env(config(), seed=0)
    env.reset()
    names, seen = env.get_action_meanings(), {}
    for number, name in enumerate(names):
        env.step(number)
        control = env.simulation._ego.control
        seen[name] = (control.steer, control.throttle, control.brake)
    assert seen["accelerate left"] == (-0.2, 1, 0) and seen["brake right"] == (0.2, 0, 0.375) and seen["coast"][0] == 0
    env.close()


@pytest.mark.parametrize(("setting", "ticks"), [("digr", 1), ("rlvigen", 20), ("sgqn", 1)])
def test_collisions_end_an_episode_after_as_many_steps_as_published(carla: Any, setting: str, ticks: int) -> None:
    env = make_env(config(setting), seed=0)
    env.reset()
    carla.server.bump = 300.0
    for step in range(1, ticks + 1):
        _, reward, terminated, _, info = env.step(action_of(env))
        assert terminated == (step == ticks) and not info["is_success"]
    if setting == "rlvigen":
        assert reward == pytest.approx(0.5 - 0.03 - 0.5)
    env.close()


def test_leaving_the_road_and_standing_still_end_an_episode_of_rlvigen_alone(carla: Any) -> None:
    for setting, ends in (("digr", False), ("rlvigen", True)):
        env = make_env(config(setting, action_repeat=2), seed=0)
        env.reset()
        carla.server.off_road = True
        assert env.step(action_of(env))[2] is ends
        carla.server.off_road = False
        env.reset()
        env.simulation._ego.speed = 0.0
        ended = [env.step(action_of(env))[2] for _ in range(50)]
        assert ended == [False] * 49 + [ends]
        env.close()


def test_masks_are_of_vehicles_and_the_ego_is_what_the_camera_has_in_its_place(carla: Any) -> None:
    env = make_env(config(task_mask=True), seed=0)
    _, info = env.reset()
    ego, others = env.simulation.vehicle_masks()
    assert ego.sum() == (SIDE // 4) ** 2 and others.sum() == (SIDE // 8) ** 2 and not (ego & others).any()
    assert np.array_equal(info["task_mask"][0], ego | others)
    assert env.simulation.mask(ground=True)[SIDE // 2 :].all()
    env.close()
    without = make_env(config(), seed=0)
    assert "task_mask" not in without.reset()[1]
    with pytest.raises(UserError, match="task_mask=True"):
        without.simulation.vehicle_masks()
    without.close()


@pytest.mark.parametrize("mode", WEATHERS)
def test_weathers_are_shown_from_the_first_frame_and_go_with_the_environment(carla: Any, mode: str) -> None:
    env = make_env(config(task=f"carla/highway@{mode}"), seed=0)
    env.reset()
    assert vars(carla.server.weather) == WEATHERS[mode]._asdict() and env.provenance["weather"] == mode
    env.close()
    assert carla.server.weather == "own"


def test_the_same_seed_begins_with_the_same_cars_and_a_state_with_the_next(carla: Any) -> None:
    def begun(env: Any) -> list[tuple[str, float, float]]:
        found = [actor for actor in carla.server.actors if actor.type_id.startswith("vehicle.")]
        return [(each.type_id, each.transform.location.x, each.transform.location.y) for each in found]

    env = make_env(config("rlvigen"), seed=3)
    env.reset()
    first, state = begun(env), env.get_state()
    env.reset()
    second = begun(env)
    env.reset(seed=3)
    assert begun(env) == first != second
    env.set_state(state)
    assert begun(env) == second
    env.close()


FAULT = RuntimeError("time-out of 50ms while waiting for the simulator, make sure it is ready")


@pytest.mark.parametrize("what", ["connect", "version"])
def test_no_server(carla: Any, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    carla.server.fails[what] = FAULT if what == "version" else RuntimeError("connection refused")
    with pytest.raises(UserError, match="no CARLA server answers at localhost:2000") as caught:
        make_env(config())
    assert ("took too long" if what == "version" else "refused") in str(caught.value) and as_found(carla.server)
    carla.server.fails.clear()
    make_env(config()).close()  # and what was refused does not stand in the way of the next


def test_a_server_of_another_version(carla: Any) -> None:
    carla.server.version = "0.9.13"
    with pytest.raises(UserError, match=r"is 0\.9\.13 but the client here is 0\.9\.16.*pip install carla==0\.9\.13"):
        make_env(config())


@pytest.mark.parametrize("what", ["get_world", "load_world", "apply_settings", "traffic", "spawn", "tick"])
@pytest.mark.parametrize("fault", [FAULT, OSError("gone"), KeyboardInterrupt()])
def test_whatever_fails_first_the_server_is_left_as_it_was_found(carla: Any, what: str, fault: BaseException) -> None:
    kept = KeyboardInterrupt if isinstance(fault, KeyboardInterrupt) else UserError
    carla.server.fails[what] = fault
    made: list[Any] = []

    def begin() -> None:
        made.append(make_env(config(), seed=0))
        made[0].reset()

    with pytest.raises(kept):
        begin()
    carla.server.fails.clear()
    for env in made:
        env.close()
    assert as_found(carla.server)


@pytest.mark.parametrize("what", ["tick", "apply_control", "silent"])
def test_a_server_that_is_lost_on_the_way(carla: Any, what: str) -> None:
    env = make_env(config(), seed=0)
    env.reset()
    if what == "silent":
        carla.server.silent = True
    else:
        carla.server.fails[what] = FAULT
    with pytest.raises(UserError, match=r"CARLA server at localhost:2000 was lost .* --resume"):
        env.step(4)
    env.close()
    assert as_found(carla.server)


def test_an_actor_that_cannot_be_destroyed_keeps_no_other_and_no_setting(carla: Any) -> None:
    env = make_env(config(), seed=0)
    env.reset()
    before = len(carla.server.actors)
    stuck = carla.server.actors[3]
    stuck.destroy = lambda: (_ for _ in ()).throw(RuntimeError("actor is dead"))
    env.close()
    assert before > 20 and carla.server.actors == [stuck]
    assert carla.server.settings == carla.server.own_settings and not carla.server.traffic_synchronous


def test_one_environment_at_a_time_drives_on_a_server(carla: Any) -> None:
    env = make_env(config(), seed=0)
    with pytest.raises(UserError, match="another environment drives on the CARLA server"):
        make_env(config())
    make_env(config(carla_port=2010)).close()
    env.close()
    make_env(config()).close()


def test_nor_do_two_processes(carla: Any) -> None:
    taken = f"from saccade.envs.tasks.carla.server import _claimed; _claimed({'localhost:2000'!r})"
    env = make_env(config(), seed=0)
    other = subprocess.run([sys.executable, "-c", taken], capture_output=True, text=True, check=False)
    assert "another environment drives on the CARLA server at localhost:2000" in other.stderr
    env.close()
    subprocess.run([sys.executable, "-c", taken], check=True)
    make_env(config()).close()  # what another has ended with stands in nobody's way


def test_a_run_is_trained_in_one_environment_and_evaluated_afterwards_in_another(carla: Any, tmp_path: Any) -> None:
    out, here = tmp_path / "run", ["--workers", "0"]
    small = ["--preset", "small", "--image-size", "48", "--action-repeat", "100", "--device", "cpu", *here]
    steps = ["--envs", "1", "--steps", "16", "--rollout-steps", "8", "--minibatches", "1"]
    assert main(["train", "ppo", "carla/highway", "--out", str(out), *small, *steps]) == 0 and as_found(carla.server)
    assert not (out / "evaluations.jsonl").exists()
    modes = ["train", "hard_low_light"]
    assert main(["evaluate", str(out), "--modes", *modes, "--episodes", "3", *here]) == 0 and as_found(carla.server)
    rows = [json.loads(line) for line in (out / "evaluations.jsonl").read_text().splitlines()]
    assert [(row["mode"], len(row["returns"])) for row in rows] == [(mode, 3) for mode in modes]


def test_no_room_for_the_car(carla: Any) -> None:
    carla.server.crowded = True
    env = make_env(config(), seed=0)
    with pytest.raises(UserError, match="cannot be placed on Town04"):
        env.reset()
    env.close()
    assert as_found(carla.server)


def test_without_the_client_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "carla", None)
    with pytest.raises(UserError, match=r"saccade-rl\[carla\]"):
        make_env(config())


@pytest.mark.parametrize(
    ("field", "value"),
    [("carla_setting", "mine"), ("carla_port", 0), ("carla_port", 70000), ("traffic_port", "x"), ("carla_timeout", 0),
     ("carla_timeout", float("nan")), ("carla_timeout", True), ("carla_host", 3), ("oracle_mask", "all")],
)  # fmt: skip
def test_options_that_cannot_be(field: str, value: Any) -> None:
    with pytest.raises(UserError, match=field):
        EnvConfig.parse("carla/highway", **{field: value})


def test_a_command_without_a_server_is_one_sentence(
    carla: Any, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    carla.server.fails["version"] = FAULT
    out = tmp_path / "run"
    said = main(["train", "ppo", "carla/highway", "--envs", "1", "--workers", "0", "--steps", "10", "--out", str(out)])
    told = capsys.readouterr().err
    assert said == 2 and "no CARLA server answers at localhost:2000" in told
