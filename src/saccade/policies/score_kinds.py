"""The table of scores by name: what a saliency map can explain. Reading it loads no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saccade.later import Later

if TYPE_CHECKING:
    from torch import Tensor

    from saccade.policies.policy import Policy
    from saccade.types import Score


@dataclass(frozen=True)
class ScoreKind:
    """One row of ``SCORES``."""

    make: Callable[[Policy, Tensor, Tensor, int | None], Score]
    """``(policy, obs, action, dimension) -> Score`` for the samples in ``obs``."""
    needs: tuple[frozenset[str], ...]
    """Sets of outputs; a policy needs all outputs of any one set."""
    summary: str
    source: str = ""


DISTRIBUTION = (frozenset({"logits"}), frozenset({"mean", "log_std"}))
PREFERENCES = (frozenset({"logits"}), frozenset({"q_values"}))


def _made_by(name: str) -> Later:
    return Later("saccade.policies.scores", name)


SCORES = {
    "q": ScoreKind(_made_by("q"), (frozenset({"q_values"}), frozenset({"q"})), "value of the greedy action"),
    "value": ScoreKind(_made_by("value"), (frozenset({"value"}),), "state value"),
    "logit": ScoreKind(_made_by("logit"), (frozenset({"logits"}),), "logit of the greedy action"),
    "log_probability": ScoreKind(
        _made_by("log_probability"), DISTRIBUTION, "log-probability of the greedy action"
    ),
    "action_mean": ScoreKind(
        _made_by("action_mean"), (frozenset({"action"}),),
        "largest dimension of each frame's action, or the named one (action_mean:2)",
    ),
    "confidence": ScoreKind(
        _made_by("confidence"), (frozenset({"logits"}),), "half the sum of squared probabilities", "DIGR"
    ),
    "kl": ScoreKind(
        _made_by("kl"), (*DISTRIBUTION, frozenset({"q_values"})), "KL from the unperturbed policy",
        "DIGR, perturbation saliency",
    ),
    "action_distance": ScoreKind(
        _made_by("action_distance"), (*PREFERENCES, frozenset({"action"})),
        "half squared change of the logits or the action", "Greydanus et al., 2018, equation 2",
    ),
    "value_distance": ScoreKind(
        _made_by("value_distance"), (frozenset({"value"}), frozenset({"q_values"}), frozenset({"q"})),
        "half squared change of the value", "Greydanus et al., 2018, equation 3",
    ),
    "sarfa": ScoreKind(
        _made_by("sarfa"), PREFERENCES, "specific and relevant feature attribution", "Puri et al., 2020"
    ),
}  # fmt: skip
"""Every score by name. Those below ``kl`` are distances from the unperturbed policy."""

DEFAULTS = ("q", "logit", "action_mean", "value")
"""What is explained by default: the first of these that the policy has."""
