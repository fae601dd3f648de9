"""What a mode costs a policy, as far as its episodes show: an interval of each mean, and one sentence for all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Literal, final

from saccade.bench.results import SMALL_RETURN
from saccade.envs.changes import too_little
from saccade.envs.shift_modes import CLEAN, COLON, PLUS, names_shift

STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""The 97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom."""
NORMAL, NORMAL_SLOPE = 1.96, 2.4  # with more degrees of freedom: 1.96 + 2.4 / freedom, right to two decimals
FEWEST = 5  # episodes needed for any statement: two that end alike have an interval of width zero
ALIKE = 0.1  # of the clean return: smaller differences count as none

Kind = Literal["share", "less", "all", "none", "more", "unclear", "nothing"]
ORDER: tuple[Kind, ...] = ("share", "less", "all", "none", "more", "unclear", "nothing")
MINUS = "\u2212"


@final
@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % confidence interval, which is infinitely wide for one episode."""

    mean: float
    low: float
    high: float
    count: int


@final
@dataclass(frozen=True)
class Verdict:
    """What can be said of a mode beside the clean one.

    Attributes:
        kind: ``share``, the return is a share of the clean one; ``less`` and ``more``, where shares mean nothing;
            ``all``, the two certainly differ by less than a tenth; ``none``, every episode of either brings 0, so that
            there is nothing to lose; ``unclear``, the intervals overlap or there are too few episodes for any;
            ``nothing``, the mode changes next to nothing of the picture.
    """

    mode: str
    kind: Kind
    clean: Interval
    seen: Interval


def interval_of(returns: Sequence[float]) -> Interval:
    """Return Student's interval of a mean. Source: any textbook; it assumes that means are normally distributed."""
    mean, count = fmean(returns), len(returns)
    if count < 2:
        return Interval(mean, -math.inf, math.inf, count)
    freedom = count - 1
    quantile = STUDENT[freedom - 1] if freedom <= len(STUDENT) else NORMAL + NORMAL_SLOPE / freedom
    half = quantile * stdev(returns) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, count)


def verdict(mode: str, clean: Sequence[float], seen: Sequence[float], changed: float | None = None) -> Verdict:
    """Return what the returns in a mode say beside the clean ones.

    changed: the share of the pixels that the mode changes, where it was measured.
    """
    before, after = interval_of(clean), interval_of(seen)
    return Verdict(mode, _kind(before, after, list(clean) == list(seen), changed), before, after)


def _kind(clean: Interval, seen: Interval, same: bool, changed: float | None) -> Kind:
    if too_little(changed):
        return "nothing"
    if min(clean.count, seen.count) < FEWEST:
        return "unclear"
    if same and clean.low == clean.high == 0:
        return "none"
    room = ALIKE * abs(clean.mean)
    if same or (seen.low - clean.high >= -room and seen.high - clean.low <= room):
        return "all"
    if seen.low > clean.high:
        return "more"
    if seen.high >= clean.low:
        return "unclear"
    # A share of nothing, or of a loss, means nothing.
    return "share" if clean.low > 0 and seen.mean >= 0 else "less"


def verdicts(rows: Iterable[Mapping[str, Any]]) -> list[Verdict]:
    """Verdict for every row of one policy's evaluation beside that of ``train``; none where that was not played."""
    by_mode = {row["mode"]: row for row in rows}
    if CLEAN not in by_mode:
        return []
    clean = by_mode[CLEAN]["returns"]
    return [
        verdict(mode, clean, row["returns"], row.get("changed_pixels"))
        for mode, row in by_mode.items()
        if mode != CLEAN
    ]


def sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the returns of all modes in one self-contained sentence."""
    found = verdicts(rows)
    returns = {row["mode"]: interval_of(row["returns"]) for row in rows}
    if not found and CLEAN in returns:
        clean = returns[CLEAN]
        return f"In its own environment this policy gets a return of {_amount(clean.mean, clean)}."
    if not found:
        parts = [f"{_amount(one.mean, one)} {_under(mode)}" for mode, one in returns.items()]
        return f"This policy gets a return of {listed(parts)}; play the mode {CLEAN} too, to compare it with."
    clauses: list[str] = []
    for kind in ORDER:
        some = sorted((one for one in found if one.kind == kind), key=lambda one: one.seen.mean)
        clauses += _clauses(kind, some, first=not clauses)
    text = "; ".join(clauses)
    return f"{text[:1].upper()}{text[1:]}."


def sentence_of_episodes(totals: Mapping[str, float]) -> str:
    """Describe the returns of one episode in each mode, which settle nothing; empty with the clean mode only.

    totals: returns by mode.
    """
    if CLEAN not in totals or len(totals) < 2:
        return ""
    clean = totals[CLEAN]
    parts = [f"{amount_text(value, clean)} {_under(mode)}" for mode, value in totals.items() if mode != CLEAN]
    return (
        f"In one episode of each mode this policy gets a return of {amount_text(clean, clean)} in its own environment "
        f"and {listed(parts)}: one episode is too few to tell, and saccade evaluate plays more."
    )


def _clauses(kind: Kind, some: Sequence[Verdict], first: bool) -> list[str]:
    """Return one clause for each mode, or one for all modes of which the same can be said."""
    if not some:
        return []
    if kind in ("share", "less", "more"):
        return [f"{_under(one.mode)} {_said(one, first and one is some[0])}" for one in some]
    under = _under_all([one.mode for one in some])
    own = "that it has in its own environment"
    clean, count = some[0].clean, min(min(one.seen.count, one.clean.count) for one in some)
    few = "one episode is" if count == 1 else f"{count} episodes are"
    amount = _amount(clean.mean, clean)
    match kind:
        case "all":
            return [
                f"{under} this policy gets all of the return {own} ({amount})"
                if first
                else f"{under} it gets all of it"
            ]
        case "none":
            return [f"{under} {'this policy' if first else 'it'} gets 0, and so it does in its own environment"]
        case "unclear":
            what = f"whether this policy gets the return {own} ({amount})" if first else ""
            return [f"{under}, {few} too few to tell {what}".rstrip()]
        case _:
            return [f"{under} next to nothing of the picture changes, so that nothing is tested"]


def _said(one: Verdict, first: bool) -> str:
    seen, clean = _amount(one.seen.mean, one.clean), _amount(one.clean.mean, one.clean)
    match one.kind:
        case "share":
            share = share_text(one)
            if first:
                return f"this policy gets {share} of the return that it has in its own environment ({seen} of {clean})"
            return f"it gets {share} of it ({seen} of {clean})"
        case "less":
            than = f"the {clean} that it has in its own environment" if first else clean
            return f"{'this policy' if first else 'it'} gets {seen}, which is less than {than}"
        case _:
            than = f"the {clean} that it has in its own environment" if first else clean
            return f"{'this policy' if first else 'it'} gets {seen}, which is more than {than}"


def share_text(one: Verdict) -> str:
    """Return the share of the clean return, in per cent; empty where a share means nothing."""
    if not (one.clean.mean > 0 and one.seen.mean >= 0):
        return ""
    percent = 100 * one.seen.mean / one.clean.mean
    return "less than 1 %" if 0 < percent < 0.5 else f"{percent:.0f} %"


def mode_text(mode: str) -> str:
    """Return a mode in words: ``brightness 0.3 with noise 0.1``; names that are no shifts stay as they are."""
    if not names_shift(mode):
        return mode
    return " with ".join(part.replace(COLON, " ") for part in mode.split(PLUS))


def _under(mode: str) -> str:
    return f"{'under' if names_shift(mode) else 'in'} {mode_text(mode)}"


def _under_all(modes: Sequence[str]) -> str:
    """Return ``under noise 0.2, blur 0.5 and hue 1, and in dim``."""
    shifts, others = ([mode_text(one) for one in modes if names_shift(one) == kind] for kind in (True, False))
    groups = [f"{before} {listed(words)}" for before, words in (("under", shifts), ("in", others)) if words]
    return (", and " if len(shifts) > 1 else " and ").join(groups)


def listed(words: Sequence[str]) -> str:
    """Join words: ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _amount(value: float, beside: Interval) -> str:
    """Return a number with the decimals that the clean return needs."""
    return amount_text(value, beside.mean)


def amount_text(value: float, beside: float) -> str:
    """Return a number with as many decimals as the one beside it needs: two below ten, else none."""
    decimals = 2 if abs(beside) < SMALL_RETURN else 0
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if decimals else text
    return (text if float(text) else text.removeprefix("-")).replace("-", MINUS)
