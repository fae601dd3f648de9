"""A simulation of another kind than MuJoCo's is an environment like the others: grey, not square, discrete, ending."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from saccade.envs.config import EnvConfig
from saccade.envs.simulation import BLACK, KEPT, REPEATED, Before, StateValue, repeated
from saccade.envs.tasks.pixel_env import PixelEnv
from saccade.types import Discrete, UserError

LENGTH = 5


@dataclass
class Corridor:
    """One light in a row of five: action 1 moves it right, 2 left, 0 nowhere. It begins in the middle at random or one
    beside; the right end gives 1, and either end ends the episode.
    """

    knows_mask: bool = True
    size: tuple[int, int] = (2, LENGTH)
    colours: int = 1
    actions: Discrete = Discrete(3)  # noqa: RUF009 - frozen
    action_names: tuple[str, ...] = ("stay", "right", "left")
    control_seconds: float = 0.1
    before: Before = REPEATED
    scene: Any = field(default_factory=SimpleNamespace)
    settings: Mapping[str, object] = field(default_factory=lambda: {"length": LENGTH})
    versions: Mapping[str, str] = field(default_factory=lambda: {"corridor": "1"})
    place: int = 0
    steps: int = 0
    random: np.random.Generator = field(default_factory=np.random.default_rng)
    closed: bool = False

    def check_usable(self) -> None:
        pass

    def seed(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def reset(self) -> None:
        self.place, self.steps = int(self.random.integers(1, 4)), 0

    def step(self, action: int, control_steps: int) -> tuple[float, bool]:
        assert type(action) is int
        return repeated(lambda: self.move(action), control_steps)

    def move(self, action: int) -> tuple[float, bool]:
        self.place, self.steps = self.place + (0, 1, -1)[action], self.steps + 1
        return float(self.place == LENGTH - 1), self.place in (0, LENGTH - 1)

    def picture(self) -> np.ndarray:
        picture = np.zeros((*self.size, 1), np.uint8)
        picture[0, self.place] = 255
        return picture

    def mask(self, ground: bool = False) -> np.ndarray | None:
        return self.picture()[..., 0] > 0 if self.knows_mask else None

    def outcome(self) -> dict[str, Any]:
        return {"is_success": self.place == LENGTH - 1}

    def save(self) -> dict[str, StateValue]:
        return {"place": self.place}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.place = state["place"]

    def close(self) -> None:
        self.closed = True


def corridor(simulation: Corridor | None = None, **fields: Any) -> PixelEnv:
    config = EnvConfig("dmc/walker_walk", **({"frame_stack": 2, "action_repeat": 1} | fields))
    return PixelEnv(config, simulation or Corridor(), seed=0)


def begin_at(env: PixelEnv, place: int) -> None:
    env.reset()
    env.set_state({**env.get_state(), "place": place})


def test_its_spaces_and_pictures() -> None:
    env = corridor(Corridor(place=2))
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (2, 2, LENGTH), np.uint8)
    assert env.action_space == gymnasium.spaces.Discrete(3)
    first, _ = env.reset(seed=1)
    place = env.simulation.place
    second, *_ = env.step(1)
    assert first[:, 0, place].tolist() == [255, 255] and first.sum() == 2 * 255
    assert second[0, 0, place] == second[1, 0, place + 1] == 255 and second.sum() == 2 * 255
    env.render_mode = "rgb_array"
    assert env.render().shape == (2, LENGTH, 3) and (env.render()[0, place + 1] == 255).all()
    env.close()
    assert env.simulation.closed


def test_an_episode_ends_where_the_simulation_ends_it() -> None:
    """Three of four control steps from the second place: 1 + 1 + 1 reaches the end, and the fourth is not played."""
    env = corridor(action_repeat=4)
    begin_at(env, 1)
    _, reward, terminated, truncated, info = env.step(np.int64(1))
    assert (reward, terminated, truncated, info["is_success"], env.simulation.steps) == (1.0, True, False, True, 3)
    with pytest.raises(ResetNeeded):
        env.step(1)
    ended = env.get_state()
    env.reset()
    _, _, terminated, *_ = env.step(0)
    assert not terminated
    env.set_state(ended)
    with pytest.raises(ResetNeeded):
        env.step(1)


def test_an_episode_without_an_end_is_truncated() -> None:
    env = corridor(action_repeat=500)
    env.reset()
    assert env.step(0)[2:4] == (False, False)
    assert env.step(0)[2:4] == (False, True)


def test_what_an_observation_shows_before_an_episode() -> None:
    """Black pictures, or those that there were, in the place of the first one repeated; and black after a step."""
    env = corridor(Corridor(before=BLACK), frame_stack=3)
    first, _ = env.reset()
    assert first.sum((1, 2)).tolist() == [0, 0, 255]
    assert env.step(0)[0].sum((1, 2)).tolist() == [0, 0, 255]  # forgotten, since the simulation still says so
    env.simulation.before = KEPT
    stepped, *_ = env.step(0)
    assert stepped.sum((1, 2)).tolist() == [0, 255, 255]
    again, _ = env.reset()
    np.testing.assert_array_equal(again, stepped)
    assert corridor(Corridor(before=KEPT)).reset()[0].sum((1, 2)).tolist() == [255, 255]  # there were none


@pytest.mark.parametrize("action", [3, -1, 1.0, True, [1], np.zeros(1, int), "1", None, [[0], [1, 2]]])
def test_an_action_that_is_none(action: Any) -> None:
    env = corridor()
    env.reset()
    with pytest.raises(UserError, match=r"must be a whole number in 0\.\.2"):
        env.step(action)


def test_masks_are_told_where_they_are_asked_for_and_known() -> None:
    env = corridor(task_mask=True)
    _, info = env.reset()
    assert info["task_mask"].shape == (2, 2, LENGTH) and info["task_mask"].sum() == 2
    *_, info = env.step(0)
    assert np.flatnonzero(info["task_mask"][1, 0]).tolist() == [env.simulation.place]
    with_masks = env.get_state()
    for other in (corridor(), corridor(Corridor(knows_mask=False), task_mask=True)):
        assert "task_mask" not in other.reset()[1] and "task_mask" not in other.step(0)[-1]
        without = other.get_state()
        other.set_state(without)
    with pytest.raises(UserError, match="saved without task masks"):
        corridor(task_mask=True).set_state(without)
    other = corridor(task_mask=True)
    other.set_state(with_masks)
    assert np.array_equal(other.step(0)[-1]["task_mask"][0], info["task_mask"][1])


def test_its_provenance_is_what_it_says() -> None:
    told = corridor().provenance
    assert list(told) == ["task", "mode", "image_size", "frame_stack", "action_repeat", "length", "corridor"]


def test_what_all_simulators_share_loads_none() -> None:
    code = "import sys, saccade.envs.tasks.pixel_env; print([n for n in ('mujoco', 'dm_control') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
