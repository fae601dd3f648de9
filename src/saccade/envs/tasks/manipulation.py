"""The robot tasks: an xArm7 whose gripper moves over a table (Jangir et al., 2022; played as in SGQN)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, final

import mujoco
import numpy as np
from dm_control import mujoco as dm_mujoco

from saccade.envs.config import EnvConfig
from saccade.envs.mujoco.looks import FIRST_CAMERA
from saccade.envs.mujoco.scene import builtin_textures
from saccade.envs.mujoco.state import SIGNATURE
from saccade.envs.simulation import StateValue
from saccade.envs.tasks.manipulation_rewards import PEG_RADIUS, REACH_RADIUS, distance, peg_reward, reach_reward

MODELS = Path(__file__).parent / "models"

PHYSICS_STEPS = 20  # in a control step
SETTLING_STEPS = 200  # of physics, in which the arm moves to its start
METRES_PER_ACTION = 0.05
# Bounds of the grasp point, x y z in metres. A coordinate outside can only move back.
WORKSPACE_LOW, WORKSPACE_HIGH = np.array([1.40, 0.15, 0.60]), np.array([1.70, 0.45, 1.00])

GRIPPER_DOWN = np.array([0.0, 1.0, 0.0, 0.0])  # quaternion of the wrist
WRIST_HEIGHT = np.array([0.0, 0.0, 0.17])  # above the point that the gripper is set to
CLOSED = 1.0  # both motors of the gripper, always
START_POSE = {"right_outer_knuckle": 0.1, "right_inner_knuckle": -0.5}  # rad; where settling begins

# The start of an episode, in metres, and how far from there it may be.
START_XY = np.array([1.2561169, 0.3])
START_LOW, START_HIGH = np.array([-0.05, -0.1]), np.array([0.1, 0.1])
GOAL_XY, GOAL_SPREAD = np.array([1.605, 0.3]), np.array([0.1, 0.2])

MODEL_TARGET = "model/target"  # key of the state


class Problem(Protocol):
    """What differs between the robot tasks.

    Attributes:
        start_height: of the gripper when an episode begins, in metres.
        height_range: added to it if the gripper can move up and down.
    """

    start_height: float
    height_range: tuple[float, float]

    def place(self, start: np.ndarray, goal_xy: np.ndarray) -> None:
        """Place goal and objects for an episode; the gripper was set to ``start``, metres."""
        ...

    def goal(self) -> np.ndarray:
        """Return where the goal is now: ``[x, y, z]`` in metres."""
        ...

    def thing(self) -> np.ndarray:
        """Return where the thing that must reach the goal is now: ``[x, y, z]`` in metres."""
        ...

    def judge(self, goal: np.ndarray, action_length: float) -> tuple[float, bool]:
        """Return reward and success of the current state."""
        ...


@final
class Robot:
    """A robot task; a ``MujocoTask``.

    An action moves a guide by up to 5 cm along each axis from where the wrist is, and a soft weld pulls the wrist
    after it for 20 physics steps. The gripper stays closed.
    """

    def __init__(self, config: EnvConfig) -> None:
        name, options = config.task.partition("/")[2], config.options
        self.physics = dm_mujoco.Physics.from_xml_path(str(MODELS / f"{name}.xml"))
        self._model, self._data = self.physics.model.ptr, self.physics.data.ptr
        self.camera = FIRST_CAMERA
        self.num_actions = len(options.action_space)
        self.control_seconds = PHYSICS_STEPS * self._model.opt.timestep
        self.builtin_textures = builtin_textures((MODELS / "surroundings.xml").read_text())
        self.settings: Mapping[str, object] = {"action_space": options.action_space}
        self.problem: Problem
        if name == "reach":
            self.settings = {**self.settings, "reach_bonus": options.reach_bonus}
            self.problem = Reach(self._model, self._data, self.num_actions, options.reach_bonus)
        else:
            self.problem = PegInBox(self._model, self._data, self.num_actions)
        self._wrist = self._data.body("link7")
        self._grasp = self._data.site("grasp")
        self.ground = ("table",)  # goals lie on it; the floor of the room is scenery
        self._random = np.random.default_rng()
        self._success = False
        mujoco.mj_forward(self._model, self._data)
        # Deviation: as published, the state that episodes begin from has the arm where the first random draw put it,
        # independently of any seed. Here it is the middle.
        self._settle(np.append(START_XY, self.problem.start_height))
        self._beginning = self.physics.get_state(SIGNATURE)

    def seed(self, seed: int) -> None:
        """Restart the random numbers of places."""
        self._random = np.random.default_rng(seed)

    def reset(self) -> None:
        """Move the arm to a random place, then put the goal at another."""
        random, problem = self._random, self.problem
        start = np.append(START_XY + random.uniform(START_LOW, START_HIGH), problem.start_height)
        if self.num_actions > 2:
            start[2] += random.uniform(*problem.height_range)
        goal_xy = GOAL_XY + random.uniform(-GOAL_SPREAD, GOAL_SPREAD)
        self.physics.set_state(self._beginning, SIGNATURE)
        self._data.ctrl[:] = CLOSED
        self._settle(start)
        problem.place(start, goal_xy)
        self._success = False
        mujoco.mj_forward(self._model, self._data)

    def step(self, action: np.ndarray) -> float:
        """Play one control step; return its reward."""
        wanted = np.zeros(3)
        wanted[: self.num_actions] = action
        action_length = float(np.sqrt(np.sum(wanted**2)))
        goal = self.problem.goal()  # as published: the goal at the start of the step
        wanted = np.where(self._grasp.xpos > WORKSPACE_HIGH, np.minimum(wanted, 0.0), wanted)
        wanted = np.where(self._grasp.xpos < WORKSPACE_LOW, np.maximum(wanted, 0.0), wanted)
        self._data.ctrl[:] = CLOSED
        self._data.mocap_pos[0] = self._wrist.xpos + METRES_PER_ACTION * wanted
        self._data.mocap_quat[0] = self._wrist.xquat + GRIPPER_DOWN  # as published: halfway back to upright
        mujoco.mj_step(self._model, self._data, PHYSICS_STEPS)
        mujoco.mj_forward(self._model, self._data)
        reward, self._success = self.problem.judge(goal, action_length)
        return reward

    def to_goal(self) -> np.ndarray:
        """Return the remaining way to the goal, from the grasp point or the peg: ``[x, y, z]`` in metres."""
        return self.problem.goal() - self.problem.thing()

    def outcome(self) -> dict[str, Any]:
        """Return whether the last step ended at the goal."""
        return {"is_success": self._success}

    def save(self) -> dict[str, StateValue]:
        """Return physics, the target's place in the model, success and the random generator."""
        return {
            "physics": self.physics.get_state(SIGNATURE),
            MODEL_TARGET: np.array(self._model.site_pos),
            "success": self._success,
            "random": json.dumps(self._random.bit_generator.state),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what ``save`` returned."""
        self._model.site_pos[:] = state[MODEL_TARGET]
        self._success = bool(state["success"])
        self._random.bit_generator.state = json.loads(state["random"])
        self.physics.set_state(state["physics"], SIGNATURE)
        mujoco.mj_forward(self._model, self._data)

    def _settle(self, start: np.ndarray) -> None:
        """Move the gripper to ``start`` for a while."""
        self._data.mocap_pos[0] = start + WRIST_HEIGHT
        self._data.mocap_quat[0] = GRIPPER_DOWN
        for joint, angle in START_POSE.items():
            self._data.joint(joint).qpos[0] = angle
        mujoco.mj_step(self._model, self._data, SETTLING_STEPS)


@final
class Reach:
    """The grasp point must move over a disc on the table (to it, if it can move up and down)."""

    start_height = 0.62603332
    height_range = (-0.05, 0.1)

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, axes: int, bonus: bool) -> None:
        self._axes, self._bonus = axes, bonus
        self._target, self._grasp = model.site("target"), data.site("grasp")

    def place(self, start: np.ndarray, goal_xy: np.ndarray) -> None:
        """Put the disc on the table."""
        self._target.pos[:2] = goal_xy

    def goal(self) -> np.ndarray:
        """The middle of the disc."""
        return self._target.pos

    def thing(self) -> np.ndarray:
        """The point between the fingertips."""
        return self._grasp.xpos

    def judge(self, goal: np.ndarray, action_length: float) -> tuple[float, bool]:
        """See ``reach_reward``."""
        away = distance(self.thing(), goal, self._axes)
        return reach_reward(away, action_length, self._bonus), away < REACH_RADIUS


@final
class PegInBox:
    """A peg that hangs from the gripper must be lowered into an open box."""

    start_height = 0.79603332
    height_range = (-0.05, 0.05)
    BOX_HEIGHT = 0.62
    BOX_TO_GOAL = np.array([0.0, 0.075, -0.035])
    # As published: measured from the wrist, so that the peg begins between the fingers and drops to hang.
    PEG_BELOW_WRIST = np.array([0.0, 0.0, 0.08])

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, axes: int) -> None:
        self._axes = axes
        self._box, self._peg, self._peg_middle = data.joint("box"), data.joint("peg"), data.site("peg")

    def place(self, start: np.ndarray, goal_xy: np.ndarray) -> None:
        """Put the box on the table and the peg at the gripper."""
        self._peg.qpos[:3] = start + WRIST_HEIGHT - self.PEG_BELOW_WRIST
        self._box.qpos[:3] = np.append(goal_xy, self.BOX_HEIGHT)

    def goal(self) -> np.ndarray:
        """The bottom of the box, in its middle."""
        return self._box.qpos[:3] + self.BOX_TO_GOAL

    def thing(self) -> np.ndarray:
        """The middle of the peg."""
        return self._peg_middle.xpos

    def judge(self, goal: np.ndarray, action_length: float) -> tuple[float, bool]:
        """See ``peg_reward``."""
        away_xy, away_xyz = (distance(self.thing(), goal, axes) for axes in (2, 3))
        away = away_xy if self._axes == 2 else away_xyz
        return peg_reward(away_xy, away_xyz, action_length), away < PEG_RADIUS
