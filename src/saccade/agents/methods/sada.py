"""SADA (Almuzairee, Hansen and Christensen, 2024): SVEA whose actor, too, acts on augmented observations.

Augmentation applies to what the actor acts on, never to what its actions are judged by: in the actor's loss the critic
sees the clean observation for both halves. So augmentations may also rotate and shift what is seen, not only recolour
it."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from saccade.agents.agent import Agent, Phase, Prepare, Shared, in_order, with_drawn
from saccade.agents.configs import CONVOLUTION, FAR_SHIFT, OVERLAY, ROTATION, SADA, SVEA
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import sac, svea
from saccade.agents.methods.drq import random_shift
from saccade.agents.parts.attribution import q_maps
from saccade.agents.parts.augmentation import Augment, Images, convolution, draw_augmented, overlay
from saccade.nets.encoders import RectifiedStack
from saccade.pixels.augmentations import draw_offsets, rotate_by, shift_at
from saccade.types import Batch, Spaces, UserError


def one_of_each(config: SADA, images: Images | None) -> Augment:
    """Return an augmentation that applies one of the configuration's augmentations to each sample, equally likely.

    A rotation's angle is one draw for all samples that get this augmentation, as in the authors' code; everything else
    is drawn for each sample.
    """
    kinds = config.strong_augmentations
    if config.overlays and images is None:
        raise UserError("This method blends pictures into observations but was given none: pass a bank of images.")

    def rotate(obs: Tensor, generator: Generator, kind: Tensor) -> Tensor:
        turns = torch.rand(len(kinds), generator=generator, device=generator.device)
        return rotate_by(obs, ((2 * turns - 1) * config.rotation_degrees)[kind])

    def shift(obs: Tensor, generator: Generator, kind: Tensor) -> Tensor:
        return shift_at(obs, draw_offsets(len(obs), 2 * config.far_shift + 1, generator), config.far_shift)

    def blend(obs: Tensor, generator: Generator, kind: Tensor) -> Tensor:
        assert images is not None
        return overlay(images, config.overlay_opacity)(obs, generator)

    parts: dict[str, Callable[[Tensor, Generator, Tensor], Tensor]] = {
        ROTATION: rotate,
        FAR_SHIFT: shift,
        CONVOLUTION: lambda obs, generator, kind: convolution(obs, generator),
        OVERLAY: blend,
    }

    def augment(obs: Tensor, generator: Generator) -> Tensor:
        kind = torch.randint(len(kinds), (len(obs),), generator=generator, device=generator.device)
        for part, change in parts.items():
            having = [kind == number for number, name in enumerate(kinds) if part in name]
            if having:
                chosen = functools.reduce(operator.or_, having)[:, None, None, None]
                obs = torch.where(chosen, change(obs, generator, kind), obs)
        return obs

    return augment


def draw_augmented_action_noise(action_dim: int) -> Prepare:
    """Standard-normal noise for the actor's action on the augmented observation."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        shape = (len(batch.reward), action_dim)
        noise = torch.randn(shape, generator=generator, device=generator.device)
        return with_drawn(batch, augmented_action_noise=noise)

    return prepare


def critic_phase(nets: sac.ActorCritic, config: SADA) -> Phase:
    """SVEA's critic phase; the target's projection moves as slowly as its Q heads."""
    errors = SVEA(config.sac, clean_weight=config.clean_weight, augmented_weight=config.augmented_weight)

    def move() -> None:
        for name, part in nets.target_critic.named_children():
            rate = config.sac.encoder_target_rate if name == "convolutions" else config.sac.q_target_rate
            sac.move_towards(part, nets.critic.get_submodule(name), rate)

    return dataclasses.replace(svea.critic_phase(nets, errors), after=move)


def actor_phase(nets: sac.ActorCritic, config: SADA) -> Phase:
    """SAC's actor phase on clean and augmented observations: a ~ pi(. | o or aug(o)), judged by Q(o, a).

    Looks at ``features augmented_features``.
    """
    plain = sac.actor_phase(nets, config.sac)
    if not config.augmented_actor:
        return plain

    def share(batch: Batch) -> Shared:
        clean = batch.seen["features"]
        noise = torch.cat([batch.drawn["action_noise"], batch.drawn["augmented_action_noise"]])
        features = torch.cat([clean, batch.seen["augmented_features"]])
        return sac.judged_actions(nets, features, torch.cat([clean, clean]), noise)

    return dataclasses.replace(plain, look=sac.look_at_both(nets), share=share)


def make_sada(config: SADA, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SVEA's critic and an actor that sees augmented observations, on DrQ-v2's encoder."""
    if not config.strong_augmentations:
        raise UserError("--strong-augmentations is empty: name at least one, such as overlay.")
    size = config.sac.architecture
    shape = spaces.obs_shape[0], size.image_size, size.filters, size.conv_layers
    # Deviation: pixels are 0..1, as in the benchmark, and not -0.5..0.5; biases can make up for it.
    encoder = RectifiedStack(*shape) if config.last_relu else sac.benchmark_stack(spaces, size)
    nets = sac.make_networks(spaces, config.sac, device, encoder)
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(nets),
        prepare=in_order(
            random_shift(config.shift),
            sac.as_float,
            sac.draw_action_noise(spaces.action_dim),
            draw_augmented_action_noise(spaces.action_dim),
            draw_augmented(one_of_each(config, given.images)),
        ),
        phases=(critic_phase(nets, config), actor_phase(nets, config)),
        batch_size=config.sac.batch_size,
        maps=q_maps(nets.critic),
        outputs=sac.squashed_gaussian_outputs(),
    )
