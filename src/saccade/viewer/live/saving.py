"""Save a session as a file that needs no server: a still, a film or a page."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from saccade.explain.looking import Answer, MapLevel, Pane, Question
from saccade.explain.reading import Reading
from saccade.explain.scored import Scored
from saccade.explain.session import Session
from saccade.viewer.film import Film, Films, panel
from saccade.viewer.live import payloads
from saccade.viewer.live.messages import View
from saccade.viewer.page import Cell, Found, Gallery, Heading, Section, Table, page
from saccade.viewer.pictures import data_uri, grid, png, upscale, write_video
from saccade.viewer.repeating import repeat_sections
from saccade.viewer.timeline import Chart

MOST_MOMENTS = 40  # in a film
FRAMES_PER_SECOND = 4.0
LEAST_SIDE = 160  # of a picture in a still

File = tuple[str, str, bytes]
"""Name, media type, content."""
Report = Callable[[int, int], None]


def unheard(done: int, total: int) -> None:
    """Ignore a report of progress."""


def saved(what: str, session: Session, view: View, title: str, command: str, report: Report = unheard) -> File:
    """Return the requested file: ``still``, ``film`` or ``page``. Raises UserError if it cannot be drawn.

    report: called with how many moments of a film are drawn, and their total.
    """
    if what == "still":
        return still(session, view)
    return film(session, view, report) if what == "film" else recorded_page(session, view, title, command, report)


def still(session: Session, view: View) -> File:
    """Return the moment as it is shown: a row for each pane with its picture and its maps."""
    rows, labels = [], []
    for pane in view.shown():
        answer = session.look(pane, view.question)
        maps = [payloads.map_picture(answer, _finest(session, pane, answer, name, view)) for name in view.methods]
        rows.append([_large(one) for one in (payloads.frame(answer), *maps)])
        labels.append(_name(session, pane))
    return "saccade.png", "image/png", png(grid(rows, row_labels=labels, column_labels=_columns(view)))


def film(session: Session, view: View, report: Report = unheard) -> File:
    """Return the episode from its beginning, as the first pane sees it, with its first map beside it."""
    pane, moments = view.shown()[0], _moments(session)
    frames: list[np.ndarray] = []
    for index in moments:
        report(len(frames), len(moments))
        answer = session.look(pane, replace(view.question, index=index))
        shown = [payloads.frame(answer)]
        for name in view.methods[:1]:
            shown.append(payloads.map_picture(answer, _coarsest(session, pane, answer, name, view)))
        frames.append(_large(np.concatenate(shown, axis=1)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film.mp4")
        write_video(path, np.stack(frames), FRAMES_PER_SECOND)
        return "saccade.mp4", "video/mp4", path.read_bytes()


def recorded_page(session: Session, view: View, title: str, command: str, report: Report = unheard) -> File:
    """Return the session as a page that opens from disk: the moment before and after, and the episode as a film."""
    panes = view.shown()
    sections: list[Section] = [Found(_sentence(session, view, panes)), Heading("The moment"), *_moment(session, view)]
    each, films = len(_moments(session)), dict[str, Film]()
    for place, pane in enumerate(panes):
        reports = partial(_one_of, report, place * each, len(panes) * each)
        films[_name(session, pane)] = _film(session, pane, view, reports)
    sections += [
        Heading("The episode"),
        Films(films, "The episode as it was played, without the changes above; the slider moves all pictures."),
        *repeat_sections(command, _facts(session, view)),
    ]
    return "saccade.html", "text/html", page(title, sections).encode()


def _one_of(report: Report, before: int, total: int, done: int, _: int) -> None:
    """Report the progress of one film among several."""
    report(before + done, total)


def _moment(session: Session, view: View) -> list[Section]:
    """Return for each pane a row as it was, and one with the changes if there are any."""
    rows, gallery = [], []
    scores: dict[str, tuple[Scored, ...]] = {}
    for pane in view.shown():
        name = _name(session, pane)
        answer = session.look(pane, view.question)
        shown = {name: answer}
        if _changes(view):
            shown = {f"{name}, as it was": session.look(pane, Question(view.index)), f"{name}, changed": answer}
        for label, one in shown.items():
            payload = payloads.reading_payload(one.after)
            rows.append((label, payloads.action_text(session, payload), payload["value"]))
            levels = {method: _finest(session, pane, one, method, view) for method in view.methods}
            drawn = [payloads.frame(one), *(payloads.map_picture(one, levels[method]) for method in view.methods)]
            gallery.append((label, tuple(data_uri(png(picture)) for picture in drawn)))
        if view.metrics:  # of the last maps, which are those with the changes
            for method, level in levels.items():
                of_map = session.scored(pane, view.question, answer, level, view.metrics)
                scores[f"{name}, {_plain(method)}"] = of_map
    changes = _changes(view)
    what = f"The action at step {view.index}, and the state's value."
    return [
        Table(
            ("view", "action", "value"),
            tuple(rows),
            f"{what} What was changed: {', '.join(changes)}." if changes else what,
        ),
        Gallery(
            tuple(gallery),
            _columns(view),
            "The picture and the maps" + (", before and after the changes." if changes else "."),
        ),
        *([_scores(scores)] if scores else []),
    ]


def _scores(scores: Mapping[str, Sequence[Scored]]) -> Table:
    """Return the scores of the maps with the changes, by name, each beside the score of a random map."""
    rows: list[tuple[Cell, ...]] = []
    for name, found in scores.items():
        rows.append((name, *(one.value for one in found)))
        rows.append((f"{name}: by chance", *(one.by_chance for one in found)))
    columns = [(one.metric.replace("_", " "), one.direction) for one in next(iter(scores.values()))]
    better = "; ".join(f"{name}: {direction} is better" for name, direction in columns)
    return Table(("map", *(name for name, _ in columns)), tuple(rows), f"Scores of the maps. {better}.")


def _film(session: Session, pane: Pane, view: View, report: Report) -> Film:
    """Return pictures and maps of some moments; text and curves cover all of them if the pane shows the played mode."""
    total, moments = len(session.actions) + 1, _moments(session)
    answers, maps = list[Answer](), {name: list[np.ndarray]() for name in view.methods}
    for index in moments:
        report(len(answers), len(moments))
        answers.append(session.look(pane, Question(index)))
        for name, drawn in maps.items():
            drawn.append(payloads.map_picture(answers[-1], _coarsest(session, pane, answers[-1], name, view)))
    panels = [panel("picture", "what the policy saw", np.stack([payloads.frame(one) for one in answers]))]
    for name, drawn in maps.items():
        panels.append(panel(_plain(name), f"the map of {_plain(name)} over the picture", np.stack(drawn)))
    readings, curves = {index: one.before for index, one in zip(moments, answers, strict=True)}, tuple[Chart, ...]()
    if pane.mode == session.mode:
        readings = dict(enumerate(session.course(pane.policy)))
        curves = payloads.charts_of(session, pane.policy, range(total))
    lines = [_line(session, max(known for known in readings if known <= index), readings) for index in range(total)]
    caption = "The brighter a pixel, the more it matters."
    if len(moments) < total:
        caption += f" Pictures of {len(moments)} of {total} moments: between two of them the earlier one stays."
    height, width = answers[0].picture.shape[:2]
    have = () if len(moments) == total else tuple(moments)
    return Film(tuple(panels), tuple(lines), height, width, caption, curves=curves, drawn=have)


def _line(session: Session, index: int, readings: Mapping[int, Reading]) -> str:
    """Return the action at a moment, its value and its reward as a line."""
    payload = payloads.reading_payload(readings[index])
    worth = "" if payload["value"] is None else f", value {payloads.number_text(payload['value'])}"
    reward = f", reward {payloads.number_text(session.rewards[index])}" if index < len(session.rewards) else ""
    return f"step {index}: {payloads.action_text(session, payload)}{worth}{reward}"


def _sentence(session: Session, view: View, panes: Sequence[Pane]) -> str:
    plain, changed = session.look(panes[0], Question(view.index)), session.look(panes[0], view.question)
    was = payloads.action_text(session, payloads.reading_payload(plain.before))
    now = payloads.action_text(session, payloads.reading_payload(changed.after))
    if was == now:
        return f"At step {view.index} the policy does {was}" + (", with the changes too." if _changes(view) else ".")
    return f"At step {view.index} the policy does {was}; with the changes it does {now}."


def _changes(view: View) -> list[str]:
    """Return the changes in a word or two each; strokes of the same kind count once."""
    brushed = {"paint": "painted over", "erase": "erased with blur"}
    changes = [
        f"{_plain(one.shift)} {100 * one.strength:.0f} %" if one.kind == "turn"
        else f"{_plain(one.shift)} dropped in" if one.kind == "drop" else brushed[one.kind]
        for one in view.edits
    ]  # fmt: skip
    if view.dial is not None:
        changes.append(f"{_plain(view.dial[0])} {100 * view.dial[1]:.0f} %")
    return list(dict.fromkeys(changes))


def _facts(session: Session, view: View) -> tuple[tuple[str, str], ...]:
    return (
        ("task", session.task.name),
        ("mode of the episode", session.mode),
        ("seed", str(session.seed)),
        ("policies", ", ".join(policy.name for policy in session.policies)),
        ("changes", ", ".join(_changes(view)) or "none"),
        ("score", view.score or "the policy's default"),
    )


def _name(session: Session, pane: Pane) -> str:
    return f"{payloads.policy_names(session)[pane.policy]}, {pane.mode}"


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _columns(view: View) -> tuple[str, ...]:
    return ("picture", *map(_plain, view.methods))


def _moments(session: Session) -> list[int]:
    last = len(session.actions)
    return sorted({round(last * place / (MOST_MOMENTS - 1)) for place in range(MOST_MOMENTS)})


def _finest(session: Session, pane: Pane, answer: Answer, name: str, view: View) -> MapLevel:
    *_, level = session.maps(pane, answer, name, view.score)
    return level


def _coarsest(session: Session, pane: Pane, answer: Answer, name: str, view: View) -> MapLevel:
    return next(session.maps(pane, answer, name, view.score))


def _large(picture: np.ndarray) -> np.ndarray:
    return upscale(picture, -(-LEAST_SIDE // picture.shape[0]))
