"""Clips that play behind the agent in video_easy and video_hard: the benchmark's own, or generated scenes."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from saccade.data.banks.procedural import GENERATOR_VERSION, moving_scene
from saccade.data.cache import cached_array, is_cached
from saccade.data.files import NoFile, refuse_endless
from saccade.data.folder import DataFolder
from saccade.types import UserError

NUM_CLIPS = {"video_easy": 10, "video_hard": 100}  # as many as the benchmark has: video0.mp4, video1.mp4, ...
GENERATED_FRAMES = 500  # the length of a video_hard clip
DIFFICULTY: dict[str, Literal["easy", "hard"]] = {"video_easy": "easy", "video_hard": "hard"}
FIRST_SCENE_SEED = {"video_easy": 0, "video_hard": 1000}  # one fixed seed for each generated clip

# Limits for files of unknown origin. The benchmark's largest clip has 828 frames of 480 x 480 pixels.
MAX_FRAMES = 10_000
MAX_SIDE_PIXELS = 4096
MAX_CLIP_PIXELS = 4_000_000_000  # over all frames: minutes of decoding
MIN_SHARE_OF_FRAMES = 0.9  # a file with fewer of the frames that it declares has been cut off
CLIP_FORMAT = "mp4"  # fixed for FFmpeg, so that a file's content cannot choose a demuxer that opens other files

CACHE_VERSION = 2  # raised whenever decoded frames would change
AS_STORED = (1, 0, 0, 0, 1, 0, 0, 0, 1)  # the matrix of a clip that is shown as stored

CLIPS_IN_MEMORY = 8  # kept where the cache folder cannot be written


@dataclass(frozen=True)
class LazyClips(Sequence[np.ndarray]):
    """Clips that are decoded or generated on first use; each is uint8 ``[frames, size, size, 3]``, RGB."""

    names: tuple[str, ...]
    makers: tuple[Callable[[], np.ndarray], ...]
    image_size: int
    opened: dict[int, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.makers)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        if position not in self.opened:
            frame_shape = (self.image_size, self.image_size, 3)
            self.opened[position] = cached_array(self.names[position], frame_shape, self.makers[position])
            self._forget_oldest_in_memory()
        return self.opened[position]

    def _forget_oldest_in_memory(self) -> None:
        in_memory = [index for index, array in self.opened.items() if not isinstance(array, np.memmap)]
        for index in in_memory[:-CLIPS_IN_MEMORY]:
            del self.opened[index]


@dataclass(frozen=True)
class Clips:
    """Every clip of a mode, in the benchmark's order (by number)."""

    source: Literal["benchmark", "davis", "procedural"]
    names: tuple[str, ...]  # "video0.mp4", or "scene0" for a generated one
    arrays: Sequence[np.ndarray]  # as many; each uint8 [frames, size, size, 3], RGB, made on first use
    missing: tuple[str, ...] = ()  # "video3.mp4: why", for each that was skipped or is not there

    def __len__(self) -> int:
        return len(self.arrays)

    def choose(self, previous: int, random: np.random.Generator, *, in_order: bool = False) -> int:
        """Episode's clip: random; with ``in_order`` the next one, so that the first episode shows the second clip.

        The published code advances before it shows (index 1, 2, ..., N - 1, 0), so clip 0 comes last.
        """
        return (previous + 1) % len(self) if in_order else int(random.integers(len(self)))

    def provenance(self) -> dict[str, object]:
        """Return source and number of the clips, and how many were skipped, for the provenance."""
        return {"clips": self.source, "num_clips": len(self), "num_missing_clips": len(self.missing)}


