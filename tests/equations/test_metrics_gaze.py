"""Scores against gaze: by hand, and against loops in NumPy written from the FLS paper's procedure."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from saccade.metrics.gaze import (
    auc_judd,
    blurred,
    correlation_coefficient,
    fixations_elsewhere,
    kl_divergence,
    nss,
    shuffled_auc,
    similarity,
)
from saccade.types import UserError

EVERY = [nss, kl_divergence, auc_judd, correlation_coefficient, similarity]


def frames(seed: int, shape: tuple[int, int, int] = (3, 24, 17)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps, fixation counts and those of other frames. Maps have ties, and are positive."""
    rng = np.random.default_rng(seed)
    maps = np.round(rng.random(shape), 1) + 0.05
    return maps, rng.poisson(0.05, shape).astype(float), rng.poisson(0.1, shape).astype(float)


def tensors(*arrays: np.ndarray) -> list[Tensor]:
    return [torch.from_numpy(array) for array in arrays]


def naive_blur(counts: np.ndarray, sigma: float) -> np.ndarray:
    """Loops over pixels and offsets; pixels outside are found by walking back and forth inside."""
    radius = (round(8 * sigma + 1) | 1) // 2
    kernel = np.array([math.exp(-(offset**2) / (2 * sigma**2)) for offset in range(-radius, radius + 1)])
    kernel /= kernel.sum()

    def inside(index: int, length: int) -> int:
        while length > 1 and not 0 <= index < length:
            index = -index if index < 0 else 2 * (length - 1) - index
        return index if length > 1 else 0

    def lines(image: np.ndarray) -> np.ndarray:
        out = np.zeros_like(image)
        for place in range(image.shape[1]):
            for offset, weight in zip(range(-radius, radius + 1), kernel, strict=True):
                out[:, place] += weight * image[:, inside(place + offset, image.shape[1])]
        return out

    return lines(lines(counts).T).T


def naive_auc(positives: list[float], negatives: list[float]) -> float:
    return float(np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in positives for b in negatives]))


def samples(saliency: np.ndarray, counts: np.ndarray) -> list[float]:
    """Saliency at each gaze sample, with multiplicity."""
    return [value for value, count in zip(saliency.flat, counts.flat, strict=True) for _ in range(int(count))]


def test_nss_by_hand() -> None:
    # Mean 2, deviation sqrt((4 + 0 + 0 + 4) / 4) = sqrt 2. Gaze twice on 4 and once on 2: (2 * 2 + 0) / 3 / sqrt 2.
    saliency, fixations = torch.tensor([[[0.0, 2, 2, 4]]]), torch.tensor([[[0, 1, 0, 2]]])
    assert nss(saliency, fixations).item() == pytest.approx(4 / 3 / math.sqrt(2))


