"""From a map per channel to one per frame and one in all, by hand."""

from __future__ import annotations

import pytest
import torch

from saccade.pixels.masks import largest_per_frame
from saccade.saliency.reduction import normalised, one_map, per_frame
from saccade.types import UserError

# One pixel, two frames of three colours.
MAP = torch.tensor([1.0, -5.0, 2.0, 0.5, 0.25, -1.0]).view(1, 6, 1, 1)


@pytest.mark.parametrize(
    ("sign", "over", "expected"),
    [
        ("absolute", "max", [5.0, 1.0]),
        ("absolute", "sum", [8.0, 1.75]),
        ("positive", "max", [2.0, 0.5]),
        ("positive", "sum", [3.0, 0.75]),
        ("signed", "max", [-5.0, -1.0]),
        ("signed", "sum", [-2.0, -0.25]),
    ],
)
def test_colours_become_one(sign: str, over: str, expected: list[float]) -> None:
    found = per_frame(MAP, 3, frames=2, sign=sign, over=over)
    assert found.flatten().tolist() == expected and found.shape == (1, 2, 1, 1)
    assert torch.equal(per_frame(MAP, 3, sign=sign, over=over), found)


def test_the_default_is_what_sgqn_does() -> None:
    saliency = torch.randn(2, 9, 4, 5)
    assert torch.equal(per_frame(saliency, 3, frames=3), largest_per_frame(saliency))


def test_maps_per_frame_and_for_all_frames_only_get_their_sign() -> None:
    by_frame = torch.tensor([-2.0, 1.0, 3.0]).view(1, 3, 1, 1)
    assert per_frame(by_frame, 3, frames=3).flatten().tolist() == [2, 1, 3]
    assert per_frame(by_frame, 3, frames=1).flatten().tolist() == [3]
    assert per_frame(by_frame, 1, frames=3, sign="positive").flatten().tolist() == [0, 1, 3]
    one = by_frame[:, :1]
    assert torch.equal(per_frame(one, 3, frames=3, sign="signed"), one)
    assert torch.equal(per_frame(one, 3, sign="signed"), one)
    with pytest.raises(UserError, match=r"A map of 4 channels is not one of 3 frames .* it must have 9, 3 or 1"):
        per_frame(torch.zeros(1, 4, 1, 1), 3, frames=3)


def test_frames_become_one() -> None:
    frames = torch.tensor([[1.0, -4.0], [0.5, 3.0]]).view(1, 2, 1, 2)
    assert one_map(frames).tolist() == [[[1.0, -4.0]]]
    assert one_map(frames, over="sum").tolist() == [[[1.5, -1.0]]]


def test_samples_are_scaled_on_their_own() -> None:
    maps = torch.tensor([[[2.0, -4.0], [0.0, 1.0]], [[3.0, 3.0], [3.0, 3.0]], [[0.0, 0.0], [0.0, 0.0]]])[:, None]
    by_largest = normalised(maps)
    assert by_largest[0].flatten().tolist() == [0.5, -1.0, 0.0, 0.25]
    assert by_largest[1].unique().tolist() == [1.0] and by_largest[2].unique().tolist() == [0.0]
    by_range = normalised(maps, "min_max")
    torch.testing.assert_close(by_range[0].flatten(), torch.tensor([1.0, 0.0, 4 / 6, 5 / 6]))
    assert by_range[1].unique().tolist() == [0.0]
    assert torch.equal(normalised(maps, "none"), maps)
