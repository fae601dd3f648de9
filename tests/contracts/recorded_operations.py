"""A stand-in for CUDA graphs on a CPU: operations are recorded with their very tensors and numbers, then repeated.

As in a graph, a number that Python computed while recording is the same in every repetition, and nothing of Python runs
again: what differs between repetitions must lie in tensors that are changed in place. Recording leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

RUNNING_STATISTICS = {"aten.native_batch_norm.default": (3, 4)}
"""Arguments that an operation changes although its schema does not say so."""


class Recording(TorchDispatchMode):
    """Performs operations, writes them down, and can take back what they changed."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self._undo: list[Callable[[], object]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for tensor in written(function, args, kwargs):
            self._undo.append(partial(tensor.copy_, tensor.clone()))
        for generator in (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Generator)):
            self._undo.append(partial(generator.set_state, generator.get_state()))
        result = function(*args, **kwargs)
        self.operations.append((function, args, kwargs, result))
        return result

    @torch.no_grad()
    def take_back(self) -> None:
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()

    @torch.no_grad()
    def repeat(self) -> None:
        for function, args, kwargs, result in self.operations:
            again = function(*args, **kwargs)
            if any(value.alias_info is not None for value in function._schema.returns):
                continue  # a view, or an argument that was changed: the recorded one has it already
            for place, value in zip(tree_leaves(result), tree_leaves(again), strict=True):
                if isinstance(place, Tensor):
                    place.copy_(value)


def written(function: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors that an operation changes."""
    found: list[Tensor] = [args[place] for place in RUNNING_STATISTICS.get(str(function), ())]
    for place, argument in enumerate(function._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[place] if place < len(args) else kwargs.get(argument.name)
            found += [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
    return found


class CPURecorder:
    """A ``Recorder`` of repeated operations."""

    def __init__(self) -> None:
        self.recorded, self.replayed = 0, 0

    def warm_up(self, work: Callable[[], Tensor]) -> Tensor:
        return work()

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        recording = Recording()
        try:
            with recording:
                result = work()
        finally:  # nothing that is recorded is performed, not even in a recording that fails
            recording.take_back()
        self.recorded += 1

        def replay() -> Tensor:
            self.replayed += 1
            recording.repeat()
            return result.clone()

        return replay

    def give_up(self) -> None:
        pass
