"""A file's picture is what people see: turned as the camera said, and as bright in 16 bits as in 8."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data.banks.images import FORMATS, load_bank
from saccade.data.banks.textures import read_texture
from saccade.data.pictures import ORIENTATION, UnusableError, read_picture

ALL = set(FORMATS.values())


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cache"))


def quarters() -> np.ndarray:
    """Red and green above, blue and white below: no turn and no mirror image looks like it."""
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:16, :16, 0] = picture[:16, 16:, 1] = picture[16:, :16, 2] = 255
    picture[16:, 16:] = 255
    return picture


# How the stored picture lies for each value of Exif's orientation, by its definition: where the 0th row and the 0th
# column of what is stored are to be seen.
STORED = {
    1: lambda seen: seen,  # top, left
    2: lambda seen: seen[:, ::-1],  # top, right
    3: lambda seen: seen[::-1, ::-1],  # bottom, right
    4: lambda seen: seen[::-1],  # bottom, left
    5: lambda seen: seen.swapaxes(0, 1),  # left, top
    6: lambda seen: seen[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda seen: seen[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda seen: seen[::-1].swapaxes(0, 1),  # left, bottom
}


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_is_turned_as_the_camera_says(tmp_path: Path, orientation: int, ending: str) -> None:
    path = tmp_path / "pictures" / f"a.{ending}"
    path.parent.mkdir()
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = np.ascontiguousarray(STORED[orientation](quarters()))
    Image.fromarray(stored).save(path, exif=exif, **({} if ending == "png" else {"quality": 95}))
    bank = load_bank(path.parent, size=16).images[0].numpy().transpose(1, 2, 0)
    for found in (np.asarray(read_picture(path, ALL).resize((16, 16))), bank):
        for place in ((3, 3), (3, 12), (12, 3), (12, 12)):
            expected = quarters()[place[0] * 2, place[1] * 2].astype(int)
            assert np.abs(found[place].astype(int) - expected).max() < 40, place  # JPEG


def test_orientations_that_do_not_exist_and_damaged_exif_leave_the_picture(tmp_path: Path) -> None:
    for name, exif in (("nine", Image.Exif()), ("none", Image.Exif())):
        exif[ORIENTATION] = 9 if name == "nine" else 0
        Image.fromarray(quarters()).save(tmp_path / f"{name}.png", exif=exif)
    Image.fromarray(quarters()).save(tmp_path / "damaged.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    for path in tmp_path.glob("*.png"):
        np.testing.assert_array_equal(np.asarray(read_picture(path, ALL)), quarters(), err_msg=path.name)


def png16(path: Path, levels: np.ndarray) -> None:
    """A PNG of 16 bits a channel, grey ``[h, w]`` or colour ``[h, w, 3]``, written byte by byte."""
    height, width = levels.shape[:2]
    kind = 0 if levels.ndim == 2 else 2
    rows = levels.astype(">u2").reshape(height, -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_are_as_bright_as_8(tmp_path: Path, channels: int) -> None:
    """Grey of 16 bits became white wherever it was brighter than 255 of 65,535."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    levels = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8).repeat(32, 0).repeat(32, 1)
    png16(folder / "a.png", levels if channels == 1 else np.stack([levels, levels[::-1], 65535 - levels], -1))
    grey = levels / 257
    expected = np.stack([grey] * 3 if channels == 1 else [grey, grey[::-1], 255 - grey], -1)
    found = np.asarray(read_picture(folder / "a.png", ALL)).astype(float)
    assert np.abs(found - expected).max() <= 1
    assert np.abs(read_texture(folder / "a.png").astype(float) - expected).max() <= 1
    bank = load_bank(folder, size=8).images[0].numpy().transpose(1, 2, 0)
    assert np.abs(bank.astype(float) - expected[16::32, 16::32]).max() <= 8  # Pillow smooths


def test_dark_16_bits_stay_dark(tmp_path: Path) -> None:
    png16(tmp_path / "dark.png", np.full((4, 4), 200, np.uint16))
    assert (np.asarray(read_picture(tmp_path / "dark.png", ALL)) == 1).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_other_kind_of_pixel_keeps_its_brightness(tmp_path: Path, mode: str) -> None:
    ending = "jpg" if mode == "CMYK" else "png"
    Image.fromarray(np.full((16, 16, 3), 255, np.uint8)).convert(mode).save(tmp_path / f"a.{ending}")
    found = np.asarray(read_picture(tmp_path / f"a.{ending}", ALL))
    assert found.shape == (16, 16, 3) and found.min() >= 253


def test_what_is_no_picture_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(UnusableError, match="cannot identify"):
        read_picture(tmp_path / "a.png", ALL)
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png", format="GIF")
    with pytest.raises(UnusableError, match="cannot identify"):
        read_picture(tmp_path / "b.png", ALL)
