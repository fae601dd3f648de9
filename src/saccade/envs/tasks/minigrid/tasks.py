"""The table of MiniGrid tasks, as data: nothing here loads MiniGrid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ACTION_NAMES = ("left", "right", "forward", "pick up", "drop", "toggle", "done")
NUM_ACTIONS = len(ACTION_NAMES)


@dataclass(frozen=True)
class GridTask:
    """One task.

    Attributes:
        gymnasium_id: MiniGrid's name for it; empty for a task of our own.
        width, height: cells, including the outer walls. A picture has ``tile_size`` pixels per cell and is not square
            if these differ.
        max_steps: when an episode is truncated.
        rule: its row in ``rules.RULES``: what its mission names, and when it ends in success.
        num_actions: how many actions there are, the first of ``left right forward pickup drop toggle done``.
        num_obstacles: how many things move by themselves.
    """

    gymnasium_id: str
    width: int
    height: int
    max_steps: int
    rule: str
    num_actions: int = NUM_ACTIONS
    num_obstacles: int = 0

    @property
    def vectorised(self) -> bool:
        """Whether a step of a batch is array arithmetic throughout.

        What moves by itself draws from its own environment's generator until it finds room, so these are moved one by
        one, in Python; everything else, including drawing, is arrays there too.
        """
        return self.num_obstacles == 0


RED_FETCH_GREEN = "red_fetch_green"

TASKS: Mapping[str, GridTask] = MappingProxyType(
    {
        RED_FETCH_GREEN: GridTask("", 8, 8, 320, "red_fetch_green"),
        "BlockedUnlockPickup": GridTask("MiniGrid-BlockedUnlockPickup-v0", 11, 6, 576, "pick_up"),
        "DistShift1": GridTask("MiniGrid-DistShift1-v0", 9, 7, 252, "reach"),
        "DistShift2": GridTask("MiniGrid-DistShift2-v0", 9, 7, 252, "reach"),
        "DoorKey-5x5": GridTask("MiniGrid-DoorKey-5x5-v0", 5, 5, 250, "door_key"),
        "DoorKey-6x6": GridTask("MiniGrid-DoorKey-6x6-v0", 6, 6, 360, "door_key"),
        "DoorKey-8x8": GridTask("MiniGrid-DoorKey-8x8-v0", 8, 8, 640, "door_key"),
        "DoorKey-16x16": GridTask("MiniGrid-DoorKey-16x16-v0", 16, 16, 2560, "door_key"),
        "Dynamic-Obstacles-5x5": GridTask("MiniGrid-Dynamic-Obstacles-5x5-v0", 5, 5, 100, "dodge", 3, 2),
        "Dynamic-Obstacles-6x6": GridTask("MiniGrid-Dynamic-Obstacles-6x6-v0", 6, 6, 144, "dodge", 3, 3),
        "Dynamic-Obstacles-8x8": GridTask("MiniGrid-Dynamic-Obstacles-8x8-v0", 8, 8, 256, "dodge", 3, 4),
        "Dynamic-Obstacles-16x16": GridTask("MiniGrid-Dynamic-Obstacles-16x16-v0", 16, 16, 1024, "dodge", 3, 8),
        "Dynamic-Obstacles-Random-5x5": GridTask("MiniGrid-Dynamic-Obstacles-Random-5x5-v0", 5, 5, 100, "dodge", 3, 2),
        "Dynamic-Obstacles-Random-6x6": GridTask("MiniGrid-Dynamic-Obstacles-Random-6x6-v0", 6, 6, 144, "dodge", 3, 3),
        "Empty-5x5": GridTask("MiniGrid-Empty-5x5-v0", 5, 5, 100, "reach"),
        "Empty-6x6": GridTask("MiniGrid-Empty-6x6-v0", 6, 6, 144, "reach"),
        "Empty-8x8": GridTask("MiniGrid-Empty-8x8-v0", 8, 8, 256, "reach"),
        "Empty-16x16": GridTask("MiniGrid-Empty-16x16-v0", 16, 16, 1024, "reach"),
        "Empty-Random-5x5": GridTask("MiniGrid-Empty-Random-5x5-v0", 5, 5, 100, "reach"),
        "Empty-Random-6x6": GridTask("MiniGrid-Empty-Random-6x6-v0", 6, 6, 144, "reach"),
        "Fetch-5x5-N2": GridTask("MiniGrid-Fetch-5x5-N2-v0", 5, 5, 125, "fetch"),
        "Fetch-6x6-N2": GridTask("MiniGrid-Fetch-6x6-N2-v0", 6, 6, 180, "fetch"),
        "Fetch-8x8-N3": GridTask("MiniGrid-Fetch-8x8-N3-v0", 8, 8, 320, "fetch"),
        "FourRooms": GridTask("MiniGrid-FourRooms-v0", 19, 19, 100, "reach"),
        "GoToDoor-5x5": GridTask("MiniGrid-GoToDoor-5x5-v0", 5, 5, 100, "go_to"),
        "GoToDoor-6x6": GridTask("MiniGrid-GoToDoor-6x6-v0", 6, 6, 144, "go_to"),
        "GoToDoor-8x8": GridTask("MiniGrid-GoToDoor-8x8-v0", 8, 8, 256, "go_to"),
        "GoToObject-6x6-N2": GridTask("MiniGrid-GoToObject-6x6-N2-v0", 6, 6, 180, "go_to"),
        "GoToObject-8x8-N2": GridTask("MiniGrid-GoToObject-8x8-N2-v0", 8, 8, 320, "go_to"),
        "KeyCorridorS3R1": GridTask("MiniGrid-KeyCorridorS3R1-v0", 7, 3, 270, "pick_up"),
        "KeyCorridorS3R2": GridTask("MiniGrid-KeyCorridorS3R2-v0", 7, 5, 270, "pick_up"),
        "KeyCorridorS3R3": GridTask("MiniGrid-KeyCorridorS3R3-v0", 7, 7, 270, "pick_up"),
        "KeyCorridorS4R3": GridTask("MiniGrid-KeyCorridorS4R3-v0", 10, 10, 480, "pick_up"),
        "KeyCorridorS5R3": GridTask("MiniGrid-KeyCorridorS5R3-v0", 13, 13, 750, "pick_up"),
        "KeyCorridorS6R3": GridTask("MiniGrid-KeyCorridorS6R3-v0", 16, 16, 1080, "pick_up"),
        "LavaCrossingS9N1": GridTask("MiniGrid-LavaCrossingS9N1-v0", 9, 9, 324, "reach"),
        "LavaCrossingS9N2": GridTask("MiniGrid-LavaCrossingS9N2-v0", 9, 9, 324, "reach"),
        "LavaCrossingS9N3": GridTask("MiniGrid-LavaCrossingS9N3-v0", 9, 9, 324, "reach"),
        "LavaCrossingS11N5": GridTask("MiniGrid-LavaCrossingS11N5-v0", 11, 11, 484, "reach"),
        "LavaGapS5": GridTask("MiniGrid-LavaGapS5-v0", 5, 5, 100, "reach"),
        "LavaGapS6": GridTask("MiniGrid-LavaGapS6-v0", 6, 6, 144, "reach"),
        "LavaGapS7": GridTask("MiniGrid-LavaGapS7-v0", 7, 7, 196, "reach"),
        "LockedRoom": GridTask("MiniGrid-LockedRoom-v0", 19, 19, 190, "locked_room"),
        "MemoryS7": GridTask("MiniGrid-MemoryS7-v0", 7, 7, 245, "memory"),
        "MemoryS9": GridTask("MiniGrid-MemoryS9-v0", 9, 9, 405, "memory"),
        "MemoryS11": GridTask("MiniGrid-MemoryS11-v0", 11, 11, 605, "memory"),
        "MemoryS13": GridTask("MiniGrid-MemoryS13-v0", 13, 13, 845, "memory"),
        "MemoryS13Random": GridTask("MiniGrid-MemoryS13Random-v0", 13, 13, 845, "memory"),
        "MemoryS17Random": GridTask("MiniGrid-MemoryS17Random-v0", 17, 17, 1445, "memory"),
        "MultiRoom-N2-S4": GridTask("MiniGrid-MultiRoom-N2-S4-v0", 25, 25, 40, "reach"),
        "MultiRoom-N4-S5": GridTask("MiniGrid-MultiRoom-N4-S5-v0", 25, 25, 120, "reach"),
        "MultiRoom-N4-S5-v1": GridTask("MiniGrid-MultiRoom-N4-S5-v1", 25, 25, 80, "reach"),
        "MultiRoom-N6": GridTask("MiniGrid-MultiRoom-N6-v0", 25, 25, 120, "reach"),
        "ObstructedMaze-1Dl": GridTask("MiniGrid-ObstructedMaze-1Dl-v0", 11, 6, 288, "pick_up"),
        "ObstructedMaze-1Dlh": GridTask("MiniGrid-ObstructedMaze-1Dlh-v0", 11, 6, 288, "pick_up"),
        "ObstructedMaze-1Dlhb": GridTask("MiniGrid-ObstructedMaze-1Dlhb-v0", 11, 6, 288, "pick_up"),
        "ObstructedMaze-1Q": GridTask("MiniGrid-ObstructedMaze-1Q-v0", 16, 16, 720, "pick_up"),
        "ObstructedMaze-1Q-v1": GridTask("MiniGrid-ObstructedMaze-1Q-v1", 16, 16, 720, "pick_up"),
        "ObstructedMaze-2Dl": GridTask("MiniGrid-ObstructedMaze-2Dl-v0", 16, 16, 576, "pick_up"),
        "ObstructedMaze-2Dlh": GridTask("MiniGrid-ObstructedMaze-2Dlh-v0", 16, 16, 576, "pick_up"),
        "ObstructedMaze-2Dlhb": GridTask("MiniGrid-ObstructedMaze-2Dlhb-v0", 16, 16, 576, "pick_up"),
        "ObstructedMaze-2Dlhb-v1": GridTask("MiniGrid-ObstructedMaze-2Dlhb-v1", 16, 16, 576, "pick_up"),
        "ObstructedMaze-2Q": GridTask("MiniGrid-ObstructedMaze-2Q-v0", 16, 16, 1584, "pick_up"),
        "ObstructedMaze-2Q-v1": GridTask("MiniGrid-ObstructedMaze-2Q-v1", 16, 16, 1584, "pick_up"),
        "ObstructedMaze-Full": GridTask("MiniGrid-ObstructedMaze-Full-v0", 16, 16, 3600, "pick_up"),
        "ObstructedMaze-Full-v1": GridTask("MiniGrid-ObstructedMaze-Full-v1", 16, 16, 3600, "pick_up"),
        "Playground": GridTask("MiniGrid-Playground-v0", 19, 19, 100, "playground"),
        "PutNear-6x6-N2": GridTask("MiniGrid-PutNear-6x6-N2-v0", 6, 6, 30, "put_near"),
        "PutNear-8x8-N3": GridTask("MiniGrid-PutNear-8x8-N3-v0", 8, 8, 40, "put_near"),
        "RedBlueDoors-6x6": GridTask("MiniGrid-RedBlueDoors-6x6-v0", 12, 6, 720, "red_blue_doors"),
        "RedBlueDoors-8x8": GridTask("MiniGrid-RedBlueDoors-8x8-v0", 16, 8, 1280, "red_blue_doors"),
        "SimpleCrossingS9N1": GridTask("MiniGrid-SimpleCrossingS9N1-v0", 9, 9, 324, "reach"),
        "SimpleCrossingS9N2": GridTask("MiniGrid-SimpleCrossingS9N2-v0", 9, 9, 324, "reach"),
        "SimpleCrossingS9N3": GridTask("MiniGrid-SimpleCrossingS9N3-v0", 9, 9, 324, "reach"),
        "SimpleCrossingS11N5": GridTask("MiniGrid-SimpleCrossingS11N5-v0", 11, 11, 484, "reach"),
        "Unlock": GridTask("MiniGrid-Unlock-v0", 11, 6, 288, "unlock"),
        "UnlockPickup": GridTask("MiniGrid-UnlockPickup-v0", 11, 6, 288, "pick_up"),
    }
)
"""Task -> its row. An id of MiniGrid loses its first word and ``-v0``; a later version keeps its number, since it is
another task: ``MultiRoom-N4-S5`` has six rooms, ``MultiRoom-N4-S5-v1`` four.

The ids of BabyAI are left out, since only a text states their missions, and ``MiniGrid-WFC-*``: MiniGrid 3.2.0
on PyPI lacks the pictures from which these are generated.
"""
