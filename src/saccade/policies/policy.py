"""The type of every policy that acts on pixels: how it acts, and what its network outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from torch import Generator, Tensor, nn

from saccade.policies.normalisation import BYTE
from saccade.policies.pixels import Pixels
from saccade.types import UserError

Output = Callable[..., Tensor]
"""``(network, obs [batch, channel, height, width]) -> [batch, ...]``; ``q`` takes the action as a third argument."""

OUTPUTS = ("logits", "q_values", "mean", "log_std", "gaussian", "action", "value", "q")
"""What a policy's network may output.

logits ``[batch, actions]`` of a categorical policy; q_values ``[batch, actions]`` of a discrete value network;
mean and log_std ``[batch, action_dim]`` of a Gaussian, before any squashing; gaussian ``[batch, 2, action_dim]``, both
of them, for networks that compute both in one pass; action ``[batch, action_dim]``, the deterministic action of a
continuous policy, as its critic takes it; value ``[batch]``; q ``[batch]`` of an observation and an action.
"""


@final
@dataclass(frozen=True)
class Policy:
    """A policy of any origin: it acts on NumPy observations, and gives access to its network's outputs.

    Attributes:
        name: its name in tables.
        network: everything that the outputs are computed with.
        outputs: those of ``OUTPUTS`` that this policy has.
        pixels: what its observations look like.
        discrete: whether actions are whole numbers.
        to_env: converts deterministic actions to what the environment takes; by default unchanged.
        maps: saliency maps that the network computes itself, by name: ``(obs, action) -> [batch, frames, height,
            width]``; a map whose name ends in ``mask`` lies in 0..1.
        pictures: pictures that the agent computes from observations, by name: ``obs -> [batch, frames * 3, h, w]`` in
            0..255, as large as the observation, or smaller if the agent crops it.
        draw: ``(obs, generator) -> action`` in the form of ``greedy``, sampled from the policy; None if unknown.
        env_steps: agent steps that the weights were trained for; 0 if unknown.
        source: where it came from, for reports.
        config: a Saccade run's ``RunConfig``; None for any other policy.
        layer: dotted name, in ``network``, of the layer whose maps Grad-CAM reads; None for its last convolution.
        masked: whether it was trained to choose only actions that its environment allows, which ``act`` is then given.
    """

    name: str
    network: nn.Module
    outputs: Mapping[str, Output]
    pixels: Pixels
    discrete: bool
    device: torch.device
    to_env: Callable[[np.ndarray], np.ndarray] = lambda action: action
    maps: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = field(default_factory=dict)
    pictures: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    draw: Callable[[Tensor, Generator], Tensor] | None = None
    env_steps: int = 0
    source: str = ""
    config: Any = None
    layer: str | None = None
    masked: bool = False

    def __post_init__(self) -> None:
        assert set(self.outputs) <= set(OUTPUTS), self.outputs
        assert {"logits", "q_values"} & set(self.outputs) if self.discrete else "action" in self.outputs

    @property
    def preferences(self) -> Output:
        """The output whose largest entry is a discrete policy's most likely action: its logits, else its Q values."""
        return self.outputs.get("logits") or self.outputs["q_values"]

    def fingerprint(self) -> str:
        """Return the SHA-256 of the weights; a file of the same name may hold other ones."""
        digest = hashlib.sha256()
        for name, value in self.network.state_dict().items():
            if isinstance(value, Tensor):
                flat = value.detach().cpu().flatten().contiguous().view(torch.uint8)
                digest.update(name.encode() + flat.numpy().tobytes())
        return digest.hexdigest()

    def act(self, obs: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
        """Return the deterministic action for an observation as the environment gives it, or for a batch of them.

        Args:
            allowed: bool ``[actions]``, or a batch of them: the actions that a discrete policy may choose from; None
                for all.

        Raises:
            UserError: another shape or dtype.
        """
        single = obs.ndim == len(self.pixels.shape)
        action = self.to_env(self.greedy(self.tensor(obs), allowed).cpu().numpy())
        return action[0] if single else action

    def sampler(self, seed: int) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function like ``act`` that samples actions from the policy, with random numbers of its own.

        Raises UserError if it has no probabilities to sample from.
        """
        draw = self.drawer(seed)

        def act(obs: np.ndarray) -> np.ndarray:
            return self.to_env(draw(self.tensor(obs)).cpu().numpy())

        return act

    def drawer(self, seed: int) -> Callable[[Tensor], Tensor]:
        """Return a function like ``greedy`` that samples actions. Raises UserError as ``sampler`` does."""
        generator = torch.Generator(self.device).manual_seed(seed)
        draw = self.draw
        if draw is not None:
            return lambda obs: draw(obs, generator)
        if "logits" not in self.outputs:
            raise UserError(f"{self.name} has no probabilities to sample actions from: leave out --sampled.")
        logits = self.outputs["logits"]

        def by_chances(obs: Tensor) -> Tensor:
            with torch.no_grad():
                chances = logits(self.network, obs).softmax(-1)
            return torch.multinomial(chances, 1, generator=generator)[:, 0]

        return by_chances

    def tensor(self, obs: np.ndarray) -> Tensor:
        """Return observations as scores take them: float ``[batch, channel, height, width]`` on the policy's device."""
        return self.pixels.tensor(obs, self.device)

    @torch.no_grad()
    def greedy(self, obs: Tensor, allowed: np.ndarray | None = None) -> Tensor:
        """Return deterministic actions as scores take them: long ``[batch]``, or ``[batch, action_dim]``."""
        if not self.discrete:
            return self.outputs["action"](self.network, obs)
        preferred = self.preferences(self.network, obs)
        if allowed is not None:
            preferred = preferred.masked_fill(~torch.as_tensor(allowed, device=obs.device), -torch.inf)
        return preferred.argmax(-1)

    def map(self, name: str, obs: np.ndarray) -> np.ndarray:
        """Compute one of the network's own maps, ``[batch, frames, h, w]``, for its greedy action."""
        if name not in self.maps:
            have = ", ".join(self.maps) or "none"
            raise UserError(f"{self.name} has no map called {name!r}; it has {have}.")
        batch = self.tensor(obs)
        return self.maps[name](batch, self.greedy(batch)).detach().cpu().numpy()

    def picture(self, name: str, obs: np.ndarray) -> np.ndarray:
        """Compute one of the agent's own pictures, uint8 ``[batch, frames * 3, h, w]``, rounded and clipped to 0..255.

        Raises UserError for a picture that it does not have, or that is not finite.
        """
        if name not in self.pictures:
            have = ", ".join(self.pictures) or "none"
            raise UserError(f"{self.name} has no picture called {name!r}; it has {have}.")
        drawn = self.pictures[name](self.tensor(obs)).detach()
        if not bool(drawn.isfinite().all()):
            raise UserError(f"{self.name}'s picture {name!r} holds NaN or infinity: are its weights finite?")
        return drawn.round().clamp(0, BYTE).to(torch.uint8).cpu().numpy()
