"""Saliency scores beside success: whose numbers are paired, what is said of them, and where a report shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from saccade.bench.associations import Association, associations_of, sentences
from saccade.bench.comparison import Line, lines_of, with_means
from saccade.bench.outcomes import Outcome
from saccade.bench.printed import correlated
from saccade.viewer import experiment_associations
from saccade.viewer.experiment import Experiment, write_experiment
from saccade.viewer.experiment_associations import associations
from saccade.viewer.page import Picture, Table, Text

TASK = "minigrid/red_fetch_green"
SCORE = "area_under_roc:gradient"
ARMS = {"ppo": 0.5, "sg_ppo": 0.7}
SEEDS = range(5)


def outcome(arm: str, seed: int, measure: str, value: float, mode: str = "train", **changes: Any) -> Outcome:
    given: dict[str, Any] = {"env_steps": 100, "version": "saccade 0.1.0"}
    if ":" not in measure:
        given |= {"version": "saccade 0.1.0, minigrid 3.1.0", "count": 50, "setting": "64 px"}
    return Outcome(arm, TASK, seed, measure, mode, value, **{**given, **changes})


def measured(scores: tuple[str, ...] = (SCORE,), modes: tuple[str, ...] = ("train", "noise")) -> list[Outcome]:
    """Runs that succeed more in noise the better their maps score, while all do equally well in train."""
    found = []
    for arm, level in ARMS.items():
        for seed in SEEDS:
            found += [outcome(arm, seed, score, level + seed / 100, better="higher") for score in scores]
            for mode in modes:
                value = 0.9 if mode == "train" else level + seed / 50
                found += [outcome(arm, seed, "success", value, mode), outcome(arm, seed, "return", -value, mode)]
    return found


def lines(outcomes: list[Outcome]) -> list[Line]:
    return lines_of(outcomes)


def test_each_runs_score_stands_beside_its_success_in_every_mode() -> None:
    train, noise = associations_of(lines(measured()))
    assert (train.measure, train.mode, noise.mode, noise.score, noise.better) == (
        "success", "train", "noise", SCORE, "higher",
    )  # fmt: skip
    assert list(zip(noise.arms, noise.seeds, noise.scores, noise.values, strict=True)) == [
        (arm, seed, level + seed / 100, level + seed / 50) for arm, level in ARMS.items() for seed in SEEDS
    ]
    assert train.correlation is None, "what all runs do equally well goes together with nothing"
    assert noise.correlation is not None and noise.correlation.within is not None
    assert noise.correlation.spearman.value == pytest.approx(1)
    assert noise.correlation.within.value == pytest.approx(1)
    assert noise.by_arm["ppo"] == ([0.5 + seed / 100 for seed in SEEDS], [0.5 + seed / 50 for seed in SEEDS])


def test_a_task_without_success_has_its_return_beside() -> None:
    outcomes = [one for one in measured() if one.measure != "success"]
    assert {one.measure for one in associations_of(lines(outcomes))} == {"return"}


def test_runs_without_a_score_baselines_and_averages_are_left_out() -> None:
    outcomes = [one for one in measured() if one.measure != SCORE or one.seed != 2]
    outcomes += [outcome("ppo", seed, "area_under_roc:baseline: center", 0.5 + seed / 9) for seed in SEEDS]
    found = associations_of(lines(with_means(outcomes)))
    assert {one.score for one in found} == {SCORE}
    assert all(2 not in one.seeds and len(one.seeds) == 8 for one in found)
    tests = [outcome("ppo", seed, "success", 0.1 * seed, f"test{n}") for seed in SEEDS for n in (1, 2, 3)]
    assert {one.mode for one in associations_of(lines(with_means([*outcomes, *tests])))} == {
        "train", "noise", "test1", "test2", "test3",
    }  # fmt: skip


@pytest.mark.parametrize("other", [{"setting": "84 px"}, {"sampled": True}, {"version": "saccade 0.2.0"}])
def test_what_was_measured_otherwise_is_not_mixed_in(other: dict[str, Any]) -> None:
    outcomes = measured(modes=("noise",))
    outcomes += [outcome("dqn", seed, SCORE, 0.1) for seed in SEEDS]
    outcomes += [outcome("dqn", seed, "success", 0.1, "noise", **other) for seed in SEEDS]
    found = associations_of(lines(outcomes))
    assert all(set(one.arms) in ({"ppo", "sg_ppo"}, {"dqn"}) for one in found)
    assert any(set(one.arms) == {"ppo", "sg_ppo"} for one in found)


def test_a_run_that_was_trained_further_is_no_pair_with_what_it_was_before() -> None:
    outcomes = [outcome("ppo", 0, SCORE, 0.5), outcome("ppo", 0, "success", 0.9, env_steps=200)]
    assert associations_of(lines(outcomes)) == []


def test_what_is_said_names_the_strongest_and_warns_of_many() -> None:
    sentence = " ".join(sentences(associations_of(lines(measured()))))
    assert "Of 1 pairs" in sentence and "1 have an interval" in sentence
    assert "the higher area under roc of gradient, the more success in noise (Spearman 1.00 [" in sentence
    assert "10 runs" in sentence
    few = associations_of(lines([one for one in measured() if one.seed == 0]))
    assert list(sentences(few)) == [
        "No correlation can be given: there are fewer than three runs with both, or one of the two is the same in all "
        "of them."
    ]


def test_what_only_methods_differ_by_is_told() -> None:
    outcomes = []
    for arm, level in ARMS.items():
        for seed, (x, y) in enumerate(((0, 2), (1, 1), (2, 0), (1, 2), (2, 1))):
            outcomes.append(outcome(arm, seed, SCORE, level + x / 100))
            outcomes.append(outcome(arm, seed, "success", level + y / 100, "noise"))
    (found,) = associations_of(lines(outcomes))
    assert found.correlation is not None and found.correlation.spearman.is_certain
    assert "Within methods nothing of it is left" in " ".join(sentences([found]))


def test_the_page_and_the_text_have_all_coefficients(tmp_path: Path) -> None:
    found = associations_of(lines(measured(scores=(SCORE, "insertion:gradient"))))
    sections = list(associations(found))
    (table,) = (one for one in sections if isinstance(one, Table))
    assert [row[0] for row in table.rows] == [f"{one.name}, {one.mode}" for one in found]
    assert table.rows[1][1].startswith("1.00 [")  # type: ignore[union-attr]
    charts = [one for one in sections if isinstance(one, Picture)]
    assert len(charts) == 2 and "over area under roc of gradient" in charts[0].alt
    rows = correlated(found).rows
    assert rows[0] == ("area under roc of gradient", "train", "–", "–", "–", "10")
    assert rows[1][2] == table.rows[1][1]
    write_experiment(tmp_path / "page.html", Experiment("x", "X", "", [], 10, 10, associations=found))
    page = (tmp_path / "page.html").read_text()
    assert "Do better maps go with better behaviour?" in page and "the more success in noise" in page


def test_many_scores_have_charts_of_the_strongest_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment_associations, "MOST_CHARTS", 2)
    scores = tuple(f"metric_{n}:gradient" for n in range(3))
    sections = list(associations(associations_of(lines(measured(scores, ("noise",))))))
    assert sum(isinstance(one, Picture) for one in sections) == 2
    assert "have a chart, of 3." in next(one.text for one in sections[::-1] if isinstance(one, Text))


def test_nothing_scored_has_no_section() -> None:
    assert list(associations(associations_of(lines(measured(scores=()))))) == []


def test_a_name_says_where_maps_were_scored() -> None:
    one = Association(TASK, "auc:grad_cam", "noise", "success", "train", "", None, ("a",), (0,), (0.1,), (0.2,))
    assert one.name == "auc of grad cam in noise"
    assert one.correlation is None
