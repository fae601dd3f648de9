"""The fifteen networks of Free-Lunch Saliency (Nikulin et al., 2019): one table of where they have attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from torch import nn

from saccade.nets.attention import AttentiveConvolutions, FreeLunchAttention, SoftmaxAttention, UnitLength
from saccade.nets.nature import Filters, convolution_of, dense_blocks

FIRST, LAST = 0, 2  # of the three blocks
MakeAttention = Callable[[int, int], nn.Module]
MakeBlocks = Callable[[int, Filters], list[nn.Sequential]]


@dataclass(frozen=True)
class AttentionArchitecture:
    """Three blocks of a convolution and a ReLU, and where attention is in them.

    Attributes:
        published_as: its name in the authors' code, after ``cnn_``.
        attention: ``(channels, hidden channels) -> module``, used wherever it has attention.
        after: the blocks that attention follows, counted from 0.
        pooled: whether features are sums over all positions; otherwise they are whole maps.
        dense: whether convolutions keep the picture's size; otherwise they are the configuration's, such as Nature's.
        final_relu: whether a ReLU follows the last convolution.
        unit_length: whether the last maps are divided by their length at every position, before attention sees them.
        margin: pixels of black around the picture.
    """

    published_as: str
    attention: MakeAttention
    after: tuple[int, ...] = (LAST,)
    pooled: bool = False
    dense: bool = False
    final_relu: bool = True
    unit_length: bool = False
    margin: int = 0


def _daqn(channels: int, hidden: int) -> nn.Module:
    return SoftmaxAttention(channels, hidden, nn.Tanh)


def _region_sensitive(channels: int, hidden: int) -> nn.Module:
    """With twice the hidden channels of the others, 512, and two maps."""
    return SoftmaxAttention(channels, 2 * hidden, nn.ELU, count=2)


_Row = AttentionArchitecture
ARCHITECTURES: Mapping[str, AttentionArchitecture] = MappingProxyType(
    {
        "none": _Row("", FreeLunchAttention, after=()),
        "daqn": _Row("daqn", _daqn, pooled=True),
        "rsppo": _Row("rsppo", _region_sensitive, unit_length=True, margin=1),
        "rsppo_nopad": _Row("rsppo_nopad", _region_sensitive, unit_length=True),
        "sparse": _Row("sparse_fls", FreeLunchAttention),
        "sparse_sumpool": _Row("sparse_fls_pool", FreeLunchAttention, pooled=True),
        "sparse_norm": _Row("sparse_fls_norm", partial(FreeLunchAttention, normalised=True)),
        "sparse_1x1": _Row("sparse_fls_1x1", partial(FreeLunchAttention, kernel=1)),
        "sparse_softplus2": _Row("sparse_fls_sp2", partial(FreeLunchAttention, base=2.0)),
        "sparse_no_relu": _Row("sparse_fls_norelu", FreeLunchAttention, final_relu=False),
        "sparse_no_relu_sumpool": _Row("sparse_fls_norelu_pool", FreeLunchAttention, final_relu=False, pooled=True),
        "sparse_after_first": _Row("sparse_fls_h1", FreeLunchAttention, after=(FIRST,)),
        "sparse_after_each": _Row("sparse_fls_x3", FreeLunchAttention, after=(FIRST, 1, LAST)),
        "dense": _Row("dense_fls", FreeLunchAttention, dense=True, pooled=True),
        "dense_no_relu": _Row("dense_fls_norelu", FreeLunchAttention, dense=True, pooled=True, final_relu=False),
    }
)
"""Architectures by the value of ``--attention``."""


def attentive_convolutions(
    architecture: AttentionArchitecture,
    channels: int,
    picture_size: tuple[int, int],
    filters: Filters,
    hidden: int,
    blocks_of: MakeBlocks,
) -> AttentiveConvolutions:
    """Make the convolutions of an architecture. Raises UserError if they leave nothing of the picture.

    Args:
        channels: of the picture.
        filters: channels of the three convolutions.
        hidden: channels inside the attention.
        blocks_of: makes the blocks of architectures that are not dense.
    """
    blocks = (dense_blocks if architecture.dense else blocks_of)(channels, filters)
    if not architecture.final_relu:
        blocks[LAST] = nn.Sequential(convolution_of(blocks[LAST]))
    if architecture.unit_length:
        blocks[LAST].append(UnitLength())
    attentions = {
        place: architecture.attention(convolution_of(blocks[place]).out_channels, hidden)
        for place in architecture.after
    }
    return AttentiveConvolutions(
        blocks, attentions, picture_size, pooled=architecture.pooled, margin=architecture.margin
    )
