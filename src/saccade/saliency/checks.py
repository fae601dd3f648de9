"""Refuse what no saliency method can explain. Only shapes and graphs are read: nothing here waits for a device."""

from __future__ import annotations

import torch
from torch import Tensor

from saccade.types import Score, UserError

IGNORED = (
    "The score does not depend on the observation, or what it depends on is cut off by a detach, a no_grad or a "
    "conversion to whole numbers: explain another output of the network."
)

ROUNDING = 100.0  # rounding errors by which the same score of the same picture may differ between batches
LEAST_DISTANCE = 1e-6  # a smaller distance may be nothing but rounding


def check_obs(obs: Tensor, max_batch: int) -> None:
    """Raise UserError unless these are float pictures ``[batch, channel, height, width]`` and batches can be run."""
    if obs.ndim != 4 or not obs.is_floating_point() or obs.numel() == 0:
        kind = str(obs.dtype).removeprefix("torch.")
        raise UserError(
            f"Observations of shape {list(obs.shape)} and type {kind} cannot be explained: "
            "give floats [batch, channel, height, width], at least one of them."
        )
    check_least("max_batch", max_batch, 1)


def all_finite(values: Tensor) -> bool:
    """Return whether there is no NaN or infinity, in one pass: the sum is not finite then (or overflows)."""
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())


def check_least(name: str, value: float, least: float) -> None:
    """Raise UserError for a hyper-parameter below its smallest sensible value."""
    if not value >= least:
        raise UserError(f"{name} {value:g} is too small: use {least:g} or more.")


def check_positive(name: str, value: float) -> None:
    """Raise UserError for a hyper-parameter that is not above 0."""
    if not value > 0:
        raise UserError(f"{name} {value:g} is too small: use a number above 0.")


def check_frames(frames: int, obs: Tensor) -> None:
    """Raise UserError if the channels do not divide into this many frames."""
    if frames < 1 or obs.shape[1] % frames:
        raise UserError(
            f"Observations of {obs.shape[1]} channels are not {frames} frames: "
            "give the number of frames in the stack, or 1 to treat them as one."
        )


def check_value(value: Tensor, count: int) -> None:
    """Raise UserError if a score is not one number per sample."""
    if not isinstance(value, Tensor) or value.shape != (count,):
        given = f"shape {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise UserError(
            f"The score gave {given} for {count} observations: it must give one number for each, of shape [{count}]."
        )


def check_gradient_explains(score: Score) -> None:
    """Raise UserError for a distance from the unperturbed policy, whose gradient is zero at the observation."""
    if score.distance:
        raise UserError(
            "The score is a distance from what the policy does at the observation, and its gradient there is zero: "
            "use a perturbation method, or explain an output of the policy itself."
        )


def check_depends(score: Score, obs: Tensor, change: Tensor, size: Tensor) -> None:
    """Raise UserError if perturbations changed nothing, and no path leads from the score back to the pixels.

    Both are needed: a score may change without having a gradient, or have one where nothing happens to change.

    Args:
        change: the largest change of any sample's score.
        size: the largest score.
    """
    limit = LEAST_DISTANCE if score.distance else ROUNDING * torch.finfo(obs.dtype).eps * float(size)
    if float(change) > limit:
        return
    with torch.enable_grad():
        pixels = obs[:1].detach().clone().requires_grad_()
        value = score.rows(torch.zeros(1, dtype=torch.long, device=obs.device))(pixels)
        if not value.requires_grad or torch.autograd.grad(value.sum(), pixels, allow_unused=True)[0] is None:
            raise UserError(IGNORED)
