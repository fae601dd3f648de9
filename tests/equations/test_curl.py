"""CURL by hand: what is asked of the encoder, what it is compared with, and which weights learn from it."""

from __future__ import annotations

import math

import torch

from saccade.agents.agent import step
from saccade.agents.methods import sac
from saccade.agents.methods.curl import (
    CURL,
    CURLNetworks,
    Similarity,
    contrast_phase,
    draw_other_crop,
    instance_discrimination,
)
from saccade.agents.methods.rad import random_crop
from saccade.types import Batch, Continuous, Spaces

CPU = torch.device("cpu")
SIZE = sac.Architecture(image_size=12, filters=4, conv_layers=2, projection=3, hidden=16)
CONFIG = CURL(sac.SAC(SIZE), rendered_size=16, crop_positions=5)


def networks() -> CURLNetworks:
    torch.manual_seed(0)
    nets = CURLNetworks(sac.make_networks(Spaces((9, 16, 16), Continuous(2)), CONFIG.sac, CPU), SIZE.projection)
    with torch.no_grad():  # away from a start whose gradients are mostly zero
        for parameter in nets.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return nets


def batch() -> Batch:
    generator = torch.Generator().manual_seed(3)
    obs, other = (torch.rand((4, 9, 12, 12), generator=generator) * 255 for _ in range(2))
    return Batch(obs, torch.zeros(4, 2), torch.zeros(4), torch.ones(4), obs, {"other_crop": other})


def test_similarity_is_bilinear() -> None:
    # W = [[1, 2], [3, 4]]: (1, 0) W (5, 6) = 5 + 12 and (0, 1) W (5, 6) = 15 + 24.
    similarity = Similarity(2)
    similarity.weight.data = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    found = similarity(torch.eye(2), torch.tensor([[5.0, 6.0]]))
    assert torch.equal(found, torch.tensor([[17.0], [39.0]]))


def test_similarity_begins_uniform() -> None:
    torch.manual_seed(0)
    weight = Similarity(100).weight
    assert weight.shape == (100, 100) and weight.min() >= 0 and weight.max() < 1
    assert abs(weight.mean().item() - 0.5) < 0.01


def test_discrimination_of_identical_observations_costs_the_logarithm_of_their_number() -> None:
    data = batch()
    same = data._replace(obs=data.obs[:1].expand(4, -1, -1, -1))
    assert math.isclose(instance_discrimination(networks())(same, {}).item(), math.log(4), rel_tol=0.2)
    same.drawn["other_crop"][:] = same.drawn["other_crop"][:1].clone()
    assert math.isclose(instance_discrimination(networks())(same, {}).item(), math.log(4), rel_tol=1e-6)


def test_discrimination_is_the_cross_entropy_of_the_diagonal() -> None:
    # Embeddings that are unit vectors and W = 2: the diagonal is 2 and everything else 0, so that every one of four
    # observations costs log(e^2 + 3) - 2.
    nets, data = networks(), batch()
    nets.similarity.weight.data = 2 * torch.eye(4)
    for critic in (nets.actor_critic.critic, nets.actor_critic.target_critic):
        critic.embed = lambda obs: torch.eye(4)
    expected = math.log(math.exp(2) + 3) - 2
    assert math.isclose(instance_discrimination(nets)(data, {}).item(), expected, rel_tol=1e-6)


def test_discrimination_equals_a_loop_over_pairs() -> None:
    nets, data = networks(), batch()
    query = nets.actor_critic.critic.embed(data.obs).double()
    keys = nets.actor_critic.target_critic.embed(data.drawn["other_crop"]).double()
    weight, costs = nets.similarity.weight.double(), []
    for i in range(4):
        scores = [float((query[i] @ weight @ keys[j]).detach()) for j in range(4)]
        costs.append(math.log(sum(math.exp(score) for score in scores)) - scores[i])
    found = instance_discrimination(nets)(data, {}).item()
    assert math.isclose(found, sum(costs) / 4, rel_tol=1e-5)


def test_encoder_and_similarity_learn_and_the_slow_encoder_and_heads_do_not() -> None:
    nets = networks()
    before = {name: value.clone() for name, value in nets.state_dict().items()}
    step(contrast_phase(nets, CONFIG), batch(), 0)
    moved = {name for name, value in nets.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    learners = ("actor_critic.critic.convolutions", "actor_critic.critic.projection", "similarity")
    assert all(name.startswith(learners) for name in moved)
    assert {name for name in before if name.startswith(learners)} == moved


def test_both_views_are_crops_of_the_same_observation() -> None:
    obs = torch.randint(0, 256, (4, 9, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    data, generator = batch()._replace(obs=obs, next_obs=obs), torch.Generator().manual_seed(1)
    data = random_crop(12, 5)(draw_other_crop(12, 5)(data, generator), generator)
    windows = obs.unfold(2, 12, 1).unfold(3, 12, 1)
    for view in (data.obs, data.drawn["other_crop"]):
        assert view.shape == (4, 9, 12, 12)
        places = (windows == view[:, :, None, None]).all(-1).all(-1).all(1)
        assert places.flatten(1).any(1).all()
    assert not torch.equal(data.obs.float(), data.drawn["other_crop"])
