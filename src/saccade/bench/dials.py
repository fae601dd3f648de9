"""Where on a dial a policy breaks, as far as its episodes show: a standing for each strength, and one sentence.

Episodes of all strengths begin with the same seeds, so that returns are compared episode by episode.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import fmean
from typing import Any, Literal, final

from saccade.bench.verdicts import FEWEST, amount_text, interval_of, listed
from saccade.envs.changes import too_little

KEPT_SHARE, HALF = 0.9, 0.5

Standing = Literal["kept", "lost", "half", "unclear"]
"""``kept``: nine tenths of the clean return or more. ``half``: at most half of it. ``lost``: less than nine tenths. All
three are certain at 95 %. ``unclear``: none of them can be said."""

Row = Mapping[str, Any]


@final
@dataclass(frozen=True)
class Strength:
    """What was found at one strength of a dial."""

    strength: float
    standing: Standing
    row: Row

    @property
    def mean(self) -> float:
        return fmean(self.row["returns"])


def clean_row(rows: Iterable[Row]) -> Row | None:
    """Return the row of strength 0, which all dials share."""
    return next((row for row in rows if not row["strength"]), None)


def dials_in(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return each dial's rows above strength 0, by strength."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["strength"]:
            found.setdefault(row["dial"], []).append(row)
    return {name: sorted(some, key=lambda row: float(row["strength"])) for name, some in found.items()}


def standing(clean: Sequence[float], seen: Sequence[float]) -> Standing:
    """Return what the returns at a strength say beside the clean returns of the same episodes.

    Uses Student's interval of the mean of ``seen - share * clean``, episode by episode. Where the clean mean is not
    certainly above 0, a share of it means nothing; a drop of ``1 - share`` of its size is then allowed instead.
    """
    if len(clean) != len(seen) or len(clean) < FEWEST:
        return "unclear"
    over_nine_tenths, over_half = (interval_of(_above(clean, seen, share)) for share in (KEPT_SHARE, HALF))
    if over_nine_tenths.low >= 0:
        return "kept"
    if over_half.high <= 0:
        return "half"
    return "lost" if over_nine_tenths.high < 0 else "unclear"


def _above(clean: Sequence[float], seen: Sequence[float], share: float) -> list[float]:
    if _positive(clean):
        return [after - share * before for before, after in zip(clean, seen, strict=True)]
    room = (1 - share) * abs(fmean(clean))
    return [after - before + room for before, after in zip(clean, seen, strict=True)]


def _positive(clean: Sequence[float]) -> bool:
    """Whether the mean is certainly above 0; with few episodes, whether it is above 0 at all."""
    return interval_of(clean).low > 0 if len(clean) > 1 else clean[0] > 0


def strengths_of(clean: Row, rows: Iterable[Row]) -> list[Strength]:
    """Return the standing of each strength of one dial, in the order of ``rows``."""
    return [Strength(row["strength"], standing(clean["returns"], row["returns"]), row) for row in rows]


def sentences(rows: Sequence[Row]) -> list[str]:
    """Return a sentence on where each dial breaks the policy; none without the clean row."""
    clean = clean_row(rows)
    if clean is None:
        return []
    return [sentence_of_dial(name, clean, some) for name, some in dials_in(rows).items()]


def sentence_of_dial(name: str, clean: Row, rows: Sequence[Row]) -> str:
    """Return a self-contained sentence on where one dial breaks the policy.

    rows: above strength 0, by strength.
    """
    returns = clean["returns"]
    found = strengths_of(clean, rows)
    if too_little(rows[-1].get("changed_pixels")):
        return (
            f"Under {name} next to nothing of the picture changes, up to {rows[-1]['strength']:g}, so that nothing is "
            "tested."
        )
    if len(returns) < FEWEST:
        few = "one episode is" if len(returns) == 1 else f"{len(returns)} episodes are"
        return f"Where this policy breaks under {name} is unknown: {few} too few, play {FEWEST} or more."
    if not any(returns) and not any(any(row["returns"]) for row in rows):
        return f"Under {name} there is nothing to lose: this policy gets 0, and so it does in its own environment."
    kept = _kept_at_first(found)
    later = [
        *_lost(found, returns),
        *_kept_later(found[len(kept) :], returns),
        *_unclear(found, len(returns), already_said=not kept),
    ]
    clauses = [_beginning(name, found, kept, returns), *(clause for _, clause in sorted(later))]
    return "; ".join(clauses) + "."


Clause = tuple[float, str]
"""The first strength that a clause speaks of, and what it says."""


def _kept_at_first(found: Sequence[Strength]) -> list[Strength]:
    return list(takewhile(lambda one: one.standing == "kept", found))


def _beginning(name: str, found: Sequence[Strength], kept: Sequence[Strength], clean: Sequence[float]) -> str:
    """Return how far the policy holds."""
    mean = fmean(clean)
    what = "nine tenths of its return" if _positive(clean) else f"its return of {amount_text(mean, mean)}"
    if kept:
        last = ", the strongest that was played" if len(kept) == len(found) else ""
        return f"Under {name} this policy keeps {what} up to {kept[-1].strength:g}{last}"
    if found[0].standing == "unclear":
        some = _listed([one for one in found if one.standing == "unclear"])
        return f"Under {name}, {len(clean)} episodes are too few to tell whether this policy keeps {what} at {some}"
    return f"Under {name} this policy does not keep {what} even at {found[0].strength:g}, the weakest that was played"


def _lost(found: Sequence[Strength], clean: Sequence[float]) -> list[Clause]:
    """Return the first strength at which the return is certainly less, and the first at which half is gone."""
    lost = next((one for one in found if one.standing in ("lost", "half")), None)
    if lost is None:
        return []
    clauses = [(lost.strength, _loss(lost, clean))]
    half = next((one for one in found if one.standing == "half"), None)
    if half is not None and half is not lost:
        clauses.append((half.strength, _loss(half, clean)))
    return clauses


def _kept_later(rest: Sequence[Strength], clean: Sequence[float]) -> list[Clause]:
    """Return strengths at which the policy holds although it does not, or not certainly, at weaker ones."""
    some = [one for one in rest if one.standing == "kept"]
    what = "nine tenths" if _positive(clean) else "it"
    return [(some[0].strength, f"at {_listed(some)} it keeps {what}")] if some else []


def _loss(one: Strength, clean: Sequence[float]) -> str:
    before = fmean(clean)
    amounts = f"{amount_text(one.mean, before)} of {amount_text(before, before)}"
    if not _positive(clean) or one.mean < 0:
        return f"at {one.strength:g} it gets less ({amount_text(one.mean, before)})"
    if one.standing == "half":
        gone = "half of it is gone" if one.mean > 0 else "all of it is gone"
        return f"at {one.strength:g} {gone} ({amounts})"
    return f"at {one.strength:g} it gets {100 * one.mean / before:.0f} % of it ({amounts})"


def _unclear(found: Sequence[Strength], count: int, already_said: bool) -> list[Clause]:
    """Return strengths of which nothing can be said, unless the beginning of the sentence has already said so."""
    if already_said and found[0].standing == "unclear":
        return []
    some = [one for one in found if one.standing == "unclear"]
    return [(some[0].strength, f"at {_listed(some)}, {count} episodes are too few to tell")] if some else []


def _listed(some: Sequence[Strength]) -> str:
    return listed([f"{one.strength:g}" for one in some])
