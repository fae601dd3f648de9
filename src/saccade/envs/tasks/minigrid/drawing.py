"""Draw pictures of whole batches from tiles, without a Python loop over cells or environments.

Every environment's last picture is kept, with a code for each of its cells. Only cells whose code has changed are drawn
again, about two per step; the rest is one copy. Pictures depend on the state alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import numpy as np

from saccade.envs.distractions.appearance import Appearance
from saccade.envs.tasks.minigrid.physics import GridState
from saccade.envs.tasks.minigrid.tasks import GridTask
from saccade.envs.tasks.minigrid.things import COLOUR_OF, EMPTY, LAVA, RED, THINGS, WALL
from saccade.envs.tasks.minigrid.tiles import OPAQUE, agent_coverage, layers, shares_of_colour, stock_tiles

NUM_SEATS = 5  # without the agent, or with it in one of four directions
NUM_CODES = NUM_SEATS * len(THINGS)
NEVER_DRAWN = -1

Tiles = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``(codes, cells) -> uint8 [n, tile_size, tile_size, 3]``: the pictures of cells with these codes."""


@final
class Drawing:
    """Draws a batch. Without ``appearances`` it equals MiniGrid's ``RGBImgObsWrapper``, pixel by pixel."""

    def __init__(
        self, task: GridTask, num_envs: int, tile_size: int, appearances: Sequence[Appearance] | None = None
    ) -> None:
        self._height, self._width, self._tile_size = task.height, task.width, tile_size
        self._dressed = appearances is not None
        self._tiles: Tiles = (
            StockTiles(tile_size) if appearances is None else DressedTiles(task, tile_size, appearances)
        )
        self._codes = np.full((num_envs, task.height * task.width), NEVER_DRAWN)
        self._frames = np.zeros((num_envs, task.height * tile_size, task.width * tile_size, 3), np.uint8)
        # A view of the same memory, one entry per row of a tile's pixels, so that assigning copies its bytes.
        self._rows = self._frames.reshape(-1, tile_size * 3).view(f"V{tile_size * 3}")[:, 0]

    def __call__(self, state: GridState, which: slice | np.ndarray, out: np.ndarray) -> None:
        """Draw the environments ``which`` into ``out``, uint8 ``[n, height, width, 3]``."""
        codes = self._codes_of(state, which)
        env, cell = np.nonzero(codes != self._codes[which])
        if env.size:
            self._renew(np.arange(len(self._codes))[which][env], cell, codes[env, cell])
            self._codes[which] = codes
        out[...] = self._frames[which]

    def _codes_of(self, state: GridState, which: slice | np.ndarray) -> np.ndarray:
        """Encode all that a cell's picture depends on as a number: int64 ``[n, cells]``."""
        things = state.things[which]
        codes = things.astype(np.int64)
        codes[np.arange(len(codes)), state.agent[which]] += len(THINGS) * (1 + state.direction[which])
        if self._dressed:
            keeps = state.kept_colours[which][np.arange(len(codes))[:, None], COLOUR_OF[things]]
            codes += NUM_CODES * (2 * state.appearance[which][:, None] + keeps)
        return codes

    def _renew(self, env: np.ndarray, cell: np.ndarray, codes: np.ndarray) -> None:
        size = self._tile_size
        row, column = np.divmod(cell, self._width)
        first = (env * self._height + row) * size * self._width + column
        rows = first[:, None] + np.arange(size) * self._width
        tiles = self._tiles(codes, cell)
        self._rows[rows] = tiles.reshape(len(tiles), size, -1).view(self._rows.dtype)[..., 0]


@final
class StockTiles:
    """MiniGrid's own tiles."""

    def __init__(self, tile_size: int) -> None:
        self._tiles = stock_tiles(tile_size).reshape(NUM_CODES, tile_size, tile_size, 3)

    def __call__(self, codes: np.ndarray, cells: np.ndarray) -> np.ndarray:
        return self._tiles[codes]


@final
class DressedTiles:
    """Tiles of appearances: floor or wall, then the thing on it, then the agent."""

    def __init__(self, task: GridTask, tile_size: int, appearances: Sequence[Appearance]) -> None:
        self._floors = np.stack([_floor_tiles(each, task, tile_size) for each in appearances])
        self._walls = np.stack([_wall_tile(each, tile_size) for each in appearances])
        self._colours = np.stack([_layers(each, tile_size) for each in appearances])
        self._shows_through = 1 - layers(tile_size)[1]
        self._agent = agent_coverage(tile_size)

    def __call__(self, codes: np.ndarray, cells: np.ndarray) -> np.ndarray:
        dressed, code = np.divmod(codes, NUM_CODES)
        appearance, keeps = np.divmod(dressed, 2)
        seat, thing = np.divmod(code, len(THINGS))
        tiles = self._floors[appearance, cells]
        walls, lying, seated = (np.flatnonzero(where) for where in (thing == WALL, thing > WALL, seat > 0))
        tiles[walls] = self._walls[appearance[walls]]
        keeps = keeps[lying] | (thing[lying] <= LAVA)
        laid = self._colours[appearance[lying], keeps, thing[lying]]
        tiles[lying] = laid + self._shows_through[thing[lying]] * tiles[lying]
        covered = self._agent[seat[seated] - 1]
        tiles[seated] = covered * AGENT_COLOUR + (1 - covered) * tiles[seated]
        return tiles


AGENT_COLOUR = np.array([OPAQUE if channel == RED else 0 for channel in range(3)], np.float32)


def _floor_tiles(appearance: Appearance, task: GridTask, tile_size: int) -> np.ndarray:
    """The floor with its grid lines, cell by cell: uint8 ``[height * width, tile_size, tile_size, 3]``."""
    shape = (task.height * tile_size, task.width * tile_size, 3)
    one_colour = appearance.floor.shape[:2] == (1, 1)
    floor = np.broadcast_to(appearance.floor, shape) if one_colour else appearance.floor[: shape[0], : shape[1]]
    assert floor.shape == shape, (appearance.floor.shape, shape)
    cells = floor.reshape(task.height, tile_size, task.width, tile_size, 3).swapaxes(1, 2)
    lined = cells.astype(np.uint16) + stock_tiles(tile_size)[0, EMPTY]
    return lined.clip(max=OPAQUE).astype(np.uint8).reshape(-1, tile_size, tile_size, 3)


def _wall_tile(appearance: Appearance, tile_size: int) -> np.ndarray:
    if appearance.wall is None:
        return stock_tiles(tile_size)[0, WALL]
    return np.broadcast_to(np.array(appearance.wall, np.uint8), (tile_size, tile_size, 3))


def _layers(appearance: Appearance, tile_size: int) -> np.ndarray:
    """Things in the appearance's colours, and in their own: float32 ``[2, things, tile_size, tile_size, 3]``."""
    own, _ = layers(tile_size)
    if appearance.colours is None:
        return np.stack([own, own])
    colours = np.array(appearance.colours, np.float32)[COLOUR_OF]
    return np.stack([shares_of_colour(tile_size) * colours[:, None, None], own])
