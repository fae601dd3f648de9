"""The whole state of a dm_control task as plain arrays and numbers, from which it continues bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from dm_control.rl import control

from saccade.envs.simulation import StateValue

# The parts of a model that tasks of the Control Suite change when an episode starts: target positions and
# sizes, what is visible, damping, the gains of point_mass_hard, the terrain of quadruped_escape.
EPISODE_MODEL_FIELDS = (
    "body_pos", "body_quat", "dof_damping", "geom_pos", "geom_rgba", "geom_size", "hfield_data", "light_pos",
    "site_pos", "site_rgba", "site_size", "wrap_prm",
)  # fmt: skip

# All that the next step depends on, warm start of the constraint solver included; positions and velocities
# alone, or even mjSTATE_FULLPHYSICS, drift.
SIGNATURE = int(mujoco.mjtState.mjSTATE_INTEGRATION)

TASK = "task/"  # key prefix of the task object's own numbers
MODEL = "model/"
RANDOM = "random/"  # of the task's generator


def save_task(environment: control.Environment) -> dict[str, StateValue]:
    """Physics, the parts of the model that vary between episodes, the task object's numbers and its generator."""
    physics, task = environment.physics, environment.task
    state: dict[str, StateValue] = {"physics": physics.get_state(SIGNATURE)}
    for field in EPISODE_MODEL_FIELDS:
        state[MODEL + field] = np.array(getattr(physics.model, field))
    for name, value in vars(task).items():
        if isinstance(value, np.ndarray):
            state[TASK + name] = value.copy()
        elif isinstance(value, bool | int | float):
            state[TASK + name] = value
    generator = task.random.get_state(legacy=False)
    state[RANDOM + "key"] = generator["state"]["key"].copy()
    state[RANDOM + "position"] = int(generator["state"]["pos"])
    state[RANDOM + "has_gauss"] = int(generator["has_gauss"])
    state[RANDOM + "gauss"] = float(generator["gauss"])
    return state


def restore_task(environment: control.Environment, state: Mapping[str, Any]) -> None:
    """Restore what ``save_task`` returned."""
    physics, task = environment.physics, environment.task
    for field in EPISODE_MODEL_FIELDS:
        getattr(physics.model, field)[...] = state[MODEL + field]
    for key, value in state.items():
        if key.startswith(TASK):
            setattr(task, key.removeprefix(TASK), value.copy() if isinstance(value, np.ndarray) else value)
    task.random.set_state(
        {
            "bit_generator": "MT19937",
            "state": {"key": state[RANDOM + "key"], "pos": int(state[RANDOM + "position"])},
            "has_gauss": int(state[RANDOM + "has_gauss"]),
            "gauss": float(state[RANDOM + "gauss"]),
        }
    )
    physics.set_state(state["physics"], SIGNATURE)
    # dm_control ends steps and resets by computing all that follows from position and velocity, and the next
    # step begins from there.
    mujoco.mj_step1(physics.model.ptr, physics.data.ptr)
