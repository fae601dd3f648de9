"""What a mode's returns say, by hand; and the sentence that says it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from saccade.bench.verdicts import (
    STUDENT,
    amount_text,
    interval_of,
    mode_text,
    sentence,
    sentence_of_episodes,
    share_text,
    verdict,
)


def row(mode: str, returns: list[float], changed: float | None = 0.5) -> dict[str, Any]:
    return {"mode": mode, "returns": returns, "changed_pixels": changed}


def test_the_interval_by_hand() -> None:
    """1, 2, 3, 4, 5: mean 3, standard deviation sqrt(2.5), 2.776 * sqrt(2.5 / 5) to each side."""
    found = interval_of([1, 2, 3, 4, 5])
    half = 2.776 * math.sqrt(0.5)
    assert (found.mean, found.count) == (3, 5)
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))
    one = interval_of([7.0])
    assert (one.mean, one.low, one.high) == (7, -math.inf, math.inf)


def test_quantiles_are_those_of_the_distribution() -> None:
    """Found again by integrating the density of Student's t numerically."""
    for freedom in (1, 2, 5, 9, 30):
        edges = np.linspace(0, STUDENT[freedom - 1], 20001)
        density = (1 + edges**2 / freedom) ** (-(freedom + 1) / 2)
        scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
        inside = float(np.trapezoid(density, edges)) * scale
        assert inside == pytest.approx(0.475, abs=2e-4)
    many = interval_of([0.0, 1.0] * 50)  # 99 degrees of freedom: 1.9842
    assert many.high - many.mean == pytest.approx(1.9842 * np.std([0.0, 1.0] * 50, ddof=1) / 10, rel=1e-3)


STEADY = [29.0, 28.0, 30.0, 29.0, 29.0, 28.0, 30.0, 29.0, 29.0, 29.0]


@pytest.mark.parametrize(
    ("clean", "seen", "changed", "kind"),
    [
        (STEADY, [12.0, 11.0, 13.0] * 3 + [12.0], 0.5, "share"),
        (STEADY, [value - 0.5 for value in STEADY], 0.5, "all"),
        (STEADY, STEADY, 0.5, "all"),
        (STEADY, [40.0, 41.0, 39.0, 40.0, 40.0], 0.5, "more"),
        (STEADY, [0.0, 60.0, 5.0, 50.0, 20.0], 0.5, "unclear"),
        (STEADY, [12.0, 12.0, 12.0, 12.0], 0.5, "unclear"),  # four are too few, however alike
        (STEADY[:1], STEADY[:1], 0.5, "unclear"),
        (STEADY, STEADY, 0.0, "nothing"),
        (STEADY, [-5.0, -6.0, -5.0, -6.0, -5.0], 0.5, "less"),  # no share of a return is negative
        ([-10.0, -11.0, -10.0, -11.0, -10.0], [-20.0, -21.0, -20.0, -21.0, -20.0], 0.5, "less"),
        ([-10.0, -11.0, -10.0, -11.0, -10.0], [-1.0, -2.0, -1.0, -2.0, -1.0], 0.5, "more"),
        ([0.0] * 5, [-1.0] * 5, 0.5, "less"),
        ([0.0] * 5, [0.0] * 5, 0.5, "none"),
        ([-10.0] * 5, [-10.5] * 5, 0.5, "all"),
    ],
)
def test_what_can_be_said(clean: list[float], seen: list[float], changed: float, kind: str) -> None:
    assert verdict("blur:0.5", clean, seen, changed).kind == kind


def test_the_sentence_that_a_manager_reads() -> None:
    twelve = [12.0, 11.0, 13.0] * 3 + [12.0]
    rows = [row("train", STEADY, None), row("brightness:0.5", twelve), row("noise:0.2", STEADY)]
    assert sentence(rows) == (
        "Under brightness 0.5 this policy gets 41 % of the return that it has in its own environment (12 of 29); "
        "under noise 0.2 it gets all of it."
    )
    wild = [0.0, 60.0] * 5
    rows += [
        row("new_light", wild),
        row("blur:0.1", wild),
        row("hue:0.1+gamma:1", [0.0] * 10),
        row("hue:1", STEADY, 0.0),
    ]
    assert sentence(rows) == (
        "Under hue 0.1 with gamma 1 this policy gets 0 % of the return that it has in its own environment (0 of 29); "
        "under brightness 0.5 it gets 41 % of it (12 of 29); under noise 0.2 it gets all of it; under blur 0.1 and in "
        "new_light, 10 episodes are too few to tell; under hue 1 next to nothing of the picture changes, so that "
        "nothing is tested."
    )


def test_losses_are_no_shares() -> None:
    rows = [
        row("train", [-10.0, -11.0] * 5, None),
        row("darkness:1", [-200.0, -201.0] * 5),
        row("blur:1", [3.0, 4.0] * 5),
    ]
    assert sentence(rows) == (
        "Under darkness 1 this policy gets \u2212200, which is less than the \u221210 that it has in its own "
        "environment; under blur 1 it gets 4, which is more than \u221210."
    )


def test_of_nothing_nothing_is_lost() -> None:
    nothing = [0.0] * 5
    assert sentence([row("train", nothing, None), row("blur:1", nothing), row("hue:1", nothing)]) == (
        "Under blur 1 and hue 1 this policy gets 0, and so it does in its own environment."
    )
    told = sentence([row("train", nothing, None), row("blur:1", nothing), row("dim", [3.0, 4.0] * 5)])
    assert told == (
        "Under blur 1 this policy gets 0, and so it does in its own environment; in dim it gets 3.5, which is more "
        "than 0."
    )


def test_nothing_to_compare_with() -> None:
    assert sentence([row("train", STEADY, None)]) == "In its own environment this policy gets a return of 29."
    told = sentence([row("blur:1", STEADY), row("dim", [3.0])])
    assert (
        told
        == "This policy gets a return of 29 under blur 1 and 3 in dim; play the mode train too, to compare it with."
    )


def test_one_episode_says_so() -> None:
    told = sentence([row("train", [29.0], None), row("noise:0.5", [3.0])])
    assert told == (
        "Under noise 0.5, one episode is too few to tell whether this policy gets the return that it has in its own "
        "environment (29)."
    )
    assert sentence_of_episodes({"train": 29.0, "noise:0.5": 3.0, "dim": 2.0}) == (
        "In one episode of each mode this policy gets a return of 29 in its own environment and 3 under noise 0.5 and "
        "2 in dim: one episode is too few to tell, and saccade evaluate plays more."
    )
    assert sentence_of_episodes({"train": 29.0}) == sentence_of_episodes({"dim": 2.0}) == ""


def test_numbers_for_people() -> None:
    assert [amount_text(value, 29) for value in (28.6, -0.2, -3.0)] == ["29", "0", "\u22123"]
    assert [amount_text(value, 0.9) for value in (0.9, 0.123, 1.0)] == ["0.9", "0.12", "1"]
    assert share_text(verdict("x", [1000.0] * 5, [1.0] * 5)) == "less than 1 %"
    assert share_text(verdict("x", [-1.0] * 5, [1.0] * 5)) == ""
    assert [mode_text(mode) for mode in ("video_hard", "blur:0.5+noise:0.1", "video_hard+hue:1")] == [
        "video_hard",
        "blur 0.5 with noise 0.1",
        "video_hard with hue 1",
    ]
