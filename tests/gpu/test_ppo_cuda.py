"""PPO on a GPU: nothing of it waits, and updates that are recorded once follow what anneals."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor
from waiting import waiting_is_an_error

from saccade.agents.agent import Agent, anneal, make_update
from saccade.agents.configs_on_policy import PPO, Trunk
from saccade.agents.cuda_graphs import CUDAGraphs
from saccade.agents.methods.ppo import make_ppo
from saccade.agents.shortcuts import NETWORKS_LOCK
from saccade.types import Continuous, Decisions, Discrete, Spaces

pytestmark = [
    pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores", "ignore:Synchronization debug mode"),
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here"),
]

SIZE, BATCH, ACTIONS, WARM_UP = 12, 8, 3, 3
ACTION_KINDS = {"discrete": Discrete(ACTIONS), "continuous": Continuous(ACTIONS)}


def on_gpu(kind: str, adam: str = "pytorch") -> tuple[Agent[Decisions], Decisions, Generator]:
    """An agent, a minibatch, and a generator of the GPU; the same each time."""
    torch.manual_seed(0)
    trunk = Trunk(network="small", image_size=SIZE, filters=(4, 4, 8), hidden=16)
    config = PPO(trunk, adam=adam, learning_rate=1e-2, clip_schedule="linear")
    agent = make_ppo(config, Spaces((2, SIZE, SIZE), ACTION_KINDS[kind], colours=1), torch.device("cuda"))
    generator = Generator("cuda").manual_seed(0)
    obs = torch.randint(0, 256, (BATCH, 2, SIZE, SIZE), dtype=torch.uint8, device="cuda", generator=generator)
    action = agent.act(obs, generator)
    log_probability, value = agent.judge(obs, action)
    advantage, error = (torch.randn(BATCH, device="cuda", generator=generator) for _ in range(2))
    return agent, Decisions(obs, action, log_probability, value, advantage, value + error), generator


@pytest.mark.parametrize("kind", ACTION_KINDS)
@pytest.mark.parametrize("adam", ["pytorch", "tensorflow"])
def test_nothing_waits(kind: str, adam: str) -> None:
    agent, minibatch, generator = on_gpu(kind, adam)
    update = make_update(agent)
    anneal(agent, 0.0)
    update(lambda size: minibatch, generator, 0)  # the first one may wait, for choosing algorithms
    with waiting_is_an_error():
        action = agent.act(minibatch.obs, generator)
        agent.act(minibatch.obs, None)
        agent.judge(minibatch.obs, action)
        update(lambda size: minibatch, generator, 1)


@pytest.mark.parametrize("adam", ["pytorch", "tensorflow"])
def test_a_recorded_update_follows_what_anneals(adam: str) -> None:
    (recorded, minibatch, generator), (plain, *_) = on_gpu("discrete", adam), on_gpu("discrete", adam)
    recorder, updates = CUDAGraphs(generator), {id(agent): make_update(agent) for agent in (recorded, plain)}

    def work(agent: Agent[Decisions]) -> Tensor:
        return torch.stack([*updates[id(agent)](lambda size: minibatch, generator, 0).values()])

    for agent in (recorded, plain):
        anneal(agent, 0.0)
        for _ in range(WARM_UP):
            recorder.warm_up(lambda agent=agent: work(agent))
    with NETWORKS_LOCK:
        replay = recorder.record(lambda: work(recorded))
    for done in (0.0, 0.5, 1.0):
        before = [parameter.clone() for parameter in recorded.networks.parameters()]
        anneal(recorded, done)
        anneal(plain, done)
        torch.testing.assert_close(replay(), work(plain), rtol=1e-3, atol=1e-4)
        for ours, theirs in zip(recorded.networks.parameters(), plain.networks.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    still = zip(before, recorded.networks.parameters(), strict=True)
    assert all(torch.equal(old, new) for old, new in still)  # at the end of training the rate is 0
