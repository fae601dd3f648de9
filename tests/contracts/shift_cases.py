"""Pictures in every layout that environments have, and environments that show them, for the contract of shifts."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

SIDE, WIDE = 16, 20
RGB, FRAMES = 3, 4

LAYOUTS: dict[str, tuple[tuple[int, ...], Any, float, str]] = {
    "rgb, channels last": ((SIDE, WIDE, 3), np.uint8, 255, "rgb"),
    "rgb, channels first": ((3, SIDE, WIDE), np.uint8, 255, "rgb"),
    "grey": ((SIDE, WIDE), np.uint8, 255, "grey"),
    "grey, one channel": ((SIDE, WIDE, 1), np.uint8, 255, "grey"),
    "stack of grey, first": ((4, SIDE, WIDE), np.uint8, 255, "grey"),
    "stack of grey, last": ((SIDE, WIDE, 4), np.uint8, 255, "grey"),
    "stack of rgb, first": ((6, SIDE, WIDE), np.uint8, 255, "rgb"),
    "stack on an axis": ((2, SIDE, WIDE, 3), np.uint8, 255, "rgb"),
    "stack on an axis, channels first": ((2, 3, SIDE, WIDE), np.uint8, 255, "rgb"),
    "floats to 1": ((3, SIDE, WIDE), np.float32, 1, "rgb"),
    "floats to 255": ((SIDE, WIDE, 3), np.float32, 255, "rgb"),
    "doubles": ((SIDE, WIDE, 3), np.float64, 1, "rgb"),
    "rgb and depth": ((SIDE, WIDE, 4), np.uint8, 255, "rgb,depth"),
    "stack of rgb and depth, on an axis": ((2, SIDE, WIDE, 4), np.uint8, 255, "rgb,depth"),
    "stack of rgb and depth": ((8, SIDE, WIDE), np.uint8, 255, "rgb,depth"),
}
"""Shape, type, brightest value, and what the channels of one frame are."""


class Moving(gymnasium.Env[Any, Any]):
    """Smooth pictures that move; where its shape says so, the newest of a stack. Its rewards and ends are drawn too.

    ``frames`` is every frame that it has shown, ``[height, width, channel]`` in 0..1.
    """

    def __init__(self, layout: str, episode: int = 6) -> None:
        self.shape, self.type, self.high, self.channels = LAYOUTS[layout]
        width = {"rgb": 3, "grey": 1, "rgb,depth": 4}[self.channels]
        self.width = width
        self.count = int(np.prod(self.shape)) // (SIDE * WIDE * width)
        self.observation_space = gymnasium.spaces.Box(0, self.high, self.shape, self.type)
        self.action_space = gymnasium.spaces.Discrete(3)
        self.episode = episode
        self.frames: list[NDArray[Any]] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.time, self.place = 0, float(self.np_random.uniform(0, 6))
        self.frames = [self._frame()] * self.count
        return self._seen(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        self.place += 0.3 + float(action) + float(self.np_random.uniform(0, 0.2))
        self.frames = [*self.frames[1:], self._frame()]
        over = self.time == self.episode
        return self._seen(), float(self.np_random.normal()), over, False, self._info()

    def _frame(self) -> NDArray[Any]:
        down, across = np.mgrid[:SIDE, :WIDE] / SIDE
        waves = [0.5 + 0.45 * np.sin(5 * down + (3 + i) * across + self.place + 2 * i) for i in range(self.width)]
        frame = np.stack(waves, -1)
        frame[:3, :5] = 0  # something black, to be replaced
        return frame

    def _seen(self) -> NDArray[Any]:
        frames = np.stack(self.frames) * self.high
        frames = np.rint(frames).astype(self.type) if np.dtype(self.type).kind == "u" else frames.astype(self.type)
        shape = self.shape
        if len(shape) == 4:
            return frames if shape[-1] == self.width else np.moveaxis(frames, -1, 1)
        first = np.moveaxis(frames, -1, 1).reshape(-1, SIDE, WIDE)
        if len(shape) == 2:
            return first[0]
        return first if shape[1:] == (SIDE, WIDE) else np.moveaxis(first, 0, -1)

    def _info(self) -> dict[str, Any]:
        mask = np.zeros((SIDE, WIDE), bool)
        mask[4:9, 4:9] = True
        return {"task_mask": mask}


def frames_of(obs: NDArray[Any], env: Moving) -> NDArray[Any]:
    """``[frame, height, width, channel]`` of an observation of its layout."""
    if len(env.shape) == 4:
        return obs if env.shape[-1] == env.width else np.moveaxis(obs, 1, -1)
    first = obs[None] if obs.ndim == 2 else obs if obs.shape[1:] == (SIDE, WIDE) else np.moveaxis(obs, -1, 0)
    return np.moveaxis(first.reshape(env.count, env.width, SIDE, WIDE), 1, -1)
