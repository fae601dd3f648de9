"""Find environments by their Gymnasium id, importing the package that registers them if necessary."""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import gymnasium

from saccade.data.user_code import FAILURES, importable, running
from saccade.spelling import close_names
from saccade.types import UserError

PACKAGES = {
    r"ALE/|.*(NoFrameskip|Deterministic|-ram)-v\d+$": "ale-py",
    r"(MiniGrid|BabyAI)-": "minigrid",
    r"MiniWorld-": "miniworld",
    r"(highway|merge|roundabout|parking|intersection|racetrack)-": "highway-env",
    r"Vizdoom": "vizdoom",
    r"(Fetch|Adroit|AntMaze|PointMaze|HandReach)": "gymnasium-robotics",
    r"(Panda)": "panda-gym",
}
"""Prefixes of ids, and the package that registers them."""

NO_ENVIRONMENTS = {"gymnasium", "saccade", "stable_baselines3", "sb3_contrib", "rl_zoo3", "ray", "tianshou", "torchrl"}
"""Modules that need Gymnasium but register no id that would be missing before they are imported."""


def registered(name: str) -> str:
    """Return the id under which ``gymnasium.make`` knows the environment named, with its package imported.

    Args:
        name: ``CarRacing-v3``, ``ALE/Breakout-v5`` or ``ale_py:ALE/Breakout-v5``, whose module is imported first.

    Raises:
        UserError: there is no such module or id; the message names the nearest ids, or the package to install.
    """
    module, colon, wanted = name.rpartition(":")
    if colon:
        _import(module, name)
    elif wanted not in gymnasium.registry:
        for _ in _importing(wanted):
            if wanted in gymnasium.registry:
                break
    if wanted in gymnasium.registry:
        return wanted
    raise UserError(f"There is no environment {wanted!r}: {_hint(wanted, module)}")


def _import(module: str, name: str) -> None:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", module):
        raise UserError(f"{name!r} is no environment: {module!r} is not the name of a module.")
    try:
        with importable(Path()), running(f"Importing {module}"):
            importlib.import_module(module)
    except UserError as error:
        if isinstance(error.__cause__, ModuleNotFoundError) and error.__cause__.name == module.partition(".")[0]:
            raise UserError(
                f"There is no module {module!r} to make {name!r}: pip install {module.replace('_', '-')}, or correct "
                "the part before the colon."
            ) from error
        raise


def _importing(wanted: str) -> Iterator[str]:
    """Import installed packages that register environments, the likeliest first; yield their names."""
    with contextlib.suppress(*FAILURES):  # a package's metadata may be unreadable
        modules = list(_modules_with_environments())
        for module in [*close_names(wanted.partition("/")[0], modules, len(modules)), *modules]:
            with contextlib.suppress(*FAILURES):  # a broken package, maybe not the one wanted
                importlib.import_module(module)
                yield module


def _modules_with_environments() -> Iterable[str]:
    for module, distributions in metadata.packages_distributions().items():
        if module.isidentifier() and not module.startswith("_") and module not in NO_ENVIRONMENTS:
            needs = [need for one in distributions for need in metadata.requires(one) or ()]
            if any(re.match(r"gymnasium\b", need) for need in needs):
                yield module


def _hint(wanted: str, module: str) -> str:
    ids = list(gymnasium.registry)
    # Other versions of it, or without what comes before "/"; the newest first.
    same = sorted((known for known in ids if _bare(known) == _bare(wanted)), key=_version, reverse=True)
    near = same or close_names(wanted, ids)
    package = next((package for begin, package in PACKAGES.items() if re.match(begin, wanted)), None)
    if package is not None and not same and not module:
        return f"{package} makes it, but is not installed or too old to know it: pip install {package}."
    return f"did you mean {' or '.join(near[:3])}?" if near else "give file.py:function for one of your own."


def _version(name: str) -> int:
    found = re.search(r"-v(\d+)$", name)
    return int(found.group(1)) if found else 0


def _bare(name: str) -> str:
    return re.sub(r"-v\d+$", "", name.rpartition("/")[2]).casefold()
