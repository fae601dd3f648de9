"""Pictures and charts against hand arithmetic, and against what other programs read in their files."""

import base64
import io
import xml.etree.ElementTree as ET
from pathlib import Path

import av
import matplotlib
import numpy as np
import pytest
from PIL import Image

from saccade.types import UserError
from saccade.viewer import figures, film, pictures


def test_frame_of_is_the_newest_frame_with_channels_last():
    obs = np.stack([np.full((2, 5), channel) for channel in range(9)]).astype(np.uint8)
    frame = pictures.frame_of(obs)
    assert frame.shape == (2, 5, 3)
    assert frame[1, 4].tolist() == [6, 7, 8]


def test_frame_of_floats_stays_in_range():
    obs = np.array([-3.0, 127.9, 300.0]).reshape(3, 1, 1)
    assert pictures.frame_of(obs)[0, 0].tolist() == [0, 127, 255]


def test_frames_of_one_colour_are_grey():
    obs = np.arange(2 * 4 * 1 * 2).reshape(2, 4, 1, 2)  # two stacks of four frames; the last one is 6 7, then 14 15
    frames = pictures.frames_of(obs, colours=1)
    assert frames[:, 0].tolist() == [[[6] * 3, [7] * 3], [[14] * 3, [15] * 3]]
    assert (pictures.frame_of(obs[1], colours=1) == frames[1]).all()


def test_frames_of_two_colours_are_refused():
    with pytest.raises(ValueError, match="1 or 3 colours, not 2"):
        pictures.frames_of(np.zeros((1, 4, 2, 2)), colours=2)


@pytest.mark.parametrize("shape", [(85, 84, 3), (0, 84, 84), (1, 9, 84, 84)])
def test_frame_of_refuses_what_is_no_stack_of_frames(shape):
    with pytest.raises(ValueError, match=r"frames \* 3"):
        pictures.frame_of(np.zeros(shape, dtype=np.uint8))


def test_unit_range_by_hand():
    # -1..3 is 4 wide: 0 lies a quarter, 1 half of the way.
    assert pictures.unit_range(np.array([[-1.0, 0.0], [1.0, 3.0]])).tolist() == [[0, 0.25], [0.5, 1]]
    # With limits 0 and 2, -1 and 3 are cut off.
    limited = pictures.unit_range(np.array([[-1.0, 0.0], [1.0, 3.0]]), (0, 2))
    assert limited.tolist() == [[0, 0], [0.5, 1]]


def test_unit_range_of_a_constant_map_is_zero():
    assert not pictures.unit_range(np.full((2, 2), 7.0)).any()


def test_unit_range_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match="NaN"):
        pictures.unit_range(np.array([[0.0, np.nan]]))


def test_overlay_is_grey_without_saliency_and_the_colormap_with_it():
    frame = np.array([[[100, 50, 200], [100, 50, 200]]], dtype=np.uint8)
    shown = pictures.overlay(frame, np.array([[0.0, 5.0]]), colormap="gray", opacity=1.0)
    # 0.299 * 100 + 0.587 * 50 + 0.114 * 200 = 29.9 + 29.35 + 22.8 = 82.05, half of which is 41.0; the top of "gray" is
    # white.
    assert shown.tolist() == [[[41, 41, 41], [255, 255, 255]]]


