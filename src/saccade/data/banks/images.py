"""Pictures for overlays: the user's folder or generated ones, decoded once, kept on the training device."""

from __future__ import annotations

import hashlib
import math
import random
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from saccade.data.banks.procedural import GENERATOR_VERSION, still_image
from saccade.data.cache import cached_array
from saccade.data.contents import contents_of
from saccade.data.pictures import UnusableError, read_picture
from saccade.types import UserError

# torchvision's RandomResizedCrop with its defaults, which the benchmark's code uses on Places365.
CROP_AREA = (0.08, 1.0)  # share of the picture
CROP_RATIO = (3 / 4, 4 / 3)  # width over height
CROP_ATTEMPTS = 10  # to fit a crop into the picture; then the whole picture is used
FLIP_CHANCE = 0.5
CROPPED_AT_ONCE = 16  # pictures, on a CPU: their converted values stay in its cache

BANK_COUNT = 1000
BANK_SIZE = 128  # pixels; enough for crops of 84
SMALL_BANK_SIZE = 64  # for proportionally smaller crops

# Formats for files of unknown origin: no others are opened.
FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
OTHER_FORMATS = (".tif", ".tiff", ".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".ppm", ".pgm", ".exr", ".npy")
"""Endings of pictures that are not opened, which a warning mentions."""
DECODING_THREADS = 4
NAMED_IN_WARNING = 5  # more skipped files than these are only counted

CACHE_VERSION = 2  # raised whenever decoded pictures would change
SEEDS_PER_BANK = 1_000_000  # so that banks of different seeds share no generated picture

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class ImageBank:
    """Pictures that are ready for sampling: ``images`` is uint8 ``[n, 3, side, side]`` on any device."""

    images: Tensor
    source: str  # the folder, or "procedural"

    def sample(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """Sample random crops of random pictures, half of them flipped: float32 ``[count, 3, size, size]``, 0..255.

        Pictures are drawn with replacement. A crop has 8 to 100 % of a picture's area and a ratio between 3:4
        and 4:3, and is resized bilinearly (torchvision's RandomResizedCrop and RandomHorizontalFlip). All
        random numbers come from ``generator``, on whose device the crops are made. If the bank is there too, nothing
        waits for that device, and the sampling can be part of a CUDA graph.
        """
        # Deviation: the published code crops from the full picture, and Pillow smooths when it shrinks.
        # A bank keeps pictures at its own size, and a crop is at most side / size times too large: no filter.
        side = self.images.shape[-1]
        drawn = partial(torch.rand, generator=generator, device=generator.device)
        index = torch.randint(len(self.images), (count,), generator=generator, device=generator.device)
        height, width = _crop_sides(side, drawn(2, count, CROP_ATTEMPTS))
        top, left = _crop_corner(side, height, drawn(count)), _crop_corner(side, width, drawn(count))
        flipped = drawn(count) < FLIP_CHANCE
        rows, columns = _crop_positions(top, height, size), _crop_positions(left, width, size)
        columns = torch.where(flipped[:, None], columns.flip(1), columns)
        places = torch.stack([columns[:, None, :].expand(-1, size, -1), rows[:, :, None].expand(-1, -1, size)], dim=-1)
        grid = places * (2 / (side - 1)) - 1  # -1 and 1 are the outermost pixels' centres
        at_once = CROPPED_AT_ONCE if generator.device.type == "cpu" else max(count, 1)
        cropped = [
            torch.nn.functional.grid_sample(
                self.images.index_select(0, part.to(self.images.device)).to(generator.device).float(),
                where, mode="bilinear", padding_mode="border", align_corners=True,
            )
            for part, where in zip(index.split(at_once), grid.split(at_once), strict=True)
        ]  # fmt: skip
        return cropped[0] if len(cropped) == 1 else torch.cat(cropped)


def bank_size(crop_size: int) -> int:
    """Return the side of a bank's pictures that suffices for crops of a size; larger pictures would be wasted."""
    return SMALL_BANK_SIZE if crop_size <= SMALL_BANK_SIZE * 84 // BANK_SIZE else BANK_SIZE


def bank_bytes(count: int = BANK_COUNT, size: int = BANK_SIZE) -> int:
    """Return the most bytes a bank takes: 49 MB for a thousand pictures of 128x128."""
    return count * 3 * size * size


def load_bank(
    folder: str | Path | None,
    *,
    count: int = BANK_COUNT,
    size: int = BANK_SIZE,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> ImageBank:
    """Load at most ``count`` pictures from ``folder`` and below, or generate ``count`` if it is None.

    Which files, of more than ``count``, depends on the seed. Each is decoded once, cropped to its central square
    and reduced to ``size`` pixels; the result is cached. ``progress(done, total)`` is called after each.
    Files that cannot be used are skipped and named in a warning, as is everything that was not read: pictures of other
    formats, links to folders, folders without access.

    Raises:
        UserError: there is no such folder, or no usable picture in it; or a number is too small.
    """
    if count < 1 or size < 2 or seed < 0:
        raise UserError(
            f"a bank of {count} images of {size} pixels with seed {seed} cannot be made; "
            f"give at least 1 image of 2 pixels and a seed of 0 or more"
        )
    if folder is None:
        name = f"stills-{seed}-{count}-{size}-v{GENERATOR_VERSION}"
        images = cached_array(name, (3, size, size), partial(_generate, count, size, seed, progress))
        return _to_bank(images, "procedural", device)
    root = Path(folder).expanduser()
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise UserError(f"image folder {str(root)!r} {problem}; give a folder of jpg, png, webp or bmp files")
    contents = contents_of(root, FORMATS, OTHER_FORMATS)
    files = _choose(list(contents.files), count, seed)
    overlooked = _listed(contents.overlooked())
    if not files:
        why = f" ({overlooked})" if overlooked else ""
        raise UserError(f"image folder {str(root)!r} holds no {', '.join(FORMATS)} files{why}; give one that does")
    if overlooked:
        warnings.warn(f"image folder {str(root)!r}: {overlooked}; {len(contents.files)} files can be", stacklevel=2)
    images = cached_array(_cache_name(files, size), (3, size, size), partial(_decode_all, root, files, size, progress))
    return _to_bank(images, str(root), device)


# --- crops ------------------------------------------------------------------------------------------


def _crop_sides(side: int, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """Heights and widths in whole pixels ``[count]``: the first attempt that fits, else the whole picture."""
    area = side * side * (CROP_AREA[0] + (CROP_AREA[1] - CROP_AREA[0]) * drawn[0])
    low, high = math.log(CROP_RATIO[0]), math.log(CROP_RATIO[1])
    ratio = torch.exp(low + (high - low) * drawn[1])
    height, width = torch.sqrt(area / ratio).round(), torch.sqrt(area * ratio).round()
    fits = (height >= 1) & (width >= 1) & (height <= side) & (width <= side)
    preference = torch.arange(CROP_ATTEMPTS, 0, -1, device=drawn.device)
    first = (fits * preference).argmax(dim=1, keepdim=True)
    found = fits.any(dim=1)
    whole = torch.full_like(area[:, 0], side)
    height, width = (sides.gather(1, first).squeeze(1) for sides in (height, width))
    return torch.where(found, height, whole), torch.where(found, width, whole)


def _crop_corner(side: int, extent: Tensor, drawn: Tensor) -> Tensor:
    """A crop's first row or column: whole numbers in 0..side - extent, equally likely."""
    return torch.minimum((drawn * (side - extent + 1)).floor(), side - extent)


def _crop_positions(start: Tensor, extent: Tensor, size: int) -> Tensor:
    """Positions in the picture of the resized pixels: ``[count, size]``, never outside the crop's own pixels."""
    steps = torch.arange(size, device=start.device) + 0.5
    places = start[:, None] + steps * (extent / size)[:, None] - 0.5
    return torch.minimum(torch.maximum(places, start[:, None]), (start + extent - 1)[:, None])


# --- reading ----------------------------------------------------------------------------------------


def _to_bank(images: np.ndarray, source: str, device: torch.device | str) -> ImageBank:
    return ImageBank(torch.from_numpy(np.array(images)).to(device), source)


def _generate(count: int, size: int, seed: int, progress: Progress | None) -> np.ndarray:
    images = np.empty((count, 3, size, size), np.uint8)
    for number in range(count):
        images[number] = still_image(seed * SEEDS_PER_BANK + number, size).transpose(2, 0, 1)
        if progress is not None:
            progress(number + 1, count)
    return images


def _choose(files: list[Path], count: int, seed: int) -> list[Path]:
    return sorted(random.Random(seed).sample(files, count)) if len(files) > count else files


def _cache_name(files: list[Path], size: int) -> str:
    identity = hashlib.sha256(f"{size}|{CACHE_VERSION}".encode())
    for path in files:
        found = path.stat()
        identity.update(f"|{path.resolve()}|{found.st_size}|{found.st_mtime_ns}".encode(errors="surrogateescape"))
    return f"images-{identity.hexdigest()[:32]}"


def _listed(notes: list[str]) -> str:
    more = f" and {len(notes) - NAMED_IN_WARNING} more" if len(notes) > NAMED_IN_WARNING else ""
    return ", ".join(notes[:NAMED_IN_WARNING]) + more


def _decode_all(root: Path, files: list[Path], size: int, progress: Progress | None) -> np.ndarray:
    images: list[np.ndarray] = []
    skipped: list[str] = []
    with ThreadPoolExecutor(DECODING_THREADS) as threads:
        for number, result in enumerate(threads.map(partial(_decode, size=size), files)):
            if isinstance(result, str):
                skipped.append(f"{files[number].relative_to(root)} ({result})")
            else:
                images.append(result)
            if progress is not None:
                progress(number + 1, len(files))
    if skipped:
        message = f"{len(skipped)} of {len(files)} images in {root} cannot be used: {_listed(skipped)}"
        if not images:
            raise UserError(f"{message}; give a folder with images that can be read")
        warnings.warn(f"{message}; they are skipped", stacklevel=2)
    return np.stack(images)


def _decode(path: Path, size: int) -> np.ndarray | str:
    """The central square of one picture as uint8 ``[3, size, size]``, or why there is none."""
    from PIL import Image, ImageOps

    try:
        picture = read_picture(path, set(FORMATS.values()), at_least=2 * size)
    except UnusableError as error:
        return str(error)
    square = ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))
