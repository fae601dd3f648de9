"""Whether the maps of an explanation are right: rows of scores, by mode and method."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from saccade.data.files import written_aside
from saccade.explain.episodes import Progress
from saccade.explain.explanation import Explanation, Report, silent
from saccade.explain.maps import find_maps, groups, magnitude
from saccade.explain.returns import kept_returns
from saccade.metrics import METRICS, summary_of
from saccade.metrics.faithfulness import Curve, deletion, insertion
from saccade.metrics.sanity import centre_prior, randomisation_curve, uniform_map
from saccade.nets.views import layers_of, randomised, tapped
from saccade.pixels.blur import gaussian_blur
from saccade.policies.policy import Policy
from saccade.policies.scores import has_score, make_score
from saccade.types import UserError

Row = dict[str, Any]

UNIFORM, CENTRE = "baseline: uniform", "baseline: centre"
RANDOM = "baseline: random"
SCORES = "scores.jsonl"
KEPT_RETURN, VARIANCE = "kept_return", "task_identification_variance"
FILL_BLUR = 10.0  # pixels: so much that hidden pixels tell colours of the region and no shapes
KEPT_FRACTIONS = (0.02, 0.05, 0.1, 0.25, 1.0)
"""Of the pixels that the policy sees in the episodes of ``returns``."""


@final
@dataclass(frozen=True)
class ScoreSettings:
    """What is scored, beyond what an explanation has at hand.

    Attributes:
        sanity_frames: moments of the first mode whose maps are compared with those of randomised networks; 0: none.
        sanity_stages: networks between the original and the wholly random one, at most.
        return_steps: agent steps of the episodes in which the policy sees the kept pixels alone; 0 plays none.
        return_methods: methods whose pixels are kept there; empty for all that the explanation has.
    """

    sanity_frames: int = 4
    sanity_stages: int = 6
    return_steps: int = 0
    return_methods: tuple[str, ...] = ()


EVERYTHING_CHEAP = ScoreSettings()


def check(settings: ScoreSettings) -> None:
    """Raise UserError for numbers that make no sense."""
    for name, least in (("sanity_frames", 0), ("sanity_stages", 1), ("return_steps", 0)):
        value = getattr(settings, name)
        if value < least:
            raise UserError(f"--{name.replace('_', '-')} {value} is too small: it must be at least {least}.")


def score(explanation: Explanation, settings: ScoreSettings = EVERYTHING_CHEAP, report: Report = silent) -> list[Row]:
    """Rows ``{policy, env_steps, task, mode, method, metric, question, direction, mean, std, count, undefined, ...}``.

    Rows of curves also have ``curve``. Baselines stand beside the methods: a uniform map, a bright centre, noise.

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
        rows += _sanity(explanation, first, settings, report)
    rows += _costs(explanation, first)
    policy = explanation.policy
    told = {
        "identity": explanation.identity,
        "policy": policy.name,
        "env_steps": policy.env_steps,
        "task": explanation.task.name,
    }
    return [told | row for row in rows]


def save_rows(folder: Path, rows: list[Row]) -> Path:
    """Write ``scores.jsonl`` beside a saved explanation; rows of modes that are not scored again stay."""
    path, modes = folder / SCORES, {row["mode"] for row in rows}
    others = [row for row in _rows_there(path) if row.get("mode") not in modes]
    with written_aside(path) as aside:
        aside.write_text("".join(json.dumps(row) + "\n" for row in (*others, *rows)))
    return path


def _rows_there(path: Path) -> list[Row]:
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError):  # none yet, or a damaged file, which is written anew
        return []


