"""What ``saccade doctor`` reports: one row for each thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One thing that was looked at; advice may stand beside something that works but could be better."""

    what: str
    value: str
    ok: bool = True
    advice: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that was looked at, in the order to print."""

    rows: tuple[Row, ...]

    @property
    def problems(self) -> list[Row]:
        """The rows that are not ok: something will not work until their advice is followed."""
        return [row for row in self.rows if not row.ok]
