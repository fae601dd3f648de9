"""Score the maps of an explanation: rows by mode and method that say whether the maps are right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from saccade.explain.drifts import action_drifts, policy_drifts
from saccade.explain.episodes import Progress
from saccade.explain.explanation import Explanation, Report, silent
from saccade.explain.maps import find_maps, groups, magnitude
from saccade.explain.randomisation import RANDOMISATION, randomisation_rows
from saccade.explain.returns import kept_returns
from saccade.explain.rows import COST, Row, cost_rows, means_of, row_of
from saccade.metrics import METRICS
from saccade.metrics.faithfulness import Curve, deletion, insertion
from saccade.metrics.sanity import centre_prior, uniform_map
from saccade.pixels.blur import gaussian_blur
from saccade.policies.policy import Policy
from saccade.policies.scores import has_score, make_score
from saccade.types import UserError

UNIFORM, CENTRE = "baseline: uniform", "baseline: centre"
RANDOM = "baseline: random"
KEPT_RETURN, VARIANCE = "kept_return", "task_identification_variance"
FILL_BLUR = 10.0  # pixels: so much that hidden pixels keep the colours of their region, but no shapes
FAITHFUL = {"deletion": deletion, "insertion": insertion}
KEPT_FRACTIONS = (0.02, 0.05, 0.1, 0.25, 1.0)
"""Shares of the pixels that the policy sees in the episodes of ``returns``."""


@final
@dataclass(frozen=True)
class ScoreSettings:
    """What ``score`` computes beyond what the explanation itself allows.

    Attributes:
        sanity_frames: moments of the first mode whose maps are compared with those of randomised networks; 0 for none.
        sanity_stages: most networks between the original and the wholly random one.
        return_steps: agent steps of the episodes in which the policy sees only the kept pixels; 0 plays none.
        return_methods: methods whose pixels are kept there; empty for all that the explanation has.
    """

    sanity_frames: int = 4
    sanity_stages: int = 6
    return_steps: int = 0
    return_methods: tuple[str, ...] = ()


EVERYTHING_CHEAP = ScoreSettings()


def check(settings: ScoreSettings) -> None:
    """Raise UserError for settings out of range."""
    for name, least in (("sanity_frames", 0), ("sanity_stages", 1), ("return_steps", 0)):
        value = getattr(settings, name)
        if value < least:
            raise UserError(f"--{name.replace('_', '-')} {value} is too small: it must be at least {least}.")


def score(explanation: Explanation, settings: ScoreSettings = EVERYTHING_CHEAP, report: Report = silent) -> list[Row]:
    """Score the maps of an explanation, as rows.

    A row is ``{policy, env_steps, task, mode, method, metric, question, direction, mean, std, count, undefined, ...}``.
    ``changed_pixels`` is the share of the picture that the row's mode changes; None without distractions. ``frames`` is
    how many were asked for: ``count`` and ``undefined`` together are fewer if the episode ended sooner, unless
    ``with_further_episodes`` added others. Rows of curves also have ``curve``. Beside the methods stand baselines: a
    uniform map, a bright centre, noise.

    Raises:
        UserError: a method named for the returns is not in the explanation, or a number is out of range.
    """
    unknown = [name for name in settings.return_methods if name not in explanation.methods]
    if unknown:
        raise UserError(f"The explanation has no {unknown[0]!r}: it has {', '.join(explanation.methods)}.")
    check(settings)
    rows: list[Row] = []
    for mode in explanation.episodes:
        rows += _against_truth(explanation, mode, report)
        rows += _faithfulness(explanation, mode, report)
        rows += _likeness(explanation, mode)
        rows += _stability(explanation, mode, report)
        if settings.return_steps:
            rows += _returns(explanation, mode, settings, report)
    first = next(iter(explanation.episodes))
    if settings.sanity_frames:
        rows += randomisation_rows(explanation, first, settings.sanity_frames, settings.sanity_stages, report)
    rows += cost_rows(first, explanation.costs)
    policy = explanation.policy
    shared = {
        "identity": explanation.identity,
        "policy": policy.name,
        "env_steps": policy.env_steps,
        "task": explanation.task.name,
    }
    changed = {mode: episode.changed_pixels for mode, episode in explanation.episodes.items()}
    return [
        shared | row | {"changed_pixels": changed[row["mode"]], "frames": _frames(row, explanation, settings)}
        for row in rows
    ]


def _frames(row: Row, explanation: Explanation, settings: ScoreSettings) -> int:
    """How many frames were asked for; there may be fewer, see ``score``."""
    if row["metric"] == RANDOMISATION:
        return min(settings.sanity_frames, explanation.moments.frames)
    if row["question"] == COST or row["metric"] == KEPT_RETURN:
        return int(row["count"])
    return explanation.moments.frames


def unsigned_maps(explanation: Explanation, mode: str) -> dict[str, Tensor]:
    """Return each method's maps ``[moments, height, width]``, and the baselines'."""
    maps = {name: torch.as_tensor(magnitude(values)) for name, values in explanation.maps[mode].items()}
    shape = next(iter(maps.values())).shape
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(explanation.method_settings.seed))
    centre = centre_prior(shape[1], shape[2]).expand(shape)
    return maps | {UNIFORM: uniform_map(tuple(shape)), CENTRE: centre, RANDOM: noise}


def _against_truth(explanation: Explanation, mode: str, report: Report) -> Iterator[Row]:
    """Scores against the simulator's mask of the task, over all frames of the stack."""
    truth = explanation.episodes[mode].task_mask
    if truth is None:
        return
    frames = torch.as_tensor(truth)
    anywhere = frames.any(1)
    maps = unsigned_maps(explanation, mode)
    for index, (name, saliency) in enumerate(maps.items()):
        report(f"{mode}: against the task's mask", index, len(maps))
        own = explanation.maps[mode].get(name)
        per_frame = saliency[:, None] if own is None else torch.as_tensor(np.abs(own))
        given = {"saliency": saliency, "truth": anywhere, "frame_saliency": per_frame, "frame_truth": frames}
        for metric, entry in METRICS.items():
            # Perturbation methods give one map for the whole stack, whose spread over frames means nothing.
            if entry.question == "truth" and (metric != VARIANCE or per_frame.shape[1] == frames.shape[1] > 1):
                values = entry.function(*(given.get(argument) for argument in entry.takes))
                yield row_of(mode, name, metric, values)


