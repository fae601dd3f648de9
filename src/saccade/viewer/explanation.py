"""Pictures of an explanation folder: each method's map over the frame, and what the agent itself computes from it.

All pictures show the newest frame of a stacked observation, and of a signed map the magnitude: bright is what matters,
whether it speaks for or against. A map that is zero everywhere is crossed out, since it says nothing. Each method has
its own brightness, the same for all frames of a mode, so that frames can be compared with each other, and methods by
where they are bright, not by how much.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saccade.data.files import written_aside
from saccade.viewer.pictures import (
    LINE_PIXELS,
    WHITE,
    Picture,
    centred,
    frames_of,
    grid,
    marked,
    of_size,
    overlay,
    parts_of,
    png,
    resized,
    spotlight,
    tiles,
    upscale,
    wrapped,
    write_on,
)
from saccade.viewer.recorded_maps import Maps, read_maps
from saccade.viewer.recordings import read_explanation

BRIGHTEST = 0.99  # quantile that is drawn at full brightness: a few extreme pixels would hide the rest
SCREEN, LOOKED = "what the person sees", "where the person looks"
SEEN, CLEAN, TRUTH = "what the policy sees", "without distraction", "the task (simulator)"
ZERO = "(zero everywhere)"  # after the name of a method that found nothing in any frame
OBSERVATION = "observation"
FIGURE = "figure.png"
CLOSEST = 3  # actions that a line names
SMALLEST_SIDE = 160  # of an enlarged frame, so that single pixels can be seen
FILM_SHAPE = 16 / 9  # width over height
FRAMES_AT_ONCE = 32  # drawn together; more need more memory and are not faster


def panels(maps: Maps, index: NDArray[np.int64] | None = None) -> dict[str, NDArray[np.uint8]]:
    """What is drawn side by side, by label: frames ``[time, height, width, 3]``, overlays by their method's name.

    The agent's own pictures come last and unchanged, centred on white if they are smaller than the frame.

    Args:
        index: of the frames to draw; None for all.
    """
    chosen = np.arange(len(maps.obs)) if index is None else index
    if maps.screen is not None and maps.looked_at is not None:
        return _on_screen(maps, maps.screen[chosen], maps.looked_at[chosen] > 0, chosen)
    parts = parts_of(maps.obs[chosen], maps.channels)
    frames, *_ = parts.values()
    drawn = {SEEN: frames}
    if len(parts) > 1 or not {*parts} & {"rgb", "grey"}:  # a part that is no plain picture needs a label
        drawn = {f"{SEEN}: {part}": picture for part, picture in parts.items()}
    if maps.clean_obs is not None:
        drawn[CLEAN] = next(iter(parts_of(maps.clean_obs[chosen], maps.channels).values()))
    if maps.task_mask is not None:
        drawn[TRUTH] = spotlight(frames, maps.task_mask[chosen])
    for method, saliency in maps.saliency.items():
        label = method if saliency.any() else f"{method} {ZERO}"
        drawn[label] = overlay(frames, np.abs(saliency[chosen]), limits=(0.0, brightest(saliency)))
    own = _observation_and_pictures(maps, chosen)
    return drawn | {agent_label(name): own[name] for name in maps.pictures}


def _on_screen(
    maps: Maps, screen: NDArray[np.uint8], looked_at: NDArray[np.bool_], chosen: NDArray[np.int64]
) -> dict[str, NDArray[np.uint8]]:
    """Panels of a person's game: the screen, where they looked, and every map over it with the gaze on top."""
    drawn = {SCREEN: screen, LOOKED: marked(screen // 2, looked_at)}
    for method, saliency in maps.saliency.items():
        label = method if saliency.any() else f"{method} {ZERO}"
        over = resized(np.abs(saliency[chosen]), *maps.size)
        drawn[label] = marked(overlay(screen, over, limits=(0.0, brightest(saliency))), looked_at)
    own = _observation_and_pictures(maps, chosen)
    return drawn | {agent_label(name): of_size(own[name], *maps.size) for name in maps.pictures}


def agent_label(picture: str) -> str:
    """Return the label of one of the agent's own pictures beside maps: no method has such a name."""
    return f"{_words(picture)} (agent)"


def _words(name: str) -> str:
    return name.replace("_", " ")


def brightest(saliency: NDArray[np.float32]) -> float:
    """Return the magnitude that is drawn at full brightness; for a map that is zero almost everywhere, its maximum."""
    magnitude = np.abs(saliency)
    return float(np.quantile(magnitude, BRIGHTEST)) or float(magnitude.max())


def spread(total: int, most: int) -> NDArray[np.int64]:
    """Return at most ``most`` of ``total`` places, evenly spread, including the first and the last."""
    return np.unique(np.linspace(0, total - 1, min(most, total)).round().astype(np.int64))


def grid_picture(folder: str | Path, mode: str, *, rows: int = 6) -> Picture:
    """Draw methods as columns and evenly spread frames as rows, enlarged and labelled.

    Raises:
        UserError: the folder holds no maps of this mode, or they are damaged.
    """
    maps = read_maps(read_explanation(folder), mode)
    chosen = spread(len(maps.obs), rows)
    factor = _enlargement(*maps.size)
    drawn = {label: upscale(frames, factor) for label, frames in panels(maps, chosen).items()}
    width = maps.size[1] * factor
    return grid(
        [[frames[row] for frames in drawn.values()] for row in range(len(chosen))],
        row_labels=[f"step {maps.step[time]}" for time in chosen],
        column_labels=[wrapped(label, width) for label in drawn],
    )


def figure_picture(folder: str | Path, *, moments: int = 2) -> Picture | None:
    """Draw the agent's own masks and pictures as columns, and some moments of each mode as rows.

    None if the folder holds no such pictures, since not every policy makes any.

    Raises:
        UserError: the folder is no explanation, or a file in it is damaged.
    """
    explanation = read_explanation(folder)
    if not explanation.pictures:
        return None
    rows: list[dict[str, Picture]] = []
    row_labels, block_starts = [], []
    for mode in explanation.modes_with_maps:
        maps = read_maps(explanation, mode)
        if maps.pictures:
            chosen = amid(len(maps.obs), moments)
            drawn = _observation_and_pictures(maps, chosen)
            block_starts.append(len(rows))
            rows += [{name: frames[place] for name, frames in drawn.items()} for place in range(len(chosen))]
            row_labels += [f"{mode}\nstep {maps.step[time]}" for time in chosen]
    if not rows:
        return None
    height, width = rows[0][OBSERVATION].shape[:2]
    factor = _enlargement(height, width)
    names = (OBSERVATION, *explanation.pictures)
    white = np.full_like(rows[0][OBSERVATION], WHITE)  # if the file of a mode lacks a picture
    return grid(
        [[upscale(row.get(name, white), factor) for name in names] for row in rows],
        row_labels=row_labels,
        column_labels=[wrapped(_words(name), width * factor) for name in names],
        block_starts=block_starts,
    )


def write_figure(folder: str | Path) -> Path | None:
    """Write ``figure.png`` of the pictures in the folder; return its path, or None if there are none.

    Raises:
        UserError: the folder is no explanation, a file in it is damaged, or the figure cannot be written.
    """
    figure = figure_picture(folder)
    if figure is None:
        return None
    path = Path(folder) / FIGURE
    with written_aside(path) as aside:
        aside.write_bytes(png(figure))
    return path


def amid(total: int, most: int) -> NDArray[np.int64]:
    """Return at most ``most`` of ``total`` places, each in the middle of an equal share: neither start nor end."""
    count = min(most, total)
    return ((np.arange(count) + 0.5) * total / count).astype(np.int64)


def _observation_and_pictures(maps: Maps, chosen: NDArray[np.int64]) -> dict[str, NDArray[np.uint8]]:
    """Frames of one size by name."""
    frames = next(iter(parts_of(maps.obs[chosen], maps.channels).values()))
    drawn = {name: centred(frames_of(values[chosen]), *frames.shape[1:3]) for name, values in maps.pictures.items()}
    return {OBSERVATION: frames, **drawn}


def film_frames(folder: str | Path, mode: str) -> Iterator[Picture]:
    """Yield a video's frames, one after the other: what the policy sees, every method's map, and what happened.

    Raises:
        UserError: the folder holds no maps of this mode, or they are damaged.
    """
    maps = read_maps(read_explanation(folder), mode)
    factor = _enlargement(*maps.size)
    height, width = (side * factor for side in maps.size)
    labels = list(panels(maps, np.arange(1)))
    empty, places = tiles(labels, height, width, _film_columns(len(labels), height, width))
    empty = np.pad(empty, ((0, 2 * LINE_PIXELS), (0, 0), (0, 0)), constant_values=255)
    for start in range(0, len(maps.obs), FRAMES_AT_ONCE):
        index = np.arange(start, min(start + FRAMES_AT_ONCE, len(maps.obs)))
        drawn = [upscale(frames, factor) for frames in panels(maps, index).values()]
        for row, time in enumerate(index):
            sheet = empty.copy()
            for frames, place in zip(drawn, places, strict=True):
                sheet[place] = frames[row]
            yield write_on(sheet, moment_text(maps, int(time)), 8, len(sheet) - LINE_PIXELS)


def moment_text(maps: Maps, time: int) -> str:
    """Describe what happened at a frame in a line: ``step 12 of 250 · reward 0.93 · action 0.10 −0.40``.

    A discrete action comes with its name, its probability or value, and the actions that come closest to it:
    ``action forward 87 %, right 9 %, left 3 %``.
    """
    length = "" if maps.length is None else f" of {maps.length}"
    numbers = np.atleast_1d(maps.action[time]).ravel()
    if numbers.dtype.kind in "iub":
        action = _choice(maps, time, int(numbers[0])) if len(numbers) == 1 else " ".join(map(str, numbers.tolist()))
    else:
        action = " ".join(f"{number:.2f}" for number in numbers)
    unknown = np.isnan(maps.reward[time])  # as of recorded observations
    reward = "" if unknown else f" · reward {maps.reward[time]:.3g}"
    gaze = "" if maps.looked_at is None else f" · {maps.looked_at[time].sum()} gaze samples"
    line = f"step {maps.step[time]}{length}{reward} · action {action}{gaze}"
    return line.replace("-", "\u2212")


def _choice(maps: Maps, time: int, action: int) -> str:
    """A discrete action, and the other actions that the policy considered."""
    names, index = maps.action_names, action - maps.first_action
    thought = maps.probabilities if maps.probabilities is not None else maps.action_values
    count = len(names) if thought is None else thought.shape[1]
    if not 0 <= index < count:
        return str(action)

    def name(place: int) -> str:
        return names[place] if names else str(place + maps.first_action)

    if thought is None:
        return name(index)
    here = thought[time]
    others = [int(place) for place in np.argsort(-here, kind="stable") if place != index][: CLOSEST - 1]
    if maps.probabilities is not None:
        return ", ".join(f"{name(place)} {100 * here[place]:.0f} %" for place in (index, *others))
    return ", ".join(f"{name(place)} (value {here[place]:.3g})" for place in (index, *others))


def _enlargement(height: int, width: int) -> int:
    return max(1, math.ceil(SMALLEST_SIDE / max(height, width)))


def _film_columns(count: int, height: int, width: int) -> int:
    """How many pictures to put side by side so that the whole is about as wide as a screen, and nearly full."""
    ideal = max(1, round(math.sqrt(count * FILM_SHAPE * (height + 2 * LINE_PIXELS) / width)))
    return min((ideal, ideal + 1), key=lambda columns: -count % columns) if ideal < count else count
