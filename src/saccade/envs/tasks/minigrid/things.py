"""What a cell of the grid can hold, numbered, and what each action does to it: MiniGrid's objects as tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

COLOURS = ("red", "green", "blue", "purple", "yellow", "grey")
"""In MiniGrid's own order."""
RED, GREEN, GREY = 0, 1, 5

WALL_TYPE, DOOR_TYPE, KEY_TYPE, BALL_TYPE, BOX_TYPE, GOAL_TYPE, LAVA_TYPE = 2, 4, 5, 6, 7, 8, 9
OPEN, CLOSED, LOCKED = 0, 1, 2


class Thing(NamedTuple):
    """One kind of content, by the three numbers of MiniGrid's own encoding; type 1 is an empty cell."""

    type: int
    colour: int
    state: int = 0


_EVERY_COLOUR = range(len(COLOURS))
THINGS: tuple[Thing, ...] = (
    Thing(1, 0),
    Thing(WALL_TYPE, GREY),
    Thing(GOAL_TYPE, GREEN),
    Thing(LAVA_TYPE, RED),
    *(Thing(DOOR_TYPE, colour, state) for state in (OPEN, CLOSED, LOCKED) for colour in _EVERY_COLOUR),
    *(Thing(each, colour) for each in (KEY_TYPE, BALL_TYPE, BOX_TYPE) for colour in _EVERY_COLOUR),
)
"""Every kind of content in the listed tasks; its place in this table is its number."""

NUMBERS: dict[tuple[int, int, int], int] = {thing: number for number, thing in enumerate(THINGS)}
EMPTY, WALL, GOAL, LAVA = range(4)
FIRST_DOOR = 4


def door(colour: int, state: int) -> int:
    """Return the number of a door of this colour that is ``OPEN``, ``CLOSED`` or ``LOCKED``."""
    return NUMBERS[DOOR_TYPE, colour, state]


def key(colour: int) -> int:
    """Return the number of a key."""
    return NUMBERS[KEY_TYPE, colour, 0]


def ball(colour: int) -> int:
    """Return the number of a ball."""
    return NUMBERS[BALL_TYPE, colour, 0]


# Looked up by a thing's number.
COLOUR_OF = np.array([thing.colour for thing in THINGS])
IS_OPEN_DOOR = np.array([thing.type == DOOR_TYPE and thing.state == OPEN for thing in THINGS])
CAN_ENTER = IS_OPEN_DOOR | np.isin(np.arange(len(THINGS)), (EMPTY, GOAL, LAVA))
SWUNG = np.array(  # a door once it has been toggled; a locked one with the right key
    [
        door(thing.colour, CLOSED if thing.state == OPEN else OPEN) if thing.type == DOOR_TYPE else number
        for number, thing in enumerate(THINGS)
    ],
    dtype=np.uint8,
)
KEY_FOR = np.array([key(thing.colour) if thing.type == DOOR_TYPE else EMPTY for thing in THINGS], dtype=np.uint8)

LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE, DONE = range(7)
NUM_ACTIONS = 7
TURNS = np.array([-1, 1, 0, 0, 0, 0, 0])

NOTHING, WALK, REACH, FALL, LIFT, LAY, SWING, UNLOCK, UNPACK = range(9)
"""Effects of actions: walk on, onto a goal, into lava; pick up, drop; toggle a door, a locked one, a box."""
FIRST_OF_HANDS = LIFT


def _effect(full_hands: bool, action: int, number: int) -> int:
    thing = THINGS[number]
    if action == FORWARD and CAN_ENTER[number]:
        return {GOAL: REACH, LAVA: FALL}.get(number, WALK)
    if action == PICKUP and not full_hands and thing.type in (KEY_TYPE, BALL_TYPE, BOX_TYPE):
        return LIFT
    if action == DROP and full_hands and number == EMPTY:
        return LAY
    if action == TOGGLE and thing.type == DOOR_TYPE:
        return UNLOCK if thing.state == LOCKED else SWING
    return UNPACK if action == TOGGLE and thing.type == BOX_TYPE else NOTHING


EFFECTS = np.array(
    [
        [[_effect(full, action, number) for number in range(len(THINGS))] for action in range(NUM_ACTIONS)]
        for full in (False, True)
    ]
)
"""int ``[whether hands are full, action, thing ahead]``."""

# Looked up by an effect.
MOVES = np.isin(np.arange(9), (WALK, REACH, FALL))
ENDS = np.isin(np.arange(9), (REACH, FALL))
