"""Colour settings of color_easy and color_hard: the benchmark's own, read safely, or similar generated ones."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from saccade.data.files import NoFile, read_bounded
from saccade.types import UserError

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class ColorSetting:
    """One episode's colours of floor, body and sky; red, green, blue in 0..1.

    Applied as in the DMControl Generalization Benchmark: ``grid_rgb1`` and ``grid_rgb2`` are the two
    colours of the floor's texture, ``self_rgb`` the body's material, ``skybox_rgb`` the sky's upper colour.
    """

    grid_rgb1: Rgb
    grid_rgb2: Rgb
    self_rgb: Rgb
    skybox_rgb: Rgb


# --- generating -------------------------------------------------------------------------------------

# The benchmark's files look like draws around dm_control's default colours, clipped to what can be shown:
# these centres and spreads reproduce the means and standard deviations of color_easy.pt and color_hard.pt.
GRID_CENTER = (0.1, 0.2, 0.3)
SELF_CENTER = (0.7, 0.5, 0.3)
SKYBOX_CENTER = (0.4, 0.6, 0.8)
SPREAD = {"easy": 0.1, "hard": 0.2}
GRID_CONTRAST = 0.1  # grid_rgb2 - grid_rgb1, the same in every channel of every setting
GENERATOR_STREAM = {"easy": 1, "hard": 2}  # so that the same seed gives unrelated easy and hard settings


def generate_colors(difficulty: Literal["easy", "hard"], count: int = 100, seed: int = 0) -> list[ColorSetting]:
    """Generate ``count`` settings with the statistics of the benchmark's, the same ones for the same seed."""
    random = np.random.default_rng([seed, GENERATOR_STREAM[difficulty]])
    centers = np.array([GRID_CENTER, SELF_CENTER, SKYBOX_CENTER])
    drawn = random.normal(centers, SPREAD[difficulty], size=(count, 3, 3)).clip(0.0, 1.0)
    grid = drawn[:, 0].clip(max=1.0 - GRID_CONTRAST)
    return [
        ColorSetting(_rgb(grid[i]), _rgb(grid[i] + GRID_CONTRAST), _rgb(drawn[i, 1]), _rgb(drawn[i, 2]))
        for i in range(count)
    ]


# --- reading ----------------------------------------------------------------------------------------

MAX_FILE_BYTES = 16 * 2**20  # the benchmark's files have 45 kB
MAX_MEMO_INDEX = 1_000_000  # the unpickler allocates up to the largest index that a file names
ARCHIVE_MAGIC = b"PK\x03\x04"  # first bytes of a file of torch.save since torch 1.6
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of a file of torch.save before torch 1.6
LEGACY_HEADER_PICKLES = 3  # magic number, protocol version, system information; then the object
CHANNEL_TOLERANCE = 1e-6  # how far rounding may move a channel outside 0..1

# All that a pickled list of dictionaries of arrays consists of, besides imports, which are checked one by one.
# fmt: off
HARMLESS_OPCODES = frozenset((
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "EMPTY_LIST", "EMPTY_DICT",
    "EMPTY_TUPLE", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES",
    "SHORT_BINBYTES", "REDUCE", "BUILD", "MEMOIZE",
))
# fmt: on
MEMO_OPCODES = frozenset(("BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"))


def load_colors(path: str | Path) -> list[ColorSetting]:
    """Return the colour settings in a ``.pt`` file of the benchmark, read without running anything in the file.

    Both formats of ``torch.save`` are read. The pickle inside may hold lists, dictionaries, numbers, strings
    and float arrays; the few imports that arrays need are replaced by inert stand-ins, never by numpy.

    Raises:
        UserError: the file cannot be read, is damaged, or holds anything but a list of colour settings.
    """
    path = Path(path)
    try:
        settings = _load_one(_read_bounded(path))
    except OSError as error:
        raise UserError(f"colour file {path} cannot be read ({error}); {_REMEDY}") from error
    except _Refused as error:
        raise UserError(f"colour file {path} was not opened: {error}; {_REMEDY}") from error
    if not isinstance(settings, list) or not settings:
        raise UserError(f"colour file {path} holds no list of colour settings; {_REMEDY}")
    return [_to_setting(path, number, entry) for number, entry in enumerate(settings)]


_REMEDY = "use the benchmark's own color_easy.pt and color_hard.pt, or remove it to use generated colours"


# What the pickle module raises for bytes that are no pickle, depending on where they are wrong; the warning
# only if a program turns warnings into errors.
_MALFORMED = (
    pickle.UnpicklingError, struct.error, ValueError, TypeError, LookupError, AttributeError, EOFError,
    MemoryError, OverflowError, RecursionError, DeprecationWarning,
)  # fmt: skip


class _Refused(Exception):
    """Why a file's content is not the plain data that it should be."""


