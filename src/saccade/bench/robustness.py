"""What attacks say about a policy, and when not to believe them: pure functions of rows of ``attacks.jsonl``.

A curve that does not fall may show a robust policy or an attack that fails: a gradient can vanish, or point nowhere,
while the policy is as easily fooled as any (Athalye et al., 2018; Carlini et al., 2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

from saccade.bench.dials import standing
from saccade.bench.statistics import estimate, mean
from saccade.bench.verdicts import FEWEST, amount_text, interval_of, listed

NOISE, TRANSFER, SINGLE, MANY = "random_sign", "transfer", "fgsm", ("pgd", "pgd_restarts")
RESAMPLES = 2000
VANISHED = 0.1  # of the observations are left unchanged

Row = Mapping[str, Any]
Kind = Literal["flat", "noise", "transfer", "single", "vanished", "unclear", "nothing", "falls"]


@final
@dataclass(frozen=True)
class Finding:
    """One thing that the rows say.

    Attributes:
        kind: ``falls``, an attack certainly lowers the return; ``flat``, none does, not even at the largest budget;
            ``noise``, random signs do as much harm as the strongest gradient-based attack; ``transfer``, an attack
            computed on another policy does more; ``single``, one step does more than many; ``vanished``, an attack
            leaves observations unchanged; ``nothing``, there is no return to lose; ``unclear``, too few episodes.
        suspicious: whether it speaks against the attacks, so that the curve does not measure robustness.
    """

    kind: Kind
    suspicious: bool
    sentence: str


def bootstrap_band(returns: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the mean by the percentile bootstrap over episodes (Efron, 1979); None for one or two.

    Episodes are drawn with replacement, 2000 times, and the middle 95 % of the means are taken.
    """
    found = estimate(returns, mean, repetitions=RESAMPLES)
    return None if found.low is None or found.high is None else (found.low, found.high)


def clean_row(rows: Iterable[Row]) -> Row | None:
    """Return the row of budget 0, which all attacks share."""
    return next((row for row in rows if row["epsilon"] == 0), None)


