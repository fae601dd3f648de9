"""Try a foreign policy once, so that a wrong output is an error message now and not a wrong picture later."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor

from saccade.data.user_code import FAILURES, error_text
from saccade.policies.policy import Policy
from saccade.types import UserError

SAMPLES = 2
PER_ACTION = ("logits", "q_values")
SCALARS = ("value", "q")


@torch.no_grad()
def tried(policy: Policy, width: int) -> Policy:
    """Return the policy itself, after computing each output once on random pictures.

    Args:
        width: number of actions, or of action dimensions.

    Raises:
        UserError: a weight is NaN or infinite, or an output cannot be computed, is not finite or has another shape.
    """
    for name, value in chain(policy.network.named_parameters(), policy.network.named_buffers()):
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UserError(f"The weights of {policy.name} hold NaN or infinity, in {name}: nothing can be explained.")
    shape = (SAMPLES, *policy.pixels.channels_first)
    obs = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) * policy.pixels.high).to(policy.device)
    for name in policy.outputs:
        value = _computed(policy, name, obs)
        expected: tuple[int, ...] = (SAMPLES,) if name in SCALARS else (SAMPLES, width)
        if name == "gaussian":
            expected = (SAMPLES, 2, width)
        if tuple(value.shape) != expected:
            kind = "actions" if name in PER_ACTION else "action dimensions"
            raise UserError(
                f"{policy.name} gives {name} of shape {tuple(value.shape)} for {SAMPLES} observations; {expected} is "
                f"needed{'' if name in SCALARS else f', since there are {width} {kind}'}."
            )
        if not bool(value.isfinite().all()):
            raise UserError(f"{policy.name} gives {name} that are NaN or infinite for a picture of noise.")
    return policy


def _computed(policy: Policy, name: str, obs: Tensor) -> Tensor:
    try:
        given = (policy.outputs["action"](policy.network, obs),) if name == "q" else ()
        return policy.outputs[name](policy.network, obs, *given)
    except UserError:
        raise
    except FAILURES as error:
        raise UserError(
            f"{policy.name} cannot compute {name} of observations of shape {policy.pixels.shape}: {error_text(error)}."
        ) from error
