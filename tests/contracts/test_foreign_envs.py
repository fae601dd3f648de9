"""Environments of other people by any name they go by, as vectors and as stacks; or one sentence with the nearest."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from foreign_policies import ACTIONS, STACK, NoiseEnv, pictures
from gymnasium.wrappers import FrameStackObservation, GrayscaleObservation, TimeLimit
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack
from torch import nn

from saccade.cli import main
from saccade.explain.channels import as_observations, channels_first
from saccade.explain.episodes import record
from saccade.explain.fitting import fitting
from saccade.explain.tasks import Task, find_task
from saccade.policies.pixels import Pixels, pixels_of
from saccade.policies.policy import Policy
from saccade.policies.sources.checkpoint import from_checkpoint
from saccade.policies.sources.module import from_module
from saccade.types import UserError

SIDE = 36
QUICK = ["--methods", "gradient", "--device", "cpu", "--frames", "2", "--max-steps", "3"]

pytestmark = pytest.mark.usefixtures("elsewhere")


class Counting(gymnasium.Env[NDArray[Any], Any]):
    """The picture is the number of the step, from the seed on; an episode has three."""

    def __init__(self, shape: tuple[int, ...] = (SIDE, SIDE, 1)) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self.action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[Any], dict[str, Any]]:
        super().reset(seed=seed)
        self.time = int(self.np_random.integers(10, 20))
        self.end = self.time + 3
        return self._seen(), {}

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        self.time += 1
        return self._seen(), float(action), self.time == self.end, False, {"task_mask": np.zeros((4, SIDE, SIDE))}

    def _seen(self) -> NDArray[Any]:
        return np.full(self.observation_space.shape, self.time, np.uint8)


def policy_seeing(pixels: Pixels) -> Policy:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(pixels.shape)), 3))
    return from_module(network, pixels, gymnasium.spaces.Discrete(3), "logits")


VECTORS = {
    "stable-baselines3": lambda: VecFrameStack(DummyVecEnv([Counting]), 4),
    "stable-baselines3, two": lambda: VecFrameStack(DummyVecEnv([Counting, Counting]), 4),
    "gymnasium": lambda: gymnasium.vector.SyncVectorEnv([lambda: FrameStackObservation(Counting(), 4)]),
    "gymnasium, two": lambda: gymnasium.vector.SyncVectorEnv([lambda: FrameStackObservation(Counting(), 4)] * 2),
    "a single one": lambda: FrameStackObservation(Counting((SIDE, SIDE)), 4),
}


@pytest.mark.parametrize("kind", VECTORS)
def test_the_first_of_a_vector_is_played_to_its_end(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine.py").write_text("from test_vectors_here import make\n")
    module = type(sys)("test_vectors_here")
    vars(module)["make"] = VECTORS[kind]
    monkeypatch.setitem(sys.modules, "test_vectors_here", module)
    task = find_task("mine.py:make")
    policy = policy_seeing(pixels_of((4, SIDE, SIDE), "uint8", 0, 255))
    episodes = [record(policy, task, "train", moments=9, every=None, seed=seed, max_steps=9) for seed in (3, 3, 4)]
    first, again, other = episodes
    assert first.length == 3 and first.total == first.action.sum()
    newest = first.obs[:, -1, 0, 0].astype(int)
    assert (np.diff(newest) == 1).all()  # and no step of the next episode
    padding = newest[0] if "stable" not in kind else 0  # Stable-Baselines3 begins with black frames
    assert first.obs[0, :, 0, 0].tolist() == [padding] * 3 + [newest[0]]
    np.testing.assert_array_equal(first.obs, again.obs)
    assert first.obs[0, -1, 0, 0] != other.obs[0, -1, 0, 0]


def test_a_function_that_gives_a_function_is_called_again() -> None:
    Path("clean.py").write_text(
        "import foreign_policies as f\ndef make_env(idx=0):\n    def thunk():\n"
        "        return f.NoiseEnv(f.STACK, f.ACTIONS)\n    return thunk\n"
    )
    env = find_task("clean.py:make_env").make("train", False)
    assert isinstance(env, NoiseEnv)


STACKS = {
    "stack of grey": ((4, SIDE, SIDE, 1), 1),
    "stack of RGB": ((2, SIDE, SIDE, 3), 3),
    "stack of RGB, channels first": ((2, 3, SIDE, SIDE), 3),
    "stack of two channels": ((3, SIDE, SIDE, 2), 2),
}


@pytest.mark.parametrize("name", STACKS)
def test_stacks_with_an_axis_of_their_own_are_frames(name: str) -> None:
    shape, colours = STACKS[name]
    pixels = pixels_of(shape, "uint8", 0, 255)
    assert (pixels.frames, pixels.colours, pixels.said) == (shape[0], colours, True)
    obs = np.random.default_rng(0).integers(0, 256, (5, *shape), np.uint8)
    inside = pixels.tensor(obs, torch.device("cpu"))
    for frame in range(shape[0]):
        for colour in range(colours):
            plane = obs[:, frame, colour] if "first" in name else obs[:, frame, ..., colour]
            np.testing.assert_array_equal(inside[:, frame * colours + colour].numpy(), plane)
    np.testing.assert_array_equal(pixels.as_given(inside).numpy(), obs)
    np.testing.assert_array_equal(channels_first(pixels, obs), inside.numpy())
    np.testing.assert_array_equal(as_observations(pixels, inside.numpy() / 255), obs)
    assert pixels.channels_first == tuple(inside.shape[1:])
    as_said = pixels_of(shape, "uint8", 0, 255, layout="channels_first" if "first" in name else "channels_last")
    assert as_said == pixels


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ((4, SIDE, SIDE, 1), (4, SIDE, SIDE)),
        ((2, SIDE, SIDE, 3), (6, SIDE, SIDE)),
        ((2, 3, SIDE, SIDE), (6, SIDE, SIDE)),
        ((2, SIDE, SIDE, 3), (SIDE, SIDE, 6)),
        ((SIDE, SIDE, 4), (4, SIDE, SIDE)),
        ((SIDE, SIDE), (1, SIDE, SIDE)),
    ],
)
def test_a_stack_fits_a_policy_that_sees_the_same_frames(given: tuple[int, ...], seen: tuple[int, ...]) -> None:
    space, pixels = gymnasium.spaces.Box(0, 255, given, np.uint8), pixels_of(seen, "uint8", 0, 255)
    obs = np.random.default_rng(0).integers(0, 256, given, np.uint8)
    found = fitting(space, pixels, "it")(obs)
    ours = channels_first(pixels, found)
    first = channels_first(pixels_of(given, "uint8", 0, 255), obs)
    np.testing.assert_array_equal(ours, first)
    assert found.shape == seen and not np.shares_memory(found, obs) and found.flags.c_contiguous


def test_a_cleanrl_class_on_a_stack_with_a_last_axis() -> None:
    Path("net.py").write_text(
        "from torch import nn\n"
        "class QNetwork(nn.Module):\n"
        "    def __init__(self, env):\n"
        "        super().__init__()\n"
        "        frames = env.single_observation_space.shape[0]\n"
        "        self.body = nn.Sequential(nn.Conv2d(frames, 2, 9, 9), nn.Flatten(), nn.Linear(32, 3))\n"
        "    def forward(self, x):\n"
        "        return self.body(x.squeeze(-1) / 255.0)\n"
    )
    space = FrameStackObservation(Counting(), 4).observation_space
    assert space.shape == (4, SIDE, SIDE, 1)
    spec = importlib.util.spec_from_file_location("net_of_a_stack", "net.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stand_in = type("Env", (), {"single_observation_space": space})
    network = module.QNetwork(stand_in)
    torch.save(network.state_dict(), "net.pt")
    policy = from_checkpoint("net.py:QNetwork", Path("net.pt"), space, ACTIONS, device="cpu")
    obs = np.random.default_rng(0).integers(0, 256, (5, 4, SIDE, SIDE, 1), np.uint8)
    expected = network(torch.as_tensor(obs)).argmax(1).numpy()
    np.testing.assert_array_equal(policy.act(obs), expected)


MADE_WITH = {
    "actions alone": "n_actions",
    "actions under another name": "out_features_of_the_head",
    "channels and actions": "in_channels, num_actions",
    "shape and actions": "input_shape, action_dim",
    "actions and channels, unnamed": "a, b",
    "three numbers": "in_channels, num_actions, env",
    "wrong defaults": "num_frames=1, n_actions=18",
}
NETWORK = """
from torch import nn
class Net(nn.Module):
    def __init__(self, PARAMETERS):
        super().__init__()
        given = dict(vars())
        numbers = [v for v in given.values() if isinstance(v, int)]
        shapes = [v for v in given.values() if isinstance(v, tuple)]
        actions, channels = FOUND
        self.body = nn.Sequential(nn.Conv2d(channels, 2, 9, 9), nn.Flatten(), nn.Linear(32, actions))
    def forward(self, x):
        return self.body(x / 255.0)
