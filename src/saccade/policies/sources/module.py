"""Make a policy from any ``torch.nn.Module``: its outputs, and where in the module each is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final
from weakref import WeakKeyDictionary

import gymnasium
import torch
from torch import Tensor, nn

from saccade.nets.views.views import layers_of, tapped
from saccade.policies.normalisation import Normalisation
from saccade.policies.pixels import Layout, Pixels
from saccade.policies.policy import OUTPUTS, Output, Policy
from saccade.policies.spaces import ToEnv, action_width, is_discrete, pixels_of_space, within
from saccade.policies.trial import SCALARS, tried
from saccade.types import UserError

SYNTAX = (
    "an output is NAME or NAME=SOURCE, where SOURCE is a position or key in what forward returns, module:NAME for what "
    "a submodule computes during it, method:NAME for another method, or parameter:NAME"
)


@final
@dataclass(frozen=True)
class Source:
    """Where a network computes an output.

    Attributes:
        kind: ``forward``, ``module``, ``method`` or ``parameter``.
        name: dotted, of the submodule, method or parameter.
        part: position, key or attribute in the result; empty if the result itself is meant.
    """

    kind: str = "forward"
    name: str = ""
    part: str = ""


def source_of(text: str) -> Source:
    """Parse a source such as ``module:actor``, ``method:get_value``, ``method:heads:1``, ``0`` or nothing."""
    kind, colon, rest = text.partition(":")
    if not colon:
        return Source(part=text)
    name, _, part = rest.partition(":")
    if kind not in ("module", "method", "parameter") or not name:
        raise UserError(f"{text!r} is not a source of an output: {SYNTAX}.")
    return Source(kind, name, part)


def parse_outputs(words: Sequence[str]) -> dict[str, str]:
    """Parse ``["logits", "value=method:get_value"]`` into ``{"logits": "", "value": "method:get_value"}``."""
    return {name: source for name, _, source in (word.partition("=") for word in words)}


def from_module(
    network: nn.Module,
    observation_space: gymnasium.Space[Any] | Pixels,
    action_space: gymnasium.Space[Any],
    output: str | Mapping[str, str],
    *,
    name: str = "",
    layout: Layout | None = None,
    colours: int | None = None,
    normalised: Normalisation | None = None,
    to_env: ToEnv | None = None,
    source: str = "",
) -> Policy:
    """Make a policy from any network whose outputs are named.

    Args:
        network: takes float observations ``[batch, *shape]`` in the observation space's own layout and range; any
            further preprocessing, such as a division by 255, it does itself. It is switched to evaluation mode.
        output: what its ``forward`` returns, such as ``logits``, ``q_values`` or ``action``; or a mapping from outputs,
            named as in ``OUTPUTS``, to where each is computed: ``""`` is what ``forward`` returns, ``"0"`` or ``"key"``
            a part of that, ``"module:actor"`` what the submodule ``actor`` computes while ``forward`` runs,
            ``"method:get_value"`` what that method returns, ``"parameter:log_std"`` a parameter, the same for every
            observation. ``"method:heads:1"`` is a part of a method's result. ``q`` is called with the observation and
            an action. A Gaussian's ``mean`` is also its ``action``, if no other is named.
        layout, colours, normalised: as for ``pixels_of``.
        to_env: converts actions to what the environment takes; by default clips them to the action space.

    Raises:
        UserError: an output that does not exist or cannot be computed, or spaces that cannot be explained.
    """
    network = network._modules.get("_orig_mod") or network  # guided views need the module from before compiling
    sources = parse_outputs([output]) if isinstance(output, str) else dict(output)
    outputs = {key: output_of(key, text, network, action_space) for key, text in sources.items()}
    return policy_from(
        network,
        outputs,
        observation_space,
        action_space,
        name=name or type(network).__name__,
        layout=layout,
        colours=colours,
        normalised=normalised,
        to_env=to_env,
        source=source or f"a {type(network).__name__} in memory",
    )


def policy_from(
    network: nn.Module,
    outputs: Mapping[str, Output],
    observation_space: gymnasium.Space[Any] | Pixels,
    action_space: gymnasium.Space[Any],
    *,
    name: str,
    layout: Layout | None,
    colours: int | None,
    normalised: Normalisation | None,
    to_env: ToEnv | None,
    source: str,
) -> Policy:
    """Make a policy from outputs that take observations in the environment's layout; try it once. Raises UserError."""
    discrete, width = is_discrete(action_space), action_width(action_space)
    if isinstance(observation_space, Pixels):
        pixels = observation_space
    else:
        pixels = pixels_of_space(observation_space, layout=layout, colours=colours, normalised=normalised)
    if not discrete and "mean" in outputs:
        outputs = {**outputs, "action": outputs.get("action", outputs["mean"])}
    allowed = ("logits", "q_values", "value") if discrete else ("mean", "log_std", "action", "value", "q")
    needed = ("logits", "q_values") if discrete else ("action",)
    wrong = [output for output in outputs if output not in allowed]
    if wrong or not set(needed) & set(outputs):
        kind = "Discrete" if discrete else "Box"
        problem = f"cannot have {wrong[0]!r}" if wrong else f"must have {' or '.join(needed)}"
        raise UserError(
            f"A policy with {kind} actions {problem}: its outputs are among {', '.join(allowed)}, and {SYNTAX}."
        )
    parameter = next(network.parameters(), torch.empty(0))
    policy = Policy(
        name=name,
        network=network.eval(),
        outputs={key: _in_layout(output, pixels) for key, output in outputs.items()},
        pixels=pixels,
        discrete=discrete,
        device=parameter.device,
        to_env=to_env or within(action_space),
        source=source,
    )
    return tried(policy, width)


