"""The losses that the methods add to SAC, with numbers made by hand."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from saccade.agents.methods import sgqn, soda, svea
from saccade.agents.methods.sac import SAC, Architecture, make_networks
from saccade.agents.parts.augmentation import overlay
from saccade.pixels.masks import fill_outside
from saccade.types import Batch, Continuous, Spaces

CPU = torch.device("cpu")
SIZE = Architecture(image_size=12, filters=4, conv_layers=2, projection=8, hidden=16)
SPACES = Spaces((9, 12, 12), Continuous(2))


def batch(**drawn: torch.Tensor) -> Batch:
    generator = torch.Generator().manual_seed(3)
    obs, next_obs = (torch.rand((2, 9, 12, 12), generator=generator) * 255 for _ in range(2))
    return Batch(obs, torch.zeros(2, 2), torch.zeros(2), torch.ones(2), next_obs, drawn)


def test_svea_weighs_clean_and_augmented_errors() -> None:
    # Clean: Q1 off by 1, Q2 right: 1. Augmented: Q1 right, Q2 off by 2: 4. Halves of both: 2.5.
    target = torch.tensor([1.0, 1.0])
    shared = {
        "q1": target + 1,
        "q2": target,
        "augmented_q1": target,
        "augmented_q2": target - 2,
        "target": target,
    }
    phase = svea.critic_phase(make_networks(SPACES, SAC(SIZE), CPU), svea.SVEA(sac=SAC(SIZE)))
    total = sum(term.weight * term.loss(batch(), shared) for term in phase.terms.values())
    assert float(total) == 2.5


def test_svea_passes_both_halves_through_one_critic() -> None:
    torch.manual_seed(0)
    nets = make_networks(SPACES, SAC(SIZE), CPU)
    phase = svea.critic_phase(nets, svea.SVEA(sac=SAC(SIZE)))
    data = batch(next_action_noise=torch.zeros(2, 2))
    data = data._replace(drawn={**data.drawn, "augmented_obs": 255 - data.obs})
    shared = phase.share(data)
    torch.testing.assert_close(shared["q1"], nets.critic(data.obs, data.action)[0])
    torch.testing.assert_close(shared["augmented_q2"], nets.critic(255 - data.obs, data.action)[1])


def test_sgqn_consistency_is_the_squared_change_of_q() -> None:
    torch.manual_seed(0)
    nets = make_networks(SPACES, SAC(SIZE), CPU)
    data = batch(mask_fill=torch.tensor(30.0))
    attribution = torch.arange(2 * 9 * 144.0).view(2, 9, 12, 12)  # the last rows of each frame matter most
    loss = sgqn.masked_q_consistency(nets)
    q1, q2 = nets.critic(data.obs, data.action)
    kept = torch.zeros(2, 3, 12, 12, dtype=torch.bool)
    kept[:, :, 9:] = True  # a quarter of 144 pixels: position 107.25, so 108 to 143, rows 9 to 11
    m1, m2 = nets.critic(fill_outside(data.obs, kept, 30.0), data.action)
    expected = ((q1 - m1) ** 2).mean() + ((q2 - m2) ** 2).mean()
    mask = sgqn.salient_pixels(attribution, 0.75)
    torch.testing.assert_close(loss(data, {"q1": q1, "q2": q2, "mask": mask}), expected)


def test_sgqn_prediction_is_the_cross_entropy_of_the_mask() -> None:
    # Logits of 0 everywhere predict 1/2: the cross-entropy is log 2 whatever the mask.
    torch.manual_seed(0)
    config = sgqn.SGQN(sac=SAC(SIZE), decoder_filters=(4, 4))
    nets = sgqn.SGQNNetworks(make_networks(SPACES, SAC(SIZE), CPU), config, SPACES)
    last = nets.decoder.layers[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    data = batch(augmented_obs=torch.rand(2, 9, 12, 12) * 255)
    data = data._replace(seen={"mask": sgqn.salient_pixels(data.obs, 0.9)})
    loss = sgqn.saliency_prediction(nets)
    assert math.isclose(loss(data, {}).item(), math.log(2), rel_tol=1e-6)
    # A bias of 3 on every pixel of masks that keep a tenth: 0.1 log(1 + e^-3) + 0.9 log(1 + e^3).
    torch.nn.init.constant_(last.bias, 3.0)
    kept = 15 / 144  # position 0.9 * 143 = 128.7, so 129 to 143 are kept
    expected = kept * math.log1p(math.exp(-3)) + (1 - kept) * math.log1p(math.exp(3))
    assert math.isclose(loss(data, {}).item(), expected, rel_tol=1e-5)


def test_sgqn_fill_lies_between_the_darkest_and_the_brightest_pixel() -> None:
    data = batch()
    levels = [
        float(sgqn.draw_mask_fill("random_grey")(data, torch.Generator().manual_seed(seed)).drawn["mask_fill"])
        for seed in range(50)
    ]
    assert float(data.obs.min()) <= min(levels) < 60 < 200 < max(levels) <= float(data.obs.max())
    assert float(sgqn.draw_mask_fill("zero")(data, torch.Generator().manual_seed(0)).drawn["mask_fill"]) == 0


def test_soda_distance_of_normalised_latents() -> None:
    torch.manual_seed(0)
    nets = soda.SODANetworks(make_networks(SPACES, SAC(SIZE), CPU), 8)
    data = batch(augmented_obs=torch.rand(2, 9, 12, 12) * 255)
    heads, convolutions = nets.predictor, nets.actor_critic.critic.convolutions
    predicted = F.normalize(heads.prediction(heads.projection(convolutions(data.drawn["augmented_obs"]))), dim=-1)
    target = F.normalize(heads.target_projection(heads.target_convolutions(data.obs)), dim=-1)
    # |a - b|^2 = 2 - 2 a.b for unit vectors, and the mean runs over 8 numbers.
    expected = ((2 - 2 * (predicted * target).sum(-1)) / 8).mean()
    torch.testing.assert_close(soda.latent_prediction(nets)(data, {}), expected)


def test_soda_views_are_two_crops_and_only_one_is_blended() -> None:
    def black(count: int, size: int, generator: torch.Generator) -> torch.Tensor:
        return torch.zeros(count, 3, size, size)

    obs = torch.randint(1, 256, (2, 9, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    data = Batch(obs, torch.zeros(2, 2), torch.zeros(2), torch.ones(2), obs)
    views = soda.two_views(12, 16, overlay(black, 0.5))(data, torch.Generator().manual_seed(0))
    windows = obs.unfold(2, 12, 1).unfold(3, 12, 1).float()

    def is_a_window(view: torch.Tensor) -> bool:
        return bool((windows == view[:, :, None, None]).all(-1).all(-1).all(1).flatten(1).any(1).all())

    assert views.obs.shape == (2, 9, 12, 12)
    assert is_a_window(views.obs)
    assert is_a_window(views.drawn["augmented_obs"] * 2)
    assert not torch.equal(views.obs, views.drawn["augmented_obs"] * 2)
