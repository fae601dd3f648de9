"""SVEA (Hansen et al., 2021): SAC whose critic also learns on strongly augmented observations, with clean targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Generator, Tensor

from saccade.agents import sac
from saccade.agents.agent import Agent, Phase, Prepare, Shared, Term, in_order, with_drawn
from saccade.agents.attribution import q_maps
from saccade.agents.drq import random_shift
from saccade.agents.sac import Images
from saccade.pixels.augmentations import draw_convolutions, random_convolution, random_overlay
from saccade.types import Batch, Spaces, UserError


@dataclass(frozen=True)
class SVEA:
    """Hyper-parameters of SVEA; the defaults are the benchmark's code."""

    sac: sac.SAC = field(default_factory=sac.SAC)
    shift: int = 4
    """Largest random shift in pixels, before the strong augmentation; 0 switches it off."""
    augmentation: Literal["random_convolution", "overlay"] = "random_convolution"
    """The strong augmentation. The published code runs the convolution, the tables of later papers the overlay."""
    overlay_opacity: float = 0.5
    clean_weight: float = 0.5
    """Weight of the Bellman error on clean observations (alpha of equation 6)."""
    augmented_weight: float = 0.5
    """Weight of the Bellman error on augmented observations (beta of equation 6)."""


def overlay(images: Images | None, opacity: float) -> Callable[[Tensor, Generator], Tensor]:
    """Random overlay as an augmentation that draws its own pictures."""
    if images is None:
        raise UserError("This method blends pictures into observations and was given none: pass a bank of images.")

    def augment(obs: Tensor, generator: Generator) -> Tensor:
        return random_overlay(obs, images(len(obs), obs.shape[-1], generator), opacity)

    return augment


def convolution(obs: Tensor, generator: Generator) -> Tensor:
    """Random convolution as an augmentation that draws its own kernels."""
    return random_convolution(obs, draw_convolutions(len(obs), generator))


def draw_augmented(augment: Callable[[Tensor, Generator], Tensor]) -> Prepare:
    """Adds the drawn tensor ``augmented_obs``: a strongly augmented copy of obs."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        return with_drawn(batch, augmented_obs=augment(batch.obs, generator))

    return prepare


def stabilized_bellman_error(batch: Batch, shared: Shared) -> Tensor:
    """Bellman residual on the augmented observations against the clean targets (Hansen et al., 2021, equation 6)."""
    target = shared["target"]
    return sac.twin_squared_error((shared["augmented_q1"], shared["augmented_q2"]), (target, target))


def critic_phase(nets: sac.ActorCritic, config: SVEA) -> Phase:
    """SAC's critic phase on clean and augmented observations, which pass the encoder as one batch."""
    plain = sac.critic_phase(nets, config.sac)

    def share(batch: Batch) -> Shared:
        both = torch.cat([batch.obs, batch.drawn["augmented_obs"]])
        q1, q2 = nets.critic(both, batch.action.repeat(2, 1))
        (q1, augmented_q1), (q2, augmented_q2) = q1.chunk(2), q2.chunk(2)
        target = sac.bootstrapped_return(nets, batch, discount=config.sac.discount)
        return {
            "q1": q1,
            "q2": q2,
            "augmented_q1": augmented_q1,
            "augmented_q2": augmented_q2,
            "target": target,
        }

    terms = {
        "bellman": Term(sac.bellman_error, config.clean_weight),
        "stabilized_bellman": Term(stabilized_bellman_error, config.augmented_weight),
    }
    return Phase("critic", terms, plain.optimizer, share=share, after=plain.after, after_every=plain.after_every)


def prepare_svea(config: SVEA, action_dim: int, images: Images | None) -> Prepare:
    """Shift, then the strong augmentation of the shifted observation."""
    augment = overlay(images, config.overlay_opacity) if config.augmentation == "overlay" else convolution
    return in_order(
        random_shift(config.shift), sac.as_float, sac.draw_action_noise(action_dim), draw_augmented(augment)
    )


def make_svea(config: SVEA, spaces: Spaces, device: torch.device, images: Images | None = None) -> Agent:
    """SAC with the stabilised critic; the actor learns on clean observations alone."""
    nets = sac.make_networks(spaces, config.sac, device)
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(nets),
        prepare=prepare_svea(config, spaces.action_dim, images),
        phases=(critic_phase(nets, config), sac.actor_phase(nets, config.sac)),
        batch_size=config.sac.batch_size,
        maps=q_maps(nets.critic),
        outputs=sac.squashed_gaussian_outputs(),
    )
