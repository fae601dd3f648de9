"""Mixed precision: convolutions in bfloat16, everything that needs more digits in float32."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

DTYPE = "dtype"


class MixedPrecision(nn.Module):
    """A network of convolutions that computes in ``compute_dtype``; its weights and its output are float32.

    Abstract. Projections, heads, losses and optimizers are none: bfloat16 has 8 bits of mantissa, too few for them.
    What it computes in is kept where its views find it too, which have its attributes: they follow every change.
    """

    def __init__(self) -> None:
        super().__init__()
        self._chosen = {DTYPE: torch.float32}

    @property
    def compute_dtype(self) -> torch.dtype:
        """float32, or bfloat16."""
        return self._chosen[DTYPE]

    def computed(self, layers: Callable[[Tensor], Tensor], value: Tensor) -> Tensor:
        """What layers give for a tensor, in the tensor's own dtype but with float32's digits at least."""
        if self.compute_dtype == torch.float32:
            return layers(value)
        with torch.autocast(value.device.type, self.compute_dtype):
            return layers(value).to(torch.promote_types(value.dtype, torch.float32))


def set_compute_dtype(network: nn.Module, dtype: torch.dtype) -> None:
    """Have all convolutions inside a network compute in float32 or bfloat16."""
    for module in network.modules():
        if isinstance(module, MixedPrecision):
            module._chosen[DTYPE] = dtype


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device has units for products of bfloat16 matrices, so that they are faster than those of float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))
