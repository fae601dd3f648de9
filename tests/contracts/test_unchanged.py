"""Modes that change next to nothing are named, on the page and in the text."""

from __future__ import annotations

from pathlib import Path

from test_associations import outcome

from saccade.bench.outcomes import Outcome
from saccade.bench.unchanged import unchanged
from saccade.viewer.experiment import Experiment, write_experiment


def runs(mode: str, values: tuple[float, ...], **changes: object) -> list[Outcome]:
    return [
        outcome("ppo", seed, "return", value, mode, run=f"task/ppo/{seed}", **changes)
        for seed, value in enumerate(values)
    ]


def test_a_mode_whose_pictures_are_those_of_training_is_named() -> None:
    (told,) = unchanged([*runs("train", (0.5, 0.9)), *runs("hue", (0.4, 0.9), changed=0.0001)])
    assert told.startswith("hue changes next to nothing in the pictures of minigrid/red_fetch_green (")
    assert "!" not in told
    assert list(unchanged([*runs("train", (0.5,)), *runs("hue", (0.4,), changed=0.4)])) == []


def test_a_mode_in_which_every_run_gets_what_it_gets_in_training_is_named() -> None:
    same = [*runs("train", (0.5, 0.9)), *runs("test1", (0.5, 0.9), data="generated")]
    (told,) = unchanged(same)
    assert told == (
        "In test1 all 2 runs of minigrid/red_fetch_green get to the last digit what they get in train: the mode "
        "changed no episode."
    )
    (told,) = unchanged([*runs("train", (0.5,)), *runs("test1", (0.5,))])
    assert "In test1 the one run of minigrid/red_fetch_green gets to the last digit what it gets in train" in told
    assert list(unchanged([*runs("train", (0.5, 0.9)), *runs("test1", (0.5, 0.8))])) == []
    assert list(unchanged([*runs("train", (0.5,), count=1), *runs("test1", (0.5,), count=1)])) == []


def test_where_there_is_nothing_to_lose_that_is_said() -> None:
    (told,) = unchanged([*runs("train", (0.0, 0.0)), *runs("noise", (0.0, 0.0))])
    assert "get 0: there is no return that the mode could take" in told


def test_the_page_says_it(tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    write_experiment(place, Experiment("x", "X", "", [], 1, 1, unchanged=["hue changes nothing."]))
    assert "Modes that change next to nothing" in place.read_text() and "hue changes nothing." in place.read_text()
    write_experiment(place, Experiment("x", "X", "", [], 1, 1))
    assert "Modes that change next to nothing" not in place.read_text()
