"""Recordings, opened where they are; what reads one that is missing is skipped."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(os.environ.get("SACCADE_GOLDEN", Path(__file__).parents[3] / "shared" / "golden"))


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], dict[str, np.ndarray]]:
    """The arrays of a file in the folder of recordings, by its name there."""

    def arrays_of(name: str) -> dict[str, np.ndarray]:
        file = GOLDEN / name
        if not file.is_file():
            pytest.skip(f"there is no recording {file}")
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)

    return arrays_of
