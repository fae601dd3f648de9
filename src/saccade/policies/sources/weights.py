"""Weights that other people's tools saved: read without running anything in the file, and fitted by name."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from saccade.data.files import read_bounded
from saccade.data.memory import available_bytes
from saccade.policies.sources.user_code import FAILURES, told
from saccade.types import UserError

MOST_BYTES = 2**40
"""Of a file of weights, on a machine that does not tell how much memory it has."""

MOST_NAMES = 6
"""Names of weights that a sentence lists before it only counts."""

PREFIXES = ("_orig_mod.", "module.")
"""What ``torch.compile`` and ``DataParallel`` put before every name."""


DAMAGE = (
    RuntimeError, EOFError, SafetensorError, ValueError, LookupError, TypeError, AssertionError, struct.error,
    ArithmeticError, MemoryError,
)  # fmt: skip
"""What PyTorch raises for a file that is cut off, or has other bytes than were written."""


def read(file: Path | bytes, origin: str, *, trust: bool = False) -> Any:
    """What ``torch.save`` or safetensors wrote, on the CPU.

    Args:
        file: the file, or what is in it.
        origin: what sentences call it.
        trust: whether a file that holds more than tensors may be unpickled, which runs what it says.

    Raises:
        UserError: the file is missing or damaged, or would have to be unpickled.
    """
    most = most_bytes()
    try:
        content = read_bounded(file, most) if isinstance(file, Path) else file
        if isinstance(file, Path) and file.suffix == ".safetensors":
            return safetensors.torch.load(content)
        if zipfile.is_zipfile(io.BytesIO(content)):
            _refuse_bomb(content, origin, most)
        # The one place that opens files of others: it unpickles only where a person said that the file may run code.
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=not trust)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{origin} cannot be read: {error.strerror or error}.") from error
    except pickle.UnpicklingError as error:
        if trust:
            raise UserError(f"{origin} is damaged, or no file of weights at all.") from error
        raise UserError(
            f"{origin} is damaged, or holds more than weights: reading it could run code in it. Save a state_dict "
            "instead, or give --trust if you know where the file comes from."
        ) from error
    except (AttributeError, ImportError) as error:
        # With trust alone it can be a class that is not here; else the pickle would have been refused before.
        raise UserError(f"{origin} cannot be unpickled here: {error}.") from error
    except FAILURES as error:
        if trust and not isinstance(error, DAMAGE):  # its code ran
            raise UserError(f"Unpickling {origin} failed: {told(error)}.") from error
        raise UserError(f"{origin} is damaged, or no file of weights at all.") from error


def most_bytes() -> int:
    """Of a file of weights: half of what this machine has free, since it is read and then unpacked."""
    free = available_bytes(torch.device("cpu"))
    return MOST_BYTES if free is None else min(MOST_BYTES, free // 2)


def _refuse_bomb(content: bytes, origin: str, most: int) -> None:
    """Raise UserError where an archive declares more than could be meant: unpacking it would take all memory."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        declared = sum(member.file_size for member in archive.infolist())
    if declared > most:
        raise UserError(f"{origin} declares {declared:,} bytes of weights, more than the {most:,} that fit here.")


def state_dicts(loaded: Any) -> Iterator[dict[str, Tensor]]:
    """The state dicts in what a file held: itself, or those in a tuple, list, dict or module, in order."""
    return (weights for _, weights in named_state_dicts(loaded))


def named_state_dicts(loaded: Any, name: str = "") -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The same, and where in the file each lies: ``online``, ``agent.actor``, ``0`` of a tuple; empty for the whole."""
    if isinstance(loaded, nn.Module):
        yield name, loaded.state_dict()
    elif isinstance(loaded, Mapping) and loaded and all(isinstance(value, Tensor) for value in loaded.values()):
        _refuse_hollow(loaded)
        yield name, {_bare(str(key), loaded): value for key, value in loaded.items()}
    elif isinstance(loaded, Mapping | list | tuple):
        for key, value in loaded.items() if isinstance(loaded, Mapping) else enumerate(loaded):
            yield from named_state_dicts(value, f"{name}.{key}" if name else str(key))


def same_weights(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether two state dicts hold the same values under the same names."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def _refuse_hollow(weights: Mapping[Any, Tensor]) -> None:
    """Raise UserError for a tensor that says it has more numbers than lie in its file, as an expanded one does."""
    for name, value in weights.items():
        dense = value.layout == torch.strided and not value.is_quantized
        if not dense or value.device.type == "meta" or value.untyped_storage().nbytes() < value.nbytes:
            raise UserError(
                f"The weights {name!r} have shape {tuple(value.shape)}, and not so many numbers in the file."
            )


def fit(network: nn.Module, weights: Mapping[str, Tensor], origin: str, advice: str = "") -> None:
    """Put weights into a network whose names and shapes they must be.

    Raises:
        UserError: the names that are missing, unexpected or of another shape, and ``advice``.
    """
    differences = mismatch(network, weights)
    if differences:
        raise UserError(f"{origin} does not fit {type(network).__name__}: {differences}.{' ' * bool(advice)}{advice}")
    network.load_state_dict(weights)


def mismatch(network: nn.Module, weights: Mapping[str, Tensor]) -> str:
    """How weights differ from a network's in name or shape, in words; empty if they fit."""
    state = network.state_dict()
    shapes = [
        f"{name} {tuple(value.shape)} instead of {tuple(state[name].shape)}"
        for name, value in weights.items()
        if name in state and value.shape != state[name].shape
    ]
    found = {
        "missing": [name for name in state if name not in weights],
        "unexpected": [name for name in weights if name not in state],
        "of another shape": shapes,
    }
    return "; ".join(f"{what}: {_listed(names)}" for what, names in found.items() if names)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _bare(name: str, names: Mapping[Any, Any]) -> str:
    """A name without a prefix that all of them have."""
    for prefix in PREFIXES:
        if all(str(other).startswith(prefix) for other in names):
            return name.removeprefix(prefix)
    return name