def load_clips(folder: DataFolder, mode: Literal["video_easy", "video_hard"], image_size: int) -> Clips:
    """Return the clips of ``mode`` at ``image_size`` x ``image_size`` pixels: the folder's, else generated ones.

    Nothing is decoded here: each clip is decoded on first use, once for all processes (see ``cached_array``).
    Files are probed, and those that cannot be used are named in one warning and in ``Clips.missing``.

    Raises:
        UserError: the mode's folder exists but has no usable clip.
    """
    contents = folder.clip_contents(mode)
    if contents is None:
        if folder.root is not None:
            warnings.warn(f"{folder.root} has no folder {mode}: generated scenes are used", stacklevel=2)
        return _generated(mode, image_size)
    assert folder.root is not None
    paths = folder.clips(mode)
    names = {path: str(path.relative_to(folder.root / mode)) for path in paths}
    keys = [_cache_name(path, image_size) for path in paths]
    reasons = {
        names[path]: reason
        for path, key in zip(paths, keys, strict=True)
        if not is_cached(key, (image_size, image_size, 3)) and (reason := why_unusable(path))
    }
    absent = _absent(list(names.values()), mode)
    _warn_of_skipped(mode, reasons, absent, contents.overlooked())
    usable = [(path, key) for path, key in zip(paths, keys, strict=True) if names[path] not in reasons]
    if not usable:
        raise UserError(
            f"none of the {len(paths)} clips in {folder.root}/{mode} can be used; "
            f"put the benchmark's clips there, or mp4 or mov files of your own, "
            f"or remove the folder to use generated scenes"
        )
    makers = tuple(partial(decode_clip, path, image_size) for path, _ in usable)
    return Clips(
        source="benchmark",
        names=tuple(names[path] for path, _ in usable),
        arrays=LazyClips(tuple(key for _, key in usable), makers, image_size),
        missing=(
            *(f"{name}: {reason}" for name, reason in reasons.items()),
            *(f"{name}: absent" for name in absent),
        ),
    )


def decode_clip(path: Path, image_size: int) -> np.ndarray:
    """Decode all frames of one mp4, as the benchmark shows them: uint8 ``[frames, image_size, image_size, 3]``, RGB.

    They are rotated and mirrored as the file says, as the benchmark's reader (OpenCV) does. Damaged
    frames are left out, with a warning.

    Raises:
        UserError: the file cannot serve as a clip (see ``why_unusable``).
    """
    import av

    if reason := why_unusable(path):
        raise UserError(f"clip {path} cannot be decoded: {reason}; replace or remove it")
    small: list[np.ndarray] = []
    num_damaged = num_pixels = 0
    with _opened(path) as container, _one_torch_thread():
        for packet in container.demux(video=0):
            try:
                frames = [upright(frame.to_ndarray(format="rgb24"), _matrix(frame)) for frame in packet.decode()]
            except av.FFmpegError:
                num_damaged += 1
                continue
            num_pixels += sum(height * width for height, width, _ in (frame.shape for frame in frames))
            small += [resize_as_benchmark(frame, image_size) for frame in frames]
            # A frame may be larger than the file's index says.
            if len(small) > MAX_FRAMES or num_pixels > MAX_CLIP_PIXELS:
                raise UserError(f"clip {path} is over the limits ({_LIMITS}); shorten or remove it")
    if not small:
        raise UserError(f"clip {path} has no frame that can be decoded; replace or remove it")
    if num_damaged:
        warnings.warn(f"clip {path} is damaged: {num_damaged} frames are left out, {len(small)} kept", stacklevel=2)
    return np.stack(small)


def upright(frame: np.ndarray, matrix: Sequence[int]) -> np.ndarray:
    """Return a frame ``[H, W, 3]`` as a player shows it: rotated by quarter turns, and mirrored.

    Phones store a clip as the sensor saw it, and write into the file how it is to be shown.

    Args:
        matrix: from the file, ``a b u c d v x y w`` (ISO/IEC 14496-12): a pixel ``(x, y)`` is shown at ``(a x + c y,
            b x + d y)``, moved into the picture. Only quarter turns fit a frame; the nearest one is used.
    """
    a, b, _, c, d, *_ = matrix
    if abs(a) + abs(d) >= abs(b) + abs(c):
        across, down = a, d
    else:
        frame = frame.swapaxes(0, 1)
        across, down = c, b
    return frame[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def _matrix(frame: Any) -> Sequence[int]:
    """How a decoded frame is to be shown, as ``upright`` takes it."""
    said = frame.side_data.get("DISPLAYMATRIX")
    return AS_STORED if said is None else np.frombuffer(said, np.int32).tolist()


def resize_as_benchmark(frame: np.ndarray, image_size: int) -> np.ndarray:
    """Resize one RGB frame, uint8 ``[H, W, 3]``, to ``[image_size, image_size, 3]`` with the published arithmetic.

    Bilinear without regard to the aspect ratio, corners not aligned, no low-pass filter, on floats in 0..1;
    then truncated (not rounded) to uint8, which darkens by half a level on average. Source: VideoWrapper of
    the DMControl Generalization Benchmark.
    """
    import torch

    # Channels first by strides only, as in the published code: torch chooses its kernel by memory layout.
    channels_first = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)
    scaled = channels_first.float().unsqueeze(0) / 255.0
    resized = torch.nn.functional.interpolate(
        scaled, size=(image_size, image_size), mode="bilinear", align_corners=False
    )
    return np.ascontiguousarray((resized * 255.0).byte().squeeze(0).permute(1, 2, 0).numpy())


