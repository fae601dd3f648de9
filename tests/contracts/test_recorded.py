"""Observations that somebody recorded: an array or a file goes in, the maps of exactly those pixels come out."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from foreign_policies import STACK, pictures
from numpy.typing import NDArray
from PIL import Image
from torch import nn

import saccade
from saccade.cli import main
from saccade.explain import MethodSettings, Moments, ScoreSettings, explain_recorded, read_recorded, saliency, score
from saccade.explain.maps import find_maps, finder
from saccade.explain.seen import seen_as
from saccade.policies.normalisation import normalisation
from saccade.policies.pixels import Pixels, pixels_of
from saccade.policies.policy import Policy
from saccade.policies.sources.module import from_module
from saccade.types import UserError
from saccade.viewer.explanation import moment_text
from saccade.viewer.recorded_maps import read_maps
from saccade.viewer.recordings import read_explanation

SIDE = 36
QUICK = ["--methods", "gradient", "--device", "cpu"]

pytestmark = pytest.mark.usefixtures("elsewhere")


def network(channels: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(channels, 4, 8, 4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 3))


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def test_an_array_in_maps_out_in_one_line(ppo_zip: Path) -> None:
    policy, obs = saccade.load(ppo_zip, device="cpu"), pictures(STACK)
    for whose in (policy, ppo_zip, str(ppo_zip)):
        for given in (obs, torch.as_tensor(obs), np.moveaxis(obs, 1, -1)):
            maps = saccade.explain.saliency(whose, given, "gradient")
            expected, _ = find_maps(policy, finder(policy, "gradient", MethodSettings()), obs, 256)
            np.testing.assert_array_equal(maps, expected)
            assert maps.dtype == np.float32 and maps.shape == (5, 4, SIDE, SIDE)
    one = saccade.explain.saliency(policy, obs[2])
    np.testing.assert_allclose(one, expected[2:3], rtol=1e-4, atol=1e-7)


def test_a_network_as_captum_takes_it() -> None:
    """Of a linear network the gradient is its weights; of which output, ``action`` says."""
    linear = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 3))
    obs = torch.rand(2, 1, SIDE, SIDE)
    weights = linear[1].weight.detach().reshape(3, 1, SIDE, SIDE).numpy()
    linear.train()
    np.testing.assert_allclose(saliency(linear, obs, action=1), weights[[1, 1]], rtol=1e-5)
    np.testing.assert_allclose(saliency(linear, obs, action=[2, 0]), weights[[2, 0]], rtol=1e-5)
    greedy = linear(obs).argmax(1).numpy()
    np.testing.assert_allclose(saliency(linear, obs, output="q_values"), weights[greedy], rtol=1e-5)
    largest = linear(obs).detach().abs().argmax(1)
    signs = linear(obs).gather(1, largest[:, None]).sign().detach().numpy()[:, :, None, None]
    np.testing.assert_allclose(saliency(linear, obs, output="action"), signs * weights[largest.numpy()], rtol=1e-5)
    assert linear.training and all(parameter.grad is None for parameter in linear.parameters())


def test_a_normalised_input_gives_the_maps_of_the_picture() -> None:
    """The gradient by the pixel is that by the normalised input over the standard deviation."""
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    net, bytes_seen = network(), noise(3, 3, SIDE, SIDE)
    shares = bytes_seen.astype(np.float32) / 255
    inputs = (shares - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    given = torch.tensor(inputs, dtype=torch.float32, requires_grad=True)
    action = net(given).argmax(1)
    (by_input,) = torch.autograd.grad(net(given).gather(1, action[:, None]).sum(), given)
    expected = by_input.numpy() / np.reshape(std, (3, 1, 1))
    strongest = np.take_along_axis(expected, np.abs(expected).argmax(1)[:, None], 1)
    for obs in (bytes_seen, given.detach().numpy(), np.moveaxis(bytes_seen, 1, -1)):
        layout = "channels_first" if obs.shape[1] == 3 else None
        if layout is None:
            continue
        maps = saliency(net, obs, mean=mean, std=std)
        np.testing.assert_allclose(np.abs(maps), np.abs(strongest), rtol=1e-3, atol=1e-6)
    in_bytes = saliency(net, bytes_seen, mean=[255 * one for one in mean], std=[255 * one for one in std])
    np.testing.assert_allclose(np.abs(in_bytes), np.abs(strongest) / 255, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (0.5,)}, "needs --mean and --std together"),
        ({"std": (0.5,)}, "needs --mean and --std together"),
        ({"mean": (0.5, 0.5), "std": (1.0, 1.0, 1.0)}, "--mean has 2 numbers and --std has 3"),
        ({"mean": (0.5, 0.5), "std": (1.0, 1.0)}, "have 2 numbers each, but observations have 3 channels"),
        ({"mean": (0.5,), "std": (0.0,)}, "--std above 0"),
        ({"mean": (float("nan"),), "std": (1.0,)}, "--mean must be a brightness"),
        ({"mean": (-0.1,), "std": (1.0,)}, "--mean must be a brightness"),
        ({"mean": (300.0,), "std": (1.0,)}, "brighter than any pixel"),
        ({"action": 3}, "among 0 to 2"),
        ({"action": [0, 1]}, r"shape \(2,\): one for each of 3"),
        ({"method": "nonsense"}, "no saliency method 'nonsense'"),
        ({"output": "nonsense"}, "no output 'nonsense'"),
    ],
)
def test_mistakes_about_arrays(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        saliency(network(), noise(3, 3, SIDE, SIDE), **options)


def test_observations_that_are_no_pictures(ppo_zip: Path) -> None:
    net = network()
    for obs, message in (
        (np.random.default_rng(0).normal(size=(2, 3, SIDE, SIDE)), r"name what it is normalised with, such as mean="),
        (np.zeros((2, 3, SIDE, SIDE), complex), "complex128"),
        (np.zeros((2, 0, SIDE, SIDE)), r"shape \(2, 0, 36, 36\)"),
        (np.zeros((2, 5)), r"shape \(2, 5\)"),
    ):
        with pytest.raises(UserError, match=message):
            saliency(net, obs)
    with pytest.raises(UserError, match=r"no longer normalised with mean 0.5 and standard deviation 0.5"):
        saliency(net, np.full((2, 3, SIDE, SIDE), 4.0, np.float32), mean=(0.5,), std=(0.5,))
    with pytest.raises(UserError, match="are for networks"):
        saliency(ppo_zip, pictures(STACK), mean=(0.5,), std=(0.5,))
    with pytest.raises(UserError, match=r"shape \(2, 5, 36, 36\).* give observations of shape \(4, 36, 36\)"):
        saliency(ppo_zip, np.zeros((2, 5, SIDE, SIDE), np.uint8))


GREY = pixels_of((4, SIDE, SIDE), "uint8", 0, 255, colours=1)
RGB_LAST = pixels_of((SIDE, SIDE, 6), "float32", 0, 1)
FLAT = pixels_of((SIDE, SIDE), "uint8", 0, 255)
FRAMES: dict[str, Callable[[], NDArray[Any]]] = {
    "bytes": lambda: noise(3, SIDE, SIDE, 3),
    "channels first": lambda: np.moveaxis(noise(3, SIDE, SIDE, 3), -1, 1),
    "floats": lambda: noise(3, SIDE, SIDE, 3) / 255,
    "wide numbers": lambda: noise(3, SIDE, SIDE, 3).astype(np.int64),
    "floats in 0..255": lambda: noise(3, SIDE, SIDE, 3).astype(np.float32),
}


@pytest.mark.parametrize("how", FRAMES)
def test_single_frames_become_what_the_policy_sees(how: str) -> None:
    frames = noise(3, SIDE, SIDE, 3)
    luminance = (frames @ np.array([0.299, 0.587, 0.114])).round()
    seen, notes = seen_as(FRAMES[how](), GREY, "it")
    assert seen.dtype == np.uint8 and seen.shape == (3, 4, SIDE, SIDE)
    for moment, stack in enumerate([(0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 2)]):
        assert np.abs(seen[moment].astype(int) - luminance[list(stack)]).max() <= 1
    assert "made grey" in notes[0] and "stack of 4" in notes[1]
    seen, notes = seen_as(FRAMES[how](), RGB_LAST, "it")
    assert seen.dtype == np.float32 and seen.shape == (3, SIDE, SIDE, 6)
    np.testing.assert_allclose(seen[2], np.concatenate([frames[1], frames[2]], -1) / 255, rtol=1e-6)
    assert len(notes) == 1


def test_grey_frames_and_other_sizes() -> None:
    grey = noise(2, 2 * SIDE, 3 * SIDE)
    seen, notes = seen_as(grey, FLAT, "it")
    blocks = grey.reshape(2, SIDE, 2, SIDE, 3).mean((2, 4))
    assert np.abs(seen - blocks).max() <= 1
    assert notes == ("frames of 108x72 pixels were resized to 36x36",)
    seen, notes = seen_as(grey[0, :SIDE, :SIDE], RGB_LAST, "it")
    np.testing.assert_allclose(seen[0], np.repeat(grey[0, :SIDE, :SIDE, None], 6, -1) / 255, rtol=1e-6)
    assert "three equal colours" in notes[0]


def test_observations_as_the_policy_has_them_stay_as_they_are() -> None:
    obs = noise(5, 4, SIDE, SIDE)
    seen, notes = seen_as(obs, GREY, "it")
    assert seen is obs and notes == ()
    normal = dataclasses.replace(RGB_LAST, normalised=normalisation((0.5,), (0.25,)), high=1.0)
    floats = np.random.default_rng(0).normal(size=(2, SIDE, SIDE, 6)).astype(np.float32)
    seen, notes = seen_as(floats, normal, "it")
    np.testing.assert_array_equal(seen, floats)
    seen, _ = seen_as(np.full((1, SIDE, SIDE, 6), 255, np.uint8), normal, "it")
    np.testing.assert_allclose(seen, 2.0)  # (1 - 0.5) / 0.25


def test_depth_is_not_made_of_frames() -> None:
    with pytest.raises(UserError, match="give whole observations"):
        seen_as(
            noise(2, SIDE, SIDE, 3), Pixels((8, SIDE, SIDE), "uint8", 255, "channels_first", 4, ("rgb", "depth")), "it"
        )


def planted() -> Policy:
    """Prefers what it sees in a corner."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 2))
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].weight.view(2, SIDE, SIDE)[0, :6, :6] = 1.0
    return from_module(net, pixels_of((SIDE, SIDE), "uint8", 0, 255), gymnasium.spaces.Discrete(2), "logits")


