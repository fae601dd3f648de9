"""A little environment that keeps every promise, and what becomes of it with one fault."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

EPISODE_STEPS = 6
FIRST_ACTION = 3  # of a Discrete space that does not begin at 0
SHAPE = (3, 8, 12)


class ToyEnv(gymnasium.Env[Any, Any]):
    """Noise around a level that each episode draws and that actions move."""

    def __init__(self, seed: int, discrete: bool = False) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, SHAPE, np.uint8)
        box, choice = gymnasium.spaces.Box(-1, 1, (2,), np.float32), gymnasium.spaces.Discrete(3, start=FIRST_ACTION)
        self.action_space: gymnasium.Space[Any] = choice if discrete else box
        self.discrete = discrete
        self.random = np.random.default_rng(seed)
        self.level, self.steps = 0.0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.level, self.steps = float(self.random.uniform(60, 120)), 0
        return self.picture(), self.info()

    def step(self, action: Any) -> Any:
        moved = (-1.0, 0.0, 1.0)[self.index(action)] if self.discrete else float(action.sum())
        self.level, self.steps = self.level + moved, self.steps + 1
        return self.picture(), moved, False, self.steps == EPISODE_STEPS, self.info()

    def index(self, action: Any) -> int:
        return int(action) - FIRST_ACTION

    def picture(self) -> Any:
        return (self.level + self.random.integers(0, 100, SHAPE)).astype(np.uint8)

    def info(self) -> dict[str, Any]:
        return {"task_mask": np.ones((1, *SHAPE[1:]), bool)}

    def get_state(self) -> dict[str, Any]:
        return {"random": self.random.bit_generator.state, "level": np.array(self.level), "steps": self.steps}

    def set_state(self, state: dict[str, Any]) -> None:
        self.random.bit_generator.state = state["random"]
        self.level, self.steps = float(state["level"]), state["steps"]


class DrawsGlobally(ToyEnv):
    def picture(self) -> Any:
        return super().picture() ^ np.random.randint(0, 2, SHAPE, np.uint8)  # noqa: NPY002 -- the fault


class LeavesTheSeed(ToyEnv):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.random = np.random.default_rng()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset()


class PaysByChance(ToyEnv):
    def step(self, action: Any) -> Any:
        obs, _, *rest = super().step(action)
        return obs, float(np.random.default_rng().normal()), *rest


class EndsByChance(ToyEnv):
    def step(self, action: Any) -> Any:
        obs, reward, _, truncated, info = super().step(action)
        return obs, reward, bool(np.random.default_rng().random() < 0.5), truncated, info


class BeginsAlike(ToyEnv):
    """Not a fault where it is said."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed=0)


class NeverChanges(BeginsAlike):
    def step(self, action: Any) -> Any:
        return super().step(np.zeros_like(action))


class Reuses(ToyEnv):
    """Not a fault where it is said."""

    memory = np.zeros(SHAPE, np.uint8)

    def picture(self) -> Any:
        self.memory[...] = super().picture()
        return self.memory


class ReusesMasks(ToyEnv):
    memory = np.ones((1, *SHAPE[1:]), bool)

    def info(self) -> dict[str, Any]:
        return {"task_mask": self.memory}


class GoesOnWithWhatItGave(ToyEnv):
    last = np.zeros(SHAPE, np.uint8)

    def picture(self) -> Any:
        self.last = (self.last // 2 + super().picture() // 2) if self.steps else super().picture()
        return self.last


class Floats(ToyEnv):
    def picture(self) -> Any:
        return super().picture().astype(np.float32)


class OtherShape(ToyEnv):
    def picture(self) -> Any:
        return super().picture().transpose(1, 2, 0)


class DeclaresFloats(ToyEnv):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.observation_space = gymnasium.spaces.Box(0, 1, SHAPE, np.float32)


class ManyChoices(ToyEnv):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.action_space = gymnasium.spaces.MultiBinary(2)


class Black(ToyEnv):
    def picture(self) -> Any:
        return super().picture() * (self.steps != 3)


class EndsInNumbers(ToyEnv):
    def step(self, action: Any) -> Any:
        obs, reward, _, truncated, info = super().step(action)
        return obs, reward, 0, truncated, info


class PaysNothing(ToyEnv):
    def step(self, action: Any) -> Any:
        obs, _, *rest = super().step(action)
        return obs, float("nan"), *rest


class PaysArrays(ToyEnv):
    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        return obs, np.array([reward]), *rest


class FourValues(ToyEnv):
    def step(self, action: Any) -> Any:
        obs, reward, terminated, _, info = super().step(action)
        return obs, reward, terminated, info


class NoInfo(ToyEnv):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed=seed)[0]


class CountsFromZero(ToyEnv):
    def __init__(self, seed: int) -> None:
        super().__init__(seed, discrete=True)

    def index(self, action: Any) -> int:
        return int(action)


class RefusesTheEdge(ToyEnv):
    def step(self, action: Any) -> Any:
        assert abs(action).max() < 1, "too far"
        return super().step(action)


class ResetsOnce(ToyEnv):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if self.steps:
            raise RuntimeError("no more levels")
        return super().reset(seed=seed)


class SmallMask(ToyEnv):
    def info(self) -> dict[str, Any]:
        return {"task_mask": np.ones((1, 4, 4), bool)}


class FloatMask(ToyEnv):
    def info(self) -> dict[str, Any]:
        return {"task_mask": np.ones((1, *SHAPE[1:]))}


class ForgetsTheGenerator(ToyEnv):
    def set_state(self, state: dict[str, Any]) -> None:
        generator = self.random
        self.random = np.random.default_rng(9)
        super().set_state(state)
        self.random = generator


class GivesItsOwnMemory(ToyEnv):
    memory: NDArray[np.float64]

    def get_state(self) -> dict[str, Any]:
        self.memory = np.array(self.level)
        return {**super().get_state(), "level": self.memory}

    def step(self, action: Any) -> Any:
        given = super().step(action)
        if "memory" in vars(self):
            self.memory[...] = self.level
        return given


class GivesObjects(ToyEnv):
    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "generator": self.random}


def toy_mode(mode: str, seed: int) -> ToyEnv:
    """The toy in a mode: ``other`` is as it should be, all else but ``train`` has a fault."""
    kinds = {"other": Brighter, "as_it_was": ToyEnv, "pays": PaysMore, "moves": MovesElsewhere, "ends": EndsEarlier}
    return kinds.get(mode, ToyEnv)(seed)


class Brighter(ToyEnv):
    def picture(self) -> Any:
        return super().picture() + 1


class PaysMore(Brighter):
    def step(self, action: Any) -> Any:
        obs, reward, *rest = super().step(action)
        return obs, reward + (self.steps == 2), *rest


class EndsEarlier(Brighter):
    def step(self, action: Any) -> Any:
        obs, reward, *_, info = super().step(action)
        return obs, reward, False, self.steps == 4, info


class MovesElsewhere(Brighter):
    def step(self, action: Any) -> Any:
        self.level += 0.5
        return super().step(action)
