"""What must be said of maps before anybody reads something into them: that one is empty, or another one's twin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray


def remarks(saliency: Mapping[str, NDArray[np.float32]]) -> Iterator[str]:
    """Sentences on the maps of one mode, ``[time, height, width]`` by method; none where there is nothing to say."""
    for name, maps in saliency.items():
        empty, count = int((~maps.any((1, 2))).sum()), len(maps)
        if empty:
            where = "every frame" if empty == count else f"{empty} of {count} frames"
            yield f"{name} is zero everywhere in {where}: it says nothing there, and its picture is crossed out."
    told: set[str] = set()
    for name, maps in saliency.items():
        if name in told or not maps.any():
            continue
        twins = [other for other, others in saliency.items() if other != name and np.array_equal(maps, others)]
        told.update(twins)
        if twins:
            yield (
                f"{' and '.join([name, *twins])} gave the very same maps, number by number: they are one opinion here, "
                "and not as many as their names."
            )
