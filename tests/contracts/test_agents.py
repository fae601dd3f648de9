"""What every agent promises: ``saccade.testing`` says most of it, over the package's own table of methods."""

from __future__ import annotations

import pytest
import torch
from method_cases import build, case, sample, twin_q

from saccade.agents import METHODS
from saccade.agents.agent import make_update
from saccade.agents.presets import SIZES, preset
from saccade.envs.suites import TASKS
from saccade.testing import check_method
from saccade.types import Continuous

every_method = pytest.mark.parametrize("method", METHODS)
every_method_after_sac = pytest.mark.parametrize(
    "method",
    [
        name
        for name, row in METHODS.items()
        if row.loop == "off_policy" and Continuous in row.actions and not row.taught
    ],
)


def train(method: str, updates: int, draws: int = 0) -> dict[str, torch.Tensor]:
    agent = build(method)
    update = make_update(agent)
    generator = torch.Generator().manual_seed(draws)
    for index in range(updates):
        update(lambda size, index=index: sample(method, index, size), generator, index)
    return agent.networks.state_dict()


@every_method
def test_it_keeps_the_promises_of_a_method(method: str) -> None:
    tried = case(method)
    check_method(tried.method, tried.spaces, config=tried.config)


@every_method_after_sac
def test_every_network_learns_from_what_is_drawn(method: str) -> None:
    before, first, other = build(method).networks.state_dict(), train(method, 4), train(method, 4, draws=1)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    still = [name for name in first if first[name].ndim > 1 and torch.equal(first[name], before[name])]
    # Only the untrained decoder of an ablation without self-supervision stays as it was.
    assert [name for name in still if not (method == "sac_consistency" and name.startswith("decoder"))] == []


@every_method_after_sac
def test_maps_are_not_negative(method: str) -> None:
    agent, obs = build(method), sample(method).obs
    assert "q_attribution" in agent.maps
    for name, find in agent.maps.items():
        found = find(obs, agent.act(obs, None))
        assert found.min() >= 0 and found.max() > 0, name


@every_method
def test_pictures_of_different_samples_differ(method: str) -> None:
    agent, obs = build(method), sample(method).obs.float()
    for name, draw in agent.pictures.items():
        drawn = draw(obs)
        assert not torch.equal(drawn[0], drawn[1]), name


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


@every_method_after_sac
def test_outputs_are_sacs(method: str) -> None:
    agent, batch = build(method), sample(method)
    obs, networks = batch.obs.float(), agent.networks
    assert set(agent.outputs) == {"mean", "log_std", "gaussian", "action", "q"}
    both = torch.stack([agent.outputs[name](networks, obs) for name in ("mean", "log_std")], 1)
    torch.testing.assert_close(agent.outputs["gaussian"](networks, obs), both)
    q1, _ = twin_q(networks, obs, batch.action)
    torch.testing.assert_close(agent.outputs["q"](networks, obs, batch.action), q1)
