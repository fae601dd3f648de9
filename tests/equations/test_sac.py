"""SAC's equations by hand and against ``torch.distributions``; the networks' published sizes."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from saccade.agents.methods import sac
from saccade.types import Batch, Continuous, Spaces, UserError

TINY = sac.SAC(sac.Architecture(image_size=12, filters=4, conv_layers=2, projection=8, hidden=16), batch_size=2)
CPU = torch.device("cpu")


def tiny_networks() -> sac.ActorCritic:
    torch.manual_seed(0)
    return sac.make_networks(Spaces((9, 12, 12), Continuous(2)), TINY, CPU)


def tiny_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    obs, next_obs = (torch.rand((2, 9, 12, 12), generator=generator) * 255 for _ in range(2))
    drawn = {name: torch.randn((2, 2), generator=generator) for name in ("next_action_noise", "action_noise")}
    return Batch(
        obs,
        torch.tensor([[0.5, -0.5], [0.1, 0.2]]),
        torch.tensor([1.0, 2.0]),
        torch.tensor([1.0, 0.0]),
        next_obs,
        drawn,
    )


def test_log_probability_equals_the_transformed_distribution() -> None:
    mean = torch.tensor([[0.3, -0.2], [1.0, 0.0]], dtype=torch.float64)
    log_std = torch.tensor([[-1.0, 0.2], [0.0, -2.0]], dtype=torch.float64)
    noise = torch.tensor([[0.5, -1.0], [0.1, 2.0]], dtype=torch.float64)
    action, log_probability = sac.sample_action(mean, log_std, noise)
    gaussian = Independent(Normal(mean, log_std.exp()), 1)
    expected = TransformedDistribution(gaussian, [TanhTransform()]).log_prob(action)
    torch.testing.assert_close(action, torch.tanh(mean + log_std.exp() * noise))
    torch.testing.assert_close(log_probability, expected, rtol=1e-4, atol=1e-4)  # the tanh correction has an epsilon


def test_bellman_error_by_hand() -> None:
    # Targets 1 and 3; Q1 is 2 and 3, off by 1 and 0: mean square 0.5. Q2 is 1 and 5, off by 0 and 2: 2.0.
    shared = {
        "q1": torch.tensor([2.0, 3.0]),
        "q2": torch.tensor([1.0, 5.0]),
        "target": torch.tensor([1.0, 3.0]),
    }
    assert sac.bellman_error(tiny_batch(), shared).item() == 2.5


def test_policy_and_temperature_losses_by_hand() -> None:
    # alpha 0.1: (0.1 * 2 - 5 + 0.1 * -4 - 1) / 2 = -3.1; excess entropies 3 and 1: 0.1 * 2 = 0.2.
    shared = {
        "temperature": torch.tensor(0.1),
        "log_probability": torch.tensor([2.0, -4.0]),
        "value": torch.tensor([5.0, 1.0]),
        "excess_entropy": torch.tensor([3.0, 1.0]),
    }
    assert sac.policy_loss(tiny_batch(), shared).item() == pytest.approx(-3.1)
    assert sac.temperature_loss(tiny_batch(), shared).item() == pytest.approx(0.2)


def test_target_bootstraps_unless_the_episode_truly_ended() -> None:
    nets, batch = tiny_networks(), tiny_batch()
    target = sac.bootstrapped_return(nets, batch, discount=0.9)
    with torch.no_grad():
        mean, log_std = nets.actor(nets.critic.convolutions(batch.next_obs))
        action, log_probability = sac.sample_action(mean, log_std, batch.drawn["next_action_noise"])
        q1, q2 = nets.target_critic(batch.next_obs, action)
    value = torch.minimum(q1, q2) - 0.1 * log_probability
    torch.testing.assert_close(target[0], 1.0 + 0.9 * value[0])
    assert target[1] == 2.0


def test_targets_move_at_their_two_rates() -> None:
    nets = tiny_networks()
    with torch.no_grad():
        for parameter in nets.target_critic.parameters():
            parameter.zero_()
        for parameter in nets.critic.parameters():
            parameter.fill_(1.0)
    sac.target_move(nets, TINY)()
    for name, parameter in nets.target_critic.named_parameters():
        rate = 0.01 if name.startswith("q") else 0.05
        assert torch.allclose(parameter, torch.tensor(rate)), name


def test_actor_phase_leaves_the_critic_alone() -> None:
    nets, batch = tiny_networks(), tiny_batch()
    phase = sac.actor_phase(nets, TINY)
    before = {name: value.clone() for name, value in nets.critic.state_dict().items()}
    sac_step(phase, batch)
    assert all(torch.equal(before[name], value) for name, value in nets.critic.state_dict().items())
    assert all(parameter.grad is None for parameter in nets.parameters())
    assert nets.log_temperature.item() != pytest.approx(math.log(0.1), abs=1e-7)


def sac_step(phase: object, batch: Batch) -> None:
    from saccade.agents.agent import look, step

    step(phase, look(phase, batch), 2)


def test_published_sizes() -> None:
    nets = sac.make_networks(Spaces((9, 84, 84), Continuous(6)), sac.SAC(), CPU)

    def count(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(nets.critic.convolutions) == 95_104
    assert count(nets.critic.projection) == count(nets.actor.projection) == 1_411_500
    assert nets.critic.convolutions.side == 21
    assert count(nets.critic.q1) == 107 * 1024 + 1024 + 1024 * 1024 + 1024 + 1024 + 1 - 1024  # 106 inputs


def test_at_the_start_one_pixel_in_sixteen_has_a_gradient() -> None:
    nets = sac.make_networks(Spaces((9, 84, 84), Continuous(6)), sac.SAC(), CPU)
    obs = torch.rand(1, 9, 84, 84).mul_(255).requires_grad_()
    (slope,) = torch.autograd.grad(nets.critic(obs, torch.zeros(1, 6))[0].sum(), obs)
    assert int((slope[0, :3].abs().amax(0) > 0).sum()) == 441  # 21 * 21 of 84 * 84


def test_pictures_smaller_than_the_encoder_are_refused() -> None:
    with pytest.raises(UserError, match="10x10 pixels are smaller"):
        sac.make_networks(Spaces((9, 10, 10), Continuous(2)), TINY, CPU)
    with pytest.raises(UserError, match="at most"):
        sac.make_networks(
            Spaces((9, 12, 12), Continuous(2)), sac.SAC(sac.Architecture(image_size=12, conv_layers=4)), CPU
        )
