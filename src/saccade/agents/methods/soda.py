"""SODA (Hansen and Wang, 2021): SAC with an auxiliary task that predicts the clean latent from an augmented view."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from saccade.agents.agent import Agent, OwnBatch, Phase, Prepare, Shared, Term, in_order, with_drawn
from saccade.agents.configs import SODA, SVEAWithSODA
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import sac, svea
from saccade.agents.methods.drq import random_shift
from saccade.agents.methods.rad import draw_crops, random_crop
from saccade.agents.parts.attribution import q_maps
from saccade.agents.parts.augmentation import Augment, draw_augmented, make_augment
from saccade.nets.encoders import Convolutions
from saccade.nets.heads import normalized_perceptron
from saccade.nets.initialization import orthogonal_and_delta
from saccade.types import Batch, Spaces


class LatentPredictor(nn.Module):
    """SODA's projection and prediction heads on the shared convolutions, and the slow copy of the encoder."""

    def __init__(self, convolutions: Convolutions, width: int) -> None:
        super().__init__()
        self.projection = nn.Sequential(nn.Flatten(), normalized_perceptron(convolutions.out_features, width, width))
        self.prediction = normalized_perceptron(width, width, width)
        self.apply(orthogonal_and_delta)
        self.target_convolutions = copy.deepcopy(convolutions).requires_grad_(False)
        self.target_projection = copy.deepcopy(self.projection).requires_grad_(False)


class SODANetworks(nn.Module):
    """SAC's networks and the latent predictor."""

    def __init__(self, actor_critic: sac.ActorCritic, width: int) -> None:
        super().__init__()
        self.actor_critic = actor_critic
        self.predictor = LatentPredictor(actor_critic.critic.convolutions, width)


def latent_prediction(nets: SODANetworks) -> Callable[[Batch, Shared], Tensor]:
    """Return the mean squared distance of normalised latents (Hansen and Wang, 2021, equation 5).

    The shared encoder predicts from the augmented view what the slow encoder computes from the clean view.
    """

    def loss(batch: Batch, shared: Shared) -> Tensor:
        convolutions, heads = nets.actor_critic.critic.convolutions, nets.predictor
        predicted = heads.prediction(heads.projection(convolutions(batch.drawn["augmented_obs"])))
        with torch.no_grad():
            target = heads.target_projection(heads.target_convolutions(batch.obs))
        return F.mse_loss(F.normalize(predicted, dim=-1), F.normalize(target, dim=-1))

    return loss


def soda_phase(nets: SODANetworks, config: SODA | SVEAWithSODA, prepare: Prepare) -> Phase:
    """The auxiliary task: its own batch, its own Adam over the shared convolutions and both heads."""
    convolutions, heads = nets.actor_critic.critic.convolutions, nets.predictor

    def move_target() -> None:
        # The buffers of batch normalisation are not moved, as in the published code.
        sac.move_towards(heads.target_convolutions, convolutions, config.soda_target_rate)
        sac.move_towards(heads.target_projection, heads.projection, config.soda_target_rate)

    return Phase(
        "soda",
        {"latent_prediction": Term(latent_prediction(nets))},
        sac.adam(convolutions, heads.projection, heads.prediction, lr=config.soda_lr),
        every=config.soda_every,
        after=move_target,
        own_batch=OwnBatch(config.soda_batch_size, prepare),
    )


def two_views(size: int, positions: int, augment: Augment) -> Prepare:
    """Return two independent crops of each observation: a clean one, and a strongly augmented one."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        clean, other = (draw_crops(batch.obs, size, positions, generator) for _ in range(2))
        return with_drawn(batch._replace(obs=clean.float()), augmented_obs=augment(other.float(), generator))

    return prepare


def make_soda(config: SODA, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SAC on random crops, with the auxiliary task on a batch of its own."""
    size = config.sac.architecture.image_size
    actor_critic = sac.make_networks(spaces, config.sac, device)
    nets = SODANetworks(actor_critic, config.sac.architecture.projection).to(device)
    views = two_views(size, config.crop_positions, make_augment(config.strong, given.images))
    crop = random_crop(size, config.crop_positions)
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(actor_critic),
        prepare=in_order(crop, sac.as_float, sac.draw_action_noise(spaces.action_dim)),
        phases=(
            sac.critic_phase(actor_critic, config.sac),
            sac.actor_phase(actor_critic, config.sac),
            soda_phase(nets, config, views),
        ),
        batch_size=config.sac.batch_size,
        maps=q_maps(actor_critic.critic),
        outputs=sac.squashed_gaussian_outputs(lambda networks: networks.actor_critic),
    )


def make_svea_with_soda(config: SVEAWithSODA, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SVEA with SODA's phase after it; both augment shifted pictures of the encoder's own size."""
    base = config.svea
    actor_critic = sac.make_networks(spaces, base.sac, device)
    nets = SODANetworks(actor_critic, base.sac.architecture.projection).to(device)
    augment = draw_augmented(make_augment(base.strong, given.images))
    shift_and_augment = in_order(random_shift(base.shift), sac.as_float, augment)
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(actor_critic),
        prepare=svea.prepare_svea(base, spaces.action_dim, given.images),
        phases=(
            svea.critic_phase(actor_critic, base),
            sac.actor_phase(actor_critic, base.sac),
            soda_phase(nets, config, shift_and_augment),
        ),
        batch_size=base.sac.batch_size,
        maps=q_maps(actor_critic.critic),
        outputs=sac.squashed_gaussian_outputs(lambda networks: networks.actor_critic),
    )
