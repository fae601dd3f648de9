"""Former module names: importing one gives what it held, with a warning that says where that is now."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import MappingProxyType, ModuleType
from typing import Any, final

PACKAGE = "saccade."
MOVED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "agents.attribution": ("agents.parts.attribution",),
        "agents.augmentation": ("agents.parts.augmentation",),
        "agents.augmented": ("agents.methods.srm",),
        "agents.captured": ("agents.recorded_updates",),
        "agents.curl": ("agents.methods.curl",),
        "agents.drq": ("agents.methods.drq",),
        "agents.madi": ("agents.methods.madi",),
        "agents.rad": ("agents.methods.rad",),
        "agents.sac": ("agents.methods.sac",),
        "agents.sgqn": ("agents.methods.sgqn",),
        "agents.simgrl": ("agents.methods.simgrl",),
        "agents.smg": ("agents.methods.smg",),
        "agents.soda": ("agents.methods.soda",),
        "agents.svea": ("agents.methods.svea",),
        "data.colors": ("data.banks.colors",),
        "data.images": ("data.banks.images",),
        "data.leaves": ("data.banks.painted_shapes",),
        "data.procedural": ("data.banks.procedural",),
        "data.textures": ("data.banks.textures",),
        "data.videos": ("data.banks.clips",),
        "envs.env": ("envs.config", "envs.make"),
        "envs.opengl": ("envs.mujoco.opengl",),
        "envs.tasks.mask": ("envs.mujoco.mask",),
        "envs.tasks.scene": ("envs.mujoco.scene",),
        "envs.tasks.soft_parts": ("envs.mujoco.soft_parts",),
        "envs.tasks.state": ("envs.mujoco.state",),
        "envs.worker_group": ("envs.workers.group",),
        "envs.worker_journal": ("envs.workers.journal",),
        "envs.worker_pool": ("envs.workers.pool",),
        "envs.worker_process": ("envs.workers.process",),
        "envs.workers": ("envs.workers.env_workers",),
        "explain.scoring": ("explain.measuring",),
        "machine": ("doctor",),
        "machine.examination": ("doctor.examination",),
        "machine.facts": ("doctor.facts",),
        "machine.gpu": ("doctor.gpu",),
        "machine.rows": ("doctor.rows",),
        "machine.speed": ("doctor.speed",),
        "nets.guided": ("nets.views.guided",),
        "nets.rewiring": ("nets.views.graph",),
        "nets.views": ("nets.views.views",),
        "policies.checkpoint": ("policies.sources.checkpoint",),
        "policies.device": ("runs.device",),
        "policies.module": ("policies.sources.module",),
        "policies.run": ("runs.config", "runs.torch_setup", "runs.agents", "policies.sources.run", "runs.training"),
        "policies.stable_baselines3": ("policies.sources.stable_baselines3",),
        "policies.stable_baselines3_zip": ("policies.sources.stable_baselines3_zip",),
        "policies.training": ("runs.training",),
        "policies.user_code": ("data.user_code",),
        "policies.weights": ("policies.sources.weights",),
        "viewer.scores": ("viewer.measurements",),
    }
)
"""Each module's name until version 0.1, and where its contents are now."""


@final
class _Former:
    """Finder and loader of former module names; attributes are looked up where they are now."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        former = name.removeprefix(PACKAGE)
        if not name.startswith(PACKAGE) or former not in MOVED:
            return None
        is_package = any(other.startswith(f"{former}.") for other in MOVED)
        return ModuleSpec(name, self, is_package=is_package)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Let Python create an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = looking_up(module.__name__.removeprefix(PACKAGE))  # type: ignore[method-assign]


def looking_up(former: str) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` that finds what a former name held, with a DeprecationWarning."""
    places = [PACKAGE + place for place in MOVED[former]]

    def find(name: str) -> Any:
        for place in () if name.startswith("__") else places:
            found = importlib.import_module(place)
            if name in vars(found):
                message = f"{PACKAGE}{former} has moved: {name} is in {place}"
                warnings.warn(message, DeprecationWarning, stacklevel=2)
                return vars(found)[name]
        raise AttributeError(f"module {PACKAGE + former!r} has no attribute {name!r}; it has moved to {places}")

    return find


def find_former_names() -> None:
    """Make imports of former names work; calling it again changes nothing."""
    if not any(isinstance(finder, _Former) for finder in sys.meta_path):
        sys.meta_path.append(_Former())  # after Python's own finders, so that no existing module is hidden
