"""Clips behind the agent: decoded as the benchmark shows them, once, whatever the folder holds."""

import contextlib
import fractions
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from saccade.data.banks import clips as videos
from saccade.data.banks.clips import decode_clip, load_clips, resize_as_benchmark, why_unusable
from saccade.data.folder import DataFolder, cache_dir
from saccade.types import UserError

SIZE = 20


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "video_easy").mkdir(parents=True)
    return tmp_path / "data"


def write_clip(path: Path, num_frames: int = 6, height: int = 48, width: int = 64, seed: int = 0) -> Path:
    """A small mp4 of moving coloured noise."""
    still = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 2_000_000
        for number in range(num_frames):
            picture = np.roll(still, number, axis=1).repeat(8, axis=0).repeat(8, axis=1)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000)
        for number in range(4):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, 1024 * number, fractions.Fraction(1, 8000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def fill(data: Path, names: Sequence[str]) -> DataFolder:
    for number, name in enumerate(names):
        write_clip(data / "video_easy" / name, num_frames=4 + number, seed=number)
    return DataFolder(data)


def published(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The arithmetic of the benchmark's VideoWrapper, on one frame with channels first."""
    background = torch.from_numpy(np.moveaxis(frame[None], -1, 1)[0]).float().unsqueeze(0) / 255.0
    resized = torch.nn.functional.interpolate(background, size=size, mode="bilinear", align_corners=False)
    return np.moveaxis((resized * 255.0).byte().squeeze(0).numpy(), 0, -1)


@pytest.mark.parametrize(("height", "width"), [(352, 352), (218, 240), (100, 161), (84, 84), (30, 50), (1, 1)])
def test_resizing_is_the_published_arithmetic_bit_for_bit(height: int, width: int) -> None:
    frame = np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize_as_benchmark(frame, 84), published(frame, (84, 84)))


def test_resizing_by_hand() -> None:
    # From 4 pixels to 2, each new one lies between two old ones: (10 + 21) / 2 = 15.5, truncated to 15.
    row = np.array([10, 21, 30, 50], np.uint8)
    frame = np.broadcast_to(row[None, :, None], (4, 4, 3))
    np.testing.assert_array_equal(resize_as_benchmark(frame, 2)[0, :, 0], [15, 40])


def test_every_frame_is_decoded_and_resized(data: Path) -> None:
    path = write_clip(data / "video_easy" / "video0.mp4", num_frames=7)
    with av.open(str(path)) as container:
        native = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    num_threads = torch.get_num_threads()
    decoded = decode_clip(path, SIZE)
    assert torch.get_num_threads() == num_threads  # of the process that decodes; it may train as well
    assert decoded.dtype == np.uint8 and decoded.shape == (7, SIZE, SIZE, 3)
    for small, frame in zip(decoded, native, strict=True):
        np.testing.assert_array_equal(small, published(frame, (SIZE, SIZE)))
    assert np.abs(decoded[0].astype(int) - decoded[3]).mean() > 10  # frames differ, as they were written


def test_clips_come_by_number_and_each_is_mapped_from_the_cache(data: Path) -> None:
    folder = fill(data, ["video10.mp4", "video2.mp4", "video0.mp4"])
    with pytest.warns(UserWarning, match=r"8 of the benchmark's 10 clips are absent \(video1\.mp4, video3\.mp4"):
        clips = load_clips(folder, "video_easy", SIZE)
    assert clips.source == "benchmark"
    assert clips.names == ("video0.mp4", "video2.mp4", "video10.mp4")
    assert clips.missing[0] == "video1.mp4: absent" and len(clips.missing) == 8
    assert [len(array) for array in clips.arrays] == [6, 5, 4]
    assert all(isinstance(array, np.memmap) for array in clips.arrays)
    assert clips.arrays[-1].shape == (4, SIZE, SIZE, 3) and len(clips) == 3
    with pytest.raises(IndexError):
        clips.arrays[3]


def test_a_folder_of_one_s_own_clips_lacks_none(data: Path) -> None:
    clips = load_clips(fill(data, ["street.mp4", "beach2.mp4"]), "video_easy", SIZE)
    assert clips.names == ("beach2.mp4", "street.mp4") and clips.missing == ()


def test_only_the_clips_that_are_used_are_decoded_and_only_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill(data, ["a1.mp4", "a2.mp4", "a3.mp4"])
    decoded = []

    def count(path: Path, image_size: int) -> np.ndarray:
        decoded.append(path.name)
        return decode_clip(path, image_size)

    monkeypatch.setattr(videos, "decode_clip", count)
    for _ in range(2):
        clips = load_clips(folder, "video_easy", SIZE)
        assert decoded in ([], ["a2.mp4"])
        first = clips.arrays[1]
        assert clips.arrays[1] is first
    assert decoded == ["a2.mp4"]
    load_clips(folder, "video_easy", SIZE + 4).arrays[1]  # another size is another array
    assert decoded == ["a2.mp4", "a2.mp4"]
    write_clip(data / "video_easy" / "a2.mp4", num_frames=9, seed=8)  # and so is another file of that name
    assert len(load_clips(folder, "video_easy", SIZE).arrays[1]) == 9


def test_a_damaged_cache_is_made_again(data: Path) -> None:
    folder = fill(data, ["a1.mp4"])
    expected = np.array(load_clips(folder, "video_easy", SIZE).arrays[0])
    (cached,) = cache_dir().glob("*.npy")
    cached.write_bytes(cached.read_bytes()[:-100])
    np.testing.assert_array_equal(load_clips(folder, "video_easy", SIZE).arrays[0], expected)


def test_clips_that_cannot_be_used_are_skipped_and_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(data, ["good1.mp4", "good7.mp4"])
    mode = data / "video_easy"
    (mode / "text2.mp4").write_text("no video")
    (mode / "empty3.mp4").touch()
    cut = write_clip(mode / "cut4.mp4", num_frames=30)
    cut.write_bytes(cut.read_bytes()[:-3000])
    write_sound(mode / "sound5.mp4")
    strange = write_clip(mode / "strange0.mp4")
    strange.write_bytes(strange.read_bytes().replace(b"mp4v", b"xyzv").replace(b"esds", b"xxxx"))
    secret = write_clip(tmp_path / "secret.mp4")
    (mode / "list6.mp4").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:{secret}\n#EXT-X-ENDLIST\n")
    write_clip(mode / "wide8.mp4", num_frames=1, height=16, width=2048)
    write_clip(mode / "long9.mp4", num_frames=40, height=16, width=16)
    monkeypatch.setattr(videos, "MAX_SIDE_PIXELS", 1024)
    monkeypatch.setattr(videos, "MAX_FRAMES", 35)
    with pytest.warns(UserWarning, match="video_easy: ") as warned:
        clips = load_clips(folder, "video_easy", SIZE)
    assert clips.names == ("good1.mp4", "good7.mp4")
    skipped = dict(note.split(": ", 1) for note in clips.missing)
    bad = ("text2", "empty3", "cut4", "sound5", "list6", "wide8", "long9", "strange0")
    assert set(skipped) == {f"{name}.mp4" for name in bad}
    assert skipped["strange0.mp4"] == "its codec is not known"
    assert skipped["sound5.mp4"] == "it has no video stream"
    assert "2048x16 pixels, over the limits" in skipped["wide8.mp4"]
    assert "over the limits" in skipped["long9.mp4"]
    assert all(skipped[name].startswith("it cannot be read") for name in ("text2.mp4", "empty3.mp4", "list6.mp4"))
    (message,) = {str(warning.message) for warning in warned}
    assert all(f"{name} skipped: " in message for name in skipped)


def test_a_clip_that_lost_its_end_is_told_from_a_whole_one(data: Path) -> None:
    whole = write_clip(data / "video_easy" / "whole.mp4", num_frames=40)
    assert why_unusable(whole) is None
    # With its index in front, a file can be read up to where it was cut off.
    front = data / "video_easy" / "front.mp4"
    with (
        av.open(str(whole)) as source,
        av.open(str(front), "w", format="mp4", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert why_unusable(front) is None
    front.write_bytes(front.read_bytes()[: front.stat().st_size // 2])
    assert "cut off" in str(why_unusable(front))


def test_a_folder_without_one_usable_clip_is_an_error(data: Path) -> None:
    (data / "video_easy" / "video0.mp4").write_text("no video")
    with (
        pytest.warns(UserWarning, match=r"video0\.mp4 skipped"),
        pytest.raises(UserError, match=r"none of the 1 clips in .*video_easy can be used"),
    ):
        load_clips(DataFolder(data), "video_easy", SIZE)
    (data / "video_hard").mkdir()
    with pytest.raises(UserError, match="none of the 0 clips"):
        load_clips(DataFolder(data), "video_hard", SIZE)


def test_a_folder_without_the_mode_gives_generated_scenes_and_says_so(data: Path) -> None:
    with pytest.warns(UserWarning, match="has no folder video_hard: generated scenes are used"):
        assert load_clips(DataFolder(data), "video_hard", SIZE).source == "procedural"


def test_limits_hold_for_frames_larger_than_declared(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(data / "video_easy" / "video0.mp4", num_frames=10)
    monkeypatch.setattr(videos, "MAX_CLIP_PIXELS", 5 * 48 * 64)
    assert "over the limits" in str(why_unusable(path))
    monkeypatch.setattr(videos, "why_unusable", lambda path: None)
    with pytest.raises(UserError, match=r"video0\.mp4 is over the limits"):
        decode_clip(path, SIZE)


def test_damaged_frames_are_left_out(data: Path) -> None:
    path = write_clip(data / "video_easy" / "video0.mp4", num_frames=10)
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for position, size in packets[4:6]:
        content[position : position + size] = bytes(size)
    path.write_bytes(bytes(content))
    with pytest.warns(UserWarning, match=r"video0\.mp4 is damaged: 2 frames are left out, 8 kept"):
        assert len(decode_clip(path, SIZE)) == 8


@pytest.mark.filterwarnings("ignore:clip .* is damaged")
def test_flipped_bytes_never_give_anything_but_frames_or_one_clear_error(data: Path) -> None:
    path = write_clip(data / "video_easy" / "video0.mp4", num_frames=12)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(40):
        harmed = bytearray(content)
        for position in random.integers(0, len(content), 20):
            harmed[position] = int(random.integers(256))
        path.write_bytes(bytes(harmed))
        if why_unusable(path) is None:
            with contextlib.suppress(UserError):
                assert decode_clip(path, SIZE).shape[1:] == (SIZE, SIZE, 3)


def test_without_a_folder_scenes_are_generated_when_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "GENERATED_FRAMES", 8)
    easy, hard = (load_clips(DataFolder(), mode, SIZE) for mode in ("video_easy", "video_hard"))
    assert (easy.source, len(easy), hard.source, len(hard)) == ("procedural", 10, "procedural", 100)
    assert hard.names[99] == "scene99" and hard.missing == ()
    assert not cache_dir().exists()
    assert hard.arrays[42].shape == (8, SIZE, SIZE, 3)
    assert len(list(cache_dir().glob("*.npy"))) == 1
    again = load_clips(DataFolder(), "video_hard", SIZE)
    np.testing.assert_array_equal(again.arrays[42], hard.arrays[42])
    everything = [np.array(clip) for clip in (*easy.arrays, *hard.arrays[:10])]
    assert len({clip.tobytes() for clip in everything}) == 20


def test_a_cache_that_cannot_be_written_keeps_few_clips_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(videos, "GENERATED_FRAMES", 3)
    clips = load_clips(DataFolder(), "video_easy", SIZE)
    with pytest.warns(UserWarning, match="cannot be written"):
        frames = [np.array(clip) for clip in clips.arrays]
    assert isinstance(clips.arrays, videos.LazyClips)
    assert len(clips.arrays.opened) == videos.CLIPS_IN_MEMORY
    with pytest.warns(UserWarning, match="cannot be written"):
        np.testing.assert_array_equal(clips.arrays[0], frames[0])


# How a clip is stored, by the matrix in its file: a pixel (x, y) is shown at (a x + c y, b x + d y).
MATRICES = {
    "as it is": ((1, 0, 0, 1), lambda seen: seen),
    "a quarter to the right": ((0, 1, -1, 0), lambda seen: np.rot90(seen)),
    "half": ((-1, 0, 0, -1), lambda seen: np.rot90(seen, 2)),
    "a quarter to the left": ((0, -1, 1, 0), lambda seen: np.rot90(seen, -1)),
    "left and right": ((-1, 0, 0, 1), lambda seen: seen[:, ::-1]),
    "top and bottom": ((1, 0, 0, -1), lambda seen: seen[::-1]),
    "along the diagonal": ((0, 1, 1, 0), lambda seen: seen.swapaxes(0, 1)),
    "along the other one": ((0, -1, -1, 0), lambda seen: seen[::-1, ::-1].swapaxes(0, 1)),
}


def quarters() -> np.ndarray:
    """Red and green above, blue and white below, wider than high."""
    seen = np.zeros((32, 64, 3), np.uint8)
    seen[:16, :32, 0] = seen[:16, 32:, 1] = seen[16:, :32, 2] = 255
    seen[16:, 32:] = 255
    return seen


def write_turned(path: Path, matrix: tuple[int, int, int, int], stored: np.ndarray) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = *stored.shape[:2], "yuv420p"
        stream.bit_rate = 2_000_000
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(stored), format="rgb24")))
        container.mux(stream.encode(None))
    content = bytearray(path.read_bytes())
    at = content.find(b"tkhd") + 4 + 4 + 20 + 8 + 8  # after version, times, number, layer and volume
    a, b, c, d = (int(one * 65536).to_bytes(4, "big", signed=True) for one in matrix)
    none = bytes(4)
    content[at : at + 36] = a + b + none + c + d + none + none + none + (1 << 30).to_bytes(4, "big")
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("turn", MATRICES)
def test_a_clip_is_turned_as_the_file_says(data: Path, turn: str) -> None:
    matrix, stored = MATRICES[turn]
    write_turned(data / "video_easy" / "phone.mp4", matrix, stored(quarters()))
    (clip,) = load_clips(DataFolder(data), "video_easy", SIZE).arrays
    for place in ((4, 4), (4, 15), (15, 4), (15, 15)):
        expected = quarters()[place[0] * 32 // SIZE, place[1] * 64 // SIZE].astype(int)
        assert np.abs(clip[:, place[0], place[1]].astype(int) - expected).max() < 40, place


def test_endings_in_capitals_and_other_endings_of_the_format_are_seen(data: Path) -> None:
    names = ["GX010003.MP4", "a1.mov", "b2.M4V", "plain0.mp4"]
    clips = load_clips(fill(data, names), "video_easy", SIZE)
    assert clips.names == ("plain0.mp4", "a1.mov", "b2.M4V", "GX010003.MP4")
    assert [len(array) for array in clips.arrays] == [7, 5, 6, 4]


def test_folders_of_classes_are_looked_into(data: Path) -> None:
    mode = data / "video_easy"
    for number, folder in enumerate(("walking", "driving", "driving/slow")):
        (mode / folder).mkdir()
        write_clip(mode / folder / "clip1.mp4", num_frames=4 + number)
    clips = load_clips(DataFolder(data), "video_easy", SIZE)
    assert clips.names == ("driving/clip1.mp4", "driving/slow/clip1.mp4", "walking/clip1.mp4")
    assert [len(array) for array in clips.arrays] == [5, 6, 4]  # of one name, and each its own


def test_links_to_clips_are_followed_and_links_to_folders_are_told(data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_clip(elsewhere / "a.mp4")
    mode = data / "video_easy"
    (mode / "linked.mp4").symlink_to(elsewhere / "a.mp4")
    (mode / "more").symlink_to(elsewhere, target_is_directory=True)
    (mode / "loop").symlink_to(mode, target_is_directory=True)
    (mode / "circle.mp4").symlink_to(mode / "circle.mp4")
    (mode / "b.mkv").write_bytes(b"")
    (mode / "c.MKV").write_bytes(b"")
    with pytest.warns(UserWarning, match="video_easy") as warned:
        clips = load_clips(DataFolder(data), "video_easy", SIZE)
    assert clips.names == ("linked.mp4",)
    message = str(warned[0].message)
    for told in ("2 .mkv files cannot be read", "more is a link to a folder", "loop is a link to a folder"):
        assert told in message
