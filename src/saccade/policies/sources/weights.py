"""Read weights that other tools saved, without running anything in the file, and fit them to a network by name."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from saccade.data.files import read_bounded
from saccade.data.memory import available_bytes
from saccade.data.user_code import FAILURES, error_text
from saccade.policies.sources.pickles import Trust, holds_code, unpickled
from saccade.types import UserError

MOST_BYTES = 2**40
"""Most bytes of a file of weights, on a machine that does not report its memory."""

MOST_NAMES = 6
"""How many weights a message lists before it only counts them."""

COMPILED = frozenset({"_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"})
PARALLEL = frozenset({"module"})
"""What ``torch.compile`` and ``DataParallel`` add to the names of what they wrap: at the start, or anywhere."""
AVERAGED = "n_averaged"
"""What ``torch.optim.swa_utils.AveragedModel`` adds to the weights that it wraps."""


DAMAGE = (
    RuntimeError, EOFError, SafetensorError, ValueError, LookupError, TypeError, AssertionError, struct.error,
    ArithmeticError, MemoryError,
)  # fmt: skip
"""What PyTorch raises for a file that is cut off or corrupted."""


def read(file: Path | bytes, origin: str, *, trust: Trust | None = None, advise: bool = True) -> Any:
    """Read what ``torch.save`` or safetensors wrote, onto the CPU.

    Args:
        file: the file, or its content.
        origin: its name in messages.
        trust: where to find the classes of a file that holds more than tensors; None if nothing in the file may be run.
        advise: whether the user could give ``--trust``.

    Raises:
        UserError: the file is missing or damaged, or would have to be unpickled.
    """
    most = most_bytes()
    try:
        content = read_bounded(file, most) if isinstance(file, Path) else file
    except OSError as error:
        raise UserError(f"{origin} cannot be read: {error.strerror or error}.") from error
    try:
        if isinstance(file, Path) and file.suffix == ".safetensors":
            return safetensors.torch.load(content)  # tensors and their names, no code
        if zipfile.is_zipfile(io.BytesIO(content)):
            _refuse_bomb(content, origin, most)
        if trust is not None:  # unpickles only if the user allowed the file to run code
            return unpickled(content, trust)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles that are then refused
            # Without code: PyTorch's reader makes only tensors and plain containers, and refuses everything else.
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except UserError:
        raise
    except FAILURES as error:
        raise UserError(_why_unreadable(error, content, origin, trust, advise)) from error


def _why_unreadable(error: BaseException, content: bytes, origin: str, trust: Trust | None, advise: bool) -> str:
    """What a person can do about a file that cannot be read; trust is mentioned only where it would help."""
    if trust is None and holds_code(content):
        way = ", or give --trust if you know where the file comes from" if advise else ""
        return (
            f"{origin} holds more than weights: reading it could run code in it. Save a state_dict with torch.save "
            f"instead{way}."
        )
    if trust is not None and isinstance(error, AttributeError | ImportError):  # a class that is not here
        return f"{origin} cannot be unpickled here: {error}."
    if trust is not None and not isinstance(error, (*DAMAGE, pickle.UnpicklingError)):  # its code ran
        return f"Unpickling {origin} failed: {error_text(error)}."
    return f"{origin} is damaged, or no file of weights at all."


def most_bytes() -> int:
    """Return the most bytes a file of weights may have: half of the free memory, since it is read, then unpacked."""
    free = available_bytes(torch.device("cpu"))
    return MOST_BYTES if free is None else min(MOST_BYTES, free // 2)


def _refuse_bomb(content: bytes, origin: str, most: int) -> None:
    """Raise UserError if an archive declares implausibly many bytes: unpacking it would take all memory."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        declared = sum(member.file_size for member in archive.infolist())
    if declared > most:
        raise UserError(f"{origin} declares {declared:,} bytes of weights, more than the {most:,} that fit here.")


def state_dicts(loaded: Any) -> Iterator[dict[str, Tensor]]:
    """Yield the state dicts in what a file held: itself, or those in a tuple, list, dict or module, in order."""
    return (weights for _, weights in named_state_dicts(loaded))


