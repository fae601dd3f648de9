"""Views of a network: the very same parameters, in a network in which some parts are replaced.

A view copies only those modules that lead to a replaced part, and keeps the original objects everywhere
else: later changes to the parameters show in it, no hook is set, and the network itself is never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn

from saccade.nets.views.graph import Reach, rewired
from saccade.types import UserError

Module = TypeVar("Module", bound=nn.Module)


class Call(NamedTuple):
    """One call of a tapped layer, in the order of execution."""

    layer: str
    module: nn.Module
    inputs: tuple[Any, ...]
    output: Any


def layers_of(network: nn.Module) -> dict[str, nn.Module]:
    """Return every module that a network can reach, once, by its dotted name: registered ones first, as registered.

    Unlike ``named_modules`` this also finds modules in plain lists, tuples and dictionaries. The network itself has the
    name ``""``. Raises UserError if one of them is compiled or scripted.
    """
    return Reach(network).modules()


def replaced(network: Module, replacements: Mapping[int, nn.Module | Tensor]) -> Module:
    """Return a view of a network with some modules, parameters or buffers replaced by others.

    They are replaced wherever the network holds them: as registered modules, in plain attributes, lists, tuples and
    dictionaries, as targets of bound methods, shared or in a cycle. What a closure, a hook or an object of
    another kind, such as an optimizer, holds stays as it is.

    Args:
        replacements: by the ``id`` of what is replaced, which the network must hold.

    Raises:
        UserError: a module is compiled or scripted, and would go on using the original parts.
    """
    reach = Reach(network, tensors=any(isinstance(new, Tensor) for new in replacements.values()))
    return rewired(reach, replacements).get(id(network), network)


def tapped(network: Module, layers: Collection[str]) -> tuple[Module, list[Call]]:
    """Return a view of a network, and the list in which every call of the named layers records its inputs and output.

    A tapped layer has its own class and weights, so that code that reads them works. Raises UserError as
    ``replaced`` does. The list grows with every call of the view: empty it after reading.
    ``replaced`` does. The list grows with every call of the view: empty it when it has been read.
    """
    view, tape = tap(Reach(network), layers)
    return cast(Module, view), tape


def tap(reach: Reach, layers: Collection[str]) -> tuple[nn.Module, list[Call]]:
    """Do what ``tapped`` does, for a network whose reach is already known."""
    chosen = {id(layer): name for name, layer in reach.modules().items() if name in layers}
    assert len(chosen) == len(set(layers)), "the network has no layer of some name"
    built = rewired(reach, {}, chosen)
    tape: list[Call] = []
    for key, name in chosen.items():
        vars(built[key])["forward"] = _recording(built[key], name, tape)
    return built.get(id(reach.network), reach.network), tape


def _recording(layer: nn.Module, name: str, tape: list[Call]) -> Callable[..., Any]:
    forward = layer.forward

    def record(*inputs: Any, **named: Any) -> Any:
        output = forward(*inputs, **named)
        tape.append(Call(name, layer, inputs, output))
        return output

    return record


def randomised(network: Module, seed: int, layers: Sequence[str] | None = None) -> list[tuple[str, Module]]:
    """Cascading randomisation (Adebayo et al., 2018): ``(layer, view)``, each with one more layer's weights redrawn.

    It begins with the last layer that has parameters of its own and ends with the first, when all are random. A layer
    is redrawn by its own ``reset_parameters``; one without gets its values in random order. The views share
    the redrawn weights with each other, and nothing redrawn with the network.

    Args:
        seed: of every draw, with the same result on any device. Global random states are left alone.
        layers: names as ``layers_of`` returns them, first to last; by default all with parameters, as registered.

    Raises:
        UserError: a module is compiled or scripted, or there is no such layer.
    """
    reach = Reach(network, tensors=True)
    found = reach.modules()
    names = [name for name, layer in found.items() if _own(layer)] if layers is None else list(layers)
    unknown = [name for name in names if name not in found]
    if unknown:
        have = ", ".join(filter(None, found))
        raise UserError(f"The network has no layer {unknown[0]!r} to randomise: it has {have}.")
    drawn: dict[int, Tensor] = {}
    views = []
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for name in reversed(names):
            drawn |= {key: value for key, value in _redrawn(found[name]).items() if key not in drawn}
            view = rewired(reach, drawn).get(id(network), network)
            views.append((name or type(network).__name__, view))
    return views


def _own(layer: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in layer._parameters.values() if parameter is not None]


def _redrawn(layer: nn.Module) -> dict[int, Tensor]:
    """New values for a layer's own parameters and buffers, by the id of the old ones."""
    # On copies of all that the layer holds, since a reset may reach into its children; and on the host, where the same
    # seed draws the same numbers for any device.
    copies = {id(old): _like(old, old.detach().to("cpu", copy=True)) for old in (*layer.parameters(), *layer.buffers())}
    twin = replaced(layer, copies)
    reset = getattr(type(layer), "reset_parameters", None)
    if reset is not None:
        with torch.no_grad():
            reset(twin)
    else:
        for parameter in _own(twin):
            order = torch.randperm(parameter.numel())
            parameter.data = parameter.data.flatten()[order].view(parameter.shape)
    own = [*_own(layer), *(buffer for buffer in layer._buffers.values() if buffer is not None)]
    return {id(old): _like(old, copies[id(old)].detach().to(old.device)) for old in own}


def _like(old: Tensor, value: Tensor) -> Tensor:
    """A parameter or buffer with another value, of the same kind as the old one."""
    return nn.Parameter(value, old.requires_grad) if isinstance(old, nn.Parameter) else value
