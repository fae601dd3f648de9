"""People's games: read in both layouts and never trusted, scored beside baselines, and shown on a page."""

from __future__ import annotations

import bz2
import dataclasses
import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from browser import Browser, browser
from foreign_policies import NoiseEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from stable_baselines3 import DQN, PPO
from torch import nn

from saccade.cli import explaining, main
from saccade.cli.score_tables import is_best
from saccade.data import cache
from saccade.data.atari_head.archive import Place, packed_pictures
from saccade.data.atari_head.folder import GAMES, Trial, checked_game, find_gaze, game_named
from saccade.data.atari_head.generated import write_trials
from saccade.data.atari_head.text import Looks, read_looks
from saccade.data.cache import cache_dir
from saccade.envs.tasks.atari.frames import in_grey, shrunk
from saccade.explain import tasks
from saccade.explain.gaze import GazeSettings, explain_gaze, seeing_atari
from saccade.explain.people import OTHERS, PEOPLE, baselines_for, people_scores
from saccade.explain.rows import Row, save_rows
from saccade.explain.trials import Join, Pictures, Watched, num_observations, read_watched
from saccade.metrics.gaze import blurred
from saccade.nets.attention import Field, spread
from saccade.policies.policy import Policy
from saccade.policies.sources.module import from_module
from saccade.types import UserError
from saccade.viewer.explanation import LOOKED, SCREEN, panels
from saccade.viewer.page import Table
from saccade.viewer.pictures import MARK
from saccade.viewer.recordings import read_explanation, read_maps
from saccade.viewer.report import write_report

IMAGES = 22  # of a trial: six observations
ACTIONS = gymnasium.spaces.Discrete(4)
FIRST = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
QUICK = ["--methods", "gradient", "--device", "cpu"]
HEADER = "frame_id,episode_id,score,duration(ms),unclipped_reward,action,gaze_positions"
WIDE, PHONE = 1440, 390

CLEANRL = '''
import torch
from torch import nn

class Agent(nn.Module):
    """As CleanRL's PPO for Atari: no forward, pixels divided inside."""
    def __init__(self, envs):
        super().__init__()
        trunk = nn.Conv2d(4, 4, 8, stride=8), nn.ReLU(), nn.Flatten(), nn.Linear(400, 8), nn.ReLU()
        self.network = nn.Sequential(*trunk)
        self.actor = nn.Linear(8, envs.single_action_space.n)
        self.critic = nn.Linear(8, 1)
    def get_value(self, x):
        return self.critic(self.network(x / 255.0))
    def get_action_and_value(self, x, action=None):
        hidden = self.network(x / 255.0)
        return action, self.actor(hidden), hidden, self.critic(hidden)

class Last(Agent):
    def get_value(self, x):
        return super().get_value(x.permute((0, 3, 1, 2)))
    def get_action_and_value(self, x, action=None):
        return super().get_action_and_value(x.permute((0, 3, 1, 2)), action)
'''

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SACCADE_GAZE", raising=False)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Frames are too few to share: on a busy machine two threads that wait for each other take six times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trials(tmp_path_factory.mktemp("flat"), images=IMAGES)


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trials(tmp_path_factory.mktemp("zips"), "zips", images=IMAGES)


@pytest.fixture(scope="module")
def ppo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its environment gives the channels last, as Atari's wrappers of Stable-Baselines3 do."""
    path = tmp_path_factory.mktemp("zips") / "ppo.zip"
    env = NoiseEnv(gymnasium.spaces.Box(0, 255, (84, 84, 4), np.uint8), ACTIONS)
    few = {"features_extractor_kwargs": {"features_dim": 8}}
    PPO("CnnPolicy", env, n_steps=8, batch_size=8, device="cpu", seed=0, policy_kwargs=few).save(path)
    return path


def policy(seed: int = 0, network: nn.Module | None = None, space: gymnasium.Space[Any] = FIRST) -> Policy:
    torch.manual_seed(seed)
    made = network or nn.Sequential(nn.Conv2d(4, 4, 8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(400, 4))
    return from_module(made, space, ACTIONS, "logits")


def watched(folder: Path, number: int = 901, join: Join = "frame_id") -> Watched:
    (trial,) = find_gaze(folder).of_game("Breakout", [number])
    return read_watched(trial, Pictures(trial), join)


def everything(seen: Watched) -> Any:
    return np.arange(len(seen))


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one sentence that a command ends with."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("saccade: ") and told.err.count("\n") == 1, told.err
    return told.err


# ------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("spelled", "game"),
    [
        ("ms_pacman", "MsPacman"), ("Mspacman", "MsPacman"), (" mspacman", "MsPacman"),
        ("ms_pacman_highscore", "MsPacman"), ("atari/MsPacman", "MsPacman"), ("atari/MsPacman@train", "MsPacman"),
        ("ALE/SpaceInvaders-v5", "SpaceInvaders"), ("RiverraidNoFrameskip-v4", "Riverraid"),
        ("MontezumaRevengeDeterministic-v4", "MontezumaRevenge"), ("name_this_game", "NameThisGame"), ("pong", None),
        ("atari/BreakoutInfinite", "Breakout"),
        ("", None),
    ],
)  # fmt: skip
def test_games_are_spelled_in_many_ways(spelled: str, game: str | None) -> None:
    assert game_named(spelled) == game


