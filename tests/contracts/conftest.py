"""What several files of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths lie in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def ppo_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy with choices, as Stable-Baselines3 saves it."""
    from foreign_policies import CASES, trained

    path = tmp_path_factory.mktemp("ppo") / "ppo.zip"
    trained(CASES["ppo_discrete"]).save(path)
    return path