@pytest.mark.parametrize("brightness", [0, 128, 255])
def test_what_is_salient_stands_out_on_any_frame(brightness: int):
    """By WCAG's measure of contrast, which asks for 3 of what is more than text."""

    def luminance(colour: np.ndarray) -> float:
        linear = np.where(colour <= 0.03928, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    shown = pictures.overlay(np.full((1, 2, 3), brightness, np.uint8), np.array([[0.0, 1.0]])) / 255
    dim, bright = (luminance(pixel) + 0.05 for pixel in shown[0])
    assert bright / dim > 3


@pytest.mark.parametrize("brightness", [0, 128, 255])
def test_a_map_that_is_zero_everywhere_is_crossed_out(brightness: int):
    frames = np.full((3, 9, 12, 3), brightness, np.uint8)
    maps = np.zeros((3, 9, 12))
    maps[1, 0, 0] = 1.0
    shown = pictures.overlay(frames, maps)
    for empty in (shown[0], shown[2]):
        assert {tuple(empty[place]) for place in ((0, 0), (0, -1), (-1, 0), (-1, -1))} == {(255, 255, 255)}
        assert {0, 255} <= set(np.unique(empty[..., 0]).tolist())
    assert not np.array_equal(shown[1], shown[0]) and (shown[1, 1:] == round(0.5 * brightness)).all()
    np.testing.assert_array_equal(pictures.overlay(frames[0], maps[0]), shown[0])


def test_overlay_at_half_opacity_is_half_of_each():
    frame = np.array([[[100, 100, 100], [100, 100, 100]]], dtype=np.uint8)
    shown = pictures.overlay(frame, np.array([[0.0, 1.0]]), colormap="gray", opacity=0.5)
    assert shown[0, 1].tolist() == [152, 152, 152]  # (50 + 255) / 2 = 152.5, to the even neighbour


@pytest.mark.parametrize("draw", [pictures.overlay, pictures.spotlight])
def test_many_pictures_at_once_are_the_same_as_one_by_one(draw):
    random = np.random.default_rng(0)
    frames, layers = random.integers(0, 256, (3, 4, 5, 3), dtype=np.uint8), random.uniform(0, 1, (3, 4, 5))
    settings = {"limits": (0.1, 0.9)} if draw is pictures.overlay else {}
    alone = [draw(frame, layer, **settings) for frame, layer in zip(frames, layers, strict=True)]
    assert (draw(frames, layers, **settings) == np.stack(alone)).all()


def test_spotlight_by_hand():
    frame = np.full((1, 3, 3), 100, dtype=np.uint8)
    shown = pictures.spotlight(frame, np.array([[1.0, 0.0, 0.5]]), darkness=0.75)
    # What is left of the light: all, a quarter, 1 - 0.75 / 2 = 0.625 (62.5, to the even neighbour).
    assert shown[0, :, 0].tolist() == [100, 25, 62]


@pytest.mark.parametrize("draw", [pictures.overlay, pictures.spotlight])
def test_a_map_of_another_size_is_refused(draw):
    with pytest.raises(ValueError, match=r"\[3, 2\] does not lie over a frame of \[2, 2\]"):
        draw(np.zeros((2, 2, 3), dtype=np.uint8), np.zeros((3, 2)))


def test_upscale_repeats_pixels_of_pictures_and_of_videos():
    video = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(2, 2, 3, 3)
    large = pictures.upscale(video, 2)
    assert large.shape == (2, 4, 6, 3)
    assert all((large[:, i::2, j::2] == video).all() for i in range(2) for j in range(2))


def test_grid_puts_each_picture_at_its_place_and_labels_outside_them():
    red, blue = (np.full((20, 30, 3), color, dtype=np.uint8) for color in ([255, 0, 0], [0, 0, 255]))
    bare = pictures.grid([[red, blue], [blue]], gap=4)
    assert bare.shape == (44, 64, 3)
    assert (bare[:20, :30] == red).all()
    assert (bare[:20, 34:] == blue).all()
    assert (bare[24:, :30] == blue).all()
    assert (bare[20:24] == 255).all()  # the gap
    assert (bare[24:, 30:] == 255).all()  # where the second row has ended

    labelled = pictures.grid([[red, blue], [blue]], row_labels=("now", "later"), column_labels=("a", "b"))
    top, left = labelled.shape[0] - 44, labelled.shape[1] - 64
    assert (labelled[top:, left:] == bare).all()
    assert labelled[top : top + 20, :left].min() < 100  # ink beside the first row
    assert labelled[:top, left:].min() < 100  # and above the columns


def test_rows_that_begin_a_block_stand_farther_from_the_one_above():
    picture = np.zeros((20, 30, 3), dtype=np.uint8)
    sheet = pictures.grid([[picture]] * 3, gap=4, block_starts=(0, 2))
    assert sheet.shape == (3 * 20 + 2 * 4 + pictures.BLOCK_GAP, 30, 3)  # nothing above the first row
    assert not sheet[:20].any() and not sheet[24:44].any() and not sheet[48 + pictures.BLOCK_GAP :].any()


def test_small_pictures_stand_in_the_middle_of_white():
    small = np.full((2, 1, 2, 3), 7, dtype=np.uint8)
    large = pictures.centred(small, 4, 4)
    # 3 rows are left: one above, two below; of 2 columns one on either side.
    assert large[1, :, :, 0].tolist() == [[255] * 4, [255, 7, 7, 255], [255] * 4, [255] * 4]
    assert (pictures.centred(small, 1, 2) == small).all()
    with pytest.raises(ValueError, match=r"\[1, 2\] have no room in \[4, 1\]"):
        pictures.centred(small, 4, 1)


def test_labels_are_broken_where_they_may_be():
    assert pictures.wrapped("guided_backpropagation", 168) == "guided_\nbackpropagation"
    assert pictures.wrapped("what the policy sees", 10) == "what\nthe\npolicy\nsees"
    assert pictures.wrapped("rise", 168) == "rise"
    assert pictures.wrapped("", 168) == ""


def test_a_grid_has_room_for_labels_of_several_lines():
    picture = np.zeros((20, 100, 3), dtype=np.uint8)
    one, two = (pictures.grid([[picture]], column_labels=(label,)) for label in ("a", "a\nb"))
    assert two.shape[0] - one.shape[0] == pictures.LINE_PIXELS
    # Ink stays above the picture, and below the upper edge.
    assert two[0].min() == two[two.shape[0] - 21].min() == 255


def test_tiles_have_their_labels_above_their_places():
    sheet, places = pictures.tiles(["first", "second", "a_label_that_is_too_long"], 20, 80, 2, gap=8)
    assert [sheet[place].shape for place in places] == [(20, 80, 3)] * 3
    assert all((sheet[place] == 255).all() for place in places)
    (first, second, third) = places
    assert first[0] == second[0] and first[1] == third[1]
    assert (second[1].start, third[1].start) == (96, 8)
    for rows, columns in places:
        assert sheet[rows.start - 20 : rows.start, columns].min() < 100


def test_a_panel_holds_every_frame_in_its_cell():
    frames = np.random.default_rng(0).integers(0, 256, (5, 17, 30, 3), dtype=np.uint8)
    panel = film.panel("label", "alt", frames, lossless=True)
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(panel.sheet.split(",")[1]))))
    assert sheet.shape == (2 * 32, 3 * 32, 3)  # five frames three by two, in multiples of 16 pixels
    for index, frame in enumerate(frames):
        row, column = divmod(index, 3)
        assert (sheet[row * 32 : row * 32 + 17, column * 32 : column * 32 + 30] == frame).all()
        assert (sheet[row * 32 + 17 : row * 32 + 32, column * 32 : column * 32 + 30] == frame[-1]).all()


