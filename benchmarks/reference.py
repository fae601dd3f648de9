"""What ours is measured against: the update of SGQN's authors, restated pass by pass and run as they run it.

The mathematics is ours (tests/equations/test_reference_update.py holds the two together); the arrangement is theirs, as
counted in their published code. Every term makes its own forward pass in float32, eagerly, with channels before pixels
in memory. Guided backpropagation is a forward pass of its own with hooks on every ReLU, as Captum does it. It is
repeated after the critic's step in every update, although only every second one needs it. Thresholds sort
(``torch.quantile``), and every mask is made again where it is read. The decoder doubles its maps and then convolves
them. The actor's step encodes the observation twice. Optimizers are plain ``torch.optim.Adam``, targets move parameter
by parameter, and losses and the range of the pixels are read as Python numbers in every update. The second augmentation
of the auxiliary step, which nothing reads, is made.

Left out, all in the reference's favour: decoding pictures (they are here, cut to size, before the clock starts),
stacking frames from the replay, writing logs, and Kornia's handling of parameters around the crop of each image.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from saccade.agents.methods.sac import Architecture
from saccade.agents.methods.sgqn import SGQN, SGQNNetworks
from saccade.pixels.augmentations import draw_offsets
from saccade.types import Batch, Spaces

BASE_CHANNELS = 32  # of the decoder's smallest map
OPACITY = 0.5  # of a picture laid over an observation
Mark = Callable[[str], None]


def _ignore(part: str) -> None:
    pass


class Encoder(nn.Module):
    """Convolutions, which actor and critic share, and a projection of its own."""

    def __init__(self, convolutions: nn.Sequential, in_features: int, out_features: int) -> None:
        super().__init__()
        self.convolutions = convolutions
        self.projection = nn.Sequential(
            nn.Flatten(), nn.Linear(in_features, out_features), nn.LayerNorm(out_features), nn.Tanh()
        )

    def forward(self, obs: Tensor, detach: bool = False) -> Tensor:
        features = self.convolutions(obs / 255.0)
        return self.projection(features.detach() if detach else features)


class Actor(nn.Module):
    """Squashed Gaussian: ``(obs, noise) -> (action, log-probability)``."""

    def __init__(self, encoder: Encoder, size: Architecture, action_dim: int, log_std: tuple[float, float]) -> None:
        super().__init__()
        self.encoder, self.log_std = encoder, log_std
        self.head = perceptron(size.projection, size.hidden, 2 * action_dim)

    def forward(self, obs: Tensor, noise: Tensor, detach: bool = False) -> tuple[Tensor, Tensor]:
        mean, log_std = self.head(self.encoder(obs, detach)).chunk(2, dim=-1)
        low, high = self.log_std
        log_std = low + 0.5 * (high - low) * (torch.tanh(log_std) + 1)
        action = mean + noise * log_std.exp()
        log_probability = (-0.5 * noise.pow(2) - log_std).sum(-1, keepdim=True)
        log_probability = log_probability - 0.5 * math.log(2 * math.pi) * noise.shape[-1]
        action = torch.tanh(action)
        return action, log_probability - torch.log(F.relu(1 - action.pow(2)) + 1e-6).sum(-1, keepdim=True)


class Critic(nn.Module):
    """Twin Q functions: ``(obs, action) -> (q1, q2)``, each ``[batch, 1]``."""

    def __init__(self, encoder: Encoder, size: Architecture, action_dim: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.q1 = perceptron(size.projection + action_dim, size.hidden, 1)
        self.q2 = perceptron(size.projection + action_dim, size.hidden, 1)

    def forward(self, obs: Tensor, action: Tensor, detach: bool = False) -> tuple[Tensor, Tensor]:
        joint = torch.cat([self.encoder(obs, detach), action], dim=1)
        return self.q1(joint), self.q2(joint)


class FirstValue(nn.Module):
    """The critic as a network of the observation alone, for guided backpropagation of its first value."""

    def __init__(self, critic: Critic, action: Tensor) -> None:
        super().__init__()
        self.critic, self.action = critic, action

    def forward(self, obs: Tensor) -> Tensor:
        return self.critic(obs, self.action)[0]


class MaskPredictor(nn.Module):
    """Logits of the mask from the critic's embedding and the action; doublings stand apart from convolutions."""

    def __init__(self, encoder: Encoder, size: Architecture, spaces: Spaces, filters: tuple[int, int]) -> None:
        super().__init__()
        self.encoder, self.side = encoder, size.image_size // 4
        self.linear = nn.Linear(size.projection + spaces.action_dim, BASE_CHANNELS * self.side**2)
        self.first = nn.Conv2d(BASE_CHANNELS, filters[0], 3, padding=1)
        self.second = nn.Conv2d(filters[0], filters[1], 3, padding=1)
        self.third = nn.Conv2d(filters[1], spaces.obs_shape[0], 3, padding=1)

    def forward(self, obs: Tensor, action: Tensor) -> Tensor:
        embedding = torch.cat([self.encoder(obs), action], dim=1)
        maps = self.linear(embedding).view(-1, BASE_CHANNELS, self.side, self.side)
        maps = self.first(F.relu(maps))
        maps = self.second(F.relu(F.interpolate(maps, scale_factor=2.0, mode="nearest")))
        return self.third(F.relu(F.interpolate(maps, scale_factor=2.0, mode="nearest")))


