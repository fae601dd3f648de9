"""What every agent promises: it acts in range, repeats for a seed, saves and loads, and has modules only."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from method_cases import ACTIONS, BATCH, build, sample, twin_q
from safetensors.torch import load_file, save_file
from torch import nn

from saccade.agents import METHODS
from saccade.agents.agent import make_update
from saccade.agents.presets import SIZES, preset
from saccade.envs.suites import TASKS

every_method = pytest.mark.parametrize("method", METHODS)


def train(method: str, updates: int, seed: int = 0, draws: int = 0) -> dict[str, torch.Tensor]:
    agent = build(method, seed)
    update = make_update(agent)
    generator = torch.Generator().manual_seed(draws)
    for index in range(updates):
        metrics = update(lambda size, index=index: sample(method, index, size), generator, index)
        assert all(value.isfinite() for value in metrics.values())
    return agent.networks.state_dict()


@every_method
def test_acts_within_the_range(method: str) -> None:
    agent, obs = build(method), sample(method).obs

    def drawn() -> torch.Tensor:
        return agent.act(obs, torch.Generator().manual_seed(5))

    for action in (agent.act(obs, None), drawn()):
        assert action.shape == (BATCH, ACTIONS) and action.abs().max() <= 1
        assert not action.requires_grad
    assert torch.equal(agent.act(obs, None), agent.act(obs, None))
    assert torch.equal(drawn(), drawn()) and not torch.equal(agent.act(obs, None), drawn())


@every_method
def test_every_network_learns_and_a_seeded_run_repeats(method: str) -> None:
    before, first, again = build(method).networks.state_dict(), train(method, 4), train(method, 4)
    other = train(method, 4, draws=1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    still = [name for name in first if first[name].ndim > 1 and torch.equal(first[name], before[name])]
    # Only the untrained decoder of an ablation without self-supervision stays as it was.
    assert [name for name in still if not (method == "sac_consistency" and name.startswith("decoder"))] == []


@every_method
def test_saved_networks_act_the_same(method: str, tmp_path: Path) -> None:
    agent, other, obs = build(method), build(method, seed=1), sample(method).obs
    assert not torch.equal(agent.act(obs, None), other.act(obs, None))
    save_file(agent.networks.state_dict(), tmp_path / "networks.safetensors")
    other.networks.load_state_dict(load_file(tmp_path / "networks.safetensors"))
    assert torch.equal(agent.act(obs, None), other.act(obs, None))
    assert all(
        torch.equal(agent.maps[name](obs, agent.act(obs, None)), other.maps[name](obs, other.act(obs, None)))
        for name in agent.maps
    )


@every_method
def test_maps_are_one_per_frame(method: str) -> None:
    agent, obs = build(method), sample(method).obs
    for name, find in agent.maps.items():
        found = find(obs, agent.act(obs, None))
        size = obs.shape[-1] if name == "q_attribution" else 12  # behind a crop, the borders have no gradient
        assert found.shape == (BATCH, 3, size, size) and found.min() >= 0 and found.max() > 0, name


@every_method
def test_masks_are_shares(method: str) -> None:
    agent, obs = build(method), sample(method).obs
    for name in agent.maps:
        if name.endswith("mask"):
            found = agent.maps[name](obs.float(), agent.act(obs, None))
            assert found.min() >= 0 and found.max() <= 1, name


@every_method
def test_pictures_are_colours_of_each_sample_alone(method: str) -> None:
    agent, obs = build(method), sample(method).obs.float()
    for name, draw in agent.pictures.items():
        drawn = draw(obs)
        assert drawn.shape[:2] == obs.shape[:2] and max(drawn.shape[2:]) <= obs.shape[-1], name
        assert drawn.isfinite().all() and drawn.min() >= 0 and 0 < drawn.max() <= 255, name
        assert not torch.equal(drawn[0], drawn[1]), name
        torch.testing.assert_close(torch.cat([draw(one[None]) for one in obs]), drawn, msg=name)
        assert not drawn.requires_grad, name
    assert all(parameter.grad is None for parameter in agent.networks.parameters())


@every_method
def test_phases_with_a_period_run_in_their_updates_alone(method: str) -> None:
    agent = build(method)
    update = make_update(agent)
    generator = torch.Generator().manual_seed(0)
    for index in range(3):
        keys = update(lambda size: sample(method, 0, size), generator, index)
        ran = {key.split("/")[0] for key in keys}
        assert ran == {phase.name for phase in agent.phases if index % phase.every == 0}


@every_method
def test_networks_activate_by_modules(method: str) -> None:
    """A ReLU called as a function would keep its plain gradient in a guided view without a word."""
    agent = build(method)
    calls = []
    original = torch.relu, nn.functional.relu

    def spy(*args: object, **kwargs: object) -> object:
        calls.append(args)
        return original[1](*args, **kwargs)

    relus = [module for module in agent.networks.modules() if isinstance(module, nn.ReLU)]
    for module in relus:
        module.register_forward_hook(lambda *_: calls.clear())
    nn.functional.relu, before = spy, nn.functional.relu
    try:
        agent.act(sample(method).obs, None)
    finally:
        nn.functional.relu = before
    assert relus and calls == []


@every_method
@pytest.mark.parametrize("size", SIZES)
def test_presets_exist_for_every_task(method: str, size: str) -> None:
    for task in TASKS:
        config = preset(method, task, size).agent
        assert METHODS[method].rendered_size(config) % 4 == 0


def test_published_quantiles() -> None:
    for task, quantile in {
        "dmc/walker_walk": 0.95,
        "dmc/finger_spin": 0.95,
        "dmc/cartpole_swingup": 0.98,
        "dmc/ball_in_cup_catch": 0.98,
    }.items():
        assert preset("sgqn", task).agent.quantile == quantile
        assert preset("sac_consistency", task).agent.quantile == quantile


@every_method
def test_outputs_are_what_the_agent_does(method: str) -> None:
    """And they reach weights through the networks that they are given alone: another agent's give another's outputs."""
    agent, other, batch = build(method), build(method, seed=1), sample(method)
    obs = batch.obs.float()
    assert set(agent.outputs) == {"mean", "log_std", "gaussian", "action", "q"}
    for networks, owner in ((agent.networks, agent), (other.networks, other)):
        torch.testing.assert_close(agent.outputs["action"](networks, obs), owner.act(obs, None))
        both = torch.stack([agent.outputs[name](networks, obs) for name in ("mean", "log_std")], 1)
        torch.testing.assert_close(agent.outputs["gaussian"](networks, obs), both)
        q1, _ = twin_q(networks, obs, batch.action)
        torch.testing.assert_close(agent.outputs["q"](networks, obs, batch.action), q1)
