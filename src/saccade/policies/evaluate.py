"""How good a policy is: whole episodes in one mode of its task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.envs.changes import changed_share
from saccade.envs.config import EnvConfig
from saccade.envs.streams import SUCCESS
from saccade.envs.suites import processes_wanted, suite_of
from saccade.envs.workers.env_workers import EnvWorkers, available_cores

if TYPE_CHECKING:
    from torch import nn

SIMULTANEOUS_EPISODES = 10
"""Episodes played side by side: fixed, so that results do not depend on the machine's number of cores."""

CLEAN, RGB = "train", 3
"""The mode without distractions, and the colours of a frame of a film."""

Act = Callable[[np.ndarray], np.ndarray]
"""Observations uint8 ``[batch, channel, height, width]`` -> actions ``[batch, action_dim]``."""
ActOf = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""``Act`` for several evaluations; its second argument is each observation's evaluation, int ``[batch]``, ascending."""
Seen = Callable[[np.ndarray, Sequence[Mapping[str, Any]]], None]
"""Called with the observations of every step but the first, and with the environments' infos."""


def unwatched(obs: np.ndarray, infos: Sequence[Mapping[str, Any]]) -> None:
    """Ignore what the episodes show: the default watcher."""


@dataclass(frozen=True)
class Evaluation:
    """Returns of some episodes in one mode, in order, and the first episode's frames if they were recorded."""

    mode: str
    returns: tuple[float, ...]
    provenance: dict[str, Any]
    seed: int
    """The seed from which the episodes' seeds were derived."""
    frames: np.ndarray | None = None
    """uint8 ``[time, height, width, 3]``."""
    successes: tuple[bool, ...] | None = None
    """Whether any step of each episode succeeded; None where the task does not say (``info["is_success"]``)."""
    changed_pixels: float | None = None
    """The share of the pixels, 0..1, in which the episodes' first frames differ from those of the mode without
    distractions; None in that mode itself."""
    first: np.ndarray | None = None
    """The first episode's first frame, uint8 ``[height, width, 3]``."""
    maps: Mapping[str, float | None] | None = None
    """For each map that the agent computes, the area under its ROC curve against the simulator's mask; None where that
    was not measured."""

    @property
    def success_rate(self) -> float | None:
        """Share of the episodes that succeeded, 0..1."""
        return None if self.successes is None else float(np.mean(self.successes))

    @property
    def mean(self) -> float:
        return float(np.mean(self.returns))

    @property
    def std(self) -> float:
        """Population standard deviation over the episodes."""
        return float(np.std(self.returns))


def episode_seeds(seed: int, count: int) -> list[int]:
    """Return the seeds of a run's evaluation episodes: the same ones at every evaluation and in every mode.

    The modes are thus compared on the same initial states. These seeds differ from those of the training environments.
    """
    sequence = np.random.SeedSequence([seed, 0x5ACCADE])
    return [int(value) for value in sequence.generate_state(count, np.uint32)]


class EvaluationEnvs:
    """Environments to play episodes in, whose processes are kept from one mode to the next; close them after use.

    Args:
        workers: processes; 0 for none; None for one per core, or for none where environments are light.
        opengl: the rendering backend, where the default is known to hang.
        most_processes: how many may render at the same time, where more are known to hang.
    """

    def __init__(self, workers: int | None, opengl: str = "default", most_processes: int | None = None) -> None:
        self.opengl, self.most_processes = opengl, most_processes
        self.changed: dict[tuple[EnvConfig, tuple[int, ...]], float] = {}
        """Share of the picture that a mode changes on the states that these seeds begin with, measured once."""
        self._workers = workers
        self._kept: EnvWorkers[EnvConfig] | None = None

    @contextmanager
    def made(self, env: EnvConfig, seeds: list[int]) -> Iterator[EnvWorkers[EnvConfig]]:
        """Make a new environment for each seed; they are closed at the end of the ``with`` block."""
        keep = False
        try:
            if self._kept is not None and self._kept.num_envs == len(seeds):
                self._kept.remake([env] * len(seeds), seeds)
            else:
                self.close()
                processes = self._processes(env, len(seeds))
                self._kept = EnvWorkers([env] * len(seeds), seeds, num_workers=processes, opengl=self.opengl)
            yield self._kept
            keep = self._kept.num_workers > 0  # otherwise there is no process to keep
        finally:
            if not keep:
                self.close()

    def close(self) -> None:
        """End the processes; new ones are started when they are needed."""
        if self._kept is not None:
            self._kept.close()
        self._kept = None

    def _processes(self, env: EnvConfig, count: int) -> int:
        asked = processes_wanted(env.task, self._workers)
        wanted = min(count, available_cores() if asked is None else asked)
        return wanted if self.most_processes is None else min(wanted, self.most_processes)


