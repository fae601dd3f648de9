"""PPO and SAC learn on the highway for some steps, and say so where its actions are not theirs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saccade.cli import main

SMALL = ("--vehicles", "3", "--workers", "0", "--threads", "1", "--evaluate-every", "0", "--evaluation-modes")
PPO = (
    "--network", "small", "--image-size", "32", "--steps", "48", "--envs", "2", "--rollout-steps", "12", "--epochs",
    "1", "--minibatches", "2", "--log-every", "1",
)  # fmt: skip
SAC = (
    "--controls", "continuous", "--image-size", "40", "--steps", "24", "--random-steps", "12", "--batch-size", "4",
    "--conv-layers", "4", "--filters", "4", "--hidden", "16", "--log-every", "1",
)  # fmt: skip


@pytest.mark.parametrize(("method", "options", "updates"), [("ppo", PPO, 4), ("sac", SAC, 12)])
def test_methods_train_on_the_highway(method: str, options: tuple[str, ...], updates: int, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["train", method, "driving/highway", *options, *SMALL, "--out", str(out)]) == 0
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [row for row in rows if any(name.startswith((method, "critic", "sac")) for name in row)]
    assert losses and rows[-1]["updates"] >= updates


def test_sac_on_nine_actions_is_told_how_it_could(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["train", "sac", "driving/highway", "--out", str(out)]) == 2
    assert "or give --controls continuous" in capsys.readouterr().err and not out.exists()
