"""SMG's losses with numbers made by hand, and that each of them stands on its own."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saccade.agents.agent import step
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import smg
from saccade.agents.methods.sac import SAC, Architecture, make_networks
from saccade.agents.methods.smg import SMG, SMGNetworks, make_smg
from saccade.agents.settings import check_settings
from saccade.types import Batch, Continuous, Spaces, UserError

CPU = torch.device("cpu")
SIZE = Architecture(image_size=12, filters=4, conv_layers=2, projection=8, hidden=16)
SPACES = Spaces((9, 12, 12), Continuous(2))
TERMS = ("reconstruction", "mask_ratio", "background", "inverse_dynamics", "foreground")
PAPER_PARAMETERS, PAPER_SAC_PARAMETERS = 13_163_533, 11_286_926  # counted in the authors' code, for six actions
BEGUN, NOT_BEGUN = 1000, 998

every_term = pytest.mark.parametrize("term", TERMS)


def config(**changes: Any) -> SMG:
    return SMG(**{"sac": SAC(SIZE, batch_size=4), "decoder_filters": (4, 4), **changes})


def images(count: int, size: int, generator: torch.Generator) -> Tensor:
    return torch.rand((count, 3, size, size), generator=generator) * 255


def networks(seed: int = 0, spaces: Spaces = SPACES) -> SMGNetworks:
    torch.manual_seed(seed)
    return SMGNetworks(make_networks(spaces, config().sac, CPU), config(), spaces)


def batch(count: int = 4, **drawn: Tensor) -> Batch:
    generator = torch.Generator().manual_seed(3)
    obs, next_obs = (torch.rand((count, 9, 12, 12), generator=generator) * 255 for _ in range(2))
    action = torch.rand((count, 2), generator=generator) * 2 - 1
    return Batch(obs, action, torch.zeros(count), torch.ones(count), next_obs, drawn)


def drawn_batch() -> Batch:
    generator = torch.Generator().manual_seed(4)
    names = ("background", "attribution_obs", "augmented_obs")
    return batch(**{name: torch.rand((4, 9, 12, 12), generator=generator) * 255 for name in names})


def pixels(level: float, count: int = 1) -> Tensor:
    return torch.full((count, 9, 12, 12), level)


def masks(*shares: float) -> Tensor:
    return torch.tensor(shares).view(1, 3, 1, 1).expand(1, 3, 12, 12).clone()


def test_reconstruction_is_the_foreground_before_the_background() -> None:
    # 100 * 1/4 + 20 * 3/4 = 40 on the first frame, 100 on the second, 20 on the third; the observation is 50
    # everywhere: (10 + 50 + 30) / 3.
    shared = {
        "foreground_of_obs": pixels(100.0),
        "mask_of_obs": masks(0.25, 1.0, 0.0),
        "background_of_obs": pixels(20.0),
    }
    loss = smg.reconstruction_error(batch(1)._replace(obs=pixels(50.0)), shared)
    torch.testing.assert_close(loss, torch.tensor(30.0))


def test_mask_ratio_is_squared_frame_by_frame() -> None:
    # Frames whose masks cover 0.3, 0.1 and 0.2 are off by 0.1, 0.1 and 0: their mean would be right.
    shared = {"mask_of_obs": masks(0.3, 0.1, 0.2)}
    torch.testing.assert_close(smg.mask_ratio_error(0.2)(batch(1), shared), torch.tensor(0.02 / 3))
    # Half of the pixels at 1, half at 0: covers a half.
    shared["mask_of_obs"][:, :, :6], shared["mask_of_obs"][:, :, 6:] = 1.0, 0.0
    torch.testing.assert_close(smg.mask_ratio_error(0.2)(batch(1), shared), torch.tensor(0.09))


def test_background_is_the_picture_that_was_put_behind() -> None:
    shared = {"background_of_attribution_obs": pixels(100.0)}
    assert smg.background_error(batch(1, background=pixels(88.0)), shared) == 12


def test_inverse_dynamics_tells_the_action_from_both_embeddings() -> None:
    # Sums 1 + 2 + 3 + 4 = 10 and their half 5, where the action was 8 and 6: (4 + 1) / 2.
    nets = networks()
    nets.inverse_dynamics = nn.Sequential(nn.Linear(4, 2, bias=False))
    nets.inverse_dynamics[0].weight.data = torch.tensor([[1.0] * 4, [0.5] * 4])
    before, behind = torch.tensor([[1.0, 2.0]], requires_grad=True), torch.tensor([[3.0, 4.0]], requires_grad=True)
    data = batch(1)._replace(action=torch.tensor([[8.0, 6.0]]))
    loss = smg.inverse_dynamics_error(nets)(data, {"embedding_of_obs": before, "embedding_of_next_obs": behind})
    assert loss == 2.5
    # d loss / d embedding = (2 * 2 * 1 + 2 * -1 * 0.5) / 2, on both sides.
    for gradient in torch.autograd.grad(loss, (before, behind)):
        torch.testing.assert_close(gradient, torch.full((1, 2), 1.5))


def test_foreground_moves_the_augmented_attribution_towards_the_clean_one() -> None:
    # 100 * 1/2 = 50 on the augmented observation, 80 * 3/4 = 60 on the clean one.
    clean, augmented = pixels(80.0).requires_grad_(), pixels(100.0).requires_grad_()
    shared = {
        "foreground_of_obs": clean,
        "mask_of_obs": masks(0.75, 0.75, 0.75),
        "foreground_of_augmented_obs": augmented,
        "mask_of_augmented_obs": masks(0.5, 0.5, 0.5),
    }
    loss = smg.foreground_error(batch(1), shared)
    assert loss == 10
    held, moved = torch.autograd.grad(loss, (clean, augmented), allow_unused=True)
    assert held is None and (moved < 0).all()


def test_consistency_moves_the_augmented_values_towards_the_clean_ones() -> None:
    # Q1 1 becomes 3: 4. Q2 stays 5 in one sample and becomes 7 in the other: 2.
    clean, augmented = torch.tensor([1.0, 1.0], requires_grad=True), torch.tensor([3.0, 3.0], requires_grad=True)
    shared = {"q1": clean, "augmented_q1": augmented}
    shared |= {"q2": torch.tensor([5.0, 5.0]), "augmented_q2": torch.tensor([5.0, 7.0])}
    loss = smg.q_consistency(batch(2), shared)
    assert loss == 6
    held, moved = torch.autograd.grad(loss, (clean, augmented), allow_unused=True)
    assert held is None and moved.tolist() == [2.0, 2.0]


def test_attribution_augmentation_keeps_the_observation_where_the_mask_is(monkeypatch: pytest.MonkeyPatch) -> None:
    # The observation itself, not the foreground image, which the stand-in makes 0: 100 * 1/4 + 20 * 3/4 = 40.
    nets = networks()
    monkeypatch.setattr(nets, "separate", lambda obs: (torch.zeros_like(obs), masks(0.25, 1.0, 0.0)))
    replaced = smg.replaced_background(nets, pixels(100.0), pixels(20.0))
    assert [float(frame.unique()) for frame in replaced.view(3, -1)] == [40, 100, 20]


def test_one_draw_decides_for_the_whole_batch_and_one_picture_is_behind_all_frames() -> None:
    agent = make_smg(config(), SPACES, CPU, Given(images))
    chosen = []
    for seed in range(200):
        drawn = agent.prepare(batch(), torch.Generator().manual_seed(seed)).drawn
        same = [torch.equal(*pair) for pair in zip(drawn["augmented_obs"], drawn["attribution_obs"], strict=True)]
        assert all(same) or not any(same)
        chosen.append(same[0])
        assert all(torch.equal(drawn["background"][:, :3], drawn["background"][:, at : at + 3]) for at in (3, 6))
        assert not torch.equal(drawn["background"][0], drawn["background"][1])
    assert 30 <= sum(chosen) <= 70  # of 200, where a quarter is expected: 50, give or take three times 6


def test_the_decoder_gives_every_frame_its_own_part_of_the_embedding() -> None:
    nets = networks()
    linear = nets.foreground_decoder.head[0]
    embedding = torch.randn(2, 8)
    before = nets.foreground(embedding)
    with torch.no_grad():
        linear.weight[8:16] += 1.0  # numbers 8 to 15 of 24: the second of three frames
        linear.bias[8:16] += 1.0
    after = nets.foreground(embedding)
    assert [torch.equal(before[1][:, frame], after[1][:, frame]) for frame in range(3)] == [True, False, True]
    assert [torch.equal(*(kind[0][:, at : at + 3] for kind in (before, after))) for at in (0, 3, 6)] == [
        True,
        False,
        True,
    ]
    assert before[0].min() >= 0 and 1 < before[0].max() <= 255 and before[1].max() <= 1


def test_one_frame_can_be_taken_apart() -> None:
    nets = networks(spaces=Spaces((3, 12, 12), Continuous(2)))
    image, mask = nets.separate(torch.rand(2, 3, 12, 12) * 255)
    assert image.shape == (2, 3, 12, 12) and mask.shape == (2, 1, 12, 12)


def test_the_background_branch_starts_as_a_copy_of_its_own() -> None:
    nets = networks()
    obs = batch().obs
    critic = nets.actor_critic.critic
    assert torch.equal(nets.background_encoder(obs), critic.embed(obs))
    assert torch.equal(nets.background_decoder.head[0].weight, nets.foreground_decoder.head[0].weight)
    shared = {id(each) for each in nets.actor_critic.parameters()} & {
        id(each) for each in nets.background_encoder.parameters()
    }
    assert shared == set()


def test_published_sizes() -> None:
    spaces = Spaces((9, 84, 84), Continuous(6))
    nets = SMGNetworks(make_networks(spaces, SMG().sac, CPU), SMG(), spaces)
    counts = {name: sum(each.numel() for each in part.parameters()) for name, part in nets.named_children()}
    target = sum(each.numel() for each in nets.actor_critic.target_critic.parameters())
    temperature = 1  # a number of the authors' agent, not of a network
    assert counts.pop("actor_critic") - target - temperature == PAPER_SAC_PARAMETERS
    assert sum(counts.values()) == PAPER_PARAMETERS
    head = 256 * 768 + 768
    assert counts["foreground_decoder"] - head == 3_739_876 and counts["background_decoder"] - head == 3_739_299


def naive_terms(nets: SMGNetworks, data: Batch, ratio: float) -> dict[str, Tensor]:
    """The five losses once more, each from passes of its own."""
    encode, decode = nets.actor_critic.critic.embed, nets.foreground_decoder

    def image(obs: Tensor) -> Tensor:
        return 255 * decode(encode(obs))[:, :, :3].sigmoid().reshape(obs.shape)

    def mask(obs: Tensor) -> Tensor:
        return decode(encode(obs))[:, :, 3:].sigmoid().expand(-1, -1, 3, -1, -1).reshape(obs.shape)

    def back(obs: Tensor) -> Tensor:
        return 255 * nets.background_decoder(nets.background_encoder(obs)).sigmoid().reshape(obs.shape)

    obs, augmented = data.obs, data.drawn["augmented_obs"]
    rebuilt = image(obs) * mask(obs) + back(obs) * (1 - mask(obs))
    covered = mask(obs)[:, ::3].sum((2, 3)) / 144
    told = nets.inverse_dynamics(torch.cat([encode(obs), encode(data.next_obs)], 1))
    return {
        "reconstruction": (rebuilt - obs).abs().mean(),
        "mask_ratio": ((covered - ratio) ** 2).mean(),
        "background": (back(data.drawn["attribution_obs"]) - data.drawn["background"]).abs().mean(),
        "inverse_dynamics": ((told - data.action) ** 2).mean(),
        "foreground": (image(augmented) * mask(augmented) - (image(obs) * mask(obs)).detach()).abs().mean(),
    }


def double(data: Batch) -> Batch:
    fields = {name: getattr(data, name).double() for name in ("obs", "action", "reward", "discount", "next_obs")}
    return Batch(**fields, drawn={name: value.double() for name, value in data.drawn.items()})


def gradients(loss: Tensor, nets: SMGNetworks) -> dict[str, Tensor]:
    named = {name: each for name, each in nets.named_parameters() if each.requires_grad}
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True, retain_graph=True)
    return {
        name: torch.zeros_like(named[name]) if value is None else value
        for name, value in zip(named, found, strict=True)
    }


@every_term
def test_a_term_switched_off_leaves_the_others_as_they_were(term: str) -> None:
    """Losses and gradients are those of separate passes, with one term off, whose networks then are not stepped."""
    chosen = config(**{f"{term}_weight": 0.0})
    nets, data = networks().double(), double(drawn_batch())
    total, logged = smg.separation_phase(nets, chosen).total(data)
    expected = naive_terms(nets, data, chosen.mask_ratio)
    assert set(logged) == {f"separation/{name}" for name in TERMS if name != term}
    for name, value in logged.items():
        torch.testing.assert_close(value, expected[name.removeprefix("separation/")].detach())
    weighted = sum(chosen.weights[name] * expected[name] for name in chosen.weights)
    ours, theirs = gradients(total, nets), gradients(weighted, nets)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name])
    owned = {id(each) for each in smg.separation_phase(nets, chosen).owned()}
    assert owned == {id(each) for name, each in nets.named_parameters() if name in ours and ours[name].any()}


@every_term
def test_a_term_alone_runs_what_it_needs_and_nothing_else(term: str) -> None:
    off = {f"{name}_weight": 0.0 for name in TERMS if name != term}
    agent = make_smg(config(**off, mask_first_update=0), SPACES, CPU, Given(images))
    ran: list[str] = []
    for name, part in agent.networks.named_children():
        part.register_forward_hook(lambda *_, name=name: ran.append(name))
    agent.networks.actor_critic.critic.projection.register_forward_hook(lambda *_: ran.append("encoder"))
    data = agent.prepare(batch(), torch.Generator().manual_seed(0))
    ran.clear()
    step(agent.phases[2], data, 0)  # an error where it owned what it does not reach
    assert (
        sorted(ran)
        == {
            "reconstruction": ["background_decoder", "background_encoder", "encoder", "foreground_decoder"],
            "mask_ratio": ["encoder", "foreground_decoder"],
            "background": ["background_decoder", "background_encoder"],
            "inverse_dynamics": ["encoder", "inverse_dynamics"],
            "foreground": ["encoder", "foreground_decoder"],
        }[term]
    )


def test_without_consistency_the_critic_sees_clean_observations_alone() -> None:
    nets = networks()
    phase = smg.critic_phase(nets.actor_critic, config(q_consistency_weight=0.0))
    data = batch(next_action_noise=torch.zeros(4, 2))
    assert set(phase.terms) == {"bellman"} and phase.total(data)[0].isfinite()


def test_only_what_is_read_is_drawn() -> None:
    def drawn(**changes: float) -> set[str]:
        agent = make_smg(config(**changes), SPACES, CPU, Given(images))
        return set(agent.prepare(batch(), torch.Generator()).drawn) - {"next_action_noise", "action_noise"}

    assert drawn() == {"background", "attribution_obs", "augmented_obs"}
    assert drawn(q_consistency_weight=0.0, foreground_weight=0.0) == {"background", "attribution_obs"}
    assert drawn(background_weight=0.0, attribution_share=0.0) == {"augmented_obs"}
    nothing = {"background_weight": 0.0, "q_consistency_weight": 0.0, "foreground_weight": 0.0}
    assert drawn(**nothing) == set()
    assert not config(**nothing).overlays
    make_smg(config(**nothing), SPACES, CPU, NOTHING)
    with pytest.raises(UserError, match="bank of images"):
        make_smg(config(), SPACES, CPU, NOTHING)


def test_networks_are_the_same_whatever_is_switched_off() -> None:
    off = {f"{name}_weight": 0.0 for name in (*TERMS, "q_consistency")}
    whole, bare = (make_smg(chosen, SPACES, CPU, Given(images)) for chosen in (config(), config(**off)))
    assert set(whole.networks.state_dict()) == set(bare.networks.state_dict())
    assert [phase.name for phase in bare.phases] == ["critic", "actor"]


def moments(index: int, **changes: Any) -> Tensor:
    """Adam's first moments of all that the separation owns, behind one step, divided by their share of the gradient."""
    nets = networks()
    phase = smg.separation_phase(nets, config(**changes))
    step(phase, drawn_batch(), index)
    return torch.cat([phase.optimizer.state[each]["exp_avg"].flatten() for each in phase.owned()]) / 0.1