def test_a_game_that_nobody_played_lists_those_that_were() -> None:
    with pytest.raises(UserError) as told:
        checked_game("Pong")
    assert "no Pong" in str(told.value) and all(game in str(told.value) for game in GAMES)


def test_actions_are_those_of_the_emulator() -> None:
    ale_py = pytest.importorskip("ale_py")
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    for game, count in GAMES.items():
        ale = ale_py.ALEInterface()
        ale.loadROM(ale_py.roms.get_rom_path("".join(f"_{c}" if c.isupper() else c for c in game)[1:].lower()))
        assert len(ale.getMinimalActionSet()) == count, game


def test_both_layouts_hold_the_same(flat: Path, zips: Path, tmp_path: Path) -> None:
    """And so does a zip that a person has unpacked."""
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(zips / "breakout.zip") as archive:
        archive.extractall(unpacked)
    for number in (901, 902):
        one, *others = (watched(folder, number) for folder in (flat, zips, unpacked))
        for other in others:
            np.testing.assert_array_equal(one.planes, other.planes)
            np.testing.assert_array_equal(one.looked_at, other.looked_at)
            np.testing.assert_array_equal(one.starts, other.starts)


def test_a_game_is_known_by_the_table_or_by_the_name_of_its_zip(flat: Path, zips: Path, tmp_path: Path) -> None:
    for source in (flat, zips):
        copy = shutil.copytree(source, tmp_path / source.name)
        (copy / "meta_data.csv").unlink()
        games = {trial.game for trial in find_gaze(copy).trials}
        assert games == ({None} if source == flat else {"Breakout"})
    table = "GameName , trial_id\n\n , \nms_pacman_highscore,901\nseaquest\nno game, 902\n"
    (copy / "meta_data.csv").write_text(table)
    assert [trial.game for trial in find_gaze(copy).trials] == ["MsPacman", "Breakout"]


def test_a_text_by_hand() -> None:
    """Rounded half to even: 80.5 is 80 and 81.5 is 82; -0.5 is 0, which is inside, and 209.5 is 210, outside."""
    lines = [
        "q" + HEADER,
        "XX_1_10,null,null,50,0,1,80.5,81.5,-0.5,0,3,209.5,",
        "XX_1_2,null,null,null,null,null,null",
        "XX_1_1,0,0,50,0,1,1.25,2,null,null,3,null",
        "XX_1_3,0,0,50,0,1",
    ]
    looks = read_looks("\r\n".join([*lines, ""]).encode(), "a text")
    assert looks.names == ("XX_1_1", "XX_1_2", "XX_1_3", "XX_1_10")
    assert [looks.of(line).tolist() for line in range(4)] == [
        [[1.25, 2.0]], [], [], [[80.5, 81.5], [-0.5, 0.0], [3.0, 209.5]],
    ]  # fmt: skip
    trial = Trial(1, "1_XX", "Breakout", Place(Path()), None)
    pixels = [82 * 160 + 80, 0]
    seen = Watched(trial, "frame_id", np.zeros((1, 84, 84), np.uint8), np.array(pixels), np.array([0, 2]), ())
    from saccade.explain.trials import _pixels

    assert _pixels(looks.of(3)).tolist() == pixels
    counts = seen.fixations(np.array([[0]]))[0]
    assert counts.sum() == 2 and counts[82, 80] == counts[0, 0] == 1


coordinates = st.floats(-1e6, 1e6).map(lambda value: round(value, 2))
frames_of_gaze = st.lists(st.lists(st.tuples(coordinates, coordinates), max_size=4), min_size=1, max_size=5)


