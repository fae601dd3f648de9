"""Unpickle files, which runs code in them: only files that a person vouched for with --trust."""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, final

import torch

from saccade.data.user_code import FAILURES, importable

OF_TORCH = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
"""First bytes of files that ``torch.save`` wrote before it wrote archives."""

OF_TENSORS = ("collections", "torch", "torch._tensor", "torch._utils", "torch.nn.parameter", "torch.storage")
"""Modules that pickled tensors refer to."""

MAIN = "__main__"


@final
@dataclass(frozen=True)
class Trust:
    """Where unpickling looks for classes.

    Attributes:
        folders: folders whose modules can be imported, as by a script that is run there.
        module: the user's own file, already run: it has the classes that a script saved as its own (``__main__``), and
            those of a module with its name.
    """

    folders: tuple[Path, ...] = ()
    module: ModuleType | None = None

    def names(self) -> Mapping[str, Mapping[str, Any]]:
        """What the module defines, under the module names that a pickle may use for it."""
        if self.module is None:
            return {}
        stem = Path(str(self.module.__file__)).stem
        return {MAIN: vars(self.module), stem: vars(self.module)}


def unpickled(content: bytes, trust: Trust) -> Any:
    """Unpickle what ``torch.save`` (onto the CPU) or anything else wrote. Raises whatever its code raises."""
    known = trust.names()

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            there = known.get(module, {})
            return there[name] if name in there else super().find_class(module, name)

    def load(file: Any, **options: Any) -> Any:
        return Unpickler(file, **options).load()

    with importable(*trust.folders):
        if zipfile.is_zipfile(io.BytesIO(content)) or content.startswith(OF_TORCH):
            pickles = ModuleType("pickles")  # in the form that PyTorch takes
            vars(pickles).update(Unpickler=Unpickler, load=load, UnpicklingError=pickle.UnpicklingError)
            # This runs code in the file: a person gave --trust for this very file, and nothing else here unpickles.
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=False, pickle_module=pickles)
        return load(io.BytesIO(content))


def holds_code(content: bytes) -> bool:
    """Return whether a file is a whole pickle with classes or functions other than tensors': one that --trust opens."""
    try:
        return any(_names_code(*operation) for pickled in _pickles_in(content) for operation in _operations(pickled))
    except FAILURES:  # damaged in one of many ways
        return False


def _names_code(operation: pickletools.OpcodeInfo, argument: Any, place: int | None) -> bool:
    if operation.name in ("GLOBAL", "INST"):
        return str(argument).partition(" ")[0] not in OF_TENSORS
    return operation.name == "STACK_GLOBAL"  # which torch.save does not write


def _pickles_in(content: bytes) -> Iterator[io.BytesIO]:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        stream = io.BytesIO(content)
        while stream.tell() < len(content):  # the old format: several pickles, then bytes of tensors
            yield stream
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if name.endswith("data.pkl"):
                yield io.BytesIO(archive.read(name))


def _operations(stream: io.BytesIO) -> list[tuple[pickletools.OpcodeInfo, Any, int | None]]:
    """The operations of one pickle, without running it; the stream is at its end then."""
    return list(pickletools.genops(stream))
