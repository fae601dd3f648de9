"""Atari as a suite: its tables are ale-py's, states are whole, and what cannot be is refused in a sentence."""

from __future__ import annotations

import itertools
import json
import pickle
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import saccade
from saccade.cli import main
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.envs.streams import WorkerStreams
from saccade.envs.suites import modes_of, suite_of
from saccade.envs.tasks.atari.colours import palette
from saccade.envs.tasks.atari.emulator import Emulator, rom_path
from saccade.envs.tasks.atari.games import ACTIONS, ATARI_57, CHANGED, FIRE, GAMES
from saccade.envs.tasks.atari.simulation import AtariSimulation
from saccade.envs.tasks.atari.vector import VectorStreams
from saccade.envs.tasks.pixel_env import PixelEnv
from saccade.envs.workers.env_workers import EnvWorkers
from saccade.explain.tasks import saccade_task
from saccade.policies.evaluate import in_mode
from saccade.testing.environments import check_environment
from saccade.testing.modes import check_modes
from saccade.types import Discrete, UserError

ale_py = pytest.importorskip("ale_py", reason="ale-py is not installed")

MULTIPLAYER = {"combat", "joust", "maze_craze", "warlords"}  # which ALE/..-v5 leaves out too
TINY = "--steps 64 --envs 2 --rollout-steps 8 --minibatches 2 --workers 0"
WRAPPERS = ("paper", "recommended", "ale_vector")


pytestmark = pytest.mark.usefixtures("generated_data")


def described(task: str, **fields: Any) -> EnvConfig:
    return EnvConfig.parse(task, **({"frame_stack": 2} | fields))


def random_actions(env: PixelEnv, steps: int) -> list[int]:
    assert isinstance(env.action_space, gymnasium.spaces.Discrete)
    return np.random.default_rng(0).integers(env.action_space.n, size=steps).tolist()


def played(env: PixelEnv, actions: list[int]) -> tuple[np.ndarray, list[Any]]:
    """Observations, and what else came, of actions from a state on; episodes are restarted as they end."""
    observations, told = [], []
    for action in actions:
        obs, *rest = env.step(action)
        observations.append(obs)
        told.append(rest)
        if rest[1] or rest[2]:
            observations.append(env.reset()[0])
    return np.stack(observations), told


@pytest.mark.parametrize("name", GAMES)
def test_the_table_of_games_is_ales(name: str) -> None:
    """Actions, size, colours and names; what a game shows after a second."""
    game, emulator = GAMES[name], Emulator(GAMES[name])
    ale = emulator._ale
    assert [action.value for action in ale.getMinimalActionSet()] == list(game.actions)
    assert tuple(ale.getScreenDims()) == (game.height, 160)
    assert name in CHANGED or f"ALE/{name}-v5" in gymnasium.registry
    emulator.begin()
    for frame in range(60):
        emulator.act(game.actions[frame % len(game.actions)])
    screen = np.zeros((game.height, 160), np.uint8)
    emulator.look(screen)
    np.testing.assert_array_equal(palette(game.pal)[screen], emulator.look_in_colour())


def test_every_game_that_one_can_play_alone_is_there() -> None:
    theirs = {name.removeprefix("ALE/").removesuffix("-v5") for name in gymnasium.registry if name.startswith("ALE/")}
    assert set(GAMES) - set(CHANGED) == theirs and len(theirs) == 104 and len(ATARI_57) == 57
    assert [action.name for action in sorted(ale_py.Action, key=lambda action: action.value)] == list(ACTIONS)
    roms = {path.stem for path in Path(rom_path(GAMES["Pong"])).parent.glob("*.bin")}
    assert {game.rom for game in GAMES.values()} == roms - MULTIPLAYER


