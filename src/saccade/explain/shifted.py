"""Any environment of pictures under shifts: ``Shift(env, "brightness:0.5")``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import gymnasium
import numpy as np
from numpy.typing import NDArray

from saccade.data.banks.clips import load_clips
from saccade.data.folder import find_data
from saccade.envs.distractions import any_seed
from saccade.envs.scene_dials import refuse_scene_dials
from saccade.envs.shift_modes import ShiftMode, check_picture, parse_shift
from saccade.envs.shifts import RGB, Occasion, changed, plays_clips
from saccade.explain.background import Background, background_of
from saccade.explain.channels import channels_first
from saccade.explain.fitting import fitting
from saccade.policies.normalisation import BYTE
from saccade.policies.pixels import GREY, RGB_PART, ROUNDING, ROUNDING_NORMALISED, Layout, Pixels, part_width
from saccade.policies.spaces import pixels_of_space
from saccade.types import UserError

Frames = NDArray[Any]
"""``[frame, height, width, channel]``, oldest first, in the range of the environment."""


@final
class Shift(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose pictures are changed by shifts; everything else stays as it is.

    Random changes depend on the episode's seed and the step alone. Where an observation is a stack of frames, the
    newest is changed, and keeps its change as it moves through the stack.

    Args:
        env: returns pictures in 0..255 or 0..1, with channels first or last, or a dictionary that holds some.
        mode: shifts and their strengths from 0 to 1, such as ``brightness:0.3+noise:0.1``; all are in
            ``envs.shifts.SHIFTS``.
        channels: what the channels of one frame are, such as ``rgb,depth``: ``rgb`` is three, any other word one. By
            default three channels are colours, and others grey frames. What is neither rgb nor grey stays as it is.
        layout: of the observations, where their shape could mean two things.
        key: the entry of a dictionary that is changed, where several are pictures.
        video_where: which pixels ``video`` replaces: ``black``, a colour ``R,G,B`` or ``R,G,B:TOLERANCE`` in 0..255;
            None for those outside ``info["task_mask"]``.
        data: the folder of clips for ``video``; by default SACCADE_DATA, and without that clips are generated.
        pixels: what the observations are, if the caller knows all about them.
        name: the environment's name in messages; by default its class.

    Raises:
        UserError: there is no such shift, or the observations are no pictures that it could change.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        mode: str | ShiftMode,
        *,
        channels: str | None = None,
        layout: Layout | None = None,
        key: str | None = None,
        video_where: str | None = None,
        data: str | Path | None = None,
        pixels: Pixels | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(env)
        self.mode = mode if isinstance(mode, ShiftMode) else parse_shift(mode)
        self._key, space = _entry(env.observation_space, key, layout)
        found = pixels or pixels_of_space(space, layout=layout)
        self._pixels = found if channels is None else found.with_channels(channels)
        self._whose = name or type(env.unwrapped).__name__
        refuse_scene_dials(self.mode.parts, self._whose)
        self._places = _pictures_in(self._pixels, self._whose)
        self._background = _background(self.mode, video_where, self._pixels)
        self._clips = _clips(self.mode, data, max(self._pixels.channels_first[1:]))
        for place in self._places:
            colours = place.stop - place.start
            check_picture(self.mode.parts, self._pixels.channels_first[1:], colours, f"what {self._whose} shows")
        self._random: np.random.Generator | None = None
        self._choice, self._step = 0, 0
        self._given: Frames | None = None
        self._shown: Frames | None = None
        self._sure = self._pixels.said or self._pixels.channels_first[0] == 1
        self.undistorted: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; with a ``seed``, the random choices for the pictures start over too."""
        obs, info = self.env.reset(seed=seed, options=options)
        if seed is not None or self._random is None:
            self._random = np.random.default_rng(seed)
        self._choice, self._step = any_seed(self._random), 0
        self._given = self._shown = None
        return self._changed(obs, info), info

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step the environment, and change the picture that it returns."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._step += 1
        over = bool(np.any(terminated)) or bool(np.any(truncated))
        return self._changed(obs, info, over), reward, terminated, truncated, info

    def _changed(self, obs: Any, info: Any, over: bool = False) -> Any:
        """The observation with its pictures changed; ``undistorted`` then holds the original."""
        given = obs if self._key is None else obs[self._key]
        array = np.array(given)
        self.undistorted = array
        if array.shape != self._pixels.shape:
            raise UserError(
                f"{self._whose} gave an observation of shape {array.shape}, but its space says {self._pixels.shape}."
            )
        if array.dtype.kind != np.dtype(self._pixels.dtype).kind:
            raise UserError(f"{self._whose} gave {array.dtype}, but its observation space says {self._pixels.dtype}.")
        frames = _frames(self._pixels, array)
        new = self._new_frames(frames, over)
        masks_given = info.get("task_mask") if isinstance(info, Mapping) else None
        shown = frames.copy()
        if self._shown is not None:
            shown[: len(frames) - len(new)] = self._shown[len(new) :]
        for place in new:
            shown[place] = self._distorted(frames, place, shown, masks_given)
        self._given, self._shown = frames, shown
        changed_obs = _observation(self._pixels, shown)
        return changed_obs if self._key is None else {**obs, self._key: changed_obs}

    def _new_frames(self, frames: Frames, over: bool) -> list[int]:
        """Places of the frames that the last observation did not hold, the newest first."""
        count = len(frames)
        if self._given is None:
            return list(range(count - 1, -1, -1))
        before = self._given
        moved = next((by for by in range(1, count) if np.array_equal(frames[:-by], before[by:])), count)
        if not self._sure and not over and not np.array_equal(frames, before):
            self._check_guess(frames, before, moved)
        return list(range(count - 1, count - 1 - moved, -1))

    def _check_guess(self, frames: Frames, before: Frames, moved: int) -> None:
        """Raise UserError if movement shows that the channels are not what their number suggested."""
        pixels = self._pixels
        if len(frames) > 1 and moved == len(frames):
            raise UserError(
                f"The {pixels.channels_first[0]} channels of {self._whose} are not {pixels.frames} frames of "
                f"{pixels.colours} that move up by one in every step: say what those of one frame are, such as "
                "rgb,depth, with --channels (channels=...)."
            )
        ours, theirs = (np.moveaxis(each, -1, 1).reshape(-1, *each.shape[1:3]) for each in (frames, before))
        if pixels.colours == RGB and np.array_equal(ours[:-1], theirs[1:]):
            raise UserError(
                f"The channels of {self._whose} are a stack of grey frames, not red, green and blue: say so with "
                "--channels grey (channels='grey')."
            )
        self._sure = True

    def _distorted(self, frames: Frames, place: int, shown: Frames, masks_given: Any) -> NDArray[Any]:
        """One new frame under the shifts.

        In an episode's first observation the older frames were never seen alone: those that repeat the frame after them
        stay its repetition, and black ones pad the start of the stack and are no pictures.
        """
        frame, newest = frames[place], place == len(frames) - 1
        if self._given is None and not newest:
            if np.array_equal(frame, frames[place + 1]):
                return shown[place + 1]
            if not frame.any():
                return frame
        changed_frame = frame.copy()
        for channels in self._places:
            shares = self._shares(frame[..., channels], channels)
            replaced = None
            if self._background is not None:
                replaced = self._background.replaced(shares, _mask_of(masks_given, place, len(frames)), self._whose)
            moment = Occasion(self._choice, self._step, len(frames) - 1 - place, replaced=replaced, clips=self._clips)
            after = changed(shares, self.mode.parts, moment)
            given_back = self._given_back(after, frame.dtype, channels)
            changed_frame[..., channels] = np.where(after == shares, frame[..., channels], given_back)
        return changed_frame

    def _shares(self, frame: NDArray[Any], channels: slice) -> NDArray[np.float32]:
        """Brightness as a fraction of the brightest. Raises UserError for values out of range."""
        pixels = self._pixels
        if frame.dtype.kind != "f":
            return frame.astype(np.float32) / np.float32(BYTE if pixels.normalised is not None else pixels.high)
        pictures = frame.astype(np.float32)
        if pixels.normalised is not None:
            mean, std = (one[channels] for one in pixels.normalised.per_channel(pixels.colours))
            pictures = pictures * std + mean
        shares: NDArray[np.float32] = pictures / np.float32(pixels.high)
        slack = ROUNDING if pixels.normalised is None else ROUNDING_NORMALISED
        if not (shares.min() >= -slack and shares.max() <= 1 + slack):  # NaN too
            raise UserError(
                f"{self._whose} gave brightnesses in {pictures.min():g}..{pictures.max():g}, but its observation space "
                f"says 0..{pixels.high:g}: only pictures within their range can be changed."
            )
        return shares.clip(0, 1)

    def _given_back(self, shares: NDArray[np.float32], dtype: np.dtype[Any], channels: slice) -> NDArray[Any]:
        """Fractions as the environment gives brightness."""
        pixels = self._pixels
        if dtype.kind != "f":
            return np.rint(shares * (BYTE if pixels.normalised is not None else pixels.high)).astype(dtype)
        pictures = shares * np.float32(pixels.high)
        if pixels.normalised is not None:
            mean, std = (one[channels] for one in pixels.normalised.per_channel(pixels.colours))
            pictures = (pictures - mean) / std
        return pictures.astype(dtype)


