"""A run folder: its configuration, and the policy that its newest checkpoint holds."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from saccade.agents import METHODS
from saccade.agents.agent import Agent
from saccade.agents.augmentation import Images
from saccade.data.checkpoints import Checkpoint, newest_checkpoint
from saccade.data.folder import cache_dir
from saccade.envs.env import EnvConfig, check_data
from saccade.envs.suites import FIRST_CAMERA
from saccade.envs.workers import available_cores
from saccade.nets.precision import multiplies_bfloat16
from saccade.policies.device import device_of
from saccade.policies.pixels import BYTE, RGB, pixels_of
from saccade.policies.policy import Policy
from saccade.types import Spaces, UserError

CONFIG = "config.json"
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
NETWORKS = "networks"
LEAST = {
    **dict.fromkeys(("steps", "envs", "threads", "replay_capacity", "image_count", "evaluation_episodes"), 1),
    **dict.fromkeys(("checkpoint_every", "log_every"), 1),
    **dict.fromkeys(("random_steps", "evaluate_every", "seed", "workers"), 0),
}
"""Smallest sensible values of the training options."""
ADDED: dict[str, dict[str, Any]] = {
    "Training": {"graphs": "auto", "matmul": "float32"},
    "EnvConfig": {"camera": FIRST_CAMERA},
}
"""Fields that a saved configuration of an earlier version lacks, by class, with the values that mean what it did."""
MOST_ENVS = 16  # by default: the policy of an action is then 16 updates old


@dataclass(frozen=True)
class Training:
    """How long, where and with what a run trains, whatever its method."""

    seed: int = 0
    """Of weights, environments, exploration and sampling."""
    steps: int = 500_000
    """Agent steps, over all environments; an agent step is ``action_repeat`` steps of the simulator's control."""
    random_steps: int = 1000
    """Agent steps with uniform random actions before learning begins."""
    envs: int | None = None
    """Environments that are stepped together. There is one update per agent step whatever their number. By default one
    on a CPU; on a GPU, which would wait for it, one per core up to 16 that --steps can be divided by."""
    overlap: bool = True
    """Whether several environments make their next step while the networks learn from the last one: faster, with
    actions of a policy that is one step of them all older. A single environment never does."""
    workers: int | None = None
    """Processes for the environments: 0 none, by default one per environment and at most one per core."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda`` or ``cuda:1``: where networks live and learn."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Whether losses are compiled. ``auto``: on a GPU, as long as it works; on a CPU the compilation costs minutes."""
    graphs: Literal["auto", "on", "off"] = "auto"
    """Whether whole updates are recorded as CUDA graphs. ``auto``: on a GPU, where it can be done and works."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What convolutions compute in while training; everything else is float32. ``auto``: bfloat16 where the device has
    units for its matrices, which GPUs have since Ampere and some CPUs (AMX), else float32."""
    matmul: Literal["auto", "float32", "tf32"] = "auto"
    """What the matrices of projections and heads are multiplied in on a GPU: ``tf32`` has float32's range, 10 bits of
    its mantissa, and is faster. ``auto``: tf32 beside convolutions in bfloat16, else float32."""
    threads: int | None = None
    """Threads that PyTorch computes with on a CPU; by default its own choice."""
    replay_capacity: int | None = None
    """Transitions that are remembered; by default all of them."""
    images: str | None = None
    """Folder of pictures to blend into observations, such as Places365; by default generated ones."""
    image_count: int = 1000
    """Pictures in the bank that overlays are drawn from."""
    evaluate_every: int = 10_000
    """Agent steps between evaluations; 0 evaluates only at the end. Training goes on beside them, unless --workers is 0
    or the one before is not over."""
    evaluation_episodes: int = 10
    evaluation_modes: tuple[str, ...] = ("train", "video_hard")
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
class RunConfig:
    """Everything that decides what a training run does; saved as ``config.json``."""

    method: str
    env: EnvConfig
    agent: Any
    """The method's own hyper-parameters."""
    training: Training = field(default_factory=Training)


def check(config: RunConfig) -> None:
    """Raise UserError for numbers that no run can have, and for modes that it cannot be evaluated in."""
    training = config.training
    for name, least in LEAST.items():
        value = getattr(training, name)
        if value is not None and value < least:
            raise UserError(f"--{name.replace('_', '-')} {value} is too small: it must be at least {least}.")
    if training.envs is not None and training.steps % training.envs:
        raise UserError(
            f"--steps {training.steps} is not a multiple of --envs {training.envs}: choose numbers that divide."
        )
    check_data(config.env, training.evaluation_modes)


def to_json(config: RunConfig) -> dict[str, Any]:
    """The configuration as JSON values."""
    return dataclasses.asdict(config)


def from_json(values: Mapping[str, Any]) -> RunConfig:
    """The configuration that ``to_json`` gave. Raises UserError for a method or fields that do not exist here."""
    method = str(values.get("method"))
    if method not in METHODS:
        raise UserError(f"The run's method {method!r} is not known here; known are {', '.join(METHODS)}.")
    template = RunConfig(method, EnvConfig("dmc/walker_walk"), METHODS[method].config)
    return _rebuild(template, values)


def _rebuild(template: Any, values: Mapping[str, Any]) -> Any:
    """A dataclass like ``template`` with the values of a JSON object."""
    values = {**ADDED.get(type(template).__name__, {}), **values}
    known = {field.name for field in dataclasses.fields(template)}
    if set(values) != known:
        other = ", ".join(sorted(set(values) ^ known))
        raise UserError(
            f"The run's configuration and this version of Saccade differ in {other}: use the version in env.json."
        )
    changes: dict[str, Any] = {}
    for name, value in values.items():
        old = getattr(template, name)
        if dataclasses.is_dataclass(old):
            value = _rebuild(old, value)
        elif isinstance(value, list):
            value = tuple(value)
        changes[name] = value
    return dataclasses.replace(template, **changes)


