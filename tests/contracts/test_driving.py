"""The highway: its traffic, rewards, pictures and truth, and that no mode changes more than pictures."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest

import saccade
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.suites import suite_of
from saccade.envs.tasks.driving.rewards import REWARDS, Driven
from saccade.envs.tasks.driving.traffic import NINE_ACTIONS, NINE_NAMES, STEP, Traffic
from saccade.envs.tasks.driving_suite import MODES
from saccade.types import UserError

SIDE = 32
COAST = NINE_NAMES.index("coast")


def made(task: str = "driving/highway", seed: int = 0, **fields: Any) -> Any:
    return make_env(EnvConfig.parse(task, **{"image_size": SIDE, "frame_stack": 1, "vehicles": 8, **fields}), seed)


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """Of every mode: pictures, masks, rewards and ends of the same actions from the same seed."""
    found: dict[str, Any] = {}
    for mode in MODES:
        env = made(f"driving/highway@{mode}", seed=2, task_mask=True, image_size=64)
        pictures, masks, told = [env.reset()[0]], [], []
        for action in (7, 7, 6, 4, 1, 8):
            obs, reward, terminated, _, info = env.step(action)
            pictures.append(obs)
            masks.append(info["task_mask"])
            told.append((reward, terminated, info["is_success"], info["speed"]))
        found[mode] = (np.array(pictures), np.array(masks), told, env.simulation.vehicle_masks(), env.provenance)
        env.close()
    return found


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "train"])
def test_modes_change_pictures_and_nothing_else(shown: dict[str, Any], mode: str) -> None:
    pictures, masks, told, apart, provenance = shown[mode]
    clean = shown["train"]
    assert np.array_equal(masks, clean[1]) and told == clean[2]
    assert np.array_equal(apart.ego, clean[3].ego) and np.array_equal(apart.others, clean[3].others)
    assert np.abs(pictures.astype(int) - clean[0]).mean() > 15
    assert provenance["daylight"] == mode and "daylight" not in clean[4]


def test_the_ego_is_at_one_place_and_others_are_seen_apart_from_it(shown: dict[str, Any]) -> None:
    _, masks, _, apart, _ = shown["train"]
    rows, columns = np.nonzero(apart.ego)
    assert 0.04 < apart.ego.mean() < 0.12 and abs(columns.mean() - 31.5) < 1 and 40 < rows.mean() < 48
    assert apart.others.sum() > 5 and not (apart.ego & apart.others).any()
    assert np.array_equal(masks[-1][0], apart.ego | apart.others)
    assert (masks[:, 0] & apart.ego).sum((1, 2)).min() == apart.ego.sum()


def test_fog_hides_what_is_far_and_nights_are_dark_but_for_lamps(shown: dict[str, Any]) -> None:
    def seen(mode: str) -> np.ndarray:
        return np.asarray(shown[mode][0][-1].transpose(1, 2, 0).astype(float))

    horizon = slice(17, 21)
    assert seen("fog")[horizon].std((0, 1)).max() < 0.5 * seen("train")[horizon].std((0, 1)).max()
    night = seen("night")
    assert night[:16].mean() < 20 < seen("train")[:16].mean() - 100
    ego = shown["night"][3].ego
    assert night[ego][:, 0].max() > 180  # its tail lamps
    assert seen("sunset")[4:14, :, 0].mean() > seen("sunset")[4:14, :, 2].mean() + 20  # a red sky


@pytest.mark.parametrize("controls", ["discrete", "continuous"])
def test_a_state_continues_bit_for_bit_in_another_environment(controls: str) -> None:
    random = np.random.default_rng(0)
    actions = [int(random.integers(9)) if controls == "discrete" else random.uniform(-1, 1, 2) for _ in range(45)]

    def play(env: Any, some: list[Any]) -> list[Any]:
        found: list[Any] = []
        for action in some:
            obs, reward, terminated, _, info = env.step(action)
            found.append((obs.tobytes(), reward, terminated, info["speed"]))
            if terminated:
                found.append(env.reset()[0].tobytes())
        return found

    env = made("driving/highway@night", seed=5, controls=controls)
    spaces = suite_of("driving/highway").spaces(env.config)
    assert env.reset()[0].shape == spaces.obs_shape and env.simulation.actions == spaces.actions
    play(env, actions[:15])
    state = env.get_state()
    expected = [*play(env, actions[15:]), env.reset()[0].tobytes()]
    env.close()
    other = made("driving/highway@night", seed=9, controls=controls)
    other.reset()
    other.set_state(state)
    assert [*play(other, actions[15:]), other.reset()[0].tobytes()] == expected
    other.close()


def test_the_same_traffic_again_from_any_moment_even_from_a_collision() -> None:
    """Every number of it, over the steps in which a car is hit."""
    one = Traffic(3, 12)
    one.seed(1)
    one.reset()
    states = []
    for _ in range(400):
        states.append(one.save())
        if one.step(0.0, 1.0).crashed:
            break
    assert one.crashed and not one.hit_rail and len(states) > 20
    for state in states[-8:]:
        other = Traffic(3, 12)
        other.restore(state)
        again = other.save()
        assert again.keys() == state.keys()
        for name, value in state.items():
            assert np.array_equal(np.asarray(again[name]), np.asarray(value), equal_nan=name == "traffic/impact"), name
        steps = 0
        while not other.step(0.0, 1.0).crashed:
            steps += 1
        assert np.array_equal(other.save()["traffic/place"], one.save()["traffic/place"])


def test_cars_move_as_a_bicycle_and_stop_when_braked() -> None:
    """Hand arithmetic of one step, and of the brake."""
    traffic = Traffic(4, 4)
    traffic.seed(0)
    traffic.reset()
    x, y = traffic.ego.position
    driven = traffic.step(1.0, 0.5)
    slip = np.arctan(np.tan(-0.1) / 2)
    assert np.allclose(traffic.ego.position, [x + 25 * STEP * np.cos(slip), y + 25 * STEP * np.sin(slip)])
    assert np.isclose(traffic.ego.heading, 25 * np.sin(slip) / 2.5 * STEP)
    assert np.isclose(traffic.ego.speed, 25 + 0.5 * 3 * STEP) and np.isclose(driven.speed, 25 * np.cos(slip))
    assert traffic.ego.position[1] < y and driven.brake == 0  # to the left, where highway-env's y falls
    traffic.restore({**traffic.save(), "traffic/ego": np.array([0.0, 0.3, 0.0, 0.0])})
    traffic.step(0.0, -1.0)
    assert traffic.ego.speed == 0.0
    traffic.step(0.0, -1.0)
    assert traffic.ego.speed == 0.0


def test_guard_rails_end_an_episode_and_it_is_no_success() -> None:
    env = made(controls="continuous", vehicles=1, lanes=1)
    env.reset()
    for _ in range(100):
        _, reward, terminated, _, info = env.step(np.array([1.0, 0.0]))
        if terminated:
            break
    assert terminated and not info["is_success"] and reward < 1.3 - 1 and env.simulation._traffic.hit_rail
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(2))
    assert env.reset()[1]["is_success"]
    env.close()


DRIVEN = Driven(speed=26.0, off_centre=0.3, crashed=False, steer=-0.2, brake=0.5, lane=1.0, seconds=0.05)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bisimulation", 26 * 0.05 / 1.3 - 0.05 - 0.02),
        ("gym_carla", 26 - 10 - 5 * 0.04 - 0.2 * 0.2 * 26**2 - 0.1),
        ("highway_env", (0.4 * 0.6 + 0.1 + 1) / 1.5),
    ],
)
def test_rewards(name: str, expected: float) -> None:
    assert REWARDS[name](DRIVEN) == pytest.approx(expected)
    crash = dataclasses.replace(DRIVEN, crashed=True)
    lost = {"bisimulation": 1.0, "gym_carla": 0.0, "highway_env": 1 / 1.5}[name]
    assert REWARDS[name](crash) == pytest.approx(expected - lost)


def test_nine_actions_are_three_pedals_and_three_ways() -> None:
    assert len(set(NINE_ACTIONS)) == len(NINE_NAMES) == 9 and NINE_ACTIONS[COAST] == (0.0, 0.0)
    assert {steer for steer, _ in NINE_ACTIONS} == {-0.2, 0.0, 0.2}
    assert {pedal for _, pedal in NINE_ACTIONS} == {-0.375, 0.0, 1.0}


def test_an_episode_is_50_seconds_and_gymnasium_knows_it() -> None:
    assert EnvConfig("driving/highway").episode_agent_steps * STEP == 50
    env = gymnasium.make(
        "driving/highway", image_size=SIDE, controls="continuous", vehicles=2, disable_env_checker=True
    )
    assert env.action_space.shape == (2,) and env.unwrapped.get_action_meanings() == []  # type: ignore[attr-defined]
    env.close()


def test_oracles_show_cars_and_with_the_ground_the_road() -> None:
    cars, road = (made(oracle_mask=oracle, seed=3) for oracle in ("task", "task_and_ground"))
    seen = [(env.reset()[0].sum(1) > 0).mean() for env in (cars, road)]
    assert 0.04 < seen[0] < seen[1] - 0.2 < 1
    for env in (cars, road):
        env.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [("controls", "wheel"), ("driving_reward", "mine"), ("vehicles", 0), ("vehicles", 1000), ("lanes", 0),
     ("lanes", True), ("oracle_mask", "all"), ("data", 3)],
)  # fmt: skip
def test_options_that_cannot_be(field: str, value: Any) -> None:
    with pytest.raises(UserError, match=field):
        EnvConfig.parse("driving/highway", **{field: value})


@pytest.mark.parametrize("action", [9, -1, 1.0, [0, 0]])
def test_actions_that_cannot_be(action: Any) -> None:
    env = made()
    env.reset()
    with pytest.raises(UserError, match=r"whole number in 0\.\.8"):
        env.step(action)
    env.close()


def test_a_state_of_another_highway_is_refused() -> None:
    env = made()
    env.reset()
    state = env.get_state()
    env.close()
    other = made(vehicles=9)
    with pytest.raises(UserError, match="the state of another environment"):
        other.set_state(state)
    other.close()


def test_without_highway_env_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "highway_env"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "highway_env", None)
    with pytest.raises(UserError, match=r"saccade-rl\[driving\]"):
        saccade.make("driving/highway")
