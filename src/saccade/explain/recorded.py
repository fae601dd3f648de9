"""Read recorded observations that come without an environment: arrays in a file, or a folder of pictures."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import gymnasium
import numpy as np
import torch

from saccade.data.arrays import DAMAGED
from saccade.data.banks.images import FORMATS, OTHER_FORMATS
from saccade.data.contents import Contents, contents_of
from saccade.data.files import refuse_endless
from saccade.data.memory import refuse_beyond
from saccade.data.pictures import UnusableError, read_picture
from saccade.explain.channels import shown_by
from saccade.explain.episodes import Episode
from saccade.explain.seen import seen_as
from saccade.explain.tasks import Task
from saccade.policies.pixels import GREY, RGB_PART, Pixels
from saccade.policies.policy import Policy
from saccade.types import UserError

MODE = "recorded"
NAMES = ("obs", "observations", "observation", "frames", "images", "pictures")
"""Names under which an archive may hold observations, if several of its arrays could be some."""
WITH_THEM = ("step", "action", "reward", "task_mask")
"""What an archive may hold about each observation, under these names."""
LEAST_DIMENSIONS = 3  # observations, height and width


@final
@dataclass(frozen=True)
class Recorded:
    """Observations in the order in which they were made.

    Attributes:
        source: their name in tables.
        obs: ``[moments, *shape]`` as the policy takes them.
        beside: what the file holds about each: ``step``, ``action``, ``reward``, ``task_mask``.
        notes: in words, how observations were made from what was recorded.
    """

    source: str
    obs: np.ndarray
    beside: Mapping[str, np.ndarray]
    notes: tuple[str, ...]

    @property
    def task(self) -> Task:
        """A task that stands in for the missing environment. Its name identifies what was recorded."""
        content = hashlib.sha256(self.obs.tobytes()).hexdigest()[:8]
        return Task(f"{self.source} ({len(self.obs)} observations, {content})", _nowhere, (MODE,), knows_truth=False)


def _nowhere(mode: str, masks: bool) -> gymnasium.Env[Any, Any]:
    raise UserError("Recorded observations have no environment to play in: returns cannot be measured on them.")


def read_recorded(path: Path, policy: Policy) -> Recorded:
    """Read the observations in an ``.npz`` or ``.npy``, or in a folder of pictures, in order.

    ``frames.npz:seen`` names one of several arrays. Single frames are stacked as the policy's observations are, and
    pictures of another size are resized; ``notes`` says so.

    Raises:
        UserError: there are no observations, they are damaged, or the policy could not take them.
    """
    file, array = path, ""
    if not path.exists() and ":" in path.name:
        before, _, array = str(path).rpartition(":")
        file = Path(before)
    refuse_endless(file, folder=True)
    if not file.exists():
        raise UserError(f"There are no recorded observations at {path}: give an .npz, an .npy or a folder of pictures.")
    if file.is_dir() or file.suffix.lower() in FORMATS:
        pictures, overlooked = _pictures(file)
        obs, notes = seen_as(pictures, policy.pixels, str(path))
        return Recorded(str(path), obs, {}, (*notes, *overlooked))
    arrays = _arrays(file)
    name = _chosen(arrays, array, file)
    obs, notes = seen_as(arrays[name], policy.pixels, str(path))
    beside = {key: np.asarray(arrays[key]) for key in WITH_THEM if key in arrays and key != name}
    for key, values in beside.items():
        if values.ndim == 0 or len(values) != len(obs):
            raise UserError(f"{file} holds {len(obs)} observations, but {key!r} of shape {values.shape}.")
    return Recorded(str(path), obs, _checked(beside, policy, file), notes)


def recorded_episode(policy: Policy, recorded: Recorded, moments: int, every: int | None) -> Episode:
    """Return the chosen observations as an episode: the policy's actions there, and what the file holds about them."""
    length = len(recorded.obs)
    if every is None:
        chosen = np.unique(np.linspace(0, length - 1, min(moments, length)).round().astype(int))
    else:
        chosen = np.arange(0, length, every)[:moments]
    obs, beside = recorded.obs[chosen], recorded.beside
    reward = beside["reward"].astype(np.float64) if "reward" in beside else np.full(length, np.nan)
    return Episode(
        mode=MODE,
        seed=0,
        obs=obs,
        step=beside["step"][chosen] if "step" in beside else chosen,
        action=beside["action"][chosen] if "action" in beside else policy.act(obs),
        reward=reward[chosen],
        clean_obs=None,
        changed_pixels=None,
        task_mask=beside["task_mask"][chosen] if "task_mask" in beside else None,
        length=length,
        total=float(reward.sum()),
        pixels=_shown(policy.pixels, recorded.obs),
        provenance={},
    )


