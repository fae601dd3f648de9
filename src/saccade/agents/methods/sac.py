"""SAC from pixels (Haarnoja et al., 2018), with the encoder of the DMControl Generalization Benchmark.

Actor and critic share the convolutions, which only the critic's loss changes; each has its own projection.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from saccade.agents.agent import Act, Agent, Look, Phase, Prepare, Seen, Shared, Term, in_order, with_drawn
from saccade.agents.configs import SAC, Architecture
from saccade.agents.given import NOTHING, Given
from saccade.agents.parts.attribution import q_maps
from saccade.nets.encoders import Convolutions, ConvolutionStack, Projection
from saccade.nets.heads import multilayer_perceptron
from saccade.nets.initialization import orthogonal_and_delta
from saccade.nets.precision import MixedPrecision
from saccade.types import Batch, Spaces, UserError

LOG_PROBABILITY_EPSILON = 1e-6


class Critic(nn.Module):
    """Twin Q functions on one encoder: ``(obs, action) -> (q1, q2)``, each ``[batch]``."""

    def __init__(self, spaces: Spaces, architecture: Architecture, convolutions: Convolutions) -> None:
        super().__init__()
        size = architecture
        self.convolutions = convolutions
        self.projection = Projection(self.convolutions.out_features, size.projection)
        self.q1 = multilayer_perceptron(size.projection + spaces.action_dim, size.hidden, 1)
        self.q2 = multilayer_perceptron(size.projection + spaces.action_dim, size.hidden, 1)

    def embed(self, obs: Tensor) -> Tensor:
        """The embedding ``[batch, projection]`` that both Q functions read."""
        return self.projection(self.convolutions(obs))

    def values(self, features: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Both Q values from the output of the convolutions."""
        joint = torch.cat([self.projection(features), action], dim=-1)
        return self.q1(joint).squeeze(-1), self.q2(joint).squeeze(-1)

    def value(self, features: Tensor, action: Tensor) -> Tensor:
        """Q1 alone ``[batch]``, from the output of the convolutions."""
        return self.q1(torch.cat([self.projection(features), action], dim=-1)).squeeze(-1)

    def forward(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        return self.values(self.convolutions(obs), action)


class Actor(nn.Module):
    """Mean and log standard deviation, before the tanh, from the critic's convolutional features."""

    def __init__(self, in_features: int, action_dim: int, config: SAC) -> None:
        super().__init__()
        size = config.architecture
        self.projection = Projection(in_features, size.projection)
        self.head = multilayer_perceptron(size.projection, size.hidden, 2 * action_dim)
        self.log_std_min, self.log_std_max = config.log_std_min, config.log_std_max

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.head(self.projection(features)).chunk(2, dim=-1)
        span = self.log_std_max - self.log_std_min
        return mean, self.log_std_min + 0.5 * span * (torch.tanh(log_std) + 1)


class ActorCritic(nn.Module):
    """Everything SAC trains, and its target critic.

    convolutions: an encoder in place of the benchmark's stack.
    """

    def __init__(self, spaces: Spaces, config: SAC, convolutions: Convolutions | None = None) -> None:
        super().__init__()
        self.critic = Critic(spaces, config.architecture, convolutions or benchmark_stack(spaces, config.architecture))
        self.actor = Actor(self.critic.convolutions.out_features, spaces.action_dim, config)
        self.apply(orthogonal_and_delta)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(config.initial_temperature)))
        self.target_entropy = -float(spaces.action_dim)


