"""Every attack keeps its promises: inside its budget, alone with each sample, and stronger than noise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from saccade.attacks import ATTACKS
from saccade.testing.saliency_cases import BATCH, CHANNELS, distance_score, observations, small_network
from saccade.types import Score, UserError

every_attack = pytest.mark.parametrize("name", ATTACKS)
GRADIENTS = [name for name, attack in ATTACKS.items() if attack.gradients]
BUDGETS = (0.5, 1.0, 4.0, 16.0)
ROUNDING = 1e-4  # of a step of 255, in float32


def pictures(high: float = 255.0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Whole pixels, black and white among them."""
    return (observations(dtype=dtype) * 300 - 20).round().clamp(0, 255) * (high / 255)


def surprise(net: nn.Module, obs: Tensor, action: Tensor) -> Tensor:
    return -net(obs / 64).log_softmax(-1).gather(-1, action[:, None])[:, 0]


def divergence(net: nn.Module, obs: Tensor, clean: Tensor) -> Tensor:
    perturbed = net(obs / 64).log_softmax(-1)
    return (clean.exp() * (clean - perturbed)).sum(-1)


def score_for(name: str, net: nn.Module, obs: Tensor) -> Score:
    """What the attack climbs: of a categorical policy its surprise, or the divergence."""
    with torch.no_grad():
        clean = net(obs / 64).log_softmax(-1)
    if ATTACKS[name].distance:
        return Score(net, divergence, (clean,), distance=True)
    return Score(net, surprise, (clean.argmax(-1),))


@every_attack
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("high", [255.0, 1.0])
def test_inside_the_budget_and_the_range(name: str, whole: bool, high: float) -> None:
    net, obs = small_network(), pictures(high)
    score = score_for(name, net, obs * 255 / high)
    scaled = Score(net, lambda net, seen, given: score.function(net, seen * 255 / high, given), score.given)
    scaled = Score(net, scaled.function, score.given, distance=score.distance)
    for budget in BUDGETS:
        found = ATTACKS[name](scaled, obs, budget, high=high, whole_pixels=whole)
        assert found.shape == obs.shape and found.dtype == obs.dtype and not found.requires_grad
        steps = (found - obs) * 255 / high
        assert float(steps.abs().max()) <= budget + ROUNDING and 0 <= float(found.min()) <= float(found.max()) <= high
        in_bytes = found * 255 / high
        if whole:
            assert float((in_bytes - in_bytes.round()).abs().max()) <= ROUNDING
        if budget >= 1:
            assert float(steps.abs().max()) > budget - 1  # it uses what it has


@every_attack
def test_no_budget_is_no_attack(name: str) -> None:
    obs = pictures() + 0.25  # no whole pixels either
    found = ATTACKS[name](score_for(name, small_network(), obs), obs, 0)
    assert torch.equal(found, obs) and found.data_ptr() != obs.data_ptr()


@pytest.mark.parametrize("name", GRADIENTS)
def test_stronger_than_noise(name: str) -> None:
    net, obs = small_network(), pictures()
    score = score_for(name, net, obs)
    for budget in (2.0, 8.0):
        found, noise = (ATTACKS[one](score, obs, budget) for one in (name, "random_sign"))
        with torch.no_grad():
            assert bool((score(found) > score(noise)).all()) and float(score(found).mean()) > float(score(obs).mean())


@every_attack
def test_no_sample_depends_on_the_others(name: str) -> None:
    net, obs = small_network(torch.float64), pictures(dtype=torch.float64)
    score = score_for(name, net, obs)
    together = ATTACKS[name](score, obs, 6, seed=[5, 6, 7])
    assert torch.equal(ATTACKS[name](score, obs, 6, seed=[5, 6, 7], max_batch=2), together)
    for row in range(BATCH):
        alone = ATTACKS[name](score.rows(torch.tensor([row])), obs[row : row + 1], 6, seed=[5 + row])
        assert torch.equal(alone[0], together[row])
    first = ATTACKS[name](score.rows(torch.arange(2)), obs[:2], 6, seed=3)
    assert torch.equal(first, ATTACKS[name](score, obs, 6, seed=3)[:2])  # one seed for all gives each its own


@every_attack
def test_each_sample_has_a_budget_of_its_own(name: str) -> None:
    net, obs = small_network(torch.float64), pictures(dtype=torch.float64).clamp(max=250) + 0.25
    score = score_for(name, net, obs)
    budgets, seeds = [6.0, 0.0, 2.5], [5, 6, 7]
    together = ATTACKS[name](score, obs, budgets, seed=seeds)
    assert torch.equal(together, ATTACKS[name](score, obs, budgets, seed=seeds, max_batch=2))
    assert torch.equal(together[1], obs[1])
    for row, budget in enumerate(budgets):
        one = ATTACKS[name](score.rows(torch.tensor([row])), obs[row : row + 1], budget, seed=[seeds[row]])
        assert torch.equal(one[0], together[row])
    nothing = ATTACKS[name](score, obs, [0.0] * BATCH)
    assert torch.equal(nothing, obs) and nothing.data_ptr() != obs.data_ptr()


