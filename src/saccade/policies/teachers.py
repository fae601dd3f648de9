"""Use any policy as a teacher: open it, check that it fits the student's task, and identify it by its weights."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from saccade.agents.given import Teacher
from saccade.agents.methods_of import MOST_BYTES, label_of, remember_named, was_named
from saccade.data.files import read_bounded
from saccade.envs.make import make_env
from saccade.policies.load import load_any
from saccade.policies.played import seen_by
from saccade.policies.policy import Policy
from saccade.runs.training import RunConfig, Teaching
from saccade.types import Continuous, Discrete, Spaces, UserError

LIKE_TANH = 1e-4  # how far an action may be from tanh of the mean


def open_teacher(config: RunConfig, spaces: Spaces, device: torch.device, *, named: bool = False) -> Policy:
    """Open the teacher that a run names.

    named: whether a person names it now, and with it files of code; otherwise they must have named it before.

    Raises:
        UserError: none is named, it cannot be opened, is of another task or other actions, takes other observations, or
            has other weights than when the run began.
    """
    teaching = config.teaching
    if teaching is None or (teaching.teacher is None and teaching.teacher_policy is None):
        raise UserError(
            f"{label_of(config.method)} learns from a teacher: name a run folder or another policy of "
            f"{config.env.task} with --teacher."
        )
    _refuse_code_nobody_named(teaching, named)
    try:
        policy = _opened(config, teaching, device)
    except UserError as error:
        if config.teacher_sha256 is None:
            raise
        raise UserError(f"{error} The run began with this teacher: say where it is now with --teacher.") from error
    _refuse_other(policy, config, spaces)
    digest = policy.fingerprint()
    if config.teacher_sha256 not in (None, digest):
        raise UserError(
            f"The teacher {teaching.teacher or teaching.teacher_policy} has other weights than when the run began: "
            "give that one with --teacher."
        )
    return policy


def as_teacher(policy: Policy, temperature: float) -> Teacher:
    """Return what a student asks of a policy. temperature: what its logits are divided by."""
    network, outputs = policy.network.requires_grad_(False).eval(), policy.outputs

    @torch.no_grad()
    def preferred(obs: Tensor) -> Tensor:
        return policy.preferences(network, seen_by(policy, obs)) / temperature

    @torch.no_grad()
    def gaussian(obs: Tensor) -> Tensor:
        pixels = seen_by(policy, obs)
        if "gaussian" in outputs:
            return outputs["gaussian"](network, pixels)
        return torch.stack([outputs["mean"](network, pixels), outputs["log_std"](network, pixels)], 1)

    if policy.discrete:
        return Teacher(policy.name, preferred)
    return Teacher(policy.name, gaussian, _squashes(policy))


def _opened(config: RunConfig, teaching: Teaching, device: torch.device) -> Policy:
    if teaching.teacher_policy is None:
        return load_any(teaching.teacher, device=str(device), trust=teaching.teacher_trust)
    with closing(make_env(config.env)) as env:
        spaces = env.observation_space, env.action_space
    return load_any(
        teaching.teacher,
        policy=teaching.teacher_policy,
        observation_space=spaces[0],
        action_space=spaces[1],
        output=teaching.teacher_output,
        device=str(device),
        trust=teaching.teacher_trust,
    )


def _refuse_code_nobody_named(teaching: Teaching, named: bool) -> None:
    """Never run code that only a configuration names: a person must have named it before, on this machine."""
    files = [teaching.teacher_policy.rpartition(":")[0]] if teaching.teacher_policy else []
    if teaching.teacher_trust and teaching.teacher:
        # The ending may be left out, and one of a file's networks may be named after it.
        files += [teaching.teacher, f"{teaching.teacher}.zip", teaching.teacher.rpartition(":")[0]]
    for path in (Path(name).expanduser().absolute() for name in files):
        if not path.is_file():
            continue  # opening it says what is wrong; a run folder checks its code itself
        try:
            digest = hashlib.sha256(read_bounded(path, MOST_BYTES * 2**8)).hexdigest()
        except OSError:
            continue
        if named:
            remember_named(path, digest)
        elif not was_named(path, digest):
            raise UserError(
                f"Opening the teacher of this run runs {path}, a file that you have not named before or that has "
                "changed: start the run again if it is what you mean."
            )


def _refuse_other(policy: Policy, config: RunConfig, spaces: Spaces) -> None:
    """Raise UserError for a teacher that cannot act in the student's task."""
    task, actions = config.env.task, spaces.actions
    own = None if policy.config is None else policy.config.env.task
    if own not in (None, task):
        raise UserError(f"The teacher {policy.source} was trained on {own}, but its student is to learn {task}.")
    seen, shown = policy.pixels.channels_first, spaces.obs_shape
    if seen != shown:
        raise UserError(
            f"The teacher {policy.name} sees pictures of {_shape_text(seen)}, but its student's have "
            f"{_shape_text(shown)}: give the --frame-stack and the --image-size that the teacher was trained with."
        )
    if policy.pixels.normalised is not None:
        raise UserError(f"The teacher {policy.name} takes normalised pixels, but its student plain ones.")
    if policy.discrete != isinstance(actions, Discrete):
        kinds = {True: "chooses among actions", False: "gives actions that are vectors"}
        raise UserError(
            f"The teacher {policy.name} {kinds[policy.discrete]}, but {task} takes the other kind: a student can only "
            "learn from a policy of its own task."
        )
    if isinstance(actions, Continuous) and not ({"gaussian"} & set(policy.outputs) or _has_gaussian(policy)):
        raise UserError(
            f"The teacher {policy.name} gives actions and no Gaussian (it has {', '.join(policy.outputs)}): "
            "there is no distribution for its student to match."
        )
    width = _width(policy, spaces)
    wanted = actions.count if isinstance(actions, Discrete) else actions.dims
    if width != wanted:
        what = "actions to choose from" if policy.discrete else "numbers in an action"
        raise UserError(
            f"The teacher {policy.name} has {width} {what}, but its student's {task} has {wanted}: play the task with "
            "the same actions" + (" (--num-actions)." if policy.discrete else ".")
        )


def _has_gaussian(policy: Policy) -> bool:
    return {"mean", "log_std"} <= set(policy.outputs)


def _shape_text(shape: tuple[int, int, int]) -> str:
    return f"{shape[0]} channels and {shape[2]}x{shape[1]} pixels"


def _width(policy: Policy, spaces: Spaces) -> int:
    noise = _noise(policy, spaces.obs_shape)
    return as_teacher(policy, 1.0).outputs(noise).shape[-1]


def _squashes(policy: Policy) -> bool:
    """Whether a policy's deterministic action is the tanh of its mean, as tested on noise."""
    noise = seen_by(policy, _noise(policy, policy.pixels.channels_first))
    with torch.no_grad():
        if "gaussian" in policy.outputs:
            mean = policy.outputs["gaussian"](policy.network, noise)[:, 0]
        else:
            mean = policy.outputs["mean"](policy.network, noise)
        action = policy.outputs["action"](policy.network, noise)
    nearer = (action - torch.tanh(mean)).abs().max() < (action - mean.clamp(-1, 1)).abs().max()
    return bool(nearer) and bool((action - torch.tanh(mean)).abs().max() < LIKE_TANH)


def _noise(policy: Policy, shape: tuple[int, int, int]) -> Tensor:
    return torch.randint(0, 256, (4, *shape), generator=torch.Generator().manual_seed(0)).to(policy.device)
