"""Saliency maps of observations in an array."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from saccade.data.user_code import running
from saccade.explain.maps import DEFAULT_SETTINGS, MethodSettings, finder, groups
from saccade.explain.seen import seen_as
from saccade.policies.load import load_any
from saccade.policies.normalisation import BYTE, UNIT, Normalisation, normalisation
from saccade.policies.pixels import Layout, pixels_of
from saccade.policies.policy import Policy
from saccade.policies.scores import make_score
from saccade.policies.sources.module import from_module
from saccade.saliency import METHODS
from saccade.saliency.reduction import per_frame
from saccade.types import UserError

Whose = Policy | nn.Module | str | Path


def saliency(
    policy: Whose,
    obs: np.ndarray | Tensor,
    method: str = "gradient",
    *,
    action: Any = None,
    output: str = "logits",
    layout: Layout | None = None,
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    settings: MethodSettings = DEFAULT_SETTINGS,
) -> np.ndarray:
    """Compute signed maps ``[batch, frames or 1, height, width]`` of observations, float32: which pixels matter.

    ``saccade.explain.saliency("ppo.zip", obs, "guided_backpropagation")``, or for any network that outputs logits
    ``saccade.explain.saliency(network, pictures, "grad_cam", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))``.

    Args:
        policy: from ``saccade.load``, or what that can load; or a network whose ``forward`` takes observations.
        obs: one observation or a batch, as the policy takes them (channels first or last), or single frames of any
            size; they are not written to.
        method: a name in ``saccade.saliency.METHODS``, or a map that the policy computes itself.
        action: the action to explain: a number for each observation, or one for all; for policies with continuous
            actions a vector. None for the policy's own action.
        output: what a network outputs, as for ``from_module``: ``logits``, ``q_values`` or ``action``.
        layout: of a network's observations, where their shape could mean two things.
        mean, std: what a network's input is normalised with: one number, or one per colour, for pixels in 0..1 or
            in 0..255. Bytes are normalised here; floats outside 0..1 must be normalised already.
        settings: the score that is explained, and the hyper-parameters of the methods.

    Raises:
        UserError: one sentence that says what does not fit, and what does.
    """
    array = obs.detach().cpu().numpy() if isinstance(obs, Tensor) else np.asarray(obs)
    normalised = normalisation(mean, std)
    if isinstance(policy, nn.Module):
        modes = {module: module.training for module in policy.modules()}
        try:
            made = _policy_of(policy, array, output, layout, normalised)
            return saliency(made, array, method, action=action, settings=settings)
        finally:
            for module, training in modes.items():
                module.training = training
    if normalised is not None or layout is not None:
        raise UserError("mean, std and layout are for networks; a policy was given them when it was loaded.")
    if not isinstance(policy, Policy):
        policy = load_any(policy)
    seen, _ = seen_as(array, policy.pixels, "obs")
    find = finder(policy, method, settings) if method in (*METHODS, *policy.maps) else None
    if find is None:
        have = ", ".join((*METHODS, *policy.maps))
        raise UserError(f"There is no saliency method {method!r} for this policy: there are {have}.")
    if action is None or find.score is None:
        parts = [find.maps(policy.tensor(seen[some])) for some in groups(len(seen), settings.max_batch, policy.device)]
    else:
        given = _actions(policy, action, len(seen))
        parts = [
            _about(policy, method, find.score, policy.tensor(seen[some]), given[some], settings)
            for some in groups(len(seen), settings.max_batch, policy.device)
        ]
    maps: np.ndarray = torch.cat([part.detach().float().cpu() for part in parts]).numpy()
    if not np.isfinite(maps).all():
        raise UserError(f"{method} gave NaN or infinity: are {policy.name}'s weights finite?")
    return maps


def _about(policy: Policy, method: str, score: str, obs: Tensor, action: Tensor, settings: MethodSettings) -> Tensor:
    found = METHODS[method](
        make_score(policy, score, obs, action),
        obs,
        max_batch=settings.max_batch,
        seed=settings.seed,
        **settings.changes.get(method, {}),
    )
    pixels = policy.pixels
    return per_frame(found, pixels.colours, frames=pixels.frames, sign="signed", over=settings.over_colours)


def _actions(policy: Policy, action: Any, count: int) -> Tensor:
    """Actions as scores take them, one per observation. Raises UserError for anything else."""
    given = torch.as_tensor(np.asarray(action), device=policy.device)
    given = given.long() if policy.discrete else given.float()
    one = 0 if policy.discrete else 1
    if given.ndim == one:
        given = given.expand(count, *given.shape)
    likely = policy.greedy(policy.tensor(_blank(policy)))
    if given.shape != (count, *likely.shape[1:]):
        raise UserError(f"action has shape {tuple(given.shape)}: one for each of {count} observations is needed.")
    if policy.discrete:
        most = policy.preferences(policy.network, policy.tensor(_blank(policy))).shape[-1]
        if not bool(((given >= 0) & (given < most)).all()):
            raise UserError(f"action must be among 0 to {most - 1}, the actions of {policy.name}.")
    return given


def _blank(policy: Policy) -> np.ndarray:
    return np.zeros((1, *policy.pixels.shape), policy.pixels.dtype)


def _policy_of(
    network: nn.Module, obs: np.ndarray, output: str, layout: Layout | None, normalised: Normalisation | None
) -> Policy:
    """Make a policy from a network; its observations and actions are read off the array and the network's output."""
    if obs.dtype.kind not in "uifb" or obs.ndim not in (3, 4) or obs.size == 0:
        raise UserError(
            f"obs has shape {obs.shape} and type {obs.dtype}: pictures [batch, channel, height, width] are needed."
        )
    if normalised is None and obs.dtype.kind == "f" and float(obs.min()) < 0:
        raise UserError(
            f"obs lies in {float(obs.min()):g}..{float(obs.max()):g}, which no picture does: name what it is "
            "normalised with, such as mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)."
        )
    bytes_given = obs.dtype.kind != "f"
    shape = obs.shape[1:] if obs.ndim == 4 else obs.shape
    high = BYTE if bytes_given or (normalised is None and float(obs.max()) > UNIT) else UNIT
    dtype = "uint8" if bytes_given else "float32"
    pixels = pixels_of(shape, dtype, 0.0, high, layout=layout, normalised=normalised)
    device = next(network.parameters(), torch.empty(0)).device
    one = obs[:1] if obs.ndim == 4 else obs
    with torch.no_grad(), running(f"Computing {output} with the network"):
        computed = network.eval()(pixels.as_given(pixels.tensor(one.astype(dtype), device)))
    if not isinstance(computed, Tensor) or computed.ndim != 2:
        raise UserError(
            f"{type(network).__name__} must give a tensor [batch, {output}]; where it gives others, make a policy with "
            "saccade.policies.sources.module.from_module."
        )
    count = computed.shape[1]
    actions: gymnasium.Space[Any] = gymnasium.spaces.Discrete(count)
    if output == "action":
        actions = gymnasium.spaces.Box(-np.inf, np.inf, (count,))
    return from_module(network, pixels, actions, output)
