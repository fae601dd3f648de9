"""What channels are is said by a person or shown by an episode, never guessed; and each is drawn as what it is."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from saccade.explain import Moments, explain
from saccade.explain.channels import shown_by
from saccade.explain.tasks import Task
from saccade.policies.pixels import Pixels, pixels_of
from saccade.policies.policy import Policy
from saccade.policies.sources.module import from_module
from saccade.types import UserError
from saccade.viewer.explanation import panels
from saccade.viewer.recorded_maps import read_maps
from saccade.viewer.recordings import read_explanation

SIDE, STEPS = 16, 5


def moving(step: int, channels: int) -> NDArray[np.uint8]:
    """A ball that moves over a wall, other in every channel: ``[channels, side, side]``."""
    picture = np.zeros((channels, SIDE, SIDE), np.uint8)
    for channel in range(channels):
        picture[channel] = 20 * channel
        picture[channel, 4:8, step + 2 : step + 6] = 250 - 30 * channel
    return picture


def stacked(step: int, channels: int, frames: int) -> NDArray[np.uint8]:
    """``frames`` of them, the oldest first; at the beginning the first one again."""
    return np.concatenate([moving(max(0, step - back), channels) for back in reversed(range(frames))])


def forgetful(step: int) -> NDArray[np.uint8]:
    """Four grey frames on black at the beginning, and again in the third step, as after a lost life."""
    begun = 2 if step >= 2 else 0
    frames = [
        moving(step - back, 1) if step - back >= begun else np.zeros((1, SIDE, SIDE), np.uint8) for back in range(4)
    ]
    return np.concatenate(frames[::-1])


def flat(step: int) -> NDArray[np.uint8]:
    """Two planes of which the first is always black: nothing moves up."""
    return np.concatenate([np.zeros((1, SIDE, SIDE), np.uint8), moving(step, 1)])


def rgbd(step: int) -> NDArray[np.uint8]:
    """Three colours and a depth that nothing is near to: 255 everywhere."""
    return np.concatenate([moving(step, 3), np.full((1, SIDE, SIDE), 255, np.uint8)])


def unknown(count: int) -> tuple[str, ...]:
    return tuple(f"channel {number}" for number in range(1, count + 1))


SIGHTS: dict[str, tuple[Any, tuple[str, ...], int]] = {
    "one grey frame": (lambda step: moving(step, 1), ("grey",), 1),
    "colours": (lambda step: moving(step, 3), ("rgb",), 1),
    "three grey frames": (lambda step: stacked(step, 1, 3), ("grey",), 3),
    "four grey frames": (lambda step: stacked(step, 1, 4), ("grey",), 4),
    "twelve grey frames": (lambda step: stacked(step, 1, 12), ("grey",), 12),
    "four frames in colours": (lambda step: stacked(step, 3, 4), ("rgb",), 4),
    "four grey frames that are forgotten": (forgetful, ("grey",), 4),
    "a black plane and a grey one": (flat, unknown(2), 1),
    "colours and depth": (rgbd, unknown(4), 1),
    "noise": (lambda step: np.random.default_rng(step).integers(0, 256, (4, SIDE, SIDE), np.uint8), unknown(4), 1),
    "planes of objects": (lambda step: moving(step, 6), unknown(6), 1),
    "two frames of two planes": (lambda step: stacked(step, 2, 2), unknown(2), 2),
}


def pixels(sight: str, layout: Any = "channels_first", colours: int | None = None) -> Pixels:
    channels = len(SIGHTS[sight][0](0))
    shape = (channels, SIDE, SIDE) if layout == "channels_first" else (SIDE, SIDE, channels)
    return pixels_of(shape, "uint8", 0, 255, layout=layout, colours=colours)


def episode(sight: str, layout: str = "channels_first") -> list[NDArray[np.uint8]]:
    seen = [SIGHTS[sight][0](step) for step in range(STEPS)]
    return seen if layout == "channels_first" else [np.moveaxis(obs, 0, -1) for obs in seen]


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("sight", SIGHTS)
def test_an_episode_shows_what_the_channels_are(sight: str, layout: str) -> None:
    _, channels, frames = SIGHTS[sight]
    found = shown_by(pixels(sight, layout), episode(sight, layout))
    assert found.parts == channels and found.frames == frames
    assert found.colours == (3 if channels == ("rgb",) else len(channels))


@pytest.mark.parametrize("sight", SIGHTS)
def test_what_a_person_said_is_not_doubted(sight: str) -> None:
    count = len(SIGHTS[sight][0](0))
    for colours in (1, 3):
        if count % colours == 0:
            said = pixels(sight, colours=colours)
            assert said.said and shown_by(said, episode(sight)) is said
    named = pixels(sight).with_channels("grey")
    assert shown_by(named, episode(sight)) is named and named.frames == count


@pytest.mark.parametrize("sight", SIGHTS)
def test_where_nothing_moves_nothing_is_shown(sight: str) -> None:
    likely = pixels(sight)
    assert shown_by(likely, episode(sight)[:1] * 4) == shown_by(likely, episode(sight)[:1]) == likely


def test_names_are_checked() -> None:
    four = pixels("colours and depth")
    said = four.with_channels("rgb,depth")
    assert said.description() == "1 frame (rgb, depth) of 16x16 pixels, 0..255, channels first"
    assert four.with_channels(" depth , wall ").frames == 2
    for wrong, why in (
        ("rgb", "names 3 channels for each frame, but the observation has 4"),
        ("rgb,depth,alpha", "names 5 channels"),
        ("rgb,rgb", "no list of what the channels"),
        ("", "no list"),
        ("rgb,,depth", "no list"),
        ("[red]", "'[red]' is no list"),
    ):
        with pytest.raises(UserError, match=re.escape(why)):
            four.with_channels(wrong)


class Sight(gymnasium.Env[NDArray[np.uint8], int]):
    def __init__(self, sight: str) -> None:
        self.sight = SIGHTS[sight][0]
        self.observation_space = gymnasium.spaces.Box(0, 255, self.sight(0).shape, np.uint8)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.count = 0
        return self.sight(0), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.count += 1
        return self.sight(self.count), 0.0, False, self.count == STEPS, {}


class Net(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 2, 4, 4)

    def forward(self, obs: Tensor) -> Tensor:
        return self.convolution(obs / 255).square().mean((2, 3))


def policy_for(env: gymnasium.Env[Any, Any]) -> Policy:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net(env.observation_space.shape[0])
    return from_module(net, env.observation_space, env.action_space, "logits")


def subject(sight: str) -> tuple[Policy, Task]:
    return policy_for(Sight(sight)), Task(sight, lambda mode, masks: Sight(sight), ("train",), knows_truth=False)


def drawn(policy: Policy, task: Task, folder: Path) -> dict[str, NDArray[np.uint8]]:
    found = explain(policy, task, methods=("gradient", "occlusion"), moments=Moments(frames=STEPS))
    assert found.maps["train"]["gradient"].shape[1] == found.policy.pixels.frames
    return panels(read_maps(read_explanation(found.save(folder)), "train"))


def test_depth_is_drawn_as_depth(tmp_path: Path) -> None:
    policy, task = subject("colours and depth")
    named = dataclasses.replace(policy, pixels=policy.pixels.with_channels("rgb,depth"))
    said = drawn(named, task, tmp_path / "a")
    assert list(said)[:2] == ["what the policy sees: rgb", "what the policy sees: depth"]
    for step in range(STEPS):
        np.testing.assert_array_equal(said["what the policy sees: rgb"][step], moving(step, 3).transpose(1, 2, 0))
    assert (said["what the policy sees: depth"] == 255).all()
    unsaid = drawn(policy, task, tmp_path / "b")
    assert list(unsaid)[:4] == [f"what the policy sees: {name}" for name in unknown(4)]
    for channel in range(3):
        shown = unsaid[f"what the policy sees: channel {channel + 1}"]
        np.testing.assert_array_equal(shown[2], np.repeat(moving(2, 3)[channel][..., None], 3, -1))


@pytest.mark.parametrize("sight", ["three grey frames", "four frames in colours", "colours"])
def test_the_newest_frame_of_a_stack_is_drawn_in_its_own_colours(sight: str, tmp_path: Path) -> None:
    policy, task = subject(sight)
    shown = drawn(policy, task, tmp_path)["what the policy sees"]
    channels = 1 if "grey" in sight else 3
    for step in range(STEPS):
        expected = np.broadcast_to(moving(step, channels).transpose(1, 2, 0), (SIDE, SIDE, 3))
        np.testing.assert_array_equal(shown[step], expected)


def test_what_is_no_stack_is_told() -> None:
    policy, task = subject("noise")
    found = explain(policy, task, methods="gradient", moments=Moments(frames=2, max_steps=4))
    assert found.policy.pixels.description().startswith("1 frame (channel 1, channel 2, channel 3, channel 4) of 16x16")
    assert found.settings["channels"] == list(unknown(4))
    assert policy.pixels.description().startswith("4 grey frames of")
