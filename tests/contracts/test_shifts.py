"""Every shift of the table, in every layout: pixels change as they should, and nothing else does."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import pytest
import toy_envs
from gymnasium.wrappers import FrameStackObservation
from numpy.typing import NDArray
from shift_cases import LAYOUTS, SIDE, WIDE, Moving, frames_of
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

import saccade
from saccade.envs.config import EnvConfig
from saccade.envs.shift_modes import ShiftMode, parse_shift
from saccade.envs.shifts import SHIFTS
from saccade.explain.background import background_of
from saccade.explain.shifted import Shift, environment_pixels
from saccade.explain.vectorised import single
from saccade.policies.pixels import pixels_of
from saccade.testing import check_environment, check_modes
from saccade.types import UserError

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
Moment = tuple[NDArray[Any], float, bool]


def cases() -> list[tuple[str, str]]:
    """Every shift in every layout that has what it changes."""
    return [
        (name, layout)
        for name, row in SHIFTS.items()
        for layout, (*_, channels) in LAYOUTS.items()
        if not (row.needs_colours and "rgb" not in channels)
    ]


def shifted(layout: str, mode: str, **options: Any) -> Shift:
    return Shift(Moving(layout), mode, channels=LAYOUTS[layout][3], **options)


def play(env: gymnasium.Env[Any, Any], seed: int = 3, steps: int = 5) -> list[Moment]:
    obs, _ = env.reset(seed=seed)
    moments: list[Moment] = [(np.array(obs), 0.0, False)]
    for step in range(steps):
        obs, reward, terminated, truncated, _ = env.step(step % 3)
        moments.append((np.array(obs), reward, terminated or truncated))
    return moments


def distance(ours: list[Moment], theirs: list[Moment]) -> float:
    pairs = zip(ours, theirs, strict=True)
    return float(np.mean([np.abs(one[0].astype(np.float64) - other[0]).mean() for one, other in pairs]))


def same(ours: list[Moment], theirs: list[Moment]) -> bool:
    return all(np.array_equal(one[0], other[0]) for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("name", "layout"), cases())
def test_a_shift_keeps_its_promises(name: str, layout: str) -> None:
    plain = play(Moving(layout))
    assert same(play(shifted(layout, f"{name}:0")), plain), "strength 0 is no identity"
    full = play(shifted(layout, f"{name}:1"))
    assert [moment[1:] for moment in full] == [moment[1:] for moment in plain], "another reward or end"
    env = Moving(layout)
    for obs, *_ in full:
        assert obs.dtype == env.type and obs.shape == env.shape and env.observation_space.contains(obs)
        assert obs.min() >= 0 and obs.max() <= env.high
    assert same(play(shifted(layout, f"{name}:1")), full), "the same seed gave other pixels"
    moved = [distance(play(shifted(layout, f"{name}:{strength}")), plain) for strength in STRENGTHS]
    assert moved[0] > 0 and all(less < more for less, more in pairwise(moved)), moved
    assert moved[-1] < 0.5 * env.high, "nothing would be recognised"


@pytest.mark.parametrize("name", SHIFTS)
def test_another_seed_gives_other_pixels_where_it_draws(name: str) -> None:
    """The picture stays, and the episode's seed is another."""

    class Still(Moving):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            return super().reset(seed=0)

    drawn = []
    for seed in range(6):
        env = Shift(Still("rgb, channels last"), f"{name}:1")
        drawn.append(env.reset(seed=seed)[0].tobytes())
    assert (len(set(drawn)) > 1) == SHIFTS[name].draws
    env = Shift(Still("rgb, channels last"), f"{name}:1")
    episodes = [env.reset(seed=0)[0].tobytes(), *(env.reset()[0].tobytes() for _ in range(5))]
    assert (len(set(episodes)) > 1) == SHIFTS[name].draws  # each episode draws anew,
    again = [env.reset(seed=0)[0].tobytes(), *(env.reset()[0].tobytes() for _ in range(5))]
    assert again == episodes  # and in the same order


STACKS = [layout for layout in LAYOUTS if "stack" in layout]


@pytest.mark.parametrize("layout", STACKS)
@pytest.mark.parametrize("mode", ["noise:0.5", "video:1", "noise:0.3+occlusion:1"])
def test_a_frame_keeps_its_change_as_it_moves_through_a_stack(layout: str, mode: str) -> None:
    env = Moving(layout)
    moments = [frames_of(obs, env) for obs, *_ in play(shifted(layout, mode))]
    for frame in moments[0][:-1]:
        np.testing.assert_array_equal(frame, moments[0][-1])  # what repeats the first frame goes on doing so
    for before, after in pairwise(moments):
        np.testing.assert_array_equal(after[:-1], before[1:])
        assert (after[-1] != before[-1]).any()


