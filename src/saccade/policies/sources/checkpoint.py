"""Load networks from a user's own file with weights from another: CleanRL's scripts, and files like them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from saccade.data.memory import each_allocation_bounded
from saccade.data.user_code import from_file, module_of, running
from saccade.policies.normalisation import Normalisation
from saccade.policies.pixels import Layout
from saccade.policies.policy import Output, Policy
from saccade.policies.sources.arguments import arguments_for
from saccade.policies.sources.module import captured, forward, output_of, parameter, parse_outputs, policy_from, result
from saccade.policies.sources.pickles import Trust
from saccade.policies.sources.weights import fit, mismatch, named_state_dicts, read, same_weights
from saccade.policies.spaces import ToEnv, is_discrete, within
from saccade.runs.device import device_of
from saccade.types import UserError

Space = gymnasium.Space[Any]


def from_checkpoint(
    network: str,
    checkpoint: Path | None,
    observation_space: Space,
    action_space: Space,
    *,
    output: Sequence[str] = (),
    layout: Layout | None = None,
    colours: int | None = None,
    normalised: Normalisation | None = None,
    device: str = "auto",
    trust: bool = False,
) -> Policy:
    """Load the policy of a network class in a Python file, with the weights of a checkpoint.

    The Python file is run, as naming it requests; the checkpoint is not, unless ``trust`` is given.

    Args:
        network: ``file.py:Class``, or a function that returns a network. It is called without arguments, with an
            environment as CleanRL's classes are (a stand-in that has spaces and nothing else), with the
            observation space and the action space, or with numbers of actions and channels or a shape, as the names
            of its parameters suggest or as its weights fit.
        checkpoint: a state dict, or a tuple or dict of several, of which ``FILE:NAME`` names one: ``both.pt:online``,
            ``all.pt:agent.actor``, ``model.pt:0`` of a tuple. Without a name it is the one that fits; the policy's
            ``source`` says which. None for a function that loads its weights itself.
        output: as on the command line, ``NAME`` or ``NAME=SOURCE`` (see ``from_module``); by default what CleanRL's
            classes have: ``actor`` or ``actor_mean`` and ``get_value`` of its PPO, ``forward`` of its DQN, and of its
            DDPG, TD3 and SAC actors.

    Raises:
        UserError: nothing in the checkpoint fits the network (names listed), or several different state dicts do; the
            checkpoint must be unpickled, the class cannot be made, or its outputs have to be named.
    """
    make = from_file(network)
    if not callable(make):
        raise UserError(f"{network} is not a class or function that makes a network.")
    if checkpoint is None and isinstance(make, type):
        raise UserError(f"{network} is a class, whose weights are random: give those of training with --checkpoint.")
    allowed = None
    if trust and checkpoint is not None:
        folders = Path(network.rpartition(":")[0]).parent, checkpoint.parent, Path()
        allowed = Trust(folders, module_of(network))
    weights = None if checkpoint is None else _weights_in(checkpoint, allowed)
    with torch.random.fork_rng(devices=[]):
        made, taken = _made(make, network, observation_space, action_space, weights, str(checkpoint))
    outputs, to_env = _outputs(made, action_space, output)
    return policy_from(
        made.to(device_of(device)),
        outputs,
        observation_space,
        action_space,
        name=type(made).__name__,
        layout=layout,
        colours=colours,
        normalised=normalised,
        to_env=to_env,
        source=f"{taken or checkpoint or network} ({', '.join(outputs)})",
    )


def _weights_in(checkpoint: Path, trust: Trust | None) -> dict[str, dict[str, Tensor]]:
    """The state dicts in a file, or the one that ``FILE:NAME`` names, by their names ``FILE:NAME``."""
    file, wanted = checkpoint, None
    if not checkpoint.exists() and ":" in checkpoint.name:
        before, _, wanted = str(checkpoint).rpartition(":")
        file = Path(before)
    found = dict(named_state_dicts(read(file, str(file), trust=trust)))
    if not found:
        raise UserError(f"{file} holds no state dict: save one with torch.save(network.state_dict(), FILE).")
    if wanted is not None and wanted not in found:
        have = f"it has {', '.join(found)}" if any(found) else f"it is one itself, so give {file}"
        raise UserError(f"{file} has no state dict {wanted!r}: {have}.")
    return {f"{file}:{name}" if name else str(file): found[name] for name in (found if wanted is None else [wanted])}


def _made(
    make: Callable[..., Any],
    name: str,
    observation_space: Space,
    action_space: Space,
    weights: Mapping[str, dict[str, Tensor]] | None,
    origin: str,
) -> tuple[nn.Module, str]:
    """The first network that can be made and that some weights fit, and the name of these weights."""
    problems: list[UserError] = []
    for arguments, named in arguments_for(make, name, observation_space, action_space):
        try:
            with running(f"Making {name}"), each_allocation_bounded(f"Making {name}", "give a smaller network"):
                network = make(*arguments, **named)
        except UserError as error:
            problems.append(error)
            continue
        if not isinstance(network, nn.Module):
            raise UserError(f"{name} made a {type(network).__name__}, not a torch.nn.Module.")
        if weights is None:
            return network, ""
        try:
            # If none fits, the nearest one: its differences are what the user can act on.
            nearest = min(weights, key=lambda one: len(mismatch(network, weights[one])))
            fit(network, weights[nearest], origin)
        except UserError as error:
            problems.append(error)
            continue
        _check_only_one(nearest, weights, network)
        return network, nearest
    raise problems[0]


def _check_only_one(taken: str, weights: Mapping[str, dict[str, Tensor]], network: nn.Module) -> None:
    """Raise UserError if other weights would fit as well: a target network, a second critic, an average."""
    alike = [one for one in weights if not mismatch(network, weights[one])]
    if any(one != taken and not same_weights(weights[taken], weights[one]) for one in alike):
        raise UserError(
            f"Several state dicts fit {type(network).__name__}, and their weights differ: say which one you mean, "
            f"{' or '.join(alike)}."
        )


def _outputs(network: nn.Module, action_space: Space, words: Sequence[str]) -> tuple[dict[str, Output], ToEnv | None]:
    """Outputs by name, and the function that converts actions for the environment, if that is not clipping."""
    if words:
        named = parse_outputs(words)
        return {name: output_of(name, text, network, action_space) for name, text in named.items()}, None
    parts = {name for name, _ in network.named_children()} | {name for name, _ in network.named_parameters()}
    run, discrete = forward(action_space), is_discrete(action_space)
    actor, first = ("actor", "logits") if discrete else ("actor_mean", "mean")
    if "get_action_and_value" in dir(network) and actor in parts:  # PPO, PPG
        outputs = {first: result(captured(actor, run), first)}
        if "actor_logstd" in parts and not discrete:
            alone = "actor_logstd" in dict(network.named_parameters())
            outputs["log_std"] = (
                parameter("actor_logstd") if alone else result(captured("actor_logstd", run), "log_std")
            )
        if "get_value" in dir(network):
            outputs["value"] = output_of("value", "method:get_value", network, action_space)
        return outputs, None
    if type(network).forward is not nn.Module.forward:
        if "get_action" in dir(network):  # SAC, where get_action divides by 255, and forward does not
            run = captured("", _get_action)
        if discrete:  # SAC for discrete actions has logits; the other networks value the actions
            first = "logits" if "fc_logits" in parts else "q_values"
            return {first: result(run, first)}, None
        if "fc_mu" in parts:  # DDPG, TD3
            return {"action": result(run, "action")}, None
        if {"fc_mean", "fc_logstd"} <= parts:  # SAC
            return _squashed(run), _rescaled(network, action_space)
    raise UserError(
        f"It is not clear which part of {type(network).__name__} is the policy: say so with --output, such as "
        f"--output {'logits' if discrete else 'action'}=module:NAME; it has {', '.join(sorted(parts)[:12])}."
    )


def _get_action(network: Any, obs: Tensor) -> Any:
    """Run ``get_action``, which also samples an action: with random numbers of its own."""
    with torch.random.fork_rng(devices=[obs.device] if obs.is_cuda else []):
        return network.get_action(obs)


def _squashed(run: Callable[..., Any]) -> dict[str, Output]:
    """Outputs of CleanRL's SAC actor: ``forward`` returns mean and log standard deviation before the tanh."""
    mean = result(run, "mean", "0")
    return {
        "mean": mean,
        "log_std": result(run, "log_std", "1"),
        "action": lambda network, obs: mean(network, obs).tanh(),
    }


def _rescaled(network: nn.Module, action_space: Space) -> ToEnv:
    """Rescale from -1..1 to the actions that the network was trained to take."""
    buffers = dict(network.named_buffers())
    scale, bias = (buffers[name].cpu().numpy().reshape(-1) for name in ("action_scale", "action_bias"))
    inside = within(action_space)

    def to_env(action: np.ndarray) -> np.ndarray:
        return inside(action * scale + bias)

    return to_env
