"""Where a dial breaks a policy: standings against a naive paired interval, and the sentence of each shape of curve."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import Any

import pytest

from saccade.bench.dials import sentence_of_dial, sentences, standing
from saccade.bench.verdicts import STUDENT
from saccade.envs.dials import STRENGTHS, read_dials
from saccade.types import UserError

CLEAN = [10.0, 12.0, 9.0, 11.0, 10.0, 8.0]


def row(strength: float, returns: list[float], dial: str | None = "brightness", **more: Any) -> dict[str, Any]:
    return {"dial": dial if strength else None, "strength": strength, "returns": returns, **more}


def told(*curve: tuple[float, list[float]], clean: list[float] = CLEAN, **more: Any) -> str:
    return sentence_of_dial("brightness", row(0, clean), [row(strength, seen, **more) for strength, seen in curve])


def scaled(by: float) -> list[float]:
    return [by * one for one in CLEAN]


@pytest.mark.parametrize("share", [1.0, 0.95, 0.9, 0.88, 0.7, 0.5, 0.45, 0.0])
@pytest.mark.parametrize("noise", [0.0, 0.3, 4.0])
def test_a_standing_is_the_paired_interval(share: float, noise: float) -> None:
    jitter = [noise * one for one in (1, -1, 2, -2, 0.5, -0.5)]
    seen = [share * one + by for one, by in zip(CLEAN, jitter, strict=True)]

    def bounds(part: float) -> tuple[float, float]:
        differences = [after - part * before for before, after in zip(CLEAN, seen, strict=True)]
        half = STUDENT[4] * stdev(differences) / math.sqrt(6)
        return fmean(differences) - half, fmean(differences) + half

    (low, high), (_, half_high) = bounds(0.9), bounds(0.5)
    expected = "kept" if low >= 0 else "half" if half_high <= 0 else "lost" if high < 0 else "unclear"
    assert standing(CLEAN, seen) == expected


def test_pairs_tell_what_the_two_means_do_not() -> None:
    spread = [30.0, 100.0, 35.0, 80.0, 40.0, 90.0]  # so wide that unpaired intervals overlap
    assert standing(spread, [0.7 * one for one in spread]) == "lost"
    assert standing(spread[:4], spread[:4]) == "unclear"  # four episodes


def test_returns_that_are_losses_have_room_and_no_shares() -> None:
    losses = [-20.0, -21.0, -19.0, -20.0, -21.0]
    assert standing(losses, losses) == "kept"
    assert standing(losses, [one - 1 for one in losses]) == "kept"  # a tenth of 20.2 is 2.02
    assert standing(losses, [one - 3 for one in losses]) == "lost"
    sentence = told((0.5, [one - 3 for one in losses]), clean=losses)
    assert "does not keep its return of −20 even at 0.5" in sentence and "%" not in sentence


def test_the_sentence_says_where_it_breaks() -> None:
    kept, most, few = scaled(0.97), scaled(0.7), scaled(0.3)
    assert told((0.2, kept), (0.4, kept), (0.6, few)) == (
        "Under brightness this policy keeps nine tenths of its return up to 0.4; at 0.6 half of it is gone (3 of 10)."
    )
    assert told((0.4, kept), (0.6, most), (0.8, few)) == (
        "Under brightness this policy keeps nine tenths of its return up to 0.4; at 0.6 it gets 70 % of it (7 of 10); "
        "at 0.8 half of it is gone (3 of 10)."
    )
    assert told((0.5, kept), (1, kept)) == (
        "Under brightness this policy keeps nine tenths of its return up to 1, the strongest that was played."
    )
    assert told((0.1, scaled(0)), (1, scaled(0))) == (
        "Under brightness this policy does not keep nine tenths of its return even at 0.1, the weakest that was "
        "played; at 0.1 all of it is gone (0 of 10)."
    )
    assert "at 1 it keeps nine tenths" in told((0.25, kept), (0.5, few), (1, kept))


def test_it_is_careful() -> None:
    noisy = [0.0, 20.0, 3.0, 18.0, 1.0, 16.0]
    assert told((0.5, noisy), (1, noisy)) == (
        "Under brightness, 6 episodes are too few to tell whether this policy keeps nine tenths of its return at 0.5 "
        "and 1."
    )
    assert told((0.2, scaled(0.97)), (0.5, noisy), (1, scaled(0.1))).endswith(
        "; at 0.5, 6 episodes are too few to tell; at 1 half of it is gone (1 of 10)."
    )
    assert "4 episodes are too few, play 5 or more" in told((1, CLEAN[:4]), clean=CLEAN[:4])
    assert "there is nothing to lose" in told((1, [0.0] * 6), clean=[0.0] * 6)
    assert "nothing is tested" in told((1, CLEAN), changed_pixels=0.001)
    assert sentences([row(0.5, CLEAN)]) == []


def test_dials_as_they_are_typed() -> None:
    assert read_dials([["brightness", "1", "0", "0.30", "0.3"], ["noise"]]) == {
        "brightness": (0, 0.3, 1),
        "noise": STRENGTHS,
    }
    assert read_dials([["brightness", "0.5", "noise", "-0"]]) == {"brightness": (0.5,), "noise": (0,)}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["brightness", "1.5"], "brightness 1.5: a strength lies from 0"),
        (["brightness", "-0.1"], "a strength lies from 0"),
        (["brightness", "nan"], "a strength lies from 0"),
        (["brightnes", "0.5"], "There is no dial 'brightnes': did you mean brightness"),
        (["0.5"], "begins with a name"),
        (["brightness:0.5"], "write the strengths after the name"),
        (["noise", "noise"], "names noise twice"),
        ([], "needs a name"),
    ],
)
def test_what_is_no_dial(words: list[str], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        read_dials([words])
