"""The rows of ``saccade attack``: each cell is played once, and written as soon as it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console

from saccade.attacks import ATTACKS
from saccade.cli.evaluating import Subjected, row_of_subject
from saccade.cli.explaining import Bars, say
from saccade.data.documents import read_lines
from saccade.explain.attacking import NONE, Cell, Play, UnderAttack, cells_text, under_attack
from saccade.policies.attacked import AttackSettings
from saccade.train.logs import append_row
from saccade.types import UserError

ROWS = "attacks.jsonl"
Row = dict[str, Any]


def rows_under_attack(
    subject: Subjected,
    cells: Sequence[Cell],
    settings: AttackSettings,
    play: Play,
    *,
    identity: Mapping[str, Any],
    seed: int,
    again: bool,
    console: Console,
) -> list[Row]:
    """Return a row for each cell; those played before with the same settings are read from the file.

    Args:
        identity: what decides the numbers besides ``settings`` and ``play``.
        seed: the seed that rows show, a run's own.
        again: whether cells that were played before are played again.
    """
    path = subject.folder / ROWS
    wanted = {cell: {**identity, **_played(cell, settings, play)} for cell in cells}
    found = {} if again else _there(path, wanted)
    missing = [cell for cell in cells if cell not in found]
    if found:
        say(console, f"{len(found)} of {len(cells)} cells have been played before (--again plays them again).")
    if not missing:
        return [found[cell] for cell in cells]
    subject.folder.mkdir(parents=True, exist_ok=True)
    bars = Bars(console)
    results = under_attack(subject.policy, subject.task, missing, settings, play, bars)
    try:
        with bars.shown(), closing(results):
            for one in results:
                row = _row(one, subject, settings, play, seed) | {"attack_settings": wanted[one.cell]}
                append_row(path, row)
                found[one.cell] = row
                done = f"{cells_text(one.cell)}: return {one.evaluation.mean:.3g} ± {one.evaluation.std:.3g}"
                say(bars.progress.console, f"{done} ({len(found)} of {len(cells)}, {one.seconds:.0f} s)")
    except KeyboardInterrupt as error:
        why = error.args[0] if error.args else "interrupted"
        raise KeyboardInterrupt(
            f"{why}; {len(found)} of {len(cells)} cells are in {path}, and are not played again"
        ) from error
    return [found[cell] for cell in cells]


def _row(one: UnderAttack, subject: Subjected, settings: AttackSettings, play: Play, seed: int) -> Row:
    policy = subject.policy
    row = row_of_subject(one.evaluation, subject, seed, play.sampled)
    return row | {
        "attack": one.cell.attack,
        "epsilon": one.cell.epsilon,
        "target": _target(one.cell, settings),
        "part": settings.part,
        "whole_pixels": settings.whole_pixels,
        "action_change": one.action_change,
        "untouched": one.untouched,
        "transfer_from": source_text(settings) if _is_of_another(one.cell) else None,
        "seconds": round(one.seconds, 2),
        "source": policy.source,
    }


def _is_of_another(cell: Cell) -> bool:
    return cell.attack != NONE and ATTACKS[cell.attack].of_another


def _target(cell: Cell, settings: AttackSettings) -> str:
    return settings.target if cell.attack == NONE else settings.target_of(ATTACKS[cell.attack])


def source_text(settings: AttackSettings) -> str | None:
    """Return the name of the policy that a transferred attack is computed on."""
    return None if settings.source is None else settings.source.source or settings.source.name


def _played(cell: Cell, settings: AttackSettings, play: Play) -> dict[str, Any]:
    """How a cell is played, as far as that decides its numbers, as JSON values."""
    played = {
        "episodes": play.episodes,
        "episode_seed": play.seed,
        "sampled": play.sampled,
        "mode": play.mode,
        "max_steps": play.max_steps,
    }
    if cell.attack == NONE:
        return played
    return played | {
        "target": _target(cell, settings),
        "part": settings.part,
        "whole_pixels": settings.whole_pixels,
        "seed": settings.seed,
        **ATTACKS[cell.attack].hyperparameters,
        **settings.changes.get(cell.attack, {}),
        "transfer_from": settings.source.fingerprint() if _is_of_another(cell) and settings.source else None,
    }


def _there(path: Path, wanted: Mapping[Cell, Mapping[str, Any]]) -> dict[Cell, Row]:
    """The newest row of each cell that was played with these settings."""
    try:
        rows = [line.row for line in read_lines(path) if line.problem is None]
    except (OSError, UserError):
        return {}
    return {
        cell: row
        for cell, settings in wanted.items()
        for row in rows
        if (row.get("attack"), row.get("epsilon")) == (cell.attack, cell.epsilon)
        and row.get("attack_settings") == settings
    }
