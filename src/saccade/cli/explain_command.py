"""``saccade explain WHAT --task T``."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console

from saccade.cli.explaining import Bars, Maps, Subject, explained, flat, say
from saccade.viewer.explanation import FIGURE


@dataclass(frozen=True)
class Explain:
    """Show what a policy looks at: pictures, a video, arrays, and a page to open.

    WHAT is a run folder of Saccade or a zip of Stable-Baselines3; any other network comes with
    --policy file.py:Class --checkpoint FILE.
    """

    subject: Subject = field(default_factory=Subject)
    maps: Maps = field(default_factory=Maps)


def run(words: list[str]) -> int:
    """Carry out the command; returns the exit code."""
    options: Explain = flat(Explain, "saccade explain", words)
    console = Console()
    bars = Bars(console)
    with bars.progress:
        explanation, folder, page = explained(options.subject, options.maps, console, bars, ["explain", *words])
    for mode, episode in explanation.episodes.items():
        say(console, f"{mode}: return {episode.total:.1f} in {episode.length} agent steps")
    say(
        console,
        f"{len(explanation.methods)} methods, {', '.join(explanation.episodes)}. Open {page}; pictures are in "
        f"{folder / 'grids'}, videos in {folder / 'videos'}, arrays in {folder / 'maps'}.",
    )
    if any(explanation.pictures.values()):
        say(console, f"What the agent itself makes of what it sees, in every mode: {folder / FIGURE}.")
    return 0
