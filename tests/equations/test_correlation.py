"""Correlations of runs, against hand arithmetic, loops and SciPy."""

import numpy as np
import pytest

from saccade.bench import correlation as correlations
from saccade.bench import resampling
from saccade.bench.correlation import correlation, pearson, ranks, spearman


def related(count, seed=0, strength=0.7):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=count)
    return x, strength * x + (1 - strength) * generator.normal(size=count)


class TestCoefficients:
    def test_equal_numbers_share_the_mean_of_their_ranks(self):
        # 1 is first, the two 2s are second and third, 7 is fourth.
        assert ranks(np.array([2.0, 7.0, 1.0, 2.0])).tolist() == [2.5, 4.0, 1.0, 2.5]

    def test_pearson_by_hand(self):
        # Deviations -1, 0, 1 and -2, 1, 1: products 2 + 0 + 1 = 3, squares 2 and 6: 3 / sqrt(12).
        assert pearson(np.array([1.0, 2, 3]), np.array([0.0, 3, 3])) == pytest.approx(3 / 12**0.5)

    def test_spearman_sees_order_alone(self):
        x = np.array([0.1, 0.2, 0.5, 3.0])
        assert spearman(x, np.exp(x)) == pytest.approx(1)
        assert spearman(x, -(x**3)) == pytest.approx(-1)
        assert pearson(x, np.exp(x)) < 1

    @pytest.mark.parametrize("count", [3, 4, 9, 40])
    def test_both_are_those_of_scipy_with_ties_too(self, count):
        scipy_stats = pytest.importorskip("scipy.stats")
        x, y = related(count, count)
        for one, other in ((x, y), (np.round(x, 0) + np.arange(count) % 2, np.round(2 * y))):
            assert pearson(one, other) == pytest.approx(scipy_stats.pearsonr(one, other).statistic)
            assert spearman(one, other) == pytest.approx(scipy_stats.spearmanr(one, other).statistic)

    def test_many_draws_at_once_are_one_after_the_other(self):
        generator = np.random.default_rng(1)
        x, y = generator.integers(0, 4, size=(2, 30, 6)).astype(float)
        for statistic in (pearson, spearman):
            alone = [float(statistic(a, b)) for a, b in zip(x, y, strict=True)]
            np.testing.assert_allclose(statistic(x, y), alone)

    @pytest.mark.parametrize("same", [0.1, 1e9, 0.0])
    def test_what_is_the_same_everywhere_correlates_with_nothing(self, same):
        x = np.full(7, same)
        assert np.isnan(pearson(x, np.arange(7.0)))
        assert np.isnan(spearman(np.arange(7.0), x))
        assert correlation(x, np.arange(7.0)) is None


class TestIntervals:
    @pytest.mark.parametrize("name", ["pearsonr", "spearmanr"])
    def test_of_one_group_they_are_the_percentile_bootstrap_of_scipy(self, name):
        scipy_stats = pytest.importorskip("scipy.stats")
        x, y = related(15, 4)
        theirs = scipy_stats.bootstrap(
            (x, y),
            lambda a, b: getattr(scipy_stats, name)(a, b).statistic,
            paired=True,
            vectorized=False,
            method="percentile",
            n_resamples=3_000,
            rng=np.random.default_rng(0),
        ).confidence_interval
        ours = getattr(correlation(x, y, repetitions=20_000), name.removesuffix("r"))
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)

    def test_runs_are_drawn_within_their_group(self):
        # The groups' means differ by 100 in both: whichever runs are drawn, the coefficient is nearly 1.
        x = np.array([0.0, 1, 2, 0, 100, 101, 102, 100])
        y = np.array([2.0, 0, 1, 1, 101, 102, 100, 101])
        found = correlation(x, y, list("aaaabbbb"))
        assert found.pearson.low > 0.99
        assert found.within.high < 0.99 and found.within.value < 0

    def test_within_groups_by_hand(self):
        # Of a, deviations -1, 1 and -2, 2; of b -3, 3 and 1, -1. Products 2 + 2 - 3 - 3 = -2, squares 20 and 10.
        found = correlation([0, 2, 10, 16], [1, 5, 8, 6], ["a", "a", "b", "b"])
        assert found.within.value == pytest.approx(-2 / (20 * 10) ** 0.5)
        assert found.within.low is None, "two runs of each are too few"

    def test_the_order_of_runs_changes_no_coefficient(self):
        x, y = related(12, 5)
        groups = np.array(list("abcabcabcabc"))
        mixed = np.random.default_rng(0).permutation(12)
        first, second = correlation(x, y, groups.tolist()), correlation(x[mixed], y[mixed], groups[mixed].tolist())
        for name in ("pearson", "spearman", "within"):
            assert getattr(first, name).value == pytest.approx(getattr(second, name).value)

    def test_groups_that_do_not_differ_within_themselves_have_nothing_within(self):
        found = correlation([0.1, 0.1, 0.7, 0.7, 0.3], [1, 2, 3, 4, 5], list("aabbc"))
        assert found.within is None and found.spearman.value > 0

    def test_draws_without_a_coefficient_are_left_out(self):
        # Four of five are alike: a third of all draws holds nothing else.
        found = correlation([0, 0, 0, 0, 1], [1.0, 2, 3, 4, 9])
        assert -1 <= found.pearson.low <= found.pearson.high <= 1

    def test_few_runs_have_a_coefficient_without_an_interval_or_none(self):
        assert correlation([1, 2], [1, 2]) is None
        found = correlation([1, 2, 3, 4], [2, 4, 5, 9])
        assert found.runs == 4 and found.pearson.low is None and not found.pearson.is_certain
        assert found.spearman.text() == "1.00 (no interval)"
        assert correlation([1, 2, 3, 4, 5], [2, 4, 5, 9, 9]).pearson.is_certain

    def test_the_same_seed_gives_the_same_interval_and_pieces_change_nothing(self, monkeypatch):
        x, y = related(9)
        first = correlation(x, y, repetitions=400)
        monkeypatch.setattr(correlations.resampling, "AT_ONCE", 9 * 9 * 50)
        assert correlation(x, y, repetitions=400) == first
        assert resampling.AT_ONCE == 9 * 9 * 50

    @pytest.mark.parametrize(
        ("x", "y", "groups"), [([1, 2, 3], [1, 2], None), ([1, 2, 3], [1, 2, np.nan], None), ([1, 2], [1, 2], ["a"])]
    )
    def test_numbers_that_do_not_pair_are_refused(self, x, y, groups):
        with pytest.raises(ValueError, match=r"run|finite"):
            correlation(x, y, groups)
