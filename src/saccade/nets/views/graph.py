"""The parts that a network holds, and copies of a network in which some are replaced: the machinery of views."""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from saccade.types import UserError

REBUILT = (nn.Module, dict, list, tuple, MethodType, functools.partial)
"""Kinds of objects that can be rebuilt around other parts. Others, such as optimizers, stay as they are."""
MODULES, TENSORS = "_modules", ("_parameters", "_buffers")
"""Where a module keeps its parts."""
ORDINARY = frozenset(vars(nn.Module()))
"""What every module has: its parts, settings and hooks."""
PLAIN: frozenset[type] = frozenset((int, float, bool, str, type(None)))
NO_HOLDER = 0


class Reach:
    """Everything that a network can reach through modules, containers and bound methods, each thing once.

    Attributes:
        network: the network itself, whose name is ``""``.
        things: everything by ``id``: registered modules first, as registered.
        names: dotted names, by ``id``.
        holders: ids of what holds a thing, by the thing's own.
    """

    def __init__(self, network: nn.Module, *, tensors: bool = False) -> None:
        """tensors: whether to include parameters and buffers. Raises UserError if a module is compiled or scripted."""
        self.network = network
        self.things: dict[int, Any] = {}
        self.names: dict[int, str] = {}
        self.holders: dict[int, list[int]] = {}
        kinds = (*REBUILT, Tensor) if tensors else REBUILT
        waiting: list[tuple[int, str, Any]] = [(NO_HOLDER, "", network)]
        while waiting:
            holder, label, thing = waiting.pop()
            key = id(thing)
            if key in self.things:
                self.holders[key].append(holder)
                continue
            above = self.names.get(holder, "")
            name = f"{above}.{label}" if above and label else above or label
            self.things[key], self.names[key], self.holders[key] = thing, name, [holder]
            if isinstance(thing, nn.Module):
                _refuse_compiled(thing, name)
            waiting += [(key, str(inner), part) for inner, part in reversed(_parts(thing, kinds))]

    def modules(self) -> dict[str, nn.Module]:
        """Every module by its name."""
        return {self.names[key]: thing for key, thing in self.things.items() if isinstance(thing, nn.Module)}

    def leading_to(self, targets: Iterable[int]) -> set[int]:
        """Return the ids of everything through which one of the targets is held."""
        leading: set[int] = set()
        waiting = [holder for target in targets for holder in self.holders[target]]
        while waiting:
            key = waiting.pop()
            if key != NO_HOLDER and key not in leading:
                leading.add(key)
                waiting += self.holders[key]
        return leading


def rewired(reach: Reach, replacements: Mapping[int, Any], copied: Collection[int] = ()) -> dict[int, Any]:
    """Return replaced things, and copies of all that leads to them and of ``copied``, by the ``id`` of the old ones.

    A module's copy has the same class and the same attributes, except those that changed.
    """
    assert set(replacements) | set(copied) <= set(reach.things), "the network holds no such part"
    changing = reach.leading_to([*replacements, *copied]).union(replacements, copied)
    built = dict(replacements)

    def build(thing: Any) -> Any:
        key = id(thing)
        if key in built or key not in changing:
            return built.get(key, thing)
        if isinstance(thing, nn.Module):
            built[key] = twin = object.__new__(type(thing))  # known before its parts are built: they may hold it
            vars(twin).update(_attributes(vars(thing), changing, build))
        elif isinstance(thing, dict | list):
            built[key] = same = copy.copy(thing)
            items = thing.items() if isinstance(thing, dict) else enumerate(thing)
            for place, part in items:
                same[place] = build(part)
        else:
            built.setdefault(key, _remade(thing, build))
        return built[key]

    build(reach.network)
    return built


def _parts(thing: Any, kinds: tuple[type, ...]) -> list[tuple[Any, Any]]:
    """What an object holds that may have to change with it, labelled."""
    held: Iterable[tuple[Any, Any]]
    if isinstance(thing, nn.Module):
        own = vars(thing)
        parts = [item for item in own[MODULES].items() if item[1] is not None]
        if Tensor in kinds:
            parts += [item for group in TENSORS for item in own[group].items() if item[1] is not None]
        return parts + [item for item in own.items() if item[0] not in ORDINARY and _may_change(item[1], kinds)]
    if isinstance(thing, dict):
        held = thing.items()
    elif isinstance(thing, list | tuple):
        held = enumerate(thing)
    elif isinstance(thing, MethodType):
        held = [("", thing.__self__)]
    elif isinstance(thing, functools.partial):
        held = [("", thing.func), ("", thing.args), ("", thing.keywords)]
    else:
        held = []
    return [(label, part) for label, part in held if isinstance(part, kinds)]


def _may_change(value: Any, kinds: tuple[type, ...]) -> bool:
    """Exclude the numbers, and tuples of numbers, that layers are full of."""
    if type(value) in PLAIN or (type(value) is tuple and PLAIN.issuperset(map(type, value))):
        return False
    return isinstance(value, kinds)


def _attributes(own: dict[str, Any], changing: AbstractSet[int], build: Callable[[Any], Any]) -> dict[str, Any]:
    """The attributes of a module's copy: those that lead to nothing changed are the very same objects."""
    changed = dict(own)
    for group in (MODULES, *TENSORS):
        if not changing.isdisjoint(map(id, own[group].values())):
            changed[group] = {name: build(part) for name, part in own[group].items()}
    if not changing.isdisjoint(map(id, own.values())):
        changed |= {name: build(value) for name, value in own.items() if id(value) in changing}
    return changed


def _remade(thing: Any, build: Callable[[Any], Any]) -> Any:
    if isinstance(thing, MethodType):
        return MethodType(thing.__func__, build(thing.__self__))
    if isinstance(thing, functools.partial):
        return functools.partial(build(thing.func), *build(thing.args), **build(thing.keywords))
    parts = [build(part) for part in thing]
    return tuple(parts) if type(thing) is tuple else type(thing)._make(parts)


def _refuse_compiled(module: nn.Module, name: str) -> None:
    """Raise UserError for a module whose calls do not go through its parts."""
    dynamo = sys.modules.get("torch._dynamo.eval_frame")  # if it is not loaded, nothing is compiled
    if module._compiled_call_impl is not None or (dynamo is not None and isinstance(module, dynamo.OptimizedModule)):
        raise UserError(
            f"{_where(name)} is compiled, and would ignore every change to its parts: "
            "give the module that torch.compile was called with."
        )
    if isinstance(module, torch.jit.ScriptModule):
        raise UserError(
            f"{_where(name)} is scripted or traced, and would ignore every change to its parts: "
            "give the Python module that it was made from."
        )


def _where(name: str) -> str:
    return f"The module {name!r} of the network" if name else "The network"
