"""Observations and saliency maps as pictures: arrays ``[height, width, 3]`` of uint8, and files of them."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saccade.data.files import written_aside

Picture = NDArray[np.uint8]  # [height, width, 3], red green blue
Places = list[tuple[slice, slice]]  # rows and columns of a larger picture

COLOR_CHANNELS = 3
# How much each colour adds to how bright a pixel looks (ITU-R BT.601).
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
FRAME_LIGHT = 0.5  # of a frame under a map
WHITE = 255
MARK = (0, 255, 255)  # cyan, which the colours of maps do not come near
INK = (24, 24, 27)  # labels: nearly black
LABEL_PIXELS = 15  # height of the letters of a label
LINE_PIXELS = 18  # from one line of a label to the next
LABEL_MARGIN = 6
BLOCK_GAP = 14  # more room between rows that do not belong together
WORD = re.compile(r"[^\s_]+[\s_]*|[\s_]+")  # with what ends it
LEAST_VIDEO_WIDTH = 256  # pixels: players show a smaller one as a stamp, or blur it
VIDEO_CODEC = "libx264"
VIDEO_QUALITY = "18"  # constant rate factor: 18 is hard to tell from the original


def frame_of(obs: NDArray[Any], *, colours: int = COLOR_CHANNELS) -> Picture:
    """Return the newest frame of a stacked observation ``[frames * colours, height, width]`` in 0..255, oldest first.

    Args:
        colours: channels per frame: 3, or 1 for grey, which becomes three equal channels.
    """
    if obs.ndim != 3:
        raise ValueError(f"an observation has shape [frames * {colours}, height, width], not {list(obs.shape)}")
    return frames_of(obs[None], colours=colours)[0]


def frames_of(obs: NDArray[Any], *, colours: int = COLOR_CHANNELS) -> NDArray[np.uint8]:
    """Apply ``frame_of`` to many: ``[time, frames * colours, height, width]`` -> ``[time, height, width, 3]``."""
    if colours not in (1, COLOR_CHANNELS):
        raise ValueError(f"a frame has 1 or {COLOR_CHANNELS} colours, not {colours}")
    if obs.ndim != 4 or obs.shape[1] % colours or obs.shape[1] == 0:
        raise ValueError(f"an observation has shape [frames * {colours}, height, width], not {list(obs.shape[1:])}")
    newest = np.moveaxis(obs[:, -colours:], 1, -1).clip(0, WHITE).astype(np.uint8)
    return np.ascontiguousarray(newest.repeat(COLOR_CHANNELS // colours, axis=-1))


def parts_of(obs: NDArray[Any], channels: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    """Return the newest frame's parts as pictures ``[time, height, width, 3]``, ordinary pictures first.

    Args:
        obs: ``[time, frames * channels, height, width]`` in 0..255, oldest frame first.
        channels: the channels of a frame: ``rgb`` is three, any other word one, which is drawn grey.
    """
    widths = [COLOR_CHANNELS if part == "rgb" else 1 for part in channels]
    newest, drawn, start = obs[:, -sum(widths) :], {}, 0
    for part, width in zip(channels, widths, strict=True):
        drawn[part] = frames_of(newest[:, start : start + width], colours=width)
        start += width
    main = next((part for part in ("rgb", "grey") if part in drawn), channels[0])
    return {main: drawn.pop(main), **drawn}


def unit_range(saliency: NDArray[Any], limits: tuple[float, float] | None = None) -> NDArray[np.float32]:
    """Scale a map to 0..1: ``limits`` become 0 and 1, and values outside them are clipped.

    Args:
        limits: lowest and highest value; None for the map's own, so that a constant map becomes 0.
    """
    if not np.isfinite(saliency).all():
        raise ValueError("a saliency map must be finite everywhere; this one holds NaN or infinity")
    low, high = limits or (float(saliency.min()), float(saliency.max()))
    if high <= low:
        return np.zeros(saliency.shape, dtype=np.float32)
    return ((saliency.astype(np.float32) - low) / (high - low)).clip(0, 1)


def overlay(
    frame: Picture,
    saliency: NDArray[Any],
    *,
    colormap: str = "inferno",
    opacity: float = 0.85,
    limits: tuple[float, float] | None = None,
) -> Picture:
    """Draw the frame in dim grey, and the map over it in colour: the more salient a pixel, the brighter.

    The frame is dim so that what is salient can be told from a white table, and stands out on it.

    A map that is zero everywhere is crossed out, since it says nothing: not that nothing matters.

    Args:
        frame: ``[..., height, width, 3]``: one picture, or as many as there are maps.
        saliency: ``[..., height, width]``, any finite numbers.
        colormap: a name that Matplotlib knows; the default is readable for the colour-blind.
        opacity: how much of the frame the most salient pixel hides, 0..1.
        limits: see ``unit_range``.
    """
    from matplotlib import colormaps

    _check_size(frame, saliency)
    strength = unit_range(saliency, limits)
    grey = FRAME_LIGHT * (frame.astype(np.float32) @ LUMINANCE)[..., None]
    color = colormaps[colormap](strength)[..., :COLOR_CHANNELS].astype(np.float32) * WHITE
    weight = opacity * strength[..., None]
    drawn = _rounded(grey * (1 - weight) + color * weight)
    empty = ~saliency.any((-2, -1))
    drawn[empty] = crossed_out(drawn[empty])
    return drawn


def marked(frame: Picture, where: NDArray[np.bool_]) -> Picture:
    """Return the frame with pixels ``[..., height, width]`` in a colour that no map has."""
    return np.where(where[..., None], np.array(MARK, np.uint8), frame)


def resized(maps: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Resize maps ``[time, h, w]`` to the size of a frame: bilinear, with half-pixel centres."""
    import torch

    given = torch.as_tensor(maps)[:, None]
    return torch.nn.functional.interpolate(given, (height, width), mode="bilinear", align_corners=False)[:, 0].numpy()


