"""A comparison as tables for papers and text files: Markdown and LaTeX with the same cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from saccade.bench.associations import Association
from saccade.bench.comparison import Line
from saccade.bench.published import Published
from saccade.bench.statistics import FEWEST_SEEDS, too_few

SMALL = 10.0  # below it the first digits are decimals
MINUS = "\u2212"
LATEX = {
    "\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "\u00b1": r"$\pm$", MINUS: "$-$", "–": "--",
}  # fmt: skip
COEFFICIENTS = ("saliency score", "mode", "Spearman", "Pearson", "within methods", "runs")


@final
@dataclass(frozen=True)
class Printed:
    """A table as text: ``rows`` have a cell for each column; ``caption`` says how its numbers were measured."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def printed(lines: Sequence[Line], caption: str) -> Printed:
    """Return a table of one task and measure: our numbers and their mean's interval, beside the published ones.

    Columns about published numbers are left out where there are none. Saliency scores also say of how many frames
    they are.
    """
    decimals = decimals_of(lines)
    columns = {
        "method": [line.arm for line in lines],
        "mode": [line.mode for line in lines],
        "published": [published_text(line, decimals) for line in lines],
        "ours": [ours_text(line, decimals) for line in lines],
        "difference": [difference_text(line, decimals) for line in lines],
        "95 % interval": [interval_text(line, decimals) for line in lines],
        "seeds": [str(len(line.seeds)) for line in lines],
    }
    if not any(line.published for line in lines):
        del columns["published"], columns["difference"]
    if any(line.frames for line in lines):
        columns["frames"] = [frames_text(line) for line in lines]
        caption = " ".join(filter(None, (caption, frames_asked_text(lines))))
    return Printed(caption, tuple(columns), tuple(zip(*columns.values(), strict=True)))


def correlated(associations: Sequence[Association]) -> Printed:
    """Return a table of how saliency scores of one task correlate with the results of its episodes."""
    first = associations[0]
    return Printed(
        f"{first.task}, {first.measure} over saliency scores ({first.conditions}): correlation over runs, "
        "95 % intervals.",
        COEFFICIENTS,
        tuple(map(_coefficients, associations)),
    )


def _coefficients(one: Association) -> tuple[str, ...]:
    known = one.correlation
    if known is None:
        return one.name, one.mode, "–", "–", "–", str(len(one.scores))
    within = "–" if known.within is None else known.within.text()
    return one.name, one.mode, known.spearman.text(), known.pearson.text(), within, str(known.runs)


def decimals_of(lines: Sequence[Line]) -> int:
    """Return the decimals to show the numbers of a table with."""
    return decimals_for([*(line.mean for line in lines), *(one.value for line in lines for one in line.published)])


def decimals_for(numbers: Iterable[float]) -> int:
    """Return the decimals for numbers shown side by side: as many as the largest needs."""
    largest = max(map(abs, numbers), default=0.0)
    return 0 if largest >= 10 * SMALL else 1 if largest >= SMALL else 2


def number_text(number: float, decimals: int) -> str:
    """Return a number as tables show it, with a true minus sign."""
    return f"{number:.{decimals}f}".replace("-", MINUS)


def ours_text(line: Line, decimals: int) -> str:
    """Return ``360 ± 8``, or for a single seed its number alone."""
    spread = f" ± {number_text(line.deviation, decimals)}" if len(line.seeds) > 1 else ""
    return f"{number_text(line.mean, decimals)}{spread}"


def published_text(line: Line, decimals: int) -> str:
    """Return the first published number, ``739 ± 21``; a dash where nothing was published."""
    return published_number_text(line.published[0], decimals) if line.published else "–"


def published_number_text(one: Published, decimals: int) -> str:
    """Return ``739 ± 21``, or the number alone where it has no spread."""
    spread = "" if one.spread is None else f" ± {number_text(one.spread, decimals)}"
    return f"{number_text(one.value, decimals)}{spread}"


def difference_text(line: Line, decimals: int) -> str:
    """Return ``+12``; a dash where nothing was published."""
    if line.difference is None:
        return "–"
    return ("+" if line.difference >= 0 else "") + number_text(line.difference, decimals)


def interval_text(line: Line, decimals: int) -> str:
    """Return ``[398, 460]``, or why there is no interval."""
    found = line.estimate
    if found.low is None or found.high is None:
        return too_few(found.seeds).replace(f", and an interval takes {FEWEST_SEEDS}", ": too few")
    return f"[{number_text(found.low, decimals)}, {number_text(found.high, decimals)}]"


def frames_text(line: Line) -> str:
    """``64``, or ``11 to 64`` where episodes ended before all frames that were asked for; a dash where nothing says."""
    return counts_text(line.frames) if line.frames else "–"


def counts_text(counts: Sequence[int]) -> str:
    """``64``, or ``11 to 64`` where they differ."""
    fewest, most = min(counts), max(counts)
    return f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"


def frames_asked_text(lines: Sequence[Line]) -> str:
    """A sentence where scores are of fewer frames than were asked for; empty elsewhere."""
    asked = sorted(
        {line.kind.count for line in lines if line.kind.count and line.frames and min(line.frames) < line.kind.count}
    )
    if not asked:
        return ""
    return f"{' or '.join(map(str, asked))} frames were asked for; an episode that ends sooner gives fewer."


def markdown(tables: Sequence[Printed], title: str, notes: Sequence[str] = ()) -> str:
    """Return a Markdown text with every table."""
    parts = [f"# {_safe(title)}"]
    for table in tables:
        head = [_markdown_row(table.columns), _markdown_row(["---"] * len(table.columns))]
        parts.append("\n".join([f"{_safe(table.caption)}\n", *head, *map(_markdown_row, table.rows)]))
    if notes:
        parts.append("\n".join(f"- {_safe(note)}" for note in notes))
    return "\n\n".join(parts) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_safe, cells))} |"


def _safe(text: str) -> str:
    """Escape text so that Markdown shows it as it is: no cell ends early, and no name becomes markup."""
    shown = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
    return shown.replace("\n", " ")


def latex(tables: Sequence[Printed], title: str, notes: Sequence[str] = ()) -> str:
    """Return every table as a LaTeX ``table`` with ``booktabs`` rules, to be included by ``\\input``."""
    parts = [f"% {title}\n% needs \\usepackage{{booktabs}}"]
    parts += [f"% {note}" for note in notes]
    for table in tables:
        columns = "ll" + "r" * (len(table.columns) - 2)
        parts.append(
            "\n".join(
                [
                    r"\begin{table}",
                    r"  \centering",
                    f"  \\caption{{{escaped(table.caption)}}}",
                    f"  \\begin{{tabular}}{{{columns}}}",
                    r"    \toprule",
                    f"    {' & '.join(map(escaped, table.columns))} \\\\",
                    r"    \midrule",
                    *(f"    {' & '.join(map(escaped, row))} \\\\" for row in table.rows),
                    r"    \bottomrule",
                    r"  \end{tabular}",
                    r"\end{table}",
                ]
            )
        )
    return "\n\n".join(part.replace("\n\n", "\n") for part in parts) + "\n"


def escaped(text: str) -> str:
    """Escape text so that LaTeX prints it as it is."""
    return "".join(LATEX.get(letter, letter) for letter in text.replace("\n", " "))
