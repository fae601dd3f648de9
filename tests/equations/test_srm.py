"""SRM: the ring of frequencies against a naive Fourier transform in float64, how it is drawn, and what is augmented."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from saccade.agents import METHODS
from saccade.agents.methods.srm import augmented
from saccade.agents.parts.augmentation import Augmentation, make_augment, spectrum
from saccade.pixels.frequency import draw_ring, mask_spectrum
from saccade.types import Batch

RINGS = [(0.0, 0.05), (0.13, 0.17), (0.25, 0.3), (0.46, 0.5), (0.48, 0.53), (0.2, 0.2)]


def pixels(batch: int = 2, height: int = 12, width: int = 10) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (batch, 9, height, width), generator=generator).double()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def edges(low: float, high: float) -> tuple[Tensor, Tensor]:
    return torch.tensor(low), torch.tensor(high)


def waves(length: int) -> np.ndarray:
    """The matrix of the discrete Fourier transform."""
    steps = np.arange(length)
    return np.exp(-2j * np.pi * np.outer(steps, steps) / length)


def cycles(index: int, length: int) -> float:
    """Cycles per pixel of a coefficient, without its sign."""
    return min(index, length - index) / length


def naive(frame: np.ndarray, low: float, high: float) -> np.ndarray:
    """Colours, rows and columns of one frame transformed, coefficients of the ring set to zero, and back."""
    matrices = [waves(length) for length in frame.shape]
    found = np.einsum("cij,ac,bi,dj->abd", frame, *matrices)
    _, height, width = frame.shape
    for row in range(height):
        for column in range(width):
            farthest = max(round(cycles(row, height), 9), round(cycles(column, width), 9))
            if low <= farthest < high:
                found[:, row, column] = 0
    back = [matrix.conj() / len(matrix) for matrix in matrices]
    return np.einsum("cij,ac,bi,dj->abd", found, *back).real


@pytest.mark.parametrize(("low", "high"), RINGS)
@pytest.mark.parametrize(("height", "width"), [(12, 10), (10, 10), (7, 9)])
def test_masking_equals_a_naive_transform_of_colours_rows_and_columns(
    low: float, high: float, height: int, width: int
) -> None:
    obs = pixels(height=height, width=width)
    masked = mask_spectrum(obs, *edges(low, high))
    for sample in range(len(obs)):
        for frame in range(3):
            colours = slice(3 * frame, 3 * frame + 3)
            expected = naive(obs[sample, colours].numpy(), low, high)
            np.testing.assert_allclose(masked[sample, colours].numpy(), expected, atol=1e-9)


def test_float32_at_the_published_size_equals_float64() -> None:
    obs = pixels(batch=1, height=84, width=84)
    single = mask_spectrum(obs.float(), *edges(0.1, 0.14))
    torch.testing.assert_close(single.double(), mask_spectrum(obs, *edges(0.1, 0.14)), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("low", "high"), RINGS[:5])
def test_the_ring_has_no_energy_left_and_the_rest_keeps_its_own(low: float, high: float) -> None:
    obs = pixels(height=84, width=84)
    before, after = (torch.fft.fft2(pictures) for pictures in (obs, mask_spectrum(obs, *edges(low, high))))
    frequency = torch.fft.fftfreq(84, dtype=torch.float64).abs()
    farthest = torch.maximum(frequency[:, None], frequency[None, :])
    ring = (farthest > low - 1e-9) & (farthest < high - 1e-9)
    assert ring.any() and not ring.all()
    assert after[..., ring].abs().max() < 1e-6 < 1 < before[..., ring].abs().max()
    torch.testing.assert_close(after[..., ~ring], before[..., ~ring])


def test_a_ring_from_zero_removes_the_mean_and_nothing_is_clamped() -> None:
    obs = pixels()
    masked = mask_spectrum(obs, *edges(0.0, 0.01))
    torch.testing.assert_close(masked, obs - obs.mean((-2, -1), keepdim=True))
    assert masked.min() < 0


def test_a_ring_without_width_removes_nothing() -> None:
    torch.testing.assert_close(mask_spectrum(pixels(), *edges(0.3, 0.3)), pixels())


def test_every_sample_may_have_its_own_ring() -> None:
    obs = pixels()
    low, high = torch.tensor([0.0, 0.3]), torch.tensor([0.05, 0.35])
    masked = mask_spectrum(obs, low, high)
    for sample in range(2):
        alone = mask_spectrum(obs[sample : sample + 1], low[sample], high[sample])
        torch.testing.assert_close(masked[sample : sample + 1], alone)


def test_rings_are_drawn_in_hundredths_and_may_be_empty() -> None:
    drawn = torch.tensor([draw_ring(0.5, 0.05, generator(seed)) for seed in range(2000)], dtype=torch.float64)
    low, high = (100 * drawn).unbind(1)
    torch.testing.assert_close(low, low.round(), atol=1e-5, rtol=0)
    torch.testing.assert_close(high, high.round(), atol=1e-5, rtol=0)
    assert set(low.round().int().tolist()) == set(range(51))
    width = (high - low).round()
    assert set(width.int().tolist()) == set(range(6))
    # Rounding halves both ends: 0 and 5 hundredths are half as likely as 1 to 4.
    assert (width == 0).double().mean().item() == pytest.approx(0.1, abs=0.03)
    assert (width == 3).double().mean().item() == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (0.5, 0.45), (1.0, 0.9)])
def test_probability_is_of_a_whole_batch_and_an_empty_ring_leaves_it_alone(probability: float, share: float) -> None:
    # One width in ten is 0, and leaves observations as they are to the last bit.
    augment, obs = spectrum(probability, 0.5, 0.05), pixels().float()
    same = []
    for seed in range(400):
        kept = (augment(obs, generator(seed)) == obs).flatten(1).all(1)
        assert kept.all() or not kept.any(), "all samples, or none"
        same.append(bool(kept.all()))
    assert 1 - sum(same) / len(same) == pytest.approx(share, abs=0.06 if share > 0 else 0)


def test_srm_masks_both_observations_by_draws_of_their_own() -> None:
    obs = pixels().float()
    batch = Batch(obs, torch.zeros(2, 2), torch.zeros(2), torch.ones(2), obs)
    augment = make_augment(Augmentation("spectrum", spectrum_probability=1.0, spectrum_width=0.5), None)
    both, one = (augmented(augment, next_obs=wanted)(batch, generator(1)) for wanted in (True, False))
    assert not torch.equal(both.obs, obs) and not torch.equal(both.next_obs, obs)
    assert not torch.equal(both.obs, both.next_obs)
    assert torch.equal(one.obs, both.obs) and torch.equal(one.next_obs, obs)


def test_the_two_rows_of_the_table() -> None:
    srm, overlay = METHODS["srm"].config, METHODS["sac_overlay"].config
    assert (srm.strong.augmentation, srm.shift, srm.augment_next_obs) == ("spectrum", 4, True)
    assert (overlay.strong.augmentation, overlay.shift, overlay.augment_next_obs) == ("overlay", 0, False)
    assert not METHODS["srm"].overlays(srm) and METHODS["sac_overlay"].overlays(overlay)
