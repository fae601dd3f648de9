"""What no update on this machine can exceed: its matrix products and its copies of memory.

    python benchmarks/ceilings.py [--device auto|cpu|cuda] [--threads 1] [--out FILE]

Large square matrices are multiplied and large blocks copied; the best of some times counts. ``benchmarks/updates.py``
measures both first, with the threads that the updates then have, and says what share of them an update reaches.
``saccade doctor --bench`` measures them by the same code.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import torch
from rich.console import Console

from saccade.doctor.facts import processor_name
from saccade.doctor.speed import Ceilings, ceilings
from saccade.runs.device import device_of

__all__ = ["Ceilings", "ceilings", "highest", "in_words"]


def highest(found: Ceilings) -> tuple[str, float]:
    """The precision with the fastest products, and their GFLOP per second."""
    return max(found.matmul_gigaflops.items(), key=lambda entry: entry[1])


def in_words(found: Ceilings) -> str:
    products = ", ".join(f"{rate:,.0f} GFLOP/s in {precision}" for precision, rate in found.matmul_gigaflops.items())
    return f"ceilings: matrix products {products}; copies {found.copy_gigabytes:,.1f} GB/s read and written"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=device_of, default="auto")
    parser.add_argument("--threads", type=int, help="of torch on a CPU")
    parser.add_argument("--out", type=Path, help="also write the numbers to this JSON file")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    found = ceilings(options.device)
    cuda = options.device.type == "cuda"
    name = torch.cuda.get_device_name(options.device) if cuda else processor_name()
    machine = f"{options.device} ({name}), {torch.get_num_threads()} threads, torch {torch.__version__}"
    Console().print(f"{machine}\n{in_words(found)}", highlight=False, soft_wrap=True)
    if options.out:
        options.out.write_text(json.dumps({"machine": machine, **dataclasses.asdict(found)}, indent=2) + "\n")


if __name__ == "__main__":
    main()
