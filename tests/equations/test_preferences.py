"""What a policy thinks of its actions, and what they are called."""

import enum
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from torch import nn

import saccade
from saccade.explain.preferences import Actions, actions_of, preferences
from saccade.policies.pixels import Pixels
from saccade.policies.policy import Policy


class Moves(enum.IntEnum):
    left = 0
    right = 1


class Named(gymnasium.Env[Any, Any]):
    observation_space = Box(0, 255, (3, 8, 8), np.uint8)

    def __init__(self, space: Any = None, **attributes: Any) -> None:
        self.action_space = space or Discrete(2)
        for name, value in attributes.items():
            setattr(self, name, value)


def fails() -> list[str]:
    raise OSError("no names today")


@pytest.mark.parametrize(
    ("env", "actions"),
    [
        (Named(), Actions()),
        (Named(get_action_meanings=lambda: ["NOOP", "FIRE"]), Actions(0, ("NOOP", "FIRE"))),
        (Named(Discrete(2, start=5), get_action_meanings=lambda: ("a", "b")), Actions(5, ("a", "b"))),
        (Named(actions=Moves), Actions(0, ("left", "right"))),
        (Named(actions=["left", "right"]), Actions()),  # nobody's convention
        (Named(get_action_meanings=lambda: ["of", "other", "actions"]), Actions()),
        (Named(get_action_meanings=fails), Actions()),
        (Named(get_action_meanings=lambda: ["x" * 1000, "[/]"]), Actions(0, ("x" * 40, "[/]"))),
        (Named(Box(-1, 1, (2,)), get_action_meanings=lambda: ["a", "b"]), Actions()),
    ],
)
def test_names_are_found_as_atari_and_minigrid_tell_them(env: Named, actions: Actions) -> None:
    assert actions_of(env) == actions


def test_a_grid_worlds_actions_have_names() -> None:
    env = saccade.make("minigrid/red_fetch_green", num_actions=4)
    assert actions_of(env) == Actions(0, ("left", "right", "forward", "pick up"))


@pytest.mark.parametrize(("output", "kind"), [("logits", "probabilities"), ("q_values", "action_values")])
def test_what_is_thought_of_every_action(output: str, kind: str) -> None:
    obs = np.zeros((5, 1, 2, 2), np.uint8)
    obs[:, 0, 0, 0] = np.arange(5)

    def compute(network: nn.Module, seen: torch.Tensor) -> torch.Tensor:
        return torch.stack([seen[:, 0, 0, 0], seen[:, 0, 0, 0] * 0], 1)  # x and 0

    pixels = Pixels((1, 2, 2), "uint8", 255.0, "CHW", 1)

    def policy(output: str, compute: Callable[..., torch.Tensor]) -> Policy:
        discrete = output != "action"
        return Policy("p", nn.Identity(), {output: compute}, pixels, discrete=discrete, device=torch.device("cpu"))

    x = np.arange(5.0)
    chosen = 1 / (1 + np.exp(-x))
    expected = {"logits": np.stack([chosen, 1 - chosen], 1), "q_values": np.stack([x, 0 * x], 1)}[output]
    found = preferences(policy(output, compute), obs, max_batch=2)
    np.testing.assert_allclose(found[kind], expected, rtol=1e-5)
    assert preferences(policy(output, lambda network, seen: compute(network, seen) * torch.nan), obs, 2) == {}
    assert preferences(policy("action", compute), obs, 2) == {}
