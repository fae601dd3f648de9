"""Colour settings: generated ones have the benchmark's statistics; files are read without running them."""

import contextlib
import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saccade.data.banks.colors import MAX_FILE_BYTES, ColorSetting, generate_colors, load_colors
from saccade.types import UserError

# Measured over the 100 settings of each file of the DMControl Generalization Benchmark: mean and standard
# deviation of red, green and blue.
MEASURED = {
    ("easy", "grid_rgb1"): ((0.106, 0.207, 0.276), (0.076, 0.100, 0.098)),
    ("easy", "self_rgb"): ((0.700, 0.498, 0.312), (0.101, 0.091, 0.107)),
    ("easy", "skybox_rgb"): ((0.408, 0.615, 0.790), (0.094, 0.107, 0.110)),
    ("hard", "grid_rgb1"): ((0.123, 0.248, 0.296), (0.150, 0.194, 0.164)),
    ("hard", "self_rgb"): ((0.708, 0.478, 0.301), (0.181, 0.198, 0.176)),
    ("hard", "skybox_rgb"): ((0.422, 0.554, 0.784), (0.198, 0.183, 0.184)),
}
NUM_MEASURED = 100
NAMES = ("grid_rgb1", "grid_rgb2", "self_rgb", "skybox_rgb")


def column(settings: list[ColorSetting], name: str) -> np.ndarray:
    return np.array([getattr(setting, name) for setting in settings])


def as_arrays(settings: list[ColorSetting]) -> list[dict[str, np.ndarray]]:
    return [{name: np.array(getattr(setting, name)) for name in NAMES} for setting in settings]


