"""What SG-DQN and SG-PPO share: which pixels count as salient, and the network that predicts them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from saccade.agents.agent import Prepare, draws_nothing, with_drawn
from saccade.agents.configs_discrete import Guidance
from saccade.agents.parts.attribution import Attribution
from saccade.nets.decoders import ImageDecoder
from saccade.pixels.masks import fill_outside, largest_per_frame, quantile_mask
from saccade.types import Batch, Spaces, UserError

TRUTH, NOISE = "truth", "mask_noise"
"""Names in ``batch.drawn`` of the simulator's own masks, and of the numbers that random ones are made from."""

Draw = Callable[[Tensor, Tensor, Tensor | None, Tensor | None], Tensor]
"""``(obs, action, truth or None, noise or None) -> masks``, bool ``[batch, frames, height, width]``."""


class MaskPredictor(nn.Module):
    """Predicts mask logits ``[batch, frames * colours, height, width]`` from a trunk's features and the action.

    Raises UserError if pictures are not square, or of a side that cannot be decoded.
    """

    def __init__(self, spaces: Spaces, choices: int, features: int, filters: tuple[int, int]) -> None:
        super().__init__()
        channels, height, width = spaces.obs_shape
        if height != width:
            raise UserError(
                f"A mask of {width}x{height} pixels cannot be predicted, only a square one: use another task, or "
                "--no-self-supervision."
            )
        self.choices = choices
        self.decoder = ImageDecoder(features + choices, height, channels, filters)

    def forward(self, features: Tensor, action: Tensor) -> Tensor:
        chosen = action[:, None] == torch.arange(self.choices, device=action.device)  # F.one_hot would wait
        return self.decoder(torch.cat([features, chosen.to(features.dtype)], dim=-1))


def salient(guidance: Guidance, attribute: Attribution, colours: int) -> Draw:
    """Return the masks that a configuration names. A random one shows as many pixels as one of the attribution."""

    def attributed(obs: Tensor, action: Tensor, truth: Tensor | None, noise: Tensor | None) -> Tensor:
        return quantile_mask(largest_per_frame(attribute(obs, action), colours), guidance.quantile)

    def simulators(obs: Tensor, action: Tensor, truth: Tensor | None, noise: Tensor | None) -> Tensor:
        assert truth is not None, "an environment that knows the truth reports it"
        return truth

    def random(obs: Tensor, action: Tensor, truth: Tensor | None, noise: Tensor | None) -> Tensor:
        assert noise is not None, "draw_noise comes first"
        return quantile_mask(noise, guidance.quantile)

    return {"attribution": attributed, "oracle": simulators, "random": random}[guidance.mask]


def noise_like(obs: Tensor, colours: int, generator: Generator) -> Tensor:
    """Return a uniform number for every pixel of every frame, from which random masks are made."""
    batch, channels, height, width = obs.shape
    return torch.rand((batch, channels // colours, height, width), generator=generator, device=generator.device)


def draw_noise(guidance: Guidance, colours: int) -> Prepare:
    """Add ``mask_noise`` if masks are random."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        return with_drawn(batch, **{NOISE: noise_like(batch.obs, colours, generator)})

    return prepare if guidance.mask == "random" else draws_nothing


def apart_from_truth(guidance: Guidance, colours: int) -> Prepare[Batch]:
    """Split off the masks that come as one more channel of every frame of ``obs``, as ``truth``."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        obs, next_obs = (seen.unflatten(1, (-1, colours + 1)) for seen in (batch.obs, batch.next_obs))
        pixels, following = (seen[:, :, :colours].flatten(1, 2) for seen in (obs, next_obs))
        return with_drawn(batch._replace(obs=pixels, next_obs=following), **{TRUTH: obs[:, :, colours] > 0})

    return prepare if guidance.mask == "oracle" else draws_nothing


def seen_through(draw: Draw, act: Callable[[Tensor], Tensor], colours: int) -> Callable[[Tensor], Tensor]:
    """Return the observation's salient pixels for the deterministic action, with black in place of the others."""

    @torch.no_grad()
    def masked(obs: Tensor) -> Tensor:
        pixels = obs.float()
        return fill_outside(pixels, draw(pixels, act(pixels), None, None), 0.0, colours)

    return masked
