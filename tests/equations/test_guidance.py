"""What SG-DQN and SG-PPO add, by hand: masks, consistency, the prediction, and that each term keeps to itself."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from outside import loaded
from torch import Tensor

from saccade.agents import METHODS
from saccade.agents.agent import Agent, make_update, phases_due
from saccade.agents.configs_discrete import DQN, SGDQN, SGPPO, Guidance, PlainTrunk
from saccade.agents.configs_on_policy import PPO, Trunk
from saccade.agents.given import Given
from saccade.agents.methods import dqn, sg_dqn, sg_ppo
from saccade.agents.parts.distributions import Categorical
from saccade.agents.parts.guidance import apart_from_truth, noise_like, salient
from saccade.agents.presets import preset
from saccade.data.rollout import Rollout
from saccade.envs.config import EnvConfig
from saccade.envs.suites import suite_of
from saccade.testing.batches import decisions, noise_pictures, transitions
from saccade.types import Batch, Discrete, Spaces, UserError

CPU = torch.device("cpu")
TASK = "minigrid/red_fetch_green"
SPACES = Spaces((6, 8, 8), Discrete(3))
GUIDANCE = Guidance(quantile=0.75, decoder_filters=(4, 4), saliency_every=1)
OFF = SGDQN(DQN(PlainTrunk("small", 8, (4, 4, 4), 8), batch_size=4), GUIDANCE)
ON = SGPPO(PPO(Trunk("small", 8, (4, 4, 4), 8)), GUIDANCE)


def made(config: SGDQN | SGPPO, spaces: Spaces = SPACES) -> Agent:
    make: Any = sg_dqn.make_sg_dqn if isinstance(config, SGDQN) else sg_ppo.make_sg_ppo
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return make(config, spaces, CPU, Given(noise_pictures))


def guided(config: Any, **changes: Any) -> Any:
    return dataclasses.replace(config, guidance=dataclasses.replace(config.guidance, **changes))


def gradients(agent: Agent) -> dict[str, dict[str, Tensor]]:
    """Of every term of an agent for the same data: by the names of the weights that it reaches."""
    config_is_on = agent.rollouts is not None
    data: Any = (decisions if config_is_on else transitions)(SPACES, 4, 0)
    batch = agent.prepare(data, torch.Generator().manual_seed(0))
    names = {id(weight): name for name, weight in agent.networks.named_parameters()}
    found: dict[str, dict[str, Tensor]] = {}
    for phase, seen in phases_due(agent, batch, lambda size: data, torch.Generator().manual_seed(1), 0):
        for name, term in phase.terms.items():
            value = term.loss(seen, phase.share(seen))
            if not value.requires_grad:
                continue
            each = torch.autograd.grad(value, phase.owned(), allow_unused=True)
            reached = zip(phase.owned(), each, strict=True)
            found[f"{phase.name}/{name}"] = {names[id(w)]: g for w, g in reached if g is not None}
    return found


def assert_same_gradients(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys() and ours
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.parametrize("config", [OFF, ON], ids=["sg_dqn", "sg_ppo"])
def test_each_term_alone_has_the_gradient_that_it_has_among_the_others(config: Any) -> None:
    whole = gradients(made(config))
    without = {"consistency_weight": 0.0}
    no_consistency = guided(config, **without)
    if isinstance(config, SGPPO):
        no_consistency = dataclasses.replace(no_consistency, value_consistency_weight=0.0)
    no_prediction = guided(config, self_supervision=False)
    seen = set()
    for changed in (no_consistency, no_prediction):
        found = gradients(made(changed))
        for term, grads in found.items():
            assert_same_gradients(grads, whole[term])
        seen |= set(whole) - set(found)
    consistency = {"dqn/consistency"} if config is OFF else {"ppo/policy_consistency", "ppo/value_consistency"}
    assert seen == consistency | {"saliency/prediction"}
    one = gradients(made(guided(config, consistency_weight=0.0)))
    if config is ON:  # of two, the one that is left
        assert "ppo/policy_consistency" not in one
        assert_same_gradients(one["ppo/value_consistency"], whole["ppo/value_consistency"])


class Bright(torch.nn.Module):
    """Values of three actions: how bright the picture is, twice and three times that."""

    def forward(self, obs: Tensor) -> Tensor:
        brightness = obs.float().mean((1, 2, 3))
        return torch.stack([brightness, 2 * brightness, 3 * brightness], dim=-1)


def test_the_consistency_of_q_by_hand() -> None:
    """All pixels 100, half of them hidden as 20: the brightness falls to 60, and of the third action's value three
    times that is lost: 300 - 180 = 120, of the first one's 40.
    """
    nets = dqn.QNetworks(SPACES, OFF.dqn)
    nets.online = Bright()  # type: ignore[assignment]
    obs = torch.full((2, 6, 8, 8), 100.0)
    mask = torch.zeros(2, 2, 8, 8, dtype=torch.bool)
    mask[..., :4] = True
    batch = Batch(obs, torch.tensor([2, 0]), torch.zeros(2), torch.ones(2), obs)
    batch = batch._replace(drawn={"mask_fill": torch.tensor(20.0)}, seen={"mask": mask})
    loss = sg_dqn.masked_q_consistency(nets, 3)(batch, {"q": torch.tensor([300.0, 100.0])})
    assert loss.item() == pytest.approx((120**2 + 40**2) / 2)


def test_the_consistency_of_a_policy_by_hand() -> None:
    """From probabilities 1/2 1/2 to 3/4 1/4: KL = 1/2 log(2/3) + 1/2 log 2; of the first action log(3/2) squared."""
    full, masked = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.75, 0.25]]).log()
    batch = decisions(Spaces((3, 8, 8), Discrete(2)), 1, 0)._replace(action=torch.tensor([0]))
    shared = {"logits": full, "masked_logits": masked, "log_probability": torch.tensor([math.log(0.5)])}
    kl = sg_ppo.policy_consistency("kl")(batch, shared).item()
    assert kl == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2))
    assert sg_ppo.policy_consistency("squared")(batch, shared).item() == pytest.approx(math.log(1.5) ** 2)
    assert Categorical(full).divergence(Categorical(full)).item() == 0
    values = {"value": torch.tensor([1.0, 2.0]), "masked_value": torch.tensor([0.0, 5.0])}
    assert sg_ppo.value_consistency(batch, values).item() == pytest.approx((1 + 9) / 2)


def test_what_an_action_depends_on_is_salient() -> None:
    """Of a network whose second action looks at the left half alone, a mask of half the pixels is that half."""

    def attribute(obs: Tensor, action: Tensor) -> Tensor:
        weights = torch.zeros_like(obs)
        weights[..., :4] = -2.0  # signs do not matter
        return torch.where(action[:, None, None, None] == 1, weights, weights.flip(-1))

    guidance = Guidance(quantile=0.5)
    mask = salient(guidance, attribute, 3)(torch.zeros(2, 6, 8, 8), torch.tensor([1, 0]), None, None)
    assert mask.shape == (2, 2, 8, 8)
    assert mask[0, :, :, :4].all() and not mask[0, :, :, 4:].any()
    assert mask[1, :, :, 4:].all() and not mask[1, :, :, :4].any()


def test_the_log_probabilitys_attribution_is_its_gradient() -> None:
    """Against autograd, with the plain gradient: d log pi(a) / d pixels."""
    config = guided(ON, attribution="gradient", mask="attribution")
    agent = made(config)
    obs, action = torch.rand(3, 6, 8, 8) * 255, torch.tensor([0, 1, 2])
    found = sg_ppo.attribution_for(agent.networks.ppo, "action", "gradient")(obs, action)  # type: ignore[arg-type]
    pixels = obs.clone().requires_grad_()
    logits = agent.outputs["logits"](agent.networks, pixels)
    expected = torch.autograd.grad(logits.log_softmax(-1).gather(-1, action[:, None]).sum(), pixels)[0]
    torch.testing.assert_close(found, expected)
    value = sg_ppo.attribution_for(agent.networks.ppo, "value", "gradient")(obs, action)  # type: ignore[arg-type]
    assert not torch.allclose(value, found)


def test_a_random_mask_has_as_many_pixels_as_one_of_the_attribution() -> None:
    obs, action = torch.rand(5, 6, 8, 8) * 255, torch.zeros(5, dtype=torch.int64)
    noise = noise_like(obs, 3, torch.Generator().manual_seed(0))
    random = salient(guided(OFF, mask="random").guidance, lambda obs, action: obs, 3)(obs, action, None, noise)
    attributed = salient(GUIDANCE, lambda obs, action: obs, 3)(obs, action, None, None)
    # Of 64 pixels those at or above the 47.25th smallest of 0..63: 16.
    assert (random.sum((2, 3)) == 16).all() and (attributed.sum((2, 3)) == 16).all()
    assert not torch.equal(random[0], random[1])


def test_the_simulators_masks_come_with_the_frames_and_go_to_the_side() -> None:
    pixels = torch.arange(2 * 6 * 4, dtype=torch.uint8).view(2, 6, 2, 2)
    truth = torch.tensor([[[1, 0], [0, 0]], [[0, 1], [1, 1]]], dtype=torch.uint8).expand(2, 2, 2, 2)
    framed = torch.cat([pixels.unflatten(1, (2, 3)), truth[:, :, None]], dim=2).flatten(1, 2)
    batch = Batch(framed, torch.zeros(2).long(), torch.zeros(2), torch.ones(2), framed)
    found = apart_from_truth(guided(OFF, mask="oracle").guidance, 3)(batch, torch.Generator())
    assert torch.equal(found.obs, pixels) and torch.equal(found.next_obs, pixels)
    assert torch.equal(found.drawn["truth"], truth.bool())


@pytest.mark.parametrize("mask", ["attribution", "oracle", "random"])
def test_a_rollout_is_marked_once_and_its_minibatches_bring_their_masks(mask: str) -> None:
    agent = made(guided(ON, mask=mask))
    rollout = Rollout(4, 2, SPACES, CPU, 4, masked=True, knows_truth=mask == "oracle")
    generator = torch.Generator().manual_seed(0)
    drawn = decisions(SPACES, 8, 0)
    truth = torch.rand(8, 2, 8, 8, generator=generator) < 0.3
    nothing = np.zeros(2, bool)
    for step in range(4):
        rows = slice(2 * step, 2 * step + 2)
        known = truth[rows].numpy() if mask == "oracle" else None
        rollout.add(drawn.obs[rows], drawn.action[rows], np.zeros(2), nothing, nothing, np.zeros(0), known)
    assert agent.mark is not None
    rollout.marked(agent.mark, generator)
    for _ in rollout.minibatches(generator):
        batch = rollout.draw(4, generator).batch()
        for obs, found in zip(batch.obs, batch.seen["mask"], strict=True):
            (row,) = [row for row in range(8) if torch.equal(drawn.obs[row], obs)]
            if mask == "oracle":
                assert torch.equal(found, truth[row])
            elif mask == "attribution":
                alone = agent.mark(drawn.obs[row : row + 1], drawn.action[row : row + 1], None, generator)[0]
                assert (found == alone).float().mean() > 0.98  # a pixel at the threshold may fall either way
            else:
                assert (found.sum((1, 2)) == 16).all()
    if mask == "oracle":  # what a checkpoint keeps of it
        other = Rollout(4, 2, SPACES, CPU, 4, masked=True, knows_truth=True)
        other.load({name: value.clone() for name, value in rollout.state_tensors().items()})
        assert torch.equal(other.state_tensors()["truth"], rollout.state_tensors()["truth"])


def test_ablations_are_rows_that_differ_in_their_terms_alone() -> None:
    whole, consistency, prediction = (
        METHODS[name].config for name in ("sg_ppo", "sg_ppo_consistency", "sg_ppo_self_supervision")
    )
    assert consistency == guided(whole, self_supervision=False)
    assert prediction == dataclasses.replace(guided(whole, consistency_weight=0.0), value_consistency_weight=0.0)


@pytest.mark.parametrize("quantile", [0.0, 1.0])
@pytest.mark.parametrize("config", [OFF, ON], ids=["sg_dqn", "sg_ppo"])
def test_a_quantile_that_hides_all_or_nothing_is_refused(config: Any, quantile: float) -> None:
    with pytest.raises(UserError, match="hides all or nothing"):
        made(guided(config, quantile=quantile))


def test_masks_that_cannot_be_predicted_are_refused() -> None:
    with pytest.raises(UserError, match="a square one"):
        made(ON, Spaces((6, 8, 16), Discrete(3)))
    made(guided(ON, self_supervision=False), Spaces((6, 8, 16), Discrete(3)))


def arithmetic(method: str, count: Any) -> float:
    """Floating-point operations of an update of sixteen decisions at the paper's size, markings once in four epochs."""
    start = preset(method, TASK)
    spaces = suite_of(TASK).spaces(EnvConfig.parse(TASK, image_size=64, **start.environment))
    agent = METHODS[method].make(start.agent, spaces, CPU, Given(noise_pictures))
    data, generator, flop = decisions(spaces, 16, 0), torch.Generator().manual_seed(0), 0.0
    if agent.mark is not None:
        with count() as counted:
            mask = agent.mark(data.obs, data.action, None, generator)
        flop, data = counted.flop / start.agent.ppo.epochs, data._replace(seen={"mask": mask})
    update, updates = make_update(agent), start.agent.guidance.saliency_every if agent.mark is not None else 1
    found = []
    for index in range(min(updates, 2)):  # the first predicts masks too, the others are alike
        with count() as counted:
            update(lambda size: data, generator, index)
        found.append(counted.flop)
    return flop + (found[0] + (updates - 1) * found[-1]) / updates


def test_guidance_takes_at_most_two_and_a_half_times_the_arithmetic() -> None:
    counting = loaded("benchmarks/counting.py")
    plain = arithmetic("ppo", counting.OperationCount)
    ablations = {
        name: arithmetic(name, counting.OperationCount) / plain
        for name in ("sg_ppo", "sg_ppo_consistency", "sg_ppo_self_supervision")
    }
    assert ablations["sg_ppo"] <= 2.5
    assert ablations["sg_ppo_consistency"] < ablations["sg_ppo"] > ablations["sg_ppo_self_supervision"]
