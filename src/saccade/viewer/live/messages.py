"""What the page may say to the server, each message with its type; anything else is refused."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from saccade.explain.edits import Drop, Edit, Erase, Paint, Turn
from saccade.explain.looking import Pane, Question
from saccade.types import UserError

LARGEST = 2_000_000  # bytes of one message


class EditMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One edit; what its kind does not need is left out."""

    kind: Literal["paint", "erase", "drop", "turn"]
    points: tuple[tuple[float, float], ...] = ()
    radius: float = 0.05
    colour: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift: str = ""
    strength: float = 1.0

    def edit(self) -> Edit:
        """The same as the session takes it."""
        match self.kind:
            case "paint":
                return Paint(self.points, self.radius, self.colour)
            case "erase":
                return Erase(self.points, self.radius)
            case "drop":
                return Drop(self.shift, self.strength, self.points, self.radius)
            case "turn":
                return Turn(self.shift, self.strength)


class PaneMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One pane."""

    policy: int = 0
    mode: str = "train"


class View(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that decides what the page shows of the episode."""

    index: int
    panes: tuple[PaneMessage, ...]
    edits: tuple[EditMessage, ...] = ()
    dial: tuple[str, float] | None = None
    methods: tuple[str, ...] = ()
    score: str | None = None
    metrics: tuple[str, ...] = ()

    @property
    def question(self) -> Question:
        return Question(self.index, tuple(one.edit() for one in self.edits), self.dial)

    def shown(self) -> list[Pane]:
        """Its panes. Raises UserError for none and for more than two."""
        if not 1 <= len(self.panes) <= 2:
            raise UserError(f"A page shows one or two panes, not {len(self.panes)}.")
        return [Pane(one.policy, one.mode) for one in self.panes]


class Start(msgspec.Struct, frozen=True, tag_field="do", tag="start"):
    """Begin an episode, or the one that these actions made."""

    seed: int
    mode: str = "train"
    actions: tuple[int | float | tuple[float, ...], ...] = ()


class Step(msgspec.Struct, frozen=True, tag_field="do", tag="step"):
    """Let a policy play one more step."""

    policy: int = 0


class Branch(msgspec.Struct, frozen=True, tag_field="do", tag="branch"):
    """Take an action at a moment."""

    index: int
    action: int | tuple[float, ...]


class Look(msgspec.Struct, frozen=True, tag_field="do", tag="look"):
    """Show a moment; ``number`` comes back with every answer."""

    number: int
    view: View


class Save(msgspec.Struct, frozen=True, tag_field="do", tag="save"):
    """Make a file of what is shown."""

    what: Literal["still", "film", "page"]
    view: View


Message: TypeAlias = Start | Step | Branch | Look | Save
_decoder = msgspec.json.Decoder(Message)


def read(text: str) -> Message:
    """One message. Raises UserError for what is none."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UserError(f"The page said what the server does not understand: {error}.") from error
