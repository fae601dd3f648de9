"""Stability: how far a distraction moves a map and an action. The same state, seen with and without it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from saccade.metrics.checks import checked_map
from saccade.metrics.measures import is_constant, overlap, shares, undefined_unless
from saccade.types import UserError

Kind = Literal["logits", "gaussian", "action"]
"""Kinds of policy outputs: ``logits`` ``[batch, actions]`` of a categorical one, mean and log standard deviation
``[batch, 2, action_dim]`` of a Gaussian, or the deterministic ``action`` ``[batch, action_dim]``."""
AXES = {"logits": 2, "gaussian": 3, "action": 2}


def map_drift(clean_saliency: Tensor, distracted_saliency: Tensor) -> Tensor:
    """Return the share of a map's positive mass that a distraction moves elsewhere: 0 (none) to 1 (all of it).

    Total variation between the two maps, each normalised to sum 1. It weighs pixels by how salient they are; a rank
    correlation weighs the thousands of hardly salient ones as much as the few that a person sees, and has
    no fixed value for maps that share nothing.

    Args:
        clean_saliency: ``[batch, height, width]``, or ``[batch, frame, height, width]`` for whole stacks.
        distracted_saliency: of the same shape, for the same states.

    Returns:
        float64 ``[batch]``; NaN if either map is constant or has nothing positive, so that a map without
        information does not count as stable. Raises UserError for shapes that differ and for NaN.
    """
    axes = 4 if clean_saliency.ndim == 4 else 3
    clean = checked_map(clean_saliency, name="clean saliency map", axes=axes).flatten(1)
    distracted = checked_map(distracted_saliency, name="distracted saliency map", axes=axes).flatten(1)
    if clean_saliency.shape != distracted_saliency.shape:
        shapes = f"{tuple(clean_saliency.shape)} and {tuple(distracted_saliency.shape)}"
        raise UserError(f"The clean and the distracted map have shapes {shapes}: they must be of the same states.")
    moved = 1 - overlap(shares(clean), shares(distracted))
    return undefined_unless(~is_constant(clean) & ~is_constant(distracted), moved.clamp(min=0.0))


def action_drift(clean_action: Tensor, distracted_action: Tensor) -> Tensor:
    """Return how far a distraction moves the action in the same state: float64 ``[batch]``.

    Euclidean distance for continuous actions ``[batch, action_dim]``; for discrete ones ``[batch]`` 0 if they are
    the same, else 1, so that the mean is the share of changed actions. Raises UserError for other shapes and NaN.
    """
    discrete = not clean_action.is_floating_point()
    axes = 1 if discrete else 2
    if clean_action.shape != distracted_action.shape or clean_action.ndim != axes:
        raise UserError(
            f"The clean and the distracted action have shapes {tuple(clean_action.shape)} and "
            f"{tuple(distracted_action.shape)}: both must be whole numbers [batch] or floats [batch, action_dim]."
        )
    if discrete:
        return (clean_action != distracted_action).double()
    difference = clean_action.detach().double() - distracted_action.detach().double()
    if not bool(difference.isfinite().all()):
        raise UserError("An action is NaN or infinite: look for NaN in the network's weights or in the observation.")
    return torch.linalg.vector_norm(difference, dim=-1)


def policy_drift(clean_policy: Tensor, distracted_policy: Tensor, kind: Kind = "logits") -> Tensor:
    """Return how far a distraction moves the whole policy in the same state: float64 ``[batch]``, 0 if not at all.

    KL(policy at the clean frame || policy at the distracted one), in nats, for categorical and Gaussian policies; a
    bijection such as tanh after the Gaussian does not change it. For deterministic policies, whose KL is 0 or
    infinity, it is the squared distance of actions, averaged over dimensions. The three are not on one scale.

    Source: KL as a measure of what a perturbation does to a policy, DIGR and perturbation saliency.

    Args:
        kind: what the numbers are. Q values are treated as logits, as everywhere else.

    Raises:
        UserError: shapes that differ or are not of this kind, and NaN or infinity.
    """
    shapes = f"{tuple(clean_policy.shape)} and {tuple(distracted_policy.shape)}"
    paired = kind != "gaussian" or clean_policy.shape[1:2] == (2,)
    if clean_policy.shape != distracted_policy.shape or clean_policy.ndim != AXES[kind] or not paired:
        raise UserError(f"The clean and the distracted policy have shapes {shapes}: both must be {kind} of a batch.")
    clean, distracted = clean_policy.detach().double(), distracted_policy.detach().double()
    if not bool(clean.isfinite().all() and distracted.isfinite().all()):
        raise UserError("A policy is NaN or infinite: look for NaN in the network's weights or in the observation.")
    if kind == "action":
        return (clean - distracted).square().mean(-1)
    if kind == "logits":
        before, after = clean.log_softmax(-1), distracted.log_softmax(-1)
        return (before.exp() * (before - after)).sum(-1).clamp(min=0.0)
    (mean, log_std), (other_mean, other_log_std) = clean.unbind(1), distracted.unbind(1)
    narrower = log_std - other_log_std
    shift = (mean - other_mean) * torch.exp(-other_log_std)
    return (0.5 * (torch.exp(2 * narrower) + shift.square() - 1) - narrower).sum(-1).clamp(min=0.0)