def blurred(obs: Tensor) -> Tensor:
    """Return what hidden pixels show: the observation so blurred that regions keep their colours, but no shapes."""
    return gaussian_blur(obs, FILL_BLUR)


def _faithfulness(explanation: Explanation, mode: str, report: Report) -> Iterator[Row]:
    """Whether the policy depends on the pixels that the maps show: some of them are blurred away."""
    curves = relative_curves(
        explanation.policy,
        explanation.episodes[mode].obs,
        unsigned_maps(explanation, mode),
        explanation.method_settings.max_batch,
        partial(report, f"{mode}: hiding and showing pixels"),
    )
    for (name, metric), curve in curves.items():
        yield row_of(mode, name, metric, curve.area, curve=_mean_curve(curve, metric))


def relative_curves(
    policy: Policy,
    seen: np.ndarray,
    maps: Mapping[str, Tensor],
    max_batch: int,
    progress: Progress = lambda done, total: None,
) -> dict[tuple[str, str], Curve]:
    """Return how far the policy's output moves as pixels are blurred away or shown in a map's order, by map and metric.

    It is divided by the largest change that any of the maps makes in the frame: the change in the wholly blurred frame
    can be next to nothing by chance, and is no scale.

    Args:
        seen: observations as the environment gives them.
        maps: unsigned, each ``[moments, height, width]``.
    """
    distance = "kl" if has_score(policy, "kl") else "action_distance"
    found: dict[tuple[str, str], Curve] = {}
    for index, (name, saliency) in enumerate(maps.items()):
        progress(index, len(maps))
        for metric, find in FAITHFUL.items():
            parts = []
            for some in groups(len(seen), max_batch, policy.device):
                obs = policy.tensor(seen[some])
                score = make_score(policy, distance, obs)
                where, hidden = saliency[some].to(obs.device), blurred(obs)
                parts.append(find(score, obs, where, fill=hidden, max_batch=max_batch, normalise=False))
            found[name, metric] = Curve(parts[0].fraction, torch.cat([part.divergence.cpu() for part in parts]))
    largest = torch.stack([curve.divergence.amax(1) for curve in found.values()]).amax(0)[:, None]
    return {
        key: Curve(curve.fraction, torch.where(largest > 0, curve.divergence / largest, torch.nan))
        for key, curve in found.items()
    }


