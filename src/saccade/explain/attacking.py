"""Play whole episodes of a policy whose observations are attacked: one result for each attack and budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any, Protocol, final

import gymnasium
import numpy as np
import torch

from saccade.data.user_code import running
from saccade.envs.streams import SUCCESS
from saccade.envs.suites import suite_of
from saccade.explain import answers
from saccade.explain.episodes import checked
from saccade.explain.evaluating import MOST_STEPS, Played, acting, evaluation_of, on_batches, tell_of_left
from saccade.explain.explanation import Report, silent
from saccade.explain.fitting import fitting
from saccade.explain.tasks import CLEAN, Task
from saccade.policies.attacked import Attacker, AttackSettings
from saccade.policies.evaluate import (
    SIMULTANEOUS_EPISODES,
    Evaluation,
    EvaluationEnvs,
    episode_seeds,
    evaluated_side_by_side,
    in_mode,
)
from saccade.policies.policy import Policy
from saccade.policies.side_by_side import SideBySide
from saccade.types import UserError

LIGHT_ENVIRONMENTS = 60
"""How many light environments are played at once: enough for all usual budgets of an attack, ten episodes each."""

NONE = "none"
"""Name of the attack of budget 0, which all attacks share."""


@final
@dataclass(frozen=True)
class Cell:
    """One attack with one budget, in steps of 1/255. Budget 0 has one cell for all attacks."""

    attack: str
    epsilon: float


@final
@dataclass(frozen=True)
class UnderAttack:
    """The result of a cell.

    Attributes:
        evaluation: returns and successes of its episodes.
        action_change: how far the deterministic action moved, mean over the steps: for discrete actions the share that
            changed. None at budget 0.
        untouched: share of the observations that the attack left unchanged. None at budget 0.
        seconds: how long its episodes took.
    """

    cell: Cell
    evaluation: Evaluation
    action_change: float | None
    untouched: float | None
    seconds: float


@final
@dataclass(frozen=True)
class Play:
    """Which episodes to play, and how.

    Attributes:
        seed: the seed from which the episodes' seeds are derived, the same in every cell.
        sampled: whether actions are drawn from the policy.
        max_steps: agent steps after which an unfinished episode of another library's environment is left.
        workers: processes for Saccade's own environments; None for one per core.
    """

    episodes: int = 10
    seed: int = 0
    sampled: bool = False
    mode: str = CLEAN
    max_steps: int = MOST_STEPS
    workers: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("episodes", 1), ("max_steps", 1), ("seed", 0)):
            value = getattr(self, name)
            if value < least:
                flag = f"--{name.replace('_', '-')}"
                raise UserError(f"{flag} {value} is too small: it must be at least {least}.")


def cells_of(attacks: Sequence[str], epsilons: Sequence[float]) -> list[Cell]:
    """Return the cells of attacks at budgets, budget by budget: first 0, which all attacks share."""
    budgets = sorted(set(map(float, epsilons)))
    clean = [Cell(NONE, 0.0)] if 0.0 in budgets else []
    return clean + [Cell(attack, budget) for budget in budgets if budget > 0 for attack in dict.fromkeys(attacks)]


def under_attack(
    policy: Policy,
    task: Task,
    cells: Sequence[Cell],
    settings: AttackSettings,
    play: Play,
    report: Report = silent,
) -> Generator[UnderAttack, None, None]:
    """Play each cell's episodes, whose seeds are the same in all: environments are made once and kept.

    Raises:
        UserError: an attack that does not work on this policy, or an environment that does not fit it.
    """
    check_cells(policy, cells, settings, play)
    with closing(_arena(policy, task, play)) as arena:
        for group in side_by_side(cells, arena.cells):
            attackers = [attacker_of(policy, cell, settings) for cell in group]
            begun = time.monotonic()

            def tell(done: int, total: int, group: Sequence[Cell] = group) -> None:
                report(cells_text(*group), done, total)

            evaluations = arena.evaluated(SideBySide(attackers, play.seed if play.sampled else None), tell)
            spent, steps = time.monotonic() - begun, sum(attacker.steps for attacker in attackers)
            for cell, evaluation, attacker in zip(group, evaluations, attackers, strict=True):
                known = cell.epsilon > 0 and attacker.steps > 0
                yield UnderAttack(
                    cell,
                    evaluation,
                    attacker.moved / attacker.steps if known else None,
                    attacker.untouched / attacker.steps if known else None,
                    spent * attacker.steps / steps if steps else spent / len(group),
                )


def side_by_side(cells: Sequence[Cell], most: int) -> list[list[Cell]]:
    """Return the cells in groups that are played at the same time: of one attack each, with at most ``most`` cells."""
    groups: list[list[Cell]] = []
    for attack in dict.fromkeys(cell.attack for cell in cells):
        own = [cell for cell in cells if cell.attack == attack]
        groups += [own[first : first + most] for first in range(0, len(own), most)]
    return sorted(groups, key=lambda group: cells.index(group[0]))


def cells_text(*cells: Cell) -> str:
    """Describe a cell in words, or several cells of one attack."""
    if cells[0].epsilon == 0:
        return "no attack"
    return f"{cells[0].attack}, {', '.join(f'{cell.epsilon:g}' for cell in cells)} of 255"


def check_cells(policy: Policy, cells: Sequence[Cell], settings: AttackSettings, play: Play) -> None:
    """Raise UserError for attacks that do not work on this policy, before anything is played."""
    acting(policy, play.seed, play.sampled)
    grey = torch.full((1, *policy.pixels.channels_first), policy.pixels.high / 2, device=policy.device)
    for name in dict.fromkeys(cell.attack for cell in cells if cell.epsilon > 0):
        budget = next(cell.epsilon for cell in cells if cell.attack == name and cell.epsilon > 0)
        attacker_of(policy, Cell(name, budget), settings).seen(grey)
    for cell in cells:
        attacker_of(policy, cell, settings)


def attacker_of(policy: Policy, cell: Cell, settings: AttackSettings) -> Attacker:
    """Return the attacker that plays a cell; with budget 0 any attack is the identity."""
    return Attacker(policy, "random_sign" if cell.attack == NONE else cell.attack, cell.epsilon, settings)


class _Arena(Protocol):
    """Where episodes are played, one group of cells after the other.

    Attributes:
        cells: how many cells of one attack can be played at the same time.
    """

    cells: int

    def evaluated(self, attackers: SideBySide, tell: Callable[[int, int], None]) -> list[Evaluation]: ...

    def close(self) -> None: ...


def _arena(policy: Policy, task: Task, play: Play) -> _Arena:
    own = task.config is not None and play.mode in suite_of(task.config.task).modes
    return _OwnEnvs(policy, task, play) if own and not policy.masked else _AnyEnvs(policy, task, play)


@final
class _OwnEnvs:
    """Environments of Saccade's own tasks: in processes, where they are not light."""

    def __init__(self, policy: Policy, task: Task, play: Play) -> None:
        assert task.config is not None
        self._env, self._play = in_mode(task.config, play.mode), play
        self._on_batches = on_batches(self._env, policy.pixels, task.name)
        self._envs = EvaluationEnvs(play.workers)
        # Environments with a renderer are not multiplied: each takes 100 MB, and rendering costs more than the attack.
        most = LIGHT_ENVIRONMENTS if suite_of(task.config.task).light else SIMULTANEOUS_EPISODES
        self.cells = max(1, most // min(play.episodes, SIMULTANEOUS_EPISODES))

    def evaluated(self, attackers: SideBySide, tell: Callable[[int, int], None]) -> list[Evaluation]:
        def act(obs: np.ndarray, whose: np.ndarray) -> np.ndarray:
            return self._on_batches(lambda seen: attackers.act(seen, whose))(obs)

        return evaluated_side_by_side(
            act,
            len(attackers.attackers),
            self._env,
            self._envs,
            episodes=self._play.episodes,
            seed=self._play.seed,
            progress=tell,
        )

    def close(self) -> None:
        self._envs.close()


@final
class _AnyEnvs:
    """Environments of another library, several side by side in this process, their observations in one batch.

    Their cost is unknown, so cells are played one at a time.
    """

    cells = 1

    def __init__(self, policy: Policy, task: Task, play: Play) -> None:
        self._policy, self._task, self._play = policy, task, play
        self._envs: list[gymnasium.Env[Any, Any]] = []
        with ExitStack() as made:
            for _ in range(min(play.episodes, SIMULTANEOUS_EPISODES)):
                env = task.make(play.mode, False)
                made.callback(answers.close, env, task.name)
                self._envs.append(env)
            self._see = fitting(self._envs[0].observation_space, policy.pixels, task.name)
            self._opened = made.pop_all()

    def evaluated(self, attackers: SideBySide, tell: Callable[[int, int], None]) -> list[Evaluation]:
        play = self._play
        seeds = episode_seeds(play.seed, play.episodes)
        played: list[Played] = []
        for start in range(0, play.episodes, len(self._envs)):
            played += self._episodes(attackers, seeds[start : start + len(self._envs)])
            tell(len(played), play.episodes)
        tell_of_left(played, play.mode, play.max_steps)
        return [evaluation_of(self._policy, play.mode, play.seed, played, self._task.provenance(self._envs[0]))]

    def _episodes(self, attackers: SideBySide, seeds: Sequence[int]) -> list[Played]:
        """Play one episode in each of the first environments, with these seeds."""
        name = self._task.name
        obs = [self._given(answers.reset(env, seed, name)[0]) for env, seed in zip(self._envs, seeds, strict=False)]
        firsts = [one.copy() for one in obs]
        totals = [0.0] * len(seeds)
        successes: list[bool | None] = [None] * len(seeds)
        active = list(range(len(seeds)))
        for _ in range(self._play.max_steps):
            masks = [answers.allowed(self._policy, self._envs[index], name) for index in active]
            allowed = None if masks[0] is None else np.stack([mask for mask in masks if mask is not None])
            batch = np.stack([obs[index] for index in active])
            actions = attackers.act(batch, np.zeros(len(batch), int), allowed)
            going_on = []
            for index, action in zip(active, actions, strict=True):
                taken = checked(self._envs[index], np.array(action), name)
                given, reward, over, info = answers.step(self._envs[index], taken, name)
                totals[index] += reward
                if SUCCESS in info:
                    successes[index] = bool(successes[index]) or bool(np.any(info[SUCCESS]))
                if not over:
                    obs[index] = self._given(given)
                    going_on.append(index)
            active = going_on
            if not active:
                break
        return [
            Played(totals[index], successes[index], firsts[index], None, index not in active)
            for index in range(len(seeds))
        ]

    def _given(self, obs: Any) -> np.ndarray:
        with running(f"An observation of {self._task.name}"):
            return self._see(obs)

    def close(self) -> None:
        self._opened.close()
