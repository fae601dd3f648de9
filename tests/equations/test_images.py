"""Banks of overlay pictures: what is read from a folder, and how crops of it are drawn."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data import pictures
from saccade.data.banks import images
from saccade.data.banks.images import ImageBank, _crop_sides, bank_size, load_bank
from saccade.data.banks.procedural import still_image
from saccade.types import UserError


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures" / "deep" / "er").mkdir(parents=True)
    return tmp_path / "pictures"


def must_not_run(*arguments: object) -> None:
    raise AssertionError("this was to come from the cache")


def noise_bank(count: int = 6, side: int = 32, seed: int = 0) -> ImageBank:
    generator = torch.Generator().manual_seed(seed)
    return ImageBank(torch.randint(256, (count, 3, side, side), generator=generator, dtype=torch.uint8), "noise")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def naive_sample(bank: ImageBank, count: int, size: int, generator: torch.Generator) -> torch.Tensor:
    """One picture after the other: choose, cut out whole pixels, interpolate, flip; same random numbers."""
    side = bank.images.shape[-1]
    index = torch.randint(len(bank.images), (count,), generator=generator)
    attempts = torch.rand(2, count, 10, generator=generator).double()
    down, across, flip = (torch.rand(count, generator=generator).double() for _ in range(3))
    result = []
    for i in range(count):
        height = width = side
        for area, ratio in attempts[:, i].T.tolist():
            pixels = side * side * (0.08 + 0.92 * area)
            proportion = math.exp(math.log(3 / 4) + math.log(16 / 9) * ratio)
            tall, wide = round(math.sqrt(pixels / proportion)), round(math.sqrt(pixels * proportion))
            if tall <= side and wide <= side:
                height, width = tall, wide
                break
        top, left = int(down[i] * (side - height + 1)), int(across[i] * (side - width + 1))
        crop = bank.images[index[i], :, top : top + height, left : left + width].double()[None]
        resized = torch.nn.functional.interpolate(crop, (size, size), mode="bilinear", align_corners=False)[0]
        result.append(resized.flip(-1) if flip[i] < 0.5 else resized)
    return torch.stack(result)


@pytest.mark.parametrize(("side", "size"), [(32, 20), (32, 32), (32, 45), (17, 84)])
def test_crops_equal_one_picture_at_a_time(side: int, size: int) -> None:
    bank = noise_bank(side=side)
    drawn = bank.sample(64, size, seeded(3))
    assert drawn.dtype == torch.float32 and drawn.shape == (64, 3, size, size)
    assert (drawn - naive_sample(bank, 64, size, seeded(3))).abs().max() < 2e-3  # of 255


def test_crops_have_the_areas_ratios_and_places_that_they_should() -> None:
    side, count = 1000, 20_000
    height, width = _crop_sides(side, torch.rand(2, count, 10, generator=seeded(0)))
    area, ratio = height * width / side**2, width / height
    assert area.min() > 0.079 and area.max() <= 1
    assert ratio.min() > 0.745 and ratio.max() < 1.34
    # Areas are uniform where every ratio fits (below 3/4), ratios symmetric on a logarithmic scale.
    small = area[area < 0.75]
    assert small.mean().item() == pytest.approx((0.08 + 0.75) / 2, abs=0.01)
    assert ratio.log().mean().item() == pytest.approx(0, abs=0.01)
    assert ((height == side) & (width == side)).float().mean() < 0.01  # the last resort is rare


def test_a_crop_that_never_fits_is_the_whole_picture() -> None:
    drawn = torch.ones(2, 3, 10)  # the whole area at 4:3 is wider than a square
    drawn[:, 1, 9] = 0.5  # the last attempt of the second: 54 % of the area, square
    height, width = _crop_sides(100, drawn)
    assert height.tolist() == width.tolist() == [100, 73, 100]


def test_half_of_the_pictures_are_flipped() -> None:
    ramp = torch.arange(40, dtype=torch.uint8).expand(1, 3, 40, 40)
    drawn = ImageBank(ramp.contiguous(), "ramp").sample(600, 16, seeded(1))
    falling = drawn[:, 0, 0, 0] > drawn[:, 0, 0, -1]
    assert 0.43 < falling.float().mean() < 0.57
    torch.testing.assert_close(drawn[:, :, 0], drawn[:, :, -1])  # never turned


def test_the_generator_alone_decides_and_moves_on() -> None:
    bank, generator = noise_bank(), seeded(5)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = bank.sample(8, 12, generator), bank.sample(8, 12, generator)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(first, second)
    generator = seeded(5)
    torch.testing.assert_close(bank.sample(8, 12, generator), first, rtol=0, atol=0)
    torch.testing.assert_close(bank.sample(8, 12, generator), second, rtol=0, atol=0)


def test_pixels_stay_in_range_and_a_small_bank_serves_a_large_batch() -> None:
    extreme = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    extreme[..., ::2] = 255
    drawn = ImageBank(extreme, "extreme").sample(300, 24, seeded(0))
    assert drawn.min() >= 0 and drawn.max() <= 255 and drawn.max() > 250
    bank = noise_bank(count=3)
    naive_means = bank.images.float().mean(dim=(2, 3))[:, 0]
    assert len(naive_means) == 3 and bank.sample(128, 8, seeded(0)).shape == (128, 3, 8, 8)


def test_every_picture_is_drawn_as_often() -> None:
    levels = (torch.arange(4, dtype=torch.uint8) * 50)[:, None, None, None].expand(4, 3, 6, 6)
    drawn = ImageBank(levels.contiguous(), "levels").sample(2000, 5, seeded(2))
    counts = torch.bincount((drawn[:, 0, 0, 0] / 50).round().long(), minlength=4)
    assert (counts - 500).abs().max() < 90


# --- banks --------------------------------------------------------------------------------------------


def save(path: Path, color: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> None:
    Image.new("RGB", size, color).save(path)


def test_images_of_all_folders_below_are_read(folder: Path) -> None:
    save(folder / "b.png", (255, 0, 0))
    save(folder / "deep" / "a.JPG", (0, 255, 0))
    save(folder / "deep" / "er" / "c.webp", (0, 0, 255))
    Image.new("P", (20, 20), 3).save(folder / "deep" / "palette.png", transparency=bytes([0, 255, 9, 255]))
    Image.new("L", (20, 20), 77).save(folder / "grey.bmp")
    (folder / "readme.txt").write_text("not a picture")
    bank = load_bank(folder, count=100, size=16, seed=0)
    assert bank.source == str(folder)
    assert bank.images.shape == (5, 3, 16, 16) and bank.images.dtype == torch.uint8
    colors = bank.images[:, :, 8, 8].float()
    for expected in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (77, 77, 77)):
        assert (colors - torch.tensor(expected).float()).abs().amax(dim=1).min() < 4  # lossy formats


def test_a_picture_is_cut_to_its_central_square(folder: Path) -> None:
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, 20:40] = 200  # the central square of a wide picture
    Image.fromarray(picture).save(folder / "wide.png")
    cut = load_bank(folder, size=10).images
    assert (cut[..., 1:-1] == 200).all() and (cut >= 170).all()  # Pillow smooths across the edge


def test_of_many_files_the_seed_chooses(folder: Path) -> None:
    for number in range(12):
        save(folder / f"{number}.png", (number * 20, 0, 0))

    def reds(seed: int) -> list[int]:
        return load_bank(folder, count=5, size=4, seed=seed).images[:, 0, 0, 0].tolist()

    assert len(set(reds(0))) == 5
    assert reds(0) == reds(0) and any(reds(0) != reds(seed) for seed in (1, 2))


def test_files_are_decoded_once_until_one_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder / "a.png", (10, 0, 0))
    save(folder / "b.png", (20, 0, 0))
    seen: list[tuple[int, int]] = []
    load_bank(folder, size=4, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    monkeypatch.setattr(images, "_decode_all", must_not_run)
    assert len(load_bank(folder, size=4).images) == 2
    monkeypatch.undo()
    monkeypatch.setenv("SACCADE_CACHE", str(folder.parent / "cache"))
    save(folder / "a.png", (200, 0, 0), size=(90, 90))
    assert load_bank(folder, size=4).images[:, 0].amax() == 200


def test_files_that_cannot_be_used_are_skipped_and_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder / "good.png", (9, 9, 9))
    (folder / "text.jpg").write_text("no picture")
    (folder / "empty.png").touch()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "deep" / "cut.png")
    content = (folder / "deep" / "cut.png").read_bytes()
    (folder / "deep" / "cut.png").write_bytes(content[: len(content) // 2])
    save(folder / "huge.png", (1, 1, 1), size=(300, 300))
    Image.new("RGB", (8, 8)).save(folder / "disguised.jpg", format="GIF")  # a format that is not opened
    monkeypatch.setattr(pictures, "MAX_PICTURE_PIXELS", 200 * 200)
    with pytest.warns(UserWarning, match="cannot be used") as warned:
        bank = load_bank(folder, size=8)
    assert len(bank.images) == 1
    (message,) = (str(warning.message) for warning in warned)
    assert "5 of 6 images" in message and "300x300 pixels, over the limit" in message
    assert all(name in message for name in ("text.jpg", "empty.png", "deep/cut.png", "huge.png", "disguised.jpg"))


def test_a_folder_without_a_usable_image_is_an_error(folder: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \.jpg"):
        load_bank(folder)
    (folder / "bad.png").write_text("no picture")
    with pytest.raises(UserError, match=r"1 of 1 images .*bad\.png"):
        load_bank(folder)
    with pytest.raises(UserError, match=r"nowhere.* does not exist"):
        load_bank(folder / "nowhere")


@pytest.mark.parametrize(("count", "size", "seed"), [(0, 8, 0), (1, 1, 0), (1, 8, -1)])
def test_numbers_that_make_no_bank_are_errors(count: int, size: int, seed: int) -> None:
    with pytest.raises(UserError, match="cannot be made"):
        load_bank(None, count=count, size=size, seed=seed)


def test_without_a_folder_pictures_are_generated_and_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    bank = load_bank(None, count=6, size=24, seed=2, device="cpu", progress=lambda done, total: seen.append(done))
    assert bank.source == "procedural" and bank.images.shape == (6, 3, 24, 24) and seen == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(bank.images[5].permute(1, 2, 0), still_image(2_000_005, 24))
    monkeypatch.setattr(images, "still_image", None)
    torch.testing.assert_close(load_bank(None, count=6, size=24, seed=2).images, bank.images)


def test_links_out_of_the_folder_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    save(tmp_path / "outside" / "private.png", (5, 5, 5))
    (folder / "link").symlink_to(tmp_path / "outside", target_is_directory=True)
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    save(folder / "own.png", (7, 7, 7))
    with pytest.warns(UserWarning, match=r"link is a link to a folder, which is not followed, loop is a link"):
        assert len(load_bank(folder, size=4).images) == 1


def test_what_was_not_looked_at_is_said(folder: Path) -> None:
    save(folder / "a.tif", (1, 1, 1))
    save(folder / "deep" / "b.TIF", (1, 1, 1))
    save(folder / "deep" / "c.gif", (1, 1, 1))
    (folder / "notes.txt").write_text("nobody takes this for a picture")
    with pytest.raises(UserError, match=r"holds no .* files \((2 \.tif files cannot|1 \.gif file cannot) be read.*\)"):
        load_bank(folder, size=4)
    save(folder / "own.jfif", (7, 7, 7))
    with pytest.warns(UserWarning, match=r"2 \.tif files cannot be read") as warned:
        assert len(load_bank(folder, size=4).images) == 1
    assert len(warned) == 1 and "1 .gif file cannot be read" in str(warned[0].message)


@pytest.mark.parametrize(("crop", "side"), [(84, 128), (100, 128), (43, 128), (42, 64), (40, 64), (12, 64)])
def test_pictures_are_as_large_as_their_crops_need(crop: int, side: int) -> None:
    assert bank_size(crop) == side and side / crop >= 128 / 100
