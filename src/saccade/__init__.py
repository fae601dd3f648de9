"""Saccade: visual reinforcement-learning agents that know where to look.

``saccade.make("dmc/walker_walk@video_hard")`` gives an environment, ``saccade.load("runs/mine")`` the
policy of a finished run, ``saccade.explain.saliency(policy, obs)`` maps of what it sees,
``saccade.attack(policy, obs, "pgd", 4)`` what would fool it, and ``saccade.Shift(env, "brightness:0.5")`` any
environment under another light. Importing the package loads neither torch nor a simulator.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saccade import envs as _envs
from saccade.moved import find_former_names

if TYPE_CHECKING:
    import gymnasium

    from saccade.explain.shifted import Shift
    from saccade.policies.attacked import attack
    from saccade.policies.policy import Policy

__all__ = ["Shift", "__version__", "attack", "load", "make"]
__version__ = "0.1.0"


def make(task: str, *, seed: int | None = None, **options: Any) -> gymnasium.Env:
    """The environment ``suite/task`` or ``suite/task@mode``, such as ``dmc/walker_walk@video_hard``.

    Args:
        seed: what the first reset uses if it is given none; None for a different one each time.
        options: any other field of ``saccade.envs.config.EnvConfig``, such as ``image_size=100``, or of its suite's
            options, such as ``camera="back"``.

    Raises:
        UserError: an unknown suite, task, mode or option, with the nearest valid ones.
    """
    from saccade.envs.config import EnvConfig
    from saccade.envs.make import make_env

    return make_env(EnvConfig.parse(task, **options), seed=seed)


def load(what: str | Path, **options: Any) -> Policy:
    """A policy that acts and can be explained: of a run's newest checkpoint, or a zip of Stable-Baselines3.

    What `saccade export` wrote is loaded by its folder, or as ``hub:OWNER/NAME`` from the Hugging Face hub.
    ``load(run).act(obs)`` gives actions; ``saccade.explain`` shows what they depend on.

    Args:
        options: of ``saccade.policies.load.load_any``, such as ``device="cpu"``.

    Raises:
        UserError: there is no policy, or it is damaged or of another version.
    """
    from saccade.policies.load import load_any

    return load_any(what, **options)


def __getattr__(name: str) -> Any:
    """``saccade.explain``, ``saccade.attack`` and ``saccade.Shift`` without an import of their own, which loads torch."""
    if name == "attack":
        return import_module("saccade.policies.attacked").attack
    if name not in ("explain", "Shift"):
        raise AttributeError(f"module 'saccade' has no attribute {name!r}")
    explain = import_module("saccade.explain")
    return explain.Shift if name == "Shift" else explain


_envs.register_with_gymnasium()
find_former_names()