def named_state_dicts(loaded: Any) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield state dicts with their place in the file: ``online``, ``agent.actor``, ``0``; empty for the whole.

    What was unpickled may also be an object that holds networks, such as a whole agent.
    """
    return _named("", loaded, set())


def _named(name: str, loaded: Any, seen: set[int]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    if isinstance(loaded, nn.Module):
        yield name, loaded.state_dict()
    elif isinstance(loaded, Mapping) and loaded and all(isinstance(value, Tensor) for value in loaded.values()):
        _refuse_hollow(loaded)
        yield name, {str(key): value for key, value in loaded.items()}
    elif id(loaded) not in seen:
        seen.add(id(loaded))
        for key, value in _parts(loaded):
            yield from _named(f"{name}.{key}" if name else str(key), value, seen)


def _parts(loaded: Any) -> Iterable[tuple[Any, Any]]:
    """What a container or an object of a custom class holds; an optimizer's moments are no weights."""
    if isinstance(loaded, Mapping):
        return loaded.items()
    if isinstance(loaded, list | tuple):
        return enumerate(loaded)
    own = not type(loaded).__module__.startswith(("builtins", "torch.", "numpy."))
    return vars(loaded).items() if own and "__dict__" in dir(loaded) and not isinstance(loaded, type) else ()


def same_weights(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Return whether two state dicts hold the same values under the same names."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def _refuse_hollow(weights: Mapping[Any, Tensor]) -> None:
    """Raise UserError for a tensor that claims more numbers than its file has, as an expanded one does."""
    for name, value in weights.items():
        dense = value.layout == torch.strided and not value.is_quantized
        if not dense or value.device.type == "meta" or value.untyped_storage().nbytes() < value.nbytes:
            raise UserError(f"The weights {name!r} have shape {tuple(value.shape)}, but the file has fewer numbers.")


def fit(network: nn.Module, weights: Mapping[str, Tensor], origin: str, advice: str = "") -> None:
    """Load weights into a network with the same names and shapes; wrappers in the names are ignored.

    Raises:
        UserError: the names that are missing, unexpected or of another shape, and ``advice``.
    """
    differences = mismatch(network, weights)
    if differences:
        raise UserError(f"{origin} does not fit {type(network).__name__}: {differences}.{' ' * bool(advice)}{advice}")
    network.load_state_dict(unwrapped(weights, network.state_dict()))


def unwrapped(weights: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """Return weights under the wanted names, if they differ only by wrappers; else under the most similar ones.

    ``_orig_mod.body.0.weight``, ``body._orig_mod.0.weight`` and ``module._orig_mod.body.0.weight`` are all
    ``body.0.weight``; a network may also be wrapped itself, or have a part that is called ``module``.
    """
    likest = dict(weights)
    for wrappers in (COMPILED, COMPILED | PARALLEL):
        ours = {without(name, wrappers): name for name in wanted}
        theirs = {without(name, wrappers): value for name, value in _not_counted(weights).items()}
        if len(ours) < len(wanted) or len(theirs) < len(_not_counted(weights)):
            continue  # two names became one
        renamed = {ours.get(name, name): value for name, value in theirs.items()}
        if len(renamed.keys() ^ set(wanted)) < len(likest.keys() ^ set(wanted)):
            likest = renamed
    return likest


def without(name: str, wrappers: Collection[str]) -> str:
    """Return a dotted name without some of its words."""
    return ".".join(word for word in name.split(".") if word not in wrappers)


def _not_counted(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the number with which an averaged model counts its averages."""
    others = {name: value for name, value in weights.items() if name != AVERAGED}
    averaged = len(others) < len(weights) and all(name.startswith("module.") for name in others)
    return others if averaged else dict(weights)


def mismatch(network: nn.Module, weights: Mapping[str, Tensor]) -> str:
    """Describe how weights differ from a network's in name or shape; empty if they fit."""
    state = network.state_dict()
    weights = unwrapped(weights, state)
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
