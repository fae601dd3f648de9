"""Where data is looked for and kept: the data folder, the cache folder, arrays that many processes share."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from saccade.data import cache
from saccade.data.cache import cached_array, is_cached
from saccade.data.folder import DataFolder, cache_dir, find_data
from saccade.types import UserError

FRAME = (2, 2, 3)


def numbers(count: int = 5) -> np.ndarray:
    return np.arange(count * 12, dtype=np.uint8).reshape(count, *FRAME)


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SACCADE_DATA", raising=False)


def make_data(root: Path) -> Path:
    (root / "video_easy").mkdir(parents=True)
    for name in ("video10.mp4", "video2.mp4", "video0.mp4", "notes.txt", "intro.mp4"):
        (root / "video_easy" / name).touch()
    (root / "color_hard.pt").touch()
    return root


def test_without_a_folder_there_is_no_data() -> None:
    folder = find_data(None)
    assert folder == DataFolder(None)
    assert folder.colors("color_easy") is None
    assert folder.clips("video_hard") == []


def test_clips_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = find_data(make_data(tmp_path / "data"))
    assert [path.name for path in folder.clips("video_easy")] == [
        "video0.mp4",
        "video2.mp4",
        "video10.mp4",
        "intro.mp4",
    ]
    assert folder.clips("video_hard") == []
    assert folder.colors("color_easy") is None
    assert folder.colors("color_hard") == tmp_path / "data" / "color_hard.pt"


def test_the_variable_names_the_folder_unless_one_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SACCADE_DATA", str(make_data(tmp_path / "one")))
    assert find_data().root == tmp_path / "one"
    assert find_data(make_data(tmp_path / "two")).root == tmp_path / "two"


def test_a_clone_of_the_benchmark_is_a_data_folder(tmp_path: Path) -> None:
    data = make_data(tmp_path / "clone" / "src" / "env" / "data")
    assert find_data(tmp_path / "clone").root == data


def test_a_folder_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.* does not exist; give the folder that holds color_easy\.pt"):
        find_data(tmp_path / "nowhere")
    monkeypatch.setenv("SACCADE_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match=r"SACCADE_DATA folder .*elsewhere"):
        find_data()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is not a folder"):
        find_data(tmp_path / "file")


def test_a_folder_without_benchmark_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds none of color_easy\.pt"):
        find_data(tmp_path)


def test_the_cache_folder_follows_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SACCADE_CACHE", "/own")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_dir() == Path("/own")
    monkeypatch.delenv("SACCADE_CACHE")
    assert cache_dir() == Path("/shared/saccade")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "saccade"


def test_an_array_is_made_once_and_mapped_afterwards() -> None:
    calls = []

    def make() -> np.ndarray:
        calls.append(1)
        return numbers()

    assert not is_cached("array", FRAME)
    for _ in range(2):
        array = cached_array("array", FRAME, make)
        assert isinstance(array, np.memmap) and not array.flags.writeable
        np.testing.assert_array_equal(array, numbers())
    assert is_cached("array", FRAME) and len(calls) == 1
    assert {path.name for path in cache_dir().iterdir()} == {"array.npy", "array.seal"}  # nothing is left aside


@pytest.mark.parametrize("damage", ["empty", "cut", "header", "garbage", "other shape", "object"])
def test_a_damaged_file_is_made_again(damage: str) -> None:
    cached_array("array", FRAME, numbers)
    path = cache_dir() / "array.npy"
    content = path.read_bytes()
    if damage == "other shape":
        np.save(path, np.zeros((5, 3, 3, 3), np.uint8))
    elif damage == "object":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    else:
        harmed = {
            "empty": b"",
            "cut": content[:-7],
            "header": content.replace(b"{", b"(", 1),
            "garbage": b"x" * 200,
        }
        path.write_bytes(harmed[damage])
    assert not is_cached("array", FRAME)
    np.testing.assert_array_equal(cached_array("array", FRAME, numbers), numbers())
    assert path.read_bytes() == content


def test_any_flipped_header_byte_is_survived() -> None:
    cached_array("array", FRAME, numbers)
    path = cache_dir() / "array.npy"
    content = path.read_bytes()
    for position in range(len(content) - numbers().nbytes):
        harmed = bytearray(content)
        harmed[position] ^= 0x15
        path.write_bytes(bytes(harmed))
        assert cached_array("array", FRAME, numbers).shape[1:] == FRAME


def test_any_flipped_pixel_is_noticed() -> None:
    cached_array("array", FRAME, numbers)
    path = cache_dir() / "array.npy"
    content, state = path.read_bytes(), path.stat()
    for position in range(len(content) - numbers().nbytes, len(content), 7):
        harmed = bytearray(content)
        harmed[position] ^= 0x01
        path.write_bytes(bytes(harmed))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # as a careless restorer leaves it
        np.testing.assert_array_equal(cached_array("array", FRAME, numbers), numbers())


@pytest.mark.parametrize("seal", ["absent", "of another", "empty", "hostile", "a folder"])
def test_without_its_seal_a_file_is_made_again(seal: str) -> None:
    cached_array("array", FRAME, numbers)
    path = cache_dir() / "array.seal"
    path.unlink()
    if seal == "a folder":
        path.mkdir()
    elif seal != "absent":
        path.write_text({"of another": '{"crc32": 1, "file": [1, 2, 3]}', "empty": "", "hostile": "[" * 10_000}[seal])
    assert not is_cached("array", FRAME)
    if seal == "a folder":
        with pytest.warns(UserWarning, match="cannot be written"):
            cached_array("array", FRAME, numbers)
        return
    cached_array("array", FRAME, numbers)
    assert is_cached("array", FRAME)


def test_a_cache_that_was_copied_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cached_array("array", FRAME, numbers)
    path = cache_dir() / "array.npy"
    os.utime(path, ns=(1, 1))
    sums = []
    monkeypatch.setattr(cache, "_sum", lambda path, plain=cache._sum: sums.append(path) or plain(path))
    for _ in range(3):
        assert is_cached("array", FRAME)
    assert sums == [path]


def test_a_cache_that_cannot_be_written_falls_back_to_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="cannot be written .*set SACCADE_CACHE"):
        array = cached_array("array", FRAME, numbers)
    assert not isinstance(array, np.memmap)
    np.testing.assert_array_equal(array, numbers())


def test_a_disk_that_fills_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(UserWarning, match="No space left"):
        cached_array("array", FRAME, numbers)
    assert list(cache_dir().iterdir()) == []


def test_processes_that_race_all_get_the_array(tmp_path: Path) -> None:
    program = (
        "import sys, time, numpy as np\n"
        "from saccade.data.cache import cached_array\n"
        "time.sleep(max(0, float(sys.argv[1]) - time.time()))\n"
        "for number in range(60):\n"
        "    make = lambda: np.full((50, 16, 16, 3), number, np.uint8)\n"
        "    array = cached_array(f'race{number}', (16, 16, 3), make)\n"
        "    assert array.shape == (50, 16, 16, 3) and (array == number).all(), number\n"
    )
    start = time.time() + 1.0
    racers = [subprocess.Popen([sys.executable, "-W", "error", "-c", program, str(start)]) for _ in range(3)]
    assert [racer.wait(timeout=60) for racer in racers] == [0, 0, 0]


def test_what_environment_workers_read_does_not_load_torch() -> None:
    program = (
        "import sys\n"
        "import saccade.data.folder, saccade.data.banks.colors\n"
        "import saccade.data.banks.procedural, saccade.data.banks.clips\n"
        "from saccade.data.folder import DataFolder\n"
        "clips = saccade.data.banks.clips.load_clips(DataFolder(), 'video_hard', 16)\n"
        "assert clips.arrays[0].shape == (500, 16, 16, 3)\n"
        "assert not {'torch', 'av', 'PIL'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