@settings(deadline=None, max_examples=60)
@given(frames_of_gaze, st.booleans())
def test_what_is_written_is_read(frames: list[list[tuple[float, float]]], header: bool) -> None:
    lines = [HEADER] * header
    for number, samples in enumerate(frames, start=1):
        gaze = ",".join(f"{x},{y}" for x, y in samples) or "null"
        lines.append(f"RZ_5_{number},null,null,50,0,1,{gaze}")
    looks = read_looks("\n".join(lines).encode(), "a text")
    assert [[tuple(pair) for pair in looks.of(line).tolist()] for line in range(len(looks))] == frames


pieces = st.sampled_from(
    ["XX_1_1", "XX_1_2", ",", "\n", "null", "1.5", "-3", "nan", "inf", "1e999", "1_0", "frame", "٣", " "]
)


@settings(deadline=None, max_examples=150)
@given(st.one_of(st.binary(max_size=60), st.lists(pieces, max_size=40).map(lambda words: "".join(words).encode())))
def test_any_text_is_read_or_refused_in_one_sentence(content: bytes) -> None:
    try:
        looks = read_looks(content, "a text")
    except UserError as error:
        told = str(error)
        assert "a text" in told and "\n" not in told
    else:
        assert isinstance(looks, Looks) and np.isfinite(looks.samples).all() and len(looks.starts) == len(looks) + 1


