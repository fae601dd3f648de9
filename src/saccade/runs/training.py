"""The settings of a training run: how long, where and with what; importing it loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from saccade.agents import METHODS
from saccade.agents.methods_of import label_of, method_of
from saccade.agents.settings import AT_LEAST_ONE, POSITIVE
from saccade.envs.config import EnvConfig
from saccade.envs.suites import suite_of
from saccade.types import Continuous, Discrete, UserError


@dataclass(frozen=True)
class Training:
    """How long, where and with what a run trains, for any method."""

    seed: int = 0
    """Seed of weights, environments, exploration and sampling."""
    steps: int = 500_000
    """Agent steps, over all environments; an agent step is ``action_repeat`` steps of the simulator's control."""
    envs: int | None = None
    """Environments that are stepped together. With a replay buffer their number does not change the number of updates;
    a rollout has its steps in each. By default one on a CPU; on a GPU, which would wait for it, one per core up to 16
    that --steps can be divided by."""
    workers: int | None = None
    """Processes for the environments: 0 for none; by default one per environment, at most one per core, and for
    `minigrid` none."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda`` or ``cuda:1``: where networks are trained."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Whether losses are compiled. ``auto``: on a GPU, as long as it works; on a CPU the compilation costs minutes."""
    graphs: Literal["auto", "on", "off"] = "auto"
    """Whether whole updates are recorded as CUDA graphs. ``auto``: on a GPU, if possible."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """The precision of convolutions in training; everything else is float32. ``auto``: bfloat16 if the device has
    matrix units for it, which GPUs have since Ampere and some CPUs (AMX), else float32."""
    matmul: Literal["auto", "float32", "tf32"] = "auto"
    """The precision of the matrix products of projections and heads on a GPU: ``tf32`` has float32's range, 10 bits of
    mantissa, and is faster. ``auto``: tf32 if convolutions are in bfloat16, else float32."""
    threads: int | None = None
    """Threads that PyTorch uses on a CPU; by default its own choice."""
    images: str | None = None
    """Folder of pictures to blend into observations, such as Places365; by default generated ones."""
    image_count: int = 1000
    """Pictures in the bank from which overlays are drawn."""
    evaluate_every: int = 10_000
    """Agent steps between evaluations; 0 evaluates only at the end. Training continues meanwhile, unless --workers is 0
    or the previous evaluation is not over."""
    evaluation_episodes: int = 10
    """Episodes of an evaluation in each mode."""
    evaluation_sampled: bool = False
    """Whether actions of evaluations are sampled from the policy; otherwise they are its most likely ones."""
    evaluation_maps: int = 0
    """States of an evaluation, in each mode, on which the agent's own maps are scored against the
    simulator's mask; 0 for none."""
    evaluation_modes: tuple[str, ...] = ("train", "video_hard")
    """Modes to evaluate in; none, if no mode follows."""
    checkpoint_every: int = 10_000
    """Agent steps between checkpoints."""
    log_every: int = 500
    """Updates between rows of losses."""
    video: bool = False
    """Whether evaluations also write a video of their first episode in each mode."""

    @property
    def num_envs(self) -> int:
        """``envs``, once ``with_envs`` has decided."""
        assert self.envs is not None, "with_envs comes first"
        return self.envs


@dataclass(frozen=True)
class OffPolicy:
    """How a method learns from a replay buffer."""

    random_steps: int = 1000
    """Agent steps with uniform random actions before learning begins."""
    overlap: bool = True
    """Whether several environments make their next step while the networks learn from the last one: faster, with
    actions of a policy that is one step of all of them older. A single environment never does."""
    replay_capacity: int | None = None
    """Transitions in the replay buffer; by default all of the run's."""
    update_every: int = 1
    """Agent steps per update."""


OF_TEACHER, OF_TRUTH = "teacher", "truth"
SALIENCY_SOURCES = (OF_TEACHER, OF_TRUTH)
"""The values of ``Teaching.saliency_data`` besides a path."""