def of_size(frames: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize frames ``[time, h, w, 3]`` so that their pixels stay visible."""
    rows, columns = (
        np.arange(side) * was // side for side, was in zip((height, width), frames.shape[1:3], strict=True)
    )
    return frames[:, rows[:, None], columns]


def spotlight(frame: Picture, mask: NDArray[Any], *, darkness: float = 0.75) -> Picture:
    """Return the frame unchanged where the mask is 1, and darker where it is 0; values in between are interpolated.

    Args:
        frame: ``[..., height, width, 3]``: one picture, or as many as there are masks.
        mask: ``[..., height, width]`` in 0..1, or booleans.
        darkness: how much light the rest loses, 0..1.
    """
    _check_size(frame, mask)
    light = 1 - darkness * (1 - mask.astype(np.float32).clip(0, 1))
    return _rounded(frame * light[..., None])


def crossed_out(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw a cross from corner to corner over pictures ``[..., height, width, 3]``: there is nothing to see in them."""
    height, width = frames.shape[-3:-1]
    rows, columns = np.mgrid[:height, :width]
    along = rows * max(width - 1, 1) - columns * max(height - 1, 1)  # 0 on the diagonal
    across = np.minimum(np.abs(along), np.abs(rows * max(width - 1, 1) - (width - 1 - columns) * max(height - 1, 1)))
    near = across / max(height - 1, width - 1, 1)  # in pixels
    drawn = frames.copy()
    drawn[..., near < 1.5, :] = 0  # white with a black edge: visible on any picture
    drawn[..., near < 0.75, :] = WHITE
    return drawn


def centred(frames: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Centre pictures ``[..., h, w, 3]`` on white ones of ``[..., height, width, 3]``, which are no smaller."""
    room = (height - frames.shape[-3], width - frames.shape[-2])
    if min(room) < 0:
        raise ValueError(f"pictures of {list(frames.shape[-3:-1])} have no room in {[height, width]}")
    margins = [(space // 2, space - space // 2) for space in room]
    return np.pad(frames, [(0, 0)] * (frames.ndim - 3) + [*margins, (0, 0)], constant_values=WHITE)


def upscale(picture: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Enlarge every pixel of ``[..., height, width, 3]`` to a square of ``factor`` by ``factor``, unblurred."""
    return picture.repeat(factor, axis=-3).repeat(factor, axis=-2)


def enlarged(frames: NDArray[np.uint8]) -> Iterator[Picture]:
    """Yield the frames of ``[time, height, width, 3]``, each at least ``LEAST_VIDEO_WIDTH`` pixels wide."""
    factor = math.ceil(LEAST_VIDEO_WIDTH / frames.shape[2])
    return (upscale(frame, factor) for frame in frames)


def grid(
    pictures: Sequence[Sequence[Picture]],
    *,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    gap: int = 4,
    block_starts: Collection[int] = (),
) -> Picture:
    """Arrange rows of pictures of one size on white, with a label left of each row and above each column.

    A row may be shorter than the first; its place stays white. Labels may have several lines; ``wrapped`` breaks them.

    Args:
        gap: white pixels between pictures.
        block_starts: rows that start a new block, and so are farther from the row above.
    """
    height, width = pictures[0][0].shape[:2]
    if any(picture.shape != (height, width, COLOR_CHANNELS) for row in pictures for picture in row):
        raise ValueError("all pictures of a grid must have the same size")
    if row_labels and len(row_labels) != len(pictures):
        raise ValueError(f"{len(pictures)} rows need as many labels, not {len(row_labels)}")
    num_columns = max(map(len, pictures))
    left = max(map(_label_width, row_labels), default=0)
    top = label_height(column_labels)
    extra = np.cumsum([BLOCK_GAP * (i > 0 and i in block_starts) for i in range(len(pictures))])
    size = (top + len(pictures) * (height + gap) - gap + int(extra[-1]), left + num_columns * (width + gap) - gap)
    sheet = np.full((*size, COLOR_CHANNELS), WHITE, dtype=np.uint8)
    labels: list[tuple[str, float, float, str]] = []
    for i, row in enumerate(pictures):
        y = top + i * (height + gap) + int(extra[i])
        labels += [(row_labels[i], left - LABEL_MARGIN, y + height / 2, "rm")] if row_labels else []
        for j, picture in enumerate(row):
            x = left + j * (width + gap)
            sheet[y : y + height, x : x + width] = picture
    for j, label in enumerate(column_labels):
        labels.append((label, left + j * (width + gap) + width / 2, top - LABEL_MARGIN, "md"))
    return _written_on(sheet, labels)


def tiles(labels: Sequence[str], height: int, width: int, num_columns: int, *, gap: int = 8) -> tuple[Picture, Places]:
    """White sheet with room for labelled pictures, row by row, and each one's place: ``sheet[place] = picture``.

    Every label is broken so that it fits above its picture.
    """
    broken = [wrapped(label, width) for label in labels]
    top = label_height(broken)
    num_rows = -(-len(labels) // num_columns)
    size = (num_rows * (top + height + gap) + gap, num_columns * (width + gap) + gap)
    sheet = np.full((*size, COLOR_CHANNELS), WHITE, dtype=np.uint8)
    places: Places = []
    written: list[tuple[str, float, float, str]] = []
    for index, label in enumerate(broken):
        y = gap + (index // num_columns) * (top + height + gap) + top
        x = gap + (index % num_columns) * (width + gap)
        places.append((slice(y, y + height), slice(x, x + width)))
        written.append((label, x + width / 2, y - LABEL_MARGIN, "md"))
    return _written_on(sheet, written), places


def wrapped(label: str, width: int) -> str:
    """Break the label into lines of at most ``width`` pixels, after spaces and underscores where possible."""
    lines = [""]
    for word in WORD.findall(label):
        if lines[-1] and _font().getlength(lines[-1] + word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def label_height(labels: Sequence[str]) -> int:
    """Return the height in pixels that the labels need above what they name; 0 without labels."""
    num_lines = max((label.count("\n") + 1 for label in labels), default=0)
    return num_lines * LINE_PIXELS + 2 * LABEL_MARGIN - (LINE_PIXELS - LABEL_PIXELS) if num_lines else 0


def write_on(picture: Picture, text: str, x: int, y: int) -> Picture:
    """Return a copy of the picture with a line of text whose left end and middle height are ``x`` and ``y``."""
    return _written_on(picture, [(text, x, y, "lm")])


def png(picture: Picture) -> bytes:
    """Return the picture as the content of a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def data_uri(content: bytes, media_type: str = "image/png") -> str:
    """Return a file's content as a data URI, for pages that must be self-contained."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def check_carried(address: str) -> None:
    """Raise ValueError for a picture that the page would have to load from elsewhere."""
    if not address.startswith("data:image/"):
        raise ValueError(f"a picture is a data:image/ URI, not {address[:40]!r}")


def write_video(path: str | Path, frames: NDArray[np.uint8] | Iterable[Picture], frames_per_second: float) -> None:
    """Write an mp4 that browsers play (H.264, yuv420p); it is written aside and renamed.

    Args:
        frames: ``[time, height, width, 3]``, or pictures of one size, which need not all be in memory at once; an odd
            height or width is made even by repeating the last line.

    Raises:
        UserError: the file cannot be written.
    """
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None or first.ndim != 3 or first.shape[2] != COLOR_CHANNELS:
        shape = "no frames" if first is None else f"frames of {list(first.shape)}"
        raise ValueError(f"a video has shape [time, height, width, 3], not {shape}")
    odd = ((0, first.shape[0] % 2), (0, first.shape[1] % 2), (0, 0))
    even = (np.pad(picture, odd, mode="edge") for picture in chain([first], pictures))
    size = (first.shape[0] + odd[0][1], first.shape[1] + odd[1][1])
    with written_aside(Path(path)) as aside:
        _encode(aside, even, size, Fraction(frames_per_second).limit_denominator(1000))


def _encode(path: Path, frames: Iterable[Picture], size: tuple[int, int], rate: Fraction) -> None:
    import av

    # faststart: the index comes first, so that a browser can start before it has everything.
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(VIDEO_CODEC, rate=rate, options={"crf": VIDEO_QUALITY})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _check_size(frame: Picture, layer: NDArray[Any]) -> None:
    if frame.shape[:-1] != layer.shape:
        sizes = f"{list(layer.shape)} does not lie over a frame of {list(frame.shape[:-1])}"
        raise ValueError(f"a map of {sizes}; both are [height, width]")


def _rounded(values: NDArray[Any]) -> Picture:
    return np.rint(values).clip(0, WHITE).astype(np.uint8)


def _label_width(label: str) -> int:
    return round(max(_font().getlength(line) for line in label.split("\n"))) + 2 * LABEL_MARGIN


def _written_on(sheet: Picture, labels: Sequence[tuple[str, float, float, str]]) -> Picture:
    """The sheet with each ``(label, x, y, anchor)`` written on it; anchors as in Pillow."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(sheet)
    draw = ImageDraw.Draw(image)
    for label, x, y, anchor in labels:
        spacing = LINE_PIXELS - LABEL_PIXELS
        draw.text((x, y), label, fill=INK, font=_font(), anchor=anchor, align="center", spacing=spacing)
    return np.asarray(image)


@cache
def _font() -> Any:
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), LABEL_PIXELS)
