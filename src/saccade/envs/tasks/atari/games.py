"""The games of the Arcade Learning Environment, as data: nothing here loads it.

A test compares the tables with the installed ``ale-py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ACTIONS = (
    "NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN", "UPRIGHT", "UPLEFT", "DOWNRIGHT", "DOWNLEFT", "UPFIRE", "RIGHTFIRE",
    "LEFTFIRE", "DOWNFIRE", "UPRIGHTFIRE", "UPLEFTFIRE", "DOWNRIGHTFIRE", "DOWNLEFTFIRE",
)  # fmt: skip
"""The actions of a joystick, by the numbers that games use for them."""
NOOP, FIRE = 0, 1
ALL = tuple(range(len(ACTIONS)))


@dataclass(frozen=True)
class Game:
    """One game.

    Attributes:
        rom: the name of its file.
        actions: those of ``ACTIONS`` that make a difference in it, its minimal set.
        height: lines of its screen, which is 160 pixels wide.
        pal: whether it was made for European televisions, which have other colours.
        infinite: whether its wall comes back whenever it is gone (``emulator.py``).
    """

    rom: str
    actions: tuple[int, ...] = ALL
    height: int = 210
    pal: bool = False
    infinite: bool = False

    def played_with(self, every: bool) -> tuple[int, ...]:
        """Return the actions an agent chooses from: the minimal set, or ``every`` action there is."""
        return ALL if every else self.actions


ATARI_57: Mapping[str, Game] = MappingProxyType(
    {
        "Alien": Game("alien"),
        "Amidar": Game("amidar", (*range(6), *range(10, 14))),
        "Assault": Game("assault", (*range(5), 11, 12)),
        "Asterix": Game("asterix", (0, *range(2, 10))),
        "Asteroids": Game("asteroids", (*range(8), *range(10, 16))),
        "Atlantis": Game("atlantis", (0, 1, 11, 12)),
        "BankHeist": Game("bank_heist"),
        "BattleZone": Game("battle_zone"),
        "BeamRider": Game("beam_rider", (*range(5), 6, 7, 11, 12)),
        "Berzerk": Game("berzerk"),
        "Bowling": Game("bowling", (0, 1, 2, 5, 10, 13)),
        "Boxing": Game("boxing"),
        "Breakout": Game("breakout", (0, 1, 3, 4)),
        "Centipede": Game("centipede"),
        "ChopperCommand": Game("chopper_command"),
        "CrazyClimber": Game("crazy_climber", (0, *range(2, 10))),
        "Defender": Game("defender"),
        "DemonAttack": Game("demon_attack", (0, 1, 3, 4, 11, 12)),
        "DoubleDunk": Game("double_dunk"),
        "Enduro": Game("enduro", (0, 1, 3, 4, 5, 8, 9, 11, 12)),
        "FishingDerby": Game("fishing_derby"),
        "Freeway": Game("freeway", (0, 2, 5)),
        "Frostbite": Game("frostbite"),
        "Gopher": Game("gopher", (*range(5), 10, 11, 12)),
        "Gravitar": Game("gravitar"),
        "Hero": Game("hero"),
        "IceHockey": Game("ice_hockey"),
        "Jamesbond": Game("jamesbond"),
        "Kangaroo": Game("kangaroo"),
        "Krull": Game("krull"),
        "KungFuMaster": Game("kung_fu_master", (0, *range(2, 6), 8, 9, *range(11, 18))),
        "MontezumaRevenge": Game("montezuma_revenge"),
        "MsPacman": Game("ms_pacman", (0, *range(2, 10))),
        "NameThisGame": Game("name_this_game", (0, 1, 3, 4, 11, 12)),
        "Phoenix": Game("phoenix", (0, 1, 3, 4, 5, 11, 12, 13)),
        "Pitfall": Game("pitfall"),
        "Pong": Game("pong", (0, 1, 3, 4, 11, 12)),
        "PrivateEye": Game("private_eye"),
        "Qbert": Game("qbert", (*range(6),)),
        "Riverraid": Game("riverraid"),
        "RoadRunner": Game("road_runner"),
        "Robotank": Game("robotank"),
        "Seaquest": Game("seaquest"),
        "Skiing": Game("skiing", (0, 3, 4)),
        "Solaris": Game("solaris"),
        "SpaceInvaders": Game("space_invaders", (0, 1, 3, 4, 11, 12)),
        "StarGunner": Game("star_gunner"),
        "Surround": Game("surround", (0, *range(2, 6))),
        "Tennis": Game("tennis"),
        "TimePilot": Game("time_pilot", (*range(6), *range(10, 14))),
        "Tutankham": Game("tutankham", (0, *range(2, 6), 10, 11, 12)),
        "UpNDown": Game("up_n_down", (0, 1, 2, 5, 10, 13)),
        "Venture": Game("venture"),
        "VideoPinball": Game("video_pinball", (*range(6), 10, 11, 12)),
        "WizardOfWor": Game("wizard_of_wor", (*range(6), *range(10, 14))),
        "YarsRevenge": Game("yars_revenge"),
        "Zaxxon": Game("zaxxon"),
    }
)
"""The games that most papers report."""

OTHERS: Mapping[str, Game] = MappingProxyType(
    {
        "Adventure": Game("adventure", height=250, pal=True),
        "AirRaid": Game("air_raid", (0, 1, 3, 4, 11, 12), height=250, pal=True),
        "Atlantis2": Game("atlantis2", (0, 1, 11, 12)),
        "Backgammon": Game("backgammon", (1, 3, 4)),
        "BasicMath": Game("basic_math", (*range(6),)),
        "Blackjack": Game("blackjack", (0, 1, 2, 5)),
        "Carnival": Game("carnival", (0, 1, 3, 4, 11, 12), height=214),
        "Casino": Game("casino", (0, 1, 2, 5)),
        "Crossbow": Game("crossbow"),
        "Darkchambers": Game("darkchambers"),
        "DonkeyKong": Game("donkey_kong"),
        "Earthworld": Game("earthworld"),
        "ElevatorAction": Game("elevator_action"),
        "Entombed": Game("entombed"),
        "Et": Game("et"),
        "FlagCapture": Game("flag_capture"),
        "Frogger": Game("frogger", (0, *range(2, 6))),
        "Galaxian": Game("galaxian", (0, 1, 3, 4, 11, 12)),
        "Hangman": Game("hangman"),
        "HauntedHouse": Game("haunted_house"),
        "HumanCannonball": Game("human_cannonball"),
        "JourneyEscape": Game("journey_escape", (0, *range(2, 10), *range(11, 18)), height=230),
        "Kaboom": Game("kaboom", (0, 1, 3, 4)),
        "KeystoneKapers": Game("keystone_kapers", (*range(14),), height=250, pal=True),
        "KingKong": Game("king_kong", (*range(6),), height=250, pal=True),
        "Klax": Game("klax", height=250, pal=True),
        "Koolaid": Game("koolaid", (0, *range(2, 10))),
        "LaserGates": Game("laser_gates", height=250, pal=True),
        "LostLuggage": Game("lost_luggage", (0, *range(2, 10))),
        "MarioBros": Game("mario_bros"),
        "MiniatureGolf": Game("miniature_golf"),
        "MrDo": Game("mr_do", (*range(6), *range(10, 14)), height=250, pal=True),
        "Othello": Game("othello", (*range(10),)),
        "Pacman": Game("pacman", (0, *range(2, 6)), height=250, pal=True),
        "Pitfall2": Game("pitfall2"),
        "Pooyan": Game("pooyan", (0, 1, 2, 5, 10, 13), height=220),
        "SirLancelot": Game("sir_lancelot", (0, 1, 3, 4, 11, 12), height=250, pal=True),
        "SpaceWar": Game("space_war", height=250, pal=True),
        "Superman": Game("superman"),
        "Tetris": Game("tetris", (0, 1, 3, 4, 5)),
        "TicTacToe3D": Game("tic_tac_toe_3d", (*range(10),)),
        "Trondead": Game("trondead"),
        "Turmoil": Game("turmoil", (*range(10), 11, 12)),
        "VideoCheckers": Game("video_checkers", (1, *range(6, 10))),
        "VideoChess": Game("video_chess", (*range(10),)),
        "VideoCube": Game("video_cube"),
        "WordZapper": Game("word_zapper"),
    }
)
"""The other games for one player."""

CHANGED: Mapping[str, Game] = MappingProxyType({"BreakoutInfinite": Game("breakout", (0, 1, 3, 4), infinite=True)})
"""Modified games: in FLS's (Nikulin et al., 2019) Breakout, the wall always comes back."""

GAMES: Mapping[str, Game] = MappingProxyType({**ATARI_57, **OTHERS, **CHANGED})
"""Name -> game, named as in ``ALE/NAME-v5``."""