def sample_action(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Squashed Gaussian sample ``[batch, action_dim]`` for normal noise, and its log-probability ``[batch]``."""
    log_probability = -0.5 * (noise.square() + math.log(2 * math.pi)).sum(-1) - log_std.sum(-1)
    action = torch.tanh(mean + noise * log_std.exp())
    correction = torch.log((1 - action.square()).clamp(min=0) + LOG_PROBABILITY_EPSILON).sum(-1)
    return action, log_probability - correction


def bootstrapped_return(nets: ActorCritic, batch: Batch, *, discount: float) -> Tensor:
    """Target of the soft Bellman equation ``[batch]``: r + discount (min Q_target(s', a') - alpha log pi(a'|s')).

    The next action is the online actor's, on the online convolutions. No gradient.
    """
    with torch.no_grad():
        mean, log_std = nets.actor(nets.critic.convolutions(batch.next_obs))
        action, log_probability = sample_action(mean, log_std, batch.drawn["next_action_noise"])
        q1, q2 = nets.target_critic(batch.next_obs, action)
        value = torch.minimum(q1, q2) - nets.log_temperature.exp() * log_probability
        return batch.reward + batch.discount * discount * value


def twin_squared_error(q: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
    """Mean squared error of Q1 plus that of Q2."""
    return F.mse_loss(q[0], target[0]) + F.mse_loss(q[1], target[1])


def bellman_error(batch: Batch, shared: Shared) -> Tensor:
    """Soft Bellman residual of both Q functions (Haarnoja et al., 2018, equation 5)."""
    target = shared["target"]
    return twin_squared_error((shared["q1"], shared["q2"]), (target, target))


def policy_loss(batch: Batch, shared: Shared) -> Tensor:
    """alpha log pi(a|s) - min Q(s, a) for the actor's own actions (Haarnoja et al., 2018, equation 7)."""
    return (shared["temperature"].detach() * shared["log_probability"] - shared["value"]).mean()


def temperature_loss(batch: Batch, shared: Shared) -> Tensor:
    """alpha (entropy - target entropy) (Haarnoja et al., 2018b, equation 18)."""
    return (shared["temperature"] * shared["excess_entropy"]).mean()


def draw_action_noise(action_dim: int) -> Prepare:
    """Draw standard normal noise for the target's next action and the actor's action."""

    def prepare(batch: Batch, generator: Generator) -> Batch:
        shape = (len(batch.reward), action_dim)
        next_action, action = (torch.randn(shape, generator=generator, device=generator.device) for _ in range(2))
        return with_drawn(batch, next_action_noise=next_action, action_noise=action)

    return prepare


def as_pixels(convolutions: MixedPrecision) -> Prepare:
    """Convert pixels, still 0..255, to the type and memory layout that the convolutions are fastest in.

    For methods whose observations only go to the convolutions, with or without a mask: bfloat16 holds whole numbers
    up to 255 exactly, in half the memory.
    """

    def prepare(batch: Batch, generator: Generator) -> Batch:
        return _laid_out(batch, convolutions.compute_dtype)

    return prepare


def as_float(batch: Batch, generator: Generator) -> Batch:
    """Convert pixels to float32, still 0..255, in the layout that convolutions are fastest in."""
    return _laid_out(batch, torch.float32)


def _laid_out(batch: Batch, dtype: torch.dtype) -> Batch:
    # In two steps, because a CPU takes half as long again for both at once.
    obs, next_obs = (seen.to(dtype).to(memory_format=torch.channels_last) for seen in (batch.obs, batch.next_obs))
    return batch._replace(obs=obs, next_obs=next_obs)


@torch.no_grad()
def move_towards(target: nn.Module, source: nn.Module, rate: float) -> None:
    """Update parameters by an exponential moving average: target <- (1 - rate) target + rate source."""
    torch._foreach_lerp_(list(target.parameters()), list(source.parameters()), rate)


def critic_phase(nets: ActorCritic, config: SAC, **further_terms: Term) -> Phase:
    """Return the critic's phase: Bellman error, and any terms that a method adds. Shares ``q1 q2 target``."""

    def share(batch: Batch) -> Shared:
        q1, q2 = nets.critic(batch.obs, batch.action)
        return {"q1": q1, "q2": q2, "target": bootstrapped_return(nets, batch, discount=config.discount)}

    return Phase(
        "critic",
        {"bellman": Term(bellman_error), **further_terms},
        adam(nets.critic, lr=config.critic_lr),
        share=share,
        after=target_move(nets, config),
        after_every=config.target_every,
    )


def target_move(nets: ActorCritic, config: SAC) -> Callable[[], None]:
    """Moves the target critic; the encoder (convolutions and projection) faster than the Q heads."""
    target, critic = nets.target_critic, nets.critic
    rates = {"convolutions": config.encoder_target_rate, "projection": config.encoder_target_rate}

    def move() -> None:
        for name, part in target.named_children():
            move_towards(part, critic.get_submodule(name), rates.get(name, config.q_target_rate))

    return move


def judged_actions(nets: ActorCritic, features: Tensor, judged_by: Tensor, noise: Tensor) -> Shared:
    """What the terms of actor and temperature read: actions sampled for ``features``, and their Q at ``judged_by``.

    Both are the convolutions' output; ``noise`` is standard normal ``[batch, action_dim]``.
    """
    mean, log_std = nets.actor(features)
    action, log_probability = sample_action(mean, log_std, noise)
    return {
        "mean": mean,
        "log_std": log_std,
        "value": torch.minimum(*nets.critic.values(judged_by, action)),
        "log_probability": log_probability,
        "excess_entropy": (-log_probability - nets.target_entropy).detach(),
        "temperature": nets.log_temperature.exp(),
    }


def look_at_both(nets: ActorCritic) -> Look:
    """Look at ``features augmented_features``, the convolutions' output for clean and augmented observations."""

    def look(batch: Batch) -> Seen:
        features = nets.critic.convolutions(torch.cat([batch.obs, batch.drawn["augmented_obs"]]))
        clean, augmented = features.chunk(2)
        return {"features": clean, "augmented_features": augmented}

    return look


def actor_phase(nets: ActorCritic, config: SAC, **further_terms: Term) -> Phase:
    """Phase of actor and temperature: two terms on disjoint parameters, from one encoder pass without gradient.

    It looks at ``features``, the convolutions' output for the observations, and shares ``mean log_std`` of the policy.
    """

    def look(batch: Batch) -> Seen:
        return {"features": nets.critic.convolutions(batch.obs)}

    def share(batch: Batch) -> Shared:
        features = batch.seen["features"]
        return judged_actions(nets, features, features, batch.drawn["action_noise"])

    temperature = {"params": [nets.log_temperature], "lr": config.temperature_lr}
    optimizer = adam(nets.actor, lr=config.actor_lr)
    optimizer.add_param_group({**temperature, "betas": (config.temperature_beta1, 0.999)})
    terms = {"policy": Term(policy_loss), "temperature": Term(temperature_loss), **further_terms}
    return Phase("actor", terms, optimizer, look=look, share=share, every=config.actor_every)


def adam(*modules: nn.Module, lr: float) -> torch.optim.Adam:
    """Return Adam with PyTorch's defaults over some modules' parameters, fused; it may become part of a CUDA graph."""
    parameters = [parameter for module in modules for parameter in module.parameters()]
    return torch.optim.Adam(parameters, lr=lr, fused=True, capturable=parameters[0].is_cuda)


def squashed_gaussian_policy(nets: ActorCritic) -> Act:
    """Return a function that acts: tanh of the mean, or of a Gaussian sample that a generator draws."""

    @torch.no_grad()
    def act(obs: Tensor, generator: Generator | None) -> Tensor:
        mean, log_std = nets.actor(nets.critic.convolutions(obs))
        if generator is None:
            return torch.tanh(mean)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return sample_action(mean, log_std, noise)[0]

    return act


def _itself(networks: Any) -> Any:
    return networks


def squashed_gaussian_outputs(
    actor_critic_of: Callable[[Any], ActorCritic] = _itself,
) -> Mapping[str, Callable[..., Tensor]]:
    """Networks' outputs, for scores: ``mean`` and ``log_std`` before the tanh, ``action`` after it, ``q`` (Q1).

    actor_critic_of: finds SAC's networks in those of a method.
    """

    def gaussian(networks: nn.Module, obs: Tensor) -> Tensor:
        nets = actor_critic_of(networks)
        return torch.stack(nets.actor(nets.critic.convolutions(obs)), dim=1)

    def mean(networks: nn.Module, obs: Tensor) -> Tensor:
        return gaussian(networks, obs)[:, 0]

    def log_std(networks: nn.Module, obs: Tensor) -> Tensor:
        return gaussian(networks, obs)[:, 1]

    def action(networks: nn.Module, obs: Tensor) -> Tensor:
        return torch.tanh(mean(networks, obs))

    def q(networks: nn.Module, obs: Tensor, action: Tensor) -> Tensor:
        critic = actor_critic_of(networks).critic
        return critic.value(critic.convolutions(obs), action)  # Q1, as in the attribution of SGQN

    return {"mean": mean, "log_std": log_std, "gaussian": gaussian, "action": action, "q": q}


def benchmark_stack(spaces: Spaces, architecture: Architecture) -> ConvolutionStack:
    """The benchmark's encoder for an environment's pictures."""
    size = architecture
    return ConvolutionStack(spaces.obs_shape[0], size.image_size, size.filters, size.conv_layers)


def make_networks(
    spaces: Spaces, config: SAC, device: torch.device, convolutions: Convolutions | None = None
) -> ActorCritic:
    """SAC's networks for an environment. Raises UserError when its pictures are smaller than the encoder's.

    convolutions: an encoder in place of the benchmark's stack.
    """
    size = config.architecture.image_size
    if spaces.obs_shape[1] < size or spaces.obs_shape[2] < size:
        given = f"{spaces.obs_shape[2]}x{spaces.obs_shape[1]}"
        raise UserError(
            f"Observations of {given} pixels are smaller than the encoder's {size}: render at {size} or more."
        )
    return ActorCritic(spaces, config, convolutions).to(device)


def make_sac(config: SAC, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent:
    """Make SAC on unaugmented observations: the benchmark's plain baseline."""
    nets = make_networks(spaces, config, device)
    return Agent(
        networks=nets,
        act=squashed_gaussian_policy(nets),
        prepare=in_order(as_pixels(nets.critic.convolutions), draw_action_noise(spaces.action_dim)),
        phases=(critic_phase(nets, config), actor_phase(nets, config)),
        batch_size=config.batch_size,
        maps=q_maps(nets.critic),
        outputs=squashed_gaussian_outputs(),
    )