def environment_pixels(space: gymnasium.Space[Any], policy: Pixels, task: str) -> Pixels:
    """Return what the pictures of an environment are, whose channels may be ordered otherwise than its policy's.

    Raises UserError if the policy does not fit.
    """
    fitting(space, policy, task)
    same = isinstance(space, gymnasium.spaces.Box) and space.shape == policy.shape
    found = pixels_of_space(space, layout=policy.layout if same else None, normalised=policy.normalised)
    fits = found.colours == policy.colours if found.said else found.channels_first[0] % policy.colours == 0
    if not fits or (found.said and not policy.said):
        return found
    return dataclasses.replace(found, colours=policy.colours, channels=policy.channels)


def _entry(
    space: gymnasium.Space[Any], key: str | None, layout: Layout | None
) -> tuple[str | None, gymnasium.Space[Any]]:
    """The key of a dictionary's pictures, and their space; no key if observations are the pictures."""
    if not isinstance(space, gymnasium.spaces.Dict):
        if key is not None:
            raise UserError(f"key={key!r} names an entry of a dictionary, and the observations are {space}.")
        return None, space
    if key is not None:
        if key not in space.spaces:
            raise UserError(f"The observations have no entry {key!r}: they have {', '.join(space.spaces)}.")
        return key, space.spaces[key]
    pictures = [name for name, entry in space.spaces.items() if _is_picture(entry, layout)]
    if len(pictures) != 1:
        raise UserError(
            f"Of the entries {', '.join(space.spaces)} {', '.join(pictures) or 'none'} "
            f"{'are pictures: say which with key=NAME' if pictures else 'is a picture in 0..255 or 0..1'}."
        )
    return pictures[0], space.spaces[pictures[0]]