def read_config(run: Path) -> RunConfig:
    """The configuration of a run folder. Raises UserError when it is not one."""
    path = run / CONFIG
    try:
        return from_json(json.loads(path.read_text()))
    except OSError as error:
        near = difflib.get_close_matches(run.name, [path.parent.name for path in run.parent.glob(f"*/{CONFIG}")])
        hint = f" Did you mean {run.parent / near[0]}?" if near else ""
        raise UserError(f"{run} is not a run folder: it has no {CONFIG}.{hint}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged: it is not JSON.") from error


def with_precision(config: RunConfig) -> RunConfig:
    """The configuration with the precision that ``auto`` means here, which a run keeps wherever it is resumed."""
    dtype = compute_dtype(config.training.precision, device_of(config.training.device, training=True))
    precision: Literal["float32", "bfloat16"] = "float32" if dtype == torch.float32 else "bfloat16"
    return dataclasses.replace(config, training=dataclasses.replace(config.training, precision=precision))


def with_envs(config: RunConfig) -> RunConfig:
    """The configuration with as many environments as this machine can feed, which a run keeps wherever it is resumed.

    A choice stays. On a CPU the networks are what takes the time; on a GPU they are not, whatever renders.
    """
    training = config.training
    if training.envs is not None:
        return config
    feeds_gpu = device_of(training.device).type == "cuda" and training.workers != 0
    most = min(MOST_ENVS, available_cores()) if feeds_gpu else 1
    envs = next(number for number in range(most, 0, -1) if training.steps % number == 0)
    return dataclasses.replace(config, training=dataclasses.replace(training, envs=envs))


def is_compiled(training: Training, device: torch.device) -> bool:
    """Whether a run's losses are compiled on a device."""
    return training.compile == "on" or (training.compile == "auto" and device.type == "cuda")


def prepare_torch(training: Training, device: torch.device) -> None:
    """Set up PyTorch in this process for a run with these options."""
    if training.threads is not None:
        torch.set_num_threads(training.threads)
    if is_compiled(training, device):  # what is compiled lasts from run to run
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_dir() / "inductor"))
    if device.type == "cuda":
        reduced = compute_dtype(training.precision, device) != torch.float32
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = reduced  # float32 is the mode that is compared: with all its digits
        torch.backends.cuda.matmul.allow_tf32 = multiplies_tf32(training, device)
        # Advice about heads in float32.
        warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")


def multiplies_tf32(training: Training, device: torch.device) -> bool:
    """Whether matrices outside the convolutions are multiplied in TF32: on a GPU, by choice."""
    beside = compute_dtype(training.precision, device) == torch.bfloat16
    return device.type == "cuda" and (training.matmul == "tf32" or (training.matmul == "auto" and beside))


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """What a precision means on a device."""
    if precision == "auto":
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
    if precision not in PRECISIONS:
        raise UserError(f"There is no precision {precision!r}: use auto, {' or '.join(PRECISIONS)}.")
    return PRECISIONS[precision]


def make_agent(config: RunConfig, spaces: Spaces, device: torch.device, images: Images | None) -> Agent:
    """The method's agent with weights that depend on the seed alone; global random states stay as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.training.seed)  # weights are made on the CPU, then moved
        return METHODS[config.method].make(config.agent, spaces, device, images)


def spaces_of(networks: Mapping[str, Tensor], config: RunConfig) -> Spaces:
    """The spaces that saved weights were made for: the simulator need not be started to load them."""
    log_std_and_mean = next(value for name, value in networks.items() if name.endswith("actor.head.4.bias"))
    size = config.env.image_size
    return Spaces((config.env.frame_stack * 3, size, size), len(log_std_and_mean) // 2)


def load_policy(run: str | Path, device: str = "auto") -> Policy:
    """The policy of a run's newest undamaged checkpoint, in a few lines: ``saccade.load(run).act(obs)``."""
    run = Path(run)
    config = read_config(run)
    checkpoint, _ = newest_checkpoint(run / "checkpoints")
    return policy_of(checkpoint, config, device_of(device))


def policy_of(checkpoint: Checkpoint, config: RunConfig, device: torch.device) -> Policy:
    """The policy of one checkpoint. Raises UserError when its weights are of another method or size."""
    weights = checkpoint.tensors(NETWORKS)
    # Acting never overlays anything, so a bank of pictures is not needed.
    agent = make_agent(config, spaces_of(weights, config), device, lambda count, size, generator: torch.empty(0))
    load_weights(agent, weights, checkpoint.folder)
    return Policy(
        name=config.method,
        network=agent.networks,
        outputs=agent.outputs,
        pixels=pixels_of(spaces_of(weights, config).obs_shape, "uint8", 0, BYTE, layout="channels_first", colours=RGB),
        discrete=False,
        device=device,
        maps=agent.maps,
        pictures=agent.pictures,
        env_steps=checkpoint.env_steps,
        source=str(checkpoint.folder),
        config=config,
    )


def load_weights(agent: Agent, weights: Mapping[str, Tensor], origin: Path) -> None:
    """Put saved weights into an agent's networks. Raises UserError when they are another network's."""
    state = agent.networks.state_dict()
    wrong = sorted(set(state) ^ set(weights)) or [
        name for name, value in weights.items() if value.shape != state[name].shape
    ]
    if wrong:
        raise UserError(
            f"The weights in {origin} belong to another method, size or version than the run's {CONFIG} says "
            f"({wrong[0]} and {len(wrong) - 1} more differ): give the run its own checkpoint back."
        )
    agent.networks.load_state_dict(weights)
