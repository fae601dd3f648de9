"""The report of an explanation folder: says what is in it, refuses what is damaged, and works in a browser."""

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, browser
from fake_explanations import arrays, square, write_folder
from PIL import Image
from test_page import Reader

from saccade.types import UserError
from saccade.viewer.explanation import (
    amid,
    brightest,
    figure_picture,
    film_frames,
    grid_picture,
    moment_text,
    panels,
    spread,
    write_figure,
)
from saccade.viewer.pictures import BLOCK_GAP, LINE_PIXELS, overlay, upscale, write_video
from saccade.viewer.recorded_maps import read_maps
from saccade.viewer.recordings import read_explanation
from saccade.viewer.report import MOST_PIXELS, write_report

PHONE = 400  # pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("explanation"))


@pytest.fixture(scope="module")
def report(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def read(page: str) -> Reader:
    return Reader(page)


# ------------------------------------------------------------------------------------------ the folder


def test_maps_are_those_of_the_newest_frame(folder: Path):
    explanation = read_explanation(folder)
    assert (explanation.task, explanation.modes_with_maps) == ("dmc/walker_walk", ("train", "video_hard"))
    written, maps = arrays(("gradient", "rise")), read_maps(explanation, "train")
    assert (maps.saliency["rise"] == written["map_rise"][:, -1]).all()
    assert maps.task_mask is not None and (maps.task_mask == square(5, 12)).all()
    assert (maps.obs == written["obs"]).all()
    assert maps.length == 50


@pytest.mark.parametrize("colours", [1, 3])
def test_floats_in_unit_range_look_like_the_same_bytes(tmp_path: Path, colours: int):
    looks = []
    for name, floats in (("bytes", False), ("floats", True)):
        explanation = read_explanation(write_folder(tmp_path / name, floats=floats, colours=colours, stack=4))
        looks.append(panels(read_maps(explanation, "train"))["what the policy sees"].astype(int))
    # The floats were not rounded down to whole bytes before.
    assert np.abs(looks[0] - looks[1]).max() <= 1
    assert looks[0].shape == (5, 12, 12, 3)
    assert (looks[0][..., 0] == looks[0][..., 1]).all() == (colours == 1)


def test_a_method_scored_again_counts_once(tmp_path: Path):
    folder = write_folder(tmp_path)
    row = json.loads((folder / "scores.jsonl").read_text().splitlines()[0])
    with (folder / "scores.jsonl").open("a") as file:
        file.write(json.dumps({**row, "mean": 0.777}) + "\n")
    scores = read_explanation(folder).scores
    key = (row["mode"], row["method"], row["metric"])
    assert [score.mean for score in scores if (score.mode, score.method, score.metric) == key] == [0.777]


def _spoilt(**changes: object):
    """A change of the JSON record; ``...`` removes a field."""

    def spoil(folder: Path) -> None:
        record = json.loads((folder / "explanation.json").read_text()) | changes
        kept = {name: value for name, value in record.items() if value is not ...}
        (folder / "explanation.json").write_text(json.dumps(kept))

    return spoil


def _spoilt_maps(**changes: object):
    def spoil(folder: Path) -> None:
        content = arrays(("gradient", "rise")) | {k: np.asarray(v) for k, v in changes.items() if v is not ...}
        np.savez(folder / "maps" / "train.npz", **{k: v for k, v in content.items() if changes.get(k) is not ...})

    return spoil


def _spoilt_file(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def _emptied(folder: Path) -> None:
    for file in [*(folder / "maps").iterdir(), folder / "scores.jsonl"]:
        file.unlink()


def _cut(folder: Path) -> None:
    path = folder / "maps" / "train.npz"
    path.write_bytes(path.read_bytes()[:-200])


def _rotten(folder: Path) -> None:
    path = folder / "maps" / "train.npz"
    content = bytearray(path.read_bytes())
    content[2000:2100] = bytes(100)
    path.write_bytes(content)


ROW = '{"mode": "m", "method": "g", "metric": "n", "question": "q", "mean": 1, "std": 0, "count": 1, "undefined": 0'
UNKNOWN_LAYERS = ', "curve": {"x": ["a"], "y": [1, 2], "x_label": "x", "y_label": "y"}}'
NAN_MAP = np.full((5, 3, 12, 12), np.nan)
DAMAGES = {
    "no file": (lambda folder: (folder / "explanation.json").unlink(), "holds no explanation"),
    "no JSON": (_spoilt_file("explanation.json", b'{"task'), r"explanation.json' is damaged \("),
    "no text": (_spoilt_file("explanation.json", b"\xff\xfe"), r"explanation.json' is damaged \("),
    "a list": (_spoilt_file("explanation.json", b"[]"), "expected `object`, got `array`"),
    "no task": (_spoilt(task=...), "missing required field `task`"),
    "modes": (_spoilt(modes=[1]), r"expected `str`, got `int` at modes\[0\]"),
    "methods": (_spoilt(methods={"gradient": "fast"}), r"expected `object`, got `str` at methods\[...\]"),
    "nothing inside": (_emptied, "neither maps nor scores"),
    "scores cut": (_spoilt_file("scores.jsonl", ROW.encode()), "scores.jsonl' is damaged .line 1"),
    "scores direction": (_spoilt_file("scores.jsonl", f'{ROW}, "direction": "up"}}'.encode()), "'up' at direction"),
    "scores curve": (_spoilt_file("scores.jsonl", (ROW + UNKNOWN_LAYERS).encode()), "1 places has 2 values"),
    "scores mean": (_spoilt_file("scores.jsonl", ROW.replace("1,", '"1",', 1).encode() + b"}"), "got `str` at mean"),
    "maps cut": (_cut, "train.npz' is damaged"),
    "maps rotten": (_rotten, "train.npz' is damaged"),
    "maps no archive": (_spoilt_file("maps/train.npz", b"hello"), "train.npz' is damaged"),
    "no observations": (_spoilt_maps(obs=...), "train.npz' is damaged"),
    "bright floats": (_spoilt_maps(obs=np.full((5, 9, 12, 12), 200.0)), r"numbers that are not pixels in 0..1"),
    "map size": (_spoilt_maps(map_rise=np.zeros((5, 3, 8, 8))), r"map_rise has shape \[5, 3, 8, 8\]"),
    "map frames": (_spoilt_maps(map_rise=np.zeros((4, 3, 12, 12))), r"map_rise has shape \[4, 3, 12, 12\]"),
    "map NaN": (_spoilt_maps(map_rise=NAN_MAP), "map_rise holds NaN"),
    "colours": (_spoilt_maps(colours=2), "not frames of 2 colours"),
    "steps": (_spoilt_maps(step=[1, 2]), "step holds 2 of 5 frames"),
    "clean": (_spoilt_maps(clean_obs=np.zeros((5, 3, 12, 12), dtype=np.uint8)), r"clean_obs is \[5, 3, 12, 12\]"),
    "picture size": (
        _spoilt_maps(picture_x=np.zeros((5, 3, 13, 12), np.uint8)),
        r"picture_x has shape \[5, 3, 13, 12\]",
    ),
    "picture frames": (_spoilt_maps(picture_x=np.zeros((4, 3, 8, 8), np.uint8)), r"picture_x has shape \[4, 3, 8, 8\]"),
    "picture colours": (
        _spoilt_maps(picture_x=np.zeros((5, 4, 8, 8), np.uint8)),
        r"picture_x has shape \[5, 4, 8, 8\]",
    ),
    "picture floats": (_spoilt_maps(picture_x=np.zeros((5, 3, 8, 8))), "picture_x is of type float64"),
    "picture names": (_spoilt(pictures=[1]), r"expected `str`, got `int` at pictures\[0\]"),
    "pickle": (_spoilt_maps(reward=np.array([None] * 5)), "train.npz' is damaged"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_said_in_one_sentence_and_nothing_is_written(tmp_path: Path, damage: str):
    spoil, sentence = DAMAGES[damage]
    folder = write_folder(tmp_path, modes=("train",))
    spoil(folder)
    with pytest.raises(UserError, match=sentence) as raised:
        write_report(folder)
    assert str(raised.value).endswith("with `saccade explain` or `saccade score`.")
    assert "\n" not in str(raised.value)
    assert not list(folder.glob("*.html"))


def test_a_mode_without_maps_is_refused_where_its_pictures_are_asked_for(folder: Path):
    for draw in (grid_picture, lambda *given: next(film_frames(*given))):
        with pytest.raises(UserError, match="no maps of 'color_hard'"):
            draw(folder, "color_hard")


# ---------------------------------------------------------------------------------------- the pictures


def test_every_method_has_one_brightness_for_all_frames(folder: Path):
    maps = read_maps(read_explanation(folder), "video_hard")
    drawn = panels(maps, np.array([1, 4]))
    assert list(drawn) == ["what the policy sees", "without distraction", "the task (simulator)", "gradient", "rise"]
    # "rise" is signed: its magnitude is drawn, and the limit is that of all frames, not of the two.
    magnitude = np.abs(maps.saliency["rise"])
    limit = float(np.quantile(magnitude, 0.99))
    frame = drawn["what the policy sees"][1]
    assert (drawn["rise"][1] == overlay(frame, magnitude[4], limits=(0.0, limit))).all()
    task = drawn["the task (simulator)"][0]
    where = square(5, 12)[1]
    assert (task[where] == drawn["what the policy sees"][0][where]).all()
    assert task[~where].mean() < 0.5 * drawn["what the policy sees"][0][~where].mean()


def test_brightness_of_maps_that_are_zero_almost_everywhere():
    saliency = np.zeros((1, 100, 100), dtype=np.float32)
    assert brightest(saliency) == 0
    saliency[0, 3, 4] = -2.0
    assert brightest(saliency) == 2.0


@pytest.mark.parametrize(("total", "most", "chosen"), [(3, 8, [0, 1, 2]), (9, 3, [0, 4, 8]), (5, 1, [0])])
def test_frames_are_spread_from_the_first_to_the_last(total: int, most: int, chosen: list[int]):
    assert spread(total, most).tolist() == chosen


def test_the_grid_has_methods_across_and_frames_down(folder: Path):
    picture = grid_picture(folder, "train", rows=3)
    drawn = panels(read_maps(read_explanation(folder), "train"), np.array([0, 2, 4]))
    factor = 14  # 12 pixels become 168
    size, gap = 12 * factor, 4
    for row in range(3):
        for column, frames in enumerate(drawn.values()):
            bottom = picture.shape[0] - (2 - row) * (size + gap)
            right = picture.shape[1] - (len(drawn) - 1 - column) * (size + gap)
            assert (picture[bottom - size : bottom, right - size : right] == upscale(frames[row], factor)).all()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The explanation of an agent with pictures of its own, one of them smaller than what it sees."""
    return write_folder(tmp_path_factory.mktemp("pictures"), pictures=("foreground_mask", "masked"))


def test_the_agents_own_pictures_are_drawn_as_they_are_and_small_ones_in_the_middle(drawn: Path):
    written = arrays(("gradient", "rise"), pictures=("foreground_mask", "masked"), seed=1)
    shown = panels(read_maps(read_explanation(drawn), "video_hard"), np.array([1, 3]))
    assert list(shown)[-2:] == ["foreground mask (agent)", "masked (agent)"]
    assert (shown["foreground mask (agent)"] == np.moveaxis(written["picture_foreground_mask"][[1, 3]], 1, -1)).all()
    small = shown["masked (agent)"]
    assert small.shape == (2, 12, 12, 3)
    # 7 of 12 rows: two white ones above and three below; 10 of 12 columns: one on either side.
    assert (small[:, 2:9, 1:11] == np.moveaxis(written["picture_masked"][[1, 3]], 1, -1)).all()
    assert (small[:, [0, 1, 9, 10, 11]] == 255).all() and (small[:, :, [0, 11]] == 255).all()


def test_of_a_stacked_picture_the_newest_frame_is_drawn(drawn: Path):
    maps = drawn / "maps" / "train.npz"
    content = arrays(("gradient", "rise"), pictures=("foreground_mask", "masked"))
    newest = content["picture_masked"]
    np.savez(maps, **content | {"picture_masked": np.concatenate([255 - newest, newest], axis=1)})
    assert (read_maps(read_explanation(drawn), "train").pictures["masked"] == newest).all()


@pytest.mark.parametrize(("total", "most", "chosen"), [(16, 2, [4, 12]), (5, 2, [1, 3]), (1, 2, [0]), (2, 2, [0, 1])])
def test_moments_of_a_figure_are_amid_the_episode(total: int, most: int, chosen: list[int]):
    assert amid(total, most).tolist() == chosen


def test_the_figure_has_modes_down_and_pictures_across(drawn: Path):
    figure = figure_picture(drawn)
    assert figure is not None
    explanation = read_explanation(drawn)
    factor, gap = 14, 4  # 12 pixels become 168
    size = 12 * factor
    bottom = figure.shape[0]
    for mode in ("video_hard", "train"):  # from below, where no label is in the way
        shown = panels(read_maps(explanation, mode), np.array([1, 3]))
        columns = ("what the policy sees", "foreground mask (agent)", "masked (agent)")
        for row in (1, 0):
            for place, label in enumerate(columns):
                right = figure.shape[1] - (len(columns) - 1 - place) * (size + gap)
                assert (
                    figure[bottom - size : bottom, right - size : right] == upscale(shown[label][row], factor)
                ).all()
            bottom -= size + gap
        bottom -= BLOCK_GAP
    left = figure.shape[1] - 3 * size - 2 * gap
    assert figure[-size:, :left].min() < 100  # the mode and the step stand beside the row


def test_a_figure_is_written_where_there_are_pictures(drawn: Path, folder: Path):
    assert figure_picture(folder) is None and write_figure(folder) is None
    assert not (folder / "figure.png").exists()
    path = write_figure(drawn)
    assert path == drawn / "figure.png"
    assert (np.asarray(Image.open(path)) == figure_picture(drawn)).all()


def test_a_mode_from_before_there_were_pictures_is_left_out_of_the_figure(drawn: Path, tmp_path: Path):
    for name in ("explanation.json", "maps/train.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((drawn / name).read_bytes())
    alone = figure_picture(tmp_path)
    np.savez(tmp_path / "maps" / "video_hard.npz", **arrays(("gradient", "rise")))
    assert alone is not None and (figure_picture(tmp_path) == alone).all()


def test_a_film_has_a_frame_for_each_moment_and_tells_what_happened(folder: Path, tmp_path: Path):
    frames = list(film_frames(folder, "train"))
    assert len(frames) == 5
    assert len({frame.shape for frame in frames}) == 1
    seen = upscale(panels(read_maps(read_explanation(folder), "train"))["what the policy sees"], 14)
    for index, frame in enumerate(frames):
        places = [(y, x) for y in range(70) for x in (8,) if (frame[y : y + 168, x : x + 168] == seen[index]).all()]
        assert len(places) == 1
        assert frame[-2 * LINE_PIXELS :].min() < 100  # the line of text
    write_video(tmp_path / "a.mp4", film_frames(folder, "train"), 4)
    assert (tmp_path / "a.mp4").stat().st_size > 1000


def test_a_line_tells_what_happened(folder: Path):
    maps = read_maps(read_explanation(folder), "train")
    line = moment_text(maps, 2)
    assert line.startswith(f"step 20 of 50 · reward {maps.reward[2]:.3g} · action ")
    numbers = [float(number) for number in line.replace("\u2212", "-").split("action ")[1].split()]
    assert numbers == pytest.approx(maps.action[2].tolist(), abs=0.0051)


# ------------------------------------------------------------------------------------------ the report


def test_the_report_says_what_was_explained_and_how_to_repeat_it(report: str):
    reader = read(report)
    facts = dict(zip(reader.text("dt"), reader.text("dd"), strict=True))
    assert facts["policy"] == "sgqn"
    assert facts["trained for"] == "500000 agent steps"
    assert facts["gradient"] == "What gradient does. Source: Somebody, 2010. Explains “q”."
    assert facts["rise"].endswith("Explains “value_distance”.")
    assert facts["sarfa"] == "It needs discrete actions."
    assert facts["environment: image_size"] == "12"
    assert "every" not in facts  # not set
    assert facts["torch"] == "2.13"
    [code] = reader.text("code")
    assert code.splitlines() == [
        f"saccade {verb} runs/dmc-walker_walk/sgqn/0 --task dmc/walker_walk --modes train video_hard"
        for verb in ("explain", "score")
    ]


def test_the_report_has_a_film_for_each_mode_and_a_table_for_each_question_and_mode(report: str):
    reader = read(report)
    classes = [attributes.get("class") for _, attributes in reader.elements]
    assert (classes.count("film"), classes.count("part")) == (1, 2)  # under one slider
    assert reader.text("p").count("train") == reader.text("p").count("video_hard") == 1
    assert reader.count("table") == 2 * 4 + 1  # four questions in two modes, and the costs
    headings = reader.text("h2")
    assert headings[:3] == ["What it looks at", *headings[1:3]]
    assert "Do the maps point at what matters for the task?" in headings
    assert reader.text("a") == headings
    # insertion, deletion and randomisation in two modes, and one picture of the drift
    charts = [attributes for tag, attributes in reader.elements if attributes.get("class") == "chart"]
    assert len(charts) == 2 * 3 + 1
    captions = " ".join(reader.text("figcaption"))
    for word in ("slider", "the most salient ones first", "random weights", "moves the action"):
        assert word in captions


def test_the_best_method_is_marked_and_baselines_are_not(report: str):
    cells = read(report).text("strong")
    # Of 0.10 and 0.15 the first where lower is better (insertion, randomisation, map_drift); where higher is
    # (pointing_game, mass_inside, deletion) the baseline's 0.20 beats both, so that none is, and that is told.
    assert cells.count("0.10 ± 0.01") == 2 * 3
    assert "0.15 ± 0.01" not in cells and "0.20 ± 0.01" not in cells
    captions = " ".join(read(report).text("figcaption"))
    assert captions.count("No method beats every row that was made without the network in ") == 2 * 2
    assert captions.count("in pointing_game, mass_inside: no map is marked") == 2
    assert captions.count("in deletion: no map is marked") == 2
    assert cells[-2:] == ["2.00", "10.0"]  # milliseconds


def test_empty_maps_and_twins_are_told_and_crossed_out(tmp_path: Path):
    methods = ("gradient", "rise", "grad_cam", "occlusion", "smoothgrad")
    content = arrays(methods)
    content["map_rise"] = content["map_gradient"].copy()
    content["map_smoothgrad"] = content["map_gradient"].copy()
    content["map_grad_cam"][:] = 0
    content["map_occlusion"][[0, 3], -1] = 0
    folder = write_folder(tmp_path, methods=methods, modes=("train",), scores=False)
    np.savez(folder / "maps" / "train.npz", **content)
    caption = " ".join(read(write_report(folder).read_text()).text("figcaption"))
    assert (
        "grad_cam is zero everywhere in every frame: it says nothing there, and its picture is crossed out." in caption
    )
    assert "occlusion is zero everywhere in 2 of 5 frames" in caption
    assert "gradient and rise and smoothgrad gave exactly the same maps, number for number" in caption
    drawn = panels(read_maps(read_explanation(folder), "train"))
    assert "grad_cam (zero everywhere)" in drawn and "grad_cam" not in drawn
    corners = {name: [tuple(frame[-1, 0]) for frame in frames] for name, frames in drawn.items()}
    crossed = (255, 255, 255)
    assert corners["grad_cam (zero everywhere)"] == [crossed] * 5
    assert [corner == crossed for corner in corners["occlusion"]] == [True, False, False, True, False]


def test_what_a_mode_changes_stands_in_every_caption_and_is_marked(tmp_path: Path):
    folder = write_folder(tmp_path, modes=("train", "video_easy", "color_hard"))
    record = json.loads((folder / "explanation.json").read_text())
    record["changed_pixels"] = {"train": None, "video_easy": 0.001, "color_hard": 0.62}
    (folder / "explanation.json").write_text(json.dumps(record))
    page = read(write_report(folder).read_text())
    captions = page.text("figcaption") + page.text("p")
    easy, hard, train = (
        [caption for caption in captions if f"ode {mode}" in caption] for mode in ("video_easy", "color_hard", "train")
    )
    told = "Mode video_easy changes 0.1% ! of the pixels in these states. That is next to nothing"
    tables = [caption for caption in easy if "standard deviation" in caption]
    assert len(tables) == 4 and all(told in caption for caption in tables)
    assert any("moments of one episode" in caption and told in caption for caption in easy)
    assert all("Mode color_hard changes 62% of the pixels" in one for one in hard if "standard deviation" in one)
    assert not any("next to nothing" in caption for caption in hard)
    assert not any("of the pixels in these states" in caption for caption in train)


def test_maps_that_differ_are_not_remarked_upon(report: str):
    captions = " ".join(read(report).text("figcaption"))
    assert "zero everywhere" not in captions and "exactly the same maps" not in captions


def test_undefined_numbers_are_a_dash_and_are_told(tmp_path: Path):
    folder = write_folder(tmp_path, modes=("train",), maps=False)
    row = json.loads((folder / "scores.jsonl").read_text().splitlines()[0])
    rows = [{**row, "mean": None, "std": None, "count": 0, "undefined": 5}, {**row, "method": "rise", "undefined": 0}]
    (folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    reader = read(write_report(folder).read_text())
    assert reader.text("td")[0] == "–"
    captions = " ".join(reader.text("figcaption"))
    assert "Undefined, and left out of the mean: gradient in all frames (pointing_game)." in captions


def test_words_of_metrics_are_shown_where_rows_carry_them(tmp_path: Path):
    folder = write_folder(tmp_path, modes=("train",), maps=False)
    row = json.loads((folder / "scores.jsonl").read_text().splitlines()[0])
    row |= dict(question="my_question", summary="whether it points", source="Me, 2026")
    (folder / "scores.jsonl").write_text(json.dumps(row))
    reader = read(write_report(folder).read_text())
    assert "My question" in reader.text("h2")
    assert "Whether it points. Source: Me, 2026." in reader.text("dd")


def test_a_column_has_the_decimals_that_its_largest_number_needs(tmp_path: Path):
    folder = write_folder(tmp_path, modes=("train",), maps=False)
    row = json.loads((folder / "scores.jsonl").read_text().splitlines()[0])
    means = {"a": (0.0666, 0.5), "b": (0.0333, -0.04), "c": (12.34, 0.0)}
    rows = [
        {**row, "metric": metric, "method": method, "mean": mean, "std": 0.01, "count": count}
        for metric, pair in means.items()
        for method, mean, count in zip(("gradient", "rise"), pair, (5, 1), strict=True)
    ]
    (folder / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    reader = read(write_report(folder).read_text())
    cells = [text for tag, text in reader.texts if tag in ("td", "strong")]
    # One number has no deviation. Decimals: 2 for 0.5, 4 for 0.04, 1 for 12.
    assert cells[:6] == ["0.07 ± 0.01", "0.0333 ± 0.0100", "12.3 ± 0.0", "0.50", "\u22120.0400", "0.0"]


def test_layers_of_different_networks_are_in_charts_of_their_own(tmp_path: Path):
    folder = write_folder(tmp_path, modes=("train",), maps=False)
    rows = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    [first, second] = [row for row in rows if row["metric"] == "randomisation"][:2]
    second["curve"]["x"] = ["critic.2", "critic.0", "encoder.0"]
    (folder / "scores.jsonl").write_text(json.dumps(first) + "\n" + json.dumps(second) + "\n")
    reader = read(write_report(folder).read_text())
    assert [attributes.get("class") for _, attributes in reader.elements].count("chart") == 2


def test_the_report_shows_what_the_agent_makes_of_it(drawn: Path, report: str):
    reader = read(write_report(drawn).read_text())
    assert "What the agent makes of it" in reader.text("h2") and "What the agent makes of it" not in read(report).text(
        "h2"
    )
    labels = [attributes["aria-label"] for tag, attributes in reader.elements if tag == "svg"]
    assert labels.count("what the agent makes of the frame: the frame seen through its mask") == 2  # two modes
    assert labels.count("what the agent makes of the frame: its foreground mask, white where it is 1") == 2
    assert "foreground mask (agent)" in reader.text("small")
    charts = [attributes for _, attributes in reader.elements if attributes.get("class") == "chart"]
    [figure] = [chart for chart in charts if str(chart["src"]).startswith("data:image/png")]
    assert figure["alt"] == "what the agent makes of some moments in train, video_hard"
    captions = " ".join(reader.text("figcaption"))
    assert "ends in “(agent)”" in captions and "masked: the frame seen through its mask" in captions
    assert "(agent)" not in report


@pytest.mark.parametrize(("maps", "scores"), [(True, False), (False, True)])
def test_half_a_folder_gives_half_a_report(tmp_path: Path, maps: bool, scores: bool):
    reader = read(write_report(write_folder(tmp_path, maps=maps, scores=scores)).read_text())
    assert (reader.count("svg") > 0) == maps
    assert (reader.count("table") > 1) == scores
    [code] = reader.text("code")
    assert ("saccade explain" in code, "saccade score" in code) == (maps, scores)


def test_frames_of_one_colour_without_truth_make_a_film(tmp_path: Path):
    settings = dict(colours=1, stack=4, floats=True, truth=False)
    reader = read(write_report(write_folder(tmp_path, modes=("train",), **settings)).read_text())
    assert reader.count("svg") == 4  # frame, clean frame, two methods


def test_long_films_are_thinned_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = write_folder(tmp_path, modes=("train",), frames=40)
    monkeypatch.setattr("saccade.viewer.report.MOST_PIXELS", 10 * 5 * 12 * 12)  # ten frames of five panels
    page = write_report(folder).read_text()
    assert "10 of 40 recorded moments" in page
    assert 'max="39"' in page  # curves and texts are of all moments
    drawn = json.loads(re.search(r'data-drawn="([^"]*)"', page)[1])
    assert drawn[0] == 0 and drawn[-1] == 39 and len(drawn) == 10
    assert MOST_PIXELS > 2 * 18 * 32 * 84 * 84  # what is common need not be thinned


def test_the_report_stands_alone(report: str):
    assert not re.search(r"""(src|href)=["'](?!data:image/|data:,|\#part-\d)""", report)
    assert "file:" not in report
    assert str(Path.home()) not in report


def test_two_modes_of_fifteen_methods_are_small_enough_to_send(tmp_path: Path):
    methods = tuple(f"method_{i}" for i in range(15))
    folder = write_folder(tmp_path, methods=methods, modes=("train",), frames=16, size=84, scores=False)
    # A quarter of what is meant: one mode of two, half of 32 frames.
    assert write_report(folder).stat().st_size < 10e6 / 4


# ----------------------------------------------------------------------------------------- the browser


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def page(tab: Browser, folder: Path, report: str) -> Browser:
    tab.open(folder / "report.html")
    return tab


SHEETS = """Promise.all([...document.querySelectorAll(".film image")].map(async (sheet) => {
  const image = new Image();
  image.src = sheet.getAttribute("href");
  await image.decode();
  return [image.naturalWidth, image.naturalHeight, +sheet.getAttribute("width"), +sheet.getAttribute("height")];
}))"""
CELLS = "[...document.querySelectorAll('table')[0].tBodies[0].rows].map((row) => row.cells[0].textContent)"
LINE, COUNT, SLIDER = (f"document.querySelector('.film {part}')" for part in (".line", ".count", "input"))


def seen(page: Browser) -> np.ndarray:
    """The first panel of the first film as the browser shows it, one pixel for each of its 12 x 12."""
    shown = np.asarray(Image.open(io.BytesIO(page.pixels(".film svg"))).convert("RGB")).astype(int)
    middles = ((np.arange(12) + 0.5) / 12 * np.array([[shown.shape[0]], [shown.shape[1]]])).astype(int)
    return shown[np.ix_(middles[0], middles[1])]


def test_every_picture_is_decoded_and_nothing_is_forbidden(page: Browser):
    images = page.value(
        "Promise.all([...document.images].map(async (i) => { await i.decode(); return i.naturalWidth; }))"
    )
    assert len(images) == 1 + 7  # a scale, seven charts
    assert min(images) > 0
    sheets = page.value(SHEETS)
    assert len(sheets) == 2 * 5
    assert all(sheet == [3 * 16, 2 * 16, 3 * 16, 2 * 16] for sheet in sheets)
    assert page.problems == []


def test_the_slider_moves_what_is_shown(page: Browser, folder: Path):
    maps = read_maps(read_explanation(folder), "train")
    frames = panels(maps)["what the policy sees"].astype(int)
    assert np.abs(seen(page) - frames[0]).max() <= 2
    page.value(f"{SLIDER}.value = 3, {SLIDER}.dispatchEvent(new Event('input'))")
    assert np.abs(seen(page) - frames[3]).max() <= 2
    others = read_maps(read_explanation(folder), "video_hard")
    assert page.value(f"{LINE}.textContent") == moment_text(maps, 3)
    assert page.value(f"{SLIDER}.getAttribute('aria-valuetext')") == f"{moment_text(maps, 3)}; {moment_text(others, 3)}"
    assert page.value(f"{COUNT}.textContent") == "4 of 5"


def test_arrow_keys_move_the_film_from_the_slider_and_from_the_button(page: Browser):
    for focused in ("input", ".moving button"):
        page.value(f"document.querySelector('.film {focused}').focus()")
        before = page.value(f"{SLIDER}.valueAsNumber")
        page.press("ArrowRight")
        page.press("ArrowRight")
        page.press("ArrowLeft")
        assert page.value(f"{SLIDER}.valueAsNumber") == before + 1
        assert page.value(f"{COUNT}.textContent") == f"{before + 2} of 5"


def test_pictures_are_left_out_and_enlarged_in_every_mode(page: Browser):
    shown = "[...document.querySelectorAll('.panel')].map((panel) => panel.offsetWidth)"
    widths = page.value(shown)
    names = page.value("[...document.querySelectorAll('.choices button')].map((button) => button.textContent)")
    assert names[0] == "what the policy sees" and len(names) * 2 == len(widths) and min(widths) > 0
    second = "document.querySelectorAll('.choices button')[1]"
    page.value(f"{second}.click()")
    hidden = page.value(shown)
    assert [width == 0 for width in hidden] == [place % len(names) == 1 for place in range(len(widths))]
    assert page.value(f"{second}.getAttribute('aria-pressed')") == "false"
    page.value(f"{second}.click()")
    assert page.value(shown) == widths
    enlarge = "document.querySelector('.panel .enlarge')"
    assert page.value(f"{enlarge}.getAttribute('aria-label')") == "Enlarge what the policy sees"
    page.value(f"{enlarge}.click()")
    assert page.value(shown)[0] > 2 * widths[0]
    page.value(f"{enlarge}.click()")
    assert page.value(shown) == widths


def test_a_shorter_film_waits_at_its_last_frame(tab: Browser, tmp_path: Path):
    folder = write_folder(tmp_path)
    short = arrays(("gradient", "rise"), frames=2)
    np.savez(folder / "maps" / "video_hard.npz", **short)
    tab.open(write_report(folder))
    tab.value(f"{SLIDER}.value = 4, {SLIDER}.dispatchEvent(new Event('input'))")
    lines = tab.value("[...document.querySelectorAll('.film .line')].map((line) => line.textContent)")
    explanation = read_explanation(folder)
    assert lines == [
        moment_text(read_maps(explanation, "train"), 4),
        moment_text(read_maps(explanation, "video_hard"), 1),
    ]
    assert tab.value(f"{COUNT}.textContent") == "5 of 5"


def test_settings_are_folded_away(page: Browser):
    settings = "document.querySelector('details dl')"
    assert page.value(f"{settings}.checkVisibility()") is False
    page.value("document.querySelector('summary').click()")
    assert page.value(f"{settings}.checkVisibility()") is True


def test_play_runs_until_it_is_paused(page: Browser):
    button = "document.querySelector('.film .moving button')"
    frames = f"""new Promise((done) => {{
      {button}.click();
      const shown = new Set();
      const timer = setInterval(() => {{
        shown.add({LINE}.textContent);
        if (shown.size < 5) return;
        clearInterval(timer);
        {button}.click();
        done([shown.size, {button}.textContent, {SLIDER}.value]);
      }}, 20);
    }})"""
    count, text, paused_at = page.value(frames)
    assert (count, text) == (5, "Play")
    assert page.value(f"new Promise((done) => setTimeout(() => done({SLIDER}.value), 600))") == paused_at


def test_a_click_on_a_column_sorts_the_best_first(page: Browser):
    title = "document.querySelectorAll('table')[0].tHead.rows[0].cells[1]"
    assert page.value(CELLS) == ["gradient", "rise", "uniform"]
    page.value(f"{title}.querySelector('button').click()")
    assert page.value(CELLS) == ["uniform", "rise", "gradient"]  # higher is better
    assert page.value(f"{title}.getAttribute('aria-sort')") == "descending"
    page.value(f"{title}.querySelector('button').click()")
    assert page.value(CELLS) == ["gradient", "rise", "uniform"]
    name = title.replace("cells[1]", "cells[0]")
    page.value(f"{name}.querySelector('button').click()")
    assert page.value(f"{name}.getAttribute('aria-sort')") == "ascending"


def test_without_scripts_the_first_frame_is_shown(page: Browser, folder: Path):
    page.open(folder / "report.html", scripts=False)
    frames = panels(read_maps(read_explanation(folder), "train"))["what the policy sees"].astype(int)
    assert np.abs(seen(page) - frames[0]).max() <= 2
    assert page.value("document.querySelector('.moving').offsetHeight") == 0
    assert "first of 5 frames" in page.value("document.body.innerText")


def test_a_phone_need_not_scroll_sideways(page: Browser, folder: Path):
    page.open(folder / "report.html", width=PHONE)
    assert page.value("document.documentElement.scrollWidth") <= PHONE
    assert page.value("document.querySelector('.film svg').getBoundingClientRect().width") > 100


def test_in_the_dark_the_page_is_dark(page: Browser, folder: Path):
    brightness = []
    for dark in (False, True):
        page.open(folder / "report.html", dark=dark)
        picture = Image.open(io.BytesIO(page.screenshot(clip=dict(x=0, y=0, width=300, height=60, scale=1))))
        brightness.append(np.asarray(picture.convert("L")).mean())
    assert brightness[0] > 200 and brightness[1] < 60


def test_on_paper_there_is_nothing_to_press(page: Browser):
    page.send("Emulation.setEmulatedMedia", media="print")
    assert page.value("document.querySelector('.moving').offsetHeight") == 0
    assert page.value(f"{LINE}.offsetHeight") > 0
    page.send("Emulation.setEmulatedMedia", media="")
    paper = base64.b64decode(page.send("Page.printToPDF")["data"])
    assert paper.startswith(b"%PDF")
