"""Generated trials in the form of Atari-HEAD: for tests, and to try commands without a download."""

from __future__ import annotations

import bz2
import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from saccade.data.atari_head.archive import HEIGHT, WIDTH
from saccade.data.atari_head.folder import META_DATA
from saccade.data.files import written_aside

Layout = Literal["flat", "zips"]
"""One folder for all trials, as in the first editions; or one zip per game, as in the later ones."""

BACKGROUND, BALL, PADDLE = (24, 28, 60), (240, 200, 60), (90, 190, 230)
SIDE = 10  # of the ball, in pixels
SAMPLES = 20  # of gaze in a picture
SCATTER = 4.0  # standard deviation in pixels of gaze around the ball
ACTIONS = 4


def write_trials(
    folder: Path,
    layout: Layout = "flat",
    *,
    game: str = "Breakout",
    trials: Sequence[int] = (901, 902),
    images: int = 61,
    seed: int = 0,
) -> Path:
    """Write trials in which a square moves about and is looked at most of the time; return the folder.

    Some pictures have no gaze or little, some gaze lies outside, and the last line is empty, as in real trials. With
    zips, every second trial is in ``highscore/``.
    """
    spelled = game if layout == "flat" else game.lower()
    rows, packed = [], {}
    for number in trials:
        name = f"{number}_XX_{1000000 + number}_Jan-01-00-00-00"
        drawn, ball = _played(np.random.default_rng((seed, number)), images)
        packed[name] = (_archive(name, drawn), _text(name, ball, np.random.default_rng((seed, number, 1))))
        rows.append(f"{number},{spelled},{images}" if layout == "flat" else f"{spelled}, {number}, XX, 0, 0, {images}")
        if layout == "flat":
            for ending, content in zip((".tar.bz2", ".txt"), packed[name], strict=True):
                with written_aside(folder / f"{name}{ending}") as path:
                    path.write_bytes(content)
    if layout == "zips":
        with written_aside(folder / f"{spelled}.zip") as path, zipfile.ZipFile(path, "w") as archive:
            for place, (name, contents) in enumerate(packed.items()):
                where = f"{spelled}/highscore" if place % 2 else spelled
                for ending, content in zip((".tar.bz2", ".txt"), contents, strict=True):
                    archive.writestr(f"{where}/{name}{ending}", content)
    titles = (
        "TrialNumber,Game,NumberOfFrames"
        if layout == "flat"
        else "GameName, trial_id, subject_id, load_trial, highest_score, total_frame"
    )
    with written_aside(folder / META_DATA) as path:
        path.write_text("\n".join([titles, *rows, "All together,,"]) + "\n")
    return folder


def _played(random: np.random.Generator, images: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Pictures ``[images, 210, 160, 3]``, and the middle of the ball in each, x and y."""
    room = np.array([WIDTH - SIDE, HEIGHT - 50.0])
    start, speed = random.random(2) * room, random.choice([-1, 1], 2) * random.uniform(2, 5, 2)
    place = start + speed * np.arange(images)[:, None]
    corner = np.rint(room - np.abs(place % (2 * room) - room)).astype(int)  # reflected at the walls
    drawn = np.empty((images, HEIGHT, WIDTH, 3), np.uint8)
    drawn[:] = BACKGROUND
    for picture, (x, y) in zip(drawn, corner, strict=True):
        picture[y : y + SIDE, x : x + SIDE] = BALL
        picture[HEIGHT - 20 : HEIGHT - 15, max(x - 8, 0) : x + 18] = PADDLE
    return drawn, corner + SIDE / 2


def _text(name: str, ball: NDArray[np.float64], random: np.random.Generator) -> bytes:
    stem = name.split("_", 1)[1].rsplit("_", 1)[0]
    lines = ["frame_id,episode_id,score,duration(ms),unclipped_reward,action,gaze_positions"]
    for number, place in enumerate(ball, start=1):
        if number == len(ball):
            lines.append(f"{stem}_{number},null,null,null,null,null,null")
            continue
        count = 0 if number % 17 == 0 else 3 if number % 11 == 0 else SAMPLES
        where = place + random.normal(0, SCATTER, (count, 2)) - (400 * (number % 23 == 0), 0)
        gaze = ",".join(f"{value:.2f}" for value in where.ravel()) or "null"
        lines.append(f"{stem}_{number},null,null,50,0,{random.integers(ACTIONS)},{gaze}")
    return ("\n".join(lines) + "\n").encode()


def _archive(name: str, drawn: NDArray[np.uint8]) -> bytes:
    """A tar.bz2 whose pictures are in alphabetical order of their names, after their folder."""
    from PIL import Image

    stem = name.split("_", 1)[1].rsplit("_", 1)[0]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo(name)
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for number in sorted(range(1, len(drawn) + 1), key=str):
            content = io.BytesIO()
            Image.fromarray(drawn[number - 1]).save(content, format="PNG")
            member = tarfile.TarInfo(f"{name}/{stem}_{number}.png")
            member.size = len(content.getvalue())
            archive.addfile(member, io.BytesIO(content.getvalue()))
    return bz2.compress(buffer.getvalue())