def _row(mode: str, method: str, metric: str, values: Tensor, **more: Any) -> Row:
    """A row of the metric's table entry and of the frames' values."""
    entry, summary = METRICS[metric], summary_of(values)
    return {
        "mode": mode,
        "method": method,
        "metric": metric,
        "question": entry.question,
        "direction": entry.direction,
        "mean": _finite(summary.mean),
        "std": _finite(summary.std),
        "count": summary.count,
        "undefined": summary.undefined,
        "summary": entry.summary,
        "source": entry.source,
        **more,
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None  # JSON has no NaN


def _means(values: Tensor) -> list[float | None]:
    """The mean of each row over the frames that it is defined on; None where there is none."""
    return [_finite(mean) for mean in values.nanmean(1).tolist()]


def unsigned_maps(explanation: Explanation, mode: str) -> dict[str, Tensor]:
    """Each method's maps ``[moments, height, width]``, and the baselines'."""
    maps = {name: torch.as_tensor(magnitude(values)) for name, values in explanation.maps[mode].items()}
    shape = next(iter(maps.values())).shape
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(explanation.method_settings.seed))
    centre = centre_prior(shape[1], shape[2]).expand(shape)
    return maps | {UNIFORM: uniform_map(tuple(shape)), CENTRE: centre, RANDOM: noise}


def _against_truth(explanation: Explanation, mode: str, report: Report) -> Iterator[Row]:
    """Where the simulator says that the task is, in any frame of the stack."""
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
            # The maps of perturbations have one frame for the stack, whose spread over frames says nothing.
            if entry.question == "truth" and (metric != VARIANCE or per_frame.shape[1] == frames.shape[1] > 1):
                values = entry.function(*(given.get(argument) for argument in entry.takes))
                yield _row(mode, name, metric, values)


def blurred(obs: Tensor) -> Tensor:
    """What hidden pixels show: the observation so blurred that it tells the colours of a region and no shapes."""
    return gaussian_blur(obs, FILL_BLUR)


def _faithfulness(explanation: Explanation, mode: str, report: Report) -> Iterator[Row]:
    """Whether the policy follows the pixels that the maps show: it is asked with some of them blurred away."""
    policy, max_batch = explanation.policy, explanation.method_settings.max_batch
    seen = explanation.episodes[mode].obs
    distance = "kl" if has_score(policy, "kl") else "action_distance"
    maps = unsigned_maps(explanation, mode)
    found: dict[tuple[str, str], Curve] = {}
    for index, (name, saliency) in enumerate(maps.items()):
        report(f"{mode}: hiding and showing pixels", index, len(maps))
        for metric, find in (("deletion", deletion), ("insertion", insertion)):
            parts = []
            for some in groups(len(seen), max_batch, policy.device):
                obs = policy.tensor(seen[some])
                score = make_score(policy, distance, obs)
                where, hidden = saliency[some].to(obs.device), blurred(obs)
                parts.append(find(score, obs, where, fill=hidden, max_batch=max_batch, normalise=False))
            found[name, metric] = Curve(parts[0].fraction, torch.cat([part.divergence.cpu() for part in parts]))
    # Divided by the largest change that any of them made in the frame: what the wholly blurred frame does can be next
    # to nothing by chance, and is no measure.
    largest = torch.stack([curve.divergence.amax(1) for curve in found.values()]).amax(0)[:, None]
    for (name, metric), curve in found.items():
        relative = Curve(curve.fraction, torch.where(largest > 0, curve.divergence / largest, torch.nan))
        yield _row(mode, name, metric, relative.area, curve=_mean_curve(relative, metric))


def _mean_curve(curve: Curve, metric: str) -> dict[str, Any]:
    doing = "blurred away" if metric == "deletion" else "shown in a blurred frame"
    return {
        "x": list(curve.fraction),
        "y": _means(curve.divergence.T),
        "x_label": f"share of the pixels that are {doing}, most salient first",
        "y_label": "change of the policy (1: the largest)",
    }


