"""``saccade score WHAT --task T``."""

from __future__ import annotations

from saccade.cli import terminal
from saccade.cli.explaining import Bars, explained, say
from saccade.cli.gaze_command import against_people, refuse_gaze_options, score_against_people
from saccade.cli.options import Score
from saccade.cli.parsing import parsed
from saccade.cli.score_tables import print_tables
from saccade.cli.truth_command import against_truth, refuse_truth_options, score_against_truth
from saccade.explain.further import with_further_episodes
from saccade.explain.measuring import ScoreSettings, check, score
from saccade.explain.rows import save_rows
from saccade.viewer.report import write_report

LEGEND = (
    "points: the most salient pixel shows the task; AUC: task pixels are more salient than others; inside: share of "
    "the saliency on the task; hide, show: change of the policy as salient pixels are hidden or shown; return: with "
    "the kept pixels alone; random: likeness to the map of random weights; drift: what the distraction moves; "
    "ms: per frame. (-n): frames without a score; ↑ ↓: which way is better."
)


def run(words: list[str]) -> int:
    """Run the command; return the exit code."""
    options = parsed(Score, "saccade score", words)
    if against_people(options.people):
        return score_against_people(options, words)
    refuse_gaze_options(options.people)
    if against_truth(options.truth):
        return score_against_truth(options, words)
    refuse_truth_options(options.truth)
    checks = options.checks
    settings = ScoreSettings(checks.sanity_frames, checks.sanity_stages, checks.return_steps, checks.return_methods)
    check(settings)
    console = terminal.console()
    bars = Bars(console)
    with bars.shown():
        explanation, folder, _ = explained(options.subject, options.maps, console, bars, words=["score", *words])
        scored = with_further_episodes(explanation, bars)
        rows = score(scored, settings, bars)
        path = save_rows(folder, rows)
        page = write_report(folder)
    for mode, episode in explanation.episodes.items():
        if len(scored.episodes[mode].obs) > len(episode.obs):
            count = len(scored.episodes[mode].obs)
            say(
                console,
                f"{mode}: the episode ended after {episode.length} steps; scored are {count} frames of several.",
            )
    print_tables(rows, explanation.episodes, console)
    say(console, LEGEND)
    say(console, f"All scores are in {path}. Open {page}")
    return 0
