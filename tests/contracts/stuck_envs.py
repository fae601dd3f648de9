"""Environments whose processes get stuck, for the tests of what `EnvWorkers` does then."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import gymnasium
import numpy as np
from fake_envs import FakeConfig, FakeEnv
from numpy.typing import NDArray

PROCESS_FILES: list[IO[str]] = []  # of this process, locked as long as it lives


@dataclass(frozen=True)
class StuckConfig(FakeConfig):
    folder: str = ""  # where processes can see how many they are
    crowd: int | None = None  # with how many processes, and more, a step hangs; 1 for always
    needs_software: bool = False  # a step hangs unless pictures are drawn in software
    dies_in: str | None = None  # make, reset, step or set_state: there the first process to come dies
    step_seconds: float = 0.0
    kind: str = "whole"  # what its get_state is worth


class StuckEnv(FakeEnv):
    """``FakeEnv``, which can hang in a step or die anywhere."""

    config: StuckConfig

    def __init__(self, config: StuckConfig, seed: int | None) -> None:
        super().__init__(config, seed)
        self.performed = 0
        self.die_once("make")
        if config.crowd is not None:
            be_seen_in(Path(config.folder))

    def reset(self, **arguments: Any) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        obs, info = super().reset(**arguments)
        self.die_once("reset")
        return obs, info

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        config = self.config
        self.performed += 1
        crowded = config.crowd is not None and processes_in(Path(config.folder)) >= config.crowd
        if crowded or (config.needs_software and os.environ.get("MUJOCO_GL") != "osmesa"):
            time.sleep(3600)
        time.sleep(config.step_seconds)
        obs, reward, terminated, truncated, info = super().step(action)
        self.die_once("step")
        return obs, reward, terminated, truncated, info | {"performed": self.performed}

    def set_state(self, state: dict[str, Any]) -> None:
        self.die_once("set_state")
        super().set_state(state)

    def die_once(self, place: str) -> None:
        mark = Path(self.config.folder) / "died"
        if place == self.config.dies_in and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class StatelessEnv(StuckEnv):
    """As other people's environments are."""

    def get_state(self) -> dict[str, Any]:
        raise NotImplementedError


class ForgetfulEnv(StuckEnv):
    """Its state leaves out what its rewards depend on."""

    def set_state(self, state: dict[str, Any]) -> None:
        super().set_state(state | {"position": 0.0})


def make_stuck(config: StuckConfig, seed: int | None) -> gymnasium.Env[Any, Any]:
    match config.kind:
        case "stateless":
            return StatelessEnv(config, seed)
        case "forgetful":
            return ForgetfulEnv(config, seed)
        case "wrapped":
            return gymnasium.wrappers.TimeLimit(StuckEnv(config, seed), max_episode_steps=3)
    return StuckEnv(config, seed)


@dataclass(frozen=True)
class StuckRenderer:
    """Draws a first picture, or hangs where so many processes draw theirs, and then in software alone."""

    folder: str
    crowd: int
    gpu: bool = True
    seconds: float = 0.0  # that a picture takes

    def load(self) -> bool:
        be_seen_in(Path(self.folder))
        return self.gpu and os.environ.get("MUJOCO_GL") != "osmesa"

    def draw(self) -> str:
        drawn_in_software = os.environ.get("MUJOCO_GL") == "osmesa"
        time.sleep(self.seconds)
        if processes_in(Path(self.folder)) >= self.crowd and not drawn_in_software:
            time.sleep(3600)
        return "llvmpipe" if drawn_in_software else "a fast GPU"


def be_seen_in(folder: Path) -> None:
    """Hold a file there as long as this process lives."""
    if not PROCESS_FILES:
        PROCESS_FILES.append((folder / str(os.getpid())).open("w"))
        fcntl.flock(PROCESS_FILES[0], fcntl.LOCK_EX)


def processes_in(folder: Path) -> int:
    """How many living processes hold a file there."""
    return sum(map(is_locked, folder.iterdir()))


def is_locked(path: Path) -> bool:
    if PROCESS_FILES and PROCESS_FILES[0].name == str(path):
        return True
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two may look at the same time
        except BlockingIOError:
            return True
    return False
