"""What an update computes and touches, counted operation by operation as it is called."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

# Operations that read of their first tensor only what they give, and ones that do not read what they write.
GATHERS = {"index", "index_select", "gather", "take", "embedding"}
OVERWRITES = {"copy_", "zero_", "fill_", "normal_", "uniform_", "random_"}
MAKES = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}  # no memory is touched


class OperationCount(TorchDispatchMode):
    """Counts what operations compute and touch.

    ``flop``: floating-point operations of convolutions and matrix products, by torch's own formulas. ``bytes``: of all
    tensors that operations read and write. Views and repeated elements (strides of 0) are no memory of their own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flop = self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        formula = flop_registry.get(function._overloadpacket)
        if formula is not None:
            self.flop += formula(*args, **kwargs, out_val=result)
        name = function._schema.name.removeprefix("aten::")
        if not function.is_view and name not in MAKES:
            self.bytes += touched_bytes(name, function._schema, args, kwargs, result)
        return result


def touched_bytes(name: str, schema: Any, args: Any, kwargs: Any, result: Any) -> int:
    """Bytes that one operation reads and writes."""
    given = tensors_in((args, kwargs))
    written = tensors_in(result)
    if not written:  # an operation in place that returns nothing
        changed = [value for value, argument in zip(args, schema.arguments, strict=False) if argument.is_write]
        written = tensors_in(changed)
    if any(one.data_ptr() == other.data_ptr() for one in written for other in given) and not name.endswith("_"):
        return 0  # a view under another name
    if name in GATHERS:
        return 2 * sum(map(memory_of, written)) + sum(map(memory_of, given[1:]))
    read = given[1:] if name in OVERWRITES else given
    return sum(map(memory_of, read)) + sum(map(memory_of, written))


def tensors_in(values: Any) -> list[Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, Tensor) and value.numel()]


def memory_of(tensor: Tensor) -> int:
    """Bytes of a tensor's different elements; windows that overlap share theirs."""
    sides = zip(tensor.shape, tensor.stride(), strict=True)
    distinct = math.prod(size for size, stride in sides if stride)
    return min(distinct * tensor.element_size(), tensor.untyped_storage().nbytes())
