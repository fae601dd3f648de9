"""The report of an explanation folder: what the policy looks at, and how far the maps can be trusted, on one page."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from saccade.viewer.explanation import (
    CLEAN,
    LOOKED,
    SCREEN,
    SEEN,
    TRUTH,
    agent_label,
    figure_picture,
    moment_text,
    panels,
    spread,
)
from saccade.viewer.film import Film, Films, Scale, panel
from saccade.viewer.findings import findings
from saccade.viewer.measurements import PEOPLE, change_text, cost_sections, in_sentences, question_sections
from saccade.viewer.page import Contents, Facts, Found, Heading, Picture, Section, Text, write_page
from saccade.viewer.pictures import data_uri, overlay, png
from saccade.viewer.questions import picture_words
from saccade.viewer.recorded_maps import Maps, read_maps
from saccade.viewer.recordings import Explanation, Method, read_explanation
from saccade.viewer.remarks import remarks
from saccade.viewer.repeating import repeat_sections
from saccade.viewer.timeline import Chart, chart, chart_of_parts, chart_of_preferences

REPORT = "report.html"
HOW_TO_MOVE = "Move the slider, or press Play."
TOGETHER = (
    "It moves all modes at once, each through its own episode from the same start: how far they diverge is the "
    "mode's effect on the policy."
)
OF_PEOPLE = (
    "Marked in cyan is where the person looked while the frames that the policy sees at once were shown. A picture "
    "named after a method shows the person's screen in grey, and over it in colour what matters according to that "
    "method. Every method has a brightness of its own, the same for all frames. The action is the policy's."
)
MOST_PIXELS = 24_000_000  # of all films together: usually 6 to 14 MB
MOST_BYTES = 16_000_000  # of their pictures as stored in the page, so that the whole stays below 20 MB
FEWEST_FRAMES = 8  # of a film, however large its frames
SCALE_SIZE = (12, 128)
GREY = 110  # of the frame under the scale
ALTS = {
    SCREEN: "the screen",
    LOOKED: "the screen with the person's gaze",
    SEEN: "the frame",
    CLEAN: "the same state without distraction",
    TRUTH: "the frame, dark outside the task",
}


def write_report(folder: str | Path) -> Path:
    """Write ``report.html`` from the maps, the scores or both in the folder; return its path.

    Raises:
        UserError: the folder is no explanation, a file in it is damaged, or the report cannot be written.
    """
    explanation = read_explanation(folder)
    episodes = {mode: read_maps(explanation, mode) for mode in explanation.modes_with_maps}
    found = findings(explanation, episodes)
    sections = [
        *([Found(found)] if found else []),
        Text(_introduction(explanation)),
        Facts(tuple(_facts(explanation))),
        Contents(),
        *_films(explanation, episodes),
        *_figure(explanation),
        *question_sections(explanation),
        *cost_sections(explanation),
        *_methods(explanation),
        *_provenance(explanation),
    ]
    path = explanation.folder / REPORT
    write_page(path, f"Where {explanation.policy['name']} looks: {explanation.task}", sections)
    return path


def _introduction(explanation: Explanation) -> str:
    count = len(explanation.methods)
    methods = "One saliency method answers" if count == 1 else f"{count} saliency methods answer"
    return (
        f"Which pixels matter to this policy? {methods} for every frame, each in its own way: the brighter a pixel, "
        f"the more it matters to the number that is explained, here “{explanation.score}” unless the method has one of "
        "its own. The maps can be wrong. The scores, if there are any, show how far they can be trusted."
    )


def _facts(explanation: Explanation) -> Iterator[tuple[str, str]]:
    policy = explanation.policy
    yield "policy", str(policy["name"])
    if policy.get("source"):
        yield "from", str(policy["source"])
    if policy.get("env_steps"):  # unknown for a custom network
        yield "trained for", f"{policy['env_steps']} agent steps"
    if explanation.observations:
        yield "sees", explanation.observations
    yield "task", explanation.task
    played_by_people = any(row.question == PEOPLE for row in explanation.scores)
    yield "trials" if played_by_people else "modes", ", ".join(explanation.modes)
    yield "explained", explanation.score + (f": {explanation.score_summary}" if explanation.score_summary else "")


def _films(explanation: Explanation, episodes: Mapping[str, Maps]) -> Iterator[Section]:
    modes = list(episodes)
    films = _small_enough(explanation, episodes)
    by_people = any(maps.screen is not None for maps in episodes.values())
    if len(modes) == 1 or by_people:  # games of people differ from the start
        for mode, film in films.items():
            yield Heading(f"What it looks at: {mode}")
            yield replace(film, caption=f"{film.caption} {HOW_TO_MOVE} {_how_to_read([episodes[mode]])}")
    elif modes:
        yield Heading("What it looks at")
        yield Films(films, f"{HOW_TO_MOVE} {TOGETHER} {_how_to_read([*episodes.values()])}")
    if modes and len(modes) < len(explanation.modes):
        yield Text(f"There are scores but no maps of {', '.join(m for m in explanation.modes if m not in modes)}.")


def _small_enough(explanation: Explanation, episodes: Mapping[str, Maps]) -> dict[str, Film]:
    """A film of each mode, with fewer moments if pictures are hard to compress, such as noise."""
    pixels = MOST_PIXELS
    while True:
        films = {mode: _film(explanation, mode, maps, pixels // len(episodes)) for mode, maps in episodes.items()}
        size = sum(len(one.sheet) for film in films.values() for one in film.panels)
        fewest = all(len(film.drawn or film.lines) <= FEWEST_FRAMES for film in films.values())
        if size <= MOST_BYTES or fewest:
            return films
        pixels = int(0.9 * pixels * MOST_BYTES / size)


def _film(explanation: Explanation, mode: str, maps: Maps, pixels: int) -> Film:
    total, (height, width) = len(maps.obs), maps.size
    others = (maps.clean_obs is not None) + (maps.task_mask is not None) + (maps.screen is not None) + 1
    shown = len(maps.saliency) + len(maps.pictures) + others
    most = pixels // (shown * height * width)
    chosen = spread(total, max(most, FEWEST_FRAMES))
    drawn = panels(maps, chosen)
    exact = ALTS | {agent_label(name): _alt(name) for name in maps.pictures}
    return Film(
        tuple(
            panel(label, exact.get(label, f"what matters according to {label}"), frames, lossless=label in exact)
            for label, frames in drawn.items()
        ),
        tuple(moment_text(maps, time) for time in range(total)),
        height,
        width,
        _film_caption(maps, len(chosen), mode, change_text(explanation, mode)),
        Scale("does not matter", "matters most", _scale_bar()),
        tuple(_curves(maps)),
        () if len(chosen) == total else tuple(chosen.tolist()),
    )


def _curves(maps: Maps) -> Iterator[Chart]:
    """Curves along the film: the policy's values, its rewards, and how it rates its actions, as far as known."""
    if maps.value is not None:
        yield chart("value", maps.value)
    if not np.isnan(maps.reward).all():
        yield chart("reward", maps.reward)
    thought = maps.probabilities if maps.probabilities is not None else maps.action_values
    if thought is not None:
        names = maps.action_names or [str(place + maps.first_action) for place in range(thought.shape[1])]
        yield chart_of_preferences(thought, names, likely=maps.probabilities is not None)
    elif maps.action.dtype.kind == "f" and maps.action.ndim == 2:
        yield chart_of_parts(maps.action)


