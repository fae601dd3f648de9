"""Masks against ``torch.quantile`` and by hand."""

from __future__ import annotations

import pytest
import torch

from saccade.pixels.masks import fill_outside, kth_largest, largest_per_frame, per_channel, quantile_mask


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.8, 0.9, 0.95, 0.98, 0.999])
@pytest.mark.parametrize("kind", ["continuous", "ties", "mostly_zero"])
@pytest.mark.parametrize("side", [8, 12, 84])
def test_selection_equals_the_interpolated_quantile(quantile: float, kind: str, side: int) -> None:
    generator = torch.Generator().manual_seed(side)
    maps = torch.rand((3, 2, side, side), generator=generator)
    if kind == "ties":
        maps = (maps * 5).floor()
    elif kind == "mostly_zero":
        maps = torch.where(maps > 0.97, maps, torch.zeros(()))
    threshold = torch.quantile(maps.flatten(2).double(), quantile, dim=-1)
    assert torch.equal(quantile_mask(maps, quantile), maps.double() >= threshold[..., None, None])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("k", [1, 7, 50])
def test_the_kth_largest_is_what_sorting_finds(dtype: torch.dtype, k: int) -> None:
    values = torch.randn((2, 3, 50), generator=torch.Generator().manual_seed(k)).to(dtype)
    before = values.clone()
    found = kth_largest(values, k)
    assert found.dtype == dtype and torch.equal(found, values.sort(-1, descending=True).values[..., k - 1])
    assert torch.equal(values, before)
    assert torch.equal(kth_largest(values[1, 2], k), found[1, 2]), "of one row"


def test_the_operator_is_what_it_says_to_the_compiler() -> None:
    torch.library.opcheck(kth_largest, (torch.rand(2, 3, 50), 7), test_utils=("test_schema", "test_faketensor"))


def test_mask_of_ten_pixels_by_hand() -> None:
    # Values 0..9 with quantile 0.8: position 0.8 * 9 = 7.2, so 8 and 9 are at or above it.
    maps = torch.arange(10.0).view(1, 1, 2, 5)
    assert quantile_mask(maps, 0.8).flatten().nonzero().flatten().tolist() == [8, 9]


def test_a_map_that_is_mostly_zero_hides_nothing() -> None:
    maps = torch.zeros(1, 1, 10, 10)
    maps[0, 0, 0, :4] = 1.0  # 96 % are zero, so the 0.95 quantile is zero
    assert quantile_mask(maps, 0.95).all()


def test_frames_have_their_own_thresholds() -> None:
    maps = torch.stack([torch.arange(100.0), torch.arange(100.0) * 1000]).view(1, 2, 10, 10)
    assert quantile_mask(maps, 0.9).sum((2, 3)).tolist() == [[10, 10]]


def test_largest_takes_absolute_values_over_a_frames_colours() -> None:
    attribution = torch.zeros(1, 6, 1, 1)
    attribution[0, :, 0, 0] = torch.tensor([1.0, -5.0, 2.0, 0.5, 0.25, -0.75])
    assert largest_per_frame(attribution).flatten().tolist() == [5.0, 0.75]


def test_hidden_pixels_get_the_fill_in_all_colours() -> None:
    obs = torch.arange(12.0).view(1, 6, 1, 2)
    mask = torch.tensor([[[[True, False]], [[False, True]]]])
    filled = fill_outside(obs, mask, torch.tensor(-1.0))
    assert filled.flatten().tolist() == [0, -1, 2, -1, 4, -1, -1, 7, -1, 9, -1, 11]
    assert per_channel(mask).shape == obs.shape
