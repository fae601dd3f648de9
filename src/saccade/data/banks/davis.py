"""Clips that play in the sky in distracting_cs: DAVIS 2017 from the user's own folder, or generated scenes."""

from __future__ import annotations

import hashlib
import warnings
from functools import partial
from pathlib import Path

import numpy as np

from saccade.data.banks.clips import Clips, LazyClips
from saccade.data.banks.procedural import GENERATOR_VERSION, moving_scene
from saccade.data.folder import DAVIS, DataFolder
from saccade.data.pictures import UnusableError, read_picture
from saccade.types import UserError

NUM_CLIPS = 60
SIDE = 256
"""Pixels of a clip's side.

A picture of 84 pixels shows less than half of a side of the sky, so about as many of these. The published code uses
800.
"""

FORMATS, SUFFIXES = ("JPEG", "PNG"), (".jpg", ".jpeg", ".png")
MAX_FRAMES = 1000  # of a clip; the longest of DAVIS has 100
CACHE_VERSION = 1  # raised whenever decoded frames would change

FIRST_SCENE_SEED = 2000  # far from those of video_easy and video_hard
SHORTEST, LENGTHS, LENGTH_STEP = 25, 76, 37  # generated clips have 25 to 100 frames, as in DAVIS

TRAINING_CLIPS = (
    "bear", "bmx-bumps", "boat", "boxing-fisheye", "breakdance-flare", "bus", "car-turn", "cat-girl", "classic-car",
    "color-run", "crossing", "dance-jump", "dancing", "disc-jockey", "dog-agility", "dog-gooses", "dogs-scale",
    "drift-turn", "drone", "elephant", "flamingo", "hike", "hockey", "horsejump-low", "kid-football", "kite-walk",
    "koala", "lady-running", "lindy-hop", "longboard", "lucia", "mallard-fly", "mallard-water", "miami-surf",
    "motocross-bumps", "motorbike", "night-race", "paragliding", "planes-water", "rallye", "rhino", "rollerblade",
    "schoolgirls", "scooter-board", "scooter-gray", "sheep", "skate-park", "snowboard", "soccerball", "stroller",
    "stunt", "surf", "swing", "tennis", "tractor-sand", "train", "tuk-tuk", "upside-down", "varanus-cage", "walking",
)  # fmt: skip
"""The training clips of DAVIS 2017, in its order; the published code uses the first ones."""


def sky_clips(folder: DataFolder, count: int) -> Clips:
    """Return the first ``count`` clips, uint8 ``[frames, 256, 256, 3]`` each: the folder's, else generated ones.

    Nothing is decoded here; each clip is decoded on first use. A folder with none of DAVIS' own names is taken as the
    user's own clips, ordered by name.

    Raises:
        UserError: there is a folder of DAVIS, but no clip in it.
    """
    root = folder.davis()
    if root is None:
        if folder.root is not None:
            warnings.warn(f"{folder.root} has no folder {DAVIS}: generated scenes are used", stacklevel=2)
        return _generated(count)
    names = clip_names(root)
    wanted = TRAINING_CLIPS[:count] if set(names) & set(TRAINING_CLIPS) else tuple(names[:count])
    found = [name for name in wanted if name in names]
    absent = [name for name in wanted if name not in names]
    if not found:
        raise UserError(
            f"{root} holds none of the {count} clips that this mode plays ({', '.join(wanted[:4])}"
            f"{', ...' if count > 4 else ''}); unpack DAVIS-2017-trainval-480p.zip there, or remove the folder to use "
            "generated scenes"
        )
    if absent:
        shown = ", ".join(absent[:4]) + (", ..." if len(absent) > 4 else "")
        warnings.warn(f"{root} lacks {len(absent)} of {count} clips ({shown}): the others are played", stacklevel=2)
    frames = [_frames(root / name) for name in found]
    arrays = LazyClips(
        names=tuple(_cache_name(paths) for paths in frames),
        makers=tuple(partial(decode_frames, paths) for paths in frames),
        image_size=SIDE,
    )
    return Clips("davis", tuple(found), arrays, tuple(f"{name}: absent" for name in absent))


def clip_names(root: Path) -> list[str]:
    """Return the subfolders that hold pictures, by name. Raises UserError if there are none."""
    try:
        names = sorted(path.name for path in root.iterdir() if path.is_dir() and _frames(path))
    except OSError as error:
        raise UserError(f"{root} cannot be read ({error.strerror or error}); choose another data folder") from error
    if names:
        return names
    raise UserError(
        f"{root} holds no clip, a folder of pictures ({', '.join(SUFFIXES)}); unpack DAVIS-2017-trainval-480p.zip "
        "there, or remove the folder to use generated scenes"
    )


def decode_frames(paths: tuple[Path, ...]) -> np.ndarray:
    """Decode pictures as a clip, ignoring their aspect ratio: uint8 ``[frames, 256, 256, 3]``.

    Raises:
        UserError: a picture cannot be read.
    """
    from PIL import Image

    frames = []
    for path in paths:
        try:
            picture = read_picture(path, FORMATS)
        except UnusableError as error:
            raise UserError(
                f"{path} cannot be read ({error}); copy it again, or remove the folder of its clip"
            ) from error
        # Deviation: 800 pixels a side in the published code, by the same filter.
        frames.append(np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)))
    return np.stack(frames)


def _frames(clip: Path) -> tuple[Path, ...]:
    paths = sorted(path for path in clip.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    return tuple(paths[:MAX_FRAMES])


def _cache_name(paths: tuple[Path, ...]) -> str:
    """A name that changes with the place, sizes and times of the pictures, so that a replaced clip is decoded again."""
    identity = hashlib.sha256(f"{CACHE_VERSION}|{SIDE}".encode())
    identity.update(f"|{paths[0].parent.resolve()}".encode())
    for path in paths:
        found = path.stat()
        identity.update(f"|{path.name}|{found.st_size}|{found.st_mtime_ns}".encode())
    return f"davis-{identity.hexdigest()[:32]}"


def _generated(count: int) -> Clips:
    lengths = [SHORTEST + LENGTH_STEP * number % LENGTHS for number in range(count)]
    seeds = range(FIRST_SCENE_SEED, FIRST_SCENE_SEED + count)
    return Clips(
        source="procedural",
        names=tuple(f"scene{number}" for number in range(count)),
        arrays=LazyClips(
            names=tuple(
                f"scene-hard-{seed}-{SIDE}-{length}-v{GENERATOR_VERSION}"
                for seed, length in zip(seeds, lengths, strict=True)
            ),
            makers=tuple(
                partial(moving_scene, seed, SIDE, length, "hard") for seed, length in zip(seeds, lengths, strict=True)
            ),
            image_size=SIDE,
        ),
    )
