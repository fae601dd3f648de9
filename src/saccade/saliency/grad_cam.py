"""Grad-CAM and guided Grad-CAM (Selvaraju et al., 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saccade.nets.views.graph import Reach
from saccade.nets.views.views import Call, tap
from saccade.saliency.batches import batch_size, in_fast_layout, rows_of, slices
from saccade.saliency.checks import IGNORED, check_gradient_explains, check_obs, check_value
from saccade.saliency.guided_backpropagation import guided_backpropagation
from saccade.types import Score, UserError

Upsampling = Literal["bilinear", "nearest"]


def grad_cam(
    score: Score,
    obs: Tensor,
    *,
    layer: str | None = None,
    upsampling: Upsampling = "bilinear",
    max_batch: int = 256,
) -> Tensor:
    """Return ReLU of the sum of a layer's maps, each weighted by the score's mean gradient in it: ``[batch, 1, h, w]``.

    It is upsampled to the whole picture: if the network first crops its input, the map is too wide by as much.

    Args:
        layer: dotted name of the layer whose output is read; by default the last convolution that the score runs
            through, after the ``nn.ReLU`` that reads it, if one does so next. If the network overwrites the layer's
            output, as a ReLU in place does, what was written there is read.

    Raises:
        UserError: what ``gradient`` refuses; the network is compiled or scripted, has no such layer, runs no
            convolution, or the layer's output is no map.
    """
    check_obs(obs, max_batch)
    check_gradient_explains(score)
    reach = Reach(score.network)
    network, tape = tap(reach, _layers_to_tap(reach.modules(), layer))
    seen = score.through(network)

    def low_resolution(part: Score, pixels: Tensor) -> Tensor:
        tape.clear()  # left from an earlier batch
        try:
            return _class_activation(part, pixels, tape, layer)
        finally:
            tape.clear()

    run = in_fast_layout(low_resolution)
    found = [run(rows_of(seen, samples, obs), obs[samples]) for samples in slices(len(obs), batch_size(obs, max_batch))]
    size = (obs.shape[2], obs.shape[3])
    maps = torch.cat(found)
    return F.interpolate(maps, size, mode=upsampling, align_corners=False if upsampling == "bilinear" else None)


def guided_grad_cam(
    score: Score,
    obs: Tensor,
    *,
    layer: str | None = None,
    upsampling: Upsampling = "bilinear",
    max_batch: int = 256,
) -> Tensor:
    """Return guided backpropagation times the upsampled Grad-CAM, signed, in the shape of ``obs``.

    Raises:
        UserError: what either of them refuses.
    """
    coarse = grad_cam(score, obs, layer=layer, upsampling=upsampling, max_batch=max_batch)
    return coarse * guided_backpropagation(score, obs, max_batch=max_batch)


def _layers_to_tap(layers: Mapping[str, nn.Module], layer: str | None) -> list[str]:
    convolutions = [name for name, module in layers.items() if isinstance(module, nn.Conv2d)]
    if layer is not None:
        if layer not in layers:
            have = ", ".join(convolutions) or ", ".join(filter(None, layers))
            raise UserError(f"The network has no layer {layer!r}: choose one such as {have}.")
        return [layer]
    if not convolutions:
        raise UserError(
            "Grad-CAM needs a convolution, but the network has no nn.Conv2d: use another method, or name the layer "
            "whose output has the shape [batch, channel, height, width]."
        )
    return convolutions + [name for name, module in layers.items() if isinstance(module, nn.ReLU)]


def _class_activation(score: Score, pixels: Tensor, tape: list[Call], layer: str | None) -> Tensor:
    """The map of one batch at the layer's own resolution, ``[batch, 1, h, w]``."""
    with torch.enable_grad():
        value = score(pixels.detach().requires_grad_())
        check_value(value, len(pixels))
        if not value.requires_grad:
            raise UserError(IGNORED)
        for name in [layer] if layer is not None else _convolutions_last_first(tape):
            maps = _outputs(tape, name, past_relu=layer is None)
            gradients = torch.autograd.grad(value.sum(), maps, retain_graph=True, allow_unused=True) if maps else ()
            used = [(output, found) for output, found in zip(maps, gradients, strict=True) if found is not None]
            if used:
                _check_maps([output for output, _ in used], name, len(pixels))
                # Calls of a layer add up, as when a score runs the network twice.
                weighed = [(found.mean((2, 3), keepdim=True) * output).sum(1, keepdim=True) for output, found in used]
                return torch.stack(weighed).sum(0).relu().detach()
    through = f"the layer {layer!r}" if layer is not None else "any nn.Conv2d of the network"
    raise UserError(f"The score does not run through {through}: name a layer that it runs through, or another method.")


def _convolutions_last_first(tape: list[Call]) -> list[str]:
    return list(dict.fromkeys(call.layer for call in reversed(tape) if isinstance(call.module, nn.Conv2d)))


def _outputs(tape: list[Call], name: str, *, past_relu: bool) -> list[Tensor]:
    """What the layer returned in each of its calls, or the ReLU called next on exactly that: whatever has a graph."""
    found = []
    for index, call in enumerate(tape):
        if call.layer == name:
            following = tape[index + 1] if past_relu and index + 1 < len(tape) else call
            reads_it = isinstance(following.module, nn.ReLU) and following.inputs[0] is call.output
            found.append(following.output if reads_it else call.output)
    return [output for output in found if isinstance(output, Tensor) and output.requires_grad]


def _check_maps(maps: list[Tensor], name: str, count: int) -> None:
    shapes = [list(output.shape) for output in maps]
    if any(len(shape) != 4 or shape[0] != count or shape != shapes[0] for shape in shapes):
        raise UserError(
            f"The output of layer {name!r} is no map for Grad-CAM: it has shapes {shapes} for {count} observations: "
            "name a layer whose output has the shape [batch, channel, height, width]."
        )
