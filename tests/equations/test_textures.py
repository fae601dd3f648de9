"""Table tops of the robot tasks: the published statistics, and a person's own pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data.banks.textures import MATERIALS, TEXTURE_SIZE, generate_texture, read_texture
from saccade.data.folder import DataFolder, find_data
from saccade.types import UserError

# Of the published pictures, averaged down to 64x64: mean and deviation of red, green, blue. One of them, concrete,
# could not be had.
PUBLISHED = {
    "test1": ((190, 159, 124), (16, 21, 24)),
    "test2": ((58, 58, 58), (6, 6, 6)),
    "test4": ((216, 169, 112), (3, 6, 8)),
    "test5": ((238, 199, 60), (4, 16, 34)),
}


@pytest.mark.parametrize("variant", PUBLISHED)
def test_generated_ones_have_the_published_statistics(variant: str) -> None:
    texture = generate_texture(variant)
    block = TEXTURE_SIZE // 64
    coarse = texture.reshape(64, block, 64, block, 3).mean(axis=(1, 3)).reshape(-1, 3)
    mean, deviation = PUBLISHED[variant]
    np.testing.assert_allclose(coarse.mean(axis=0), mean, atol=0.5)
    np.testing.assert_allclose(coarse.std(axis=0), deviation, atol=1.0)


@pytest.mark.parametrize("variant", MATERIALS)
def test_generated_ones_are_the_same_every_time(variant: str) -> None:
    first = generate_texture(variant)
    generate_texture.cache_clear()
    again = generate_texture(variant)
    assert first.shape == (TEXTURE_SIZE, TEXTURE_SIZE, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert not first.flags.writeable  # environments of one process share it


def test_generated_ones_differ() -> None:
    means = np.array([generate_texture(variant).mean(axis=(0, 1)) for variant in MATERIALS])
    apart = np.abs(means[:, None] - means).sum(axis=-1)[~np.eye(len(means), dtype=bool)]
    assert apart.min() > 30


def picture(path: Path, color: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def test_own_pictures_are_found_by_name(tmp_path: Path) -> None:
    png = picture(tmp_path / "textures" / "test1.png", (1, 2, 3))
    jpg = picture(tmp_path / "textures" / "test3.JPG", (1, 2, 3))
    (tmp_path / "textures" / "notes.txt").touch()
    folder = find_data(tmp_path)  # textures alone make a data folder
    assert folder.texture("test1") == png
    assert folder.texture("test2") is None
    assert folder.texture("test3") == jpg
    assert DataFolder().texture("test1") is None
    assert DataFolder(tmp_path / "textures").texture("test1") is None


def test_a_picture_is_cut_to_its_middle_and_resized(tmp_path: Path) -> None:
    wide = Image.new("RGB", (1024, 512), (200, 0, 0))
    wide.paste((0, 100, 0), (256, 0, 512, 512))  # the left half of the middle
    wide.save(tmp_path / "wide.png")
    texture = read_texture(tmp_path / "wide.png")
    assert texture.shape == (TEXTURE_SIZE, TEXTURE_SIZE, 3)
    assert (texture[:, :128] == (0, 100, 0)).all() and (texture[:, 128:] == (200, 0, 0)).all()


def test_a_folder_with_nothing_usable_is_named(tmp_path: Path) -> None:
    (tmp_path / "textures").mkdir()
    (tmp_path / "textures" / "table.png").touch()
    with pytest.raises(UserError, match=r"textures' holds no picture named test1, .* or remove the folder") as caught:
        find_data(tmp_path).texture("test1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "gif", "huge"])
def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path, damage: str) -> None:
    path = picture(tmp_path / "test1.png", (9, 9, 9), size=(8100, 8100) if damage == "huge" else (64, 64))
    if damage == "gif":
        Image.new("P", (8, 8)).save(path, format="GIF")
    elif damage != "huge":
        path.write_bytes({"empty": b"", "cut": path.read_bytes()[:60], "text": b"not a picture"}[damage])
    with pytest.raises(UserError, match=r"test1\.png cannot be read .*; give a png or jpg picture") as caught:
        read_texture(path)
    assert "\n" not in str(caught.value)
