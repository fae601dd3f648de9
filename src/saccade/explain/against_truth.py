"""Score a policy's maps against what the simulator knows about each pixel: DIGR's saliency data set, and its table 1.

Unlike the scores of an explained episode, these cover thousands of states, the same for every policy that is
compared, with three kinds of pixels: the task, what plainly does not matter, and what is open to argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saccade.data.files import written_aside
from saccade.explain.channels import as_observations
from saccade.explain.episodes import Episode
from saccade.explain.explanation import Explanation, Moments, Report, silent
from saccade.explain.folder import STATES
from saccade.explain.maps import (
    ALL,
    DEFAULT_SETTINGS,
    Find,
    MethodSettings,
    find_maps,
    finders,
    magnitude,
    noise_of,
    seconds_alone,
)
from saccade.explain.pictures import find_pictures
from saccade.explain.rows import Row, cost_rows, row_of
from saccade.explain.tasks import Task
from saccade.metrics.localisation import area_under_roc, important_sum, unimportant_sum
from saccade.metrics.measures import area_under_curve
from saccade.policies.normalisation import BYTE
from saccade.policies.played import IGNORED, IMPORTANT, UNIMPORTANT, Played
from saccade.policies.policy import Policy
from saccade.policies.saliency_data import played_states, refuse_truth_of_nothing
from saccade.policies.scores import has_score
from saccade.types import UserError

TABLE_1 = (
    "gradient",
    "guided_backpropagation",
    "grad_cam",
    "guided_smoothgrad",
    "integrated_gradients",
    "perturbation_kl",
    "sarfa",
)
"""The methods of DIGR's table 1, which are scored by default."""
CONFIDENCE = "confidence"
"""The score whose gradients they show, where a policy has it and no other is asked for."""
MAPS_AT_ONCE = 256  # signed maps in memory at a time
SHOWN = 16  # states on the page
OTHER_THAN_LEARNED_FROM = 1_000_003  # is added to the seed: students learn from the states of the seed itself


@final
@dataclass(frozen=True)
class TruthSettings:
    """Which states are used.

    Attributes:
        states: how many.
        seed: of the episodes they come from.
    """

    states: int = 10_000
    seed: int = 0


def explain_truth(
    policy: Policy,
    player: Policy,
    task: Task,
    mode: str,
    *,
    methods: Sequence[str] | str = ALL,
    truth: TruthSettings,
    settings: MethodSettings = DEFAULT_SETTINGS,
    report: Report = silent,
) -> tuple[Explanation, list[Row], Played]:
    """Return maps of a player's states, their scores against the truth, and the states themselves.

    The explanation holds some of the states, for looking at; the rows cover all. ``all`` methods are those of
    ``TABLE_1``.

    Args:
        player: the policy that reaches the states; the same for all policies that are compared.
        mode: of the task, in which it plays.

    Raises:
        UserError: the task is not one of Saccade's or has no truth, the policy takes other observations, or a method
            cannot be right for it.
    """
    if task.config is None:
        raise UserError(f"{task.name} is not a task of Saccade, so it is not known which of its pixels show the task.")
    if truth.states < 1:
        raise UserError(f"--truth-states {truth.states} is too small: use 1 or more.")
    asked = (methods,) if isinstance(methods, str) else tuple(methods)
    asked = tuple(dict.fromkeys(name for one in asked for name in (TABLE_1 if one == ALL else (one,))))
    settings = with_usual_score(policy, settings)
    left_out: dict[str, str] = {}
    found: list[Find] = []
    for name in asked:
        try:
            found += finders(policy, (name,), settings, noise_of(policy))[0]
        except UserError as error:
            if ALL not in methods or name in methods:
                raise
            left_out[name] = str(error)
    env = replace(task.config, mode=mode)
    played = played_states(player, env, truth.states, truth.seed + OTHER_THAN_LEARNED_FROM, report, truth=True)
    refuse_truth_of_nothing(played)
    assert played.truth is not None
    shown = min(SHOWN, truth.states)
    maps: dict[str, np.ndarray] = {}
    costs: dict[str, tuple[float, float]] = {}
    rows: list[Row] = []
    for find in found:
        magnitudes, maps[find.name], costs[find.name] = _maps(policy, find, played, shown, settings, report)
        rows += against_truth(mode, find.name, torch.from_numpy(magnitudes), torch.from_numpy(np.array(played.truth)))
    rows += cost_rows(mode, costs)
    obs = _given(policy, played.states[:shown])
    episode = _episode(policy, mode, truth, played, obs, shown)
    pictures = {mode: find_pictures(policy, obs, settings.max_batch, partial(report, f"{mode}: pictures"))}
    named = replace(task, name=f"{task.name} ({truth.states} states of {player.name})")
    moments = Moments(frames=shown, seed=truth.seed)
    options = {**asdict(settings), **asdict(truth), "player": player.name, "environment": asdict(task.config)}
    options["channels"] = list(policy.pixels.parts)
    explanation = Explanation(
        policy,
        named,
        {find.name: find for find in found},
        {mode: episode},
        {mode: maps},
        pictures,
        costs,
        left_out,
        moments,
        settings,
        options,
    )
    of_all = {
        "identity": explanation.identity,
        "policy": policy.name,
        "env_steps": policy.env_steps,
        "task": task.name,
        "states": truth.states,
        "player": player.name,
        "changed_pixels": None,
    }
    return explanation, [of_all | row for row in rows], played


