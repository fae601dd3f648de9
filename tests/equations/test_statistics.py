"""Statistics of score matrices, against hand arithmetic, loops, SciPy, and the numbers that rliable gave."""

import numpy as np
import pytest

from saccade.bench import resampling
from saccade.bench import statistics as stats

# rliable 1.2.0 with 50,000 repetitions of its stratified bootstrap on the matrix below.
RLIABLE_MATRIX = np.random.default_rng(0).normal(size=(10, 6))
RLIABLE_INTERVAL = (-0.172, 0.311)


def naive_interval(columns, statistic, repetitions, seed):
    """The stratified bootstrap as a loop: runs of each task are drawn with replacement, one repetition at a time."""
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(repetitions):
        values = []
        for column in columns:
            values += [column[generator.integers(len(column))] for _ in column]
        drawn.append(statistic(values))
    return np.quantile(drawn, (0.025, 0.975))


def naive_iqm(values):
    ordered = sorted(values)
    cut = len(ordered) // 4
    middle = ordered[cut : len(ordered) - cut]
    return sum(middle) / len(middle)


class TestStatistics:
    def test_mean_and_deviation_are_those_that_papers_print(self):
        # Means of seeds 1, 3, 5: mean 3, deviations -2, 0, 2, population variance 8 / 3.
        mean, deviation = stats.mean_and_deviation([1.0, 3.0, 5.0])
        assert mean == 3
        assert deviation == pytest.approx((8 / 3) ** 0.5)

    def test_interquartile_mean_leaves_out_a_quarter_at_either_end(self):
        # Eight numbers: 1 and 2 leave below, 40 and 100 above; the mean of 3, 4, 5, 8 is 5.
        assert stats.interquartile_mean(np.array([100.0, 3, 1, 5, 40, 2, 8, 4])) == 5

    @pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 30, 63])
    def test_interquartile_mean_is_the_trimmed_mean_of_scipy(self, count):
        scipy_stats = pytest.importorskip("scipy.stats")
        values = np.random.default_rng(count).normal(size=count)
        assert stats.interquartile_mean(values) == pytest.approx(scipy_stats.trim_mean(values, 0.25))
        assert stats.interquartile_mean(values) == pytest.approx(naive_iqm(values))

    def test_optimality_gap_counts_what_is_above_the_target_as_met(self):
        # 0.5 and 0.9 fall short by 0.5 and 0.1, 3.0 by nothing: 0.6 / 3.
        assert stats.optimality_gap(np.array([0.5, 0.9, 3.0])) == pytest.approx(0.2)


class TestEstimate:
    def test_the_interval_is_the_one_that_rliable_gave(self):
        found = stats.estimate(RLIABLE_MATRIX, repetitions=50_000)
        assert (found.low, found.high) == pytest.approx(RLIABLE_INTERVAL, abs=0.005)

    def test_the_interval_is_that_of_a_loop_with_tasks_of_different_numbers_of_runs(self):
        generator = np.random.default_rng(3)
        columns = [generator.normal(place, 1 + place, size=size) for place, size in enumerate((3, 5, 8))]
        matrix = np.full((8, 3), np.nan)
        for task, column in enumerate(columns):
            matrix[: len(column), task] = generator.permutation(column)
        low, high = naive_interval(columns, naive_iqm, 4_000, seed=1)
        found = stats.estimate(matrix, repetitions=20_000)
        assert found.value == pytest.approx(naive_iqm([value for column in columns for value in column]))
        assert (found.low, found.high) == pytest.approx((low, high), abs=0.06)
        assert found.seeds == 3

    def test_of_one_task_it_is_the_percentile_bootstrap_of_scipy(self):
        scipy_stats = pytest.importorskip("scipy.stats")
        values = np.random.default_rng(2).gamma(2.0, size=12)
        theirs = scipy_stats.bootstrap(
            (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(0)
        ).confidence_interval
        ours = stats.estimate(values, stats.mean, repetitions=20_000)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)

    def test_runs_stay_within_their_task(self):
        # Runs of a task are all alike, so that drawing them anew within it changes nothing.
        matrix = np.tile([0.0, 10.0, 500.0], (4, 1))
        found = stats.estimate(matrix, stats.mean)
        assert (found.low, found.high) == (found.value, found.value) == (170, 170)

    def test_two_seeds_have_no_interval_and_say_so(self):
        found = stats.estimate([[400.0, 2.0, 3.0], [500.0, 4.0, np.nan]], stats.mean)
        assert found.low is None
        assert found.high is None
        assert found.text(1) == "181.8 (1 seed, and an interval takes 3)"
        assert "2 seeds" in stats.estimate([1.0, 2.0]).text()
        assert stats.estimate([1.0, 2.0, 3.0]).low is not None

    def test_the_same_seed_gives_the_same_interval_and_pieces_change_nothing(self, monkeypatch):
        first = stats.estimate(RLIABLE_MATRIX, repetitions=500)
        monkeypatch.setattr(resampling, "AT_ONCE", 60 * 7)
        assert stats.estimate(RLIABLE_MATRIX, repetitions=500) == first

    def test_a_difference_of_a_method_from_itself_holds_zero(self):
        generator = np.random.default_rng(0)
        ours, theirs = generator.normal(size=(6, 4)), generator.normal(1.5, size=(5, 4))
        same = stats.difference(ours, ours)
        assert same.value == 0
        assert same.low < 0 < same.high
        less = stats.difference(ours, theirs)
        assert less.high < 0
        assert stats.difference(ours, theirs[:2]).low is None


