"""Three ways to double a map and convolve it, side by side: forward and backward, as decoders do in every update.

    python benchmarks/decoders.py [--batch-size 192] [--repeats 5] [--threads 2] [--device auto|cpu|cuda]

``apart`` doubles, then convolves, as published; ``interleaved`` is four 2x2 convolutions on the small map whose results
are interleaved; ``transposed`` is what Saccade does. All in one process, taking turns; best of the repeats.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from contenders import Stopwatch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from saccade.nets.decoders import DoublingConvolution
from saccade.runs.device import device_of

SHAPES = {"128 to 64 channels, 21 pixels": (128, 64, 21), "64 to 4 channels, 42 pixels": (64, 4, 42)}
EVEN, ODD = (3, 1), (2, 0)  # rows of the 4x4 kernel that even and odd rows of the result need


def apart(layer: DoublingConvolution, small: Tensor) -> Tensor:
    return F.conv2d(F.interpolate(small, scale_factor=2.0, mode="nearest"), layer.weight, layer.bias, padding=1)


def interleaved(layer: DoublingConvolution, small: Tensor) -> Tensor:
    kernel = torch.einsum("ka,oiab,lb->oikl", layer.spread, layer.weight, layer.spread)
    parts = [kernel[:, :, rows][:, :, :, columns] for rows in (EVEN, ODD) for columns in (EVEN, ODD)]
    batch, _, height, width = small.shape
    four = F.conv2d(small, torch.cat(parts), padding=1).view(batch, 2, 2, -1, height + 1, width + 1)
    even = torch.stack([four[:, 0, 0, :, :height, :width], four[:, 0, 1, :, :height, 1:]], -1)
    odd = torch.stack([four[:, 1, 0, :, 1:, :width], four[:, 1, 1, :, 1:, 1:]], -1)
    large = torch.stack([even, odd], -3).reshape(batch, -1, 2 * height, 2 * width)
    return large + layer.bias[:, None, None]


def transposed(layer: DoublingConvolution, small: Tensor) -> Tensor:
    return layer(small)


WAYS: dict[str, Callable[[DoublingConvolution, Tensor], Tensor]] = {
    "apart": apart,
    "interleaved": interleaved,
    "transposed": transposed,
}


def milliseconds(way: str, layer: DoublingConvolution, small: Tensor) -> float:
    watch = Stopwatch(small.device)
    large = WAYS[way](layer, small)
    torch.autograd.grad(large, [small, layer.weight], torch.ones_like(large))
    watch.mark(way)
    return watch.milliseconds()[way]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=192, help="pictures: SMG decodes 64 times 3 frames")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", type=device_of, default="auto")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    table = Table("layer", "memory", *(f"{way} ms" for way in WAYS), "apart/transposed", box=None, pad_edge=False)
    for name, (channels, filters, side) in SHAPES.items():
        layer = DoublingConvolution(channels, filters).to(options.device)
        for memory, order in (("NCHW", torch.contiguous_format), ("channels last", torch.channels_last)):
            small = torch.randn((options.batch_size, channels, side, side), device=options.device)
            small = small.to(memory_format=order).requires_grad_()
            turns = [{way: milliseconds(way, layer, small) for way in WAYS} for _ in range(options.repeats + 1)][1:]
            best = {way: min(turn[way] for turn in turns) for way in WAYS}
            cells = [f"{value:.0f}" if value >= 10 else f"{value:.2f}" for value in best.values()]
            table.add_row(name, memory, *cells, f"{best['apart'] / best['transposed']:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