class ReferenceUpdate:
    """The authors' networks with the weights of one of our agents, and their update.

    pictures: ``[batch, 3, height, width]`` in 0..255, to lay over observations.
    """

    def __init__(self, config: SGQN, spaces: Spaces, networks: SGQNNetworks, pictures: Tensor) -> None:
        size = config.sac.architecture
        assert spaces.obs_shape[1:] == (size.image_size, size.image_size), "the authors' encoder would crop"
        self.config, self.pictures = config, pictures
        ours = networks.actor_critic
        convolutions = convolution_stack(spaces.obs_shape[0], size)
        features = ours.critic.convolutions.out_features
        self.critic = Critic(Encoder(convolutions, features, size.projection), size, spaces.action_dim)
        bounds = (config.sac.log_std_min, config.sac.log_std_max)
        self.actor = Actor(Encoder(convolutions, features, size.projection), size, spaces.action_dim, bounds)
        self.predictor = MaskPredictor(self.critic.encoder, size, spaces, config.decoder_filters)
        self.log_temperature = nn.Parameter(ours.log_temperature.detach().clone())
        weight = next(networks.parameters())
        for module in (self.critic, self.actor, self.predictor):
            module.to(weight.device, weight.dtype)
        self.target = copy.deepcopy(self.critic)
        copy_weights(networks, self)
        sac = config.sac
        self.critic_adam = torch.optim.Adam(self.critic.parameters(), lr=sac.critic_lr)
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), lr=sac.actor_lr)
        betas = (sac.temperature_beta1, 0.999)
        self.temperature_adam = torch.optim.Adam([self.log_temperature], lr=sac.temperature_lr, betas=betas)
        self.predictor_adam = torch.optim.Adam(self.predictor.parameters(), lr=config.saliency_lr)

    def prepare(self, batch: Batch, generator: Generator) -> Batch:
        """The batch shifted image by image, with every random number of an update, drawn in our order."""
        obs, next_obs = (shift(pixels.float(), self.config.shift, generator) for pixels in (batch.obs, batch.next_obs))
        shape = batch.action.shape
        next_noise, noise = (torch.randn(shape, generator=generator, device=generator.device) for _ in range(2))
        position = torch.rand((), generator=generator, device=generator.device)
        low, high = obs.min().item(), obs.max().item()
        drawn = {
            "next_action_noise": next_noise,
            "action_noise": noise,
            "mask_fill": low + (high - low) * position,
            "picture": self.pictures[: len(obs)],
        }
        return batch._replace(obs=obs, next_obs=next_obs, drawn=drawn)

    def update(self, batch: Batch, index: int, mark: Mark = _ignore) -> dict[str, float]:
        """One update on a prepared batch; ``mark(part)`` is called when a part of it has been launched."""
        sac = self.config.sac
        losses = self.critic_step(batch)
        mark("critic")
        attribution = guided_gradient(self.critic, batch.obs, batch.action)
        mask = salient(attribution, self.config.quantile)
        mark("saliency")
        if index % sac.actor_every == 0:
            losses |= self.actor_step(batch)
            mark("actor")
        if index % sac.target_every == 0:
            self.move_target()
            mark("critic")
        if index % self.config.saliency_every == 0:
            losses |= self.saliency_step(batch, attribution, mask)
            mark("saliency")
        return losses

    def critic_step(self, batch: Batch) -> dict[str, float]:
        reward, going_on = batch.reward[:, None], batch.discount[:, None]
        with torch.no_grad():
            next_action, log_probability = self.actor(batch.next_obs, batch.drawn["next_action_noise"])
            target_q1, target_q2 = self.target(batch.next_obs, next_action)
            value = torch.min(target_q1, target_q2) - self.log_temperature.exp() * log_probability
            target = reward + going_on * self.config.sac.discount * value
        q1, q2 = self.critic(batch.obs, batch.action)
        bellman = F.mse_loss(q1, target) + F.mse_loss(q2, target)
        mask = salient(guided_gradient(self.critic, batch.obs, batch.action), self.config.quantile)
        masked = batch.obs * mask
        masked[mask < 1] = batch.drawn["mask_fill"].to(masked.dtype)
        masked_q1, masked_q2 = self.critic(masked, batch.action)
        consistency = F.mse_loss(q1, masked_q1) + F.mse_loss(q2, masked_q2)
        minimise(bellman + self.config.consistency_weight * consistency, self.critic_adam)
        return {"critic/bellman": bellman.item(), "critic/consistency": consistency.item()}

    def actor_step(self, batch: Batch) -> dict[str, float]:
        action, log_probability = self.actor(batch.obs, batch.drawn["action_noise"], detach=True)
        q1, q2 = self.critic(batch.obs, action, detach=True)
        temperature = self.log_temperature.exp()
        policy = (temperature.detach() * log_probability - torch.min(q1, q2)).mean()
        minimise(policy, self.actor_adam)
        excess = (-log_probability + batch.action.shape[-1]).detach()
        loss = (temperature * excess).mean()
        minimise(loss, self.temperature_adam)
        return {"actor/policy": policy.item(), "actor/temperature": loss.item()}

    @torch.no_grad()
    def move_target(self) -> None:
        sac = self.config.sac
        rates = {"encoder": sac.encoder_target_rate, "q1": sac.q_target_rate, "q2": sac.q_target_rate}
        for name, rate in rates.items():
            moving, model = self.target.get_submodule(name), self.critic.get_submodule(name)
            for slow, fast in zip(moving.parameters(), model.parameters(), strict=True):
                slow.copy_(rate * fast + (1 - rate) * slow)

    def saliency_step(self, batch: Batch, attribution: Tensor, mask: Tensor) -> dict[str, float]:
        frames = batch.obs.shape[1] // 3
        picture = batch.drawn["picture"].repeat(1, frames, 1, 1)
        overlaid = ((1 - OPACITY) * (batch.obs / 255.0) + OPACITY * (picture / 255.0)) * 255.0
        _unread = batch.obs * mask + picture * ~mask
        target = salient(attribution, self.config.quantile)
        logits = self.predictor(overlaid, batch.action)
        loss = F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))
        minimise(loss, self.predictor_adam)
        return {"saliency/prediction": loss.item()}


