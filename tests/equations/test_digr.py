"""DIGR's equations: written again, naively, in double precision; and numbers small enough for hand arithmetic."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from saccade.agents.agent import Phase, Term, gradients_of, make_update
from saccade.agents.configs_discrete import PlainTrunk
from saccade.agents.configs_students import DIGR
from saccade.agents.given import Given, SaliencyData, Teacher
from saccade.agents.methods import digr
from saccade.agents.parts.distributions import Categorical, Gaussian
from saccade.agents.parts.pcgrad import pcgrad
from saccade.testing.batches import noise_saliency, noise_teacher, transitions
from saccade.types import Batch, Continuous, Discrete, Spaces, UserError

SIDE = 36
SPACES = {
    "discrete": Spaces((3, SIDE, SIDE), Discrete(3)),
    "continuous": Spaces((3, SIDE, SIDE), Continuous(2)),
}
CONFIG = DIGR(PlainTrunk(image_size=SIDE, filters=(4, 4, 4), hidden=8), batch_size=4)
STEP = 1e-6  # of finite differences
every_kind = pytest.mark.parametrize("kind", SPACES)


def student(kind: str, seed: int = 0, squashed: bool = False) -> digr.Student:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        nets = digr.Student(SPACES[kind], CONFIG, squashed).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        nets.policy.weight.normal_(0, 1, generator=generator)  # off the start, where all actions are as likely
    return nets


def pixels(count: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, SIDE, SIDE), generator=generator).double()


# --- the input gradient -----------------------------------------------------------------------------


def test_the_gradient_is_the_probabilities_weighted_one() -> None:
    """|sum_a pi(a) d pi(a) / ds|, one action after the other."""
    nets, obs = student("discrete"), pixels()
    expected = torch.zeros_like(obs)
    for action in range(3):
        seen = obs.clone().requires_grad_()
        probability = nets(seen / 1).logits.softmax(-1)[:, action]
        (slope,) = torch.autograd.grad(probability.sum(), seen)
        expected += probability.detach()[:, None, None, None] * slope
    torch.testing.assert_close(digr.input_gradient(nets, obs).detach(), 255 * expected.abs(), rtol=1e-9, atol=1e-15)


def test_the_gradient_of_numbers_is_that_of_half_the_squared_means() -> None:
    nets, obs = student("continuous"), pixels()
    expected = torch.zeros_like(obs)
    for dimension in range(2):
        seen = obs.clone().requires_grad_()
        mean = nets(seen).mean[:, dimension]
        (slope,) = torch.autograd.grad(mean.sum(), seen)
        expected += mean.detach()[:, None, None, None] * slope
    torch.testing.assert_close(digr.input_gradient(nets, obs).detach(), 255 * expected.abs(), rtol=1e-9, atol=1e-15)


@every_kind
def test_the_gradient_agrees_with_finite_differences(kind: str) -> None:
    nets, obs = student(kind), pixels(1)
    found = digr.input_gradient(nets, obs).detach()[0]
    for place in ((0, 5, 7), (1, 17, 20), (2, 30, 3)):
        moved = [obs.clone(), obs.clone()]
        for one, sign in zip(moved, (1, -1), strict=True):
            one[(0, *place)] += sign * 255 * STEP
        with torch.no_grad():
            up, down = (digr.confidence(nets(one)) for one in moved)
        slope = float(((up - down) / (2 * STEP)).abs())
        assert found[place].item() == pytest.approx(slope, rel=1e-5, abs=1e-9)


# --- the first term ---------------------------------------------------------------------------------

# One state of 1 x 2 pixels and two channels: 4 and 1 in the first, 2 and 3 in the second. The second pixel is where
# nothing is salient.
GRADIENT = torch.tensor([[[[4.0, 1.0]], [[2.0, 3.0]]]], dtype=torch.float64)
ELSEWHERE = torch.tensor([[[False, True]]])


@pytest.mark.parametrize(
    ("normalisation", "channels", "expected"),
    [
        ("maximum", "max", 3 / 4 / 2),  # maps 4 and 3, of which 3 is unwanted, of two pixels
        ("maximum", "sum", 4 / 6 / 2),  # maps 6 and 4
        ("maximum", "all", (1 + 3) / 4 / 4),  # of four values
        ("mass", "max", 3 / 7),
        ("mass", "sum", 4 / 10),
        ("mass", "all", 4 / 10),
    ],
)
def test_saliency_where_none_should_be(normalisation: str, channels: str, expected: float) -> None:
    found = digr.saliency_where_none_should_be(GRADIENT, ELSEWHERE, normalisation=normalisation, channels=channels)
    assert found.tolist() == pytest.approx([expected])


def test_a_gradient_of_zero_costs_nothing() -> None:
    for normalisation in ("maximum", "mass"):
        found = digr.saliency_where_none_should_be(GRADIENT * 0, ELSEWHERE, normalisation=normalisation)
        assert found.tolist() == [0.0]


def test_the_size_of_the_gradient_makes_no_difference() -> None:
    for normalisation in ("maximum", "mass"):
        one, other = (
            digr.saliency_where_none_should_be(GRADIENT * scale, ELSEWHERE, normalisation=normalisation)
            for scale in (1.0, 1e-3)
        )
        torch.testing.assert_close(one, other)


def test_a_single_bright_pixel_is_the_least_by_the_maximum_and_not_by_the_mass() -> None:
    """Why there is a choice: the map of one wrong pixel against one that spreads half of itself where it should."""
    single, spread = torch.zeros(1, 1, 4, 4, dtype=torch.float64), torch.ones(1, 1, 4, 4, dtype=torch.float64)
    single[0, 0, 0, 0] = 1.0
    elsewhere = torch.zeros(1, 4, 4, dtype=torch.bool)
    elsewhere[:, :2] = True
    by = {
        name: [
            float(digr.saliency_where_none_should_be(one, elsewhere, normalisation=name)) for one in (single, spread)
        ]
        for name in ("maximum", "mass")
    }
    assert by["maximum"][0] < by["maximum"][1] and by["mass"][0] > by["mass"][1]


@every_kind
@pytest.mark.parametrize("normalisation", ["maximum", "mass"])
def test_the_loss_is_differentiated_through_gradient_and_normaliser(kind: str, normalisation: str) -> None:
    """The second-order gradient against differences of the whole loss, at some weights of every tensor."""
    nets, obs = student(kind), pixels()
    config = dataclasses.replace(CONFIG, normalisation=normalisation)
    elsewhere = torch.rand(2, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) < 0.5
    nothing = torch.zeros(2)
    drawn = {"saliency_obs": obs, "elsewhere": elsewhere}
    batch = Batch(obs, nothing, nothing, nothing, obs, drawn)
    loss = digr.gradient_regularisation(nets, config)
    weights = dict(nets.named_parameters())
    found = torch.autograd.grad(loss(batch, {}), list(weights.values()), allow_unused=True)
    for (name, weight), gradient in zip(weights.items(), found, strict=True):
        assert gradient is not None, name
        place = int(gradient.abs().argmax())
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight.view(-1)[place] += sign * STEP
            values.append(loss(batch, {}).item())
            with torch.no_grad():
                weight.view(-1)[place] -= sign * STEP
        slope = (values[0] - values[1]) / (2 * STEP)
        assert gradient.flatten()[place].item() == pytest.approx(slope, rel=2e-4, abs=1e-9), name


# --- the second term --------------------------------------------------------------------------------


def test_the_divergence_of_choices() -> None:
    # KL((1/2, 1/2) || (1/4, 3/4)) = 1/2 ln 2 + 1/2 ln(2/3)
    teacher, learned = torch.zeros(1, 2), torch.tensor([[0.0, math.log(3.0)]])
    found = digr.divergence(teacher, Categorical(learned))
    assert found.item() == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-6)


def test_the_divergence_of_numbers() -> None:
    # KL(N(1, 1) || N(0, 2^2)) = ln 2 + (1 + 1) / 8 - 1/2, and nothing of an equal dimension
    teacher = torch.tensor([[[1.0, 3.0], [0.0, 0.5]]])
    learned = Gaussian(torch.tensor([[0.0, 3.0]]), torch.tensor([[math.log(2.0), 0.5]]))
    assert digr.divergence(teacher, learned).item() == pytest.approx(math.log(2) + 2 / 8 - 0.5, rel=1e-6)


@every_kind
def test_the_divergence_is_pytorchs(kind: str) -> None:
    nets, other, obs = student(kind), student(kind, 1), pixels(3)
    mine, theirs = nets(obs), other(obs)
    if isinstance(mine, Categorical):
        assert isinstance(theirs, Categorical)
        given = theirs.logits
        pair = [torch.distributions.Categorical(logits=one.logits) for one in (theirs, mine)]
        expected = torch.distributions.kl_divergence(*pair)
    else:
        given = torch.stack([*theirs], 1)
        normals = [torch.distributions.Normal(one.mean, one.log_std.exp()) for one in (theirs, mine)]
        expected = torch.distributions.kl_divergence(*normals).sum(-1)
    torch.testing.assert_close(digr.divergence(given, mine), expected)


# --- gradient surgery -------------------------------------------------------------------------------


def two_terms(first: list[float], second: list[float]) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    """Terms whose gradients by two parameters are these numbers, one parameter each."""
    owned = [torch.zeros((), requires_grad=True) for _ in first]
    terms = [sum(slope * one for slope, one in zip(slopes, owned, strict=True)) for slopes in (first, second)]
    return tuple(torch.as_tensor(term) for term in terms), owned


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1.0, 0.0], [0.0, 2.0], [1.0, 2.0]),  # at right angles: the sum
        ([1.0, 0.0], [1.0, 1.0], [2.0, 1.0]),  # in agreement: the sum
        # g1.g2 = -1: g1 - (-1/2) g2 = (1/2, 1/2), and g2 - (-1/1) g1 = (0, 1)
        ([1.0, 0.0], [-1.0, 1.0], [0.5, 1.5]),
        ([1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]),  # opposite: nothing is left
        ([0.0, 0.0], [-1.0, 3.0], [-1.0, 3.0]),  # nothing to project
    ],
)
def test_gradient_surgery(first: list[float], second: list[float], expected: list[float]) -> None:
    found = pcgrad(*two_terms(first, second))
    assert [one.item() for one in found] == pytest.approx(expected)


def test_a_terms_gradient_does_not_go_through_the_others_graph() -> None:
    """What it would find there is zero, and costs as much as anything else."""
    weight, seen = torch.ones((), requires_grad=True), list[str]()
    phase = Phase(
        "toy",
        {"first": Term(lambda batch, shared: told(weight, "first")), "second": Term(lambda *_: told(weight, "second"))},
        torch.optim.SGD([weight], lr=0.1),
        combine=pcgrad,
    )

    def told(value: Tensor, name: str) -> Tensor:
        found = value * 2
        found.register_hook(lambda gradient: seen.append(name))
        return found

    gradients_of(phase, phase.differentiated, transitions(SPACES["discrete"], 1, 0), phase.begun(0))
    assert seen == ["first", "second"]


# --- the phase --------------------------------------------------------------------------------------


def given(kind: str) -> Given:
    return Given(None, noise_teacher(SPACES[kind]), noise_saliency(SPACES[kind]))


@every_kind
def test_distillation_alone_is_the_other_terms_gradient(kind: str) -> None:
    """Switching the regularization off leaves the distillation's gradients as they are."""
    nets = student(kind).float()
    both = digr.student_phase(nets, CONFIG, given(kind))
    alone = digr.student_phase(nets, dataclasses.replace(CONFIG, regularised=False), given(kind))
    batch = transitions(SPACES[kind], 4, 0)
    batch = both.draw(batch._replace(obs=batch.obs.float()), torch.Generator().manual_seed(0))
    batch = batch._replace(seen=both.look(batch))
    found, _ = gradients_of(alone, alone.differentiated, batch, alone.begun(0))
    expected = torch.autograd.grad(both.weighted(batch)[0][1], both.owned())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_states_are_drawn_with_their_own_maps() -> None:
    states = torch.arange(5, dtype=torch.uint8).reshape(5, 1, 1, 1).expand(5, 3, SIDE, SIDE)
    maps = torch.zeros(5, SIDE, SIDE)
    maps[torch.arange(5), torch.arange(5)] = 1.0  # each state's salient row is its number
    draw = digr.draw_saliency(SaliencyData(states, maps), dataclasses.replace(CONFIG, batch_size=32))
    drawn = draw(transitions(SPACES["discrete"], 4, 0), torch.Generator().manual_seed(0)).drawn
    numbers = drawn["saliency_obs"][:, 0, 0, 0].long()
    assert set(numbers.tolist()) == set(range(5))
    assert torch.equal((~drawn["elsewhere"]).float().argmax(1)[:, 0], numbers)
    assert bool((~drawn["elsewhere"]).any(2).sum(1).eq(1).all())