"""
FOUND = {
    "n_actions": "n_actions, 4",
    "out_features_of_the_head": "numbers[0], 4",
    "in_channels, num_actions": "num_actions, in_channels",
    "input_shape, action_dim": "action_dim, input_shape[0]",
    "a, b": "a, b",
    "in_channels, num_actions, env": "num_actions, in_channels",
    "num_frames=1, n_actions=18": "n_actions, num_frames",
}


@pytest.mark.parametrize("how", MADE_WITH)
def test_classes_with_number_arguments(how: str) -> None:
    parameters = MADE_WITH[how]
    Path("net.py").write_text(NETWORK.replace("PARAMETERS", parameters).replace("FOUND", FOUND[parameters]))
    expected = nn.Sequential(nn.Conv2d(4, 2, 9, 9), nn.Flatten(), nn.Linear(32, 3))
    torch.save({f"body.{name}": value for name, value in expected.state_dict().items()}, "net.pt")
    policy = from_checkpoint("net.py:Net", Path("net.pt"), STACK, ACTIONS, output=("q_values",), device="cpu")
    obs = pictures(STACK)
    np.testing.assert_array_equal(policy.act(obs), expected(torch.as_tensor(obs) / 255.0).argmax(1).numpy())


def test_arguments_that_nobody_knows_are_named() -> None:
    Path("net.py").write_text("class Net:\n    def __init__(self, envs, temperature, depth):\n        pass\n")
    torch.save({"w": torch.zeros(2)}, "net.pt")
    with pytest.raises(
        UserError, match=r"must be given envs, temperature, depth, but temperature, depth cannot be known"
    ):
        from_checkpoint("net.py:Net", Path("net.pt"), STACK, ACTIONS)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Registers an environment when it is imported; lies in the working folder."""
    name = f"envs_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(
        "import gymnasium, foreign_policies as f\n"
        "gymnasium.register('Planted/Noise-v3', entry_point=lambda: f.NoiseEnv(f.STACK, f.ACTIONS))\n"
    )
    before = dict(gymnasium.registry)
    yield name
    gymnasium.registry.clear()
    gymnasium.registry.update(before)
    sys.modules.pop(name, None)


