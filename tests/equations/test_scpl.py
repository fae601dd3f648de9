"""SCPL's losses by hand and by loops in float64, and that each can be switched off without touching the others."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from saccade.agents.agent import Agent, look
from saccade.agents.configs import SAC, SCPL, Architecture, Augmentation
from saccade.agents.given import Given
from saccade.agents.methods import sac
from saccade.agents.methods.scpl import (
    Transition,
    diagonal_divergence,
    draw_both_augmented,
    draw_mask_fill,
    make_scpl,
    masked_q_consistency,
    next_embedding_error,
    policy_divergence,
    reward_error,
)
from saccade.testing.batches import noise_pictures
from saccade.types import Batch, Continuous, Spaces, UserError

CPU = torch.device("cpu")
SIZE = Architecture(image_size=12, filters=4, conv_layers=2, projection=8, hidden=16)
SPACES = Spaces((9, 12, 12), Continuous(2))
CONFIG = SCPL(SAC(SIZE, batch_size=3), dynamics_hidden=5, shift=0)
SAMPLES = 3


def agent(config: SCPL = CONFIG) -> Agent:
    torch.manual_seed(0)
    made = make_scpl(config, SPACES, CPU, Given(noise_pictures))
    with torch.no_grad():  # away from a start whose gradients are mostly zero
        for parameter in made.networks.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.05)
    return made


def batch() -> Batch:
    generator = torch.Generator().manual_seed(3)
    obs, next_obs = (torch.rand((SAMPLES, 9, 12, 12), generator=generator) * 255 for _ in range(2))
    action = torch.rand((SAMPLES, 2), generator=generator) * 2 - 1
    return Batch(obs, action, torch.rand(SAMPLES, generator=generator), torch.ones(SAMPLES), next_obs)


def seen_by_all(learner: Agent) -> Batch:
    """A batch that was drawn for and looked at by every phase, none of which was stepped."""
    data = learner.prepare(batch(), torch.Generator().manual_seed(5))
    for phase in learner.phases:
        data = look(phase, data)
    return data


def test_a_divergence_by_hand() -> None:
    # Variances 2 and 1, means 0 and 3: (2 + 9 - 1 - ln 2) / 2 = 4.6534; equal Gaussians beside it add nothing.
    told = diagonal_divergence(*(torch.tensor([[first, 0.5]], dtype=torch.float64) for first in (0.0, 2.0, 3.0, 1.0)))
    assert told.item() == pytest.approx((2 + 9 - 1 - 0.6931471805599453) / 2)


def test_the_divergence_is_pytorchs_of_gaussians_with_these_variances() -> None:
    mean, other_mean = torch.randn((2, 4, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    variance, other_variance = torch.rand((2, 4, 3), generator=torch.Generator().manual_seed(1)).double() + 0.1
    ours = diagonal_divergence(mean, variance, other_mean, other_variance)
    normal = torch.distributions.Normal
    theirs = torch.distributions.kl_divergence(normal(mean, variance.sqrt()), normal(other_mean, other_variance.sqrt()))
    torch.testing.assert_close(ours, theirs.sum(-1))


def test_the_policys_divergence_holds_the_clean_deviation_alone() -> None:
    mean, other_mean = torch.randn((2, 4, 3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    log_std, other_log_std = torch.randn((2, 4, 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    given = [value.clone().requires_grad_() for value in (mean, log_std, other_mean, other_log_std)]
    nets: Any = SimpleNamespace(actor=lambda features: (given[2], given[3]))
    data = batch()._replace(seen={"augmented_features": mean})
    loss = policy_divergence(nets)(data, {"mean": given[0], "log_std": given[1]})
    naive = torch.zeros((), dtype=torch.float64)
    own = [value.clone().requires_grad_() for value in (mean, other_mean, other_log_std)]
    for sample in range(4):
        for action in range(3):
            s, other = log_std[sample, action].exp(), own[2][sample, action].exp()
            apart = torch.tanh(own[1][sample, action]) - torch.tanh(own[0][sample, action])
            naive = naive + 0.5 * (s / other + apart**2 / other - 1 + torch.log(other / s)) / 4
    torch.testing.assert_close(loss, naive)
    gradients = torch.autograd.grad(loss, given, allow_unused=True)
    assert gradients[1] is None  # the clean standard deviation
    expected = torch.autograd.grad(naive, own)
    for gradient, wanted in zip((gradients[0], gradients[2], gradients[3]), expected, strict=True):
        torch.testing.assert_close(gradient, wanted)


def test_consistency_is_the_mean_over_clean_and_augmented_observations() -> None:
    learner = agent()
    nets = learner.networks.actor_critic
    data = seen_by_all(learner)
    phase = learner.phases[0]
    shared = phase.share(data)
    assert shared["mask"].shape == (2 * SAMPLES, 3, 12, 12)
    told = masked_q_consistency(nets)(data, shared).item()
    critic, fill = nets.critic.double(), data.drawn["mask_fill"].double()
    total, both = 0.0, torch.cat([data.obs, data.drawn["augmented_obs"]])
    for row in range(2 * SAMPLES):
        hidden = both[row : row + 1].double().clone()
        for frame in range(3):
            outside = ~shared["mask"][row, frame]
            hidden[0, 3 * frame : 3 * frame + 3, outside] = fill
        action = data.action[row % SAMPLES : row % SAMPLES + 1].double()
        with torch.no_grad():
            whole, masked = critic(both[row : row + 1].double(), action), critic(hidden, action)
        total += sum((one - other).square().item() for one, other in zip(whole, masked, strict=True))
    assert told == pytest.approx(total / (2 * SAMPLES), rel=1e-3)


def test_values_and_target_are_sveas() -> None:
    learner = agent()
    nets = learner.networks.actor_critic
    data = seen_by_all(learner)
    shared = learner.phases[0].share(data)
    torch.testing.assert_close(shared["q2"], nets.critic(data.obs, data.action)[1])
    torch.testing.assert_close(shared["augmented_q1"], nets.critic(data.drawn["augmented_obs"], data.action)[0])
    torch.testing.assert_close(shared["target"], sac.bootstrapped_return(nets, data, discount=0.99))


def test_the_transition_by_a_loop() -> None:
    torch.manual_seed(0)
    model = Transition(4, 2, 3).double()
    embedding, action = torch.randn(5, 4, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    told, reward = model(embedding, action)
    first, norm = model.trunk[0], model.trunk[1]
    for row in range(5):
        hidden = first.weight @ torch.cat([embedding[row], action[row]]) + first.bias
        hidden = (hidden - hidden.mean()) / (hidden.var(unbiased=False) + norm.eps).sqrt()
        hidden = hidden.clamp(min=0)
        torch.testing.assert_close(told[row], model.next_embedding.weight @ hidden + model.next_embedding.bias)
        torch.testing.assert_close(reward[row], (model.reward.weight @ hidden + model.reward.bias)[0])


def test_the_dynamics_by_hand() -> None:
    # Two samples, twice: differences 1 and 3 of embeddings, half of the mean square is 2.5; of rewards 2 and 0: 2.
    data = batch()._replace(reward=torch.tensor([1.0, 2.0]), seen={"next_embedding": torch.zeros(4, 1)})
    shared = {
        "predicted_embedding": torch.tensor([[1.0], [3.0], [1.0], [3.0]]),
        "predicted_reward": torch.tensor([3.0, 2.0, 3.0, 2.0]),
    }
    assert next_embedding_error(data, shared).item() == 2.5
    assert reward_error(data, shared).item() == 2.0


def test_the_dynamics_lead_to_the_next_embedding_of_the_same_half() -> None:
    learner = agent()
    critic, model = learner.networks.actor_critic.critic, learner.networks.transition
    data = seen_by_all(learner)
    phase = learner.phases[2]
    shared = phase.share(data)
    with torch.no_grad():
        told, reward = model(critic.embed(data.drawn["augmented_obs"]), data.action)
        torch.testing.assert_close(shared["predicted_embedding"][SAMPLES:], told)
        torch.testing.assert_close(shared["predicted_reward"][SAMPLES:], reward)
        following = critic.embed(data.drawn["augmented_next_obs"])
    torch.testing.assert_close(data.seen["next_embedding"][SAMPLES:], following)


def test_observation_and_next_observation_get_the_same_picture() -> None:
    def augment(obs: Tensor, generator: Generator) -> Tensor:
        return obs + torch.rand((len(obs), 1, 1, 1), generator=generator)

    data = draw_both_augmented(augment)(batch(), torch.Generator().manual_seed(0))
    added = data.drawn["augmented_obs"] - data.obs
    torch.testing.assert_close(added, data.drawn["augmented_next_obs"] - data.next_obs)
    assert added[0, 0, 0, 0] != added[1, 0, 0, 0]


def test_the_fill_lies_between_the_extremes_of_both_halves() -> None:
    data = batch()._replace(
        obs=torch.full((2, 9, 4, 4), 10.0), drawn={"augmented_obs": torch.full((2, 9, 4, 4), 200.0)}
    )
    levels = [
        draw_mask_fill("random_grey")(data, torch.Generator().manual_seed(seed)).drawn["mask_fill"].item()
        for seed in range(50)
    ]
    assert 10 <= min(levels) < 60 and 150 < max(levels) <= 200
    assert draw_mask_fill("zero")(data, torch.Generator()).drawn["mask_fill"].item() == 0


SWITCHES = ("consistency_weight", "policy_consistency_weight", "dynamics_weight", "reward_weight")
TERMS = {"consistency_weight": "critic/consistency", "policy_consistency_weight": "actor/policy_consistency"}
TERMS |= {"dynamics_weight": "dynamics/next_embedding", "reward_weight": "dynamics/reward"}


def gradients(learner: Agent) -> dict[str, dict[str, Tensor | None]]:
    """Of every term, by its log key, what its loss gives every parameter, by its name."""
    names = dict(learner.networks.named_parameters())
    data = seen_by_all(learner)
    found = {}
    for phase in learner.phases:
        for name, term in phase.terms.items():
            loss = term.weight * term.loss(data, phase.share(data))
            got = torch.autograd.grad(loss, phase.owned(), allow_unused=True)
            owner = {id(parameter): own for own, parameter in names.items()}
            found[f"{phase.name}/{name}"] = dict(zip((owner[id(one)] for one in phase.owned()), got, strict=True))
    return found


@pytest.mark.parametrize("off", SWITCHES)
def test_a_term_that_is_switched_off_leaves_the_others_as_they_were(off: str) -> None:
    whole, less = gradients(agent()), gradients(agent(dataclasses.replace(CONFIG, **{off: 0.0})))
    assert set(whole) - set(less) == {TERMS[off]}
    for term, of_parameters in less.items():
        for name, gradient in of_parameters.items():
            before = whole[term][name]
            assert (gradient is None) == (before is None), (term, name)
            if gradient is not None and before is not None:
                torch.testing.assert_close(gradient, before, rtol=1e-4, atol=1e-6, msg=f"{term} of {name}")


def test_without_its_dynamics_nothing_of_the_transition_is_trained() -> None:
    config = dataclasses.replace(CONFIG, dynamics_weight=0.0, reward_weight=0.0)
    assert [phase.name for phase in agent(config).phases] == ["critic", "actor"]
    only_reward = agent(dataclasses.replace(CONFIG, dynamics_weight=0.0))
    owned = {id(parameter) for parameter in only_reward.phases[2].owned()}
    transition = only_reward.networks.transition
    assert all(id(parameter) in owned for parameter in transition.reward.parameters())
    assert not any(id(parameter) in owned for parameter in transition.next_embedding.parameters())


def test_a_quantile_of_one_is_refused() -> None:
    with pytest.raises(UserError, match="hides all or nothing"):
        agent(dataclasses.replace(CONFIG, quantile=1.0, strong=Augmentation("random_convolution")))
