"""Whatever is wrong with a file of arrays, opening it ends in one of the errors that are listed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from saccade.cli.bench_looking import OBSERVATIONS, _observation
from saccade.data.arrays import DAMAGED
from saccade.envs.config import EnvConfig

pytestmark = pytest.mark.filterwarnings("ignore")  # NumPy comments on headers before it gives up


def saved(name: str) -> bytes:
    file = io.BytesIO()
    array = np.arange(24, dtype=np.uint8).reshape(2, 12)
    np.save(file, array) if name == "npy" else np.savez_compressed(file, states=array)
    return file.getvalue()


@pytest.mark.parametrize("name", ["npy", "npz"])
def test_damage_of_any_kind_is_listed(name: str) -> None:
    whole, generator = np.frombuffer(saved(name), np.uint8), np.random.default_rng(0)
    spoilt = 0
    for _ in range(1500):
        content = whole.copy()
        places = generator.integers(0, min(160, len(content)), 2)
        content[places] = generator.integers(0, 256, 2)
        try:
            loaded = np.load(
                io.BytesIO(content[: generator.integers(1, len(content) + 1)].tobytes()), allow_pickle=False
            )
            if not isinstance(loaded, np.ndarray):
                loaded["states"]
        except DAMAGED:
            spoilt += 1
    assert spoilt > 1000


def test_a_header_that_is_no_python_is_listed() -> None:
    with pytest.raises(DAMAGED):
        np.load(io.BytesIO(b"\x93NUMPY\x01\x00\x06\x00{'a': ("), allow_pickle=False)


def test_a_damaged_observation_of_a_report_is_made_again(tmp_path: Path) -> None:
    env = EnvConfig.parse("minigrid/red_fetch_green", image_size=64, frame_stack=1)
    first = _observation(env, tmp_path)
    (tmp_path / OBSERVATIONS).write_bytes(b"no arrays")
    again = _observation(env, tmp_path)
    np.testing.assert_array_equal(again, first)
    with np.load(tmp_path / OBSERVATIONS) as kept:
        np.testing.assert_array_equal(next(iter(kept.values())), first)
