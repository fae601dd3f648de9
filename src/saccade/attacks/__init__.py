"""Attacks, ``(score, obs, budget) -> obs within the budget``: one per file, all of them by name in ``ATTACKS``."""

from __future__ import annotations

from typing import Any

from saccade.attacks.attack import Attack
from saccade.later import Later

MADRY = "Madry et al., 2018"


def _find(name: str, **keywords: Any) -> Later:
    return Later(f"{__name__}.{name}", name, keywords)


ATTACKS = {
    "fgsm": Attack(_find("fgsm"), "one step of the whole budget along the gradient's sign", "Goodfellow et al., 2015"),
    "pgd": Attack(_find("pgd"), "ten steps along it, from a random place", MADRY),
    "pgd_restarts": Attack(
        _find("pgd", restarts=4), "the worst of four runs of PGD, which finds what one start misses", MADRY
    ),
    "mi_fgsm": Attack(_find("mi_fgsm"), "ten steps along the sum of all gradients on the way", "Dong et al., 2018"),
    "mad": Attack(_find("mad"), "ten steps that move the policy as a whole", "Zhang et al., 2020", distance=True),
    "transfer": Attack(
        _find("pgd"), "PGD against another policy, shown to this one", "Papernot et al., 2016", of_another=True
    ),
    "random_sign": Attack(
        _find("random_sign"), "random signs of the whole budget, the baseline of no attack", "baseline", gradients=False
    ),
}  # fmt: skip
"""Every attack by name."""

PUBLISHED = ("fgsm", "pgd", "mi_fgsm", "mad")
"""The attacks of the DIGR experiments."""

EPSILONS = (0.0, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0)
"""Default budgets of a curve, in steps of 1/255."""
