"""Pictures of single cells, as MiniGrid draws them: made once per tile size, then only copied."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from saccade.envs.tasks.minigrid.layouts import load_minigrid
from saccade.envs.tasks.minigrid.things import CAN_ENTER, EMPTY, GREEN, NUMBERS, THINGS

NUM_DIRECTIONS = 4
SUBDIVISIONS = 3  # MiniGrid draws everything three times finer and averages
OPAQUE = 255


@cache
def stock_tiles(tile_size: int) -> np.ndarray:
    """Return the picture of every possible cell: uint8 ``[5, things, tile_size, tile_size, 3]``; read-only.

    The first index is 0 without the agent, 1 + direction with it. A thing that cannot be entered stays black
    with the agent on it.
    """
    load_minigrid()
    from minigrid.core.grid import Grid

    tiles = np.zeros((1 + NUM_DIRECTIONS, len(THINGS), tile_size, tile_size, 3), np.uint8)
    for number in range(len(THINGS)):
        for seat in range(len(tiles) if CAN_ENTER[number] else 1):
            direction = seat - 1 if seat else None
            drawn = Grid.render_tile(_object(number), agent_dir=direction, highlight=False, tile_size=tile_size)
            tiles[seat, number] = drawn.astype(np.uint8)  # MiniGrid keeps fractional means, and truncates later
    tiles.flags.writeable = False
    return tiles


@cache
def layers(tile_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return things without a background: float32 colours (0..255) and coverage (0..1).

    ``[things, tile_size, tile_size, 3]`` and ``[things, tile_size, tile_size, 1]``. Over a background a cell shows
    ``colours + (1 - coverage) * background``.
    """
    load_minigrid()
    from minigrid.utils.rendering import downsample

    side = tile_size * SUBDIVISIONS
    colours = np.zeros((len(THINGS), tile_size, tile_size, 3), np.float32)
    on_white = np.full_like(colours, OPAQUE)
    for number in range(len(THINGS)):
        thing = _object(number)
        if thing is not None:
            for pictures, ground in ((colours, 0), (on_white, OPAQUE)):
                picture = np.full((side, side, 3), ground, np.uint8)
                thing.render(picture)
                pictures[number] = downsample(picture, SUBDIVISIONS)
    return colours, 1 - (on_white - colours).mean(axis=-1, keepdims=True) / OPAQUE


def shares_of_colour(tile_size: int) -> np.ndarray:
    """Return how much of a thing's own colour each pixel has: float32 ``[things, tile_size, tile_size, 1]`` in 0..1.

    It is meaningless for goal and lava, whose colour never changes.
    """
    colours, _ = layers(tile_size)
    green = [NUMBERS.get((thing.type, GREEN, thing.state), EMPTY) for thing in THINGS]
    return colours[green][..., 1:2] / OPAQUE


@cache
def agent_coverage(tile_size: int) -> np.ndarray:
    """Return the share of each pixel that the agent covers: float32 ``[direction, tile_size, tile_size, 1]``."""
    red = stock_tiles(tile_size)[1:, EMPTY].astype(np.float32)
    return (red[..., :1] - red[..., 1:2]) / OPAQUE  # grid lines are grey


def _object(number: int) -> Any:
    """MiniGrid's own object; None for an empty cell."""
    from minigrid.core.world_object import WorldObj

    return WorldObj.decode(*THINGS[number])
