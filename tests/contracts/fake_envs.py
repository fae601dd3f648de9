"""Tiny environments for the tests of `EnvWorkers`: importable by its processes, without a simulator."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from saccade.types import UserError


@dataclass(frozen=True)
class FakeConfig:
    episode_steps: int = 4
    size: int = 6  # pixels
    trouble: str | None = None  # what goes wrong, at the second step (or already in make_fake)
    choices: int = 0  # of a discrete action; 0: actions are two numbers
    first_choice: int = 0


class FakeEnv(gymnasium.Env[NDArray[np.uint8], Any]):
    """Noise whose brightness follows the actions, so that every pixel depends on seed and history.

    It writes every observation to one buffer of its own, as a careless environment would.
    """

    def __init__(self, config: FakeConfig, seed: int | None) -> None:
        self.config = config
        self.observation_space = gymnasium.spaces.Box(0, 255, (3, config.size, config.size), np.uint8)
        self.action_space: gymnasium.Space[Any] = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        if config.choices:
            self.action_space = gymnasium.spaces.Discrete(config.choices, start=config.first_choice)
        self.random = np.random.default_rng(seed)
        self.position, self.steps = 0.0, 0
        self.pixels = np.zeros(self.observation_space.shape, np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.position, self.steps = float(self.random.normal()), 0
        return self.render_pixels(), {"task_mask": self.pixels[:1] > 128}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        self.steps += 1
        if self.steps == 2:
            self.make_trouble()
        self.position += float(action.sum())
        truncated = self.steps == self.config.episode_steps
        info = {"task_mask": self.pixels[:1] > 128, "steps": self.steps, "process": os.getpid()}
        return self.render_pixels(), self.position, False, truncated, info

    def render_pixels(self) -> NDArray[np.uint8]:
        self.pixels[:] = self.random.integers(0, 256, self.pixels.shape) + int(64 * self.position) & 255
        return self.pixels

    def get_state(self) -> dict[str, Any]:
        return {
            "random": self.random.bit_generator.state,
            "position": self.position,
            "steps": self.steps,
            "ballast": np.zeros(300_000),  # more than a socket holds
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self.random.bit_generator.state = state["random"]
        self.position, self.steps = state["position"], state["steps"]

    @property
    def provenance(self) -> dict[str, Any]:
        return {
            "episode_steps": self.config.episode_steps,
            "threads": os.environ.get("LP_NUM_THREADS"),
            "modules": sorted(name for name in sys.modules if "." not in name),
            "interrupt_ignored": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        }

    def make_trouble(self) -> None:
        match self.config.trouble:
            case "exception":
                raise ZeroDivisionError("the pole fell off")
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(3)
            case "slow":
                time.sleep(0.5)
            case "hang":
                time.sleep(3600)
            case "busy":
                while True:
                    pass


def make_fake(config: FakeConfig, seed: int | None) -> FakeEnv:
    if config.trouble == "make":
        raise UserError("unknown task 'dmc/wolker_walk': did you mean dmc/walker_walk?")
    return FakeEnv(config, seed)
