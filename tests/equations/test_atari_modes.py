"""What Atari's modes change, by hand and against naive pictures."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from saccade.data.folder import DataFolder
from saccade.envs.config import EnvConfig
from saccade.envs.distractions import Distraction
from saccade.envs.distractions.bars import Bars, DrawnBars
from saccade.envs.distractions.console_colours import Brightness, ChangedColours, ColorJitter
from saccade.envs.distractions.video_behind import VideoBehind
from saccade.envs.tasks.atari.colours import palette
from saccade.envs.tasks.atari.frames import grey_of_brightest, in_grey
from saccade.envs.tasks.atari.screen import Screen
from saccade.types import UserError

BROWN, WHITE = 0x22, 0x0E


def screen(first: int = BROWN) -> Screen:
    return Screen(EnvConfig("atari/Pong"), lambda: np.full((210, 160), first, np.uint8))


def painted(distraction: Distraction, choice: int) -> tuple[np.ndarray, Screen]:
    scene, nuisance = screen(), distraction.load(DataFolder(), 84, "seed")
    assert isinstance(nuisance, ChangedColours)
    nuisance.paint(scene, choice)
    np.testing.assert_array_equal(scene.table, grey_of_brightest(scene.palette))
    return scene.palette, scene


def test_brightness_multiplies_every_colour_by_one_number() -> None:
    """(162, 98, 33) halved is (81, 49, 16), since 16.5 is rounded to even; doubled, 255 is the most there is."""
    assert palette(False)[0x24].tolist() == [162, 98, 33]
    assert painted(Brightness(darker=(0.5, 0.5), brighter=(2, 2)), 0)[0][0x24].tolist() in (
        [81, 49, 16],
        [255, 196, 66],
    )
    seen = {tuple(painted(Brightness((0.5, 0.5), (2, 2)), choice)[0][0x24].tolist()) for choice in range(20)}
    assert seen == {(81, 49, 16), (255, 196, 66)}
    factors = [painted(Brightness(), choice)[0][0x0A, 0] / 192 for choice in range(300)]  # a grey of 192
    darker = [factor for factor in factors if factor < 1]
    assert 0.39 < min(darker) < 0.45 and 0.65 < max(darker) < 0.71 and 100 < len(darker) < 200


def test_jitter_of_half_a_turn_is_the_opposite_colour() -> None:
    """Red becomes cyan and grey stays; half the saturation is half the way to white, half the value half of all."""
    colours = np.array([[200, 0, 0], [90, 90, 90], [0, 0, 0]], np.uint8)

    def changed(jitter: ColorJitter) -> list[list[int]]:
        nuisance = jitter.load(DataFolder(), 84, "seed")
        return nuisance.change(colours, np.random.default_rng(0)).tolist()

    assert changed(ColorJitter(0, (1, 1), (1, 1))) == colours.tolist()
    assert changed(ColorJitter(0, (0.5, 0.5), (1, 1))) == [[200, 100, 100], [90, 90, 90], [0, 0, 0]]
    assert changed(ColorJitter(0, (1, 1), (0.5, 0.5))) == [[100, 0, 0], [45, 45, 45], [0, 0, 0]]
    turned, grey, black = changed(ColorJitter(0.5, (1, 1), (1, 1)))
    assert max(turned) == 200 and min(turned) == 0 and grey == [90] * 3 and black == [0] * 3
    turn = np.random.default_rng(0).uniform(-0.5, 0.5)
    assert colorsys.rgb_to_hsv(*turned)[0] == pytest.approx(turn % 1, abs=2e-3)


def test_every_episode_has_colours_of_its_own() -> None:
    tables = [painted(ColorJitter(), choice)[1].table for choice in (1, 2, 1)]
    np.testing.assert_array_equal(tables[0], tables[2])
    assert not np.array_equal(tables[0], tables[1])


def test_bars_hide_what_lies_below_them() -> None:
    """Two of 4 pixels: 4 whole lines or columns each, of one colour, and all else as it was."""
    nuisance = Bars(count=1, width=0.05).load(DataFolder(), 84, "seed")
    assert isinstance(nuisance, DrawnBars)
    pixels = np.random.default_rng(0).integers(0, 256, (84, 84, 1), np.uint8)
    upright = 0
    for choice in range(40):
        hidden = nuisance.apply(pixels, choice, 3)
        np.testing.assert_array_equal(hidden, nuisance.apply(pixels, choice, 9))  # an episode keeps its own
        columns = np.flatnonzero((hidden == hidden[:1]).all((0, 2)))
        lines = np.flatnonzero((hidden == hidden[:, :1]).all((1, 2)))
        upright += len(columns) == 4
        assert (len(columns), len(lines)) in {(4, 0), (0, 4)}
        found = columns if len(columns) else lines
        assert found.tolist() == list(range(found[0], found[0] + 4))
        kept = np.delete(hidden, found, 1 if len(columns) else 0)
        np.testing.assert_array_equal(kept, np.delete(pixels, found, 1 if len(columns) else 0))
    assert 8 < upright < 32
    assert (Bars(2).load(DataFolder(), 84, "seed").apply(pixels, 5, 0) != pixels).mean() > 0.06


def test_a_clip_plays_behind_a_game() -> None:
    """A white thing on the backdrop: half of a pixel that it half covers is clip, and black is seen through, too."""
    scene = screen()
    clip = np.random.default_rng(0).integers(0, 256, (7, 84, 84, 3), np.uint8)
    shown = np.full((2, 210, 160), BROWN, np.uint8)
    shown[:, :100, 80:] = WHITE  # columns of 1.905 pixels: the 43rd of the picture begins at pixel 80
    shown[:, 201:] = 0
    before = scene.picture(shown, 0)
    scene.play_behind(clip, 0.5)
    seen = scene.picture(shown, 9)
    behind = in_grey(clip[2]).astype(np.float64) * 0.5
    white = int(in_grey(palette(False)[WHITE]))
    assert (seen[:40, 42:] == white).all() and (before[:40, 42:] == white).all()
    for part in (np.s_[40:80, :42], np.s_[81:, :], np.s_[:40, :42]):
        assert np.abs(seen[part] - behind[part]).max() <= 0.5
    striped = np.broadcast_to(np.where(np.arange(160) % 2, WHITE, BROWN).astype(np.uint8), shown.shape).copy()
    covered = np.array([white_below(column) for column in range(84)])  # around a half
    expected = covered * white + (1 - covered) * behind
    assert np.abs(scene.picture(striped, 9) - expected).max() <= 1.5  # two roundings of one level, and the last
    assert covered.min() < 0.48 and covered.max() > 0.52


def white_below(column: int) -> float:
    """The share of odd pixels of 160 below a column of 84."""
    begin, end = column * 160 / 84, (column + 1) * 160 / 84
    return sum(max(min(end, pixel + 1) - max(begin, pixel), 0) for pixel in range(1, 160, 2)) / (end - begin)


def test_a_thing_in_one_of_two_frames_hides_the_clip() -> None:
    """What an agent sees are two frames, of which the brighter shows."""
    scene = screen()
    scene.play_behind(np.full((1, 84, 84, 3), 255, np.uint8), 0.5)
    shown = np.full((2, 210, 160), BROWN, np.uint8)
    shown[1, 50:100] = WHITE
    seen = scene.picture(shown, 0)
    assert (seen[20:40] == int(in_grey(palette(False)[WHITE]))).all() and (seen[45:] == 128).all()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Bars(count=0), "count is 0, but must be a number of bars from 1"),
        (lambda: Bars(width=1.0), "width is 1.0, but must be a share of the picture between 0 and 1"),
        (lambda: Brightness(darker=(0.5, 1.2)), "but must be below and above 1"),
        (lambda: ColorJitter(hue=0.7), "hue is 0.7, but must be a share of a turn from 0 to 0.5"),
        (lambda: ColorJitter(value=(2, 1)), "value is"),
        (lambda: VideoBehind(brightness=0), "brightness is 0, but must be a fraction above 0 and up to 1"),
    ],
)
def test_what_is_no_distraction_is_one_sentence(make: object, told: str) -> None:
    with pytest.raises(UserError, match=told.replace("(", r"\(")):
        make()  # type: ignore[operator]
