"""Play the tutorials, and keep the pictures that they show: docs/pictures/tutorials/.

    python scripts/make_tutorial_pictures.py [--out docs/pictures/tutorials]

A tutorial is played as a reader would: its files are written, its Python and its commands run, in order, in an empty
folder. It takes about two minutes of one CPU core; the tests play the same pages.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from saccade.cli import main as saccade

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
FENCE = re.compile(r'^```(\w*)(?: title="([^"]*)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
PICTURES = {
    "1-explain-your-own-agent": {
        "catch_cheats.png": "explanations/catch/grids/train.png",
        "catch_honest.png": "explanations/honest/grids/train.png",
    },
    "2-write-a-method": {"steady_maps.png": "runs/steady/explain/grids/darkness:0.5.png"},
    "3-find-why-a-policy-fails": {
        "fetch_train.png": "where/grids/train.png",
        "fetch_hue.png": "where/grids/hue:0.5.png",
    },
}
"""The kept name of a picture, and the file that a tutorial makes."""


class Block(NamedTuple):
    """One block of a page: ``python``, ``sh`` or ``text``, and the file that it is to be saved as."""

    language: str
    file: str
    code: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in FENCE.findall(page.read_text())]


def play(page: Path) -> dict[str, object]:
    """Do in the working folder what a page asks its reader to do, and return the names that its Python made."""
    names: dict[str, object] = {"__name__": page.stem}
    for block in blocks(page):
        if block.language == "python" and block.file:
            Path(block.file).write_text(block.code)
        elif block.language == "python":
            exec(compile(block.code, page.name, "exec"), names)
        elif block.language == "sh":
            for line in block.code.splitlines():
                words = shlex.split(line, comments=True)
                if words:
                    obey(words)
    return names


def obey(words: list[str]) -> None:
    program, *rest = words
    if program != "saccade":
        raise ValueError(f"A tutorial runs saccade and nothing else, not {program}.")
    if code := saccade(rest):
        raise RuntimeError(f"{shlex.join(words)} ended with {code}")


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder whose files can be imported, and forget them afterwards."""
    before, modules = Path.cwd(), set(sys.modules)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        os.chdir(before)
        sys.path.remove(str(folder))
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]


def keep(made: Path, kept: Path) -> None:
    with Image.open(made) as picture:
        picture.convert("RGB").save(kept, optimize=True)  # with all its colours: in two tutorials they are what matters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures" / "tutorials")
    out = parser.parse_args().out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for page, pictures in PICTURES.items():
        with tempfile.TemporaryDirectory() as folder, inside(Path(folder)):
            play(TUTORIALS / f"{page}.md")
            for kept, made in pictures.items():
                keep(Path(made), out / kept)
                print(out / kept)


if __name__ == "__main__":
    main()
