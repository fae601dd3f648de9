"""Environments: tasks in a simulator, seen as pixels, with and without distractions."""

from __future__ import annotations

import gymnasium

from saccade.envs.suites import TASKS


def register() -> None:
    """Make every task known to Gymnasium: ``gymnasium.make("dmc/walker_walk", mode="video_hard")``.

    Keyword arguments are those of ``saccade.envs.env.gymnasium_env``. Imports no simulator; calling it again
    changes nothing.
    """
    for task in TASKS:
        if task not in gymnasium.registry:
            gymnasium.register(id=task, entry_point="saccade.envs.env:gymnasium_env", kwargs={"task": task})