def test_stacked_outside_or_inside_is_the_same() -> None:
    """The shift below Gymnasium's stack, and above it."""
    grey = "grey, one channel"
    below = FrameStackObservation(Shift(Moving(grey), "noise:0.5+shadow:1"), 3)
    above = Shift(FrameStackObservation(Moving(grey), 3), "noise:0.5+shadow:1")
    assert same(play(below), play(above))


def test_the_black_beginning_of_a_stack_stays_black() -> None:
    def make() -> gymnasium.Env[Any, Any]:
        return Moving("grey, one channel")

    env = Shift(single(VecFrameStack(DummyVecEnv([make]), 4), "it"), "brightness:1")
    obs, _ = env.reset(seed=0)
    assert not obs[..., :3].any() and obs[..., 3].min() > 100


@pytest.mark.parametrize("layout", [name for name, (*_, channels) in LAYOUTS.items() if "depth" in channels])
def test_what_is_no_picture_is_left_alone(layout: str) -> None:
    env = Moving(layout)
    for (obs, *_), (plain, *_) in zip(play(shifted(layout, "noise:1")), play(Moving(layout)), strict=True):
        ours, theirs = frames_of(obs, env), frames_of(plain, env)
        np.testing.assert_array_equal(ours[..., 3], theirs[..., 3])
        assert (ours[..., :3] != theirs[..., :3]).any()


def test_a_dictionarys_pictures_change_and_its_numbers_do_not() -> None:
    class Both(gymnasium.ObservationWrapper[Any, Any, Any]):
        def __init__(self, env: gymnasium.Env[Any, Any], **more: Any) -> None:
            super().__init__(env)
            numbers = gymnasium.spaces.Box(-9, 9, (2,), np.float32)
            self.observation_space = gymnasium.spaces.Dict({"camera": env.observation_space, "joints": numbers, **more})

        def observation(self, observation: Any) -> Any:
            return {"camera": observation, "joints": np.ones(2, np.float32)}

    obs, _ = Shift(Both(Moving("grey")), "darkness:1").reset(seed=0)
    plain, _ = Moving("grey").reset(seed=0)
    np.testing.assert_array_equal(obs["camera"], np.rint(plain * 0.2))
    assert obs["joints"].tolist() == [1, 1]
    two = Both(Moving("grey"), wrist=gymnasium.spaces.Box(0, 255, (20, 20), np.uint8))
    with pytest.raises(UserError, match="camera, wrist are pictures: say which with key=NAME"):
        Shift(two, "blur:1")
    assert Shift(two, "blur:1", key="camera").reset(seed=0)[0]["joints"].tolist() == [1, 1]
    with pytest.raises(UserError, match="no entry 'arm': they have camera, joints"):
        Shift(Both(Moving("grey")), "blur:1", key="arm")


def test_normalised_floats_are_pictures_all_the_same() -> None:
    from saccade.policies.normalisation import Normalisation
    from saccade.policies.spaces import pixels_of_space

    mean, std = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.5])

    class Normalised(gymnasium.ObservationWrapper[Any, Any, Any]):
        def __init__(self) -> None:
            super().__init__(Moving("floats to 1"))
            self.observation_space = gymnasium.spaces.Box(-9, 9, self.env.observation_space.shape, np.float32)

        def observation(self, observation: Any) -> Any:
            return ((observation - mean[:, None, None]) / std[:, None, None]).astype(np.float32)

    normalised = Normalisation(tuple(mean), tuple(std))
    env = Normalised()
    pixels = pixels_of_space(env.observation_space, normalised=normalised)
    ours = play(Shift(env, "contrast:1+noise:0.2", pixels=pixels))
    theirs = play(Shift(Moving("floats to 1"), "contrast:1+noise:0.2"))
    for (obs, *_), (plain, *_) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(obs * std[:, None, None] + mean[:, None, None], plain, atol=1e-5)


# ------------------------------------------------------------------------------------------------- channels


def test_what_moves_tells_a_wrong_guess() -> None:
    with pytest.raises(UserError, match=r"4 channels of Moving are not 4 frames of 1 .* such as rgb,depth"):
        play(Shift(Moving("rgb and depth"), "noise:0.1"))

    class ThreeGreys(Moving):
        def __init__(self) -> None:
            super().__init__("stack of grey, first")
            self.count, self.shape = 3, (3, *self.shape[1:])
            self.observation_space = gymnasium.spaces.Box(0, 255, self.shape, np.uint8)

    with pytest.raises(UserError, match=r"are a stack of grey frames, not red, green and blue: .*channels='grey'"):
        play(Shift(ThreeGreys(), "noise:0.1"))
    play(Shift(ThreeGreys(), "noise:0.1", channels="grey"))
    with pytest.raises(UserError, match=r"Nobody said which channels of Moving are pictures"):
        Shift(Moving("rgb and depth"), "noise:0.1", channels="depth,walls,doors,keys")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_environments_channels_are_those_of_its_policy(layout: str) -> None:
    """Wherever the policy has them: here in front, as networks do."""
    env, channels = Moving(layout), LAYOUTS[layout][3]
    seen = pixels_of((env.count * env.width, SIDE, WIDE), str(np.dtype(env.type)), 0, env.high, layout="channels_first")
    pixels = environment_pixels(env.observation_space, seen.with_channels(channels), "it")
    ours, theirs = play(Shift(env, "noise:0.5", pixels=pixels)), play(shifted(layout, "noise:0.5"))
    assert same(ours, theirs) and pixels.parts == tuple(channels.split(","))


