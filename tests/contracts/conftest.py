"""What several files of tests share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

INHERITED = (signal.SIGINT, signal.SIGHUP)


@pytest.fixture(scope="session", autouse=True)
def _programs_listen_to_signals() -> None:
    """What a program is started with it ignores: under ``nohup``, or in the background of a script, these two.

    A handler is not inherited. So tests that start programs find the same as in a terminal, and this one goes on.
    """
    for number in INHERITED:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


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
