"""Edits of the picture that a policy sees: paint, erase with blur, drop in a distraction, turn a dial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from saccade.envs.shifts import LUMINANCE, RGB, SHIFTS, Occasion
from saccade.explain.channels import as_observations, pictures_of
from saccade.policies.pixels import GREY, RGB_PART, Pixels, part_width
from saccade.types import UserError

Point: TypeAlias = tuple[float, float]
"""Across and down, as fractions 0..1 of the picture."""
Painting: TypeAlias = NDArray[np.float32]
MOST_POINTS = 2000  # of one stroke
EDGE = 0.25  # of a stroke's radius, over which an erased spot fades into its surroundings


@final
@dataclass(frozen=True)
class Paint:
    """A stroke of one colour.

    Attributes:
        points: the path of the brush.
        radius: of the brush, as a fraction of the shorter side.
        colour: red, green and blue in 0..1; grey pictures take its brightness.
    """

    points: tuple[Point, ...]
    radius: float
    colour: tuple[float, float, float]


@final
@dataclass(frozen=True)
class Erase:
    """A stroke that strongly blurs what is under it (the dial ``blur`` at 1)."""

    points: tuple[Point, ...]
    radius: float


@final
@dataclass(frozen=True)
class Drop:
    """A distraction in one place: a shift from ``SHIFTS`` inside a disc."""

    shift: str
    strength: float
    points: tuple[Point, ...]
    radius: float


@final
@dataclass(frozen=True)
class Turn:
    """A shift from ``SHIFTS`` over the whole picture."""

    shift: str
    strength: float


Edit: TypeAlias = Paint | Erase | Drop | Turn


def droppable(pixels: Pixels) -> tuple[str, ...]:
    """Return the shifts that a policy's pictures can take: those that need no clip and no colours they lack."""
    side = min(pixels.channels_first[1:])
    grey = pixels.colours != RGB
    return tuple(
        name
        for name, row in SHIFTS.items()
        if not row.needs_background and not (row.needs_colours and grey) and side >= row.least_side
    )


def check_edit(edit: Edit, pixels: Pixels) -> None:
    """Raise UserError for an edit that cannot be made to a policy's pictures."""
    if isinstance(edit, Drop | Turn):
        if edit.shift not in droppable(pixels):
            raise UserError(
                f"{edit.shift!r} cannot be laid over these pictures: choose from {', '.join(droppable(pixels))}."
            )
        if not 0 <= edit.strength <= 1:
            raise UserError(f"A strength of {edit.strength:g} lies outside 0..1.")
    if isinstance(edit, Paint) and not all(0 <= part <= 1 for part in edit.colour):
        raise UserError(f"A colour has red, green and blue from 0 to 1, not {edit.colour}.")
    if not isinstance(edit, Turn):
        if not 0 < edit.radius <= 1:
            raise UserError(f"A brush of radius {edit.radius:g} is none: use more than 0 and at most 1.")
        points = np.asarray(edit.points)
        if not 0 < len(points) <= MOST_POINTS or not ((points >= 0) & (points <= 1)).all():
            raise UserError(f"A stroke has from 1 to {MOST_POINTS} points, each from 0 to 1 across and down.")


def edited(pixels: Pixels, obs: np.ndarray, edits: Sequence[Edit], *, seed: int = 0, step: int = 0) -> np.ndarray:
    """Return one observation ``[*shape]`` after the edits, in order, each applied to every frame of the stack.

    Only colours and grey change; depth and other channels stay. Without edits it is the same, bit for bit.

    Args:
        seed, step: decide what random shifts draw.

    Raises:
        UserError: an edit cannot be made.
    """
    for edit in edits:
        check_edit(edit, pixels)
    if not edits:
        return obs
    shares = (pictures_of(pixels, obs) / pixels.high).astype(np.float32)
    for frame in range(pixels.frames):
        occasion = Occasion(seed, step, pixels.frames - 1 - frame)
        start = frame * pixels.colours
        for part in pixels.parts:
            end = start + part_width(part)
            if part in (RGB_PART, GREY):
                picture = np.ascontiguousarray(shares[start:end].transpose(1, 2, 0))
                for edit in edits:
                    picture = _made(picture, edit, occasion)
                shares[start:end] = picture.transpose(2, 0, 1)
            start = end
    return as_observations(pixels, shares.clip(0, 1))


def stroke(points: Sequence[Point], radius: float, height: int, width: int, soft: float = 0.0) -> Painting:
    """Return how much of each pixel a brush covers, 0..1 ``[height, width]``: all within the radius of its path.

    soft: the fraction of the radius, beyond it, over which the stroke fades to 0.
    """
    reach = max(radius * min(height, width), 0.5)
    far = reach * (1 + soft)
    centres_down, centres_across = np.mgrid[:height, :width] + 0.5
    nearest = np.full((height, width), np.inf)
    ends = [(x * width, y * height) for x, y in points]
    for (x, y), (to_x, to_y) in zip(ends, ends[1:] or ends, strict=False):
        # Pixels out of reach of this segment are left out: a long stroke has a thousand segments.
        window = tuple(slice(max(int(min(pair) - far), 0), int(max(pair) + far) + 1) for pair in ((y, to_y), (x, to_x)))
        down, across = centres_down[window] - y, centres_across[window] - x
        along_x, along_y = to_x - x, to_y - y
        length = along_x**2 + along_y**2
        share = (across * along_x + down * along_y) / length if length > 0 else np.zeros_like(across)
        share = np.clip(share, 0, 1)
        nearest[window] = np.minimum(nearest[window], np.hypot(across - share * along_x, down - share * along_y))
    if soft <= 0:
        return (nearest <= reach).astype(np.float32)
    return ((reach * (1 + soft) - nearest) / (reach * soft)).clip(0, 1).astype(np.float32)


def _made(picture: Painting, edit: Edit, occasion: Occasion) -> Painting:
    """Return one picture ``[height, width, colours]`` after one edit."""
    height, width, colours = picture.shape
    match edit:
        case Paint(points, radius, colour):
            rgb = np.array(colour, np.float32)
            wanted = rgb if colours == RGB else (LUMINANCE @ rgb)[None]
            return np.where(stroke(points, radius, height, width)[..., None] > 0, wanted, picture).astype(np.float32)
        case Erase(points, radius):
            spot, other = stroke(points, radius, height, width, EDGE), SHIFTS["blur"].change(picture, 1.0, occasion)
        case Drop(shift, strength, points, radius):
            spot = stroke(points, radius, height, width, EDGE)
            other = SHIFTS[shift].change(picture, strength, occasion) if strength > 0 else picture
        case Turn(shift, strength):
            return SHIFTS[shift].change(picture, strength, occasion).clip(0, 1) if strength > 0 else picture
    return (picture + spot[..., None] * (other.clip(0, 1) - picture)).astype(np.float32)