def test_nss_equals_loops() -> None:
    maps, gaze, _ = frames(0)
    expected = [np.mean([(v - m.mean()) / m.std() for v in samples(m, g)]) for m, g in zip(maps, gaze, strict=True)]
    assert np.allclose(nss(*tensors(maps, gaze)).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(("height", "width", "sigma"), [(30, 26, 5.0), (9, 1, 5.0), (4, 7, 2.0), (6, 5, 0.3)])
def test_blur_equals_loops(height: int, width: int, sigma: float) -> None:
    counts = np.random.default_rng(1).poisson(0.3, (2, height, width)).astype(float)
    expected = np.stack([naive_blur(image, sigma) for image in counts])
    assert np.allclose(blurred(torch.from_numpy(counts), sigma).numpy(), expected, atol=1e-14)


def test_blur_has_opencvs_window_of_41_pixels() -> None:
    fixations = torch.zeros(1, 1, 101)
    fixations[0, 0, 50] = 1
    reached = blurred(fixations)[0, 0].nonzero().flatten()
    assert (reached.min().item(), reached.max().item()) == (30, 70)


def test_kl_equals_loops() -> None:
    maps, gaze, _ = frames(2)
    expected = []
    for saliency, counts in zip(maps, gaze, strict=True):
        people, policy = naive_blur(counts, 5.0), saliency / saliency.sum()
        people /= people.sum()
        terms = [p * math.log(p / q) for p, q in zip(people.flat, policy.flat, strict=True) if p > 0]
        expected.append(sum(terms))
    assert np.allclose(kl_divergence(*tensors(maps, gaze)).numpy(), expected, rtol=1e-10)


def test_kl_of_a_constant_map_is_what_looking_nowhere_costs() -> None:
    # With a blur of nearly nothing, gaze on one of 4 pixels: log 4 nats.
    fixations = torch.tensor([[[1, 0, 0, 0]]])
    assert kl_divergence(torch.ones(1, 1, 4), fixations, sigma=0.1).item() == pytest.approx(math.log(4))


def test_kl_is_undefined_where_gaze_meets_no_saliency() -> None:
    fixations = torch.zeros(3, 1, 60)
    fixations[:, 0, 5] = 1  # reaches pixels 0 to 25
    saliency = torch.ones(3, 1, 60)
    saliency[0, 0, 25] = 0
    saliency[1, 0, 26:] = 0
    saliency[2, 0, 25] = 1e-9  # as good as zero
    assert kl_divergence(saliency, fixations).isnan().tolist() == [True, False, True]


def test_auc_judd_compares_all_pairs() -> None:
    maps, gaze, _ = frames(3, (3, 6, 7))
    gaze[:, 0, 0] = 2
    expected = [naive_auc(list(m[g > 0]), list(m[g == 0])) for m, g in zip(maps, gaze, strict=True)]
    assert np.allclose(auc_judd(*tensors(maps, gaze)).numpy(), expected, rtol=1e-12)


def test_shuffled_auc_compares_all_pairs_of_gaze_samples() -> None:
    maps, gaze, others = frames(4)
    expected = [
        naive_auc(samples(m, g), samples(m, o)) for m, g, o in zip(maps, gaze, others, strict=True)
    ]  # the expectation of drawing negatives with replacement
    assert np.allclose(shuffled_auc(*tensors(maps, gaze, others)).numpy(), expected, rtol=1e-12)


def test_drawn_splits_scatter_around_the_expectation() -> None:
    maps, gaze, others = frames(5)
    given = tensors(maps, gaze, others)
    exact = shuffled_auc(*given)
    drawn = torch.stack([shuffled_auc(*given, splits=20, seed=seed) for seed in range(60)])
    assert torch.equal(drawn[1], shuffled_auc(*given, splits=20, seed=1))
    for index, (saliency, looked_at, elsewhere) in enumerate(zip(maps, gaze, others, strict=True)):
        positives, negatives = samples(saliency, looked_at), samples(saliency, elsewhere)
        wins = [naive_auc(positives, [negative]) for negative in negatives]
        error = np.std(wins) / math.sqrt(20 * len(positives))  # of the mean over 20 splits
        assert drawn[:, index].std().item() == pytest.approx(error, rel=0.3)
        assert drawn[:, index].mean().item() == pytest.approx(exact[index].item(), abs=4 * error / math.sqrt(60))
        alone = shuffled_auc(*(values[index : index + 1] for values in given), splits=20, seed=7)
        assert alone.item() == drawn[7, index].item(), "the draws of a frame depend on the frames beside it"


def test_shuffled_auc_does_not_reward_the_centre() -> None:
    # People look at pixel 2 now and always; the map that knows it gets 0.5, and from Judd's 1.
    fixations = torch.tensor([[[0, 0, 3, 0, 0]]])
    saliency = torch.tensor([[[0.0, 1, 2, 1, 0]]])
    assert shuffled_auc(saliency, fixations, 4 * fixations).item() == 0.5
    assert auc_judd(saliency, fixations).item() == 1


def test_other_fixations_are_of_ten_other_frames() -> None:
    powers = 11.0 ** torch.arange(5)  # so that a sum of ten tells which frames it is of
    drawn = fixations_elsewhere(powers[:, None, None])[:, 0, 0]
    for own, total in enumerate(drawn.tolist()):
        digits = [int(total) // 11**place % 11 for place in range(5)]
        assert sum(digits) == 10 and digits[own] == 0
    assert torch.equal(drawn, fixations_elsewhere(powers[:, None, None])[:, 0, 0])
    counts = fixations_elsewhere(powers[:, None, None], num_others=4000)[0, 0, 0].item()
    assert counts != fixations_elsewhere(powers[:, None, None], num_others=4000, seed=1)[0, 0, 0].item()
    assert fixations_elsewhere(torch.ones(1, 2, 2)).sum() == 0


def test_correlation_coefficient_and_similarity_equal_loops() -> None:
    maps, gaze, _ = frames(6)
    people = [naive_blur(counts, 5.0) for counts in gaze]
    correlations = [np.corrcoef(m.ravel(), p.ravel())[0, 1] for m, p in zip(maps, people, strict=True)]
    assert np.allclose(correlation_coefficient(*tensors(maps, gaze)).numpy(), correlations, rtol=1e-10)
    common = [
        sum(min(a, b) for a, b in zip((m / m.sum()).flat, (p / p.sum()).flat, strict=True))
        for m, p in zip(maps, people, strict=True)
    ]
    assert np.allclose(similarity(*tensors(maps, gaze)).numpy(), common, rtol=1e-12)


@pytest.mark.parametrize("metric", [*EVERY, shuffled_auc], ids=lambda metric: metric.__name__)
def test_frames_without_gaze_and_dead_maps_are_undefined(metric) -> None:
    maps, gaze, others = tensors(*frames(7))
    gaze[0] = 0
    maps[1] = 0
    given = (maps, gaze, others) if metric is shuffled_auc else (maps, gaze)
    assert metric(*given).isnan().tolist() == [True, True, False]


def test_what_else_is_undefined() -> None:
    maps, gaze, others = tensors(*frames(8))
    maps[0] = 0.1
    for metric in (nss, auc_judd, correlation_coefficient):
        assert metric(maps, gaze).isnan().tolist() == [True, False, False]
    others[1] = 0
    assert shuffled_auc(maps, gaze, others).isnan().tolist() == [True, True, False]
    assert shuffled_auc(maps, gaze, others, splits=3).isnan().tolist() == [True, True, False]
    assert auc_judd(maps, torch.ones_like(gaze)).isnan().all()


def test_a_map_of_tiny_gradients_is_not_taken_for_a_constant_one() -> None:
    maps, gaze, others = tensors(*frames(9))
    for metric in EVERY:
        assert torch.allclose(metric(maps * 1e-30, gaze), metric(maps, gaze), rtol=1e-9)
    assert torch.allclose(shuffled_auc(maps * 1e-30, gaze, others), shuffled_auc(maps, gaze, others))


def test_wrong_numbers_are_told() -> None:
    maps, gaze, others = tensors(*frames(10))
    with pytest.raises(UserError, match="sigma is 0"):
        kl_divergence(maps, gaze, sigma=0.0)
    with pytest.raises(UserError, match="splits is 0"):
        shuffled_auc(maps, gaze, others, splits=0)
    with pytest.raises(UserError, match=r"map of other fixations has shape \(2,"):
        shuffled_auc(maps, gaze, others[:2])
    with pytest.raises(UserError, match="map of other fixations has a negative count"):
        shuffled_auc(maps, gaze, -1 - others)
