"""Environments: tasks in a simulator, seen as pixels, with and without distractions."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import final

from saccade.envs.suites import TASKS

GYMNASIUM = "gymnasium"


def register() -> None:
    """Register every task with Gymnasium: ``gymnasium.make("dmc/walker_walk", mode="video_hard")``.

    Keyword arguments are those of ``saccade.envs.make.gymnasium_env``. Imports no simulator; calling it again
    changes nothing. A task whose name is another's with a version at its end (``minigrid/MultiRoom-N4-S5-v1``) is left
    out, since Gymnasium accepts only one of them: use ``saccade.make`` for it.
    """
    import gymnasium

    for task in TASKS:
        if task not in gymnasium.registry and re.sub(r"-v\d+$", "", task) not in set(TASKS) - {task}:
            gymnasium.register(id=task, entry_point="saccade.envs.make:gymnasium_env", kwargs={"task": task})


def register_with_gymnasium() -> None:
    """Register the tasks now if Gymnasium is loaded, else as soon as it is, since loading it takes a while.

    So asking for help, or for a list of what there is, does not wait for it.
    """
    if GYMNASIUM in sys.modules:
        register()
    elif not any(isinstance(finder, _AfterGymnasium) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterGymnasium())


@final
class _AfterGymnasium:
    """Finds Gymnasium through the other finders of ``sys.meta_path``, and registers the tasks once it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != GYMNASIUM:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            @functools.wraps(load)
            def load_and_register(module: ModuleType) -> None:
                load(module)
                register()

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec
