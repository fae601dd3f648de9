"""The benchmark's reference is the same mathematics as our SGQN, in the authors' arrangement of passes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from method_cases import ACTIONS, SIZE, tiny
from outside import loaded
from torch.utils._python_dispatch import TorchDispatchMode

from saccade.agents import METHODS, Architecture
from saccade.agents.agent import Agent, draws_nothing, make_update
from saccade.agents.given import Given
from saccade.agents.methods.sgqn import SGQN, make_sgqn
from saccade.types import Batch, Continuous, Spaces

LAYERS, LAYERS_IMAGE = 11, 48  # as many convolutions as published, on the smallest picture that leaves room for them
TOLERANCE = 1e-4
DECODER_LAYERS = 3


reference = loaded("benchmarks/reference.py")


class Pictures:
    """A source of pictures that remembers the last ones it gave."""

    def __init__(self) -> None:
        self.given = torch.empty(0)

    def __call__(self, count: int, size: int, generator: torch.Generator) -> torch.Tensor:
        self.given = torch.rand((count, 3, size, size), generator=generator) * 255
        return self.given


def both(config: SGQN, size: int) -> tuple[Agent, Any, Pictures]:
    """Our agent, away from its start at which most gradients vanish, and the reference with its weights."""
    pictures, spaces = Pictures(), Spaces((9, size, size), Continuous(ACTIONS))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        agent = make_sgqn(config, spaces, torch.device("cpu"), Given(pictures))
        with torch.no_grad():
            for parameter in agent.networks.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
    agent.networks.to(torch.float64)
    theirs = reference.ReferenceUpdate(
        config, spaces, agent.networks, torch.zeros(config.sac.batch_size, 3, size, size)
    )
    return agent, theirs, pictures


def transitions(size: int, count: int, seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    obs, next_obs = (
        torch.randint(0, 256, (count, 9, size, size), generator=generator, dtype=torch.uint8) for _ in range(2)
    )
    action = torch.rand((count, ACTIONS), generator=generator) * 2 - 1
    return Batch(obs, action, torch.rand(count, generator=generator), torch.ones(count), next_obs)


def in_double(batch: Batch, picture: torch.Tensor) -> Batch:
    drawn = {name: value.double() for name, value in {**batch.drawn, "picture": picture}.items()}
    return Batch(*(value.double() for value in batch[:5]), drawn)


def losses_of(agent: Agent, prepared: Batch, index: int) -> dict[str, float]:
    """Our update on a batch that is prepared already."""
    phases = tuple(dataclasses.replace(phase, draw=draws_nothing) for phase in agent.phases)
    update = make_update(dataclasses.replace(agent, prepare=draws_nothing, phases=phases))
    metrics = update(lambda size: prepared, torch.Generator(), index)
    return {name: float(value) for name, value in metrics.items()}


def test_one_even_and_one_odd_update_give_our_losses_and_weights() -> None:
    config = tiny(METHODS["sgqn"].config)
    ours, theirs, pictures = both(config, SIZE)
    for index in (0, 1):
        generator = torch.Generator().manual_seed(index)
        prepared = ours.prepare(transitions(SIZE, config.sac.batch_size, index), generator)
        prepared = ours.phases[-1].draw(prepared, generator)
        batch = in_double(prepared, pictures.given)
        assert theirs.update(batch, index) == pytest.approx(losses_of(ours, batch, index), rel=TOLERANCE)
        for mine, their in reference.paired_modules(ours.networks, theirs):
            for one, other in zip(mine.parameters(), their.parameters(), strict=True):
                torch.testing.assert_close(one, other, rtol=0.0, atol=TOLERANCE)
        torch.testing.assert_close(ours.networks.actor_critic.log_temperature, theirs.log_temperature)


def test_it_prepares_the_same_batch_from_the_same_draws() -> None:
    config = tiny(METHODS["sgqn"].config)
    ours, theirs, _ = both(config, SIZE)
    raw = transitions(SIZE, config.sac.batch_size, seed=3)
    one = ours.prepare(raw, torch.Generator().manual_seed(5))
    other = theirs.prepare(raw, torch.Generator().manual_seed(5))
    assert torch.equal(one.obs, other.obs) and torch.equal(one.next_obs, other.next_obs)
    assert not torch.equal(one.obs, raw.obs.float())
    for name in ("next_action_noise", "action_noise", "mask_fill"):
        torch.testing.assert_close(one.drawn[name], other.drawn[name])


class Convolutions(TorchDispatchMode):
    """Counts convolutions, and how many of their backward passes give the weights a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.forward = self.backward = self.backward_to_weights = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten.convolution.default:
            self.forward += 1
        elif function is torch.ops.aten.convolution_backward.default:
            self.backward += 1
            self.backward_to_weights += args[-1][1]
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("index", "forward", "backward", "guided"),
    [
        # Odd: actor and target on the next observation, the critic on the observation and on its salient pixels, and
        # two attributions. Even: the actor's step encodes twice, the prediction once, and the decoder comes to it.
        (1, 6 * LAYERS, 4 * LAYERS, 2 * LAYERS),
        (2, 9 * LAYERS + DECODER_LAYERS, 5 * LAYERS + DECODER_LAYERS, 2 * LAYERS),
    ],
)
def test_it_makes_the_authors_passes(index: int, forward: int, backward: int, guided: int) -> None:
    assert (forward, backward) == {1: (66, 44), 2: (102, 58)}[index]  # as counted in the authors' code
    architecture = Architecture(image_size=LAYERS_IMAGE, filters=2, conv_layers=LAYERS, projection=8, hidden=16)
    default = METHODS["sgqn"].config
    sac = dataclasses.replace(default.sac, architecture=architecture, batch_size=2)
    _, theirs, _ = both(dataclasses.replace(default, sac=sac, decoder_filters=(4, 4)), LAYERS_IMAGE)
    batch = theirs.prepare(transitions(LAYERS_IMAGE, 2, seed=0), torch.Generator().manual_seed(0))
    with Convolutions() as count:
        theirs.update(in_double(batch, batch.drawn["picture"]), index)
    assert (count.forward, count.backward) == (forward, backward)
    assert count.backward - count.backward_to_weights == guided
