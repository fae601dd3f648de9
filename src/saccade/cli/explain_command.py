"""``saccade explain WHAT --task T``."""

from __future__ import annotations

import math

from saccade.cli import terminal
from saccade.cli.explaining import Bars, explained, say
from saccade.cli.options import Explain
from saccade.cli.parsing import parsed
from saccade.viewer.explanation import FIGURE


def run(words: list[str]) -> int:
    """Run the command; return the exit code."""
    options = parsed(Explain, "saccade explain", words)
    console = terminal.console()
    bars = Bars(console)
    with bars.shown():
        explanation, folder, page = explained(options.subject, options.maps, console, bars, ["explain", *words])
    for mode, episode in explanation.episodes.items():
        if math.isnan(episode.total):
            say(console, f"{mode}: {len(episode.obs)} of {episode.length} observations")
        else:
            say(console, f"{mode}: return {episode.total:.1f} in {episode.length} agent steps")
    say(
        console,
        f"{len(explanation.methods)} methods, {', '.join(explanation.episodes)}. Open {page}; pictures are in "
        f"{folder / 'grids'}, videos in {folder / 'videos'}, arrays in {folder / 'maps'}.",
    )
    if any(explanation.pictures.values()):
        say(console, f"Pictures that the agent itself computes, in every mode: {folder / FIGURE}.")
    return 0
