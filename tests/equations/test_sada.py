"""SADA's augmentations and losses, by hand and by loops in float64."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from saccade.agents.agent import look, step
from saccade.agents.configs import SAC, SADA, SVEA, Architecture
from saccade.agents.given import Given
from saccade.agents.methods import sac, svea
from saccade.agents.methods.sada import actor_phase, critic_phase, make_sada, one_of_each
from saccade.nets.encoders import RectifiedStack
from saccade.pixels.augmentations import rotate_by
from saccade.testing.batches import noise_pictures
from saccade.types import Batch, Continuous, Spaces, UserError

CPU = torch.device("cpu")
SIZE = Architecture(image_size=12, filters=4, conv_layers=2, projection=8, hidden=16)
SPACES = Spaces((9, 12, 12), Continuous(2))
CONFIG = SADA(dataclasses.replace(SADA().sac, architecture=SIZE, batch_size=3), far_shift=2)
SAMPLES = 3


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    torch.manual_seed(0)


def networks() -> sac.ActorCritic:
    torch.manual_seed(0)
    nets = make_sada(CONFIG, SPACES, CPU, Given(noise_pictures)).networks
    assert isinstance(nets, sac.ActorCritic)
    with torch.no_grad():  # away from a start whose gradients are mostly zero
        for parameter in nets.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return nets


def batch(dtype: torch.dtype = torch.float32) -> Batch:
    generator = torch.Generator().manual_seed(3)
    obs, next_obs, augmented = (
        torch.rand((SAMPLES, 9, 12, 12), generator=generator, dtype=dtype) * 255 for _ in range(3)
    )
    noise = torch.randn((3, SAMPLES, 2), generator=generator, dtype=dtype)
    drawn = {"augmented_obs": augmented, "next_action_noise": noise[0]}
    drawn |= {"action_noise": noise[1], "augmented_action_noise": noise[2]}
    number = torch.rand(SAMPLES, generator=generator, dtype=dtype)
    return Batch(obs, torch.zeros((SAMPLES, 2), dtype=dtype), number, torch.ones_like(number), next_obs, drawn)


@pytest.mark.parametrize(("degrees", "quarters"), [(0.0, 0), (90.0, 1), (180.0, 2), (-90.0, 3)])
def test_quarter_turns_move_pixels_to_pixels(degrees: float, quarters: int) -> None:
    obs = torch.rand(2, 9, 6, 6) * 255
    turned = rotate_by(obs, torch.full((2,), degrees))
    torch.testing.assert_close(turned, torch.rot90(obs, quarters, dims=(2, 3)), atol=1e-2, rtol=1e-4)


def test_corners_repeat_the_border() -> None:
    # All is 7, and turned by an eighth it stays so, though a corner looks beyond the picture.
    obs = torch.full((1, 3, 8, 8), 7.0)
    torch.testing.assert_close(rotate_by(obs, torch.tensor([45.0])), obs)


def test_every_sample_is_turned_by_its_own_angle() -> None:
    obs = torch.rand(2, 3, 6, 6) * 255
    turned = rotate_by(obs, torch.tensor([0.0, 90.0]))
    torch.testing.assert_close(turned[0], obs[0], atol=1e-2, rtol=1e-4)
    torch.testing.assert_close(turned[1], torch.rot90(obs[1], 1, dims=(1, 2)), atol=1e-2, rtol=1e-4)


def augmented(*kinds: Any, seed: int = 0, samples: int = 64) -> tuple[Tensor, Tensor]:
    """The same picture many times, and what it becomes."""
    obs = (torch.rand((1, 9, 12, 12), generator=torch.Generator().manual_seed(1)) * 255).repeat(samples, 1, 1, 1)
    config = dataclasses.replace(CONFIG, strong_augmentations=kinds)
    return obs, one_of_each(config, noise_pictures)(obs, torch.Generator().manual_seed(seed))


def different(pictures: Tensor) -> int:
    return len(torch.unique(pictures.flatten(1), dim=0))


def test_all_that_are_rotated_are_rotated_alike() -> None:
    obs, turned = augmented("rotation")
    assert different(turned) == 1 and not torch.allclose(turned, obs)


def test_shifts_differ_by_sample() -> None:
    _, moved = augmented("far_shift")
    assert 1 < different(moved) <= 25  # offsets of 0..4 along both axes


def test_an_overlay_alone_is_the_benchmarks() -> None:
    obs, blended = augmented("overlay", samples=4)

    def first(count: int, size: int, generator: Generator) -> Tensor:
        return noise_pictures(count, size, generator)

    generator = torch.Generator().manual_seed(0)
    torch.randint(1, (4,), generator=generator)  # which augmentation
    pictures = first(4, 12, generator)
    torch.testing.assert_close(blended, 0.5 * obs + 0.5 * pictures.repeat(1, 3, 1, 1))


def test_every_augmentation_is_drawn_about_as_often() -> None:
    """Of two augmentations of which one does nothing, about half of the samples stay as they are."""
    config = dataclasses.replace(CONFIG, strong_augmentations=("overlay", "far_shift"), far_shift=0)
    obs = torch.zeros(2000, 9, 12, 12)
    changed = one_of_each(config, noise_pictures)(obs, torch.Generator().manual_seed(0))
    share = float((changed.flatten(1) != 0).any(1).float().mean())
    assert abs(share - 0.5) < 4 * math.sqrt(0.25 / 2000)


def test_the_actor_acts_on_both_and_is_judged_on_clean_ones() -> None:
    nets, data = networks().double(), batch(torch.float64)
    nets.log_temperature.data.fill_(math.log(0.3))
    phase = actor_phase(nets, CONFIG)
    shared = phase.share(look(phase, data))
    policy = sac.policy_loss(data, shared)
    total = 0.0
    with torch.no_grad():
        for noise, seen in (("action_noise", data.obs), ("augmented_action_noise", data.drawn["augmented_obs"])):
            for row in range(SAMPLES):
                one = slice(row, row + 1)
                mean, log_std = nets.actor(nets.critic.convolutions(seen[one]))
                action, log_probability = sac.sample_action(mean, log_std, data.drawn[noise][one])
                q1, q2 = nets.critic(data.obs[one], action)
                total += 0.3 * log_probability.item() - min(q1.item(), q2.item())
    assert policy.item() == pytest.approx(total / (2 * SAMPLES))
    assert shared["excess_entropy"].shape == (2 * SAMPLES,)


def test_without_it_the_actor_is_sacs() -> None:
    nets, data = networks(), batch()
    ours = actor_phase(nets, dataclasses.replace(CONFIG, augmented_actor=False))
    theirs = sac.actor_phase(nets, CONFIG.sac)
    value, wanted = (phase.total(look(phase, data))[0] for phase in (ours, theirs))
    assert torch.equal(value, wanted)


def test_the_critics_loss_is_half_of_the_means_over_both_values() -> None:
    nets, data = networks().double(), batch(torch.float64)
    total, _ = critic_phase(nets, CONFIG).total(data)
    target = sac.bootstrapped_return(nets, data, discount=0.99)
    clean, changed = (
        torch.stack([(q - target).square().mean() for q in nets.critic(seen, data.action)]).mean()
        for seen in (data.obs, data.drawn["augmented_obs"])
    )
    torch.testing.assert_close(total, 0.5 * (clean + changed))
    # Half of what SVEA has in the benchmark.
    torch.testing.assert_close(total, 0.5 * svea.critic_phase(nets, SVEA(CONFIG.sac)).total(data)[0])


def test_the_target_has_the_convolutions_as_they_are_and_a_slow_projection() -> None:
    nets, data = networks(), batch()
    before = [parameter.clone() for parameter in nets.target_critic.projection.parameters()]
    step(critic_phase(nets, CONFIG), data, 1)
    pairs = zip(nets.target_critic.convolutions.parameters(), nets.critic.convolutions.parameters(), strict=True)
    for target, online in pairs:
        torch.testing.assert_close(target, online)
    moved = zip(nets.target_critic.projection.parameters(), nets.critic.projection.parameters(), before, strict=True)
    for target, online, old in moved:
        torch.testing.assert_close(target, old + 0.01 * (online - old))


def test_the_published_encoder_leaves_39200_positive_numbers() -> None:
    # (84 - 3) // 2 + 1 = 41, and three more convolutions of 3 pixels leave 35: 32 * 35 * 35.
    size = SADA().sac.architecture
    encoder = RectifiedStack(9, size.image_size, size.filters, size.conv_layers)
    assert encoder.out_features == 32 * 35 * 35 == 39200
    features = encoder(torch.rand(1, 9, 84, 84) * 255)
    assert features.flatten(1).shape == (1, 39200) and features.min() >= 0


def test_the_benchmarks_encoder_and_its_rates_can_be_had() -> None:
    config = SADA(SAC(SIZE), last_relu=False, strong_augmentations=("far_shift",))
    nets = make_sada(config, SPACES, CPU).networks
    assert isinstance(nets, sac.ActorCritic) and not isinstance(nets.critic.convolutions, RectifiedStack)


def test_no_augmentation_and_no_pictures_are_refused() -> None:
    with pytest.raises(UserError, match="strong-augmentations"):
        make_sada(dataclasses.replace(CONFIG, strong_augmentations=()), SPACES, CPU)
    with pytest.raises(UserError, match="bank of images"):
        make_sada(CONFIG, SPACES, CPU)