def test_listing_and_describing_load_no_emulator() -> None:
    program = (
        "import sys; from saccade.envs.config import EnvConfig; from saccade.envs.suites import TASKS, suite_of;"
        "[suite_of(t).spaces(EnvConfig(t)) for t in TASKS if t.startswith('atari/')];"
        "print([name for name in sys.modules if name.split('.')[0] in ('ale_py', 'torch', 'cv2')])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_making_a_game_prints_nothing() -> None:
    program = "import saccade; env = saccade.make('atari/Pong', seed=0); env.reset(); env.step(0); env.close()"
    told = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert (told.stdout, told.stderr) == ("", "")


def test_it_is_made_by_its_id() -> None:
    env = saccade.make("atari/Pong", frame_stack=4)
    obs, info = env.reset(seed=3)
    assert obs.shape == (4, 84, 84) and not obs[:3].any() and obs[3].std() > 1
    assert info == {"lives": 0, "raw_reward": 0.0} and env.action_space == gymnasium.spaces.Discrete(6)
    assert env.simulation.action_names == ("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")
    same = gymnasium.make("atari/Pong", frame_stack=4)
    np.testing.assert_array_equal(same.reset(seed=3)[0], obs)


@pytest.mark.parametrize("wrappers", WRAPPERS)
@pytest.mark.parametrize("task", ["atari/Breakout", "atari/Berzerk"])
def test_a_seed_decides_everything_whatever_was_played_before(task: str, wrappers: str) -> None:
    """Berzerk's games depend on those before them, and a seed must not."""
    first, second = (make_env(described(task, wrappers=wrappers), seed) for seed in (1, 2))
    second.reset()
    played(second, random_actions(second, 60))
    results = []
    for env in (first, second, first):
        begun = env.reset(seed=7)[0]
        results.append((begun, *played(env, random_actions(env, 150))))
    for begun, observations, told in results[1:]:
        np.testing.assert_array_equal(begun, results[0][0])
        np.testing.assert_array_equal(observations, results[0][1])
        assert told == results[0][2]
    other = first.reset(seed=8)[0]
    assert not np.array_equal(other, results[0][0]) or not np.array_equal(
        played(first, random_actions(first, 150))[0], results[0][1]
    )


@pytest.mark.parametrize("task", ["atari/Breakout", "atari/Pong", "atari/AirRaid"])
def test_modes_change_what_is_seen_and_nothing_else(task: str) -> None:
    """Rewards, lives, and the console to the bit."""

    def make(mode: str, seed: int) -> PixelEnv:
        return make_env(described(f"{task}@{mode}"), seed)

    check_modes(make, tuple(modes_of(task)), steps=80, state=lambda env: env.unwrapped.simulation.emulator.save())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("task", "wrappers"),
    [
        *itertools.product(["atari/Breakout", "atari/Seaquest", "atari/AirRaid"], WRAPPERS),
        *((f"atari/Pong@{mode}", "paper") for mode in modes_of("atari/Pong")),
    ],
)
def test_another_process_would_continue_bit_for_bit(task: str, wrappers: str) -> None:
    """From several moments: after a reset, in the middle of a life, and where one has just been lost."""
    config = described(task, wrappers=wrappers)
    env, other = make_env(config, 1), make_env(config, 99)
    env.reset()
    for steps in (0, 37, 80):
        played(env, random_actions(env, steps + 1))
        state = pickle.loads(pickle.dumps(env.get_state()))
        expected = played(env, random_actions(env, 120))
        other.set_state(state)
        assert all(np.array_equal(value, other.get_state()[key]) for key, value in state.items())
        found = played(other, random_actions(env, 120))
        np.testing.assert_array_equal(found[0], expected[0])
        assert found[1] == expected[1]


def test_a_game_goes_on_after_a_lost_life_and_another_begins_when_it_is_over() -> None:
    env = make_env(described("atari/Breakout"), 0)
    lives = [env.reset()[1]["lives"]]
    for _ in range(12):
        terminated = False
        while not terminated:
            _, _, terminated, _, info = env.step(0)
        lives.append(info["lives"])
        lives.append(env.reset()[1]["lives"])
    assert lives[:11] == [5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 5] and lives[10:21] == lives[:11]


def test_evaluations_play_whole_games_for_their_own_rewards() -> None:
    config = described("atari/Breakout")
    evaluated = in_mode(config, "noise")
    assert evaluated == described("atari/Breakout@noise", episodic_life=False, clip_rewards=False)
    assert in_mode(evaluated, "train") == in_mode(config, "train")
    env = make_env(in_mode(config, "train"), 0)
    env.reset()
    steps, cleared, terminated = 0, 0, False
    while not terminated:
        obs, reward, terminated, _, info = env.step(1 + steps % 3)
        assert reward == info["raw_reward"]
        cleared += not obs[0].any()
        steps += 1
    assert info["lives"] == 0 and cleared == 4  # lives lost on the way, after each of which nothing is remembered


