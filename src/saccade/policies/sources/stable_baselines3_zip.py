"""Read a Stable-Baselines3 zip as far as possible without unpickling."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import gymnasium
import numpy as np
from torch import Tensor

from saccade.data import documents
from saccade.data.documents import BadDocument, Kind
from saccade.data.files import refuse_endless
from saccade.data.user_code import FAILURES
from saccade.policies.sources import weights as weight_files
from saccade.policies.sources.stable_baselines3_algorithms import NAMES, Algorithm, algorithm_of
from saccade.types import UserError

MOST_PIXELS = 2**26
"""Most bytes of an observation: 4096 by 4096 pixels of a stack of four grey pictures."""

TRUST = "Give --trust if you know where the file comes from: its policy is then unpickled, which runs code in it."


class Sealed(UserError):
    """Something in a zip that can only be unpickled."""


@final
@dataclass(frozen=True)
class Saved:
    """The readable part of a zip. Pickled values appear only as strings and simple attributes."""

    origin: str
    algorithm: Algorithm
    data: Mapping[str, Any]
    weights: Mapping[str, Tensor]

    @property
    def env_steps(self) -> int:
        return self._typed("num_timesteps", self.data.get("num_timesteps") or 0, 0)

    def option(self, name: str, default: Kind) -> Kind:
        """Return a keyword argument that the policy was made with, if it can be read; of the default's type."""
        return self._typed(name, self._arguments().get(name, default), default)

    def printed(self, name: str) -> str | None:
        """Return how a class among the arguments prints; None if there is none."""
        value = self._arguments().get(name)
        return None if value is None else str(value)

    def sealed(self, name: str) -> str | None:
        """Return a setting's pickle in base 64; None if it has none, since all of it can be read."""
        value = self.data.get(name)
        pickled = value.get(":serialized:") if isinstance(value, Mapping) else None
        return pickled if isinstance(pickled, str) else None

    @property
    def advice(self) -> str:
        """What else a person can do if something cannot be rebuilt; empty if all of it was read."""
        own_class = self.policy_class[0] != self.algorithm.module
        return TRUST if own_class or self.sealed("policy_kwargs") is not None else ""

    @property
    def policy_class(self) -> tuple[str, str]:
        """Module and name of the policy's class."""
        return _policy_class(self.data)

    def _arguments(self) -> Mapping[str, Any]:
        arguments = self.data.get("policy_kwargs")
        return arguments if isinstance(arguments, Mapping) else {}

    def _typed(self, name: str, value: Any, default: Kind) -> Kind:
        try:
            return documents.typed(value, type(default))
        except BadDocument as error:
            raise UserError(f"{self.origin} is damaged: its setting {name} cannot be used, {error}.") from error


def read_zip(path: Path) -> Saved:
    """Read a zip. Raises UserError if it is no zip, is damaged, or is not a policy of Stable-Baselines3."""
    refuse_endless(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if not {"data", "policy.pth"} <= names:
                raise UserError(f"{path} is a zip, but not one that Stable-Baselines3 saved: {_what_else(names)}.")
            text = _member(archive, "data", documents.MOST_BYTES)
            weights = _member(archive, "policy.pth", weight_files.most_bytes())
        data = documents.parse(text, dict[str, Any])
    except BadDocument as error:
        raise UserError(f"{path} is damaged: its member 'data' cannot be used, {error}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last of encryption
        raise UserError(f"{path} is not a zip file, or is cut off or damaged: copy or save it again.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    algorithm = algorithm_of(data, _policy_class(data)[0])
    if algorithm is None:
        raise UserError(f"{path} holds a model that is none of {NAMES}.")
    found = list(weight_files.state_dicts(weight_files.read(weights, f"policy.pth in {path}", advise=False)))
    if len(found) != 1:
        raise UserError(f"{path} is damaged: its member 'policy.pth' is no state dict.")
    wrappers = weight_files.COMPILED | weight_files.PARALLEL  # no names of the library's own networks are like these
    bare = {weight_files.without(name, wrappers): value for name, value in found[0].items()}
    return Saved(str(path), algorithm, data, bare if len(bare) == len(found[0]) else found[0])


def _policy_class(data: Mapping[str, Any]) -> tuple[str, str]:
    described = data.get("policy_class")
    described = described if isinstance(described, Mapping) else {}
    found = re.match(r"<function (\w+)\.__init__ ", str(described.get("__init__")))  # CnnPolicy.__init__ at 0x7f
    return str(described.get("__module__")), found.group(1) if found else "a class of its own"


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of a member, of which no more is unpacked than the archive declares."""
    declared = archive.getinfo(name).file_size
    if declared > most:
        raise UserError(
            f"{archive.filename} declares {declared:,} bytes of {name!r}, but no more than {most:,} can be right."
        )
    return archive.read(name)


def _what_else(names: set[str]) -> str:
    if any(name.endswith("data.pkl") for name in names):
        return "it is a checkpoint of PyTorch, which needs its class: --policy file.py:Class --checkpoint FILE"
    return "it has no 'data' and 'policy.pth' in it"


def space_of(saved: Saved, name: str) -> gymnasium.Space[Any]:
    """Read a space from its printed attributes. Those of OpenAI Gym, from before Gymnasium, print alike.

    Raises:
        Sealed: it can only be unpickled.
        UserError: it is damaged, or of a kind that cannot be explained.
    """
    described = saved.data.get(name)
    if not isinstance(described, Mapping):
        raise UserError(f"{saved.origin} does not say what its {name} is.")
    kind = str(described.get(":type:")).removesuffix("'>").rpartition(".")[2]
    most = sum(value.numel() for value in saved.weights.values())  # each action and each input has at least one weight
    try:
        if kind == "Discrete":
            count, start = int(described["n"]), int(described.get("start") or 0)
            if count > most:
                raise UserError(f"{saved.origin} declares {count:,} actions, but its network has {most:,} weights.")
            return gymnasium.spaces.Discrete(count, start=start)
        if kind == "Box":
            shape = tuple(int(side) for side in described.get("_shape", described.get("shape")))
            if math.prod(shape) > MOST_PIXELS:
                raise UserError(f"The {name} in {saved.origin} has shape {shape}, which no picture has.")
            dtype = np.dtype(described["dtype"])
            low, high = (_bound(described, bound, shape).astype(dtype) for bound in ("low", "high"))
            return gymnasium.spaces.Box(low, high, shape, dtype.type)
    except UserError:
        raise
    except FAILURES as error:
        if saved.sealed(name) is None:
            raise UserError(f"The {name} in {saved.origin} cannot be read: the zip is damaged.") from error
        raise Sealed(f"The {name} in {saved.origin} cannot be read without unpickling. {TRUST}") from error
    kinds = "a Box of pixels is" if name == "observation_space" else "Discrete or Box is"
    raise UserError(f"The {name} in {saved.origin} is a {kind} space; {kinds} needed to explain a policy.")


def _bound(described: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A Box's lower or upper bound, from how NumPy prints it: one number, all of them, or equal corners with dots."""
    text = described.get(f"{name}_repr") or described[name]
    words = re.sub(r"[\[\],]", " ", str(text)).split()
    numbers = [float(word) for word in words if word != "..."]
    if len(set(numbers)) == 1:
        return np.full(shape, numbers[0])
    return np.array(numbers).reshape(shape)  # raises ValueError where NumPy left numbers out
