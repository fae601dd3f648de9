"""Warnings that belong beside maps: that one is empty, or identical to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray


def remarks(saliency: Mapping[str, NDArray[np.float32]]) -> Iterator[str]:
    """Yield sentences on the maps of one mode, ``[time, height, width]`` by method; none if there is nothing to say."""
    for name, maps in saliency.items():
        empty, count = int((~maps.any((1, 2))).sum()), len(maps)
        if empty:
            where = "every frame" if empty == count else f"{empty} of {count} frames"
            yield f"{name} is zero everywhere in {where}: it says nothing there, and its picture is crossed out."
    named: set[str] = set()
    for name, maps in saliency.items():
        if name in named or not maps.any():
            continue
        twins = [other for other, others in saliency.items() if other != name and np.array_equal(maps, others)]
        named.update(twins)
        if twins:
            yield (
                f"{' and '.join([name, *twins])} gave exactly the same maps, number for number: they count as one "
                "opinion here, "
                "not as many."
            )