def _film_caption(maps: Maps, count: int, mode: str, change: str) -> str:
    total = len(maps.obs)
    shown = f"{total} moments"
    if count < total:
        shown = (
            f"Pictures of {count} of {total} recorded moments, to keep the page small (the video has all, and so have "
            "the "
            "curves and the line of text): between two of them the earlier one stays. They are"
        )
    what = f"a person's game, {mode}" if maps.screen is not None else f"one episode in mode {mode}"
    return " ".join(filter(None, [f"{shown} of {what}.", change, *remarks(maps.saliency)]))


def _how_to_read(episodes: Sequence[Maps]) -> str:
    """How to read the pictures of one or several films."""
    if any(maps.screen is not None for maps in episodes):
        return OF_PEOPLE
    sentences = [
        "The first picture is the newest frame that the policy saw; one named after a method shows the same frame "
        "in grey, and over it in colour what matters according to that method.",
        "Every method has a brightness of its own, the same for all frames: compare where methods are bright, not how "
        "bright they are.",
    ]
    if any((saliency < 0).any() for maps in episodes for saliency in maps.saliency.values()):
        sentences.append("Pixels that speak for and pixels that speak against are both bright.")
    if any(maps.clean_obs is not None for maps in episodes):
        sentences.append("The picture without distraction is the very same state.")
    if any(maps.task_mask is not None for maps in episodes):
        sentences.append("The simulator knows what belongs to the task; in its picture everything else is dark.")
    if any(maps.pictures for maps in episodes):
        sentences.append("Pictures whose label ends in “(agent)” are the agent's own.")
    return " ".join(sentences)


