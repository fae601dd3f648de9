"""Two little methods that keep every promise: one learns numbers from transitions, one choices from rollouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from saccade.agents import Method
from saccade.agents.agent import Agent, Phase, Shared, Term, with_drawn
from saccade.types import Batch, Continuous, Decisions, Discrete, Spaces

NOISE = 0.5  # of drawn actions, and of the policy's own


@dataclass(frozen=True)
class Toy:
    """Hyper-parameters of both."""

    lr: float = 1e-3
    batch_size: int = 4


SPACES = Spaces((3, 12, 12), Continuous(2))
CHOICES = Spaces((3, 12, 12), Discrete(3))


class ToyNetworks(nn.Module):
    """One encoder, a head for the policy and one for values."""

    def __init__(self, spaces: Spaces, actions: int, valued: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(spaces.obs_shape[0], 4, 3, stride=3), nn.ReLU(), nn.Flatten())
        self.policy = nn.Linear(64, actions)
        self.value = nn.Linear(64 + valued, 1)

    def features(self, obs: Tensor) -> Tensor:
        return self.encoder(obs / 255)

    def mean(self, obs: Tensor) -> Tensor:
        return torch.tanh(self.policy(self.features(obs)))

    def q(self, obs: Tensor, action: Tensor) -> Tensor:
        return self.value(torch.cat([self.features(obs), action], -1)).squeeze(-1)


def squared_error(batch: Batch, shared: Shared) -> Tensor:
    return (shared["q"] - batch.reward).square().mean()


def make_toy(config: Toy, spaces: Spaces, device: torch.device, given: Any = None) -> Agent:
    """The value is regressed on the reward; the policy climbs it."""
    nets = ToyNetworks(spaces, spaces.action_dim, spaces.action_dim).to(device)

    @torch.no_grad()
    def act(obs: Tensor, generator: Generator | None) -> Tensor:
        mean = nets.mean(obs.float())
        if generator is None:
            return mean
        return (mean + NOISE * torch.randn(mean.shape, generator=generator)).clamp(-1, 1)

    def prepare(batch: Batch, generator: Generator) -> Batch:
        noise = torch.randn(batch.action.shape, generator=generator)
        return with_drawn(batch._replace(obs=batch.obs.float(), next_obs=batch.next_obs.float()), noise=noise)

    def look(batch: Batch) -> dict[str, Tensor]:
        return {"features": nets.features(batch.obs)}

    def climb(batch: Batch, shared: Shared) -> Tensor:
        mean = torch.tanh(nets.policy(batch.seen["features"]))
        noisy = mean + NOISE * batch.drawn["noise"]
        return -nets.value(torch.cat([batch.seen["features"], noisy], -1)).mean()

    critic = [*nets.encoder.parameters(), *nets.value.parameters()]
    return Agent(
        networks=nets,
        act=act,
        prepare=prepare,
        phases=(
            Phase(
                "critic",
                {"error": Term(squared_error)},
                torch.optim.Adam(critic, config.lr),
                share=lambda batch: {"q": nets.q(batch.obs, batch.action)},
            ),
            Phase("actor", {"climb": Term(climb)}, torch.optim.Adam(nets.policy.parameters(), config.lr), look=look),
        ),
        batch_size=config.batch_size,
        maps={"brightness_mask": lambda obs, action: obs.float().amax(1, keepdim=True) / 255},
        pictures={"halved": lambda obs: obs.float()[:, :, ::2, ::2]},
        outputs={
            "action": lambda networks, obs: networks.mean(obs),
            "q": lambda networks, obs, action: networks.q(obs, action),
        },
    )


def make_chooser(config: Toy, spaces: Spaces, device: torch.device, given: Any = None) -> Agent:
    """A policy gradient on the decisions of a rollout, and a value."""
    assert isinstance(spaces.actions, Discrete)
    nets = ToyNetworks(spaces, spaces.actions.count, 0).to(device)

    @torch.no_grad()
    def act(obs: Tensor, generator: Generator | None) -> Tensor:
        logits = nets.policy(nets.features(obs.float()))
        if generator is None:
            return logits.argmax(-1)
        return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]

    def prepare(batch: Decisions, generator: Generator) -> Decisions:
        return batch._replace(obs=batch.obs.float())

    def share(batch: Decisions) -> Shared:
        features = nets.features(batch.obs)
        chosen = nets.policy(features).log_softmax(-1).gather(1, batch.action[:, None])[:, 0]
        return {"ratio": (chosen - batch.log_probability).exp(), "value": nets.value(features).squeeze(-1)}

    terms = {
        "policy": Term(lambda batch, shared: -(shared["ratio"] * batch.advantage).mean()),
        "value": Term(lambda batch, shared: (shared["value"] - batch.target).square().mean()),
    }
    return Agent(
        networks=nets,
        act=act,
        prepare=prepare,  # type: ignore[arg-type]
        phases=(Phase("clone", terms, torch.optim.Adam(nets.parameters(), config.lr), share=share),),  # type: ignore[arg-type]
        batch_size=0,  # whatever the loop gives
        outputs={"logits": lambda networks, obs: networks.policy(networks.features(obs))},
    )


CHOOSER = Method("chooses", "tests", Toy(), make_chooser, loop="on_policy")

Change = Callable[[Agent], Agent]


def faulty(change: Change, make: Callable[..., Agent] = make_toy) -> Callable[..., Agent]:
    """A method whose agents have been changed."""

    def make_faulty(*arguments: Any) -> Agent:
        return change(make(*arguments))

    return make_faulty
