"""What the recordings of DIGR are made with and do not hold: random numbers and weights by a rule (their README)."""

from __future__ import annotations

import numpy as np

GOLDEN_RATIO, MIX1, MIX2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
GAIN, LAST_GAIN, BIAS = np.sqrt(2.0), 4.0, 0.1


def mixed(value: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        value = value + GOLDEN_RATIO
        value = (value ^ (value >> np.uint64(30))) * MIX1
        value = (value ^ (value >> np.uint64(27))) * MIX2
        return value ^ (value >> np.uint64(31))


def uniform(seed: int, stream: int, places: np.ndarray) -> np.ndarray:
    """Numbers in 0..1 at some places of a stream."""
    begin = mixed(mixed(np.array([seed], np.uint64)) ^ np.uint64(stream))
    with np.errstate(over="ignore"):
        bits = mixed(begin + places.astype(np.uint64))
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def made_parameter(seed: int, network: int, number: int, shape: tuple[int, ...], *, last: bool = False) -> np.ndarray:
    """One weight or bias of a network, float32. last: whether it is the weight of the last layer."""
    drawn = 2 * uniform(seed, 100 * network + number, np.arange(np.prod(shape))) - 1
    scale = BIAS if len(shape) == 1 else (LAST_GAIN if last else GAIN) * np.sqrt(3 / np.prod(shape[1:]))
    return (scale * drawn).astype(np.float32).reshape(shape)
