"""What attacks say of a policy in words: of curves that are written down here, each finding and no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from saccade.bench.robustness import bootstrap_band, findings, sentences, strongest

CLEAN = [10.0, 9, 10, 11, 10, 10, 9, 11]


def row(attack: str, epsilon: float, returns: list[float], **more: Any) -> dict[str, Any]:
    return {
        "attack": attack,
        "epsilon": epsilon,
        "returns": returns,
        "return_mean": float(np.mean(returns)),
        "return_std": float(np.std(returns)),
        **more,
    }


def like(mean: float) -> list[float]:
    """Eight episodes that vary a little around a mean, and not as the clean ones do."""
    return [mean + change for change in (0.1, 0, -0.1, 0, 0.2, -0.2, 0, 0)]


NONE = row("none", 0, CLEAN)
FALLING = [row("pgd", 4, like(8)), row("pgd", 8, like(1))]


def kinds(*rows: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(one.kind, one.suspicious) for one in findings(rows)]


def test_a_curve_that_falls_is_not_suspicious() -> None:
    rows = [NONE, *FALLING, row("random_sign", 4, CLEAN), row("random_sign", 8, like(9.9))]
    assert kinds(*rows) == [("falls", False)]
    (told,) = sentences(rows)
    assert told.startswith("Without an attack the return is 10. pgd with 4 of 255 is the smallest budget")
    assert told.endswith("the lowest return is 1, under pgd with 8.") and "(8 is left)" in told


def test_a_curve_that_does_not_fall_is() -> None:
    rows = [NONE, *(row(attack, budget, CLEAN) for attack in ("fgsm", "pgd") for budget in (4, 16))]
    assert kinds(*rows) == [("flat", True)]
    (told,) = sentences(rows)
    assert told.startswith("Suspicious: no attack takes a tenth of the return (10) at any budget up to 16 of 255.")


def test_one_that_nobody_can_tell_to_fall_is_too() -> None:
    wavering = [1.0, 19, 2, 18, 10, 10, 3, 17]
    assert kinds(NONE, row("pgd", 4, wavering)) == [("unclear", True)]


def test_noise_that_harms_as_much() -> None:
    noise = row("random_sign", 8, like(1))
    assert kinds(NONE, *FALLING, noise) == [("falls", False), ("noise", True)]
    told = sentences([NONE, *FALLING, noise])[1]
    assert told.startswith("Suspicious: at 8 of 255 random signs do as much harm")
    assert kinds(NONE, *FALLING, row("random_sign", 8, like(5))) == [("falls", False)]  # harm, but less
    assert kinds(NONE, *FALLING, row("random_sign", 16, like(1))) == [("falls", False)]  # nothing to compare with


def test_an_attack_from_elsewhere_that_is_stronger() -> None:
    other = [row("transfer", 4, like(2)), row("transfer", 8, like(2))]
    assert kinds(NONE, *FALLING, *other) == [("falls", False), ("transfer", True)]
    assert "at 4 of 255 the attack computed on another policy" in sentences([NONE, *FALLING, *other])[1]
    flat = [row("pgd", 4, CLEAN)]
    assert kinds(NONE, *flat, other[0]) == [("falls", False), ("transfer", True)]
    assert kinds(NONE, *FALLING, row("transfer", 4, like(8.0))) == [("falls", False)]


def test_one_step_that_takes_more_than_many() -> None:
    rows = [NONE, *FALLING, row("fgsm", 4, like(3)), row("fgsm", 8, like(2))]
    assert kinds(*rows) == [("falls", False), ("single", True)]
    stronger = row("pgd_restarts", 4, like(3))
    assert kinds(*rows, stronger) == [("falls", False)]  # from several starts many steps find as much


def test_gradients_that_are_zero() -> None:
    rows = [NONE, row("pgd", 4, like(1), untouched=0.0), row("mad", 4, CLEAN, untouched=0.25)]
    assert kinds(*rows) == [("falls", False), ("vanished", True)]
    assert "(at most: mad 25 %)" in sentences(rows)[1]


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([row("none", 0, [1, 1]), row("pgd", 4, [0, 0])], "unclear"),
        ([row("none", 0, [0.0] * 8), row("pgd", 4, [0.0] * 8)], "nothing"),
        ([NONE, row("random_sign", 4, CLEAN)], "unclear"),
    ],
)
def test_what_cannot_be_said(rows: list[dict[str, Any]], kind: str) -> None:
    assert kinds(*rows) == [(kind, False)]


def test_without_a_clean_row_nothing_is_said() -> None:
    assert findings(FALLING) == [] and findings([NONE]) == []


def test_negative_returns_fall_too() -> None:
    clean = [-10.0, -11, -10, -9, -10, -10, -11, -9]
    assert kinds(row("none", 0, clean), row("pgd", 4, like(-20))) == [("falls", False)]
    assert kinds(row("none", 0, clean), row("pgd", 4, clean)) == [("flat", True)]


def test_the_strongest_is_the_lowest_at_the_smallest_budget() -> None:
    assert strongest([NONE, row("a", 4, [0.0]), row("b", 2, [0.0]), row("c", 1, [3.0])])["attack"] == "b"
    assert strongest([NONE]) is None


def test_the_band_is_the_bootstraps() -> None:
    """Of 0, 1/2 and 1 three drawn are all 0 with chance 1/27, and all 1; of equal numbers no width; of two no band."""
    assert bootstrap_band([0.0, 0.5, 1.0]) == (0.0, 1.0) and bootstrap_band([3.0] * 5) == (3.0, 3.0)
    assert bootstrap_band([0.0, 1.0]) is None and bootstrap_band([2.0]) is None
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = bootstrap_band(values.tolist())
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.04) and high == pytest.approx(
        values.mean() + half, abs=0.04
    )
    assert bootstrap_band(values.tolist()) == (low, high)