def save_old(content: Any, path: Path) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def save_new(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def old_format(pickled: bytes) -> bytes:
    """What ``torch.save`` wrote before 1.6: magic number, version, system, the object, keys of storages."""
    header = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    return b"".join(pickle.dumps(part, 2) for part in header) + pickled + pickle.dumps([], 2)


def new_format(pickled: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
    return buffer.getvalue()


@pytest.mark.parametrize(("difficulty", "name"), MEASURED)
def test_generated_colors_have_the_measured_statistics(difficulty: Any, name: str) -> None:
    generated = column(generate_colors(difficulty, count=4000, seed=1), name)
    mean, deviation = (np.array(values) for values in MEASURED[difficulty, name])
    # The measured mean and deviation of n draws scatter by d / sqrt(n) and d / sqrt(2 n): three times that.
    np.testing.assert_array_less(np.abs(generated.mean(0) - mean), 3 * deviation / np.sqrt(NUM_MEASURED))
    np.testing.assert_array_less(np.abs(generated.std(0) - deviation), 3 * deviation / np.sqrt(2 * NUM_MEASURED))


@pytest.mark.parametrize("difficulty", ["easy", "hard"])
def test_generated_colors_can_be_shown_and_floors_have_the_same_contrast(difficulty: Any) -> None:
    settings = generate_colors(difficulty, count=1000)
    for name in NAMES:
        assert column(settings, name).min() >= 0 and column(settings, name).max() <= 1
    np.testing.assert_allclose(column(settings, "grid_rgb2") - column(settings, "grid_rgb1"), 0.1, atol=1e-12)


def test_the_seed_alone_decides() -> None:
    assert generate_colors("easy", seed=3) == generate_colors("easy", seed=3)
    assert generate_colors("easy", seed=3) != generate_colors("easy", seed=4)
    assert len(generate_colors("hard")) == 100
    easy, hard = (column(generate_colors(difficulty, 500), "self_rgb")[:, 0] for difficulty in ("easy", "hard"))
    assert abs(np.corrcoef(easy, hard)[0, 1]) < 0.2  # the hard ones are not the easy ones stretched


@pytest.mark.parametrize("save", [save_old, save_new])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_both_formats_of_torch_give_back_every_bit(save: Callable[..., Path], dtype: type, tmp_path: Path) -> None:
    settings = generate_colors("hard", count=100, seed=5)
    entries: list[dict[str, np.ndarray]] = [
        {name: array.astype(dtype) for name, array in entry.items()} for entry in as_arrays(settings)
    ]
    loaded = load_colors(save(entries, tmp_path / "color_hard.pt"))
    for name in NAMES:
        np.testing.assert_array_equal(column(loaded, name), column(settings, name).astype(dtype))


def test_plain_lists_of_floats_are_colors_too(tmp_path: Path) -> None:
    entry = {name: [0.25, 0.5, 1.0] for name in NAMES}
    assert load_colors(save_new([entry], tmp_path / "a.pt"))[0].self_rgb == (0.25, 0.5, 1.0)


class Attack:
    """Unpickling this calls ``function(*arguments)``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def touching(path: Path) -> list[Any]:
    from os import system

    return [
        Attack(system, f"touch {path}"),
        Attack(eval, f"open({str(path)!r}, 'w').close()"),
        Attack(getattr, Path(path), "touch"),
        [Attack(exec, f"open({str(path)!r}, 'w').close()")],
        {"grid_rgb1": Attack(np.save, str(path), [1])},
        Attack(np.memmap, str(path), "uint8", "w+", 0, (10,)),
        np.array([Attack(eval, f"open({str(path)!r}, 'w').close()")], dtype=object),
    ]


@pytest.mark.parametrize("container", [old_format, new_format])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("attack", range(7))
def test_pickled_code_is_refused_and_not_run(
    container: Callable[[bytes], bytes], protocol: int, attack: int, tmp_path: Path
) -> None:
    path, trace = tmp_path / "color_easy.pt", tmp_path / "trace"
    path.write_bytes(container(pickle.dumps(touching(trace)[attack], protocol)))
    with pytest.raises(UserError, match=r"color_easy\.pt was not opened"):
        load_colors(path)
    assert not trace.exists() and not Path(f"{trace}.npy").exists()


def test_code_in_the_old_format_s_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "color_easy.pt"
    path.write_bytes(pickle.dumps(touching(tmp_path / "trace")[0], 2))
    with pytest.raises(UserError, match="asks for"):
        load_colors(path)
    assert not (tmp_path / "trace").exists()


def test_a_pickle_cannot_alter_the_reader(tmp_path: Path) -> None:
    # BUILD sets attributes of whatever lies on the stack: here of what stands in for numpy's functions.
    for name in (b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\n_reconstruct\n"):
        for state in (b"}X\x04\x00\x00\x00nameK\x07s", b"N}X\x0c\x00\x00\x00__defaults__)s\x86"):
            (tmp_path / "evil.pt").write_bytes(old_format(b"\x80\x02" + name + state + b"b."))
            with pytest.raises(UserError, match=r"evil\.pt"):
                load_colors(tmp_path / "evil.pt")
    settings = generate_colors("easy", count=3)
    assert load_colors(save_old(as_arrays(settings), tmp_path / "good.pt")) == settings


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    path.write_bytes(old_format(b"\x80\x02]r" + struct.pack("<I", 2**31 - 1) + b"."))
    with pytest.raises(UserError, match="memory cell"):
        load_colors(path)
    path.write_bytes(new_format(b"\x00" * (MAX_FILE_BYTES + 1)))
    with pytest.raises(UserError, match=r"bomb\.pt was not opened"):
        load_colors(path)


@pytest.mark.parametrize("save", [save_old, save_new])
def test_a_cut_or_flipped_file_gives_one_clear_error(save: Callable[..., Path], tmp_path: Path) -> None:
    whole = save(as_arrays(generate_colors("easy", count=2)), tmp_path / "whole.pt").read_bytes()
    path = tmp_path / "color_easy.pt"
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        if save is save_new or length < len(whole) - 10:  # the old format ends with an empty list of keys
            with pytest.raises(UserError, match=r"color_easy\.pt"):
                load_colors(path)
    random = np.random.default_rng(0)
    for position in random.integers(0, len(whole), 400):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << int(random.integers(8))
        path.write_bytes(bytes(flipped))
        with contextlib.suppress(UserError):
            assert all(isinstance(setting, ColorSetting) for setting in load_colors(path))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "no list of colour settings"),
        ({"grid_rgb1": 1}, "no list of colour settings"),
        ([{"grid_rgb1": np.zeros(3)}], "setting 0 does not have exactly grid_rgb1, grid_rgb2"),
        ([{**dict.fromkeys(NAMES, np.zeros(3)), "more": 1}], "does not have exactly"),
        ([dict.fromkeys(NAMES, np.zeros(4))], "grid_rgb1 of setting 0 is not 3 numbers in 0..1"),
        ([dict.fromkeys(NAMES, np.zeros((1, 3)))], "is not 3 numbers"),
        ([dict.fromkeys(NAMES, np.array([0.0, 0.5, 1.5]))], "is not 3 numbers"),
        ([dict.fromkeys(NAMES, np.array([0.0, np.nan, 1.0]))], "is not 3 numbers"),
        ([dict.fromkeys(NAMES, np.array([0, 1, 1]))], "is not 3 numbers"),
        ([dict.fromkeys(NAMES, "red")], "is not 3 numbers"),
        ([dict.fromkeys(NAMES, torch.zeros(3))], "was not opened"),
    ],
)
def test_anything_else_than_colors_is_named(content: Any, problem: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=problem) as raised:
        load_colors(save_new(content, tmp_path / "color_easy.pt"))
    assert "color_easy.pt" in str(raised.value)


def test_a_file_that_is_not_there_or_not_of_torch_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.pt cannot be read"):
        load_colors(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("grid_rgb1: red")
    with pytest.raises(UserError, match=r"text\.pt was not opened"):
        load_colors(tmp_path / "text.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps([1], 2) * 4)
    with pytest.raises(UserError, match=r"not a file of torch\.save"):
        load_colors(tmp_path / "plain.pt")
