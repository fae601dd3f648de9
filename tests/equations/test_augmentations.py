"""Augmentations against naive versions, one sample and pixel at a time, in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from saccade.pixels import augmentations


def pixels(batch: int = 3, frames: int = 3, size: int = 10) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (batch, frames * 3, size, size), generator=generator, dtype=torch.uint8)


def test_crop_takes_each_samples_own_window() -> None:
    obs, offsets = pixels(), torch.tensor([[0, 0], [2, 1], [3, 3]])
    cropped = augmentations.crop_at(obs, offsets, 7)
    for sample, (top, left) in enumerate(offsets.tolist()):
        assert torch.equal(cropped[sample], obs[sample, :, top : top + 7, left : left + 7])


def test_shift_repeats_the_border() -> None:
    obs, pad = pixels(), 2
    offsets = torch.tensor([[2, 2], [0, 4], [4, 1]])  # none; up 2 and right 2 of the padded middle; ...
    shifted = augmentations.shift_at(obs, offsets, pad)
    assert torch.equal(shifted[0], obs[0])
    for sample, (top, left) in enumerate(offsets.tolist()):
        for row in range(10):
            for column in range(10):
                y, x = min(max(row + top - pad, 0), 9), min(max(column + left - pad, 0), 9)
                assert torch.equal(shifted[sample, :, row, column], obs[sample, :, y, x])


def test_offsets_reach_exactly_the_given_positions() -> None:
    drawn = augmentations.draw_offsets(2000, 16, torch.Generator().manual_seed(0))
    assert drawn.shape == (2000, 2)
    assert set(drawn.flatten().tolist()) == set(range(16))


def test_center_crop_leaves_equal_borders() -> None:
    obs = pixels(size=10)
    assert torch.equal(augmentations.center_crop(obs, 6), obs[:, :, 2:8, 2:8])
    assert augmentations.center_crop(obs, 10) is obs


def test_overlay_is_the_mean_with_one_picture_on_all_frames() -> None:
    obs, images = pixels().float(), torch.full((3, 3, 10, 10), 100.0)
    blended = augmentations.random_overlay(obs, images)
    assert torch.allclose(blended, (obs + 100) / 2)
    blended = augmentations.random_overlay(obs, images, 0.25)
    assert torch.allclose(blended, 0.75 * obs + 25)


def test_random_convolution_equals_one_convolution_per_sample_and_frame() -> None:
    obs = pixels().double()
    kernels = augmentations.draw_convolutions(3, torch.Generator().manual_seed(2)).double()
    mixed = augmentations.random_convolution(obs, kernels)
    for sample in range(3):
        for frame in range(3):
            colours = slice(3 * frame, 3 * frame + 3)
            padded = F.pad(obs[sample : sample + 1, colours] / 255, (1, 1, 1, 1), mode="replicate")
            expected = torch.zeros(3, 10, 10, dtype=torch.float64)
            for out in range(3):
                for channel in range(3):
                    for dy in range(3):
                        for dx in range(3):
                            expected[out] += (
                                kernels[sample, out, channel, dy, dx] * padded[0, channel, dy : dy + 10, dx : dx + 10]
                            )
            torch.testing.assert_close(mixed[sample, colours], torch.sigmoid(expected) * 255)