@dataclass(frozen=True)
class Teaching:
    """The teacher of a method that has one, and the source of the saliency that guides it."""

    teacher: str | None = None
    """The policy to learn from, on the same task: a run folder, zoo:NAME or a zip of Stable-Baselines3; with
    --teacher-policy a file of weights."""
    teacher_policy: str | None = None
    """For any other network: its class in your Python file, which is run."""
    teacher_output: tuple[str, ...] = ()
    """What the network of --teacher-policy outputs, as for `saccade explain`."""
    teacher_trust: bool = False
    """Allow a teacher's file that runs code when it is opened (pickles). Only for files from people you trust."""
    teacher_temperature: Annotated[float, POSITIVE] = 1.0
    """What the teacher's logits, or Q values, are divided by: smaller values make it more certain of its actions."""
    saliency_data: str = "teacher"
    """teacher: perturb the states that it visits; truth: use the simulator's own mask of the task there;
    or a file or folder of your own states and maps."""
    saliency_states: Annotated[int, AT_LEAST_ONE] = 1000
    """States in the saliency data, if it is not your own."""
    saliency_radius: Annotated[float, POSITIVE] = 4.0
    """For perturbations: standard deviation of the blurred spot in pixels."""
    saliency_blur: Annotated[float, POSITIVE] = 3.0
    """For perturbations: standard deviation in pixels of the blur shown there."""
    saliency_stride: Annotated[int, AT_LEAST_ONE] = 4
    """For perturbations: pixels between the spots."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a training run does; saved as ``config.json``."""

    method: str
    env: EnvConfig
    agent: Any
    """The method's own hyper-parameters."""
    training: Training = field(default_factory=Training)
    loop: OffPolicy | None = field(default_factory=OffPolicy)
    """How it learns from a replay buffer; None for a method that learns from rollouts, which has its own numbers."""
    teaching: Teaching | None = None
    """For a method that learns from a teacher: which teacher, and which saliency."""
    teacher_sha256: str | None = None
    """SHA-256 of the teacher's weights, once the run has begun."""
    saliency_sha256: str | None = None
    """SHA-256 of the user's own saliency data, once the run has begun."""


def check_truth(name: str, agent: Any, env: EnvConfig) -> None:
    """Raise UserError if a method learns from the simulator's own masks and the task has none."""
    suite = suite_of(env.task)
    if method_of(name).truth(agent) and not (suite.knows_masks and suite.has_truth(env)):
        raise UserError(
            f"{label_of(name)} with --mask oracle learns from the simulator's own masks, but {env.task} cannot say "
            "which pixels matter: use --mask attribution or random, or another task."
        )


def check_maps(training: Training, env: EnvConfig) -> None:
    """Raise UserError if maps are to be scored against the simulator's own masks and the task has none."""
    suite = suite_of(env.task)
    if training.evaluation_maps and not (suite.knows_masks and suite.has_truth(env)):
        raise UserError(
            f"--evaluation-maps scores maps against the simulator's own masks, but {env.task} cannot say which pixels "
            "matter: leave it out, or use another task."
        )


def able_to_learn(env: EnvConfig) -> tuple[str, ...]:
    """Return the methods that can learn a task's kind of action."""
    wanted = type(suite_of(env.task).spaces(env).actions)
    return tuple(name for name, row in METHODS.items() if wanted in row.actions)


def check_actions(name: str, env: EnvConfig, with_any_options: bool = False) -> None:
    """Raise UserError for a method whose kinds of action are not the task's; the message names those that can learn it.

    with_any_options: whether it is enough that the task has such actions with other options.
    """
    able, row = method_of(name).actions, suite_of(env.task)
    actions = type(row.spaces(env).actions)
    if actions in able:
        return
    changed = env.changed(**row.other_actions)
    helps = bool(row.other_actions) and type(row.spaces(changed).actions) in able
    if helps and with_any_options:
        return
    kind = {Continuous: "continuous actions", Discrete: "discrete actions"}[actions]
    flags = " ".join(f"--{option.replace('_', '-')} {value}" for option, value in row.other_actions.items())
    raise UserError(
        f"{env.task} has {kind}, which {label_of(name)} cannot learn: use one of {', '.join(able_to_learn(env))}"
        f"{f', or give {flags}' if helps else ''}."
    )