def _shown(pixels: Pixels, obs: np.ndarray) -> Pixels:
    """What the channels are, if the observations form a stack in every step; otherwise samples do not show it."""
    found = shown_by(pixels, list(obs))
    return found if found.parts in ((GREY,), (RGB_PART,)) else pixels


def _arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name. Raises UserError if it is no file of arrays."""
    try:
        declared = file.stat().st_size
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                declared = sum(member.file_size for member in archive.infolist())
        refuse_beyond(declared, f"{file}", "give fewer observations at once", torch.device("cpu"))
        with file.open("rb") as opened:
            loaded = np.load(opened, allow_pickle=False)
            return {"obs": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except UserError:
        raise
    except DAMAGED as error:
        raise UserError(
            f"{file} cannot be read as recorded observations: give an .npz or .npy that NumPy saved, or a folder of "
            f"pictures ({', '.join(FORMATS)})."
        ) from error


def _chosen(arrays: Mapping[str, np.ndarray], asked: str, file: Path) -> str:
    if asked:
        if asked not in arrays:
            raise UserError(f"{file} has no array {asked!r}: it has {', '.join(arrays) or 'none'}.")
        return asked
    possible = [name for name, array in arrays.items() if array.ndim >= LEAST_DIMENSIONS and array.dtype.kind in "uif"]
    usual = [name for name in NAMES if name in possible]
    if usual:
        return usual[0]
    if len(possible) == 1:
        return possible[0]
    raise UserError(
        f"{file} does not say which array is observations: it has {', '.join(arrays) or 'none'}. Name one, such as "
        f"{file}:{next(iter(possible), 'obs')}."
    )


def _checked(beside: dict[str, np.ndarray], policy: Policy, file: Path) -> dict[str, np.ndarray]:
    """What the file holds about each observation, in an episode's types. Raises UserError if it does not fit."""
    if "action" in beside and beside["action"].dtype.kind not in "buif":
        raise UserError(f"'action' in {file} must be numbers.")
    for key in ("step", "reward"):
        if key in beside and (beside[key].dtype.kind not in "buif" or beside[key].size != len(beside[key])):
            raise UserError(f"{key!r} in {file} must be a number for each observation.")
        if key in beside:
            beside[key] = beside[key].reshape(-1)
    if "task_mask" in beside:
        mask = beside["task_mask"]
        mask = mask[:, None] if mask.ndim == 3 else mask
        if mask.ndim != 4 or mask.shape[2:] != policy.pixels.channels_first[1:]:
            raise UserError(f"'task_mask' in {file} must be [observation, height, width], as large as what is seen.")
        beside["task_mask"] = np.broadcast_to(mask.astype(bool), (len(mask), policy.pixels.frames, *mask.shape[2:]))
    return beside


def _pictures(place: Path) -> tuple[np.ndarray, list[str]]:
    """The pictures of a folder, ordered by the numbers in their names, uint8 ``[pictures, height, width, 3]``.

    Also returns, in words, which files in the folder were ignored.

    Raises:
        UserError: a picture cannot be read, there is none, or they have several sizes.
    """
    contents = contents_of(place, FORMATS, OTHER_FORMATS) if place.is_dir() else Contents((place,), (), (), ())
    if not contents.files:
        why = "; ".join([f"{place} holds no pictures ({', '.join(FORMATS)})", *contents.overlooked()])
        raise UserError(f"{why}.")
    pictures = []
    for file in sorted(contents.files, key=_in_order):
        try:
            pictures.append(np.asarray(read_picture(file, set(FORMATS.values()))))
        except UnusableError as error:
            raise UserError(f"{file} is no picture that can be explained: {error}.") from error
        if pictures[-1].shape != pictures[0].shape:
            sizes = " and ".join(f"{one.shape[1]}x{one.shape[0]}" for one in (pictures[0], pictures[-1]))
            raise UserError(f"The pictures in {place} have several sizes, {sizes} pixels: give pictures of one size.")
    return np.stack(pictures), contents.overlooked()


def _in_order(path: Path) -> list[tuple[int, str]]:
    """``frame_2.png`` before ``frame_10.png``."""
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in re.split(r"(\d+)", str(path))]
