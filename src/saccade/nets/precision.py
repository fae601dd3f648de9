"""Mixed precision: convolutions in bfloat16, everything that needs more precision in float32."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

DTYPE = "dtype"


class MixedPrecision(nn.Module):
    """A network of convolutions that computes in ``compute_dtype``; its weights and its output are float32.

    Abstract. Projections, heads, losses and optimizers are not: bfloat16's 8 bits of mantissa are too few.
    The type is stored where views find it too, since they share attributes: they follow every change.
    """

    def __init__(self) -> None:
        super().__init__()
        self._chosen = {DTYPE: torch.float32}

    @property
    def compute_dtype(self) -> torch.dtype:
        """float32, or bfloat16."""
        return self._chosen[DTYPE]

    def computed(self, layers: Callable[[Tensor], Tensor], value: Tensor) -> Tensor:
        """Return the layers' output for a tensor, in the tensor's own type but at least float32."""
        if self.compute_dtype == torch.float32:
            return layers(value)
        with torch.autocast(value.device.type, self.compute_dtype):
            return layers(value).to(torch.promote_types(value.dtype, torch.float32))


def set_compute_dtype(network: nn.Module, dtype: torch.dtype) -> None:
    """Make all convolutions inside a network compute in float32 or bfloat16."""
    for module in network.modules():
        if isinstance(module, MixedPrecision):
            module._chosen[DTYPE] = dtype


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether a device has matrix units for bfloat16, so that it is faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))
