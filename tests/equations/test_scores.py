"""What is explained: each score against hand arithmetic, PyTorch's distributions or a naive float64 version."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, Normal, TransformedDistribution, kl_divergence
from torch.distributions.transforms import TanhTransform

from saccade.policies.pixels import Pixels
from saccade.policies.policy import Output, Policy
from saccade.policies.scores import SCORES, default_score, make_score
from saccade.types import UserError

PIXELS = Pixels((1, 1, 3), "uint8", 255.0, "channels_first", 1)
SAMPLES = 6


class Tables(nn.Module):
    """Linear in three pixels: any two vectors, and a number."""

    def __init__(self, width: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.first, self.second = (
            nn.Parameter(torch.randn(3, width, generator=generator, dtype=torch.float64)) for _ in range(2)
        )

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        flat = obs.flatten(1)
        return flat @ self.first, 0.3 * flat @ self.second


def policy(outputs: Mapping[str, Output], discrete: bool, network: nn.Module | None = None) -> Policy:
    return Policy("mine", network or Tables(4), outputs, PIXELS, discrete, torch.device("cpu"))


def categorical(name: str = "logits") -> Policy:
    return policy({name: lambda network, obs: network(obs)[0], "value": value}, discrete=True)


def value(network: nn.Module, obs: Tensor) -> Tensor:
    return network(obs)[1].square().sum(-1)


def gaussian(squash: bool = False) -> Policy:
    def action(network: nn.Module, obs: Tensor) -> Tensor:
        mean = network(obs)[0]
        return mean.tanh() if squash else mean

    outputs: dict[str, Output] = {
        "mean": lambda network, obs: network(obs)[0],
        "log_std": lambda network, obs: network(obs)[1],
        "action": action,
        "q": lambda network, obs, action: (network(obs)[1] * action).sum(-1),
    }
    return policy(outputs, discrete=False, network=Tables(2))


def pictures(seed: int = 0) -> Tensor:
    return torch.randn(SAMPLES, 1, 1, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fixed(rows: list[list[float]]) -> Policy:
    """A policy whose logits for the picture [i, 0, 0] are row i, interpolated linearly in between."""
    table = torch.tensor(rows, dtype=torch.float64)
    basis = torch.nn.functional.one_hot(torch.arange(len(rows)), len(rows)).double()

    def logits(network: nn.Module, obs: Tensor) -> Tensor:
        nearness = (1 - (obs[:, 0, 0, :1] - torch.arange(len(rows))).abs()).clamp(min=0)
        return nearness @ basis @ table

    return policy({"logits": logits}, discrete=True, network=nn.Identity())


def at(*indices: float) -> Tensor:
    """Pictures that ``fixed`` knows."""
    return torch.tensor([[[[index, 0, 0]]] for index in indices], dtype=torch.float64)


def test_q_of_actions() -> None:
    mine = categorical("q_values")
    obs = pictures()
    table = mine.network(obs)[0]
    torch.testing.assert_close(make_score(mine, "q", obs)(obs), table.max(-1).values)
    chosen = torch.tensor([0, 1, 2, 3, 3, 0])
    torch.testing.assert_close(make_score(mine, "q", obs, chosen)(obs), table[torch.arange(SAMPLES), chosen])
    critic = gaussian()
    action = torch.tensor([[2.0, -3.0]], dtype=torch.float64).expand(SAMPLES, -1)
    spread = critic.network(obs)[1]
    expected = 2 * spread[:, 0] - 3 * spread[:, 1]
    torch.testing.assert_close(make_score(critic, "q", obs, action)(obs), expected)


def test_the_greedy_action_stays_while_the_picture_changes() -> None:
    mine = fixed([[5.0, 1.0, 0.0], [-2.0, 3.0, 4.0]])
    score = make_score(mine, "logit", at(0))
    assert score(at(0)).tolist() == [5.0]
    assert score(at(1)).tolist() == [-2.0]  # still of action 0, although 2 is preferred there
    assert score(at(0.5)).tolist() == [1.5]


def test_value() -> None:
    obs = pictures()
    mine = categorical()
    torch.testing.assert_close(make_score(mine, "value", obs)(obs), value(mine.network, obs))


def test_log_probability_of_a_categorical_policy() -> None:
    obs, other = pictures(), pictures(1)
    mine = categorical()
    chosen = torch.tensor([0, 1, 2, 3, 3, 0])
    expected = Categorical(logits=mine.network(other)[0]).log_prob(chosen)
    torch.testing.assert_close(make_score(mine, "log_probability", obs, chosen)(other), expected)
    # Two actions with logits 0 and ln 3: probabilities 1/4 and 3/4.
    score = make_score(fixed([[0.0, math.log(3)]]), "log_probability", at(0))
    torch.testing.assert_close(score(at(0)).exp(), torch.tensor([0.75], dtype=torch.float64))


def test_log_probability_of_a_gaussian_policy() -> None:
    obs, other = pictures(), pictures(1)
    mine = gaussian()
    action = torch.randn(SAMPLES, 2, dtype=torch.float64)
    mean, log_std = mine.network(other)
    expected = Independent(Normal(mean, log_std.exp()), 1).log_prob(action)
    torch.testing.assert_close(make_score(mine, "log_probability", obs, action)(other), expected)


def test_log_probability_of_a_squashed_policy_is_the_densitys_up_to_a_constant() -> None:
    obs = pictures()
    mine = gaussian(squash=True)
    action = torch.tanh(torch.randn(SAMPLES, 2, dtype=torch.float64))
    score = make_score(mine, "log_probability", obs, action)

    def exact(pixels: Tensor) -> Tensor:
        mean, log_std = mine.network(pixels)
        normal = Independent(Normal(mean, log_std.exp()), 1)
        return TransformedDistribution(normal, TanhTransform()).log_prob(action)

    # The density differs by the tanh's slope at the action, which no picture changes.
    constant = torch.log(1 - action.square()).sum(-1)
    for other in (obs, pictures(1), pictures(2)):
        torch.testing.assert_close(score(other), exact(other) + constant, rtol=1e-5, atol=1e-5)


def test_action_mean() -> None:
    mine = policy({"action": lambda network, obs: network(obs)[0]}, discrete=False)
    obs, other = pictures(), pictures(1)
    here, there = mine.network(obs)[0], mine.network(other)[0]
    for dimension in range(4):
        torch.testing.assert_close(make_score(mine, f"action_mean:{dimension}", obs)(other), there[:, dimension])
    score = make_score(mine, "action_mean", obs)
    torch.testing.assert_close(score(obs), here.abs().max(-1).values)
    for index in range(SAMPLES):  # the dimension and its sign are those at the explained picture
        largest = int(here[index].abs().argmax())
        expected = there[index, largest] * (1 if here[index, largest] > 0 else -1)
        torch.testing.assert_close(score(other)[index], expected)


def test_confidence_by_hand() -> None:
    # Probabilities 1/4 and 3/4: (1/16 + 9/16) / 2 = 5/16.
    torch.testing.assert_close(
        make_score(fixed([[0.0, math.log(3)]]), "confidence", at(0))(at(0)), torch.tensor([5 / 16], dtype=torch.float64)
    )


def test_confidence_has_the_gradient_of_digr() -> None:
    obs = pictures().requires_grad_()
    mine = categorical()
    (found,) = torch.autograd.grad(make_score(mine, "confidence", obs.detach())(obs).sum(), obs)
    expected = torch.zeros_like(obs)
    for action in range(4):
        probability = mine.network(obs)[0].softmax(-1)[:, action]
        (gradient,) = torch.autograd.grad(probability.sum(), obs)
        expected += probability.detach()[:, None, None, None] * gradient
    torch.testing.assert_close(found, expected)
    assert float(found.abs().min()) > 1e-4


def test_kl_of_categorical_policies() -> None:
    obs, other = pictures(), pictures(1)
    for name in ("logits", "q_values"):
        mine = categorical(name)
        expected = kl_divergence(Categorical(logits=mine.network(obs)[0]), Categorical(logits=mine.network(other)[0]))
        torch.testing.assert_close(make_score(mine, "kl", obs)(other), expected)


def test_kl_of_gaussian_policies() -> None:
    obs, other = pictures(), pictures(1)
    mine = gaussian()
    before, after = (
        Independent(Normal(mean, log_std.exp()), 1) for mean, log_std in (mine.network(obs), mine.network(other))
    )
    torch.testing.assert_close(make_score(mine, "kl", obs)(other), kl_divergence(before, after))


@pytest.mark.parametrize("make", [categorical, gaussian])
def test_kl_of_a_tiny_change_survives_float32(make: Callable[[], Policy]) -> None:
    obs, near = pictures().float(), pictures().float() + 1e-3
    mine = make()
    mine.network.float()
    found = make_score(mine, "kl", obs)(near).detach()
    mine.network.double()
    expected = make_score(mine, "kl", obs.double())(near.double()).detach()
    assert found.dtype == torch.float32
    assert float(expected.max()) < 1e-4
    np.testing.assert_allclose(found, expected, rtol=0.01)


def test_distances_by_hand() -> None:
    # From (1, 2, 3) to (0, 4, 3): (1 + 4) / 2.
    mine = fixed([[1.0, 2.0, 3.0], [0.0, 4.0, 3.0]])
    assert make_score(mine, "action_distance", at(0))(at(1)).tolist() == [2.5]
    continuous = policy({"action": mine.outputs["logits"]}, discrete=False, network=nn.Identity())
    assert make_score(continuous, "action_distance", at(0))(at(1)).tolist() == [2.5]
    # Without a value, that of the action preferred at first: the third, which stays 3; the second changes by 2.
    q_values = policy({"q_values": mine.outputs["logits"]}, discrete=True, network=nn.Identity())
    assert make_score(q_values, "value_distance", at(0))(at(1)).tolist() == [0.0]
    assert make_score(q_values, "value_distance", at(0), torch.tensor([1]))(at(1)).tolist() == [2.0]


def test_value_distance() -> None:
    obs, other = pictures(), pictures(1)
    mine = categorical()
    expected = 0.5 * (value(mine.network, other) - value(mine.network, obs)).square()
    torch.testing.assert_close(make_score(mine, "value_distance", obs)(other), expected)
    critic = gaussian()
    q = make_score(critic, "q", obs)
    torch.testing.assert_close(make_score(critic, "value_distance", obs)(other), 0.5 * (q(other) - q(obs)).square())


def test_sarfa_by_hand() -> None:
    # Before: 1/2, 1/4, 1/4; after: 1/4, 1/4, 1/2. The action loses dP = 1/4; the others, alone, go from 1/2, 1/2 to
    # 1/3, 2/3: KL = (ln 3/2 + ln 3/4) / 2 = ln(9/8) / 2, K = 1 / (1 + KL), 2 dP K / (dP + K).
    mine = fixed([[math.log(2), 0.0, 0.0], [0.0, 0.0, math.log(2)]])
    kept = 1 / (1 + math.log(9 / 8) / 2)
    expected = 2 * 0.25 * kept / (0.25 + kept)
    score = make_score(mine, "sarfa", at(0))
    assert score(at(1)).tolist() == pytest.approx([expected])
    # The other way the action 0 gains, so that nothing about it is lost; of action 2 the same as before is lost.
    assert make_score(mine, "sarfa", at(1), torch.tensor([0]))(at(0)).tolist() == [0.0]
    assert make_score(mine, "sarfa", at(1))(at(0)).tolist() == pytest.approx([expected])


def test_sarfa_equals_its_naive_version() -> None:
    obs, other = pictures(), pictures(1)
    mine = categorical("q_values")
    before, after = mine.network(obs)[0].detach().numpy(), mine.network(other)[0].detach().numpy()
    expected = []
    for old, new in zip(before, after, strict=True):
        action = int(old.argmax())
        lost = softmax(old)[action] - softmax(new)[action]
        rest_old, rest_new = softmax(np.delete(old, action)), softmax(np.delete(new, action))
        kept = 1 / (1 + float((rest_old * np.log(rest_old / rest_new)).sum()))
        expected.append(2 * lost * kept / (lost + kept) if lost > 0 else 0.0)
    found = make_score(mine, "sarfa", obs)(other)
    np.testing.assert_allclose(found.detach().numpy(), expected)
    assert 0 < np.count_nonzero(expected) < SAMPLES


def softmax(values: np.ndarray) -> np.ndarray:
    weights = np.exp(values - values.max())
    return weights / weights.sum()


def test_what_is_explained_if_nobody_says() -> None:
    assert default_score(categorical("q_values")) == "q"
    assert default_score(categorical()) == "logit"
    assert default_score(gaussian()) == "q"
    assert default_score(policy({"action": lambda network, obs: network(obs)[0]}, discrete=False)) == "action_mean"


@pytest.mark.parametrize(
    ("mine", "name", "message"),
    [
        (categorical(), "happiness", f"no score 'happiness': choose from {', '.join(SCORES)}"),
        (categorical(), "logit:1", "no score 'logit:1'"),
        (gaussian(), "action_mean:x", "no score 'action_mean:x'"),
        (gaussian(), "action_mean:2", "no action dimension 2: this policy has 0 to 1"),
        (gaussian(), "logit", "mine has no score 'logit': its network outputs q, log_probability"),
        (categorical(), "q", "mine has no score 'q': its network outputs value, logit"),
    ],
)
def test_scores_that_do_not_exist(mine: Policy, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_score(mine, name, pictures())
