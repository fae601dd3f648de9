"""DQN's equations by hand: targets, errors, several steps of reward, and the chance of any action."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from saccade.agents.agent import anneal
from saccade.agents.configs_discrete import DQN, PlainTrunk
from saccade.agents.methods import dqn
from saccade.data.replay import ReplayBuffer, Returns
from saccade.types import Batch, Continuous, Discrete, Spaces, UserError

CPU = torch.device("cpu")
SPACES = Spaces((3, 8, 8), Discrete(3))
SMALL = DQN(trunk=PlainTrunk("small", 8, (4, 4, 4), 8), batch_size=4)
FRAME = (3, 2, 2)


class Values(torch.nn.Module):
    """Values that do not depend on what is seen."""

    def __init__(self, values: list[list[float]]) -> None:
        super().__init__()
        self.values = torch.tensor(values)

    def forward(self, obs: Tensor) -> Tensor:
        return self.values


def transitions(reward: list[float], discount: list[float]) -> Batch:
    obs = torch.zeros(len(reward), 3, 8, 8)
    return Batch(obs, torch.zeros(len(reward), dtype=torch.int64), torch.tensor(reward), torch.tensor(discount), obs)


@pytest.mark.parametrize(("double", "second"), [(True, 0.5 + 0.9 * 4.0), (False, 0.5 + 0.9 * 7.0)])
def test_the_target_by_hand(double: bool, second: float) -> None:
    """Online values 1 2 3 choose the last action, which the target network values 4; its own largest is 7.

    Where the episode has ended the target is the reward.
    """
    nets = dqn.QNetworks(SPACES, SMALL)
    nets.online, nets.target = Values([[1.0, 2.0, 3.0]] * 2), Values([[7.0, 5.0, 4.0]] * 2)  # type: ignore[assignment]
    batch = transitions([0.25, 0.5], [0.0, 1.0])
    target = dqn.bootstrapped_return(nets, batch, discount=0.9, double=double)
    torch.testing.assert_close(target, torch.tensor([0.25, second]))


@pytest.mark.parametrize(("error", "expected"), [("huber", (0.125 + 2.5) / 2), ("squared", (0.125 + 4.5) / 2)])
def test_errors_by_hand(error: str, expected: float) -> None:
    """Of 0.5 both are an eighth; of 3 Huber's is 3 - 1/2, the squared one 9/2. Huber's gradient there is 1 at most."""
    q = torch.tensor([1.5, -2.0], requires_grad=True)
    loss = dqn.bellman_error(error)(transitions([0, 0], [1, 1]), {"q": q, "target": torch.tensor([1.0, 1.0])})
    assert loss.item() == pytest.approx(expected)
    (gradient,) = torch.autograd.grad(loss, q)
    assert gradient.tolist() == pytest.approx([0.25, -0.5 if error == "huber" else -1.5])


def test_the_value_of_an_action_is_its_own() -> None:
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert dqn.value_of(values, torch.tensor([2, 0])).tolist() == [3.0, 4.0]


def filled(returns: Returns | None, num_envs: int = 1, capacity: int = 40, stack: int = 2) -> ReplayBuffer:
    """Episodes of four steps in every environment; rewards are powers of two times 1 + environment, and the first
    episode of each truly ends, all others run out of time. Frames are numbered within an environment's hundred.
    """
    buffer = ReplayBuffer(
        capacity, FRAME, Discrete(3), frame_stack=stack, num_envs=num_envs, segment_frames=4, returns=returns
    )
    frames = [0] * num_envs

    def frame(env: int) -> np.ndarray:
        frames[env] += 1
        return np.full(FRAME, 100 * env + frames[env] - 1, np.uint8)

    for step in range(10):
        for env in range(num_envs):
            if step % 4 == 0:
                buffer.start_episode(env, frame(env))
            ended = step == 3
            buffer.add(env, step % 3, 2.0 ** (step % 4) * (1 + env), 0.0 if ended else 1.0, frame(env))
    return buffer


def sampled(buffer: ReplayBuffer) -> dict[tuple[int, ...], tuple[float, float, list[int]]]:
    """By the frames of an observation: reward, discount, and the frames of the next observation."""
    batch = buffer.sample(2000, torch.Generator().manual_seed(0))
    rows = zip(batch.obs[:, ::3, 0, 0], batch.reward, batch.discount, batch.next_obs[:, ::3, 0, 0], strict=True)
    return {tuple(o.tolist()): (float(r), float(d), n.tolist()) for o, r, d, n in rows}


def test_rewards_of_three_steps_by_hand() -> None:
    """Rewards of an episode are 1 2 4 8, the discount is a half: the first is 1 + 2/2 + 4/4 = 3, after which three
    steps later comes a quarter of a value. In the last two steps of an episode there are fewer. The first episode truly
    ends, the second runs out of time, and the third has only begun.
    """
    found = sampled(filled(Returns(3, 0.5)))
    first = {
        (0, 0): (3.0, 0.25, [2, 3]),
        (0, 1): (2 + 4 / 2 + 8 / 4, 0.0, [3, 4]),  # the episode ends with it
        (1, 2): (4 + 8 / 2, 0.0, [3, 4]),
        (2, 3): (8.0, 0.0, [3, 4]),
    }
    second = {
        (5, 5): (3.0, 0.25, [7, 8]),
        (5, 6): (6.0, 0.25, [8, 9]),
        (6, 7): (8.0, 0.5, [8, 9]),  # two steps until time runs out
        (7, 8): (8.0, 1.0, [8, 9]),
    }
    third = {(10, 10): (1 + 2 / 2, 0.5, [11, 12]), (10, 11): (2.0, 1.0, [11, 12])}  # as many as there are by now
    assert found == first | second | third


@pytest.mark.parametrize(("num_envs", "stack"), [(1, 1), (1, 3), (3, 1), (3, 2)])
def test_rewards_of_several_steps_are_each_environments_own(num_envs: int, stack: int) -> None:
    """Also where the buffer has overwritten its oldest steps."""
    for capacity in (40, 13):
        buffer = filled(Returns(3, 0.5), num_envs, capacity, stack)
        for obs, (reward, _, following) in sampled(buffer).items():
            env = obs[-1] // 100
            assert {frame // 100 for frame in (*obs, *following)} == {env}
            assert 1 <= following[-1] - obs[-1] <= 3
            step = (obs[-1] - 100 * env) % 5
            steps = following[-1] - obs[-1]
            assert reward == sum(0.5**k * 2.0 ** (step + k) for k in range(steps)) * (1 + env)


def test_one_step_is_what_there_is_without() -> None:
    generators = (torch.Generator().manual_seed(3) for _ in range(2))
    plain, one = (filled(returns).sample(50, next(generators)) for returns in (None, Returns(1, 0.5)))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(one[:5], plain[:5], strict=True))


def test_a_restored_buffer_reaches_as_far() -> None:
    buffer, other = filled(Returns(3, 0.5), 2), filled(Returns(3, 0.5), 2, capacity=40)
    segments = [(part.start_serial, buffer.read_segment(part).clone()) for part in buffer.frame_segments()]
    other.load({name: value.clone() for name, value in buffer.state_tensors().items()}, segments)
    assert sampled(other) == sampled(buffer)


def test_the_chance_of_any_action_falls_and_never_touches_the_deterministic_one() -> None:
    """From 1 to 0.1 in the first fifth: halfway there, at a tenth of training, it is 0.55."""
    config = dataclasses.replace(SMALL, epsilon_share=0.2)
    agent = dqn.make_dqn(config, SPACES, CPU)
    obs = torch.randint(0, 256, (4000, 3, 8, 8), dtype=torch.uint8)
    greedy = agent.act(obs, None)
    for share, epsilon in ((0.0, 1.0), (0.1, 0.55), (0.2, 0.1), (0.9, 0.1)):
        anneal(agent, share)
        assert agent.networks.epsilon.item() == pytest.approx(epsilon)
        assert torch.equal(agent.act(obs, None), greedy)
        other = (agent.act(obs, torch.Generator().manual_seed(1)) != greedy).float().mean().item()
        assert other == pytest.approx(epsilon * 2 / 3, abs=0.03)  # of any action a third is the greedy one
    assert "epsilon" in agent.networks.state_dict()  # as whoever loads it will play


def test_the_target_network_is_a_copy_after_its_period_alone() -> None:
    agent = dqn.make_dqn(dataclasses.replace(SMALL, target_every=3, learning_rate=1e-2), SPACES, CPU)
    (phase,) = agent.phases
    with torch.no_grad():
        for weight in agent.networks.online.parameters():
            weight.add_(1.0)
    phase.after()
    assert phase.after_every == 3
    pairs = zip(agent.networks.online.parameters(), agent.networks.target.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_numbers_as_actions_are_refused() -> None:
    with pytest.raises(UserError, match="needs discrete actions"):
        dqn.make_dqn(SMALL, Spaces((3, 8, 8), Continuous(2)), CPU)
