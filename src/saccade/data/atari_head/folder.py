"""The trials in a folder of Atari-HEAD, in both layouts that are published.

The first editions (Zenodo 2603190) are flat: a ``.tar.bz2`` and a ``.txt`` for each trial, and ``meta_data.csv``, which
says whose game it is. The later ones (3451402) have a zip for each game, with the same two files in it.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import final

from saccade.data.atari_head.archive import DAMAGED, Place, members_of, read_text
from saccade.data.contents import contents_of
from saccade.data.files import refuse_endless
from saccade.types import UserError

VARIABLE = "SACCADE_GAZE"
META_DATA = "meta_data.csv"
MOST_META_DATA = 2**24
PICTURES, TEXT = ".tar.bz2", ".txt"
GAME_COLUMNS, TRIAL_COLUMNS = ("gamename", "game"), ("trial_id", "trialnumber")
TRIAL_NAME = re.compile(r"([0-9]{1,9})_.+", re.ASCII)
GYMNASIUM_ID = re.compile(r"^(?:ALE/|atari/)|(?:NoFrameskip|Deterministic)?-v[0-9]+$|@.*$")
ENDINGS = ("highscore", "infinite")  # of a best player's games, and of Breakout whose wall comes back

GAMES = {
    "Alien": 18, "Asterix": 9, "BankHeist": 18, "Berzerk": 18, "Breakout": 4, "Centipede": 18, "DemonAttack": 6,
    "Enduro": 9, "Freeway": 3, "Frostbite": 18, "Hero": 18, "MontezumaRevenge": 18, "MsPacman": 9, "NameThisGame": 6,
    "Phoenix": 8, "Riverraid": 18, "RoadRunner": 18, "Seaquest": 18, "SpaceInvaders": 6, "Venture": 18,
}  # fmt: skip
"""The games that people played, as the Arcade Learning Environment spells them, and their number of actions."""


@final
@dataclass(frozen=True)
class Trial:
    """One person's game: the place of its two files. ``text`` is None if it is missing."""

    number: int
    name: str
    game: str | None
    pictures: Place
    text: Place | None


@final
@dataclass(frozen=True)
class GazeFolder:
    """The contents of a folder of Atari-HEAD; ``damaged`` are zips that cannot be opened."""

    root: Path
    trials: tuple[Trial, ...]
    damaged: tuple[Path, ...] = ()

    def of_game(self, game: str, numbers: Sequence[int] = ()) -> tuple[Trial, ...]:
        """Return the trials of a game, by number; the ones listed, or all.

        Raises:
            UserError: there is none, or no such one; the message says which there are.
        """
        found = {trial.number: trial for trial in self.trials if trial.game == game}
        broken = [path for path in self.damaged if game_named(path.stem) == game]
        if broken and not found:
            raise UserError(f"{broken[0]} cannot be read (cut off or damaged): download it again.")
        if not found:
            have = ", ".join(sorted({trial.game for trial in self.trials if trial.game}))
            why = f"it has {have}" if have else f"it does not say which games those are, as {META_DATA} is missing"
            raise UserError(f"{self.root} has no trial of {game}: {why}.")
        for number in numbers:
            if number not in found:
                have = ", ".join(map(str, found))
                raise UserError(f"{self.root} has no trial {number} of {game}: it has {have}.")
        return tuple(found[number] for number in (dict.fromkeys(numbers) if numbers else found))


def game_named(name: str) -> str | None:
    """Return the game that a name means, spelled as in ``GAMES``; None if people did not play it.

    Files and tables spell games in many ways: ``ms_pacman``, ``mspacman``, ``Ms_Pacman_highscore``; and environments:
    ``atari/MsPacman``, ``ALE/MsPacman-v5``, ``MsPacmanNoFrameskip-v4``.
    """
    letters = _letters(GYMNASIUM_ID.sub("", GYMNASIUM_ID.sub("", name)))
    for ending in ENDINGS:
        letters = letters.removesuffix(ending)
    return _BY_LETTERS.get(letters)


def checked_game(name: str) -> str:
    """Return the same, but raise UserError, with a list of the games, for one that people did not play."""
    game = game_named(name)
    if game is None:
        raise UserError(f"Atari-HEAD has no {name}: people played {', '.join(GAMES)}.")
    return game