def guided_gradient(critic: Critic, obs: Tensor, action: Tensor) -> Tensor:
    """Guided backpropagation of the first value: a forward pass of its own, and back to the pixels alone."""
    network, seen = FirstValue(critic, action.detach()), obs.detach().requires_grad_()
    with guided(network):
        return torch.autograd.grad(torch.unbind(network(seen)), seen)[0]


@contextmanager
def guided(network: nn.Module) -> Iterator[None]:
    """Hooks on every ReLU that keep negative gradients from passing; they see a copy of the layer's input."""

    def watch(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        value = inputs[0].clone()
        value.register_hook(F.relu)
        return value

    handles = [layer.register_forward_pre_hook(watch) for layer in network.modules() if isinstance(layer, nn.ReLU)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def salient(attribution: Tensor, quantile: float) -> Tensor:
    """Mask ``[batch, frames * 3, height, width]``: per frame, the pixels at or above their quantile."""
    masks = []
    for frame in attribution.split(3, dim=1):
        largest = frame.abs().max(dim=1).values
        threshold = torch.quantile(largest.flatten(1), quantile, dim=1)
        masks.append((largest >= threshold[:, None, None])[:, None].repeat(1, 3, 1, 1))
    return torch.cat(masks, dim=1)


def shift(obs: Tensor, pad: int, generator: Generator) -> Tensor:
    """Random shift, one image after the other."""
    offsets, size = draw_offsets(len(obs), 2 * pad + 1, generator).tolist(), obs.shape[-1]
    padded = F.pad(obs, (pad, pad, pad, pad), mode="replicate")
    windows = [
        image[:, top : top + size, left : left + size] for image, (top, left) in zip(padded, offsets, strict=True)
    ]
    return torch.stack(windows)


def minimise(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def convolution_stack(in_channels: int, size: Architecture) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(in_channels, size.filters, 3, stride=2)]
    for _ in range(size.conv_layers - 1):
        layers += [nn.ReLU(), nn.Conv2d(size.filters, size.filters, 3)]
    return nn.Sequential(*layers)


def perceptron(in_features: int, hidden: int, out_features: int) -> nn.Sequential:
    layers = nn.Linear(in_features, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
    return nn.Sequential(*layers, nn.Linear(hidden, out_features))


def paired_modules(networks: SGQNNetworks, reference: ReferenceUpdate) -> list[tuple[nn.Module, nn.Module]]:
    """Ours and the authors' of every part that has weights; parameters of a part come in one order."""
    ours = networks.actor_critic
    pairs = [
        (ours.actor.projection, reference.actor.encoder.projection),
        (ours.actor.head, reference.actor.head),
        (networks.decoder, nn.ModuleList(list(reference.predictor.children())[1:])),
    ]
    for mine, theirs in ((ours.critic, reference.critic), (ours.target_critic, reference.target)):
        pairs += [
            (mine.convolutions, theirs.encoder.convolutions),
            (mine.projection, theirs.encoder.projection),
            (mine.q1, theirs.q1),
            (mine.q2, theirs.q2),
        ]
    return pairs


@torch.no_grad()
def copy_weights(networks: SGQNNetworks, reference: ReferenceUpdate) -> None:
    for ours, theirs in paired_modules(networks, reference):
        for mine, their in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert mine.shape == their.shape, "the authors' layers come in another order"
            their.copy_(mine)
