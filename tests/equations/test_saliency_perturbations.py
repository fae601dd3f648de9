"""Blur perturbation, occlusion and RISE against naive versions in double precision, one picture at a time."""

from __future__ import annotations

import math

import pytest
import torch
from saliency_cases import Linear, distance_score, entry_score, network, observations, output
from torch import Tensor, nn

from saccade.pixels.blur import blur_matrix
from saccade.saliency.blur_perturbation import blur_perturbation
from saccade.saliency.occlusion import occlusion
from saccade.saliency.rise import rise
from saccade.types import Score, UserError


def naive_blur(line: list[float], sigma: float) -> list[float]:
    """A Gaussian cut off at 4 standard deviations; beyond an end the line is mirrored, its last value repeated."""
    reach = int(4 * sigma + 0.5)
    weights = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-reach, reach + 1)]
    mirrored = line + line[::-1]
    return [
        sum(
            weight * mirrored[(position + offset) % len(mirrored)]
            for weight, offset in zip(weights, range(-reach, reach + 1), strict=True)
        )
        / sum(weights)
        for position in range(len(line))
    ]


def naive_blur_2d(picture: Tensor, sigma: float) -> Tensor:
    rows = torch.tensor([naive_blur(row, sigma) for row in picture.tolist()], dtype=torch.float64)
    return torch.tensor([naive_blur(column, sigma) for column in rows.T.tolist()], dtype=torch.float64).T


