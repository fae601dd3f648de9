"""The same code on a GPU: one update close to the CPU's, no waiting inside a loss, a run that resumes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from method_cases import ACTIONS, build, sample
from training_cases import after_steps, config, ignore, never, resume

from saccade.agents import METHODS
from saccade.agents.agent import Agent, look, step
from saccade.train import session
from saccade.types import Batch, Spaces

pytestmark = [
    pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores", "ignore:Synchronization debug mode"),
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here"),
]

TOLERANCE = 2e-3  # convolutions may round their inputs to TF32


def on_gpu(method: str) -> Agent:
    from method_cases import images, tiny

    host = build(method)
    spec = METHODS[method]
    shape = (9, *[spec.rendered_size(tiny(spec.config))] * 2)
    agent = spec.make(tiny(spec.config), Spaces(shape, ACTIONS), torch.device("cuda"), images)
    agent.networks.load_state_dict(host.networks.state_dict())
    return agent


def moved(batch: Batch) -> Batch:
    obs, action, reward, discount, next_obs = (value.cuda() for value in batch[:5])
    drawn = {name: value.cuda() for name, value in batch.drawn.items()}
    return Batch(obs, action, reward, discount, next_obs, drawn)


@pytest.mark.parametrize("method", METHODS)
def test_one_update_equals_the_cpus(method: str) -> None:
    host, device = build(method), on_gpu(method)
    for ours, theirs in zip(host.phases, device.phases, strict=True):
        prepare = host.prepare if ours.own_batch is None else ours.own_batch.prepare
        batch = prepare(sample(method), torch.Generator().manual_seed(0))
        expected, found = step(ours, look(ours, batch), 0), step(theirs, look(theirs, moved(batch)), 0)
        for key, value in expected.items():
            torch.testing.assert_close(found[key].cpu(), value, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("method", METHODS)
def test_no_loss_waits_for_the_device(method: str) -> None:
    agent = on_gpu(method)
    for phase in agent.phases:
        prepare = agent.prepare if phase.own_batch is None else phase.own_batch.prepare
        batch = moved(prepare(sample(method), torch.Generator().manual_seed(0)))
        phase.total(look(phase, batch))  # the first call may wait, for choosing algorithms
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            total, _ = phase.total(look(phase, batch))
            torch.autograd.grad(total, phase.owned())
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("choice", ["off", "on"])
def test_a_run_trains_stops_and_resumes(choice: str, tmp_path: Path) -> None:
    run = config("sgqn", device="cuda")
    run = dataclasses.replace(run, training=dataclasses.replace(run.training, compile=choice))
    watch, stop = after_steps(90, seen=[])
    assert session.start(run, tmp_path / "run", {}, watch, stop) is None
    result = resume(tmp_path / "run")
    assert result["updates"] == result["env_steps"] == run.training.steps
    assert session.start(run, tmp_path / "other", {}, ignore, never) is not None