def test_rewards_are_clipped_in_training_alone() -> None:
    """A dot gives 10."""
    clipped, raw = (
        make_env(described("atari/MsPacman", episodic_life=False, clip_rewards=clips), 0) for clips in (True, False)
    )
    clipped.reset(), raw.reset()
    seen = set()
    for action in random_actions(clipped, 200):
        _, cut, *_, info = clipped.step(action)
        _, whole, *_ = raw.step(action)
        seen.add((cut, whole))
        assert info["raw_reward"] == whole
    assert {(0.0, 0.0), (1.0, 10.0)} <= seen and all(cut == np.sign(whole) for cut, whole in seen)


def test_recommended_games_have_sticky_actions_and_all_of_them() -> None:
    env = make_env(described("atari/Breakout", wrappers="recommended"), 0)
    assert env.action_space == gymnasium.spaces.Discrete(18)
    assert env.provenance["episodic_life"] is False
    _, info = env.reset()
    terminated, lives = False, [info["lives"]]
    while not terminated:
        obs, _, terminated, _, info = env.step(FIRE)
        lives.append(info["lives"])
        assert obs[0].any() or len(lives) < 4
    assert set(lives) == {5, 4, 3, 2, 1, 0}
    # With the same actions, another seed plays another game: actions stick at random.
    films = []
    for seed in (0, 1):
        env.reset(seed=seed)
        films.append(np.stack([env.step(action)[0] for action in [1, 3, 3, 3, 4, 4, 4, 4, 3, 3] * 6]))
    assert not np.array_equal(*films)


@pytest.mark.parametrize(
    ("task", "life"), [("atari/Breakout", True), ("atari/MsPacman", False), ("atari/SpaceInvaders", True)]
)
def test_our_ale_vector_is_ales(task: str, life: bool) -> None:
    """Frame by frame, given how long it waits at the start of games; whole games and lives."""
    config = described(task, wrappers="ale_vector", episodic_life=life, frame_stack=4)
    vector = VectorStreams(config, [5])
    obs = vector.start()
    waits: list[int] = [int(vector._frames[0])]

    class Waits:
        def integers(self, low: int, high: int) -> int:
            assert low <= waits[-1] < high
            return waits[-1]

    env = PixelEnv(config, AtariSimulation(config, lambda seed: Waits()))  # type: ignore[arg-type,return-value]
    np.testing.assert_array_equal(env.reset()[0], obs[0])
    ends = 0
    for action in random_actions(env, 900):
        step = vector.step(np.array([action]))
        obs, reward, terminated, truncated, _ = env.step(action)
        assert (reward, terminated, truncated) == (step.reward[0], step.terminated[0], step.truncated[0])
        if terminated:
            ends += 1
            waits.append(int(vector._frames[0]))
            obs, _ = env.reset()
        np.testing.assert_array_equal(obs, step.obs[0])
    assert ends >= 1
    vector.close()


def test_streams_of_ale_vector() -> None:
    config = described("atari/Breakout", wrappers="ale_vector")
    streams = suite_of(config.task).streams
    assert streams is not None
    with closing(streams(config, [3, 4, 5])) as made:
        assert made.num_envs == 3 and made.spaces == suite_of(config.task).spaces(config)
        first = made.start()
        assert first.shape == (3, 2, 84, 84) and first.dtype == np.uint8
        ends = 0
        for action in itertools.islice(itertools.cycle([1, 0, 2, 3]), 200):
            step = made.step(np.full(3, action))
            ends += step.ended.sum()
            assert len(step.last_obs) == step.ended.sum() and step.last_obs.mean() > 20 if step.ended.any() else True
        assert ends > 3
        state = json.loads(json.dumps(made.get_state()))
        with pytest.warns(UserWarning, match="restart; with paper and recommended a run continues bit for bit"):
            made.set_state(state)
        made.step(np.zeros(3, np.int64))
    for other in (
        described("atari/Breakout"),
        described("atari/Breakout@noise", wrappers="ale_vector"),
        described("atari/Breakout", wrappers="ale_vector", difficulty=1),
        described("atari/BreakoutInfinite", wrappers="ale_vector"),
    ):
        assert streams(other, [0]) is None


