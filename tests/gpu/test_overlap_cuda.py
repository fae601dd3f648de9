"""Evaluations beside the training on a GPU: on a stream of their own, of the weights that were taken."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training_cases import ignore, never, noise_config, rows, without_simulator

from saccade.data.checkpoints import read_checkpoint
from saccade.policies.evaluate import evaluate, in_mode
from saccade.policies.sources.run import policy_of
from saccade.train import session

pytestmark = [
    pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores", "ignore:Synchronization debug mode"),
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here"),
]

TOLERANCE = 1e-2  # of a return: convolutions may round their inputs to TF32, and not always add in one order


@pytest.mark.parametrize("method", ["sac", "sgqn"])
def test_evaluations_beside_recorded_updates_are_of_the_weights_taken(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one is under way while updates are compiled and recorded, the second while they are replayed."""
    without_simulator(monkeypatch)
    modes = ("train", "video_hard")
    options = {"evaluate_every": 32, "evaluation_modes": modes, "evaluation_episodes": 10, "checkpoint_every": 32}
    run = noise_config(method, steps=64, envs=2, workers=1, device="cuda", **options)
    session.start(run, tmp_path / "run", {}, ignore, never)
    returns = {(row["env_steps"], row["mode"]): row["returns"] for row in rows(tmp_path / "run", "evaluations.jsonl")}
    assert [row for row in rows(tmp_path / "run", "notes.jsonl") if "warning" in row] == []
    assert list(returns) == [(steps, mode) for steps in (0, 32, 64) for mode in modes]
    for steps in (32, 64):
        checkpoint = read_checkpoint(tmp_path / "run" / "checkpoints" / f"step_{steps:09d}")
        policy = policy_of(checkpoint, run, torch.device("cuda"))
        for mode in modes:
            alone = evaluate(policy.act, in_mode(run.env, mode), episodes=10, seed=0, workers=0)
            assert alone.returns == pytest.approx(returns[steps, mode], abs=TOLERANCE)
