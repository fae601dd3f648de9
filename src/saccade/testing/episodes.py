"""Play an environment and check everything that it returns: pictures, rewards, ends."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import gymnasium
import numpy as np
from numpy.typing import NDArray

from saccade.testing.conformance import ConformanceError, require

TASK_MASK = "task_mask"
MOST_CHOICES = 100  # actions of a Discrete space that are tried, besides its last
Env = gymnasium.Env[Any, Any]


@final
@dataclass(frozen=True)
class Moment:
    """What an environment returned at a reset or a step.

    Attributes:
        when: in words, for messages: ``step 3``.
        pixels: a copy of the observation.
        given: the very arrays that it returned, by name: the observation, the mask.
    """

    when: str
    pixels: NDArray[np.uint8]
    given: dict[str, NDArray[Any]]
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False

    @property
    def over(self) -> bool:
        return self.terminated or self.truncated


Watch = Callable[[Moment], None]


def _ignore(moment: Moment) -> None:
    pass


def play(
    env: Env, actions: Sequence[Any], *, seed: int | None = None, begun: bool = False, watch: Watch = _ignore
) -> list[Moment]:
    """Play actions and return every moment, checked; an episode that ends is followed by the next one.

    If none ends, there is a reset in the middle of one after the last action, and then that action once more.

    Args:
        seed: of the first reset.
        begun: whether an episode is under way, so that there is no first reset.
        watch: called with each moment before the next one.
    """
    moments: list[Moment] = []

    def add(moment: Moment) -> None:
        moments.append(moment)
        watch(moment)

    if not begun:
        add(reset(env, "the first reset", seed))
    for number, action in enumerate(actions, 1):
        add(step(env, action, f"step {number}"))
        if moments[-1].over:
            add(reset(env, f"the reset after step {number}"))
    if not any(moment.over for moment in moments):
        add(reset(env, f"the reset after step {len(actions)}"))
        add(step(env, actions[-1], f"step {len(actions) + 1}"))
    return moments


def reset(env: Env, when: str, seed: int | None = None) -> Moment:
    """Begin an episode. Raises ConformanceError for an observation that is not what the environment declares."""
    try:
        given = env.reset(seed=seed)
    except Exception as error:
        raise ConformanceError(
            f"The environment raised {type(error).__name__} ({error}) at {when}: reset must begin an episode whenever "
            "it is called."
        ) from error
    require(
        isinstance(given, tuple) and len(given) == 2,
        f"reset() returned a {type(given).__name__} at {when}: return the tuple (observation, info).",
    )
    obs, info = given
    return Moment(when, _picture(env, obs, when), _arrays(obs, info, when))


def step(env: Env, action: Any, when: str) -> Moment:
    """Play a copy of an action. Raises ConformanceError for anything that the environment does not do as declared."""
    try:
        given = env.step(copy.copy(action))
    except Exception as error:
        raise ConformanceError(
            f"The environment raised {type(error).__name__} ({error}) at {when} for {action!r}, which is an action of "
            f"its own space {env.action_space}: accept every action that the space contains."
        ) from error
    require(
        isinstance(given, tuple) and len(given) == 5,
        f"step() returned {len(given) if isinstance(given, tuple) else 'no'} values at {when}: return the tuple "
        "(observation, reward, terminated, truncated, info).",
    )
    obs, reward, terminated, truncated, info = given
    for name, value in (("terminated", terminated), ("truncated", truncated)):
        require(
            isinstance(value, bool | np.bool_),
            f"{name} is {value!r}, of type {type(value).__name__}, at {when}: return a bool.",
        )
    number = isinstance(reward, int | float | np.integer | np.floating) and not isinstance(reward, bool)
    require(
        number and math.isfinite(reward),
        f"The reward is {reward!r}, of type {type(reward).__name__}, at {when}: return a finite float.",
    )
    pixels, arrays = _picture(env, obs, when), _arrays(obs, info, when)
    return Moment(when, pixels, arrays, float(reward), bool(terminated), bool(truncated))


def _picture(env: Env, obs: Any, when: str) -> NDArray[np.uint8]:
    shape = env.observation_space.shape
    kind = f"{obs.dtype} {list(obs.shape)}" if isinstance(obs, np.ndarray) else f"a {type(obs).__name__}"
    require(
        isinstance(obs, np.ndarray) and obs.dtype == np.uint8 and obs.shape == shape,
        f"The observation is {kind} at {when}: the observation space declares uint8 {list(shape or ())}.",
    )
    require(
        obs.min() < obs.max(),
        f"The picture has the value {obs.flat[0]} in all its pixels at {when}: render the scene before reading it, or "
        "use another camera.",
    )
    return obs.copy()


def _arrays(obs: NDArray[Any], info: Any, when: str) -> dict[str, NDArray[Any]]:
    require(isinstance(info, dict), f"info is a {type(info).__name__} at {when}: return a dictionary.")
    if TASK_MASK not in info:
        return {"observation": obs}
    mask = info[TASK_MASK]
    kind = f"{mask.dtype} {list(mask.shape)}" if isinstance(mask, np.ndarray) else f"a {type(mask).__name__}"
    require(
        isinstance(mask, np.ndarray) and mask.dtype == np.bool_ and _fits(mask.shape, obs.shape),
        f'info["{TASK_MASK}"] is {kind} at {when}: return bool [frames, height, width], as large as the observation, '
        f"which has the shape {list(obs.shape)}.",
    )
    return {"observation": obs, "task mask": mask}


def _fits(mask: tuple[int, ...], picture: tuple[int, ...]) -> bool:
    """Whether a mask has the height and width of the picture, channels first or last, and divides into its frames."""
    if len(picture) == 2:
        return mask == (1, *picture)
    layouts = ((picture[0], picture[1:]), (picture[-1], picture[:-1]))
    return len(mask) == 3 and any(
        mask[1:] == size and mask[0] and channels % mask[0] == 0 for channels, size in layouts
    )


def difference(ours: Sequence[Moment], theirs: Sequence[Moment]) -> tuple[str, str] | None:
    """Return the first difference between two plays of the same actions, and when; None if they are equal."""
    for one, other in zip(ours, theirs, strict=False):
        if not np.array_equal(one.pixels, other.pixels):
            return "other pixels", one.when
        if (different := difference_of_task(one, other)) is not None:
            return different, one.when
    return None


def difference_of_task(one: Moment, other: Moment) -> str | None:
    """Return what differs in reward or end, regardless of the pixels."""
    if one.reward != other.reward:
        return f"the reward {other.reward!r} instead of {one.reward!r}"
    for name in ("terminated", "truncated"):
        ours, theirs = getattr(one, name), getattr(other, name)
        if ours != theirs:
            return f"{name} {theirs} instead of {ours}"
    return None


def drawn_actions(space: gymnasium.Space[Any], count: int, seed: int) -> list[Any]:
    """Return random actions of a space, whose own random state stays as it is."""
    own = copy.deepcopy(space)
    own.seed(seed)
    return [own.sample() for _ in range(count)]


def edge_actions(space: gymnasium.Space[Any]) -> list[Any]:
    """Return the actions of a Discrete space, first to last; or the bounds and the middle of a Box that has bounds."""
    if isinstance(space, gymnasium.spaces.Discrete):
        last = int(space.n) - 1
        return [space.dtype.type(space.start + index) for index in (*range(min(last, MOST_CHOICES)), last)]
    assert isinstance(space, gymnasium.spaces.Box)
    (typical,) = drawn_actions(space, 1, seed=0)
    low, high = (np.where(np.isfinite(bound), bound, typical) for bound in (space.low, space.high))
    return [np.asarray(action, space.dtype) for action in (low, high, low + (high - low) / 2)]