def with_usual_score(policy: Policy, settings: MethodSettings) -> MethodSettings:
    """Return the settings with the score that DIGR takes gradients of, if none is set and the policy has it."""
    if settings.score is not None or not has_score(policy, CONFIDENCE):
        return settings
    return replace(settings, score=CONFIDENCE)


def against_truth(mode: str, method: str, maps: Tensor, truth: Tensor) -> list[Row]:
    """Return table 1's three scores of maps ``[n, height, width]`` as rows; maps are not negative, on any scale.

    Each map is divided by its largest value, wherever that lies, as in the paper. The row of the area also has
    ``pooled``, computed over the pixels of all states together.

    truth: uint8 of the same shape, see ``saccade.policies.played``.
    """
    important, ignored = truth == IMPORTANT, truth == IGNORED
    sums = {"important_sum": important_sum, "unimportant_sum": unimportant_sum}
    rows = [
        row_of(mode, method, name, function(maps, important, ignored, normalise_by="all"))
        for name, function in sums.items()
    ]
    area = area_under_roc(maps, important, ignored)
    return [*rows, row_of(mode, method, "area_under_roc", area, pooled=pooled_area(maps, truth))]


def pooled_area(maps: Tensor, truth: Tensor) -> float:
    """Return the area under the curve over all pixels together, each map divided by its largest value first."""
    scaled = maps.double() / maps.double().amax((1, 2), keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    counted = truth != IGNORED
    values, important = scaled[counted][None], (truth[counted] == IMPORTANT)[None]
    return float(area_under_curve(values, important.double(), (~important).double())[0])


def save_data_set(folder: Path, mode: str, played: Played) -> Path:
    """Write a mode's states and the truth about their pixels as ``states/MODE.npz``; return the file.

    ``states`` is uint8 ``[n, channels, height, width]`` and ``truth`` uint8 ``[n, height, width]``: 0 does not matter,
    1 is the task, 2 is open to argument. ``maps``, for training on, is 1 where the truth is not 0.
    """
    assert played.truth is not None
    data_set = folder / STATES / f"{mode}.npz"
    with written_aside(data_set) as path, path.open("wb") as file:
        maps = (played.truth != UNIMPORTANT).astype(np.uint8)
        np.savez_compressed(file, states=played.states, truth=played.truth, maps=maps)
    return data_set


def _maps(
    policy: Policy, find: Find, played: Played, shown: int, settings: MethodSettings, report: Report
) -> tuple[NDArray[np.float32], np.ndarray, tuple[float, float]]:
    """Magnitudes ``[n, height, width]``, signed maps of the shown states, and seconds per frame, batched and alone."""
    parts, signed, seconds, count = [], [], 0.0, len(played.states)
    for first in range(0, count, MAPS_AT_ONCE):
        obs = _given(policy, played.states[first : first + MAPS_AT_ONCE])
        report(find.name, first, count)
        values, each = find_maps(policy, find, obs, settings.max_batch)
        parts.append(magnitude(values))
        signed.append(values[: max(0, shown - first)])
        seconds += each * len(obs)
    alone = seconds_alone(policy, find, _given(policy, played.states[:1]))
    return np.concatenate(parts), np.concatenate(signed), (seconds / count, alone)


def _given(policy: Policy, states: np.ndarray) -> np.ndarray:
    """States as the policy takes observations. Raises UserError if it takes others."""
    if states.shape[1:] != policy.pixels.channels_first:
        raise UserError(
            f"{policy.name} sees {policy.pixels.description()}, but the states have the shape {states.shape[1:]}."
        )
    return as_observations(policy.pixels, states.astype(np.float32) / BYTE)


def _episode(policy: Policy, mode: str, truth: TruthSettings, played: Played, obs: np.ndarray, shown: int) -> Episode:
    """The shown states as an episode; they come from many episodes and have no order."""
    assert played.truth is not None
    mask = played.truth[:shown] == IMPORTANT
    action: Any = policy.act(obs)
    return Episode(
        mode=mode,
        seed=truth.seed,
        obs=obs,
        step=np.arange(shown),
        action=action,
        reward=np.full(shown, np.nan),
        clean_obs=None,
        changed_pixels=None,
        task_mask=np.repeat(mask[:, None], policy.pixels.frames, axis=1),
        length=shown,
        total=float("nan"),
        pixels=policy.pixels,
        provenance={},
    )
