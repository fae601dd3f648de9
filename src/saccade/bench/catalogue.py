"""Every grid and every published table, by its name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from saccade.bench.grids import Grid
from saccade.bench.papers import digr, fls, rivals, saliency_guidance, sgqn, smg
from saccade.bench.published import Table

TABLES: Mapping[str, Table] = MappingProxyType(
    {table.name: table for paper in (sgqn, smg, fls, digr, rivals) for table in paper.TABLES}
)
"""Published tables, by name."""

GRIDS: Mapping[str, Grid] = MappingProxyType(
    {grid.name: grid for paper in (sgqn, smg, fls, digr, rivals, saliency_guidance) for grid in paper.GRIDS}
)
"""Grids that can be run by name."""


def published_of(grid: Grid) -> tuple[Table, ...]:
    """Return the tables whose numbers stand beside those of a grid."""
    return tuple(TABLES[name] for name in grid.published if name in TABLES)
