"""Adam as TensorFlow 1 computes it, which published agents were trained with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor


@final
class TensorFlowAdam(torch.optim.Optimizer):
    """Adam whose epsilon is not corrected for the moments' bias (Kingma and Ba, 2015, the end of section 2).

    w <- w - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon). ``torch.optim.Adam`` divides v by 1 - beta2^t
    before it adds epsilon, which so weighs up to 30 times as much in the first steps. Its state and its learning rate
    may be tensors on a GPU, so that a step can be recorded as a part of a CUDA graph.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, eps: float, betas: tuple[float, float] = (0.9, 0.999)
    ) -> None:
        super().__init__(parameters, {"lr": lr, "eps": eps, "betas": betas})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Step every parameter that has a gradient."""
        for group in self.param_groups:
            _step([parameter for parameter in group["params"] if parameter.grad is not None], group, self.state)


def _step(parameters: list[Tensor], group: dict[str, Any], state: dict[Tensor, Any]) -> None:
    if not parameters:
        return
    for parameter in parameters:
        if not state[parameter]:
            moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            # Not called "step": that would be left on the host when it is loaded.
            state[parameter] = {"steps": torch.zeros((), device=parameter.device), **moments}
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    steps, means, squares = (
        [state[parameter][name] for parameter in parameters] for name in ("steps", "exp_avg", "exp_avg_sq")
    )
    beta1, beta2 = group["betas"]
    torch._foreach_add_(steps, 1.0)
    torch._foreach_lerp_(means, gradients, 1 - beta1)
    torch._foreach_mul_(squares, beta2)
    torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
    count = steps[0].double()  # of digits enough for 1 - 0.999^t
    size = group["lr"] * (1 - beta2**count).sqrt() / (1 - beta1**count)
    widths = torch._foreach_sqrt(squares)
    torch._foreach_add_(widths, group["eps"])
    moves = torch._foreach_div(means, widths)
    torch._foreach_mul_(moves, size.to(moves[0].dtype))
    torch._foreach_sub_(parameters, moves)