# ------------------------------------------------------------------------------------------------- refusals

BAD_MODES = {
    "brigthness:0.5": "no shift 'brigthness': did you mean brightness",
    "glare:0.5": "no shift 'glare': there are brightness, darkness, contrast",
    "noise:1.1": "'noise:1.1' needs a strength from 0",
    "noise:-0.1": "'noise:-0.1' needs a strength",
    "noise:nan": "'noise:nan' needs a strength",
    "noise:": "'noise:' needs a strength .* such as noise:0.5",
    "noise": "'noise' needs a strength",
    "blur:0.5+noise": "'noise' in 'blur:0.5.noise' needs a strength",
    "": "no shift ''",
    "blur:0.1+": "no shift '' in 'blur:0.1.'",
    "blur:0.1+train": "changes the pictures of 'train': write that first",
}


@pytest.mark.parametrize("mode", BAD_MODES)
def test_a_mode_that_there_is_not_is_a_sentence(mode: str) -> None:
    with pytest.raises(UserError, match=BAD_MODES[mode]):
        Shift(Moving("grey"), mode)


def test_a_mode_has_one_name() -> None:
    assert parse_shift("train+noise:.10+blur:1e-1").name == "noise:0.1+blur:0.1"
    assert parse_shift("video_hard+noise:0.123456789", ("train", "video_hard")).name == "video_hard+noise:0.123457"
    assert parse_shift("noise:0.123456789").parts == (("noise", 0.123457),)
    assert EnvConfig.parse("dmc/walker_walk@video_hard+blur:0.50").mode == "video_hard+blur:0.5"


SPACES = {
    "numbers": (gymnasium.spaces.Box(-1, 1, (4,), np.float32), "not pictures"),
    "unbounded": (gymnasium.spaces.Box(-np.inf, np.inf, (16, 16, 3), np.float32), "not pictures that can be explained"),
    "choices": (gymnasium.spaces.Discrete(3), "Discrete space"),
    "a dictionary of numbers": (
        gymnasium.spaces.Dict({"a": gymnasium.spaces.Discrete(2)}),
        "none is a picture in 0..255",
    ),
    "small": (gymnasium.spaces.Box(0, 255, (7, 9, 3), np.uint8), "blur needs pictures of at least 8 pixels .* 9x7"),
    "unclear": (gymnasium.spaces.Box(0, 255, (5, 5, 5), np.uint8), "channels first or last"),
}


@pytest.mark.parametrize("kind", SPACES)
def test_observations_that_no_shift_fits_are_a_sentence(kind: str) -> None:
    space, sentence = SPACES[kind]
    env = Moving("grey")
    env.observation_space = space
    with pytest.raises(UserError, match=sentence):
        Shift(env, "blur:0.5")


def test_hue_needs_colours_and_values_their_range() -> None:
    with pytest.raises(UserError, match="hue rotates colours, but what Moving shows is grey"):
        Shift(Moving("stack of grey, first"), "noise:0.1+hue:0.5")

    class TooBright(Moving):
        def _seen(self) -> NDArray[Any]:
            return super()._seen() * 2

    with pytest.raises(UserError, match=r"brightnesses in 0..1\.9.* says 0..1"):
        Shift(TooBright("floats to 1"), "noise:0.1").reset(seed=0)


WHERE = {None: None, "black": (0, 0, 0), "0,128,255": (0, 128, 255), "1,2,3:40": (1, 2, 3)}


def test_a_video_needs_to_know_where() -> None:
    assert {where: background_of(where).colour for where in WHERE} == WHERE
    for wrong in ("pink", "1,2", "1,2,256", "1,2,3:256", "-1,2,3", "1,2,3:"):
        with pytest.raises(UserError, match="is no colour: write black, or R,G,B"):
            background_of(wrong)
    with pytest.raises(UserError, match="says what a video replaces, and blur:1 has none"):
        Shift(Moving("grey"), "blur:1", video_where="black")

    class Silent(Moving):
        def _info(self) -> dict[str, Any]:
            return {}

    with pytest.raises(UserError, match=r'tells no info."task_mask".* --video-where black'):
        Shift(Silent("grey"), "video:1").reset(seed=0)

    class Elsewhere(Moving):
        def _info(self) -> dict[str, Any]:
            return {"task_mask": np.ones((3, 3), bool)}

    with pytest.raises(UserError, match=r"has shape .3, 3., and its pictures"):
        Shift(Elsewhere("grey"), "video:1").reset(seed=0)


