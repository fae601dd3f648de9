"""A grid as commands: every run of it, and the steps of each, which a person could type.

A step is done when its file is there, so that the same grid started twice does only what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

from saccade.bench.grids import Arm, Grid, Options, name_of

RUN, TEACHER = "{run}", "{teacher}"
"""In the words of a step: the folder of the cell's run, and of its teacher's."""
TRAIN, EVALUATE, SCORE, ATTACK = "train", "evaluate", "score", "attack"
RESULT, EVALUATIONS, METRICS, ATTACKS = "result.json", "evaluations.jsonl", "metrics.jsonl", "attacks.jsonl"
MARKS = "steps"
"""In the folder of a run, like those above: a folder with a mark for each step after training that is done."""
SCORES, SCORES_OF_STATES, OF_STATES = "explain/scores.jsonl", "explain-truth/scores.jsonl", "truth_states"
"""Where scores go: those of an episode, and those of thousands of states, which the option asks for."""
EXPLANATION = "explanation.json"
"""Beside them: what was asked of the maps that they are of."""


@dataclass(frozen=True)
class Step:
    """One command of a cell.

    Attributes:
        name: ``train``, ``evaluate``, ``score`` or ``attack``.
        words: of the command after ``saccade``, with ``RUN`` and ``TEACHER`` for folders.
        output: the file in the run's folder without which the step is not done.
        mark: the file in the run's folder that an executor writes when the step is done; none where the output says so.
    """

    name: str
    words: tuple[str, ...]
    output: str
    mark: str | None = None


@dataclass(frozen=True)
class Cell:
    """One run of a grid and what is measured of it.

    Attributes:
        name: ``TASK/ARM/SEED``, which is also its run's folder below the grid's: what it is, and no time stamp.
        needs: the name of the cell whose run is its teacher.
    """

    name: str
    arm: Arm
    task: str
    seed: int
    steps: tuple[Step, ...]
    needs: str | None = None


def cells_of(grid: Grid) -> tuple[Cell, ...]:
    """Every run of a grid: seed by seed, so that what is done first can be compared, and teachers before students."""
    ordered = sorted(grid.arms, key=lambda arm: _depth(grid, arm))
    return tuple(_cell(grid, arm, task, seed) for seed in grid.seeds for task in grid.tasks for arm in ordered)


def _cell(grid: Grid, arm: Arm, task: str, seed: int) -> Cell:
    needs = None
    if arm.teacher is not None:
        needs = name_of(arm.teacher, task, seed if arm.teacher_seed == "same" else grid.seeds[0])
    return Cell(name_of(arm.name, task, seed), arm, task, seed, tuple(_steps(grid, arm, task, seed)), needs)


def _steps(grid: Grid, arm: Arm, task: str, seed: int) -> list[Step]:
    given = {"preset": grid.preset, "seed": seed, **grid.options, **arm.options}
    teacher = ("--teacher", TEACHER) if arm.teacher is not None else ()
    training = (TRAIN, arm.method, task, *words_of(given), *teacher, "--out", RUN)
    steps = [Step(TRAIN, training, RESULT)]
    if grid.evaluation is not None:
        plan = grid.evaluation
        given = {"modes": plan.modes or None, "episodes": plan.episodes, "sampled": plan.sampled, **plan.options}
        steps.append(_measured(EVALUATE, words_of(given), EVALUATIONS))
    if grid.scores is not None:
        scored = {"modes": grid.scores.modes, "methods": grid.scores.methods or None, **grid.scores.options}
        output = SCORES_OF_STATES if OF_STATES in grid.scores.options else SCORES
        steps.append(_measured(SCORE, words_of(scored), output))
    if grid.attacks is not None:
        budgets = tuple(f"{epsilon:g}" for epsilon in grid.attacks.epsilons)
        attacked = {
            "attacks": grid.attacks.attacks,
            "epsilons": budgets,
            "episodes": grid.attacks.episodes,
            **grid.attacks.options,
        }
        steps.append(_measured(ATTACK, words_of(attacked), ATTACKS))
    return steps


def _measured(name: str, words: tuple[str, ...], output: str) -> Step:
    return Step(name, (name, RUN, *words), output, f"{MARKS}/{name}.json")


def words_of(options: Options) -> tuple[str, ...]:
    """Options as the words of a command line: ``--steps 3000 --no-overlap``; False of what is off anyway says no."""
    words: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is None or (name == "sampled" and value is False):
            continue
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, tuple):
            words += [flag, *map(str, value)]
        else:
            words += [flag, str(value)]
    return tuple(words)


def _depth(grid: Grid, arm: Arm) -> int:
    """How many arms have to be done before it."""
    return 0 if arm.teacher is None else 1 + _depth(grid, grid.arm(arm.teacher))
