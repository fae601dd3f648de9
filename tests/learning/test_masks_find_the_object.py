"""An object over a plain ground in training, over a film at test time: who still knows where it is?

As in the benchmark's ``video_hard``: the film replaces everything but the object, and nothing like it was seen in
training but in the pictures that methods blend in. A square is to be led to the middle; only its colour tells it from
the film.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from quick_runs import QUICK, quick, trained
from torch import Tensor

from saccade.agents import METHODS, Architecture
from saccade.agents.agent import Agent

SIZE, SQUARE, EPISODE_STEPS = 16, 6, 6
COLOUR, GROUND = (210, 160, 30), 120
PATCHES = 4  # of a picture along each side
PIXELS_PER_ACTION = 3.0
REWARDED = 2.0  # pixels from the middle at which the reward is gone
STEPS, RANDOM_STEPS = 1700, 300
TEST_EPISODES, TEST_SEED = 40, 10**6
SETTINGS = QUICK | {
    "architecture": Architecture(image_size=SIZE, filters=16, conv_layers=2, projection=32, hidden=64),
    "masker_filters": 8,
    "shift": 0,
    # So few updates need stronger losses than the published half a million. And the foreground branch must know the
    # square before masks become small, or else the background branch paints it.
    "mask_ratio": (SQUARE / SIZE) ** 2,
    "mask_first_update": 900,
    "mask_ratio_weight": 20.0,
    "background_weight": 10.0,
    "separation_lr": 2e-3,
    "separation_every": 1,
}


@dataclasses.dataclass(frozen=True)
class Stage:
    """Whether the ground is a film."""

    film: bool


class LeadToTheMiddle(gymnasium.Env[NDArray[np.uint8], NDArray[np.float32]]):
    """One action moves the square along a row; the reward is 1 in the middle and falls to 0 two pixels from it."""

    def __init__(self, stage: Stage, seed: int | None) -> None:
        self.stage = stage
        self.observation_space = gymnasium.spaces.Box(0, 255, (3, SIZE, SIZE), np.uint8)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.random = np.random.default_rng(seed)
        self.film = np.empty(0, np.uint8)
        self.column, self.steps = 0.0, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.film, self.steps = film(self.random), 0
        self.column = float(self.random.integers(0, SIZE - SQUARE + 1))
        return self.frame(), {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.column = float(np.clip(self.column + PIXELS_PER_ACTION * float(action[0]), 0, SIZE - SQUARE))
        off = abs(self.column - (SIZE - SQUARE) / 2) / REWARDED
        return self.frame(), 1 - min(1.0, off), False, self.steps == EPISODE_STEPS, {}

    def mask(self) -> NDArray[np.bool_]:
        """Where the square is: ``[SIZE, SIZE]``."""
        mask = np.zeros((SIZE, SIZE), np.bool_)
        left, top = round(self.column), (SIZE - SQUARE) // 2
        mask[top : top + SQUARE, left : left + SQUARE] = True
        return mask

    def frame(self) -> NDArray[np.uint8]:
        ground = self.film[self.steps] if self.stage.film else np.full((3, SIZE, SIZE), GROUND, np.uint8)
        return np.where(self.mask(), np.array(COLOUR, np.uint8)[:, None, None], ground)


def film(random: np.random.Generator) -> NDArray[np.uint8]:
    """One picture of coloured patches that becomes another: ``[EPISODE_STEPS + 1, 3, SIZE, SIZE]``."""
    first, last = enlarged(torch.from_numpy(random.uniform(0, 255, (2, 3, PATCHES, PATCHES))))
    part = torch.linspace(0, 1, EPISODE_STEPS + 1, dtype=torch.float64)[:, None, None, None]
    return torch.lerp(first, last, part).round().to(torch.uint8).numpy()


def images(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Pictures to blend in: of the film's kind, and never its own."""
    return enlarged(torch.rand((count, 3, PATCHES, PATCHES), generator=generator) * 255)


def enlarged(patches: Tensor) -> Tensor:
    return F.interpolate(patches, size=SIZE, mode="nearest")


def learn(method: str, seed: int) -> Agent:
    config, stages = quick(METHODS[method].config, SETTINGS), [Stage(film=False)]
    lengths = {"steps": STEPS, "random_steps": RANDOM_STEPS}
    return trained(method, config, stages, LeadToTheMiddle, seed=seed, draw_images=images, **lengths).agent


def play(agent: Agent, stage: Stage) -> tuple[float, Tensor, Tensor]:
    """Mean reward of a step, what was seen ``[steps, 3, SIZE, SIZE]`` and where the square was."""
    env = LeadToTheMiddle(stage, TEST_SEED)
    rewards, seen, masks = [], [], []
    for _ in range(TEST_EPISODES):
        obs, over = env.reset()[0], False
        while not over:
            seen.append(obs)
            masks.append(env.mask())
            action = agent.act(torch.from_numpy(obs)[None], None)[0].numpy()
            obs, reward, _, over, _ = env.step(action)
            rewards.append(reward)
    return float(np.mean(rewards)), torch.from_numpy(np.stack(seen)), torch.from_numpy(np.stack(masks))


def intersection_over_union(found: Tensor, true: Tensor) -> float:
    return float(((found & true).sum((-2, -1)) / (found | true).sum((-2, -1))).mean())


def test_without_masks_a_film_behind_the_object_costs_the_return() -> None:
    """SAC: 0.91 to 0.92 in training, 0.76 to 0.78 before the film (seeds 0 to 2)."""
    agent = learn("sac", seed=0)
    plain, filmed = play(agent, Stage(film=False))[0], play(agent, Stage(film=True))[0]
    assert plain > 0.8 and filmed < plain - 0.12


def test_smgs_mask_covers_the_object_and_the_return_survives() -> None:
    """SMG: 0.85 to 0.90 in training, 0.85 to 0.88 before the film (seeds 0 to 3).

    The intersection over union of its mask with the square before the film is 0.72, 0.97, 0.84 and 0.97. The losses do
    not say which branch paints the object: where masks must be small before the foreground branch knows the square,
    they end up around it, and the return survives as well. Hence ``mask_first_update``.
    """
    agent = learn("smg", seed=0)
    plain, obs, square = play(agent, Stage(film=False))
    filmed, filmed_obs, filmed_square = play(agent, Stage(film=True))
    assert plain > 0.75 and filmed > plain - 0.1
    for seen, true in ((obs, square), (filmed_obs, filmed_square)):
        mask = agent.maps["foreground_mask"](seen, torch.zeros(len(seen), 1))[:, 0]
        assert intersection_over_union(mask > 0.5, true) > 0.6
        assert intersection_over_union(mask > 0.5, true.roll(SIZE // 2, -1)) < 0.3  # of a square elsewhere


def test_madis_mask_keeps_more_of_the_object_and_the_return_survives() -> None:
    """MaDi: 0.89 and 0.92 in training, 0.86 and 0.87 before the film (seeds 0 and 1).

    With seed 0 its mask keeps 0.76 of the square and 0.61 of the rest; with seed 1 as much of both. Nothing but the
    critic's loss speaks of the mask, and so short a training does not need one that covers the square alone: cut at
    0.5, its intersection over union is 0.16.
    """
    agent = learn("madi", seed=0)
    plain = play(agent, Stage(film=False))[0]
    filmed, obs, square = play(agent, Stage(film=True))
    assert plain > 0.8 and filmed > plain - 0.1
    mask = agent.maps["mask"](obs, torch.zeros(len(obs), 1))[:, 0]
    assert mask[square].mean() > mask[~square].mean() + 0.05
