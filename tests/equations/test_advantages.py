"""Generalised advantage estimation by hand and against a naive loop; normalised advantages; PPO's appraisal."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from saccade.agents.configs_on_policy import PPO
from saccade.agents.methods.ppo import appraised
from saccade.agents.parts.advantages import gae, normalised
from saccade.data.rollout import Outcome

STEPS, ENVS = 12, 5
NEVER = torch.zeros((3, 1), dtype=torch.bool)


def column(*numbers: float) -> Tensor:
    return torch.tensor(numbers)[:, None]


def after_step(step: int) -> Tensor:
    return (torch.arange(3) == step)[:, None]


def by_hand(terminated: Tensor, truncated: Tensor, truncated_value: Tensor | None) -> list[float]:
    """Rewards 1, 2, 3 and values 4, 2, 6, then 8; discount 0.5, lambda 0.5."""
    arguments = (column(1, 2, 3), column(4, 2, 6), torch.tensor([8.0]), terminated, truncated, truncated_value)
    return gae(*arguments, discount=0.5, lam=0.5).squeeze(1).tolist()


def test_an_episode_that_goes_on_by_hand() -> None:
    # Errors: 1 + 0.5 * 2 - 4 = -2; 2 + 0.5 * 6 - 2 = 3; 3 + 0.5 * 8 - 6 = 1. Advantages from the end, each 0.25 of the
    # next one: 1; 3 + 0.25 = 3.25; -2 + 0.8125 = -1.1875.
    assert by_hand(NEVER, NEVER, None) == [-1.1875, 3.25, 1.0]
    assert by_hand(NEVER, NEVER, column(100, 100, 100)) == [-1.1875, 3.25, 1.0]  # read where one is cut alone


def test_an_episode_that_ends_by_hand() -> None:
    # Ended after the middle step: nothing follows, 2 - 2 = 0, and the last step is another episode's.
    assert by_hand(after_step(1), NEVER, None) == [-2.0, 0.0, 1.0]
    assert by_hand(after_step(2), NEVER, None) == [-2 + 0.25 * (3 + 0.25 * -3), 2.25, -3.0]


def test_an_episode_cut_short_by_hand() -> None:
    # Cut after the middle step, where its last observation is worth 10: 2 + 0.5 * 10 - 2 = 5; or as if it had ended.
    assert by_hand(NEVER, after_step(1), column(0, 10, 0)) == [-2 + 0.25 * 5, 5.0, 1.0]
    assert by_hand(NEVER, after_step(1), None) == by_hand(after_step(1), NEVER, None)
    # To end counts for more than to be cut at the same moment.
    assert by_hand(after_step(1), after_step(1), column(0, 10, 0)) == by_hand(after_step(1), NEVER, None)


def naive(rollout: dict[str, Tensor], bootstrap: bool, discount: float, lam: float) -> Tensor:
    """Every advantage as the sum of its discounted errors, episode by episode, number by number."""
    found = torch.zeros((STEPS, ENVS), dtype=torch.float64)
    for env in range(ENVS):
        for start in range(STEPS):
            weight = 1.0
            for step in range(start, STEPS):
                ended, cut = bool(rollout["terminated"][step, env]), bool(rollout["truncated"][step, env])
                following = float(rollout["value"][step + 1, env] if step + 1 < STEPS else rollout["last_value"][env])
                if cut:
                    following = float(rollout["truncated_value"][step, env]) if bootstrap else 0.0
                if ended:
                    following = 0.0
                error = rollout["reward"][step, env] + discount * following - rollout["value"][step, env]
                found[start, env] += weight * error
                if ended or cut:
                    break
                weight *= discount * lam
    return found


def random_rollout(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    return {
        "reward": numbers(STEPS, ENVS),
        "value": numbers(STEPS, ENVS),
        "last_value": numbers(ENVS),
        "terminated": numbers(STEPS, ENVS) > 1.2,
        "truncated": numbers(STEPS, ENVS) > 1.2,
        "truncated_value": numbers(STEPS, ENVS),
    }


@pytest.mark.parametrize("bootstrap", [True, False])
@pytest.mark.parametrize(("discount", "lam"), [(0.99, 0.95), (0.9, 0.0), (1.0, 1.0)])
def test_a_rollout_of_many_episodes_equals_the_naive_one(bootstrap: bool, discount: float, lam: float) -> None:
    for seed in range(3):
        rollout = random_rollout(seed)
        assert rollout["terminated"].any() and rollout["truncated"].any()
        given = rollout if bootstrap else rollout | {"truncated_value": None}
        found = gae(**given, discount=discount, lam=lam)
        expected = naive(rollout, bootstrap, discount, lam)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        single = {
            name: value if value is None or value.dtype == torch.bool else value.float()
            for name, value in given.items()
        }
        rounded = gae(**single, discount=discount, lam=lam)
        assert rounded.dtype == torch.float32
        torch.testing.assert_close(rounded.double(), expected, rtol=1e-4, atol=1e-4)


def test_normalised_by_hand() -> None:
    # Mean 3, squared deviations 4, 0, 0, 4: a variance of 2 of the population (8 / 3 of a sample).
    found = normalised(torch.tensor([[1.0, 3.0], [3.0, 5.0]]), epsilon=0.0)
    torch.testing.assert_close(found, torch.tensor([[-2.0, 0.0], [0.0, 2.0]]) / 2**0.5)
    assert normalised(torch.tensor([1.0, 3.0]), epsilon=1.0).tolist() == [-0.5, 0.5]


@pytest.mark.parametrize("truncation", ["bootstrap", "end"])
@pytest.mark.parametrize("over", ["rollout", "minibatch", "none"])
def test_a_rollout_is_appraised_as_configured(truncation: str, over: str) -> None:
    rollout = random_rollout(0)
    config = PPO(discount=0.9, gae_lambda=0.8, truncation=truncation, advantage_normalization=over)
    advantage, target = appraised(config, Outcome(**rollout))
    plain = naive(rollout, truncation == "bootstrap", 0.9, 0.8)
    torch.testing.assert_close(target, plain + rollout["value"])
    if over == "rollout":
        plain = (plain - plain.mean()) / (plain.var(correction=0).sqrt() + 1e-8)
    torch.testing.assert_close(advantage, plain)
