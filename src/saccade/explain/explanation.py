"""Explain a policy: recorded moments of some episodes and their saliency maps, and the folder that holds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from saccade.data.files import written_aside
from saccade.explain.channels import pictures_of
from saccade.explain.episodes import Episode, record
from saccade.explain.folder import EXPLANATION, MAPS, forget, owner_of, refuse_foreign, there_already
from saccade.explain.maps import (
    ALL,
    DEFAULT_SETTINGS,
    Find,
    MethodSettings,
    find_maps,
    finder,
    finders,
    noise_of,
    seconds_alone,
)
from saccade.explain.modes import Maker, in_modes, read_modes, task_of_makers
from saccade.explain.pictures import find_pictures, picture_names
from saccade.explain.preferences import preferences
from saccade.explain.reading import values_of
from saccade.explain.recorded import MODE, Recorded, recorded_episode
from saccade.explain.tasks import CLEAN, Task, task_of
from saccade.policies.policy import Policy
from saccade.policies.score_kinds import SCORES
from saccade.policies.scores import default_score, parse_score
from saccade.types import UserError

MAP_PREFIX, PICTURE_PREFIX = "map_", "picture_"

Report = Callable[[str, int, int], None]
"""``(what is being done, done, total)``."""


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


@final
@dataclass(frozen=True)
class Moments:
    """Which moments of which episode are explained.

    Attributes:
        frames: how many moments.
        every: agent steps between them; None spreads them over the whole episode.
        seed: seed of the episode.
        max_steps: agent steps after which an episode is left, if it has not ended.
    """

    frames: int = 16
    every: int | None = None
    seed: int = 0
    max_steps: int = 1000


EVENLY_SPREAD = Moments()


@final
@dataclass(frozen=True)
class Explanation:
    """Saliency maps of a policy in some modes of a task.

    Attributes:
        episodes: recorded moments, by mode.
        maps: by mode and method, float32 ``[moments, frames or 1, height, width]``, signed.
        pictures: by mode and name, uint8 ``[moments, 3, h, w]``: what the agent computes from the newest frame, such as
            its own masks; empty for policies without such pictures.
        costs: by method, seconds per frame in a batch, and of one frame alone.
        left_out: methods that cannot be right for this policy, and why.
        settings: everything that decides the numbers, as JSON values.
    """

    policy: Policy
    task: Task
    methods: Mapping[str, Find]
    episodes: Mapping[str, Episode]
    maps: Mapping[str, Mapping[str, np.ndarray]]
    pictures: Mapping[str, Mapping[str, np.ndarray]]
    costs: Mapping[str, tuple[float, float]]
    left_out: Mapping[str, str]
    moments: Moments
    method_settings: MethodSettings
    settings: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: str | Path, command: str = "", replace: bool = False) -> Path:
        """Write ``explanation.json`` and ``maps/<mode>.npz``, each whole or not at all; return the folder.

        Other modes of the same explanation stay in the folder. What the same policy left there with another task or
        other settings is deleted: its scores and pictures would stand beside maps that they do not belong to.

        Args:
            command: the command that repeats it, for the report.
            replace: whether what another policy left there may be deleted too.

        Raises:
            UserError: the folder holds what another policy left.
        """
        folder = Path(folder)
        there = there_already(folder, self.identity)
        if not there:
            if not replace:
                refuse_foreign(folder, self.policy)
            forget(folder)
        for mode in self.episodes:
            with written_aside(folder / MAPS / f"{mode}.npz") as path:
                np.savez_compressed(path, **_arrays(self, mode))
        document = self._document() | {"command": command}
        document["modes"] = list(dict.fromkeys([*there.get("modes", []), *self.episodes]))
        document["changed_pixels"] = {**there.get("changed_pixels", {}), **document["changed_pixels"]}
        with written_aside(folder / EXPLANATION) as path:
            path.write_text(json.dumps(document, indent=1))
        return folder

    @property
    def identity(self) -> str:
        """Equal for explanations that may share a page: everything but the modes is the same."""
        policy = self.policy
        parts = [policy.name, policy.source, policy.env_steps, policy.fingerprint(), self.task.name]
        text = json.dumps([*parts, list(self.methods), dict(self.settings)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _document(self) -> dict[str, Any]:
        score = self.method_settings.score or default_score(self.policy)
        return {
            "identity": self.identity,
            "policy": {
                "name": self.policy.name,
                "source": self.policy.source,
                "env_steps": self.policy.env_steps,
                "owner": owner_of(self.policy),
            },
            "observations": self.policy.pixels.description(),
            "task": self.task.name,
            "modes": list(self.episodes),
            "changed_pixels": {mode: episode.changed_pixels for mode, episode in self.episodes.items()},
            "score": score,
            "score_summary": SCORES[parse_score(score)[0]].summary,
            "methods": {
                name: {
                    "summary": find.summary,
                    "source": find.source,
                    "score": find.score,
                    "seconds_per_frame": self.costs[name][0],
                    "seconds_per_frame_single": self.costs[name][1],
                }
                for name, find in self.methods.items()
            },
            "left_out": dict(self.left_out),
            "pictures": picture_names(self.policy),
            "settings": dict(self.settings),
            "versions": {"torch": torch.__version__, "numpy": np.__version__, **self._provenance()},
        }

    def _provenance(self) -> dict[str, Any]:
        """For a Saccade task: what must be reported with its numbers."""
        return {mode: dict(episode.provenance) for mode, episode in self.episodes.items() if episode.provenance}


def explain(
    policy: Policy,
    task: str | Task | Mapping[str, Maker] | None = None,
    *,
    modes: Sequence[str] = (CLEAN,),
    methods: Sequence[str] | str = ALL,
    moments: Moments = EVENLY_SPREAD,
    settings: MethodSettings = DEFAULT_SETTINGS,
    report: Report = silent,
) -> Explanation:
    """Play an episode in each mode, and compute saliency maps of some of its moments.

    Args:
        policy: from ``saccade.load``. If the kind of its channels was not given, it is worked out from the episode
            (see ``Pixels.with_channels``); the explanation's ``policy`` then has it.
        task: ``dmc/walker_walk``, an id of Gymnasium, ``file.py:function``; None for a run's own; or functions that
            make the same environment, by the mode each makes it in: ``{"train": make, "new_light": make_darker}``.
        modes: of the task; environments that are not Saccade's have ``train`` alone. Or shifts, such as
            ``brightness:0.5`` and ``video_hard+noise:0.1``, and ``name=file.py:function``.
        methods: names in ``saccade.saliency.METHODS`` or of the policy's own maps; ``all`` leaves out methods that
            cannot be right for this policy, and says why.

    Raises:
        UserError: a name that does not exist, an environment that does not fit the policy, or a method that cannot be
            right for it.
    """
    where, modes = task_in_modes(policy, task, modes)
    _check(where, modes, moments, settings)
    asked = (methods,) if isinstance(methods, str) else tuple(methods)

    def played(policy: Policy, mode: str) -> Episode:
        return record(
            policy,
            where,
            mode,
            moments=moments.frames,
            every=moments.every,
            seed=moments.seed,
            max_steps=moments.max_steps,
            progress=partial(report, f"{mode}: playing"),
        )

    return _explained(policy, where, modes, played, asked, moments, settings, report)


def task_in_modes(
    policy: Policy, task: str | Task | Mapping[str, Maker] | None, modes: Sequence[str] | None
) -> tuple[Task, tuple[str, ...]]:
    """Return the task, ready to be made in the modes that were named, or else in its usual ones; and those modes."""
    if isinstance(task, Mapping):
        task = task_of_makers(task)
    where = task if isinstance(task, Task) else task_of(policy, task)
    asked = read_modes(where.usual_modes if modes is None else modes, where.modes)
    return in_modes(where, asked, policy), asked.names


def explain_recorded(
    policy: Policy,
    recorded: Recorded,
    *,
    methods: Sequence[str] | str = ALL,
    moments: Moments = EVENLY_SPREAD,
    settings: MethodSettings = DEFAULT_SETTINGS,
    report: Report = silent,
) -> Explanation:
    """Explain recorded observations (``explain.recorded.read_recorded``), in the one mode ``recorded``.

    ``moments`` says which of them; nothing is played. Arguments and errors are otherwise those of ``explain``.
    """
    where = recorded.task
    _check(where, (MODE,), moments, settings)

    def chosen(policy: Policy, mode: str) -> Episode:
        return recorded_episode(policy, recorded, moments.frames, moments.every)

    asked = (methods,) if isinstance(methods, str) else tuple(methods)
    return _explained(policy, where, (MODE,), chosen, asked, moments, settings, report)


def _explained(
    policy: Policy,
    where: Task,
    modes: Sequence[str],
    episode_of: Callable[[Policy, str], Episode],
    asked: Sequence[str],
    moments: Moments,
    settings: MethodSettings,
    report: Report,
) -> Explanation:
    episodes: dict[str, Episode] = {}
    maps: dict[str, dict[str, np.ndarray]] = {}
    pictures: dict[str, dict[str, np.ndarray]] = {}
    costs: dict[str, tuple[float, float]] = {}
    found, left_out = finders(policy, asked, settings, noise_of(policy))  # mistakes show before anything is played
    for mode in modes:
        episode = episode_of(policy, mode)
        episodes[mode], maps[mode] = episode, {}
        if episode.pixels != policy.pixels:
            policy = replace(policy, pixels=episode.pixels)
            found = [finder(policy, find.name, settings) for find in found]
        for find in found:
            progress = partial(report, f"{mode}: {find.name}")
            maps[mode][find.name], seconds = find_maps(policy, find, episode.obs, settings.max_batch, progress)
            if find.name not in costs:
                costs[find.name] = (seconds, seconds_alone(policy, find, episode.obs))
        pictures[mode] = find_pictures(policy, episode.obs, settings.max_batch, partial(report, f"{mode}: pictures"))
    options = {**asdict(moments), **asdict(settings), "environment": asdict(where.config) if where.config else None}
    options["channels"] = list(policy.pixels.parts)
    by_name = {find.name: find for find in found}
    return Explanation(policy, where, by_name, episodes, maps, pictures, costs, left_out, moments, settings, options)


def _check(task: Task, modes: Sequence[str], moments: Moments, settings: MethodSettings) -> None:
    if not modes:
        raise UserError(f"--modes needs at least one of {', '.join(task.modes)}.")
    for mode in modes:
        if mode not in task.modes:
            raise UserError(f"{task.name} has no mode {mode!r}: it has {', '.join(task.modes)}.")
    least = {"frames": moments.frames, "max_steps": moments.max_steps, "max_batch": settings.max_batch}
    if moments.every is not None:
        least["every"] = moments.every
    for name, value in least.items():
        if value < 1:
            raise UserError(f"--{name.replace('_', '-')} {value} is too small: it must be at least 1.")
    if moments.seed < 0:
        raise UserError(f"--seed {moments.seed} is negative: it must be 0 or more.")


def _arrays(explanation: Explanation, mode: str) -> dict[str, Any]:
    """The arrays that the ``.npz`` file of one mode holds."""
    episode = explanation.episodes[mode]
    arrays: dict[str, Any] = {
        "obs": episode.obs,
        "step": episode.step,
        "action": episode.action,
        "reward": episode.reward,
        "length": np.array(episode.length),
        "total": np.array(episode.total),
        "colours": np.array(explanation.policy.pixels.colours),
        "channels": np.array(explanation.policy.pixels.parts),
        "high": np.array(explanation.policy.pixels.high),
    }
    arrays["obs"] = pictures_of(explanation.policy.pixels, episode.obs)
    if episode.clean_obs is not None:
        arrays["clean_obs"] = pictures_of(explanation.policy.pixels, episode.clean_obs)
    if episode.task_mask is not None:
        arrays["task_mask"] = episode.task_mask
    if episode.actions.names:
        arrays |= {"action_names": np.array(episode.actions.names), "first_action": np.array(episode.actions.first)}
    max_batch = explanation.method_settings.max_batch
    liked = preferences(explanation.policy, episode.obs, max_batch)
    expected = values_of(explanation.policy, episode.obs, liked, max_batch)
    arrays |= liked | ({} if expected is None else {"value": expected})
    if episode.screen is not None and episode.looked_at is not None:
        arrays |= {"screen": episode.screen, "looked_at": episode.looked_at}
    arrays |= {MAP_PREFIX + name: values for name, values in explanation.maps[mode].items()}
    return arrays | {PICTURE_PREFIX + name: drawn for name, drawn in explanation.pictures[mode].items()}
