"""Scores of saliency maps: pure functions on tensors, one number per frame, one file per question.

``METRICS`` lists those that return a number. The curves that some of them summarise are ``faithfulness.deletion``,
``faithfulness.insertion`` and ``sanity.randomisation_curve``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, final

from torch import Tensor

from saccade.metrics.faithfulness import deletion_area, insertion_area
from saccade.metrics.gaze import auc_judd, correlation_coefficient, kl_divergence, nss, shuffled_auc, similarity
from saccade.metrics.localisation import (
    area_under_roc,
    important_sum,
    mass_inside,
    pointing_game,
    precision_at_mask_area,
    task_identification,
    task_identification_variance,
    unimportant_sum,
)
from saccade.metrics.sanity import centre_correlation, likeness, uniform_overlap
from saccade.metrics.stability import action_drift, map_drift, policy_drift
from saccade.metrics.summary import Summary, summary_of

__all__ = ["METRICS", "Metric", "Summary", "summary_of"]

Question = Literal["truth", "people", "faithfulness", "sanity", "stability"]

TRUTH = ("saliency", "truth", "ignore")
FRAMES = ("frame_saliency", "frame_truth", "frame_ignore")
GAZE = ("saliency", "fixations")
PERTURBED = ("score", "obs", "saliency", "fill")


@final
@dataclass(frozen=True)
class Metric:
    """One row of ``METRICS``.

    Attributes:
        function: returns float64 ``[batch]``, NaN where it is undefined; its positional arguments are ``takes``.
        question: what it asks about a map, and so which kind of input it needs.
        direction: whether higher or lower is better.
        lowest: lower bound of its range; None if there is none.
        highest: upper bound of its range; None if there is none.
        takes: names of its arguments: ``saliency``, ``truth``, ``fixations`` and the like ``[batch, height, width]``,
            ``frame_*`` ``[batch, frame, height, width]``. ``ignore`` and ``frame_ignore`` may be None.
    """

    function: Callable[..., Tensor]
    question: Question
    direction: Literal["higher", "lower"]
    lowest: float | None
    highest: float | None
    summary: str
    source: str
    takes: tuple[str, ...]


METRICS: dict[str, Metric] = {
    "pointing_game": Metric(
        pointing_game, "truth", "higher", 0.0, 1.0, "whether the most salient pixel shows the task",
        "Zhang et al., 2016", TRUTH,
    ),
    "area_under_roc": Metric(
        area_under_roc, "truth", "higher", 0.0, 1.0, "chance that a task pixel is more salient than another",
        "DIGR, Red-Fetch-Green", TRUTH,
    ),
    "precision_at_mask_area": Metric(
        precision_at_mask_area, "truth", "higher", 0.0, 1.0, "share of the most salient pixels that show the task",
        "R-precision; Arras et al., 2022, relevance rank accuracy", TRUTH,
    ),
    "mass_inside": Metric(
        mass_inside, "truth", "higher", 0.0, 1.0, "share of the saliency that lies on the task",
        "Arras et al., 2022, relevance mass accuracy", TRUTH,
    ),
    "important_sum": Metric(
        important_sum, "truth", "higher", 0.0, None, "saliency on the task, in pixels of the brightest value",
        "DIGR, Red-Fetch-Green", TRUTH,
    ),
    "unimportant_sum": Metric(
        unimportant_sum, "truth", "lower", 0.0, None, "saliency off the task, in pixels of the brightest value",
        "DIGR, Red-Fetch-Green", TRUTH,
    ),
    "task_identification": Metric(
        task_identification, "truth", "higher", 0.0, 100.0, "match of the most salient pixels with the task's",
        "SimGRL (Song et al., 2024), TID score", FRAMES,
    ),
    "task_identification_variance": Metric(
        task_identification_variance, "truth", "lower", 0.0, 2500.0, "variance of that match over a stack's frames",
        "SimGRL (Song et al., 2024), TID variance", FRAMES,
    ),
    "nss": Metric(
        nss, "people", "higher", None, None, "standardised saliency where people looked; 0 is chance",
        "FLS (Nikulin et al., 2019); Peters et al., 2005", GAZE,
    ),
    "kl_divergence": Metric(
        kl_divergence, "people", "lower", 0.0, None, "KL in nats from where people looked to the map",
        "FLS (Nikulin et al., 2019)", GAZE,
    ),
    "shuffled_auc": Metric(
        shuffled_auc, "people", "higher", 0.0, 1.0, "chance of more saliency where people look now than otherwise",
        "FLS (Nikulin et al., 2019); Zhang et al., 2008", (*GAZE, "other_fixations"),
    ),
    "auc_judd": Metric(
        auc_judd, "people", "higher", 0.0, 1.0, "chance of more saliency where people looked than elsewhere",
        "Judd et al., 2009", GAZE,
    ),
    "correlation_coefficient": Metric(
        correlation_coefficient, "people", "higher", -1.0, 1.0, "linear correlation with where people looked",
        "Bylinskii et al., 2019, CC", GAZE,
    ),
    "similarity": Metric(
        similarity, "people", "higher", 0.0, 1.0, "overlap of the map with where people looked",
        "Bylinskii et al., 2019, SIM", GAZE,
    ),
    "deletion": Metric(
        deletion_area, "faithfulness", "higher", 0.0, None, "how early the policy changes as salient pixels are hidden",
        "Petsiuk et al., 2018, deletion", PERTURBED,
    ),
    "insertion": Metric(
        insertion_area, "faithfulness", "lower", 0.0, None, "how long it stays changed as salient pixels are shown",
        "Petsiuk et al., 2018, insertion", PERTURBED,
    ),
    "randomisation": Metric(
        likeness, "sanity", "lower", 0.0, 1.0, "strength of the rank correlation with the map of random weights",
        "Adebayo et al., 2018, cascading randomisation", ("saliency", "randomised_saliency"),
    ),
    "centre_correlation": Metric(
        centre_correlation, "sanity", "lower", -1.0, 1.0, "rank correlation with the centre of the picture",
        "centre prior; Judd et al., 2009", ("saliency",),
    ),
    "uniform_overlap": Metric(
        uniform_overlap, "sanity", "lower", 0.0, 1.0, "overlap with a map that favours no pixel",
        "Bylinskii et al., 2019, SIM with a uniform map", ("saliency",),
    ),
    "map_drift": Metric(
        map_drift, "stability", "lower", 0.0, 1.0, "share of the saliency that a distraction moves elsewhere",
        "total variation", ("clean_saliency", "distracted_saliency"),
    ),
    "action_drift": Metric(
        action_drift, "stability", "lower", 0.0, None, "how far a distraction moves the action",
        "Euclidean distance; share of changed actions", ("clean_action", "distracted_action"),
    ),
    "policy_drift": Metric(
        policy_drift, "stability", "lower", 0.0, None,
        "how far a distraction moves the policy: KL in nats, or the squared distance of deterministic actions",
        "KL as in DIGR and perturbation saliency", ("clean_policy", "distracted_policy"),
    ),
}  # fmt: skip
"""Every metric by name, ordered by question."""