def test_the_masks_share_counts_from_its_first_update_on() -> None:
    free = {"max_gradient_norm": 1e9}
    without = moments(NOT_BEGUN, mask_ratio_weight=0.0, **free)
    torch.testing.assert_close(moments(NOT_BEGUN, **free), without)
    assert not torch.allclose(moments(BEGUN, **free), without)


def test_gradients_are_cut_down_to_a_length() -> None:
    whole, cut = moments(BEGUN, max_gradient_norm=1e9), moments(BEGUN, max_gradient_norm=0.01)
    assert whole.norm() > 1
    torch.testing.assert_close(cut.norm(), torch.tensor(0.01), rtol=1e-4, atol=0)
    torch.testing.assert_close(cut / cut.norm(), whole / whole.norm(), rtol=1e-3, atol=1e-6)


def test_pictures_are_the_parts_of_the_reconstruction() -> None:
    agent = make_smg(config(), SPACES, CPU, Given(images))
    obs = torch.randint(0, 256, (2, 9, 12, 12), dtype=torch.uint8)
    mask = agent.maps["foreground_mask"](obs, torch.zeros(2, 2)).repeat_interleave(3, 1)
    seen = {name: find(obs) for name, find in agent.pictures.items()}
    assert set(seen) == {"attribution", "foreground", "background", "reconstruction"}
    assert all(each.shape == obs.shape and each.min() >= 0 and each.max() <= 255 for each in seen.values())
    torch.testing.assert_close(seen["attribution"], seen["foreground"] * mask)
    torch.testing.assert_close(seen["reconstruction"], seen["attribution"] + seen["background"] * (1 - mask))


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_a_mask_ratio_of_all_or_nothing_is_refused(ratio: float) -> None:
    with pytest.raises(UserError, match="mask-ratio"):
        make_smg(config(mask_ratio=ratio), SPACES, CPU, Given(images))


@pytest.mark.parametrize(
    ("name", "value"),
    [("mask_ratio", 1.5), ("attribution_share", -0.1), ("max_gradient_norm", -1.0), ("mask_first_update", -1)],
)
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(UserError, match=name.replace("_", "-")):
        check_settings(dataclasses.replace(config(), **{name: value}))


@pytest.mark.parametrize(("shape", "word"), [((4, 12, 12), "channels"), ((9, 16, 16), "--image-size")])
def test_observations_that_cannot_be_taken_apart_are_refused(shape: tuple[int, int, int], word: str) -> None:
    with pytest.raises(UserError, match=word):
        make_smg(config(), Spaces(shape, Continuous(2)), CPU, Given(images))