def why_unusable(path: Path) -> str | None:
    """Return why a file cannot serve as a clip, or None: reads its index and packets, and decodes one frame."""
    import av

    try:
        refuse_endless(path)
        with _opened(path) as container:
            if not container.streams.video:
                return "it has no video stream"
            stream = container.streams.video[0]
            if stream.codec_context is None:
                return "its codec is not known"
            if not _fits(stream.width, stream.height):
                return f"its frames have {stream.width}x{stream.height} pixels, over the limits ({_LIMITS})"
            num_packets = 0
            for packet in container.demux(stream):
                num_packets += packet.size > 0
                if num_packets > MAX_FRAMES or num_packets * stream.width * stream.height > MAX_CLIP_PIXELS:
                    return f"it is over the limits ({_LIMITS})"
            if num_packets < MIN_SHARE_OF_FRAMES * stream.frames:
                return f"it is cut off: {num_packets} of {stream.frames} frames"
            container.seek(0)
            return None if next(container.decode(stream), None) is not None else "it has no frames"
    except NoFile as error:
        return str(error)
    except (av.FFmpegError, OSError) as error:
        return f"it cannot be read ({error.strerror or error})"


def _opened(path: Path) -> Any:
    """Open a clip's file, whatever encoding its title and other texts have."""
    import av

    # From PyAV 19 on, texts in an unknown encoding are no error, and the option is gone.
    decoding = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
    return av.open(str(path), format=CLIP_FORMAT, **decoding)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Use one thread: frames are too small to share, and on a busy machine threads made decoding seven times slower."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_LIMITS = f"{MAX_FRAMES} frames, {MAX_SIDE_PIXELS} pixels a side, {MAX_CLIP_PIXELS:.0e} pixels in all"


def _fits(width: int, height: int) -> bool:
    return 0 < width <= MAX_SIDE_PIXELS and 0 < height <= MAX_SIDE_PIXELS


def _generated(mode: str, image_size: int) -> Clips:
    seeds = range(FIRST_SCENE_SEED[mode], FIRST_SCENE_SEED[mode] + NUM_CLIPS[mode])
    return Clips(
        source="procedural",
        names=tuple(f"scene{number}" for number in range(len(seeds))),
        arrays=LazyClips(
            names=tuple(f"scene-{DIFFICULTY[mode]}-{seed}-{image_size}-v{GENERATOR_VERSION}" for seed in seeds),
            makers=tuple(partial(moving_scene, seed, image_size, GENERATED_FRAMES, DIFFICULTY[mode]) for seed in seeds),
            image_size=image_size,
        ),
    )


def _cache_name(path: Path, image_size: int) -> str:
    """A name that changes with the file's place, size and time, so that a replaced clip is decoded again."""
    found = path.stat()
    identity = f"{path.resolve()}|{found.st_size}|{found.st_mtime_ns}|{image_size}|{CACHE_VERSION}"
    return f"clip-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"


def _absent(names: list[str], mode: str) -> list[str]:
    """The benchmark's clips that the folder lacks; none for a folder of the user's own clips."""
    present = set(names)
    if not any(re.fullmatch(r"video\d+\.mp4", name) for name in present):
        return []
    return [name for name in (f"video{number}.mp4" for number in range(NUM_CLIPS[mode])) if name not in present]


def _warn_of_skipped(mode: str, reasons: dict[str, str], absent: list[str], overlooked: list[str]) -> None:
    notes = [*(f"{name} skipped: {reason}" for name, reason in reasons.items()), *overlooked]
    if absent:
        shown = ", ".join(absent[:4]) + (", ..." if len(absent) > 4 else "")
        notes.append(f"{len(absent)} of the benchmark's {NUM_CLIPS[mode]} clips are absent ({shown})")
    if notes:
        warnings.warn(f"{mode}: {'; '.join(notes)}", stacklevel=3)
