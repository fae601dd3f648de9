"""The report of ``saccade doctor``: one row for each thing that was examined."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One thing that was examined; advice may also accompany something that works but could be better."""

    what: str
    value: str
    ok: bool = True
    advice: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that was examined, in the order in which it is printed."""

    rows: tuple[Row, ...]

    @property
    def problems(self) -> list[Row]:
        """The rows that are not ok: something will not work until their advice is followed."""
        return [row for row in self.rows if not row.ok]
