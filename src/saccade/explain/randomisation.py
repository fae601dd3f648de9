"""Whether maps change when the network's weights are randomised, from the last layer to the first."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saccade.explain.episodes import Progress
from saccade.explain.explanation import Explanation, Report
from saccade.explain.maps import groups
from saccade.explain.rows import Row, means_of, row_of
from saccade.metrics.sanity import randomisation_curve
from saccade.nets.views.views import layers_of, randomised, tapped
from saccade.policies.policy import Policy
from saccade.policies.scores import make_score

RANDOMISATION = "randomisation"


def randomisation_rows(explanation: Explanation, mode: str, frames: int, stages: int, report: Report) -> Iterator[Row]:
    """Yield a row for each method, computed on the first ``frames`` moments and at most ``stages`` networks."""
    policy = explanation.policy
    seen = explanation.episodes[mode].obs[:frames]
    for name, find in explanation.methods.items():
        if find.on is None:
            continue
        layers = used_layers(policy, str(find.score), policy.tensor(seen[:1]))
        views = _spread(randomised(policy.network, explanation.method_settings.seed, layers), stages)

        def one_map(network: nn.Module, pixels: Tensor, on: Any = find.on) -> Tensor:
            return on(network, pixels).abs().amax(1)

        parts = []
        for some in groups(len(seen), explanation.method_settings.max_batch, policy.device):
            reported = _reporting(views, partial(report, f"{mode}: {name} of random weights"))
            parts.append(randomisation_curve(one_map, policy.network, policy.tensor(seen[some]), reported))
        names = [layer for layer, _ in views]
        values = torch.stack([torch.cat([part[i][1].cpu() for part in parts]) for i in range(len(views))])
        yield row_of(
            mode,
            name,
            RANDOMISATION,
            values[-1],
            curve={
                "x": names,
                "y": means_of(values),
                "x_label": "layer down to which weights are random",
                "y_label": "likeness to the true map",
            },
        )


def _reporting(views: list[Any], progress: Progress) -> Iterator[Any]:
    """Yield the views one by one, reporting progress before each."""
    for index, view in enumerate(views):
        progress(index, len(views))
        yield view


def used_layers(policy: Policy, score_name: str, obs: Tensor) -> list[str]:
    """Return the layers with weights that a score is computed with, first to last."""
    network = policy.network
    weighted = [
        name for name, layer in layers_of(network).items() if next(layer.parameters(recurse=False), None) is not None
    ]
    view, tape = tapped(network, weighted)
    action = policy.greedy(obs)
    with torch.no_grad():
        make_score(dataclasses.replace(policy, network=view), score_name, obs, action)(obs)
    return list(dict.fromkeys(call.layer for call in tape))


def _spread(items: list[Any], count: int) -> list[Any]:
    """At most ``count`` of the items, evenly spread and including the last."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in dict.fromkeys(places.tolist())]
