"""Modules by their former names give what they held, and say where it is now."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from saccade.moved import MOVED

HELD = {
    "policies.module": "from_module",
    "data.videos": "load_clips",
    "envs.env": "EnvConfig",
    "envs.workers": "EnvWorkers",
    "nets.views": "tapped",
    "policies.run": "load_policy",
    "machine": "examine",
    "machine.facts": "environment_facts",
    "agents.sac": "make_sac",
}


@pytest.mark.parametrize(("former", "name"), HELD.items())
def test_what_a_former_module_held_is_found(former: str, name: str) -> None:
    module = importlib.import_module(f"saccade.{former}")
    with pytest.warns(DeprecationWarning, match=f"saccade.{former} has moved: {name} is in saccade"):
        found = getattr(module, name)
    assert found is vars(importlib.import_module(found.__module__)).get(name, found)
    with pytest.raises(AttributeError, match="it has moved to"):
        module.nothing  # noqa: B018


@pytest.mark.parametrize("former", MOVED)
def test_every_place_exists(former: str) -> None:
    for place in MOVED[former]:
        importlib.import_module(f"saccade.{place}")
    importlib.import_module(f"saccade.{former}")


def test_in_a_program_that_imports_names(tmp_path: object) -> None:
    program = "from saccade.data.videos import load_clips; from saccade.machine.facts import git_facts; print('found')"
    done = subprocess.run([sys.executable, "-W", "always", "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "found\n" and "saccade.data.videos has moved" in done.stderr


def test_a_name_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("saccade.data.films")