def test_an_id_with_its_module(package: str, ppo_zip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(ppo_zip), "--task", f"{package}:Planted/Noise-v3", "--out", "out", *QUICK]) == 0
    for wrong, nearest in (("Planted/Noise-v2", "Planted/Noise-v3"), ("Noise", "Planted/Noise-v3")):
        assert main(["explain", str(ppo_zip), "--task", f"{package}:{wrong}", *QUICK]) == 2
        assert f"There is no environment {wrong!r}: did you mean {nearest}?" in capsys.readouterr().err


def test_an_id_of_a_package_that_nobody_imported(package: str, ppo_zip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path()))
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: {"broken_one": ["broken"], package: ["p"]})
    monkeypatch.setattr("importlib.metadata.requires", lambda name: ["numpy", "gymnasium>=1.0"])
    Path("broken_one.py").write_text("1 / 0\n")
    assert main(["explain", str(ppo_zip), "--task", "Planted/Noise-v3", "--out", "out", *QUICK]) == 0


def test_installed_packages_that_need_gymnasium_are_found() -> None:
    pytest.importorskip("minigrid")
    task = find_task("MiniGrid-Empty-5x5-v0")
    with pytest.raises(UserError, match=r"observations of kind Dict, .*AddRenderObservation"):
        fitting(task.make("train", False).observation_space, pixels_of((4, SIDE, SIDE), "uint8", 0, 255), task.name)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("CartPole-v1", "observations of shape (4,), and the policy sees 4 grey frames"),
        ("CartPole", "There is no environment 'CartPole': did you mean CartPole-v1 or "),
        ("CarRacing-v2", "There is no environment 'CarRacing-v2': did you mean CarRacing-v3?"),
        ("carracing-v3", "did you mean CarRacing-v3?"),
        ("ZqxwvNothing-v0", "There is no environment 'ZqxwvNothing-v0': "),
        ("no_such_module_here:Thing-v0", "There is no module 'no_such_module_here'"),
        (
            "broken_module:Thing-v0",
            "Importing broken_module failed: ZeroDivisionError: division by zero (broken_module",
        ),
        (
            "needs_another:Thing-v0",
            "Importing needs_another failed: ModuleNotFoundError: No module named 'nowhere_at_all'",
        ),
        ("not a module:Thing-v0", "'not a module' is not the name of a module"),
        (":Thing-v0", "'' is not the name of a module"),
        ("MiniWorld-Hallway-v0", "pip install miniworld"),
        ("dmc/walker_wlk", "There is no task 'dmc/walker_wlk': did you mean dmc/walker_walk"),
        ("mine.py:old", "gave Old, of the old gym"),
        (
            "mine.py:thing",
            "gave dict, not a gymnasium.Env: it must be a function that makes a gymnasium.Env, or a vector",
        ),
        ("mine.py:needs", "missing 1 required positional argument: 'name'"),
    ],
)
def test_a_task_that_cannot_be_is_one_sentence(
    task: str, sentence: str, ppo_zip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("broken_module.py").write_text("1 / 0\n")
    Path("needs_another.py").write_text("import nowhere_at_all\n")
    Path("mine.py").write_text(
        "class Old: pass\nOld.__module__ = 'gym.core'\ndef old(): return Old()\n"
        "def thing(): return {}\ndef needs(name): return name\n"
    )
    assert main(["explain", str(ppo_zip), "--task", task, *QUICK]) == 2
    told = capsys.readouterr().err
    assert sentence in told.replace("./", "").replace(f"{Path().resolve()}/", ""), told
    assert told.count("\n") == 1


def test_car_racing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where Box2D is not installed its own words say how to install it."""
    Path("net.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        parts = torch.nn.Conv2d(3, 2, 16, 16), torch.nn.Flatten(), torch.nn.Linear(72, 3)\n"
        "        self.body = torch.nn.Sequential(*parts)\n"
        "    def forward(self, x):\n        return self.body(x.permute(0, 3, 1, 2) / 255.0)\n"
        "def make():\n    torch.manual_seed(0)\n    return Net()\n"
    )
    words = ["explain", "--policy", "net.py:make", "--output", "action", "--task", "CarRacing-v3", *QUICK]
    code, told = main(words), capsys.readouterr()
    if importlib.util.find_spec("Box2D") is None:
        assert code == 2 and "Box2D is not installed" in told.err and told.err.count("\n") == 1
    else:
        assert code == 0 and "1 RGB frame of 96x96 pixels" in told.out


def test_atari_as_stable_baselines3_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ale_py")
    pytest.importorskip("cv2")
    Path("mine.py").write_text(
        "import ale_py\n"
        "from stable_baselines3.common.env_util import make_atari_env\n"
        "from stable_baselines3.common.vec_env import VecFrameStack\n"
        "def make():\n    return VecFrameStack(make_atari_env('ALE/Breakout-v5', n_envs=1), 4)\n"
    )
    pixels = pixels_of((4, 84, 84), "uint8", 0, 255)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4 * 84 * 84, 4))
    policy = from_module(network, pixels, gymnasium.spaces.Discrete(4), "logits")
    episode = record(policy, find_task("mine.py:make"), "train", moments=5, every=None, seed=0, max_steps=8)
    assert episode.obs.shape == (5, 4, 84, 84) and episode.obs.max() > 0
    for name in ("ale_py:ALE/Breakout-v5", "ALE/Breakout-v5"):
        assert find_task(name).make("train", False).observation_space.shape == (210, 160, 3)


def test_a_masked_policy_in_a_vector() -> None:
    class Masked(Counting):
        def action_masks(self) -> NDArray[np.bool_]:
            return np.array([False, True, False])

    Path("mine.py").write_text("from test_masked_here import make\n")
    module = type(sys)("test_masked_here")
    vars(module)["make"] = lambda: VecFrameStack(DummyVecEnv([Masked]), 4)
    sys.modules["test_masked_here"] = module
    import dataclasses

    policy = dataclasses.replace(policy_seeing(pixels_of((4, SIDE, SIDE), "uint8", 0, 255)), masked=True)
    task: Task = find_task("mine.py:make")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        episode = record(policy, task, "train", moments=3, every=None, seed=0, max_steps=3)
    assert set(episode.action.tolist()) == {1}


def test_gymnasiums_own_wrappers_end_to_end() -> None:
    class Coloured(Counting):
        def __init__(self) -> None:
            super().__init__((SIDE, SIDE, 3))

    env = FrameStackObservation(GrayscaleObservation(TimeLimit(Coloured(), 2), keep_dim=True), 4)
    policy = policy_seeing(pixels_of((4, SIDE, SIDE), "uint8", 0, 255))
    episode = record(
        policy,
        Task("it", lambda mode, masks: env, ("train",), False),
        "train",
        moments=9,
        every=None,
        seed=0,
        max_steps=9,
    )
    assert episode.length == 2