def output_of(name: str, text: str, network: nn.Module, action_space: gymnasium.Space[Any]) -> Output:
    """Return the function that computes an output from its source. Raises UserError if the network lacks it."""
    if name not in OUTPUTS:
        raise UserError(f"There is no output {name!r}: choose from {', '.join(OUTPUTS)}; {SYNTAX}.")
    source = source_of(text)
    if source.kind == "parameter":
        if source.name not in dict(network.named_parameters()) | dict(network.named_buffers()):
            raise UserError(f"{type(network).__name__} has no parameter {source.name!r}.")
        return parameter(source.name)
    if source.kind == "method":
        owner, _, method = source.name.rpartition(".")
        if owner not in dict(network.named_modules()) or method not in dir(network.get_submodule(owner)):
            raise UserError(f"{type(network).__name__} has no method or submodule {source.name!r}.")
        return result(lambda network, *given: _attribute(network, source.name)(*given), name, source.part)
    run = forward(action_space)
    if source.kind == "module":
        if source.name not in dict(network.named_modules()):
            have = ", ".join(key for key, _ in network.named_children())
            raise UserError(f"{type(network).__name__} has no submodule {source.name!r}; it has {have}.")
        return result(captured(source.name, run), name, source.part)
    return result(run, name, source.part)


Call = Callable[..., Any]
"""``(network, obs, *given)`` -> whatever the user's network returns."""


def forward(action_space: gymnasium.Space[Any]) -> Call:
    """Return a function that runs a network; CleanRL's need no ``forward``, and sample no action if given one."""

    def run(network: nn.Module, obs: Tensor, *given: Tensor) -> Any:
        if type(network).forward is not nn.Module.forward:
            return network(obs, *given)
        run_both = _attribute(network, "get_action_and_value")
        if is_discrete(action_space):
            return run_both(obs, torch.zeros(len(obs), dtype=torch.long, device=obs.device))
        return run_both(obs, torch.zeros(len(obs), action_width(action_space), device=obs.device))

    return run


def captured(name: str, run: Call) -> Call:
    """Return what a submodule computes while the network runs, using a view of it: no hooks, nothing to undo."""

    views: WeakKeyDictionary[nn.Module, tuple[nn.Module, list[Any]]] = WeakKeyDictionary()  # making a view is slow

    def capture(network: nn.Module, obs: Tensor, *given: Tensor) -> Any:
        if network not in views:
            layer = network.get_submodule(name)
            views[network] = tapped(network, [known for known, other in layers_of(network).items() if other is layer])
        view, calls = views[network]
        calls.clear()
        try:
            run(view, obs, *given)
            if len(calls) != 1:
                raise UserError(f"{type(network).__name__} runs its submodule {name!r} {len(calls)} times, not once.")
            return calls[0].output
        finally:
            calls.clear()

    return capture


def parameter(name: str) -> Output:
    """Return an output that repeats a parameter ``[dim]`` or ``[1, dim]`` for every observation."""
    return lambda network, obs: _attribute(network, name).reshape(1, -1).expand(len(obs), -1)


def result(run: Call, output: str, part: str = "") -> Output:
    """Return an output that is part of what a call returns; scalar outputs lose their last dimension."""

    def compute(network: nn.Module, obs: Tensor, *given: Tensor) -> Tensor:
        value = _part(run(network, obs, *given), part)
        if not isinstance(value, Tensor):
            raise UserError(
                f"{type(network).__name__} gives {output} as {type(value).__name__}, not as one tensor: name the part "
                f"that you mean, such as {output}=0."
            )
        return value[:, 0] if output in SCALARS and value.ndim == 2 and value.shape[1] == 1 else value

    return compute


def _part(value: Any, part: str) -> Any:
    if not part:
        return value
    if isinstance(value, Mapping):
        return value[part]
    return value[int(part)] if part.lstrip("-").isdecimal() else getattr(value, part)


def _attribute(network: nn.Module, name: str) -> Any:
    value: Any = network
    for word in name.split("."):
        value = getattr(value, word)
    return value


def _in_layout(output: Output, pixels: Pixels) -> Output:
    return lambda network, obs, *given: output(network, pixels.as_given(obs), *given)
