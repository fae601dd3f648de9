"""SMG (Zhang et al., 2024): SAC whose encoder must separate observations into a foreground and a background.

Two branches reconstruct an observation o: the foreground branch, on the critic's own encoder, outputs an image o+ and
a soft mask M for every frame; the background branch, on an encoder of its own, an image o-. Five losses on these
outputs train them (the phase *separation*), and the critic's values must stay the same when the background is
replaced or a picture blended in (the critic's *q_consistency*). To act, the actor needs none of it.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Collection, Mapping

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from saccade.agents.agent import Agent, Phase, Prepare, Shared, Term, in_order, with_drawn
from saccade.agents.configs import SMG, SVEA
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import sac, svea
from saccade.agents.methods.drq import random_shift
from saccade.agents.parts.attribution import q_maps
from saccade.agents.parts.augmentation import Augment, Images, make_augment
from saccade.nets.decoders import FrameDecoder
from saccade.nets.encoders import COLOURS
from saccade.nets.heads import multilayer_perceptron
from saccade.nets.initialization import orthogonal_and_delta
from saccade.pixels.masks import per_channel
from saccade.types import Batch, Spaces, UserError

WHITE = 255.0


class SMGNetworks(nn.Module):
    """SAC's networks, both branches and the inverse dynamics. The same ones regardless of which losses are on."""

    def __init__(self, actor_critic: sac.ActorCritic, config: SMG, spaces: Spaces) -> None:
        super().__init__()
        size, filters = config.sac.architecture, config.decoder_filters
        frames = spaces.obs_shape[0] // COLOURS
        critic = actor_critic.critic
        self.actor_critic = actor_critic
        self.foreground_decoder = FrameDecoder(size.projection, frames, size.image_size, COLOURS + 1, filters)
        self.background_encoder = nn.Sequential(copy.deepcopy(critic.convolutions), copy.deepcopy(critic.projection))
        self.background_decoder = FrameDecoder(size.projection, frames, size.image_size, COLOURS, filters)
        self.background_decoder.head.load_state_dict(self.foreground_decoder.head.state_dict())
        self.inverse_dynamics = multilayer_perceptron(2 * size.projection, size.hidden, spaces.action_dim)
        self.inverse_dynamics.apply(orthogonal_and_delta)

    def foreground(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """o+ ``[batch, frames * 3, height, width]`` in 0..255, M ``[batch, frames, height, width]`` in 0..1."""
        decoded = torch.sigmoid(self.foreground_decoder(embedding))
        return WHITE * decoded[:, :, :COLOURS].flatten(1, 2), decoded[:, :, COLOURS]

    def background(self, obs: Tensor) -> Tensor:
        """o- ``[batch, frames * 3, height, width]`` in 0..255."""
        return WHITE * torch.sigmoid(self.background_decoder(self.background_encoder(obs))).flatten(1, 2)

    def separate(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """o+ and M of an observation."""
        return self.foreground(self.actor_critic.critic.embed(obs))


def composited(front: Tensor, mask: Tensor, back: Tensor) -> Tensor:
    """``front * mask + back * (1 - mask)``: pictures ``[batch, frames * 3, h, w]``, mask ``[batch, frames, h, w]``."""
    return torch.lerp(back, front, per_channel(mask))


def reconstruction_error(batch: Batch, shared: Shared) -> Tensor:
    """Mean absolute difference of o+ M + o- (1 - M) from o (L_recon)."""
    rebuilt = composited(shared["foreground_of_obs"], shared["mask_of_obs"], shared["background_of_obs"])
    return F.l1_loss(rebuilt, batch.obs)


def mask_ratio_error(ratio: float) -> Callable[[Batch, Shared], Tensor]:
    """Squared difference between the mean of each frame's mask and the ratio (L_mask)."""

    def loss(batch: Batch, shared: Shared) -> Tensor:
        return (shared["mask_of_obs"].mean((-2, -1)) - ratio).square().mean()

    return loss


def background_error(batch: Batch, shared: Shared) -> Tensor:
    """Mean absolute difference of o- from the picture that was put behind the foreground (L_back)."""
    return F.l1_loss(shared["background_of_attribution_obs"], batch.drawn["background"])


def inverse_dynamics_error(nets: SMGNetworks) -> Callable[[Batch, Shared], Tensor]:
    """Mean squared error of the action, predicted from the embeddings of both observations around it (L_action)."""

    def loss(batch: Batch, shared: Shared) -> Tensor:
        both = torch.cat([shared["embedding_of_obs"], shared["embedding_of_next_obs"]], dim=-1)
        return F.mse_loss(nets.inverse_dynamics(both), batch.action)

    return loss


def foreground_error(batch: Batch, shared: Shared) -> Tensor:
    """Mean absolute difference of o+ M on the augmented observation from the clean one's, held fixed (L_fore)."""
    attribution, target = (
        shared[f"foreground_of_{view}"] * per_channel(shared[f"mask_of_{view}"]) for view in ("augmented_obs", "obs")
    )
    return F.l1_loss(attribution, target.detach())


def q_consistency(batch: Batch, shared: Shared) -> Tensor:
    """Squared difference of both Q on the augmented observation from those on the clean one, held fixed (L_q)."""
    clean = (shared["q1"].detach(), shared["q2"].detach())
    return sac.twin_squared_error((shared["augmented_q1"], shared["augmented_q2"]), clean)


EMBEDDED, SEPARATED, BACKGROUND = "embedded", "separated", "background"
READ: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "reconstruction": {SEPARATED: ("obs",), BACKGROUND: ("obs",)},
    "mask_ratio": {SEPARATED: ("obs",)},
    "background": {BACKGROUND: ("attribution_obs",)},
    "inverse_dynamics": {EMBEDDED: ("obs", "next_obs")},
    "foreground": {SEPARATED: ("obs", "augmented_obs")},
}
"""Which observations each term of the separation needs embedded, separated, or through the background branch."""


def views_through(branch: str, terms: Collection[str]) -> tuple[str, ...]:
    """Return the observations that these terms read through a branch, each once."""
    return tuple(dict.fromkeys(view for term in terms for view in READ[term].get(branch, ())))


def branches(nets: SMGNetworks, terms: Collection[str]) -> Callable[[Batch], Shared]:
    """Return what the terms read; each network runs once, on all observations that need it as one batch."""
    separated, hidden = views_through(SEPARATED, terms), views_through(BACKGROUND, terms)
    embedded = tuple(dict.fromkeys((*separated, *views_through(EMBEDDED, terms))))

    def share(batch: Batch) -> Shared:
        views = {"obs": batch.obs, "next_obs": batch.next_obs, **batch.drawn}
        found: dict[str, Tensor] = {}

        def keep(name: str, of: tuple[str, ...], values: Tensor) -> None:
            found.update({f"{name}_of_{view}": part for view, part in zip(of, values.chunk(len(of)), strict=True)})

        if embedded:
            embedding = nets.actor_critic.critic.embed(torch.cat([views[view] for view in embedded]))
            keep("embedding", embedded, embedding)
        if separated:
            image, mask = nets.foreground(embedding[: len(separated) * len(batch.obs)])
            keep("foreground", separated, image)
            keep("mask", separated, mask)
        if hidden:
            keep("background", hidden, nets.background(torch.cat([views[view] for view in hidden])))
        return found

    return share


def separation_phase(nets: SMGNetworks, config: SMG) -> Phase:
    """Phase of the auxiliary losses: a second Adam over the critic's encoder, and one over what only they train."""
    losses = {
        "reconstruction": reconstruction_error,
        "mask_ratio": mask_ratio_error(config.mask_ratio),
        "background": background_error,
        "inverse_dynamics": inverse_dynamics_error(nets),
        "foreground": foreground_error,
    }
    begin = {"mask_ratio": config.mask_first_update}
    on = config.weights
    return Phase(
        "separation",
        {name: Term(losses[name], weight, begin.get(name, 0)) for name, weight in on.items()},
        sac.adam(*trained_by(nets, on), lr=config.separation_lr),
        share=branches(nets, on),
        every=config.separation_every,
        max_gradient_norm=config.max_gradient_norm,
    )


def trained_by(nets: SMGNetworks, terms: Collection[str]) -> list[nn.Module]:
    """Return the networks that the terms reach, including the critic's encoder, which Adam steps a second time."""
    separated, embedded = views_through(SEPARATED, terms), views_through(EMBEDDED, terms)
    modules: list[nn.Module] = []
    if separated or embedded:
        modules += [nets.actor_critic.critic.convolutions, nets.actor_critic.critic.projection]
    if separated:
        modules.append(nets.foreground_decoder)
    if views_through(BACKGROUND, terms):
        modules += [nets.background_encoder, nets.background_decoder]
    return [*modules, nets.inverse_dynamics] if embedded else modules


def critic_phase(nets: sac.ActorCritic, config: SMG) -> Phase:
    """SAC's critic phase with the consistency: clean and augmented observations pass as one batch, as in SVEA."""
    if not config.q_consistency_weight:
        return sac.critic_phase(nets, config.sac)
    terms = {"bellman": Term(sac.bellman_error), "q_consistency": Term(q_consistency, config.q_consistency_weight)}
    return dataclasses.replace(svea.critic_phase(nets, SVEA(config.sac)), terms=terms)


def replaced_background(nets: SMGNetworks, obs: Tensor, background: Tensor) -> Tensor:
    """Return the attribution augmentation: the foreground before another background, o M + background (1 - M).

    No gradient. An update computes it before its first step, with the weights that it begins with.
    """
    with torch.no_grad():
        return composited(obs, nets.separate(obs)[1], background)


def draw_replaced_backgrounds(nets: SMGNetworks, images: Images | None) -> Prepare:
    """Add ``background``, a picture per sample on all its frames, and ``attribution_obs``, obs in front of it."""
    if images is None:
        raise UserError("SMG puts pictures behind what it sees but was given none: pass a bank of images.")

    def prepare(batch: Batch, generator: Generator) -> Batch:
        obs = batch.obs
        background = images(len(obs), obs.shape[-1], generator).repeat(1, obs.shape[1] // COLOURS, 1, 1)
        return with_drawn(batch, background=background, attribution_obs=replaced_background(nets, obs, background))

    return prepare


def draw_augmented(augment: Augment, share: float) -> Prepare:
    """Add ``augmented_obs``: with probability ``share``, one draw per batch, it is ``attribution_obs`` itself."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        augmented = augment(batch.obs, generator)
        if share:
            replaced = torch.rand((), generator=generator, device=generator.device) < share
            augmented = torch.where(replaced, batch.drawn["attribution_obs"], augmented)
        return with_drawn(batch, augmented_obs=augmented)

    return prepare


def pictures(nets: SMGNetworks) -> Mapping[str, Callable[[Tensor], Tensor]]:
    """Return what the agent sees in observations: figure 4 of the paper, without the mask, which is a map."""

    @torch.no_grad()
    def foreground(obs: Tensor) -> Tensor:
        return nets.separate(obs)[0]

    @torch.no_grad()
    def attribution(obs: Tensor) -> Tensor:
        image, mask = nets.separate(obs)
        return image * per_channel(mask)

    @torch.no_grad()
    def reconstruction(obs: Tensor) -> Tensor:
        return composited(*nets.separate(obs), nets.background(obs))

    return {
        "attribution": attribution,
        "foreground": foreground,
        "background": torch.no_grad()(nets.background),
        "reconstruction": reconstruction,
    }


def foreground_mask(nets: SMGNetworks) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the agent's soft mask M, which does not depend on the action."""

    @torch.no_grad()
    def mask(obs: Tensor, action: Tensor) -> Tensor:
        return nets.separate(obs)[1]

    return mask


def check(config: SMG, spaces: Spaces) -> None:
    """Raise UserError for observations or ratios that cannot be separated."""
    if not 0 < config.mask_ratio < 1:
        raise UserError(
            f"--mask-ratio {config.mask_ratio} leaves all or nothing to the background: "
            "it must lie between 0 and 1, such as 0.06."
        )
    channels, *sides = spaces.obs_shape
    if channels % COLOURS:
        raise UserError(
            f"Observations of {channels} channels cannot be separated frame by frame: "
            "SMG needs frames of three colours, so a multiple of 3 channels."
        )
    if {*sides} != {config.sac.architecture.image_size}:
        raise UserError(
            f"Observations of {sides[1]}x{sides[0]} pixels cannot be compared with reconstructions of "
            f"{config.sac.architecture.image_size}: SMG needs observations of exactly the encoder's --image-size."
        )


def make_smg(config: SMG, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SAC with the consistency term in the critic's phase and the phase that separates observations."""
    check(config, spaces)
    actor_critic = sac.make_networks(spaces, config.sac, device)
    nets = SMGNetworks(actor_critic, config, spaces).to(device)
    phases = [critic_phase(actor_critic, config), sac.actor_phase(actor_critic, config.sac)]
    if config.weights:
        phases.append(separation_phase(nets, config))
    prepare = [random_shift(config.shift), sac.as_float, sac.draw_action_noise(spaces.action_dim)]
    if config.replaces_backgrounds:
        prepare.append(draw_replaced_backgrounds(nets, given.images))
    if config.augments:
        prepare.append(draw_augmented(make_augment(config.strong, given.images), config.attribution_share))
    return Agent(
        networks=nets,
        act=sac.squashed_gaussian_policy(actor_critic),
        prepare=in_order(*prepare),
        phases=tuple(phases),
        batch_size=config.sac.batch_size,
        maps={**q_maps(actor_critic.critic), "foreground_mask": foreground_mask(nets)},
        outputs=sac.squashed_gaussian_outputs(lambda networks: networks.actor_critic),
        pictures=pictures(nets),
    )