def attacks_in(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return each attack's rows above budget 0, by budget."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["epsilon"] > 0:
            found.setdefault(row["attack"], []).append(row)
    return {name: sorted(some, key=lambda row: float(row["epsilon"])) for name, some in found.items()}


def strongest(rows: Iterable[Row]) -> Row | None:
    """Return the row above budget 0 with the lowest mean return; of equal ones that with the smallest budget."""
    attacked = [row for row in rows if row["epsilon"] > 0]
    return min(attacked, key=lambda row: (row["return_mean"], row["epsilon"]), default=None)


def findings(rows: Sequence[Row]) -> list[Finding]:
    """Return everything that the rows of one policy say, the fall or its absence first."""
    clean, attacks = clean_row(rows), attacks_in(rows)
    if clean is None or not attacks:
        return []
    if len(clean["returns"]) < FEWEST:
        few = f"{len(clean['returns'])} episodes are too few to say what an attack takes: play {FEWEST} or more."
        return [Finding("unclear", False, few)]
    informed = {name: some for name, some in attacks.items() if name != NOISE}
    fall = _fall(clean, informed)
    found = [fall]
    if fall.kind != "nothing":
        found += [*_noise(clean, attacks, informed), *_transfer(attacks), *_single(attacks)]
    return found + list(_vanished(informed))


def sentences(rows: Sequence[Row]) -> list[str]:
    """Return the findings in words; suspicious ones say so."""
    return [f"Suspicious: {one.sentence}" if one.suspicious else one.sentence for one in findings(rows)]


def _fall(clean: Row, informed: Mapping[str, Sequence[Row]]) -> Finding:
    if not informed:
        return Finding(
            "unclear",
            False,
            "Random signs alone are no attack: play one that knows the gradient, to see whether the policy is robust.",
        )
    before = clean["return_mean"]
    if all(value == 0 for value in clean["returns"]):
        return Finding("nothing", False, "Every episode brings 0 without any attack: there is no return to lose.")
    whole = amount_text(before, before)
    fallen = [
        row
        for some in informed.values()
        for row in some
        if standing(clean["returns"], row["returns"]) in ("lost", "half")
    ]
    if fallen:
        first = min(fallen, key=lambda row: (row["epsilon"], row["return_mean"]))
        worst = min(fallen, key=lambda row: (row["return_mean"], row["epsilon"]))
        return Finding(
            "falls",
            False,
            f"Without an attack the return is {whole}. {first['attack']} with {first['epsilon']:g} "
            f"of 255 is the smallest budget that takes a tenth of it or more for certain "
            f"({amount_text(first['return_mean'], before)} is left); the lowest return is "
            f"{amount_text(worst['return_mean'], before)}, under {worst['attack']} with {worst['epsilon']:g}.",
        )
    largest = [some[-1] for some in informed.values()]
    most = max(row["epsilon"] for row in largest)
    if all(standing(clean["returns"], row["returns"]) == "kept" for row in largest):
        return Finding(
            "flat",
            True,
            f"no attack takes a tenth of the return ({whole}) at any budget up to {most:g} of 255. "
            "Either the policy does not need what was attacked, or the attacks fail: a gradient may vanish or point "
            "nowhere. Do not call it robust before an attack from another policy (--transfer-from), more restarts or "
            "another target fail too.",
        )
    return Finding(
        "unclear",
        True,
        f"no attack up to {most:g} of 255 takes a tenth of the return for certain, and the episodes are too few to say "
        "that none does: play more of them before calling the policy robust.",
    )


def _noise(
    clean: Row, attacks: Mapping[str, Sequence[Row]], informed: Mapping[str, Sequence[Row]]
) -> Iterable[Finding]:
    """Yield budgets at which noise certainly harms and no gradient-based attack certainly harms more."""
    alike, others = [], [row for some in informed.values() for row in some]
    for noise in attacks.get(NOISE, ()):
        rivals = _at(others, noise["epsilon"])
        harmed = standing(clean["returns"], noise["returns"]) in ("lost", "half")
        if rivals and harmed and not any(_surely_lower(row, noise) for row in rivals):
            alike.append(noise)
    if alike:
        yield Finding(
            "noise",
            True,
            f"at {_budgets(alike)} of 255 random signs do as much harm as the strongest attack that knows the "
            "gradient: the policy breaks under any change of that size, or the gradient leads nowhere.",
        )


def _transfer(attacks: Mapping[str, Sequence[Row]]) -> Iterable[Finding]:
    own = [row for name, some in attacks.items() if name not in (TRANSFER, NOISE) for row in some]
    stronger = _stronger(attacks.get(TRANSFER, ()), own)
    if stronger:
        yield Finding(
            "transfer",
            True,
            f"at {_budgets(stronger)} of 255 the attack computed on another policy is stronger than every one that "
            "knows this policy's own gradient: that gradient is hidden, not harmless.",
        )


def _single(attacks: Mapping[str, Sequence[Row]]) -> Iterable[Finding]:
    stronger = _stronger(attacks.get(SINGLE, ()), [row for name in MANY for row in attacks.get(name, ())])
    if stronger:
        yield Finding(
            "single",
            True,
            f"at {_budgets(stronger)} of 255 one step (fgsm) takes more return than many (pgd), which should find at "
            "least as much: what the attack drives and what the return needs are not the same, or the gradient "
            "misleads.",
        )


def _vanished(informed: Mapping[str, Sequence[Row]]) -> Iterable[Finding]:
    shares = {name: max((row.get("untouched") or 0.0) for row in some) for name, some in informed.items()}
    found = {name: share for name, share in shares.items() if share >= VANISHED}
    if found:
        listing = listed([f"{name} {100 * share:.0f} %" for name, share in found.items()])
        yield Finding(
            "vanished",
            True,
            f"some observations are left exactly as they were, for the gradient is zero there (at most: {listing}): "
            "attack another target, such as --target policy or value.",
        )


def _at(rows: Iterable[Row], epsilon: float) -> list[Row]:
    return [row for row in rows if row["epsilon"] == epsilon]


def _stronger(rows: Iterable[Row], others: Sequence[Row]) -> list[Row]:
    """Return rows that certainly lower the return more than every other row of the same budget, if there is any."""
    return [
        row
        for row in rows
        if (rivals := _at(others, row["epsilon"])) and all(_surely_lower(row, other) for other in rivals)
    ]


def _budgets(rows: Iterable[Row]) -> str:
    return listed([f"{row['epsilon']:g}" for row in rows])


def _surely_lower(row: Row, than: Row) -> bool:
    """Whether its mean return is lower, certainly at 95 %: Student's interval, episode by episode where they pair."""
    first, second = row["returns"], than["returns"]
    if len(first) == len(second):
        return interval_of([b - a for a, b in zip(first, second, strict=True)]).low > 0
    return interval_of(first).high < interval_of(second).low
