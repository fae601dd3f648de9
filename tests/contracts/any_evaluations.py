"""A policy, environments of a person's own, and what evaluating one in the others leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from saccade.cli import main

ENVIRONMENT = '''
from pathlib import Path
import gymnasium
import numpy as np

class Waves(gymnasium.Env):
    """Moving stripes; an action that is named by them brings 1. An episode has eight steps."""
    light, ends, bonus = 1.0, 8, 0.0
    def __init__(self):
        self.observation_space = gymnasium.spaces.Box(0, 255, (4, 36, 36), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(3)
        Path("made").touch()
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.place = 0, float(self.np_random.uniform(0, 20))
        self.frames = [self.frame()] * 4
        return np.stack(self.frames), {}
    def step(self, action):
        Path("played").touch()
        self.time += 1
        good = int(self.place) % 3 == action
        self.place += 1 + float(self.np_random.uniform(0, 2))
        self.frames = [*self.frames[1:], self.frame()]
        over = self.time == self.ends
        return np.stack(self.frames), good + self.bonus, over, False, {"is_success": good}
    def frame(self):
        wave = 0.5 + 0.5 * np.sin(np.arange(36) / 3 + self.place)
        return (self.light * 255 * np.tile(wave, (36, 1))).astype(np.uint8)

class Dim(Waves):
    light = 0.3

class Generous(Dim):
    bonus = 1.0

class Endless(Waves):
    ends = -1

class Numbers(gymnasium.Env):
    def __init__(self):
        self.observation_space = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(3)

class Interrupted(Waves):
    steps = 0
    def step(self, action):
        Interrupted.steps += 1
        if Interrupted.steps == 30:  # eight of them show what the channels are, and sixteen are of train
            raise KeyboardInterrupt
        return super().step(action)
'''


def put_policy(ppo_zip: Path) -> Path:
    """``ppo.zip`` and ``envs.py`` with the environments, in the working folder."""
    Path("envs.py").write_text(ENVIRONMENT)
    path = Path("ppo.zip")
    path.write_bytes(ppo_zip.read_bytes())
    return path


def rows_of(folder: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "evaluations.jsonl").read_text().splitlines()]


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 2
    err = capsys.readouterr().err
    assert err.startswith("saccade: ") and err.count("\n") == 1
    return err