def test_a_file_with_masks_and_rewards_is_scored() -> None:
    mask = np.zeros((6, SIDE, SIDE), bool)
    mask[:, :6, :6] = True
    told = {"reward": np.arange(6)[:, None], "action": np.ones(6, int), "step": np.arange(6) * 10, "task_mask": mask}
    np.savez("frames.npz", seen=noise(6, SIDE, SIDE), **told)
    policy = planted()
    recorded = read_recorded(Path("frames.npz"), policy)
    explanation = explain_recorded(policy, recorded, methods="gradient", moments=Moments(frames=3))
    episode = explanation.episodes["recorded"]
    np.testing.assert_array_equal(episode.obs, noise(6, SIDE, SIDE)[[0, 2, 5]])
    assert (episode.step.tolist(), episode.reward.tolist(), episode.action.tolist()) == (
        [0, 20, 50],
        [0, 2, 5],
        [1, 1, 1],
    )
    rows = {row["metric"]: row["mean"] for row in score(explanation) if row["method"] == "gradient"}
    assert rows["pointing_game"] == 1.0 and rows["mass_inside"] == 1.0
    with pytest.raises(UserError, match="no environment to play in"):
        score(explanation, ScoreSettings(return_steps=3))


def test_one_command_explains_a_file(ppo_zip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    obs = pictures(STACK)
    np.savez("frames.npz", obs=obs)
    assert main(["explain", str(ppo_zip), "--obs", "frames.npz", "--out", "out", "--frames", "5", *QUICK]) == 0
    assert "recorded: 5 of 5 observations" in capsys.readouterr().out
    with np.load("out/maps/recorded.npz") as saved:
        policy = saccade.load(ppo_zip, device="cpu")
        np.testing.assert_allclose(saved["map_gradient"], saliency(policy, obs), rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(saved["action"], policy.act(obs))
    assert json.loads(Path("out/explanation.json").read_text())["task"].startswith("frames.npz (5 observations, ")
    assert main(["score", str(ppo_zip), "--obs", "out/maps/recorded.npz", "--out", "again", *QUICK]) == 0
    line = moment_text(read_maps(read_explanation("again"), "recorded"), 4)
    assert line.startswith("step 4 of 5 · action")  # nobody knows the reward
    assert "reward nan" not in Path("again/report.html").read_text()


def test_one_command_explains_a_folder_of_pictures(ppo_zip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("frames").mkdir()
    for number in (10, 2, 1):
        Image.fromarray(np.full((72, 72, 3), number, np.uint8)).save(f"frames/frame_{number}.png")
    Path("frames/notes.txt").write_text("not a picture")
    assert main(["explain", str(ppo_zip), "--obs", "frames", *QUICK]) == 0
    out = capsys.readouterr().out
    for words in (
        "made grey",
        "72x72 pixels were resized to 36x36",
        "stack of 4 recorded frames",
        "3 of 3 observations",
    ):
        assert words in out
    with np.load("explanations/ppo-frames/maps/recorded.npz") as saved:
        assert saved["obs"][:, :, 0, 0].tolist() == [[1, 1, 1, 1], [1, 1, 1, 2], [1, 1, 2, 10]]


def test_a_normalised_network_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.py").write_text(
        "import gymnasium, numpy, torch\n"
        "def make(env):\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 36 * 36, 3))\n"
        "class Env(gymnasium.Env):\n"
        "    observation_space = gymnasium.spaces.Box(-numpy.inf, numpy.inf, (3, 36, 36), numpy.float32)\n"
        "    action_space = gymnasium.spaces.Discrete(3)\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        return numpy.full((3, 36, 36), 1.0, numpy.float32), {}\n"
        "    def step(self, action):\n"
        "        return numpy.full((3, 36, 36), -1.0, numpy.float32), 0.0, False, False, {}\n"
    )
    words = ["explain", "--policy", "net.py:make", "--output", "logits", "--task", "net.py:Env", "--out", "out"]
    assert main([*words, "--max-steps", "3", *QUICK]) == 2
    assert "--mean and --std" in capsys.readouterr().err
    normal = ["--mean", "0.5", "--std", "0.25", "--max-steps", "3"]
    assert main([*words, *normal, *QUICK]) == 0
    with np.load("out/maps/train.npz") as saved:
        assert saved["obs"][:, 0, 0, 0].tolist() == [0.75, 0.25, 0.25]  # the pictures, drawn in 0..1
    assert "normalised with mean 0.5 and standard deviation 0.25" in capsys.readouterr().out
    np.save("frames.npy", noise(4, 36, 36, 3))
    assert main([*words, *normal, "--obs", "frames.npy", "--replace", *QUICK]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--obs", "none.npz"], "There are no recorded observations at none.npz"),
        (["--obs", "text.npz"], "cannot be read as recorded observations"),
        (["--obs", "cut.npz"], "cannot be read as recorded observations"),
        (["--obs", "objects.npz"], "cannot be read as recorded observations"),
        (["--obs", "two.npz"], "does not say which array is observations: it has a, b. Name one, such as two.npz:a"),
        (["--obs", "two.npz:c"], "two.npz has no array 'c': it has a, b"),
        (["--obs", "vectors.npz"], "it has states"),
        (["--obs", "long.npz"], "holds 2 observations, but 'reward' of shape (3,)"),
        (["--obs", "nan.npz"], "holds values in nan..nan"),
        (["--obs", "empty"], "empty holds no pictures"),
        (["--obs", "sizes"], "several sizes, 40x36 and 36x36 pixels|several sizes, 36x36 and 40x36 pixels"),
        (["--obs", "broken"], "broken/one.png is no picture that can be explained"),
        (["--obs", "pipe.npz"], "pipe.npz is a pipe, not a file"),
        (["--obs", "/dev/zero"], "/dev/zero is a device, not a file"),
        (["--obs", "two.npz:a", "--task", "CartPole-v1"], "leave --task out"),
        (["--obs", "two.npz:a", "--modes", "train"], "leave --modes out"),
        (["--obs", "two.npz:a", "--image-size", "40"], "leave --image-size out"),
        (["--obs", "two.npz:a", "--mean", "0.5"], "needs --mean and --std together"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: list[str], message: str, ppo_zip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    obs = pictures(STACK)
    np.savez("two.npz", a=obs, b=obs)
    np.savez("vectors.npz", states=np.zeros((4, 6)))
    np.savez("long.npz", obs=obs[:2], reward=np.zeros(3))
    np.savez("nan.npz", obs=np.full((2, 4, SIDE, SIDE), np.nan))
    np.savez("objects.npz", obs=np.array([{}, {}], dtype=object))
    Path("text.npz").write_text("hello")
    Path("cut.npz").write_bytes(Path("two.npz").read_bytes()[:-300])
    os.mkfifo("pipe.npz")
    for folder in ("empty", "sizes", "broken"):
        Path(folder).mkdir()
    Image.new("RGB", (36, 36)).save("sizes/one.png")
    Image.new("RGB", (40, 36)).save("sizes/two.png")
    Path("broken/one.png").write_text("hello")
    assert main(["explain", str(ppo_zip), *words, *QUICK]) == 2
    told = capsys.readouterr().err
    assert any(one in told for one in message.split("|")), told
    assert told.count("\n") == 1 and not Path("explanations").exists()