def _is_picture(space: gymnasium.Space[Any], layout: Layout | None) -> bool:
    try:
        pixels_of_space(space, layout=layout)
    except UserError:
        return False
    return True


def _pictures_in(pixels: Pixels, whose: str) -> list[slice]:
    """Where in a frame its colours or greys are. Raises UserError if it is not known that there are any."""
    places, start = [], 0
    for part in pixels.parts:
        end = start + part_width(part)
        if part in (RGB_PART, GREY):
            places.append(slice(start, end))
        start = end
    if not places:
        raise UserError(
            f"It is not known which channels of {whose} are pictures ({', '.join(pixels.parts)}): name those of one "
            "frame, such as rgb,depth, with --channels (channels=...)."
        )
    return places


def _background(mode: ShiftMode, where: str | None, pixels: Pixels) -> Background | None:
    if plays_clips(mode.parts):
        return background_of(where)
    if where is not None:
        raise UserError(f"--video-where {where} says what a video replaces, but {mode.name} has none: leave it out.")
    return None


def _clips(mode: ShiftMode, data: str | Path | None, side: int) -> Any:
    """The clips that a video may play, at the size of the pictures; None if there is no video."""
    if not plays_clips(mode.parts):
        return ()
    return load_clips(find_data(data), "video_hard", side).arrays


def _frames(pixels: Pixels, obs: NDArray[Any]) -> Frames:
    first = channels_first(pixels, obs)
    frames = first.reshape(pixels.frames, pixels.colours, *first.shape[1:])
    return np.ascontiguousarray(np.moveaxis(frames, 1, -1))


def _observation(pixels: Pixels, frames: Frames) -> NDArray[Any]:
    """The inverse of ``_frames``: returns a new array."""
    first: NDArray[Any] = np.moveaxis(frames, -1, 1).reshape(pixels.channels_first)
    if pixels.layout == "channels_last":
        first = np.moveaxis(first, 0, -1)
    elif pixels.layout == "stacked_channels_last":
        first = np.moveaxis(first.reshape(pixels.shape[0], -1, *first.shape[1:]), 1, -1)
    return np.array(first.reshape(pixels.shape), order="C")


def _mask_of(masks_given: Any, place: int, count: int) -> NDArray[np.bool_] | None:
    """The mask of one frame in ``info["task_mask"]``, which covers all frames or the newest."""
    if masks_given is None:
        return None
    masks = np.asarray(masks_given, bool)
    if masks.ndim == 2:
        return masks
    return masks[place] if len(masks) == count else masks[-1]
