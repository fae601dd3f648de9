"""One Atari game as ``PixelEnv`` plays it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, final

import numpy as np

from saccade.envs.config import EnvConfig
from saccade.envs.simulation import BLACK, KEPT, Before, StateValue
from saccade.envs.tasks.atari.emulator import Emulator
from saccade.envs.tasks.atari.frames import WIDTH
from saccade.envs.tasks.atari.games import ACTIONS, FIRE, NOOP
from saccade.envs.tasks.atari.screen import Screen
from saccade.envs.tasks.atari.wrappers import FRAMES_A_SECOND
from saccade.envs.tasks.atari_suite import COLOURS, game_of, settings_of, spaces_of, wrappers_of


@final
class AtariSimulation:
    """A ``Simulation`` of one game. A control step is one frame of the console, 60 per second.

    Args:
        generator: ``seed -> generator``: draws the number of no-op frames, and sticky actions.

    Raises:
        UserError: ``ale-py`` is not installed, or the game has no such mode or difficulty.
    """

    colours = COLOURS
    control_seconds = 1 / FRAMES_A_SECOND

    def __init__(
        self, config: EnvConfig, generator: Callable[[int], np.random.Generator] = np.random.default_rng
    ) -> None:
        game = self._game = game_of(config.task)
        options, self._wrappers = config.options, wrappers_of(config)
        self._frames = config.control_steps_per_action
        self._ends_with_a_life = options.episodic_life and self._wrappers.lost_life != "nothing"
        self._clips = options.clip_rewards
        self.emulator = Emulator(game, options.game_mode, options.difficulty)
        self.size = (config.image_size, config.image_size)
        self.actions = spaces_of(config).actions
        self._actions = game.played_with(self._wrappers.every_action)
        self._fires = FIRE in self._actions
        self._latest = np.zeros((2, game.height, WIDTH), np.uint8)  # the last two frames of an action
        self._shown = self._latest  # the frames that make up the picture
        self.scene = Screen(config, self.emulator.first_screen)
        self.settings: Mapping[str, object] = settings_of(config)
        self.versions: Mapping[str, str] = {"ale-py": version("ale-py")}
        self.before: Before = BLACK
        self.raw_reward = 0.0
        self._generator, self._seed = generator, 0
        self._random, self._is_seeded = generator(0), False
        self._lives, self._over, self._last_action, self._agent_steps = 0, True, NOOP, 0

    @property
    def action_names(self) -> tuple[str, ...]:
        """The name of each action."""
        return tuple(ACTIONS[action] for action in self._actions)

    def check_usable(self) -> None:
        """Raise nothing: it is usable anywhere."""

    def seed(self, seed: int) -> None:
        """Make the next reset begin a game that depends on nothing else."""
        self._seed, self._is_seeded = seed, False

    def reset(self) -> None:
        """Start an episode: a game, or the rest of one if only a life was lost."""
        if not self._is_seeded:
            self._random = self._generator(self._seed)
            self.emulator.switch_on()
            self._latest[:], self._over, self._is_seeded = 0, True, True
        new_game = self._over or not self._ends_with_a_life or self.emulator.frames >= self._wrappers.frames
        goes_on = not new_game and self._wrappers.lost_life == "end"
        if not goes_on:
            self._restart(new_game)
        self.before = KEPT if goes_on else BLACK
        self.raw_reward, self._agent_steps = 0.0, 0

    def step(self, action: Any, control_steps: int) -> tuple[float, bool]:
        """Play an action for this many frames; return its reward, or its sign if rewards are clipped."""
        self.before = KEPT
        self._agent_steps += 1
        reward, lost = self._play(self._actions[action], control_steps)
        ended = self._over
        if lost and self._ends_with_a_life:
            ended = True
        elif lost and self._wrappers.lost_life == "restart":
            # A whole game spans all its lives, and what is played between them counts too.
            reward += self._restart(new_game=False)
            self.before, ended = BLACK, self._over
        self.raw_reward = reward
        return (float(np.sign(reward)) if self._clips else reward), ended

    def picture(self) -> np.ndarray:
        """Return the last two frames of an action, in grey: uint8 ``[H, W, 1]``."""
        return self.scene.picture(self._shown, self._agent_steps)[..., None]

    def mask(self, ground: bool = False) -> np.ndarray | None:
        """Return None: a console has no objects."""
        return None

    def outcome(self) -> dict[str, Any]:
        """Return the lives left, and the reward as the game gave it."""
        return {"lives": self.emulator.lives, "raw_reward": self.raw_reward}

    def save(self) -> dict[str, StateValue]:
        return {
            "emulator": self.emulator.save(),
            "latest": self._latest.copy(),
            "shown": self._shown.copy(),
            "random": json.dumps(self._random.bit_generator.state),
            "lives": self._lives,
            "last_action": self._last_action,
            "over": self._over,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.emulator.restore(state["emulator"])
        self._latest, self._shown = np.array(state["latest"]), np.array(state["shown"])
        self._random.bit_generator.state = json.loads(state["random"])
        self._lives, self._over, self._is_seeded = int(state["lives"]), bool(state["over"]), True
        self._last_action, self._agent_steps = int(state["last_action"]), int(state["agent_steps"])
        self.before, self.raw_reward = KEPT, 0.0

    def close(self) -> None:
        """Do nothing."""

    def _restart(self, new_game: bool) -> float:
        """Begin a game, or continue after a lost life, as the wrappers do; return the rewards on the way."""
        reward = 0.0
        if new_game:
            self._begin()
        else:
            reward += self._play(NOOP, self._frames)[0]
        if self._fires and self._wrappers.fire == "reset":
            for action in (FIRE, self._actions[2]):
                of_this, lost = self._play(action, self._frames)
                reward += of_this
                if lost or self._over:
                    reward += self._resume()
        return reward

    def _resume(self) -> float:
        """Recover when a life, or the game, was lost while it was being started."""
        if self._over:
            self._begin()
            return 0.0
        return self._play(NOOP, self._frames)[0]

    def _begin(self) -> None:
        """Start a game, and wait for a random number of frames."""
        emulator, wrappers = self.emulator, self._wrappers
        emulator.begin()
        for frame in range(int(self._random.integers(wrappers.fewest, wrappers.most + 1)) if wrappers.most else 0):
            emulator.act(FIRE if frame == 0 and self._fires and wrappers.fire == "first" else NOOP)
            if emulator.over:
                emulator.begin()
        self._lives, self._over, self._last_action = emulator.lives, False, NOOP
        self._shown = np.zeros_like(self._latest)
        emulator.look(self._shown[0])
        self._shown[1] = self._shown[0]

    def _play(self, action: int, frames: int) -> tuple[float, bool]:
        """Play an action for this many frames, or until the game ends; return its reward, and whether a life was lost.

        A game without lives loses none, nor does one whose last life is gone before it is over.
        """
        emulator, reward = self.emulator, 0
        for left in range(frames, 0, -1):
            reward += emulator.act(self._sticking(action))
            if left <= 2:  # if the game ends earlier, earlier frames are seen
                emulator.look(self._latest[2 - left])
            if emulator.over:
                self._over = True
                break
        if frames == 1:
            self._latest[0] = self._latest[1]
        self._shown = self._latest
        lives = emulator.lives
        lost, self._lives = 0 < lives < self._lives, lives
        return float(reward), lost and not self._over

    def _sticking(self, action: int) -> int:
        """What is played in a frame: an action, or by chance that of the previous frame (Machado et al., 2018)."""
        sticky = self._wrappers.sticky
        if sticky == 0 or self._random.random() >= sticky:
            self._last_action = action
        return self._last_action
