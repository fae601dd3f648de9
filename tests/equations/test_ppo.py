"""PPO's equations by hand and against ``torch.distributions``; what its agent promises, for both kinds of action."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from recorded_operations import CPURecorder
from torch import Generator, Tensor, nn

from saccade.agents.agent import Agent, anneal, make_update
from saccade.agents.configs_on_policy import PPO, Trunk
from saccade.agents.methods import ppo
from saccade.agents.parts.distributions import Categorical, Gaussian
from saccade.agents.parts.tensorflow_adam import TensorFlowAdam
from saccade.agents.presets import OF_ENVIRONMENT
from saccade.agents.published_settings import DIGR_TEACHERS, PPO_PUBLISHED, Setting
from saccade.agents.settings import ANY, check_settings, ranged_numbers_of
from saccade.agents.small_settings import PPO_SMALL
from saccade.data.rollout import Outcome
from saccade.runs.training import Training
from saccade.testing.host_reads import HostReads
from saccade.types import Continuous, Decisions, Discrete, Spaces, UserError

CPU = torch.device("cpu")
BATCH, SIZE, ACTIONS = 6, 12, 3
TINY = PPO(Trunk(network="small", image_size=SIZE, filters=(4, 4, 8), hidden=16))
SPACES = {
    "discrete": Spaces((2, SIZE, SIZE), Discrete(ACTIONS), colours=1),
    "continuous": Spaces((2, SIZE, SIZE), Continuous(ACTIONS), colours=1),
}
BY_HAND = Decisions(
    obs=torch.zeros(3, 1, 1, 1),
    action=torch.zeros(3, dtype=torch.long),
    log_probability=torch.tensor([0.0, 0.0, 0.0]),
    value=torch.tensor([1.0, 1.0, 1.0]),
    advantage=torch.zeros(3),
    target=torch.tensor([2.0, 2.0, 0.0]),
)
RANGE = torch.tensor(0.2, dtype=torch.float64)

both_kinds = pytest.mark.parametrize("kind", SPACES)
every_agent = pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("discrete", {}),
        ("continuous", {}),
        ("discrete", {"trunk": dataclasses.replace(TINY.trunk, shared_trunk=False)}),
        ("continuous", {"value_clip": None, "advantage_normalization": "rollout", "adam": "tensorflow"}),
    ],
    ids=["discrete", "continuous", "separate", "plain"],
)


def build(kind: str, seed: int = 0, **changes: object) -> Agent[Decisions]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        agent = ppo.make_ppo(dataclasses.replace(TINY, **changes), SPACES[kind], CPU)
        nn.init.normal_(agent.networks.policy.weight)  # at the start all actions are about as likely
    return agent


def decided(agent: Agent[Decisions], seed: int = 0) -> Decisions:
    """Decisions of a policy that has moved on a little since."""
    generator = Generator().manual_seed(seed)
    obs = torch.randint(0, 256, (BATCH, 2, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    action = agent.act(obs, generator)
    log_probability, value = agent.judge(obs, action)
    advantage, error, moved = (torch.randn(BATCH, generator=generator) for _ in range(3))
    return Decisions(obs, action, log_probability + 0.3 * moved, value + 0.2 * moved, advantage, value + error)


def prepared(agent: Agent[Decisions]) -> Decisions:
    return agent.prepare(decided(agent), Generator())


# --- equations --------------------------------------------------------------------------------------


def test_the_policy_loss_by_hand() -> None:
    # Ratios 1.5, 0.5 and 1.5 are clipped to 1.2, 0.8 and 1.2. With advantage 1 the smaller of 1.5 and 1.2 is 1.2, of
    # 0.5 and 0.8 it is 0.5; with advantage -2 the smaller of -3 and -2.4 is -3. -(1.2 + 0.5 - 3) / 3 = 1.3 / 3.
    shared = {"ratio": torch.tensor([1.5, 0.5, 1.5]), "advantage": torch.tensor([1.0, 1.0, -2.0])}
    loss = ppo.clipped_policy_loss(RANGE)(BY_HAND, shared)
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(1.3 / 3)


def test_value_losses_by_hand() -> None:
    # Values 1.5, 2.5 and 0 miss targets 2, 2 and 0 by 0.5, 0.5 and 0: half of a mean of (0.25 + 0.25 + 0) / 3.
    # Clipped around 1 they are 1.2, 1.2 and 0.8, and miss by 0.8 in all three: 0.64 is the larger each time.
    shared = {"value": torch.tensor([1.5, 2.5, 0.0])}
    assert ppo.value_loss(BY_HAND, shared).item() == pytest.approx(0.5 / 6)
    assert ppo.clipped_value_loss(RANGE)(BY_HAND, shared).item() == pytest.approx(0.32)
    # One that is within the range counts as it is: 1.1 misses 2, 2 and 0 by 0.9, 0.9 and 1.1.
    within = {"value": torch.tensor([1.1, 1.1, 1.1])}
    assert ppo.clipped_value_loss(RANGE)(BY_HAND, within).item() == pytest.approx((0.81 + 0.81 + 1.21) / 6)


def test_what_is_logged_by_hand() -> None:
    # Log-probabilities 0.2, -0.4 and 0 from 0: half of (0.04 + 0.16 + 0) / 3. Ratios 1.22, 0.67 and 1: two are outside.
    shared = {"log_probability": torch.tensor([0.2, -0.4, 0.0])}
    shared |= {"ratio": shared["log_probability"].exp(), "entropy": torch.tensor([1.0, 2.0, 6.0])}
    assert ppo.approximate_kl(BY_HAND, shared).item() == pytest.approx(0.1 / 3)
    assert ppo.clip_fraction(RANGE)(BY_HAND, shared).item() == pytest.approx(2 / 3)
    assert ppo.entropy(BY_HAND, shared).item() == 3.0


def test_a_clipped_ratio_has_no_gradient() -> None:
    ratio = torch.tensor([1.5, 0.5, 1.1], requires_grad=True)
    shared = {"ratio": ratio, "advantage": torch.tensor([1.0, -1.0, 3.0])}
    (gradient,) = torch.autograd.grad(ppo.clipped_policy_loss(RANGE)(BY_HAND, shared), ratio)
    assert gradient.tolist() == [0.0, 0.0, -1.0]


@pytest.mark.parametrize("kind", ["categorical", "gaussian"])
def test_distributions_equal_pytorchs(kind: str) -> None:
    generator = Generator().manual_seed(0)
    first, second = (torch.randn((4, 3), generator=generator, dtype=torch.float64) for _ in range(2))
    if kind == "categorical":
        ours, theirs = Categorical(first), torch.distributions.Categorical(logits=first)
        action = torch.tensor([0, 2, 1, 1])
        assert torch.equal(ours.greedy, first.argmax(-1))
    else:
        ours = Gaussian(first, second)
        theirs = torch.distributions.Independent(torch.distributions.Normal(first, second.exp()), 1)
        action = torch.randn((4, 3), generator=generator, dtype=torch.float64)
        assert torch.equal(ours.greedy, first)
    torch.testing.assert_close(ours.log_probability(action), theirs.log_prob(action))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())


def test_samples_are_as_frequent_as_they_are_probable() -> None:
    count = 40_000
    logits = torch.tensor([0.0, math.log(2.0), math.log(5.0), -math.inf])
    drawn = Categorical(logits.expand(count, 4)).sample(Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=4) / count
    torch.testing.assert_close(shares, torch.tensor([1, 2, 5, 0]) / 8, rtol=0.0, atol=0.01)  # 4 standard errors
    gaussian = Gaussian(torch.full((count, 2), 3.0), torch.tensor([0.0, math.log(0.5)]).expand(count, 2))
    numbers = gaussian.sample(Generator().manual_seed(0))
    torch.testing.assert_close(numbers.mean(0), torch.tensor([3.0, 3.0]), rtol=0.0, atol=0.02)
    torch.testing.assert_close(numbers.std(0), torch.tensor([1.0, 0.5]), rtol=0.02, atol=0.0)


def test_tensorflows_adam_by_hand_and_against_pytorchs() -> None:
    # First step: m = 0.1, v = 0.001, so 0.1 * sqrt(0.001) / 0.1 * 0.1 / (sqrt(0.001) + 0.1) = 0.0240253.
    ours, theirs = (nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    optimizer, reference = TensorFlowAdam([ours], lr=0.1, eps=0.1), torch.optim.Adam([theirs], lr=0.1)
    generator = Generator().manual_seed(0)
    for step in range(1, 6):
        gradient = torch.ones(3) if step == 1 else torch.randn(3, generator=generator)
        ours.grad = theirs.grad = gradient.double()
        reference.param_groups[0]["eps"] = 0.1 / math.sqrt(1 - 0.999**step)
        optimizer.step()
        reference.step()
        if step == 1:
            assert ours[0].item() == pytest.approx(1 - 0.0240253, abs=1e-7)
            again = TensorFlowAdam([ours], lr=0.1, eps=0.1)
            again.load_state_dict(optimizer.state_dict())  # what is saved is enough to go on
            optimizer = again
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


# --- the agent --------------------------------------------------------------------------------------


@every_agent
def test_the_loss_is_finite_pure_and_reaches_every_parameter(kind: str, changes: dict[str, object]) -> None:
    agent = build(kind, **changes)
    (phase,), batch = agent.phases, prepared(agent)
    before = [value.clone() for value in batch[:6]]
    total, metrics = phase.total(batch)
    assert total.isfinite() and set(metrics) == {f"ppo/{name}" for name in phase.terms}
    owned = {id(parameter) for parameter in phase.owned()}
    assert owned == {id(parameter) for parameter in agent.networks.parameters()}
    gradients = torch.autograd.grad(total, phase.owned())
    assert all(gradient.isfinite().all() and gradient.abs().sum() > 0 for gradient in gradients)
    torch.manual_seed(5)
    assert torch.equal(phase.total(batch)[0], total)
    assert all(torch.equal(old, new) for old, new in zip(before, batch[:6], strict=True))


@pytest.mark.parametrize(("kind", "changes"), [("discrete", {}), ("continuous", {"value_clip": None})])
def test_compiled_equals_eager_also_when_it_anneals(kind: str, changes: dict[str, object]) -> None:
    torch.compiler.reset()
    agent = build(kind, **changes, clip_schedule="linear")
    (phase,), batch = agent.phases, prepared(agent)
    compiled = torch.compile(phase.total, fullgraph=True, backend="aot_eager")
    totals = []
    for done in (0.0, 0.75):
        anneal(agent, done)
        (ours, metrics), (theirs, others) = phase.total(batch), compiled(batch)
        totals.append(theirs)
        torch.testing.assert_close(theirs, ours)
        torch.testing.assert_close(others, metrics)
        for one, other in zip(
            torch.autograd.grad(theirs, phase.owned()), torch.autograd.grad(ours, phase.owned()), strict=True
        ):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert totals[0] != totals[1]  # what changes in place is seen


@every_agent
def test_nothing_waits_for_the_device(kind: str, changes: dict[str, object]) -> None:
    agent = build(kind, **changes)
    (phase,), batch, raw = agent.phases, prepared(agent), decided(agent)
    with HostReads() as spy:
        agent.act(raw.obs, Generator().manual_seed(0))
        agent.judge(raw.obs, raw.action)
        torch.autograd.grad(phase.total(batch)[0], phase.owned())
        if changes.get("adam") == "tensorflow":
            for parameter in phase.owned():
                parameter.grad = torch.ones_like(parameter)
            phase.optimizer.step()
    assert spy.found == []


@both_kinds
def test_acting(kind: str) -> None:
    agent, other = build(kind), build(kind, seed=1)
    obs = decided(agent).obs
    greedy, drawn, again = (agent.act(obs, None), *(agent.act(obs, Generator().manual_seed(1)) for _ in range(2)))
    assert torch.equal(drawn, again) and not torch.equal(drawn, agent.act(obs, Generator().manual_seed(2)))
    assert not torch.equal(greedy, other.act(obs, None)) and not greedy.requires_grad
    if kind == "discrete":
        assert greedy.shape == drawn.shape == (BATCH,) and greedy.dtype == drawn.dtype == torch.int64
        assert drawn.min() >= 0 and drawn.max() < ACTIONS
    else:
        assert greedy.shape == drawn.shape == (BATCH, ACTIONS)
        many = torch.cat([agent.act(obs, Generator().manual_seed(seed)) for seed in range(20)])
        assert many.abs().max() > 1  # not clipped


@both_kinds
def test_judging_is_of_the_policy_as_it_is(kind: str) -> None:
    agent = build(kind)
    batch = decided(agent)
    log_probability, value = agent.judge(batch.obs, batch.action)
    distribution, values = agent.networks(batch.obs)
    torch.testing.assert_close(log_probability, distribution.log_probability(batch.action).detach())
    torch.testing.assert_close(value, values.detach())
    assert not log_probability.requires_grad and not value.requires_grad
    # At the very policy that decided, ratios are 1: nothing is clipped, and the loss is the mean advantage's negative.
    same = agent.prepare(batch._replace(log_probability=log_probability, value=value), Generator())
    _, metrics = agent.phases[0].total(same)
    assert metrics["ppo/clip_fraction"] == 0 and abs(metrics["ppo/approximate_kl"]) < 1e-10
    assert abs(metrics["ppo/policy"]) < 1e-6  # of normalised advantages


@both_kinds
def test_outputs_are_what_the_agent_does(kind: str) -> None:
    agent, other = build(kind), build(kind, seed=1)
    obs = decided(agent).obs.float()
    names = {"discrete": {"logits"}, "continuous": {"mean", "log_std", "gaussian", "action"}}[kind]
    assert set(agent.outputs) == names | {"value"}
    for networks, owner in ((agent.networks, agent), (other.networks, other)):
        found = {name: output(networks, obs) for name, output in agent.outputs.items()}
        torch.testing.assert_close(found["value"].detach(), owner.judge(obs, owner.act(obs, None))[1])
        if kind == "discrete":
            assert torch.equal(found["logits"].argmax(-1), owner.act(obs, None))
            continue
        torch.testing.assert_close(found["action"].detach(), owner.act(obs, None))
        assert torch.equal(found["gaussian"], torch.stack([found["mean"], found["log_std"]], dim=1))
        assert found["log_std"].shape == (BATCH, ACTIONS) and not found["log_std"].any()


def test_separate_trunks_share_nothing_and_values_are_the_same_alone() -> None:
    agent = build("discrete", trunk=dataclasses.replace(TINY.trunk, shared_trunk=False))
    nets, obs = agent.networks, decided(agent).obs
    torch.testing.assert_close(nets.values(obs), nets(obs)[1])
    policy, value = (
        {name for name, gradient in zip(names, gradients, strict=True) if gradient is not None}
        for names, gradients in (
            (
                [name for name, _ in nets.named_parameters()],
                torch.autograd.grad(output.sum(), [*nets.parameters()], allow_unused=True),
            )
            for output in (nets.distribution(obs).logits, nets.values(obs))
        )
    )
    assert policy and value and not policy & value
    assert len(policy | value) == len([*nets.parameters()])


def test_weights_begin_as_published() -> None:
    # Orthogonal with gain sqrt(2), heads 0.01 and 1: rows of wide matrices are that long, and biases 0.
    agent = ppo.make_ppo(PPO(), Spaces((4, 84, 84), Discrete(4), colours=1), CPU)
    nets = agent.networks
    assert sum(parameter.numel() for parameter in nets.parameters()) == 1_686_693  # FLS, table 2
    lengths = {layer: layer.weight.flatten(1).norm(dim=1) for layer in nets.modules() if hasattr(layer, "weight")}
    expected = {nets.policy: 0.01, nets.value: 1.0}
    for layer, found in lengths.items():
        torch.testing.assert_close(found, torch.full_like(found, expected.get(layer, math.sqrt(2))))
        assert not layer.bias.any()


@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_the_learning_rate_and_the_clip_ranges_anneal(schedule: str) -> None:
    agent = build("discrete", learning_rate_schedule=schedule, clip_schedule=schedule, clip_range=0.2, value_clip=0.4)
    (phase,), batch = agent.phases, prepared(agent)
    rate = TINY.learning_rate
    for done in (0.0, 0.5, 0.75):
        left = 1.0 if schedule == "constant" else 1 - done
        anneal(agent, done)
        assert phase.optimizer.param_groups[0]["lr"] == pytest.approx(rate * left)
        _, metrics = phase.total(batch)
        fixed = build("discrete", clip_range=0.2 * left, value_clip=0.4 * left)
        _, expected = fixed.phases[0].total(batch)
        torch.testing.assert_close(metrics, expected)


@pytest.mark.parametrize("kind_of_adam", ["pytorch", "tensorflow"])
def test_a_recorded_update_follows_what_anneals(kind_of_adam: str) -> None:
    recorded, plain = (build("discrete", adam=kind_of_adam, clip_schedule="linear") for _ in range(2))
    for agent in (recorded, plain):
        for group in agent.phases[0].optimizer.param_groups:
            group["lr"] = torch.tensor(group["lr"])  # as on a GPU
    minibatch, recorder = decided(recorded), CPURecorder()

    def work(agent: Agent[Decisions]) -> Tensor:
        metrics = make_update(agent)(lambda size: minibatch, Generator(), 0)
        return torch.stack([*metrics.values()])

    for agent in (recorded, plain):
        anneal(agent, 0.0)
        recorder.warm_up(lambda agent=agent: work(agent))
    replay = recorder.record(lambda: work(recorded))
    for done in (0.0, 0.5, 1.0):
        anneal(recorded, done)
        anneal(plain, done)
        torch.testing.assert_close(replay(), work(plain))
        for ours, theirs in zip(recorded.networks.parameters(), plain.networks.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_a_policy_learns_what_its_picture_asks_for() -> None:
    """A bandit with two pictures, dark and bright, of which each wants another of three actions."""
    config = dataclasses.replace(TINY, learning_rate=3e-3, discount=0.0, epochs=4, minibatches=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        agent = ppo.make_ppo(config, SPACES["discrete"], CPU)
    update, generator = make_update(agent), Generator().manual_seed(0)
    steps, rollouts = 64, 40
    for rollout in range(rollouts):
        bright = torch.rand(steps, generator=generator) > 0.5
        obs = torch.where(bright, 230, 20).to(torch.uint8)[:, None, None, None].expand(steps, 2, SIZE, SIZE)
        action = agent.act(obs, generator)
        reward = (action == torch.where(bright, 2, 0)).float()
        log_probability, value = agent.judge(obs, action)
        ended = torch.ones((steps, 1), dtype=torch.bool)
        columns = (reward[:, None], ended, ~ended, value[:, None], torch.zeros(steps, 1), torch.zeros(1))
        advantage, target = (found.squeeze(1) for found in ppo.appraised(config, Outcome(*columns)))
        whole = Decisions(obs, action, log_probability, value, advantage, target)
        anneal(agent, rollout / rollouts)
        for _ in range(config.epochs):
            for rows in torch.randperm(steps, generator=generator).chunk(config.minibatches):
                part = Decisions(*(column[rows] for column in whole[:6]))
                update(lambda size, part=part: part, generator, 0)
    right = torch.where(bright, 2, 0)
    log_probability, value = agent.judge(obs, right)
    assert torch.equal(agent.act(obs, None), right)
    assert log_probability.exp().min() > 0.8 and value.min() > 0.7


# --- settings ---------------------------------------------------------------------------------------


def test_every_number_has_a_range_on_its_field() -> None:
    assert [name for name, _, allowed in ranged_numbers_of(PPO()) if allowed == ANY] == []
    check_settings(PPO())
    check_settings(dataclasses.replace(PPO(), value_clip=None))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("clip_range", -3.0, "--clip-range -3.0 is out of range: it must be from 0 to 1."),
        ("gae_lambda", 7.0, "--gae-lambda 7.0 is out of range: it must be from 0 to 1."),
        ("value_clip", -0.1, "--value-clip -0.1 is out of range: it must be at least 0."),
        ("epochs", 0, "--epochs 0 is out of range: it must be from 1 to 2147483647."),
        ("learning_rate", math.nan, "--learning-rate nan is out of range: it must be at least 0."),
    ],
)
def test_numbers_out_of_range_are_refused_in_a_sentence(name: str, value: float, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        check_settings(dataclasses.replace(PPO(), **{name: value}))
    assert str(caught.value) == sentence


def with_settings(task: str, *groups: tuple[Setting, ...]) -> dict[str, object]:
    """The defaults, and over them the rows of a task."""
    found = {**dataclasses.asdict(PPO()), **dataclasses.asdict(PPO().trunk)}
    for group in groups:
        for row in group:
            if task.startswith(row.tasks):
                found |= row.values
    return found


def test_presets_are_what_was_published() -> None:
    atari, breakout = with_settings("atari/Seaquest", PPO_PUBLISHED), with_settings("", DIGR_TEACHERS["atari/Breakout"])
    fetch = with_settings("minigrid/red_fetch_green", PPO_PUBLISHED)
    names = ("envs", "rollout_steps", "epochs", "minibatches", "learning_rate", "clip_range", "steps", "frame_stack")
    assert [atari[name] for name in names] == [8, 128, 4, 4, 2.5e-4, 0.1, 50_000_000, 4]
    assert [fetch[name] for name in names] == [16, 128, 4, 8, 1e-3, 0.2, 10_000_000, 1]
    assert [breakout[name] for name in names] == [8, 128, 4, 4, 2e-4, 0.2, 20_000_000, 2]
    assert [with_settings("carla/highway", PPO_PUBLISHED)[name] for name in ("discount", "rollout_steps")] == [
        0.999,
        1000,
    ]
    for start in (atari, fetch, breakout):
        assert (start["gae_lambda"], start["entropy_weight"], start["value_weight"]) == (0.95, 0.01, 0.5)
        assert (start["max_gradient_norm"], start["discount"]) == (0.5, 0.99)
    assert (atari["value_clip"], atari["learning_rate_schedule"], atari["adam"]) == (0.1, "linear", "tensorflow")
    assert (fetch["value_clip"], fetch["learning_rate_schedule"], fetch["adam"]) == (None, "constant", "pytorch")
    options = {field.name for field in dataclasses.fields(Training)} | set(OF_ENVIRONMENT) | set(with_settings(""))
    for row in (*PPO_PUBLISHED, *PPO_SMALL, *(row for rows in DIGR_TEACHERS.values() for row in rows)):
        assert set(row.values) <= options and row.source
    assert with_settings("dmc/walker_walk", PPO_PUBLISHED, PPO_SMALL)["network"] == "small"


def test_pictures_too_small_are_refused() -> None:
    for size, network in ((35, "nature"), (1, "small")):
        spaces = Spaces((1, size, size), Discrete(2), colours=1)
        config = PPO(Trunk(network=network, image_size=size, filters=(2, 2, 2), hidden=4))
        if network == "small":
            assert ppo.make_networks(spaces, config, CPU).values(torch.zeros(1, 1, 1, 1)).shape == (1,)
        else:
            with pytest.raises(UserError, match=r"nothing of a picture of 35x35 pixels: use larger .* --network small"):
                ppo.make_networks(spaces, config, CPU)