def test_streams_of_processes_are_the_environments() -> None:
    config, seeds = described("atari/Breakout"), [3, 4]
    envs = [make_env(config, seed) for seed in seeds]
    with closing(WorkerStreams(EnvWorkers([config] * 2, seeds, num_workers=1))) as streams:
        np.testing.assert_array_equal(streams.start(), np.stack([env.reset()[0] for env in envs]))
        for action in random_actions(envs[0], 60):
            step = streams.step(np.array([action, 0]))
            for index, (env, own) in enumerate(zip(envs, (action, 0), strict=True)):
                obs, reward, terminated, *_ = env.step(own)
                obs = env.reset()[0] if terminated else obs
                np.testing.assert_array_equal(step.obs[index], obs)
                assert (step.reward[index], step.terminated[index]) == (reward, terminated)


def test_a_life_that_lasts_too_long_is_cut_off_with_its_game(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody presses FIRE again: of 40 frames, 10 actions are played."""
    from saccade.envs.tasks import atari_suite
    from saccade.envs.tasks.atari.wrappers import Wrappers

    short = Wrappers(fewest=1, most=30, fire="reset", lost_life="restart", frames=40)
    monkeypatch.setattr(atari_suite, "WRAPPERS", {**atari_suite.WRAPPERS, "paper": short})
    env = make_env(described("atari/Pong"), 0)
    for _ in range(2):
        env.reset()
        ends = [env.step(0)[2:4] for _ in range(10)]
        assert ends == [(False, False)] * 9 + [(False, True)]
        frames = env.simulation.emulator.frames
        env.reset()
        assert env.simulation.emulator.frames < frames


def test_switches_of_a_game() -> None:
    plain, switched = described("atari/Breakout"), described("atari/Breakout", game_mode=12, difficulty=1)
    frames = []
    for config in (plain, switched):
        env = make_env(config, 0)
        env.reset()
        frames.append(env.step(1)[0])
    assert not np.array_equal(*frames)
    assert make_env(switched, 0).provenance["game_mode"] == 12 and "game_mode" not in make_env(plain, 0).provenance
    for name, value in (("game_mode", 1), ("difficulty", 2)):
        with pytest.raises(UserError, match=rf"there is no {name} '{value}'; the"):
            make_env(described("atari/Breakout", **{name: value}))


def test_without_ale_py_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(UserError, match=r'need ale-py, which is under the GPL .* pip install "saccade-rl\[atari\]"$'):
        make_env(described("atari/Pong"))


def test_no_mask_is_known() -> None:
    with pytest.raises(UserError, match="does not know which pixels show the task: leave it out for atari/Pong"):
        described("atari/Pong", task_mask=True)
    task = saccade_task(described("atari/Pong"))
    assert not task.knows_truth
    env = task.make("noise", task.knows_truth)
    assert env.config == described("atari/Pong@noise", episodic_life=False, clip_rewards=False)  # type: ignore[attr-defined]
    assert "task_mask" not in env.reset()[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("ppo atari/Breakuot", "there is no task 'atari/Breakuot'; the nearest: atari/Breakout"),
        ("sac atari/Breakout", "discrete actions, which sac cannot learn: use "),
        ("ppo atari/Breakout --image-size 200", "an Atari screen is 160 wide: use 84, as papers do"),
        ("ppo atari/Breakout --game-mode -1", "game_mode is -1, but must be a number of ALE's, from 0"),
        ("ppo atari/Breakout@video_hard", f"the choices are {', '.join(modes_of('atari/Breakout'))}"),
        ("ppo atari/Breakout --camera side", "option of dmc and manipulation, and atari/Breakout is of atari"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    method, task, *options = words.split()
    tiny = TINY.split() if method == "ppo" else []
    assert main(["train", method, task, *tiny, *options, "--device", "cpu", "--out", "run"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("saccade: ")]
    assert told in line
    assert list(tmp_path.iterdir()) == []


def test_actions_are_the_tables() -> None:
    for name, count in {"Breakout": 4, "MsPacman": 9, "Seaquest": 18, "SpaceInvaders": 6, "Enduro": 9}.items():
        config = described(f"atari/{name}")
        assert suite_of(config.task).spaces(config).actions == Discrete(count)


@pytest.mark.parametrize("task", ["atari/Breakout", "atari/Freeway@video", "atari/MsPacman@bars"])
def test_it_keeps_what_environments_promise(task: str) -> None:
    check_environment(lambda seed: make_env(described(task), seed), steps=40)