def test_grid_refuses_pictures_of_different_sizes():
    small, large = np.zeros((2, 2, 3), dtype=np.uint8), np.zeros((3, 2, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="same size"):
        pictures.grid([[small, large]])


def test_png_is_read_back_exactly():
    picture = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    uri = pictures.data_uri(pictures.png(picture))
    kind, content = uri.split(",")
    assert kind == "data:image/png;base64"
    assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(content)))) == picture).all()


def test_video_is_read_back_with_even_sides_in_a_format_for_browsers(tmp_path: Path):
    levels = np.array([40, 120, 200], dtype=np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (3, 83, 85, 3))
    path = tmp_path / "new" / "episode.mp4"
    pictures.write_video(path, frames, 12.5)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == 12.5
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert [frame.shape for frame in decoded] == [(84, 86, 3)] * 3
    assert [frame.mean() for frame in decoded] == pytest.approx(levels, abs=3)
    assert [file.name for file in path.parent.iterdir()] == ["episode.mp4"]


def test_a_video_takes_frames_one_by_one(tmp_path: Path):
    frames = np.random.default_rng(0).integers(0, 256, (4, 15, 16, 3), dtype=np.uint8)
    pictures.write_video(tmp_path / "whole.mp4", frames, 25)
    pictures.write_video(tmp_path / "parts.mp4", (frame for frame in frames), 25)
    assert (tmp_path / "whole.mp4").read_bytes() == (tmp_path / "parts.mp4").read_bytes()


@pytest.mark.parametrize("frames", [np.zeros((0, 8, 8, 3)), np.zeros((8, 8, 3)), np.zeros((1, 8, 8, 4))])
def test_what_is_no_video_is_refused(tmp_path: Path, frames: np.ndarray):
    with pytest.raises(ValueError, match="time, height, width, 3"):
        pictures.write_video(tmp_path / "a.mp4", frames.astype(np.uint8), 25)
    assert not list(tmp_path.iterdir())