def _stability(explanation: Explanation, mode: str, report: Report) -> Iterator[Row]:
    """How far the distraction moves each map, and the action, in the very same states."""
    policy, episode = explanation.policy, explanation.episodes[mode]
    if episode.clean_obs is None:
        return
    max_batch = explanation.method_settings.max_batch
    actions = [
        torch.cat(
            [policy.greedy(policy.tensor(obs[some])).cpu() for some in groups(len(obs), max_batch, policy.device)]
        )
        for obs in (episode.clean_obs, episode.obs)
    ]
    moved = METRICS["action_drift"].function(*actions)
    for name, find in explanation.methods.items():
        progress = partial(report, f"{mode}: {name} without distractions")
        clean, _ = find_maps(policy, find, episode.clean_obs, max_batch, progress)
        pair = (torch.as_tensor(magnitude(maps)) for maps in (clean, explanation.maps[mode][name]))
        yield _row(mode, name, "map_drift", METRICS["map_drift"].function(*pair))
        yield _row(mode, name, "action_drift", moved)


def _returns(explanation: Explanation, mode: str, settings: ScoreSettings, report: Report) -> Iterator[Row]:
    """Episodes in which the policy sees the most salient pixels alone, and as many random ones for comparison."""
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
            progress=partial(report, f"{mode}: playing with the pixels of {name or 'nobody'}"),
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
    """What the maps have in common with ones that know nothing of the policy."""
    for name, saliency in unsigned_maps(explanation, mode).items():
        for metric in ("centre_correlation", "uniform_overlap"):
            yield _row(mode, name, metric, METRICS[metric].function(saliency))


def _sanity(explanation: Explanation, mode: str, settings: ScoreSettings, report: Report) -> Iterator[Row]:
    """Whether maps change when the network's weights are replaced by random ones, from its end to its beginning."""
    policy = explanation.policy
    seen = explanation.episodes[mode].obs[: settings.sanity_frames]
    for name, find in explanation.methods.items():
        if find.on is None:
            continue
        layers = used_layers(policy, str(find.score), policy.tensor(seen[:1]))
        views = _spread(randomised(policy.network, explanation.method_settings.seed, layers), settings.sanity_stages)

        def one_map(network: torch.nn.Module, pixels: Tensor, on: Any = find.on) -> Tensor:
            return on(network, pixels).abs().amax(1)

        parts = []
        for some in groups(len(seen), explanation.method_settings.max_batch, policy.device):
            told = _told(views, partial(report, f"{mode}: {name} of random weights"))
            parts.append(randomisation_curve(one_map, policy.network, policy.tensor(seen[some]), told))
        names = [layer for layer, _ in views]
        values = torch.stack([torch.cat([part[i][1].cpu() for part in parts]) for i in range(len(views))])
        yield _row(
            mode,
            name,
            "randomisation",
            values[-1],
            curve={
                "x": names,
                "y": _means(values),
                "x_label": "layer down to which weights are random",
                "y_label": "likeness to the true map",
            },
        )


def _told(views: list[Any], progress: Progress) -> Iterator[Any]:
    """The views, one by one, with a sign of progress before each."""
    for index, view in enumerate(views):
        progress(index, len(views))
        yield view


def used_layers(policy: Policy, score_name: str, obs: Tensor) -> list[str]:
    """The layers with weights that a score is computed with, first to last."""
    network = policy.network
    weighted = [
        name for name, layer in layers_of(network).items() if next(layer.parameters(recurse=False), None) is not None
    ]
    view, tape = tapped(network, weighted)
    action = policy.greedy(obs)
    with torch.no_grad():
        make_score(dataclasses.replace(policy, network=view), score_name, obs, action)(obs)
    return list(dict.fromkeys(call.layer for call in tape))


def _costs(explanation: Explanation, mode: str) -> Iterator[Row]:
    for name, (batched, alone) in explanation.costs.items():
        for metric, seconds, summary in (
            ("milliseconds_per_frame", batched, "of frames that are worked on together"),
            ("milliseconds_alone", alone, "of one frame on its own"),
        ):
            yield {
                "mode": mode,
                "method": name,
                "metric": metric,
                "question": "cost",
                "direction": "lower",
                "mean": 1000 * seconds,
                "std": None,
                "count": 1,
                "undefined": 0,
                "summary": summary,
            }


def _spread(items: list[Any], count: int) -> list[Any]:
    """At most ``count`` of the items, evenly spread, the last among them."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in dict.fromkeys(places.tolist())]