def _mean_curve(curve: Curve, metric: str) -> dict[str, Any]:
    doing = "blurred away" if metric == "deletion" else "shown in a blurred frame"
    return {
        "x": list(curve.fraction),
        "y": means_of(curve.divergence.T),
        "x_label": f"share of the pixels that are {doing}, most salient first",
        "y_label": "change of the policy (1: the largest)",
    }


def _stability(explanation: Explanation, mode: str, report: Report) -> Iterator[Row]:
    """How far the distraction moves each map, the action and the policy's outputs, in the very same states."""
    policy, episode = explanation.policy, explanation.episodes[mode]
    if episode.clean_obs is None:
        return
    max_batch = explanation.method_settings.max_batch
    moved = action_drifts(policy, episode.clean_obs, episode.obs, max_batch)
    shifted = policy_drifts(policy, episode.clean_obs, episode.obs, max_batch)
    for name, find in explanation.methods.items():
        progress = partial(report, f"{mode}: {name} without distractions")
        clean, _ = find_maps(policy, find, episode.clean_obs, max_batch, progress)
        pair = (torch.as_tensor(magnitude(maps)) for maps in (clean, explanation.maps[mode][name]))
        yield row_of(mode, name, "map_drift", METRICS["map_drift"].function(*pair))
        yield row_of(mode, name, "action_drift", moved)
        yield row_of(mode, name, "policy_drift", shifted)


def _returns(explanation: Explanation, mode: str, settings: ScoreSettings, report: Report) -> Iterator[Row]:
    """Returns of episodes in which the policy sees only the most salient pixels, and as many random ones to compare."""
    names: list[str | None] = [*(settings.return_methods or explanation.methods), None]
    for name in names:
        result = kept_returns(
            explanation.policy,
            explanation.task,
            mode,
            None if name is None else explanation.methods[name],
            blurred,
            fractions=KEPT_FRACTIONS,
            seed=explanation.moments.seed,
            steps=settings.return_steps,
            max_batch=explanation.method_settings.max_batch,
            progress=partial(report, f"{mode}: playing with the pixels of {name or 'random maps'}"),
        )
        yield {
            "mode": mode,
            "method": name or RANDOM,
            "metric": KEPT_RETURN,
            "question": "faithfulness",
            "direction": "higher",
            "mean": float(np.mean(result.returns[:-1])),
            "std": None,
            "count": 1,
            "undefined": 0,
            "summary": f"return of {result.steps} agent steps, mean over the shares of pixels that were kept",
            "curve": {
                "x": list(result.fraction),
                "y": list(result.returns),
                "x_label": "share of the pixels that the policy sees, most salient first",
                "y_label": f"return of {result.steps} agent steps",
            },
        }


def _likeness(explanation: Explanation, mode: str) -> Iterator[Row]:
    """How alike the maps are to ones that know nothing about the policy."""
    for name, saliency in unsigned_maps(explanation, mode).items():
        for metric in ("centre_correlation", "uniform_overlap"):
            yield row_of(mode, name, metric, METRICS[metric].function(saliency))
