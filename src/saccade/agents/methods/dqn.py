"""DQN (Mnih et al., 2015) with Adam: one network values all actions at once, and learns from a replay buffer.

Double Q-learning (van Hasselt et al., 2016), multi-step rewards (Hessel et al., 2018) and the error's shape are
choices of the configuration. The probability of a random action is stored in the networks, where evaluations and
loaded policies find it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from saccade.agents.agent import Act, Agent, Phase, Shared, Term
from saccade.agents.configs_discrete import DQN, PlainTrunk
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods.ppo import convolutions_for, trunk_of
from saccade.agents.methods.sac import as_pixels, move_towards
from saccade.agents.parts.attribution import Attribution, as_map, attribution_of
from saccade.data.replay import Returns
from saccade.nets.precision import MixedPrecision
from saccade.types import Batch, Discrete, Spaces, UserError

Loss = Callable[[Batch, Shared], Tensor]


class QNetwork(nn.Module):
    """Values of all actions ``[batch, actions]`` of observations ``[batch, channels, height, width]``."""

    def __init__(self, spaces: Spaces, config: PlainTrunk) -> None:
        super().__init__()
        self.trunk = trunk_of(convolutions_for(spaces, config), config.hidden)
        self.values = nn.Linear(config.hidden, choices_of(spaces))

    def forward(self, obs: Tensor) -> Tensor:
        return self.values(self.trunk(obs))


class QNetworks(nn.Module):
    """The online network, its target, and the probability of a random action: ``epsilon``, a number."""

    epsilon: Tensor

    def __init__(self, spaces: Spaces, config: DQN) -> None:
        super().__init__()
        self.online = QNetwork(spaces, config.trunk)  # initialised as in PyTorch, which is as Torch did for the paper
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.register_buffer("epsilon", torch.tensor(config.epsilon_start))

    def forward(self, obs: Tensor) -> Tensor:
        return self.online(obs)


def choices_of(spaces: Spaces) -> int:
    """Return how many actions there are. Raises UserError if actions are continuous."""
    if not isinstance(spaces.actions, Discrete):
        raise UserError("This method needs discrete actions, but actions here are continuous: use sac or ppo.")
    return spaces.actions.count


def value_of(q_values: Tensor, action: Tensor) -> Tensor:
    """Return the values ``[batch]`` of the actions, long ``[batch]``, from those of all ``[batch, actions]``."""
    return q_values.gather(-1, action[:, None]).squeeze(-1)


def bootstrapped_return(nets: QNetworks, batch: Batch, *, discount: float, double: bool) -> Tensor:
    """Return the target of the Bellman equation ``[batch]``: r + discount max Q_target(s', a'). No gradient.

    With ``double`` the action is the best according to the online network (van Hasselt et al., 2016, section
    "Double DQN"). If rewards span several steps, ``batch.discount`` has the discount of all but the last.
    """
    with torch.no_grad():
        values = nets.target(batch.next_obs)
        chosen = (nets.online(batch.next_obs) if double else values).argmax(-1)
        return batch.reward + batch.discount * discount * value_of(values, chosen)


def bellman_error(error: str) -> Loss:
    """Return the error of the chosen action's value against its target: Huber's with delta 1, or squared.

    The gradient of Huber's is the clipped error of Mnih et al. (2015); so, unclipped, is that of half the square.
    """

    def loss(batch: Batch, shared: Shared) -> Tensor:
        if error == "huber":
            return F.smooth_l1_loss(shared["q"], shared["target"])
        return 0.5 * F.mse_loss(shared["q"], shared["target"])

    return loss


def learning_phase(nets: QNetworks, config: DQN, **further_terms: Term) -> Phase[Batch]:
    """Return DQN's one phase: the Bellman error, and any terms that a method adds. Shares ``q_values q target``."""
    parameters = list(nets.online.parameters())
    optimizer = torch.optim.Adam(
        parameters, lr=config.learning_rate, eps=config.adam_epsilon, fused=True, capturable=parameters[0].is_cuda
    )

    def share(batch: Batch) -> Shared:
        q_values = nets.online(batch.obs)
        target = bootstrapped_return(nets, batch, discount=config.discount, double=config.double)
        return {"q_values": q_values, "q": value_of(q_values, batch.action), "target": target}

    return Phase(
        "dqn",
        {"bellman": Term(bellman_error(config.error)), **further_terms},
        optimizer,
        share=share,
        after=lambda: move_towards(nets.target, nets.online, config.target_rate),
        after_every=config.target_every,
        anneal=lambda share_done: set_epsilon(nets, config, share_done),
    )


@torch.no_grad()
def set_epsilon(nets: QNetworks, config: DQN, share_done: float) -> None:
    """Set the probability of a random action when a share of training is done."""
    fallen = 1.0 if config.epsilon_share == 0 else min(share_done / config.epsilon_share, 1.0)
    nets.epsilon.fill_(config.epsilon_start + (config.epsilon_end - config.epsilon_start) * fallen)


def epsilon_greedy(nets: QNetworks) -> Act:
    """Return a function that acts: the best action, or with a generator, with probability ``epsilon``, a random one."""

    @torch.no_grad()
    def act(obs: Tensor, generator: Generator | None) -> Tensor:
        q_values = nets.online(obs)
        greedy = q_values.argmax(-1)
        if generator is None:
            return greedy
        device, count = generator.device, q_values.shape[-1]
        any_action = torch.randint(count, greedy.shape, generator=generator, device=device)
        explores = torch.rand(greedy.shape, generator=generator, device=device) < nets.epsilon
        return torch.where(explores, any_action, greedy)

    return act


def q_outputs(
    nets_of: Callable[[nn.Module], nn.Module] = lambda networks: networks,
) -> Mapping[str, Callable[..., Tensor]]:
    """Return the networks' outputs, for scores: ``q_values``.

    nets_of: finds DQN's networks in those of a method.
    """

    def q_values(networks: nn.Module, obs: Tensor) -> Tensor:
        return nets_of(networks)(obs)

    return {"q_values": q_values}


def attribution_of_q(nets: QNetworks, method: str) -> Attribution:
    """Return ``(obs, action) -> [batch, channels, height, width]``: each pixel's importance for the action's value."""
    return attribution_of(nets.online, lambda online, obs, action: value_of(online(obs), action), method)


def q_maps(nets: QNetworks, colours: int) -> Mapping[str, Attribution]:
    """Return the guided backpropagation of the action's value, its largest over a frame's colours."""
    return {"q_attribution": as_map(attribution_of_q(nets, "guided_backpropagation"), colours)}


def make_dqn(config: DQN, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent[Batch]:
    """Make DQN on pixels. Raises UserError if actions are continuous, or convolutions leave nothing of the pictures."""
    nets = QNetworks(spaces, config).to(device)
    convolutions = nets.online.trunk[0]
    assert isinstance(convolutions, MixedPrecision)
    return Agent(
        networks=nets,
        act=epsilon_greedy(nets),
        prepare=as_pixels(convolutions),
        phases=(learning_phase(nets, config),),
        batch_size=config.batch_size,
        maps=q_maps(nets, spaces.colours),
        outputs=q_outputs(),
        returns=Returns(config.n_steps, config.discount),
    )