class TestImprovement:
    def test_by_hand(self):
        # 1 beats nothing of (1, 2), but ties one: 0.5. 3 beats both. Together 2.5 of 4.
        assert stats.probability_of_improvement([1.0, 3.0], [1.0, 2.0]).value == 2.5 / 4

    def test_it_is_the_rank_test_of_scipy_averaged_over_tasks(self):
        scipy_stats = pytest.importorskip("scipy.stats")
        generator = np.random.default_rng(5)
        ours, theirs = generator.integers(0, 9, (7, 3)).astype(float), generator.integers(0, 9, (5, 3)).astype(float)
        expected = np.mean(
            [scipy_stats.mannwhitneyu(ours[:, task], theirs[:, task]).statistic / 35 for task in range(3)]
        )
        assert stats.probability_of_improvement(ours, theirs).value == pytest.approx(expected)

    def test_its_interval_is_that_of_a_loop(self):
        generator = np.random.default_rng(6)
        ours, theirs = generator.normal(0.4, size=(6, 2)), generator.normal(size=(4, 2))
        drawn = []
        for _ in range(4_000):
            shares = []
            for task in range(2):
                left, right = generator.choice(ours[:, task], 6), generator.choice(theirs[:, task], 4)
                shares.append(np.mean([one > other for one in left for other in right]))
            drawn.append(np.mean(shares))
        found = stats.probability_of_improvement(ours, theirs)
        assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, (0.025, 0.975))), abs=0.03)

    def test_other_tasks_are_refused(self):
        with pytest.raises(ValueError, match="same tasks"):
            stats.probability_of_improvement(np.zeros((3, 2)), np.zeros((3, 1)))


class TestProfile:
    def test_shares_above_thresholds_and_their_band(self):
        matrix = np.random.default_rng(7).normal(size=(5, 3))
        thresholds = np.linspace(-2, 2, 9)
        band = stats.performance_profile(matrix, thresholds)
        assert band.value == pytest.approx([(matrix > threshold).mean() for threshold in thresholds])
        low, high = naive_interval(matrix.T, lambda values: np.mean(np.array(values) > thresholds[4]), 4_000, seed=0)
        assert (band.low[4], band.high[4]) == pytest.approx((low, high), abs=0.07)
        assert stats.performance_profile(matrix[:2], thresholds).low is None


class TestLearningCurves:
    RUNS = (([0, 10, 20], [0.0, 10, 20]), ([0, 5, 20], [0.0, 0, 30]), ([0, 20], [10.0, 10]))

    def test_runs_are_read_between_their_points_and_nowhere_else(self):
        found = stats.along(self.RUNS[:2], [0, 5, 12.5, 20, 21])
        # The second rises by 30 over 15 steps after 5: at 12.5 it is 15.
        assert found[:, :4].tolist() == [[0, 5, 12.5, 20], [0, 0, 15, 30]]
        assert np.isnan(found[:, 4]).all()

    def test_means_and_bands(self):
        band = stats.learning_curve(self.RUNS, [0, 20], repetitions=5_000)
        assert band.value == pytest.approx([10 / 3, 20])
        # Three runs of 0, 0, 10: all three draws are 10 in one of 27 repetitions, so in more than 2.5 of 100.
        assert (band.low[0], band.high[0]) == (0, 10)
        assert band.seeds == 3

    def test_the_places_are_what_all_runs_have(self):
        band = stats.learning_curve([([2, 10], [0.0, 1]), ([0, 8], [0.0, 1])], most_places=4)
        assert band.places.tolist() == [2, 4, 6, 8]
        assert band.low is None
        assert band.seeds == 2

    def test_runs_that_never_meet_are_refused(self):
        with pytest.raises(ValueError, match="in common"):
            stats.learning_curve([([0, 1], [0.0, 0]), ([5, 6], [0.0, 0])])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([], "at least one number"),
        (np.zeros((2, 2, 2)), "matrix"),
        ([[1.0, np.nan], [2.0, np.nan]], "task 1 has no run"),
        ([1.0, np.inf], "finite"),
    ],
)
def test_what_is_no_score_matrix_is_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        stats.estimate(values)