def _read_bounded(path: Path) -> io.BytesIO:
    """The bytes from which the object's pickle starts, in either format of ``torch.save``."""
    try:
        content = io.BytesIO(read_bounded(path, MAX_FILE_BYTES))
    except NoFile as error:
        raise _Refused(str(error)) from error
    if content.read(len(ARCHIVE_MAGIC)) == ARCHIVE_MAGIC:
        try:
            return _pickle_in_archive(content)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, *_MALFORMED) as error:
            raise _Refused(f"its archive is damaged ({error})") from error
    content.seek(0)
    header = [_load_one(content) for _ in range(LEGACY_HEADER_PICKLES)]
    if header[0] != LEGACY_MAGIC:
        raise _Refused("it is not a file of torch.save")
    return content


def _pickle_in_archive(content: io.BytesIO) -> io.BytesIO:
    with zipfile.ZipFile(content) as archive:
        pickles = [info for info in archive.infolist() if info.filename.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1 or pickles[0].file_size > MAX_FILE_BYTES:
            raise _Refused(f"its archive does not hold one data.pkl of at most {MAX_FILE_BYTES} bytes")
        if pickles[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Refused("its archive is packed in a way that torch does not use")
        with archive.open(pickles[0]) as member:
            return io.BytesIO(member.read(MAX_FILE_BYTES))


def _load_one(content: io.BytesIO) -> Any:
    """The next pickle, after every opcode in it has been checked to be harmless."""
    start = content.tell()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            _check_opcode(opcode.name, argument)
        content.seek(start)
        return _InertUnpickler(content).load()
    except _MALFORMED as error:
        raise _Refused(f"its content is damaged ({error})") from error


def _check_opcode(name: str, argument: Any) -> None:
    if name == "GLOBAL":
        module, _, attribute = str(argument).partition(" ")
        _stand_in(module, attribute)
    elif name in MEMO_OPCODES:
        if argument > MAX_MEMO_INDEX:
            raise _Refused(f"its pickle names memory cell {argument}")
    elif name != "STACK_GLOBAL" and name not in HARMLESS_OPCODES:
        raise _Refused(f"its pickle uses {name}, which plain arrays do not need")


class _Dtype:
    """Stands in for numpy.dtype: stores a type's name and byte order."""

    def __init__(self, name: Any, align: Any = False, copy: Any = False) -> None:
        self.name, self.order = name, "<"

    def __setstate__(self, state: Any) -> None:
        self.order = state[1]


class _Array:
    """Stands in for numpy.ndarray: stores dtype, shape and bytes."""

    dtype: Any = None
    shape: Any = ()
    content: Any = b""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.dtype, _, self.content = state


def _reconstruct(array_type: Any, shape: Any, typecode: Any) -> _Array:
    return _Array()


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise _Refused("its arrays are not stored as plain bytes")
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encode,
}


def _stand_in(module: str, attribute: str) -> Callable[..., Any]:
    if (module, attribute) not in _STAND_INS:
        raise _Refused(f"its pickle asks for {module}.{attribute}, which plain arrays do not need")
    return _STAND_INS[module, attribute]


class _InertUnpickler(pickle.Unpickler):
    """Builds lists, dictionaries and stand-ins; finds no other class or function."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        stand_in = _stand_in(module_name, global_name)
        # A new function each time: a pickle may set attributes on what it is given.
        return lambda *arguments: stand_in(*arguments)


def _to_setting(path: Path, number: int, entry: Any) -> ColorSetting:
    names = [field.name for field in fields(ColorSetting)]
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise UserError(f"colour file {path}: setting {number} does not have exactly {', '.join(names)}; {_REMEDY}")
    colors = {}
    for name in names:
        channels = _channels(entry[name])
        in_range = all(
            math.isfinite(value) and -CHANNEL_TOLERANCE <= value <= 1 + CHANNEL_TOLERANCE for value in channels
        )
        if len(channels) != 3 or not in_range:
            raise UserError(f"colour file {path}: {name} of setting {number} is not 3 numbers in 0..1; {_REMEDY}")
        colors[name] = _rgb(np.clip(channels, 0.0, 1.0))
    return ColorSetting(**colors)


def _channels(value: Any) -> tuple[float, ...]:
    """The numbers of a stored array of doubles or singles, or of a plain sequence; else empty."""
    if isinstance(value, list | tuple):
        return tuple(value) if all(isinstance(entry, float) for entry in value) else ()
    if not isinstance(value, _Array) or not isinstance(value.dtype, _Dtype) or type(value.content) is not bytes:
        return ()
    name, order = value.dtype.name, value.dtype.order
    if name not in ("f8", "f4") or order not in ("<", ">"):
        return ()
    size = int(name[1])
    count, remainder = divmod(len(value.content), size)
    if remainder or value.shape != (count,):
        return ()
    return struct.unpack(f"{order}{count}{'d' if size == 8 else 'f'}", value.content)


def _rgb(channels: np.ndarray) -> Rgb:
    red, green, blue = (float(channel) for channel in channels)
    return (red, green, blue)