def _alt(picture: str) -> str:
    return f"what the agent makes of the frame: {picture_words(picture)}"


def _figure(explanation: Explanation) -> Iterator[Section]:
    """The agent's own pictures in all modes side by side, if it has any."""
    figure = figure_picture(explanation.folder)
    if figure is None:
        return
    yield Heading("What the agent makes of it")
    yield Text(
        "These pictures need no saliency method: the agent itself draws what it sees. One that knows what matters "
        "draws that "
        "alike in every mode; what changes with the mode is what it leaves out, or calls background."
    )
    shown = "; ".join(f"{picture.replace('_', ' ')}: {picture_words(picture)}" for picture in explanation.pictures)
    yield Picture(
        data_uri(png(figure)),
        f"what the agent makes of some moments in {', '.join(explanation.modes_with_maps)}",
        f"Some moments of each mode, in its own episode. Beside the newest frame of the observation, {shown}.",
    )


def _scale_bar() -> str:
    strength = np.broadcast_to(np.linspace(0, 1, SCALE_SIZE[1]), SCALE_SIZE)
    return data_uri(png(overlay(np.full((*SCALE_SIZE, 3), GREY, dtype=np.uint8), strength, limits=(0.0, 1.0))))


def _methods(explanation: Explanation) -> Iterator[Section]:
    yield Heading("The methods")
    yield Facts(
        tuple(
            (name, in_sentences(method.summary, method.source) + _explained(method))
            for name, method in explanation.methods.items()
        )
    )
    if explanation.left_out:
        yield Heading("What was left out, and why")
        yield Facts(tuple((name, str(why)) for name, why in explanation.left_out.items()))


def _explained(method: Method) -> str:
    return "" if method.score is None else f" Explains “{method.score}”."


def _provenance(explanation: Explanation) -> Iterator[Section]:
    command = explanation.command or "\n".join(_commands(explanation))
    return repeat_sections(command, tuple(_flat(explanation.settings)), tuple(_flat(explanation.versions)))


def _commands(explanation: Explanation) -> Iterator[str]:
    where = shlex.quote(str(explanation.policy.get("source") or explanation.policy["name"]))
    words = f"{where} --task {shlex.quote(explanation.task)} --modes {' '.join(map(shlex.quote, explanation.modes))}"
    if explanation.modes_with_maps:
        yield f"saccade explain {words}"
    if explanation.scores:
        yield f"saccade score {words}"


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as ``outer: inner``; unset ones are left out."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}: ")
        elif value is not None:
            yield f"{before}{name}", value if isinstance(value, str) else json.dumps(value)