def test_video_that_cannot_be_written_says_so(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        pictures.write_video(tmp_path / "file" / "a.mp4", np.zeros((1, 8, 8, 3), dtype=np.uint8), 25)


@pytest.mark.parametrize("window", [1, 2, 3, 50])
def test_smoothed_is_the_mean_of_its_neighbours(window: int):
    values = list(np.random.default_rng(window).normal(size=20))
    naive = []
    for i in range(20):
        near = [values[j] for j in range(20) if -((window - 1) // 2) <= j - i <= window // 2]
        naive.append(sum(near) / len(near))
    assert figures.smoothed(values, window) == pytest.approx(naive)


def _row(env_steps: int, seed: int, returns: list[float], mode: str = "train") -> dict:
    return dict(method="sac", task="dmc/a_b", seed=seed, mode=mode, env_steps=env_steps, returns=returns)


def test_mode_returns_pools_the_newest_row_of_every_seed():
    rows = [_row(10, 1, [0, 0]), _row(20, 1, [1, 3]), _row(20, 2, [5]), _row(20, 1, [7], "video_hard")]
    train, video = figures.mode_returns(rows)
    # 1, 3, 5: mean 3, deviations -2, 0, 2: variance 8 / 3.
    assert (train.mode, train.returns, train.mean) == ("train", (1, 3, 5), 3)
    assert train.std == pytest.approx((8 / 3) ** 0.5)
    assert (video.mode, video.mean, video.std) == ("video_hard", 7, 0)


def test_training_curve_takes_the_rows_that_have_a_return():
    rows = [{"env_steps": 1, "episode/return": 2}, {"env_steps": 2, "critic/bellman": 1.0}]
    assert figures.training_curve("sac", rows) == figures.Curve("sac", [1.0], [2.0])


HOSTILE = r"_网$\frac{1</script>&"


@pytest.mark.parametrize("draw", ["learning", "modes", "nothing", "curves", "names", "drift", "drift alone"])
def test_charts_are_svg_and_repeat_exactly_and_change_no_setting(draw: str):
    def chart() -> str:
        match draw:
            case "modes":
                return figures.returns_by_mode([figures.ModeReturn(HOSTILE, "video_hard", 3, 1, (2.0, 4.0))])
            case "curves" | "names":
                x = [0.0, 0.5, 1.0] if draw == "curves" else ["a", HOSTILE, "c"]
                series = {f"{HOSTILE}{i}": (x, [0.0, float(i), 1.0]) for i in range(16)}
                band = {f"{HOSTILE}0": ([0.0] * 3, [1.0] * 3)}
                return figures.curves(series, x_label=HOSTILE, y_label=HOSTILE, band=band)
            case "drift" | "drift alone":
                actions = {"video_hard": 0.5} if draw == "drift" else {}
                maps = {HOSTILE: {HOSTILE: 0.2, "video_hard": 0.3}}
                return figures.drift(maps, actions, map_label=HOSTILE, action_label=HOSTILE)
        curves = [figures.Curve(HOSTILE, [0, 1000, 2000], [1, 3, 2])] if draw == "learning" else []
        return figures.learning_curves(curves, levels={HOSTILE: 2.0})

    before = dict(matplotlib.rcParams)
    kind, content = chart().split(",")
    assert kind == "data:image/svg+xml;base64"
    assert ET.fromstring(base64.b64decode(content)).tag.endswith("svg")
    assert chart() == f"{kind},{content}"
    assert dict(matplotlib.rcParams) == before


def _svg(chart: str) -> str:
    return base64.b64decode(chart.split(",")[1]).decode().lower()


def test_a_curve_keeps_its_colour_where_others_are_missing():
    line = ([0.0, 1.0], [0.0, 1.0])
    svg = _svg(figures.curves({"b": line}, x_label="x", y_label="y", names=("a", "b")))
    assert figures.PALETTE[1].lower() in svg
    assert figures.PALETTE[0].lower() not in svg


def test_baselines_take_no_colour_from_the_others():
    line = ([0.0, 1.0], [0.0, 1.0])
    svg = _svg(figures.curves({"uniform": line, "a": line}, x_label="x", y_label="y", baselines=("uniform",)))
    assert figures.PALETTE[0].lower() in svg
    assert figures.PALETTE[1].lower() not in svg


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (["critic.q1.0", "critic.q2.0"], "critic."),
        (["critic.layers.0", "critic.layers.2"], "critic.layers."),
        (["critic", "critic.0"], ""),
        (["actor.0", "critic.0"], ""),
        (["critic.0", "critic.0"], ""),
        ([], ""),
    ],
)
def test_what_names_begin_with_alike_is_told_once(monkeypatch: pytest.MonkeyPatch, names: list[str], shared: str):
    drawn = []
    monkeypatch.setattr(figures, "_finished", lambda figure, axes: drawn.append(axes) or "")
    figures.curves({"a": (names, [0.0] * len(names))}, x_label="layer", y_label="y")
    [axes] = drawn
    assert axes.get_xlabel() == (f"layer (in {shared[:-1]})" if shared else "layer")
    ticks = [tick.get_text() for tick in axes.get_xticklabels()] if names else []
    assert ticks == [name.removeprefix(shared) for name in dict.fromkeys(names)]


def test_21_curves_all_look_different(monkeypatch: pytest.MonkeyPatch):
    drawn = []
    monkeypatch.setattr(figures, "_finished", lambda figure, axes: drawn.extend(axes.get_lines()) or "")
    series = {str(i): ([0.0, 1.0], [0.0, float(i)]) for i in range(21)}
    figures.curves(series, x_label="x", y_label="y")
    looks = {(line.get_color(), line.get_linestyle()) for line in drawn}
    assert len(looks) == len(drawn) == 21
