"""What each arm of a grid looks at, from its run's explanation or drawn here for one saved observation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from saccade.bench.cells import Cell
from saccade.bench.grids import Grid, folder_of
from saccade.cli.explaining import IN_RUN
from saccade.data.arrays import DAMAGED
from saccade.data.files import written_aside
from saccade.envs.config import EnvConfig
from saccade.types import UserError
from saccade.viewer.experiment import Look
from saccade.viewer.explanation import SEEN, brightest, panels, spread
from saccade.viewer.pictures import overlay, parts_of
from saccade.viewer.recordings import EXPLANATION, read_explanation, read_maps

OBSERVATIONS = "observation.npz"
METHOD = "gradient"
MOST_COLUMNS = 5  # in a gallery
MOMENT = 10  # agent steps of random play before the observation
SEED = 0


def looks_of(grid: Grid, folder: Path, cells: Sequence[Cell], draw: bool) -> tuple[list[Look], list[str]]:
    """Return a gallery for each task, and sentences on what is missing.

    cells: the runs that exist. draw: whether to make pictures where no run has an explanation.
    """
    looks, why = [], []
    for task in grid.tasks:
        own = [cell for cell in cells if cell.task == task]
        firsts = list({cell.arm.name: cell for cell in reversed(own)}.values())[::-1]
        if not firsts:
            continue
        explained = {cell.arm.name: folder / cell.name for cell in firsts if _is_explained(folder / cell.name)}
        try:
            if len(explained) == len(firsts):
                looks.append(_of_explanations(task, explained))
            elif draw:
                looks.append(_drawn(task, {cell.arm.name: folder / cell.name for cell in firsts}, folder))
            else:
                why.append(f"There is no picture of {task}: no explanation is in its runs (`saccade explain RUN`).")
        except UserError as error:
            why.append(f"There is no picture of {task}: {error}")
    return looks, why


def _is_explained(run: Path) -> bool:
    return (run / IN_RUN / EXPLANATION).is_file() and bool(read_explanation(run / IN_RUN).modes_with_maps)


def _of_explanations(task: str, runs: dict[str, Path]) -> Look:
    """Return the middle of each run's own episode in its first mode, with its first maps."""
    drawn: dict[str, dict[str, np.ndarray]] = {}
    for arm, run in runs.items():
        explanation = read_explanation(run / IN_RUN)
        maps = read_maps(explanation, explanation.modes_with_maps[0])
        drawn[arm] = dict(panels(maps, spread(len(maps.obs), 3)[1:2] if len(maps.obs) > 1 else np.arange(1)))
    first, *others = drawn.values()
    columns = tuple(name for name in first if all(name in other for other in others))[:MOST_COLUMNS]
    return Look(
        task,
        columns,
        {arm: tuple(own[name][0] for name in columns) for arm, own in drawn.items()},
        "the middle of an episode of each method's first seed, and what matters to it there, from the explanation in "
        "its run. Bright is what matters; each picture has its own brightness scale.",
    )


def _drawn(task: str, runs: dict[str, Path], folder: Path) -> Look:
    """Draw maps of one observation for all arms; it is kept, so that the pictures can be made again."""
    from saccade.explain import saliency
    from saccade.policies.sources.run import load_policy

    rows: dict[str, tuple[np.ndarray, ...]] = {}
    for arm, run in runs.items():
        policy = load_policy(run, "cpu")
        obs = _observation(policy.config.env, folder / folder_of(task))
        maps = saliency(policy, obs[None], METHOD)[0]
        frame = next(iter(parts_of(obs[None], policy.pixels.parts).values()))[0]
        strength = np.abs(maps[-1])
        rows[arm] = (frame, overlay(frame[None], strength[None], limits=(0.0, brightest(maps)))[0])
    return Look(
        task,
        (SEEN, METHOD),
        rows,
        f"one observation, after {MOMENT} random steps in the training mode, and what matters to the first seed of "
        f"each method there by its {METHOD}. Bright is what matters; each picture has its own brightness scale. The "
        f"observation is kept in {OBSERVATIONS}.",
    )


def _observation(env: EnvConfig, place: Path) -> np.ndarray:
    """Return the observation kept at ``place``, or make one and keep it there."""
    from saccade.envs.make import make_env

    name = f"observation_{env.image_size}_{env.frame_stack}"
    path = place / OBSERVATIONS
    # An observation that is missing, of another shape, or damaged is made now.
    with suppress(*DAMAGED), np.load(path, allow_pickle=False) as kept:
        return np.asarray(kept[name])
    with closing(make_env(env, seed=SEED)) as made:
        made.action_space.seed(SEED)
        obs, _ = made.reset(seed=SEED)
        for _ in range(MOMENT):
            obs, _, terminated, truncated, _ = made.step(made.action_space.sample())
            if terminated or truncated:
                obs, _ = made.reset()
    with written_aside(path) as aside:
        np.savez_compressed(aside, allow_pickle=False, **{name: obs})
    return np.asarray(obs)