def find_gaze(explicit: str | Path | None = None) -> GazeFolder:
    """Find the trials in the folder that was asked for: ``explicit``, else the variable SACCADE_GAZE.

    No archive is unpacked for this.

    Raises:
        UserError: neither is given, the folder does not exist, or it holds no trial.
    """
    given = explicit if explicit is not None else os.environ.get(VARIABLE) or None
    if given is None:
        raise UserError(f"Say where Atari-HEAD is: give --gaze FOLDER, or set {VARIABLE}.")
    root = Path(given).expanduser()
    refuse_endless(root, folder=True)
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise UserError(f"Gaze folder {root} {what}: give the one with {_EXPECTED}.")
    contents = contents_of(root, (".bz2", TEXT, ".zip", ".csv"))
    games = _games_named([path for path in contents.files if path.name == META_DATA])
    places: list[Place] = []
    damaged: list[Path] = []
    for path in contents.files:
        if path.suffix.lower() == ".zip":
            try:
                places += [Place(path, member) for member in members_of(path)]
            except DAMAGED:
                damaged.append(path)
        else:
            places.append(Place(path))
    trials = sorted(_trials(places, games), key=lambda trial: trial.number)
    if not trials and damaged:
        raise UserError(f"{damaged[0]} cannot be read (cut off or damaged): download it again.")
    if not trials:
        raise UserError(f"{root} holds no trial of Atari-HEAD: give the folder with {_EXPECTED}.")
    for before, after in pairwise(trials):
        if before.number == after.number:
            raise UserError(f"{root} holds trial {after.number} twice: {before.pictures} and {after.pictures}.")
    return GazeFolder(root, tuple(trials), tuple(damaged))


_EXPECTED = (
    "a .tar.bz2 and a .txt for each trial and meta_data.csv (first editions), or a zip for each game (later ones), as "
    "they are downloaded"
)


def _trials(places: Iterable[Place], games: dict[int, str]) -> Iterator[Trial]:
    """Pair files of the same name."""
    texts = {(place.path.parent if place.member is None else place.path, _stem(place, TEXT)): place for place in places}
    for place in places:
        stem = _stem(place, PICTURES)
        name = None if stem is None else PurePosixPath(stem).name
        named = None if name is None else TRIAL_NAME.fullmatch(name)
        if name is None or named is None:
            continue
        number = int(named.group(1))
        where = place.path.parent if place.member is None else place.path
        game = games.get(number) or _game_of(place)
        yield Trial(number, name, game, place, texts.get((where, stem)))


def _stem(place: Place, ending: str) -> str | None:
    """A file's name within its folder, or a member's whole name, without the ending; None if it has another ending."""
    name = place.path.name if place.member is None else place.member
    return name[: -len(ending)] if name.lower().endswith(ending) else None


def _game_of(place: Place) -> str | None:
    """The game in the names of folders or the zip, innermost first."""
    within = PurePosixPath(place.member).parent.parts if place.member is not None else ()
    outside = (
        place.path.stem if place.member is not None else "",
        place.path.parent.name,
        place.path.parent.parent.name,
    )
    return next((game for part in (*reversed(within), *outside) if (game := game_named(part)) is not None), None)


def _games_named(tables: Iterable[Path]) -> dict[int, str]:
    """The game of each trial, by number, according to tables of trials; other rows are skipped."""
    games: dict[int, str] = {}
    for path in tables:
        try:
            lines = read_text(Place(path), MOST_META_DATA).decode("utf-8-sig", "replace").splitlines()
            rows = [[field.strip() for field in row] for row in csv.reader(lines)]
        except csv.Error as error:
            raise UserError(f"{path} is no table of trials ({error}): download it again.") from error
        titles = [title.lower() for title in rows[0]] if rows else []
        columns = [
            next((titles.index(one) for one in ones if one in titles), None) for ones in (TRIAL_COLUMNS, GAME_COLUMNS)
        ]
        trial, game = columns
        if trial is None or game is None:
            raise UserError(f"{path} is no table of trials: it has no columns of trial and game. Download it again.")
        for row in rows[1:]:
            named = game_named(row[game]) if max(trial, game) < len(row) else None
            if named is not None and row[trial].isascii() and row[trial].isdigit() and len(row[trial]) < 10:
                games[int(row[trial])] = named
    return games


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_BY_LETTERS = {_letters(game): game for game in GAMES}
