"""FLS: every architecture keeps what its agent promises, at any size; what is learned in parts is what is learned."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints

import pytest
import torch
from recorded_operations import CPURecorder
from torch import Generator, Tensor, nn

from saccade.agents import METHODS
from saccade.agents.agent import Agent, anneal, gradients_of, look, make_update
from saccade.agents.configs_on_policy import FLS, PPO, Trunk
from saccade.agents.methods.fls import make_fls
from saccade.agents.methods.ppo import make_ppo
from saccade.explain.maps import MethodSettings, finder
from saccade.nets.attention import AttentiveConvolutions
from saccade.nets.attention_architectures import ARCHITECTURES
from saccade.nets.precision import set_compute_dtype
from saccade.nets.views.guided import guided_view
from saccade.policies.pixels import Pixels
from saccade.policies.policy import Policy
from saccade.policies.scores import make_score
from saccade.saliency.grad_cam import grad_cam
from saccade.testing.acting import check_acts, check_maps, check_outputs, check_relus, check_saved
from saccade.testing.batches import decisions
from saccade.testing.cases import MethodCase
from saccade.testing.host_reads import HostReads
from saccade.types import Continuous, Decisions, Discrete, Spaces, UserError

CPU = torch.device("cpu")
SIZE, FRAMES, ACTIONS = 44, 2, 3
SPACES = Spaces((FRAMES, SIZE, SIZE), Discrete(ACTIONS), colours=1)
TINY = FLS(PPO(Trunk(image_size=SIZE, filters=(4, 6, 5), hidden=8)), attention_filters=7)


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    torch.manual_seed(0)


every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


def build(name: str, spaces: Spaces = SPACES, **changes: Any) -> Agent[Decisions]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        agent = make_fls(dataclasses.replace(TINY, attention=name, **changes), spaces, CPU)
        nn.init.normal_(agent.networks.policy.weight)  # at the start all actions are about as likely
    return agent


def convolutions_of(agent: Agent[Decisions]) -> AttentiveConvolutions:
    found = agent.networks.trunk[0]
    assert isinstance(found, AttentiveConvolutions)
    return found


def test_the_option_names_every_architecture() -> None:
    assert get_args(get_type_hints(FLS)["attention"]) == tuple(ARCHITECTURES)


@every_architecture
def test_every_architecture_keeps_the_promises_of_an_agent(name: str) -> None:
    # Sums over all places of large pictures make a policy with random weights certain of one action.
    spaces = dataclasses.replace(SPACES, obs_shape=(FRAMES, 4, 4)) if ARCHITECTURES[name].dense else SPACES
    case = MethodCase(METHODS["fls"], dataclasses.replace(TINY, attention=name), spaces)
    for check in (check_acts, check_outputs, check_relus, check_maps, check_saved):
        check(case)


@every_architecture
@pytest.mark.parametrize("network", ["nature", "small"])
def test_features_and_maps_have_their_sizes_on_pictures_that_are_not_square(name: str, network: str) -> None:
    trunk = dataclasses.replace(TINY.ppo.trunk, network=network)
    spaces = Spaces((3, 41, 50), Continuous(2))
    agent = build(name, spaces, ppo=dataclasses.replace(TINY.ppo, trunk=trunk))
    obs = torch.randint(0, 256, (2, *spaces.obs_shape), dtype=torch.uint8)
    convolutions = convolutions_of(agent)
    assert convolutions(obs).flatten(1).shape == (2, convolutions.out_features)
    row = ARCHITECTURES[name]
    nature = 1 * (3 if row.margin else 2)
    places = {"nature": nature, "small": 6 * 7}[network] if not row.dense else 41 * 50
    assert convolutions.out_features == (5 if row.pooled else 5 * places)
    assert set(agent.maps) == ({"attention", "attention_over_coverage", "coverage"} if row.after else set())
    for find in agent.maps.values():
        assert find(obs, torch.zeros(2)).shape == (2, 1, 41, 50)


def test_too_small_pictures_are_refused() -> None:
    with pytest.raises(UserError, match="use larger pictures, or --network small"):
        build("sparse", Spaces((1, 32, 32), Discrete(2), colours=1))


@pytest.mark.parametrize("name", ["daqn", "rsppo", "sparse_norm", "sparse_after_each", "dense_no_relu"])
def test_networks_compile_and_have_guided_views(name: str) -> None:
    torch.compiler.reset()
    networks = build(name).networks
    pixels = torch.randint(0, 256, (2, *SPACES.obs_shape)).float()
    compiled = torch.compile(networks.values, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(pixels), networks.values(pixels))
    torch.testing.assert_close(guided_view(networks).values(pixels), networks.values(pixels))


@every_architecture
def test_bfloat16_is_close(name: str) -> None:
    agent = build(name)
    obs = torch.randint(0, 256, (16, *SPACES.obs_shape), dtype=torch.uint8, generator=Generator().manual_seed(0))
    exact, maps = agent.networks.values(obs), {key: find(obs, obs) for key, find in agent.maps.items()}
    set_compute_dtype(agent.networks, torch.bfloat16)
    rounded = agent.networks.values(obs)
    assert rounded.dtype == torch.float32 and not torch.equal(rounded, exact)
    assert (rounded - exact).norm() < 0.1 * exact.norm()
    for key, find in agent.maps.items():
        assert find(obs, obs).dtype == torch.float32
        assert (find(obs, obs) - maps[key]).abs().max() < 0.1 * maps[key].max()


@every_architecture
def test_grad_cam_reads_the_maps_that_attention_is_computed_from(name: str) -> None:
    agent = build(name)
    pixels = Pixels((FRAMES, SIZE, SIZE), "uint8", 255.0, "channels_first", 1)
    policy = Policy("fls", agent.networks, agent.outputs, pixels, discrete=True, device=CPU, layer=agent.layer)
    obs = torch.randint(0, 256, (2, FRAMES, SIZE, SIZE), generator=Generator().manual_seed(0)).float()
    found = finder(policy, "grad_cam", MethodSettings()).maps(obs)
    last = convolutions_of(agent).blocks[-1]
    assert agent.layer is not None and agent.networks.get_submodule(agent.layer) is last
    score = make_score(policy, "logit", obs, policy.greedy(obs))
    torch.testing.assert_close(found[:, :1], grad_cam(score, obs, layer=agent.layer))
    if str(len(convolutions_of(agent).blocks) - 1) in convolutions_of(agent).attentions:
        assert not torch.allclose(found[:, :1], grad_cam(score, obs))  # of the attention's own convolution


def test_signed_maps_are_signed() -> None:
    obs = torch.randint(0, 256, (3, *SPACES.obs_shape), dtype=torch.uint8)
    assert convolutions_of(build("sparse"))(obs).min() == 0
    assert convolutions_of(build("sparse_no_relu"))(obs).min() < 0


def test_without_attention_it_is_ppo() -> None:
    ours, theirs = build("none").networks, make_ppo(TINY.ppo, SPACES, CPU).networks
    theirs.load_state_dict({name.replace(".blocks.", ".layers."): value for name, value in ours.state_dict().items()})
    obs = torch.randint(0, 256, (2, *SPACES.obs_shape), dtype=torch.uint8)
    assert torch.equal(ours.values(obs), theirs.values(obs))


def test_a_value_with_a_trunk_of_its_own_has_attention_of_its_own() -> None:
    trunk = dataclasses.replace(TINY.ppo.trunk, shared_trunk=False)
    agent = build("sparse", ppo=dataclasses.replace(TINY.ppo, trunk=trunk))
    obs = torch.randint(0, 256, (2, *SPACES.obs_shape), dtype=torch.uint8)
    before = agent.maps["attention"](obs, obs)
    nn.init.zeros_(agent.networks.value_trunk[0].attentions["2"].out.weight)
    assert torch.equal(agent.maps["attention"](obs, obs), before)
    nn.init.zeros_(agent.networks.trunk[0].attentions["2"].out.weight)
    assert not torch.equal(agent.maps["attention"](obs, obs), before)


def test_coverage_is_the_display_of_ones_and_what_is_left_is_free_of_it() -> None:
    # Of 44 pixels the fields of two places, 36 pixels 8 apart, see 0..35 and 8..43: along a side 1, 2, 1.
    agent = build("sparse")
    side = torch.tensor([1.0] * 8 + [2.0] * 28 + [1.0] * 8)
    obs = torch.randint(0, 256, (2, *SPACES.obs_shape), dtype=torch.uint8)
    found = {name: find(obs, obs) for name, find in agent.maps.items()}
    assert torch.equal(found["coverage"], torch.outer(side, side).expand(2, FRAMES, -1, -1))
    torch.testing.assert_close(found["attention_over_coverage"] * found["coverage"], found["attention"])
    _, (attention,) = convolutions_of(agent).attend(obs)
    assert torch.equal(found["attention_over_coverage"][:, 0, 0, 0], attention[:, 0, 0, 0])


# --- in parts ---------------------------------------------------------------------------------------


def noise(samples: int = 5) -> Decisions:
    batch = decisions(SPACES, samples, seed=0)
    return Decisions(*(value if value.dtype == torch.int64 else value.double() for value in batch[:6]))


def gradients(name: str, normalization: str, accumulate: int) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
    config = dataclasses.replace(TINY.ppo, advantage_normalization=normalization)
    agent = build(name, ppo=config, accumulate=accumulate)
    agent.networks.double()
    (phase,) = agent.phases
    batch = look(phase, noise())
    found, metrics = gradients_of(phase, phase.total, batch, phase.begun(0))
    return metrics, found


@pytest.mark.parametrize("normalization", ["minibatch", "rollout"])
@pytest.mark.parametrize("name", ["sparse", "dense"])
def test_a_minibatch_in_parts_has_the_gradient_of_the_whole(name: str, normalization: str) -> None:
    metrics, whole = gradients(name, normalization, 1)
    for parts in (2, 3, 5):
        told, found = gradients(name, normalization, parts)
        assert {key: value.item() for key, value in told.items()} == pytest.approx(
            {key: value.item() for key, value in metrics.items()}, rel=1e-9, abs=1e-12
        )
        for ours, theirs in zip(found, whole, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_advantages_of_parts_are_normalised_over_the_whole() -> None:
    agent = build("sparse", accumulate=2)
    agent.networks.double()
    (phase,) = agent.phases
    seen = phase.look(noise())["advantage"]
    assert seen.mean().item() == pytest.approx(0, abs=1e-12) and seen.std(correction=0).item() == pytest.approx(1)
    assert phase.share(noise()._replace(seen={"advantage": seen + 7}))["advantage"].mean().item() == pytest.approx(7)


def test_what_is_judged_in_parts_is_judged_alike() -> None:
    obs = torch.randint(0, 256, (7, *SPACES.obs_shape), dtype=torch.uint8)
    action = torch.arange(7) % ACTIONS
    for ours, theirs in zip(
        build("sparse", accumulate=3).judge(obs, action), build("sparse").judge(obs, action), strict=True
    ):
        assert ours.shape == (7,)
        torch.testing.assert_close(ours, theirs)


def test_updates_in_parts_move_weights_as_whole_ones_do_compiled_too() -> None:
    torch.compiler.reset()
    moved = {}
    for way, accumulate, options in (
        ("whole", 1, {}),
        ("parts", 3, {}),
        ("compiled", 3, {"compile_losses": True, "backend": "aot_eager"}),
    ):
        agent = build("sparse", accumulate=accumulate)
        update = make_update(agent, **options)
        for index in range(3):
            update(lambda size, index=index: decisions(SPACES, 6, seed=index), Generator(), index)
        moved[way] = agent.networks.state_dict()
    for name, weight in moved["whole"].items():
        torch.testing.assert_close(moved["parts"][name], weight, rtol=1e-4, atol=2e-6)
        torch.testing.assert_close(moved["compiled"][name], weight, rtol=1e-4, atol=2e-6)


def test_a_recorded_update_in_parts_is_the_plain_one_and_waits_for_nothing() -> None:
    recorded, plain = (build("sparse", accumulate=2) for _ in range(2))
    minibatch, recorder = decisions(SPACES, 6, seed=0), CPURecorder()

    def work(agent: Agent[Decisions]) -> Tensor:
        return torch.stack([*make_update(agent)(lambda size: minibatch, Generator(), 0).values()])

    for agent in (recorded, plain):
        anneal(agent, 0.0)
        work(agent)  # makes the optimizer's state
    with HostReads() as spy:
        replay = recorder.record(lambda: work(recorded))
    assert spy.found == []
    for seed in (1, 2):
        for place, value in zip(minibatch[:6], decisions(SPACES, 6, seed)[:6], strict=True):
            place.copy_(value)
        assert torch.equal(replay(), work(plain))
        for ours, theirs in zip(recorded.networks.parameters(), plain.networks.parameters(), strict=True):
            assert torch.equal(ours, theirs)
