"""How a grid's runs deviate from the paper, in words: what ran is compared with the paper's preset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from saccade.agents.methods_of import method_of
from saccade.bench.catalogue import GRIDS
from saccade.bench.cells import Cell, words_of
from saccade.bench.comparison import MEASURES, Line
from saccade.bench.grids import PAPER, Grid, Options
from saccade.bench.results import NOT_TOLD, settings_of
from saccade.bench.statistics import FEWEST_SEEDS
from saccade.bench.verdicts import listed
from saccade.cli.train_command import parse
from saccade.runs.config import read_config, to_json
from saccade.runs.training import RunConfig
from saccade.types import UserError

WORDS: Mapping[str, str] = {
    "steps": "agent steps", "image_size": "pixels of a side", "render_quality": "rendering", "filters": "filters",
    "projection": "numbers in a projection", "hidden": "units of a hidden layer",
    "batch_size": "transitions in a batch",
    "frame_stack": "frames in an observation", "action_repeat": "control steps per agent step",
    "image_count": "pictures for overlays", "evaluation_episodes": "episodes of an evaluation on the way",
    "conv_layers": "layers of convolutions", "shift": "pixels of a random shift",
    "decoder_filters": "filters of a decoder",
    "replay_capacity": "transitions that are remembered", "random_steps": "random steps before learning",
}  # fmt: skip
"""Readable names of settings; others keep their own name."""
PUBLISHED_EPISODES, PUBLISHED_SEEDS = 100, 5  # for a grid without a published table, as in most of these papers
NOT_COMPARED = {
    *NOT_TOLD,
    "precision",
    "matmul",
    "overlap",
    "teacher",
    "teacher_policy",
    "teacher_sha256",
    "saliency_sha256",
} - {"steps"}
"""Settings that decide how a run is carried out, not what it computes."""


def deviations(grid: Grid, folder: Path, cells: Sequence[Cell], lines: Sequence[Line]) -> Iterator[str]:
    """Yield sentences on everything that differs from the paper.

    Args:
        cells: the runs that exist.
    """
    known = GRIDS.get(grid.name)
    if grid.preset != _papers_preset(grid):
        form = grid.forms.get(grid.preset)
        about = f": {form.about}" if form is not None and form.about else ""
        yield f"The runs start from the preset {grid.preset}, not from {_origin(grid)}{about}."
    yield from _settings(grid, folder, cells)
    plan = None if known is None else known.evaluation
    yield from _measuring(
        lines,
        PUBLISHED_SEEDS if known is None else len(known.seeds),
        PUBLISHED_EPISODES if plan is None else plan.episodes,
    )


def _settings(grid: Grid, folder: Path, cells: Sequence[Cell]) -> Iterator[str]:
    """Yield one sentence on what all arms have in common and others on what is specific to some."""
    found: dict[tuple[str, str], list[str]] = {}
    for cell in {(cell.arm.name, cell.task): cell for cell in reversed(cells)}.values():
        try:
            ran = read_config(folder / cell.name)
            options = {"preset": _papers_preset(grid), **_papers_options(grid, cell)}
            meant, _ = parse([cell.arm.method, cell.task, *words_of(options)])
        except (UserError, SystemExit) as error:  # the command line printed its own message in the terminal
            why = error if isinstance(error, UserError) else "its options are not those of this version."
            yield f"How {cell.arm.name} on {cell.task} deviates from {_origin(grid)} is not known: {why}"
            continue
        found[cell.arm.name, cell.task] = list(_different(meant, ran))
    shared = [
        difference for difference in next(iter(found.values()), []) if all(difference in one for one in found.values())
    ]
    if shared:
        whose = "all methods" if len(found) > 1 else _whose(list(found), grid)
        yield f"Instead of {_origin(grid)} {whose} had: {', '.join(shared)}."
    own: dict[str, list[tuple[str, str]]] = {}
    for pair, differences in found.items():
        rest = ", ".join(one for one in differences if one not in shared)
        if rest:
            own.setdefault(rest, []).append(pair)
    for rest, pairs in own.items():
        yield f"{'Beside that' if shared else f'Instead of {_origin(grid)}'}, {_whose(pairs, grid)} had: {rest}."


def _whose(pairs: Sequence[tuple[str, str]], grid: Grid) -> str:
    """``sac and sgqn``, and on which tasks where that is not each of the grid's."""
    tasks: dict[str, list[str]] = {}
    for arm, task in pairs:
        tasks.setdefault(arm, []).append(task)
    arms: dict[tuple[str, ...], list[str]] = {}
    for name in (arm.name for arm in grid.arms if arm.name in tasks):
        arms.setdefault(tuple(task for task in grid.tasks if task in tasks[name]), []).append(name)
    return "; ".join(listed(names) + ("" if own == grid.tasks else f" on {listed(own)}") for own, names in arms.items())


def _origin(grid: Grid) -> str:
    """Return what the runs' settings are compared with: an experiment without a paper's table has no paper."""
    return "the paper's settings" if grid.published else f"the settings of the preset {_papers_preset(grid)}"


def _papers_preset(grid: Grid) -> str:
    """Return the preset of the grid in its paper, which may have run others' methods with its own settings."""
    known = GRIDS.get(grid.name)
    return PAPER if known is None else known.preset


def _papers_options(grid: Grid, cell: Cell) -> Options:
    """Return the arm's options in the paper: those of the grid as it is in the catalogue."""
    known = GRIDS.get(grid.name)
    if known is not None and any(arm.name == cell.arm.name for arm in known.arms):
        return {**known.options, **known.arm(cell.arm.name).options}
    return cell.arm.options


def _different(meant: RunConfig, ran: RunConfig) -> Iterator[str]:
    paper, ours = dict(settings_of(to_json(meant))), dict(settings_of(to_json(ran)))
    for name, value in ours.items():
        meant_by = paper.get(name)
        if name not in NOT_COMPARED and None not in (value, meant_by) and meant_by != value:
            words = (_value_text(value), WORDS[name]) if name in WORDS else (name.replace("_", " "), _value_text(value))
            yield f"{' '.join(words)} instead of {_value_text(meant_by)}"
    if ran.training.images is None and method_of(ran.method).overlays(ran.agent):
        yield "generated pictures for overlays instead of Places365"


def _value_text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def _measuring(lines: Sequence[Line], published_seeds: int, published_episodes: int) -> Iterator[str]:
    own = [line for line in lines if line.measure in MEASURES and line.attack is None]
    seeds = sorted({len(line.seeds) for line in own})
    if seeds and seeds != [published_seeds]:
        few = f" Fewer than {FEWEST_SEEDS} have no interval." if seeds[0] < FEWEST_SEEDS else ""
        of = f"{' or '.join(map(str, seeds))} seed{'s' * (seeds[-1] > 1)}"
        yield f"Numbers are of {of} instead of {published_seeds}.{few}"
    episodes = sorted({line.kind.count for line in own if line.kind.count is not None})
    if episodes and episodes != [published_episodes]:
        played = " or ".join(map(str, episodes))
        yield f"Modes were played for {played} episode{'s' * (episodes[-1] > 1)} instead of {published_episodes}."
    for source in dict.fromkeys(line.kind.data for line in own if "generated" in line.kind.data):
        modes = dict.fromkeys(line.mode for line in own if line.kind.data == source)
        yield f"{', '.join(modes)} used {source}, and not the benchmark's data."