@every_attack
def test_weights_and_random_states_stay_as_they_are(name: str) -> None:
    net, obs = small_network(), pictures()
    before, kept = torch.random.get_rng_state(), obs.clone()
    own = torch.full_like(next(net.parameters()), 7.0)
    next(net.parameters()).grad = own
    net.train()
    ATTACKS[name](score_for(name, net, obs), obs, 4)
    assert torch.equal(torch.random.get_rng_state(), before) and torch.equal(obs, kept) and net.training
    gradients = [parameter.grad for parameter in net.parameters()]
    assert gradients[0] is own and bool((own == 7).all()) and gradients[1:] == [None] * (len(gradients) - 1)


@every_attack
def test_closed_channels_stay_as_they_are(name: str) -> None:
    obs = pictures().clamp(max=250) + 0.3
    score = score_for(name, small_network(), obs)
    for whole in (True, False):
        found = ATTACKS[name](score, obs, 8, channels=1, whole_pixels=whole)
        assert torch.equal(found[:, : CHANNELS - 1], obs[:, : CHANNELS - 1])
        assert not torch.equal(found[:, CHANNELS - 1], obs[:, CHANNELS - 1])


@every_attack
def test_another_seed_another_draw(name: str) -> None:
    net, obs = small_network(), pictures()
    score = score_for(name, net, obs)
    first, again, other = (ATTACKS[name](score, obs, 3, seed=seed, whole_pixels=False) for seed in (0, 0, 1))
    draws = "pgd" in name or name in ("mad", "random_sign", "transfer")
    assert torch.equal(first, again) and torch.equal(first, other) != draws


@pytest.mark.parametrize("name", [name for name in GRADIENTS if not ATTACKS[name].distance])
def test_a_distance_is_left_before_it_is_climbed(name: str) -> None:
    """At the clean picture a distance has no gradient: no attack stays there."""
    net = small_network()
    obs = pictures() / 64
    score = distance_score(net, obs)
    found = ATTACKS[name](score, obs, 8, high=255 / 64)
    noise = ATTACKS["random_sign"](score, obs, 8, high=255 / 64)
    assert bool((score(found) > score(noise)).all())


def test_more_restarts_never_end_lower() -> None:
    net, obs = small_network(torch.float64), pictures(dtype=torch.float64)
    score = score_for("pgd", net, obs)
    one, four = (score(ATTACKS["pgd"](score, obs, 4, restarts=count, whole_pixels=False)).detach() for count in (1, 4))
    assert bool((four >= one).all())


def linear(net: nn.Module, obs: Tensor) -> Tensor:
    return net(obs.flatten(1))[:, 0]


@pytest.mark.parametrize("name", [name for name in GRADIENTS if not ATTACKS[name].distance])
def test_of_a_linear_score_the_best_is_known(name: str) -> None:
    """Each pixel as far as it may go, in the direction of its weight's sign; where that is 0 nobody knows where."""
    obs = torch.tensor([[[[100.0, 254.0], [0.0, 7.0]]]])
    net = nn.Linear(4, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[-2.0, 0.5, 1e-3, -1.0]]))
    found = ATTACKS[name](Score(net, linear), obs, 10)
    assert found.flatten().tolist() == [90.0, 255.0, 10.0, 0.0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"budget": -1}, "A budget of -1 is none"),
        ({"budget": math.nan}, "A budget of nan is none"),
        ({"budget": 256}, "from 0 to 255"),
        ({"budget": [1, -1, 2]}, "A budget of -1 is none"),
        ({"budget": [1, 2]}, "2 budgets do not fit 3 observations"),
        ({"channels": 5}, "5 of 4 channels cannot be attacked"),
        ({"steps": 0}, "steps 0 is too small"),
        ({"speed": 1}, "no hyper-parameter 'speed': it has steps, step_share, restarts"),
        ({"seed": [1]}, "1 seeds do not fit 3 observations"),
        ({"max_batch": 0}, "max_batch 0 is too small"),
        ({"obs": torch.zeros(3, 4, 12, 12, dtype=torch.uint8)}, "type uint8 cannot be attacked"),
    ],
)
def test_what_is_refused(change: dict, sentence: str) -> None:
    obs = pictures()
    score = score_for("pgd", small_network(), obs)
    given = {"budget": 4, "obs": obs, **change}
    with pytest.raises(UserError, match=sentence):
        ATTACKS["pgd"](score, given.pop("obs"), given.pop("budget"), **given)


def test_what_cannot_be_climbed_is_said() -> None:
    net, obs = small_network(), pictures()
    with pytest.raises(UserError, match="is no such distance: attack the policy's divergence"):
        ATTACKS["mad"](score_for("pgd", net, obs), obs, 4)
    with pytest.raises(UserError, match="does not depend on the observation"):
        ATTACKS["fgsm"](Score(net, lambda net, obs: net(obs.detach())[:, 0] * 1), obs, 4)
    with pytest.raises(UserError, match="holds NaN or infinity"):
        ATTACKS["fgsm"](Score(net, lambda net, obs: net(obs)[:, 0] * math.inf), obs, 4)
    with pytest.raises(UserError, match=r"one number for each, of shape \[3\]"):
        ATTACKS["fgsm"](Score(net, lambda net, obs: net(obs)), obs, 4)
