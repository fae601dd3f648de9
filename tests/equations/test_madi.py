"""MaDi by hand: what its masks are, what they multiply, and which losses train them."""

from __future__ import annotations

import pytest
import torch

from saccade.agents.agent import Phase, look, step
from saccade.agents.methods import sac, svea
from saccade.agents.methods.madi import MaDi, MaDiNetworks, actor_phase, critic_phase, make_madi
from saccade.nets.masker import Masker
from saccade.types import Batch, Continuous, Spaces, UserError

CPU = torch.device("cpu")
SIZE = sac.Architecture(image_size=12, filters=4, conv_layers=2, projection=8, hidden=16)
SPACES = Spaces((9, 12, 12), Continuous(2))
CONFIG = MaDi(svea.SVEA(sac.SAC(SIZE)), masker_filters=4)


def networks() -> MaDiNetworks:
    torch.manual_seed(0)
    nets = MaDiNetworks(sac.make_networks(SPACES, CONFIG.svea.sac, CPU), CONFIG)
    with torch.no_grad():  # away from a start whose gradients are mostly zero
        for parameter in nets.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return nets


def batch() -> Batch:
    generator = torch.Generator().manual_seed(3)
    obs, next_obs, augmented = (torch.rand((2, 9, 12, 12), generator=generator) * 255 for _ in range(3))
    noise = torch.randn((2, 2, 2), generator=generator)
    drawn = {"augmented_obs": augmented, "next_action_noise": noise[0], "action_noise": noise[1]}
    return Batch(obs, torch.zeros(2, 2), torch.ones(2), torch.ones(2), next_obs, drawn)


def weights(module: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def changed(module: torch.nn.Module, before: list[torch.Tensor]) -> bool:
    return any(not torch.equal(new, old) for new, old in zip(module.parameters(), before, strict=True))


def test_the_published_masker_has_10433_parameters() -> None:
    # 3*32*9 + 32 = 896, 32*32*9 + 32 = 9248, 32*9 + 1 = 289.
    masker = Masker(MaDi().masker_filters, MaDi().masker_layers)
    assert sum(parameter.numel() for parameter in masker.parameters()) == 896 + 9248 + 289 == 10433


def test_a_mask_is_the_sigmoid_of_its_own_frame() -> None:
    # One convolution that adds the three colours of its pixel, in 0..1: frames of 51, 102 and 0 give
    # sigmoid(0.6), sigmoid(1.2) and sigmoid(0).
    masker = Masker(filters=4, num_layers=1)
    torch.nn.init.zeros_(masker.layers[0].weight)
    masker.layers[0].weight.data[0, :, 1, 1] = 1.0
    obs = torch.tensor([51.0, 102.0, 0.0]).repeat_interleave(3)[None, :, None, None].expand(1, 9, 5, 5)
    expected = torch.sigmoid(torch.tensor([0.6, 1.2, 0.0]))
    torch.testing.assert_close(masker(obs)[0].mean((-2, -1)), expected)
    torch.testing.assert_close(masker(obs.to(torch.uint8)), masker(obs))


def test_every_colour_of_a_frame_is_multiplied_by_the_frames_mask() -> None:
    nets, obs = networks(), batch().obs
    mask, masked = nets.masker(obs), nets.masked(obs)
    for frame in range(3):
        for colour in range(3):
            channel = 3 * frame + colour
            torch.testing.assert_close(masked[:, channel], obs[:, channel] * mask[:, frame])


def test_critic_and_target_see_observations_masked_by_the_online_masker() -> None:
    nets, data = networks(), batch()
    shared = critic_phase(nets, CONFIG).share(data)
    learner, masked = nets.actor_critic, nets.masked
    torch.testing.assert_close(shared["q1"], learner.critic(masked(data.obs), data.action)[0])
    augmented = masked(data.drawn["augmented_obs"])
    torch.testing.assert_close(shared["augmented_q2"], learner.critic(augmented, data.action)[1])
    following = data._replace(next_obs=masked(data.next_obs))
    target = sac.bootstrapped_return(learner, following, discount=CONFIG.svea.sac.discount)
    torch.testing.assert_close(shared["target"], target)
    assert not shared["target"].requires_grad
    # The masker is online: where it changes, the target changes at once.
    with torch.no_grad():
        nets.masker.layers[-2].bias.fill_(-20.0)
    dark = critic_phase(nets, CONFIG).share(data)["target"]
    black = sac.bootstrapped_return(learner, data._replace(next_obs=data.next_obs * 0), discount=0.99)
    torch.testing.assert_close(dark, black, atol=1e-4, rtol=1e-4)


def test_the_actors_loss_leaves_the_masker_alone() -> None:
    nets, data = networks(), batch()
    before, actor = weights(nets.masker), weights(nets.actor_critic.actor)
    phase = actor_phase(nets, CONFIG)
    step(phase, look(phase, data), 0)
    assert changed(nets.actor_critic.actor, actor) and not changed(nets.masker, before)
    step(critic_phase(nets, CONFIG), data, 0)
    assert changed(nets.masker, before)


@pytest.mark.parametrize(("rate", "moves"), [(0.0, False), (1e-3, True)])
def test_the_masker_has_its_own_rate(rate: float, moves: bool) -> None:
    nets = networks()
    config = MaDi(CONFIG.svea, masker_filters=4, masker_lr=rate)
    before = weights(nets.masker)
    phase: Phase = critic_phase(nets, config)
    step(phase, batch(), 0)
    assert changed(nets.masker, before) == moves
    if moves:  # Adam's first step is as long as its rate, wherever there is a gradient
        largest = max(
            float((new - old).detach().abs().max()) for new, old in zip(nets.masker.parameters(), before, strict=True)
        )
        assert largest == pytest.approx(rate, rel=1e-3)


def test_greys_are_refused() -> None:
    with pytest.raises(UserError, match="multiple of 3"):
        make_madi(
            CONFIG,
            Spaces((4, 12, 12), Continuous(2)),
            CPU,
            lambda count, size, generator: torch.zeros(count, 3, size, size),
        )