def evaluate(
    act: Act,
    env: EnvConfig,
    *,
    episodes: int,
    seed: int,
    workers: int | None = None,
    record: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    envs: EvaluationEnvs | None = None,
) -> Evaluation:
    """Play ``episodes`` whole episodes and return their undiscounted returns.

    envs: where to play, instead of in ``workers`` processes that end with this evaluation; the caller closes them.

    With sequential clips the episodes follow each other in one environment, as in the published evaluation, since each
    takes the clip after the previous one's; the same holds where only one environment can exist.
    ``progress(episodes done, episodes)`` is called as episodes end.
    """
    with closing(EvaluationEnvs(workers)) as own:
        *_, result = evaluation_steps(act, env, envs or own, episodes, seed, record, progress)
    assert result is not None
    return result


def evaluated_side_by_side(
    act: ActOf,
    count: int,
    env: EnvConfig,
    envs: EvaluationEnvs,
    *,
    episodes: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Evaluation]:
    """Do what ``evaluate`` does ``count`` times at once, with the observations of all in one batch for ``act``.

    Each evaluation plays the same episodes in its own environments, as many at a time as it would alone.
    """
    playing = _side_by_side(act, count, env, envs, episodes, seed, False, progress, unwatched)
    while True:
        try:
            next(playing)
        except StopIteration as ended:
            return list(ended.value)


def evaluation_steps(
    act: Act,
    env: EnvConfig,
    envs: EvaluationEnvs,
    episodes: int,
    seed: int,
    record: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    seen: Seen = unwatched,
) -> Generator[Evaluation | None, None, None]:
    """Do what ``evaluate`` does, step by step, so that a caller can stop: None after every step, then the result."""
    (result,) = yield from _side_by_side(
        lambda obs, whose: act(obs), 1, env, envs, episodes, seed, record, progress, seen
    )
    yield result


def _side_by_side(
    act: ActOf,
    count: int,
    env: EnvConfig,
    envs: EvaluationEnvs,
    episodes: int,
    seed: int,
    record: bool,
    progress: Callable[[int, int], None],
    seen: Seen,
) -> Generator[None, None, list[Evaluation]]:
    """Play ``count`` evaluations at once. record: keep the frames of the first one's first episode."""
    sequential = env.option("clip_order") == "sequential"
    alone = sequential or suite_of(env.task).one_at_a_time
    together = 1 if alone else min(episodes, SIMULTANEOUS_EPISODES)
    seeds = episode_seeds(seed, episodes)
    played: list[list[Played]] = [[] for _ in range(count)]
    frames: list[np.ndarray] = []
    begun: list[np.ndarray] = []
    with envs.made(env, seeds[:together] * count) as group:
        for first in range(0, episodes, together):
            batch = seeds[first : first + together]
            record_here = frames if record and first == 0 else None
            # Seeding again would restart a sequential environment's clips from the first one.
            seeds_here = None if sequential and first else batch * count
            found = yield from _play(act, group, seeds_here, count, len(batch), record_here, begun, seen)
            for place, one in enumerate(played):
                one += found[place * len(batch) : (place + 1) * len(batch)]
            progress(len(played[0]), episodes)
        provenance = dict(group.provenance[0])  # the same for all: they differ only in their seeds
    yield None
    changed = None if env.mode == CLEAN else _changed(envs, env, seeds[:together], begun[0][:together])
    return [
        Evaluation(
            env.mode,
            tuple(total for total, _ in one),
            provenance,
            seed,
            np.stack(frames) if frames and not place else None,
            None if any(success is None for _, success in one) else tuple(bool(success) for _, success in one),
            changed,
            np.moveaxis(begun[0][0, -RGB:], 0, -1),
        )
        for place, one in enumerate(played)
    ]