def test_a_video_replaces_the_colour_or_what_the_mask_leaves() -> None:
    for layout in ("rgb, channels last", "grey"):
        plain, _ = Moving(layout).reset(seed=0)
        masked, _ = Shift(Moving(layout), "video:1").reset(seed=0)
        np.testing.assert_array_equal(masked[4:9, 4:9], plain[4:9, 4:9])
        assert (masked != plain).mean() > 0.7
        black, _ = Shift(Moving(layout), "video:1", video_where="0,0,0:0").reset(seed=0)
        assert (black[:3, :5] != 0).mean() > 0.7
        kept = np.ones(black.shape[:2], bool)
        kept[:3, :5] = False
        kept &= (plain if plain.ndim == 2 else plain.max(-1)) > 0
        np.testing.assert_array_equal(black[kept], plain[kept])


# --------------------------------------------------------------------------------- environments of other people


def test_an_environment_under_shifts_keeps_every_promise() -> None:
    check_environment(lambda seed: Shift(toy_envs.ToyEnv(seed), "noise:0.3+occlusion:1"), steps=20, seeds=(3, 4))
    check_modes(lambda mode, seed: toy_mode(mode, seed), ("train", *(f"{name}:0.6" for name in SHIFTS)))


def toy_mode(mode: str, seed: int) -> gymnasium.Env[Any, Any]:
    env = toy_envs.ToyEnv(seed)
    return env if mode == "train" else Shift(env, mode, video_where="90,90,90:60" if "video" in mode else None)


MISBEHAVING = {
    "Reuses": None,
    "ReusesMasks": None,
    "PaysArrays": None,
    "EndsInNumbers": None,
    "SmallMask": None,  # nothing asks for it
    "Floats": "gave float32, and its observation space says uint8",
    "OtherShape": "gave an observation of shape .8, 12, 3., and its space says .3, 8, 12.",
    "DeclaresFloats": "gave uint8, and its observation space says float32",
}


@pytest.mark.parametrize("kind", MISBEHAVING)
def test_environments_that_misbehave(kind: str) -> None:
    env = Shift(getattr(toy_envs, kind)(0), "noise:0.3")
    sentence = MISBEHAVING[kind]
    if sentence is not None:
        with pytest.raises(UserError, match=sentence):
            env.reset(seed=0)
        return
    first = env.reset(seed=0)[0]
    kept = first.copy()
    obs = env.step(np.zeros(2, np.float32))[0]
    assert not np.shares_memory(first, obs) and obs.shape == toy_envs.SHAPE
    np.testing.assert_array_equal(first, kept)


# ------------------------------------------------------------------------------------------ Saccade's own tasks

SMALL = {"image_size": 16, "render_quality": "fast", "frame_stack": 3}


@pytest.mark.parametrize(
    ("task", "mode", "options"),
    [
        ("dmc/cartpole_balance", "noise:0.3+shadow:1", SMALL),
        ("dmc/cartpole_balance", "color_hard+hue:0.5", SMALL),
        ("minigrid/red_fetch_green", "palette+blur:0.5", {}),
    ],
)
def test_a_mode_of_our_own_tasks_is_the_same_as_the_wrapper(task: str, mode: str, options: dict[str, Any]) -> None:
    parsed = parse_shift(mode, ("color_hard", "palette"))
    under, shifts = parsed.under, ShiftMode("train", parsed.parts).name
    inside, around = saccade.make(f"{task}@{mode}", **options), saccade.make(f"{task}@{under}", **options)
    wrapped = saccade.Shift(around, shifts, channels="rgb")
    discrete = isinstance(inside.action_space, gymnasium.spaces.Discrete)
    action = 2 if discrete else np.array([0.3])
    first, _ = inside.reset(seed=5)
    other, _ = wrapped.reset(seed=5)
    # Shifts that draw would differ beside a mode that draws too: its draw comes first.
    np.testing.assert_array_equal(first, other)
    for _ in range(3):
        ours, theirs = inside.step(action), wrapped.step(action)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1:4] == theirs[1:4]
    assert inside.provenance["shifts"] == shifts
    inside.close()
    wrapped.close()


def test_our_own_tasks_say_what_they_cannot() -> None:
    for mode, sentence in (
        ("video:1+video:0.5", "video is turned twice"),
        ("blurr:1", "did you mean blur"),
        ("noise:0.1+video_hard", "write that first, as in video_hard"),
    ):
        with pytest.raises(UserError, match=sentence):
            EnvConfig.parse("dmc/cartpole_balance", mode=mode)