def tar_of(*members: tuple[str | tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def picture(size: tuple[int, int] = (160, 210)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (9, 8, 7)).save(buffer, format="PNG")
    return buffer.getvalue()


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


def claiming(size: int) -> bytes:
    """A tar whose first header says that so many bytes of notes follow."""
    member = tarfile.TarInfo("notes")
    member.type, member.size = tarfile.XHDTYPE, size
    return member.tobuf(tarfile.USTAR_FORMAT) + bytes(4096)


def test_an_archive_is_read_without_writing_anything(tmp_path: Path) -> None:
    """Whatever its members are called, and what else lies in it; pictures follow each other by number."""
    content = tar_of(
        ("../../evil_10.png", b"ten"), ("/etc/evil_9.PNG", b"nine"), (link("evil_8.png", "/etc/passwd"), b""),
        ("notes.txt", b"words"), ("._evil_7.png", b"a Mac's"),
    )  # fmt: skip
    (tmp_path / "a.tar.bz2").write_bytes(bz2.compress(content))
    before = sorted(tmp_path.rglob("*"))
    assert packed_pictures(Place(tmp_path / "a.tar.bz2")) == {"evil_9": b"nine", "evil_10": b"ten"}
    assert sorted(tmp_path.rglob("*")) == before


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda packed: b"",
    "no bz2": lambda packed: b"PK" + bytes(1000),
    "cut off": lambda packed: packed[: len(packed) // 2],
    "cut off at the end": lambda packed: packed[:-4],
    "a bit of it is wrong": lambda packed: packed[:300] + bytes([packed[300] ^ 1]) + packed[301:],
    "no tar": lambda packed: bz2.compress(b"words " * 500),
    "no pictures": lambda packed: bz2.compress(tar_of(("words.txt", b"words"))),
    "a picture without a number": lambda packed: bz2.compress(tar_of(("picture.png", b"one"))),
    "a picture twice": lambda packed: bz2.compress(tar_of(("a/x_1.png", b"one"), ("b/x_1.png", b"one"))),
    "a picture that is too large": lambda packed: bz2.compress(tar_of(("x_1.png", bytes(2**18 + 1)))),
    "notes that are too large": lambda packed: bz2.compress(claiming(2**32)),
}


@pytest.mark.parametrize("damage", HOSTILE)
def test_a_hostile_archive_is_refused_in_one_sentence(damage: str, flat: Path, tmp_path: Path) -> None:
    (packed,) = flat.glob("901*.bz2")
    path = tmp_path / "a.tar.bz2"
    path.write_bytes(HOSTILE[damage](packed.read_bytes()))
    with pytest.raises(UserError, match=r"a\.tar\.bz2") as told:
        packed_pictures(Place(path))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("seed", range(4))
def test_a_spoilt_tar_is_read_or_refused_in_one_sentence(seed: int, flat: Path, tmp_path: Path) -> None:
    """Below the sums of bz2: headers that say anything."""
    random = np.random.default_rng(seed)
    whole = np.frombuffer(tar_of(*((f"d/x_{number}.png", bytes(700)) for number in range(1, 4))), np.uint8)
    for _ in range(40):
        spoilt = whole.copy()
        header = 512 * int(random.integers(0, 9))
        spoilt[header + random.integers(0, 512, 3)] = random.integers(0, 256, 3)
        if random.random() < 0.7:  # with a sum that is right again
            block = spoilt[header : header + 512]
            block[148:156] = 32
            block[148:156] = np.frombuffer(f"{int(block.sum()):06o}\0 ".encode(), np.uint8)
        (tmp_path / "a.tar.bz2").write_bytes(bz2.compress(spoilt.tobytes()))
        try:
            packed_pictures(Place(tmp_path / "a.tar.bz2"))
        except UserError as error:
            told = str(error)
            assert "\n" not in told


# ------------------------------------------------------------------------- what a policy would have seen


@pytest.mark.parametrize(
    ("images", "observations"), [(1, 0), (2, 1), (5, 1), (6, 2), (41, 10), (45, 11), (61, 15), (62, 16)]
)
def test_how_many_observations_there_are(images: int, observations: int) -> None:
    """Every fourth image from the first on, but never the very last one."""
    by_hand = [i for i in range(0, images, 4) if i != images - 1]
    assert num_observations(images) == observations == len(by_hand)


def test_observations_by_hand(flat: Path) -> None:
    seen = watched(flat)
    (path,) = flat.glob("901*.bz2")
    images = []
    for content in packed_pictures(Place(path)).values():
        images.append(np.asarray(Image.open(io.BytesIO(content))))
    planes = [shrunk(in_grey(np.maximum(images[max(i - 1, 0)], images[i]))) for i in range(0, 22, 4)]
    stacks = seen.obs(everything(seen))
    assert len(stacks) == 6
    for place, stack in enumerate(stacks):
        for back in range(4):
            expected = planes[place - back] if place >= back else np.zeros((84, 84), np.uint8)
            np.testing.assert_array_equal(stack[3 - back], expected)
    np.testing.assert_array_equal(Pictures(seen.trial).screens(np.array([5, 0])), [images[20], images[0]])


def test_the_published_join_is_one_image_early(flat: Path) -> None:
    right, early = watched(flat), watched(flat, join="published")
    assert early.starts[1] == 0  # the first image has none
    for image in range(1, IMAGES):
        before = right.looked_at[right.starts[image - 1] : right.starts[image]]
        np.testing.assert_array_equal(early.looked_at[early.starts[image] : early.starts[image + 1]], before)
    images = [4, 3, 0]  # that the second observation shows: its own two, and of the two before it the only one
    counts = sum(right.starts[image + 1] - right.starts[image] for image in images)
    assert right.fixations(np.array([[1]])).sum() == counts


@pytest.mark.parametrize("layout", ["channels_first", "channels_last", "floats", "stacked"])
def test_a_policy_is_given_the_same_whatever_its_layout(layout: str, flat: Path) -> None:
    class Seen(nn.Module):
        def forward(self, obs: torch.Tensor) -> torch.Tensor:
            obs = obs.permute(0, 3, 1, 2) if layout == "channels_last" else obs.reshape(-1, 4, 84, 84)
            return torch.stack([obs.mean((1, 2, 3)), obs[:, 3].mean((1, 2)), obs[:, 0].std((1, 2)), obs[:, 2, 0, 0]], 1)

    shapes = {"channels_last": (84, 84, 4), "stacked": (4, 1, 84, 84)}
    unit = layout == "floats"
    space = gymnasium.spaces.Box(
        0, 1 if unit else 255, shapes.get(layout, (4, 84, 84)), np.float32 if unit else np.uint8
    )
    explanation, *_ = explain_gaze(
        policy(network=Seen(), space=space),
        find_gaze(flat),
        "Breakout",
        methods=("gradient",),
        gaze=GazeSettings((901,)),
    )
    given = explanation.policy.tensor(explanation.episodes["trial-901"].obs) * (255 if unit else 1)
    seen = watched(flat)
    np.testing.assert_allclose(given, seen.obs(everything(seen)), atol=1e-4)


def test_a_damaged_cache_is_made_again(flat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.array(watched(flat).planes)
    (path,) = cache_dir().glob("gaze-*-planes.npy")
    content = path.read_bytes()
    middle = len(content) // 2
    for spoilt in (content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :], content[:-100], b""):
        path.write_bytes(spoilt)
        np.testing.assert_array_equal(watched(flat).planes, whole)
        assert path.read_bytes() == content
    path.write_bytes(content[:-1] + b"x")
    monkeypatch.setattr(cache, "_write", lambda path, array: (_ for _ in ()).throw(OSError("full")))
    with pytest.warns(UserWarning, match="cannot be written"):
        np.testing.assert_array_equal(watched(flat).planes, whole)


# ----------------------------------------------------------------------------------------------- scores


def test_maps_of_the_gaze_itself_are_best(flat: Path) -> None:
    """And a map that is not finite says nothing, where others of the batch do."""
    seen = watched(flat)
    fixations = torch.as_tensor(seen.fixations(everything(seen)[:, None]))
    others = torch.as_tensor(seen.elsewhere(everything(seen)))
    perfect = blurred(fixations)
    perfect += 1e-5 * perfect.amax((1, 2), keepdim=True)  # KL is not defined where the map is next to nothing
    best = people_scores(perfect, fixations, others)
    assert float(best["kl_divergence"].max()) < 0.01 and float(best["similarity"].min()) > 0.98
    assert set(best) == set(PEOPLE) and float(best["auc_judd"].min()) > 0.95
    worse = people_scores(perfect.flip(0), fixations, others)
    assert all(float(best[name].mean()) > float(worse[name].mean()) for name in ("nss", "shuffled_auc", "auc_judd"))
    perfect[2, 0, 0] = torch.nan
    spoilt = people_scores(perfect, fixations, others)
    for name in PEOPLE:
        assert spoilt[name].isnan().tolist() == [False, False, True, False, False, False]
        np.testing.assert_array_equal(spoilt[name][[0, 1, 3, 4, 5]], best[name][[0, 1, 3, 4, 5]])


def test_the_other_trials_are_a_baseline(flat: Path) -> None:
    looked = {1: np.zeros((210, 160)), 2: np.zeros((210, 160)), 3: np.zeros((210, 160))}
    looked[1][10, 20] = looked[2][100, 80] = 1
    looked[3][100, 80] = 5
    trial = Trial(1, "1_XX", "Breakout", Place(Path()), None)
    made = baselines_for(trial, looked)[OTHERS]
    assert divmod(int(made.argmax()), 160) == (100, 80) and float(made[10, 20]) == 0
    np.testing.assert_allclose(float(made.sum()), 6, rtol=1e-12)
    assert OTHERS not in baselines_for(trial, {1: looked[1]})


@pytest.fixture(scope="module")
def scored(flat: Path, ppo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes, and no environment is asked for it."""
    out = tmp_path_factory.mktemp("scored") / "out"
    words = ["score", ppo, "--gaze", flat, "--game", "breakout", "--out", out, "--device", "cpu"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SACCADE_CACHE", str(out.parent / "cache"))
        for owner, name in ((explaining, "find_task"), (explaining, "task_of"), (tasks, "make_env")):
            patch.setattr(owner, name, lambda *_, **__: pytest.fail("an environment was asked for"))
        assert main([str(word) for word in [*words, "--methods", "gradient", "grad_cam"]]) == 0
    return out


def rows_in(folder: Path) -> list[Row]:
    return [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]


def test_rows_say_trial_join_and_frames(scored: Path) -> None:
    rows = rows_in(scored)
    methods = {"gradient", "grad_cam", "baseline: uniform", "baseline: centre", OTHERS}
    assert {row["mode"] for row in rows} == {"trial-901", "trial-902", "all trials"}
    assert {(row["method"], row["metric"]) for row in rows} == {(one, metric) for one in methods for metric in PEOPLE}
    assert len(rows) == 3 * len(methods) * len(PEOPLE)
    cells = {(row["mode"], row["method"], row["metric"]): row for row in rows}
    for row in rows:
        assert row["parameters"] > 1000 and row["join"] == "frame_id"
        assert row["question"] == "people" and row["game"] == "Breakout"
        parts = [cells[mode, row["method"], row["metric"]] for mode in ("trial-901", "trial-902")]
        if row["mode"] == "all trials":
            means = [part["mean"] for part in parts if part["mean"] is not None]
            assert row["mean"] == (pytest.approx(np.mean(means)) if means else None)
            assert row["trials"] == [901, 902] and row["count"] == sum(part["count"] for part in parts)
        else:
            assert row["trial"] == int(row["mode"][6:]) and row["count"] + row["undefined"] == 6
    assert cells["trial-901", "baseline: uniform", "nss"]["undefined"] == 6
    assert cells["trial-901", "baseline: uniform", "kl_divergence"]["count"] == 6


def test_the_same_numbers_in_python_and_of_some_frames(scored: Path, flat: Path, ppo: Path) -> None:
    import saccade

    known = {(row["mode"], row["metric"]): row["mean"] for row in rows_in(scored) if row["method"] == "gradient"}
    explanation, rows, notes = explain_gaze(
        saccade.load(ppo, device="cpu"), find_gaze(flat), "Breakout", methods="gradient", gaze=GazeSettings(frames=0)
    )
    assert notes == () and list(explanation.episodes) == ["trial-901", "trial-902"]
    for row in rows:
        if row["method"] == "gradient":
            assert row["mean"] == pytest.approx(known[row["mode"], row["metric"]], rel=1e-4)
    few = GazeSettings((902,), "published", 2)
    explanation, rows, _ = explain_gaze(saccade.load(ppo), find_gaze(flat), "Breakout", methods="gradient", gaze=few)
    assert {row["mode"] for row in rows} == {"trial-902"} and {row["join"] for row in rows} == {"published"}
    assert {row["count"] + row["undefined"] for row in rows} == {2}
    assert explanation.episodes["trial-902"].step.tolist() == [0, 5]


def test_the_best_is_marked_where_it_beats_every_baseline() -> None:
    def row(method: str, mean: float | None, direction: str = "higher") -> Row:
        return {"method": method, "metric": "m", "mean": mean, "direction": direction, "question": "people"}

    base, low, high = row("baseline: centre", 0.5), row("a", 0.6), row("b", 0.7)
    assert [is_best(one, [base, low, high, row("c", None)]) for one in (base, low, high)] == [False, False, True]
    assert not is_best(low, [base, low, row("baseline: uniform", 0.6)])
    assert is_best(row("a", 0.4, "lower"), [row("baseline: centre", 0.5, "lower"), row("b", 0.6, "lower")])
    below, beaten = (
        {**row(name, mean), "metric": "shuffled_auc"} for name, mean in (("a", 0.49), ("baseline: b", 0.3))
    )
    assert not is_best(below, [below, beaten])  # chance is 0.5
    assert Table(("", "m"), (("a", 0.49), ("b", 0.3)), "", (None, "higher"), frozenset("b")).best(1) == 0.49
    assert (
        Table(("", "m"), (("a", 0.49), ("b", 0.3)), "", (None, "higher"), frozenset("b"), (None, 0.5)).best(1) is None
    )


def test_attention_that_a_network_carries_inside_is_scored_and_shown(flat: Path, tmp_path: Path) -> None:
    """As runs with attention have it; a mask that it carries is drawn beside, as large as the screen."""

    def attention(obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return spread(obs[:, 3:, ::12, ::12], Field(36, 8, 0), (84, 84))

    def mask(obs: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return obs / 255

    attentive = dataclasses.replace(policy(), maps={"attention": attention, "mask": mask})
    explanation, rows, _ = explain_gaze(attentive, find_gaze(flat), "Breakout", methods=("attention", "mask"))
    assert {row["method"] for row in rows} >= {"attention", "mask"}
    folder = explanation.save(tmp_path / "out")
    save_rows(folder, rows)
    write_report(folder)
    drawn = panels(read_maps(read_explanation(folder), "trial-901"))
    assert [frames.shape for frames in drawn.values()] == [(6, 210, 160, 3)] * 5
    assert list(drawn) == [SCREEN, LOOKED, "attention", "mask", "mask (agent)"]


def test_cleanrl_and_dqn(flat: Path, zips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of one's own is built for the game's actions; the folder may be named by a variable."""
    (tmp_path / "net.py").write_text(CLEANRL)
    monkeypatch.setenv("SACCADE_GAZE", str(zips))
    names: dict[str, Any] = {}
    exec(CLEANRL, names)
    envs = type("Envs", (), {"single_action_space": ACTIONS, "single_observation_space": FIRST})
    torch.save(names["Agent"](envs).state_dict(), tmp_path / "net.pt")
    own = ["--policy", "net.py:Agent", "--checkpoint", "net.pt"]
    assert main(["score", *own, "--task", "BreakoutNoFrameskip-v4", "--trials", "901", *QUICK]) == 0
    last = ["--policy", "net.py:Last", "--checkpoint", "net.pt", "--layout", "channels_last", "--out", "last"]
    assert main(["score", *last, "--game", "breakout", "--trials", "901", *QUICK]) == 0
    first, second = (
        {(row["method"], row["metric"]): row["mean"] for row in rows_in(tmp_path / folder)}
        for folder in ("explanations/net-gaze", "last")
    )
    assert first == {key: mean if mean is None else pytest.approx(mean, rel=1e-4) for key, mean in second.items()}
    env = NoiseEnv(gymnasium.spaces.Box(0, 255, (84, 84, 4), np.uint8), ACTIONS)
    DQN("CnnPolicy", env, buffer_size=4, device="cpu").save(tmp_path / "dqn.zip")
    assert main(["score", "dqn.zip", "--gaze", str(flat), "--game", "Breakout", "--gaze-frames", "2", *QUICK]) == 0


# -------------------------------------------------------------------------------------------- bad input


def _no_text(folder: Path) -> None:
    next(folder.glob("901*.txt")).unlink()


def _other_text(folder: Path) -> None:
    shutil.copy(next(folder.glob("902*.txt")), next(folder.glob("901*.txt")))


def _rewritten(find: str, put: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = next(folder.glob("901*.txt"))
        path.write_text(path.read_text().replace(find, put, 1))

    return spoil


def _cut(folder: Path) -> None:
    path = next(folder.glob("901*.bz2"))
    path.write_bytes(path.read_bytes()[:-200])


def _small_pictures(folder: Path) -> None:
    small = picture((84, 84))
    members = [(f"x/XX_1000901_{number}.png", small) for number in range(1, IMAGES + 1)]
    next(folder.glob("901*.bz2")).write_bytes(bz2.compress(tar_of(*members)))


def _one_layout_too_many(folder: Path) -> None:
    with zipfile.ZipFile(folder / "breakout.zip", "w") as archive:
        for path in folder.glob("901*"):
            archive.write(path, f"breakout/{path.name}")


def _broken_table(folder: Path) -> None:
    (folder / "meta_data.csv").write_text("these,are\nother,words\n")


BAD_FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no text": (_no_text, "Trial 901 has pictures and no text"),
    "the text of another trial": (_other_text, "trial 901 do not belong together: 22 pictures"),
    "numbers that are none": (_rewritten(",50,0,", ",50,0,1,oops,"), "'oops' where gaze is a number or null"),
    "half a pair": (_rewritten(",50,0,1,", ",50,0,1,7,"), "numbers of gaze: they are pairs"),
    "no name": (_rewritten("XX_1000901_1,", "XX,"), "which is no name of a picture"),
    "a line twice": (_rewritten("XX_1000901_2,", "XX_1000901_1,"), "is the second one for picture 1"),
    "a cut archive": (_cut, "cut off or damaged): download it again"),
    "pictures of another size": (_small_pictures, "it has 84x84 pixels, where 160x210 are needed"),
    "a trial twice": (_one_layout_too_many, "holds trial 901 twice"),
    "no table": (_broken_table, "is no table of trials"),
}


@pytest.mark.parametrize("damage", BAD_FOLDERS)
def test_a_damaged_folder_is_one_sentence_and_nothing_is_written(
    damage: str, flat: Path, ppo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, told = BAD_FOLDERS[damage]
    folder = shutil.copytree(flat, tmp_path / "copy")
    spoil(folder)
    words = ["score", ppo, "--gaze", folder, "--game", "Breakout", "--trials", "901", "--out", "out", *QUICK]
    assert told in refused(capsys, *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--game", "Breakout", "--gaze", "nowhere"], "nowhere does not exist"),
        (["--game", "Breakout", "--gaze", "."], "holds no trial of Atari-HEAD"),
        (["--game", "Breakout"], "give --gaze FOLDER, or set SACCADE_GAZE"),
        (["--gaze", "FLAT"], "does not say which game it plays"),
        (["--gaze", "FLAT", "--game", "Pong"], "Atari-HEAD has no Pong: people played Alien, "),
        (["--gaze", "FLAT", "--game", "Seaquest"], "has no trial of Seaquest: it has Breakout"),
        (["--gaze", "FLAT", "--game", "Breakout", "--trials", "901", "55"], "no trial 55 of Breakout: it has 901, 902"),
        (["--gaze", "FLAT", "--game", "Breakout", "--frames", "3"], "--gaze-frames says how many moments"),
        (["--gaze", "FLAT", "--game", "Breakout", "--modes", "train"], "--modes belongs to episodes"),
        (["--gaze", "FLAT", "--game", "Breakout", "--return-steps", "9"], "--return-steps belongs to episodes"),
        (["--gaze", "FLAT", "--game", "Breakout", "--gaze-frames", "-1"], "--gaze-frames -1 is too small"),
        (["--gaze-join", "published"], "give --gaze FOLDER too"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_options_are_one_sentence(
    words: list[str], told: str, flat: Path, ppo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(flat) if word == "FLAT" else word for word in words]
    assert told in refused(capsys, "score", ppo, *given, "--out", "out", *QUICK)
    assert not (tmp_path / "out").exists()


def test_a_policy_that_sees_something_else_is_refused(
    flat: Path, ppo_zip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "score", ppo_zip, "--gaze", flat, "--game", "Breakout", *QUICK)
    assert "sees 4 grey frames of 36x36 pixels" in said and "4 grey frames of 84x84" in said
    one = policy()
    deep = dataclasses.replace(one, pixels=one.pixels.with_channels("grey,depth"))
    with pytest.raises(UserError, match="depth"):
        seeing_atari(deep)


def test_a_damaged_zip_matters_where_its_game_is_asked_for(
    zips: Path, ppo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(zips, tmp_path / "copy")
    (folder / "seaquest.zip").write_bytes((folder / "breakout.zip").read_bytes()[:-900])
    assert len(find_gaze(folder).of_game("Breakout")) == 2
    said = refused(capsys, "score", ppo, "--gaze", folder, "--game", "Seaquest", *QUICK)
    assert "seaquest.zip cannot be read (cut off or damaged)" in said


def test_another_trial_that_cannot_be_read_is_left_out_of_the_baseline(flat: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(flat, tmp_path / "copy")
    next(folder.glob("902*.txt")).write_text("words")
    one = GazeSettings((901,))
    _, rows, notes = explain_gaze(policy(), find_gaze(folder), "Breakout", methods="gradient", gaze=one)
    assert len(notes) == 1 and "trial 902 is left out" in notes[0]
    assert OTHERS not in {row["method"] for row in rows}


def test_a_few_pictures_without_a_line_are_said(tmp_path: Path) -> None:
    folder = write_trials(tmp_path / "long", trials=(901,), images=120)
    path = next(folder.glob("*.txt"))
    path.write_text(path.read_text().replace("XX_1000901_7,", "XX_1000901_500,", 1))
    with pytest.raises(UserError, match="do not belong together"):
        watched(folder)
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "_500," not in line))
    seen = watched(folder)
    assert seen.notes == ("1 of its pictures have no line of gaze",)
    assert seen.starts[7] == seen.starts[6]


# --------------------------------------------------------------------------------------------- the page


def test_panels_show_the_screen_and_the_gaze_over_every_map(scored: Path) -> None:
    maps = read_maps(read_explanation(scored), "trial-901")
    assert maps.screen is not None and maps.looked_at is not None and maps.size == (210, 160)
    drawn = panels(maps)
    assert list(drawn) == [SCREEN, LOOKED, "gradient", "grad_cam"]
    np.testing.assert_array_equal(drawn[SCREEN], maps.screen)
    for name, frames in drawn.items():
        assert frames.shape == maps.screen.shape
        if name != SCREEN:
            assert ((frames == MARK).all(-1) == (maps.looked_at > 0)).all()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("screen", lambda array: array[:, :, :-1]),
        ("screen", lambda array: array.astype(np.float32)),
        ("looked_at", lambda array: array[:-1]),
        ("looked_at", lambda array: array.astype(np.int64) - 1),
        ("looked_at", None),
    ],
)
def test_spoilt_screens_are_refused(
    name: str, change: Callable[[Any], Any] | None, scored: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(scored, tmp_path / "copy")
    path = folder / "maps" / "trial-901.npz"
    with np.load(path) as arrays:
        content = dict(arrays)
    content[name] = None if change is None else change(content[name])
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    with pytest.raises(UserError, match="is damaged"):
        read_maps(read_explanation(folder), "trial-901")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_in_a_browser(width: int, dark: bool, tab: Browser, scored: Path) -> None:
    tab.open(scored / "report.html", width=width, dark=dark)
    assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.value("document.querySelectorAll('.film').length") == 2
    assert tab.value("document.querySelectorAll('.film')[0].querySelectorAll('.panels svg').length") == 4
    line = "document.querySelector('.film .line').textContent"
    before = tab.value(line)
    tab.value("(s => { s.value = 3; s.dispatchEvent(new Event('input')); })(document.querySelector('.film input'))")
    after = tab.value(line)
    assert "action NOOP " in before or "action FIRE " in before or "action RIGHT " in before or "LEFT" in before
    assert "gaze samples" in before and after != before and after.startswith("step 3 of 6")
    assert tab.problems == []


def test_the_page_says_what_was_measured(scored: Path) -> None:
    page = (scored / "report.html").read_text()
    for words in (
        "Breakout as people played it", "gaze by frame_id", "Do the maps agree with where people look?",
        "baseline: other trials", "mean of the trials&#x27; means", "Marked in cyan", "trial-901, trial-902",
    ):  # fmt: skip
        assert words in page, words


def test_a_hostile_name_stays_text(ppo: Path, tmp_path: Path) -> None:
    folder = write_trials(tmp_path / "<img src=x>", trials=(901,), images=10)
    assert main(["score", str(ppo), "--gaze", str(folder), "--game", "breakout", "--out", "out", *QUICK]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<img src=x>" not in page and "&lt;img src=x&gt;" in page