def _changed(envs: EvaluationEnvs, env: EnvConfig, seeds: list[int], seen: np.ndarray) -> float:
    """Return the share of the pixels that a mode changes in the frames ``seen``, the first ones with these seeds."""
    key = (env, tuple(seeds))
    if key not in envs.changed:
        with envs.made(in_mode(env, CLEAN), seeds) as group:
            clean = group.reset(list(range(len(seeds))), seeds)
            colours = group.spaces.colours
        envs.changed[key] = changed_share(clean[:, -colours:], seen[:, -colours:])
    return envs.changed[key]


Played = tuple[float, bool | None]
"""An episode's return, and whether any of its steps succeeded; None where the task does not say."""


def _play(
    act: ActOf,
    group: EnvWorkers[EnvConfig],
    seeds: list[int] | None,
    count: int,
    episodes: int,
    frames: list[np.ndarray] | None,
    begun: list[np.ndarray],
    seen: Seen,
) -> Generator[None, None, list[Played]]:
    """Play one episode in each of the first ``count`` times ``episodes`` environments, grouped by evaluation.

    Frames of the first episode are appended to ``frames``, the first observations of all to ``begun``.
    """
    indices = list(range(count * episodes))
    obs = group.reset(indices, seeds)
    begun.append(obs)
    totals = np.zeros(len(indices))
    successes: list[bool | None] = [None] * len(indices)
    active = np.arange(len(indices))
    while len(active):
        if frames is not None and active[0] == 0:
            frames.append(_film_frame(obs[0, -group.spaces.colours :]))
        obs, reward, terminated, truncated, infos = group.step(act(obs, active // episodes), list(map(int, active)))
        seen(obs, infos)
        totals[active] += reward
        for index, info in zip(active, infos, strict=True):
            if SUCCESS in info:
                successes[index] = bool(successes[index]) or bool(info[SUCCESS])
        going_on = ~(terminated | truncated)
        active, obs = active[going_on], obs[going_on]
        yield
    return [(float(total), success) for total, success in zip(totals, successes, strict=True)]


def _film_frame(frame: np.ndarray) -> np.ndarray:
    """Return a frame ``[colours, height, width]``, one colour or three, as ``[height, width, 3]``."""
    return np.moveaxis(np.broadcast_to(frame, (RGB, *frame.shape[1:])), 0, -1)


def evaluation_row(
    evaluation: Evaluation,
    *,
    method: str,
    env: EnvConfig,
    seed: int,
    env_steps: int,
    sampled: bool = False,
    network: nn.Module | None = None,
) -> dict[str, Any]:
    """Return the row of ``evaluations.jsonl``; ``with_gaps`` fills in the gap to the training mode.

    Args:
        sampled: whether actions were drawn from the policy.
        network: the trained network, whose parameters are counted; None for a policy without parameters.
    """
    return row_of(
        evaluation, method=method, task=env.task, seed=seed, env_steps=env_steps, sampled=sampled, network=network
    )


def row_of(
    evaluation: Evaluation,
    *,
    method: str,
    task: str,
    seed: int,
    env_steps: int,
    sampled: bool,
    network: nn.Module | None,
) -> dict[str, Any]:
    """Return the row of ``evaluations.jsonl`` of any policy and any task; see ``evaluation_row``."""
    return {
        "env_steps": env_steps,
        "parameters": None if network is None else num_parameters(network),
        "method": method,
        "task": task,
        "seed": seed,
        "mode": evaluation.mode,
        "sampled": sampled,
        "episodes": len(evaluation.returns),
        "episode_seed": evaluation.seed,
        "return_mean": evaluation.mean,
        "return_std": evaluation.std,
        "returns": list(evaluation.returns),
        "success_rate": evaluation.success_rate,
        "gap": None,
        "changed_pixels": evaluation.changed_pixels,
        "maps": None if evaluation.maps is None else dict(evaluation.maps),
        "provenance": evaluation.provenance,
    }


def num_parameters(network: nn.Module) -> int:
    """Count the trainable parameters of a network; target networks do not count."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def with_gaps(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with ``gap``: how much of the training mode's mean return each mode loses."""
    train = next((row["return_mean"] for row in rows if row["mode"] == CLEAN), None)
    return [{**row, "gap": None if train is None else train - row["return_mean"]} for row in rows]


def in_mode(env: EnvConfig, mode: str) -> EnvConfig:
    """Return the environment for evaluating, in a mode, a policy that trains in this environment."""
    return dataclasses.replace(suite_of(env.task).evaluated(env), mode=mode)