def naive_mask(row: int, column: int, height: int, width: int, radius: float) -> Tensor:
    disc = torch.zeros(height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            if (y - row) ** 2 + (x - column) ** 2 <= 1:
                disc[y, x] = 1
    blurred = naive_blur_2d(disc, radius)
    return blurred / blurred.max()


def own_frame(frame: int, frames: int, obs: Tensor) -> Tensor:
    per_frame = obs.shape[1] // frames
    own = torch.zeros(obs.shape[1], 1, 1, dtype=torch.bool)
    own[frame * per_frame : (frame + 1) * per_frame] = True
    return own


def importance(score: Score, obs: Tensor, sample: int, perturbed: Tensor) -> float:
    one = score.rows(torch.tensor([sample]))
    with torch.no_grad():
        after = float(one(perturbed[None]))
        return after if score.distance else float(one(obs[sample][None])) - after


def naive_blur_perturbation(score: Score, obs: Tensor, radius: float, sigma: float, stride: int, frames: int) -> Tensor:
    batch, channels, height, width = obs.shape
    rows, columns = list(range(0, height, stride)), list(range(0, width, stride))
    found = torch.zeros(batch, frames, height, width, dtype=torch.float64)
    for sample in range(batch):
        blurred = torch.stack([naive_blur_2d(obs[sample, channel], sigma) for channel in range(channels)])
        for frame in range(frames):
            grid = {}
            for row in rows:
                for column in columns:
                    mask = naive_mask(row, column, height, width, radius)
                    mixed = obs[sample] * (1 - mask) + blurred * mask
                    perturbed = torch.where(own_frame(frame, frames, obs), mixed, obs[sample])
                    grid[row, column] = importance(score, obs, sample, perturbed)
            for y in range(height):
                for x in range(width):
                    above, left = min(y, rows[-1]), min(x, columns[-1])
                    down, right = above % stride / stride, left % stride / stride
                    above, left = above - above % stride, left - left % stride
                    for r, weight_r in ((above, 1 - down), (above + stride, down)):
                        for c, weight_c in ((left, 1 - right), (left + stride, right)):
                            if weight_r * weight_c:
                                found[sample, frame, y, x] += weight_r * weight_c * grid[r, c]
    return found


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("stride", [4, 5])
def test_blur_perturbation_equals_the_naive_version(frames: int, stride: int) -> None:
    net, obs = network(torch.float64), observations(2, torch.float64)
    for score in (entry_score(net, 2), distance_score(net, obs)):
        found = blur_perturbation(score, obs, radius=1.5, blur=2.0, stride=stride, frames=frames, max_batch=5)
        expected = naive_blur_perturbation(score, obs, 1.5, 2.0, stride, frames)
        torch.testing.assert_close(found, expected)


def test_a_score_that_is_a_pixel_keeps_its_values() -> None:
    """Pictures are made in the same memory each time, which such a score's values lie in."""
    obs = observations(2, torch.float64)
    score = Score(nn.Identity(), lambda net, pixels: net(pixels)[:, 0, 3, 2])
    found = blur_perturbation(score, obs, radius=1.5, blur=2.0, stride=4, max_batch=5)
    torch.testing.assert_close(found, naive_blur_perturbation(score, obs, 1.5, 2.0, 4, 1))


def test_the_blur_matrix_is_the_naive_blur() -> None:
    line = [1.0, 5.0, -2.0, 0.5, 3.0]
    for sigma in (0.4, 1.0, 3.0):  # at the last the line is mirrored more than twice over
        found = blur_matrix(5, sigma) @ torch.tensor(line, dtype=torch.float64)
        torch.testing.assert_close(found, torch.tensor(naive_blur(line, sigma), dtype=torch.float64))


def test_a_grid_point_has_its_own_value_and_the_largest_is_kept() -> None:
    net, obs = network(), observations()
    score = entry_score(net)
    coarse = blur_perturbation(score, obs, radius=1, stride=4)
    fine = blur_perturbation(score, obs, radius=1, stride=1)
    torch.testing.assert_close(coarse[:, :, ::4, ::4], fine[:, :, ::4, ::4])
    assert torch.equal(coarse.amax((2, 3)), coarse[:, :, ::4, ::4].amax((2, 3)))


def test_blurring_nothing_but_a_flat_picture_loses_nothing() -> None:
    obs = torch.full((1, 4, 12, 12), 0.5, dtype=torch.float64)
    assert blur_perturbation(entry_score(network(torch.float64), 1), obs).abs().max() < 1e-12


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize(("window", "stride"), [(4, 4), (5, 3), (1, 1), (12, 5)])
def test_occlusion_equals_the_naive_version(window: int, stride: int, frames: int) -> None:
    net, obs = network(torch.float64), observations(2, torch.float64)
    score = entry_score(net, 2)
    found = occlusion(score, obs, window=window, stride=stride, fill=0.25, frames=frames, max_batch=7)
    starts = range(0, 12 - window + stride, stride)
    total, count = torch.zeros_like(found), torch.zeros_like(found)
    for sample in range(2):
        for frame in range(frames):
            for y in starts:
                for x in starts:
                    filled = obs[sample].clone()
                    filled[:, y : y + window, x : x + window] = 0.25
                    perturbed = torch.where(own_frame(frame, frames, obs), filled, obs[sample])
                    lost = importance(score, obs, sample, perturbed)
                    total[sample, frame, y : y + window, x : x + window] += lost
                    count[sample, frame, y : y + window, x : x + window] += 1
    assert count.min() >= 1
    torch.testing.assert_close(found, total / count)


def test_occlusion_of_a_linear_score_by_single_pixels_is_what_they_add() -> None:
    weight = torch.linspace(-1, 1, 2 * 3 * 3).view(2, 3, 3)
    obs = torch.rand(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    score = Score(Linear(weight), output)
    each = occlusion(score, obs, window=1, stride=1, frames=2)
    torch.testing.assert_close(each, obs * weight)
    torch.testing.assert_close(occlusion(score, obs, window=1, stride=1), (obs * weight).sum(1, keepdim=True))


def test_blurring_single_pixels_of_a_linear_score() -> None:
    # A narrow mask is 1 at its point and 0 elsewhere, but for the 4 neighbours of the disc: with weights on one pixel
    # the map there is w (I - G(I)), and so it is at the points whose disc holds that pixel, and 0 everywhere else.
    weight = torch.zeros(1, 7, 7, dtype=torch.float64)
    weight[0, 3, 2] = 2.0
    obs = torch.rand(1, 1, 7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = blur_perturbation(Score(Linear(weight), output), obs, radius=0.1, blur=1.0, stride=1)[0, 0]
    expected = torch.zeros(7, 7, dtype=torch.float64)
    for y, x in ((3, 2), (2, 2), (4, 2), (3, 1), (3, 3)):
        expected[y, x] = 2 * (obs[0, 0, 3, 2] - naive_blur_2d(obs[0, 0], 1.0)[3, 2])
    torch.testing.assert_close(found, expected)


def naive_rise_masks(count: int, cells: int, keep: float, seed: int, side: int) -> list[Tensor]:
    """Whole masks enlarged with PyTorch's own interpolation, then cropped."""
    generator = torch.Generator().manual_seed(seed)
    grids = (torch.rand((count, cells, cells), generator=generator) < keep).double()
    cell = math.ceil(side / cells)
    down, right = (torch.randint(0, cell, (count, 1), generator=generator)[:, 0].tolist() for _ in range(2))
    large = nn.functional.interpolate(grids[:, None], ((cells + 1) * cell,) * 2, mode="bilinear", align_corners=False)[
        :, 0
    ]
    return [mask[y : y + side, x : x + side] for mask, y, x in zip(large, down, right, strict=True)]


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("frames", [1, 2])
def test_rise_equals_the_naive_version(frames: int, centred: bool) -> None:
    net, obs = network(torch.float64), observations(2, torch.float64)
    for score in (entry_score(net, 2), distance_score(net, obs)):
        found = rise(score, obs, masks=10, cells=5, keep=0.3, centred=centred, frames=frames, seed=7, max_batch=3)
        expected = torch.zeros_like(found)
        masks = naive_rise_masks(10, 5, 0.3, 7, 12)
        for sample in range(2):
            for frame in range(frames):
                worths = []
                for mask in masks:
                    seen = torch.where(own_frame(frame, frames, obs), obs[sample] * mask, obs[sample])
                    with torch.no_grad():
                        worth = score.rows(torch.tensor([sample]))(seen[None])[0]
                    worths.append(-worth if score.distance else worth)
                middle = sum(worths) / 10 if centred else 0.0
                for mask, worth in zip(masks, worths, strict=True):
                    expected[sample, frame] += (worth - middle) * mask / (10 * 0.3)
        torch.testing.assert_close(found, expected)


def test_a_constant_in_the_score_does_not_show_in_a_centred_map() -> None:
    """What the masks happen to cover would show instead: Q of a trained critic is far from 0."""
    net, obs = network(), observations(2)
    near = entry_score(net, 2)
    far = Score(net, lambda network, pixels, *given: near.function(network, pixels, *given) + 1000.0, near.given)
    options = {"masks": 50, "cells": 4, "seed": 1}
    torch.testing.assert_close(rise(far, obs, **options), rise(near, obs, **options), rtol=1e-2, atol=1e-4)


def test_rise_masks_cover_every_pixel_about_as_often_as_cells_are_open() -> None:
    # A constant picture and a score that is 1 + 0 * mean: the map is the mean mask divided by p, so 1 on average.
    def one(net: nn.Module, obs: Tensor) -> Tensor:
        return 1 + 1e-9 * obs.mean((1, 2, 3))

    found = rise(
        Score(nn.Identity(), one), torch.ones(1, 1, 20, 20, dtype=torch.float64), masks=4000, keep=0.25, centred=False
    )
    assert abs(float(found.mean()) - 1) < 0.05 and found.min() > 0.8 and found.max() < 1.2


def test_hyper_parameters_out_of_range_are_refused() -> None:
    score, obs = entry_score(network()), observations()
    for call, message in (
        (lambda: blur_perturbation(score, obs, radius=0), "radius 0 is too small"),
        (lambda: blur_perturbation(score, obs, blur=-1), "blur -1 is too small"),
        (lambda: blur_perturbation(score, obs, radius=math.nan), "radius nan is too small"),
        (lambda: blur_perturbation(score, obs, stride=0), "stride 0 is too small"),
        (lambda: blur_perturbation(score, obs, frames=3), "4 channels are not 3 frames"),
        (lambda: occlusion(score, obs, window=13), "window 13 is larger than the picture of 12x12"),
        (lambda: occlusion(score, obs, window=2, stride=3), "leaves pixels between windows"),
        (lambda: occlusion(score, obs, window=0), "window 0 is too small"),
        (lambda: rise(score, obs, keep=1.0), "keep 1 opens all cells or none"),
        (lambda: rise(score, obs, masks=0), "masks 0 is too small"),
        (lambda: rise(score, obs, cells=0), "cells 0 is too small"),
    ):
        with pytest.raises(UserError, match=message):
            call()
