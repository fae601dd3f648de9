"""Saccade: visual reinforcement-learning agents that know where to look.

``saccade.make("dmc/walker_walk@video_hard")`` makes an environment, ``saccade.load("runs/mine")`` loads the policy of
a finished run, ``saccade.explain.saliency(policy, obs)`` computes maps of what it looks at,
``saccade.attack(policy, obs, "pgd", 4)`` finds observations that fool it, and ``saccade.Shift(env, "brightness:0.5")``
shows any environment in another light. Importing the package loads neither torch nor a simulator.
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
    """Make the environment ``suite/task`` or ``suite/task@mode``, such as ``dmc/walker_walk@video_hard``.

    Args:
        seed: seed of the first reset if that is given none; None for a different one each time.
        options: any other field of ``saccade.envs.config.EnvConfig``, such as ``image_size=100``, or any option of the
            task's suite, such as ``camera="back"``.

    Raises:
        UserError: an unknown suite, task, mode or option; the message names the nearest valid ones.
    """
    from saccade.envs.config import EnvConfig
    from saccade.envs.make import make_env

    return make_env(EnvConfig.parse(task, **options), seed=seed)


def load(what: str | Path, **options: Any) -> Policy:
    """Load a policy that acts and can be explained, such as a run's newest checkpoint or a Stable-Baselines3 zip.

    What `saccade export` wrote is loaded from its folder, or as ``hub:OWNER/NAME`` from the Hugging Face hub.
    ``load(run).act(obs)`` returns actions; ``saccade.explain`` shows what they depend on.

    Args:
        options: keyword arguments of ``saccade.policies.load.load_any``, such as ``device="cpu"``.

    Raises:
        UserError: there is no policy, or it is damaged or of another version.
    """
    from saccade.policies.load import load_any

    return load_any(what, **options)


def __getattr__(name: str) -> Any:
    """Import ``saccade.explain``, ``attack`` and ``Shift``, which load torch, only when they are first used."""
    if name == "attack":
        return import_module("saccade.policies.attacked").attack
    if name not in ("explain", "Shift"):
        raise AttributeError(f"module 'saccade' has no attribute {name!r}")
    explain = import_module("saccade.explain")
    return explain.Shift if name == "Shift" else explain


_envs.register_with_gymnasium()
find_former_names()