@every_kind
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_a_student_comes_to_act_as_its_teacher(kind: str, optimizer: str) -> None:
    """On pictures of one brightness each, by which the teacher tells them apart."""
    config = dataclasses.replace(CONFIG, optimizer=optimizer, learning_rate=1e-3, distillation_weight=1.0)
    sure = noise_teacher(SPACES[kind])
    teacher = Teacher("sure", lambda obs: 4 * sure.outputs(obs))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        outside = Given(None, teacher, noise_saliency(SPACES[kind]))
        agent = digr.make_digr(config, SPACES[kind], torch.device("cpu"), outside)
    update, generator = make_update(agent), torch.Generator().manual_seed(0)
    brightness = torch.linspace(0, 255, 8).to(torch.uint8).reshape(8, 1, 1, 1).expand(8, 3, SIDE, SIDE)
    batch = transitions(SPACES[kind], 8, 0)._replace(obs=brightness)
    divergences = [float(update(lambda size: batch, generator, index)["student/distillation"]) for index in range(150)]
    assert divergences[-1] < 0.2 * divergences[0]


def test_actions_are_squashed_where_the_teachers_are() -> None:
    obs = pixels().float()
    for squashed, expected in ((True, torch.tanh), (False, lambda value: value.clamp(-1, 1))):
        nets = student("continuous", squashed=squashed).float()
        act: Callable[[Tensor, None], Tensor] = digr.sampled_policy(nets)
        torch.testing.assert_close(act(obs, None), expected(nets(obs).mean).detach())
    loaded = student("continuous", squashed=False)
    loaded.load_state_dict(student("continuous", squashed=True).state_dict())
    assert bool(loaded.squashed)  # it is kept with the weights


@every_kind
def test_the_double_backward_compiles_too(kind: str) -> None:
    nets = student(kind).float()
    phase = digr.student_phase(nets, CONFIG, given(kind))
    batch = transitions(SPACES[kind], 4, 0)
    batch = phase.draw(batch._replace(obs=batch.obs.float()), torch.Generator().manual_seed(0))
    loss = phase.terms["regularisation"].loss
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    values = [one(batch, {}) for one in (loss, compiled)]
    torch.testing.assert_close(values[1], values[0])
    gradients = [torch.autograd.grad(value, phase.owned(), allow_unused=True) for value in values]
    for one, other in zip(*gradients, strict=True):
        assert one is not None and other is not None
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-5)


def test_a_student_without_a_teacher_acts_and_does_not_learn() -> None:
    agent = digr.make_digr(CONFIG, SPACES["discrete"], torch.device("cpu"))
    assert agent.phases == () and agent.act(pixels().float(), None).shape == (2,)
    with pytest.raises(UserError, match="--teacher"):
        digr.student_phase(student("discrete"), CONFIG, Given())
    with pytest.raises(UserError, match="saliency data"):
        digr.student_phase(student("discrete"), CONFIG, Given(None, noise_teacher(SPACES["discrete"])))
