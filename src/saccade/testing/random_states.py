"""Detect code that draws from the global random numbers, or depends on them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from saccade.testing.conformance import require

OTHER_SEED = 5


@contextmanager
def untouched(what: str) -> Iterator[None]:
    """Raise ConformanceError if ``what`` changes a global random state of Python, NumPy or PyTorch."""
    before = _states()
    yield
    moved = [library for library, state in _states().items() if state != before[library]]
    require(
        moved == [],
        f"{what} drew from {' and '.join(moved)}'s global random numbers: draw from a "
        "generator that was passed in or made from a seed, or runs with the same seed will differ.",
    )


@contextmanager
def other_random_states() -> Iterator[None]:
    """Set the global random states to others inside the block, and restore them afterwards."""
    python, numpy, pytorch = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(OTHER_SEED)
    np.random.seed(OTHER_SEED)  # noqa: NPY002 -- the very thing that nothing may depend on
    torch.default_generator.manual_seed(OTHER_SEED)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(pytorch)


def _states() -> dict[str, object]:
    kind, key, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "Python": random.getstate(),
        "NumPy": (kind, np.asarray(key).tobytes(), *rest),
        "PyTorch": torch.get_rng_state().numpy().tobytes(),
    }
