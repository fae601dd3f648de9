"""The same code on a GPU: one update close to the CPU's, no waiting inside a loss, a run that resumes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from method_cases import build, on_device, prepared
from training_cases import (
    after_steps,
    config,
    ignore,
    never,
    noise_config,
    resume,
    rows,
    train,
    without_simulator,
)
from waiting import waiting_is_an_error

from saccade.agents import METHODS
from saccade.agents.agent import look, step
from saccade.train import session

pytestmark = [
    pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores", "ignore:Synchronization debug mode"),
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here"),
]

CUDA = torch.device("cuda")
TOLERANCE = 2e-3  # convolutions may round their inputs to TF32


@pytest.mark.parametrize("method", METHODS)
def test_one_update_equals_the_cpus(method: str) -> None:
    host, device = build(method), on_device(method, CUDA)
    for ours, theirs in zip(host.phases, device.phases, strict=True):
        batch = prepared(device, theirs, method, drawn_by=host)  # before the host's weights change
        expected, found = step(ours, prepared(host, ours, method), 0), step(theirs, batch, 0)
        for key, value in expected.items():
            torch.testing.assert_close(found[key].cpu(), value, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("method", METHODS)
def test_no_loss_waits_for_the_device(method: str) -> None:
    agent = on_device(method, CUDA)
    for phase in agent.phases:
        batch = prepared(agent, phase, method, drawn_by=build(method))
        phase.total(look(phase, batch))  # the first call may wait, for choosing algorithms
        with waiting_is_an_error():
            total, _ = phase.total(look(phase, batch))
            torch.autograd.grad(total, phase.owned())


@pytest.mark.parametrize(("choice", "precision"), [("off", "float32"), ("on", "float32"), ("auto", "auto")])
def test_a_run_trains_stops_and_resumes(choice: str, precision: str, tmp_path: Path) -> None:
    run = config("sgqn", device="cuda", compile=choice, precision=precision)
    watch, stop = after_steps(24, seen=[])
    assert session.start(run, tmp_path / "run", {}, watch, stop) is None
    result = resume(tmp_path / "run")
    assert result["updates"] == result["env_steps"] == run.training.steps
    assert session.start(run, tmp_path / "other", {}, ignore, never) is not None
    for folder in ("run", "other"):  # nothing was left out on the way
        assert [row for row in rows(tmp_path / folder, "notes.jsonl") if "warning" in row] == []


def test_a_run_whose_losses_cannot_be_compiled_is_recorded_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_compiler(*_: object) -> None:
        raise RuntimeError("Failed to find C compiler.")

    without_simulator(monkeypatch)
    monkeypatch.setattr("saccade.agents.agent.as_one_region", lambda function, backend: no_compiler)
    result = train(tmp_path / "run", noise_config("sgqn", device="cuda"))
    [warning] = [row["warning"] for row in rows(tmp_path / "run", "notes.jsonl") if "warning" in row]
    assert "Failed to find C compiler" in warning
    assert "not compiled" in result["paths"][0] and "CUDA graph" in result["paths"][1]
