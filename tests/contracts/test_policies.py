"""Policies of Stable-Baselines3: opened without unpickling, they act and value as the library says."""

from __future__ import annotations

import base64
import importlib
import io
import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
import torch
from foreign_policies import ACTIONS, BOX, CASES, RGB, STACK, Case, OwnExtractor, pictures, trained
from stable_baselines3 import PPO, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from saccade.nets.views.guided import guided_view
from saccade.nets.views.views import randomised
from saccade.policies.load import load_any
from saccade.policies.pixels import pixels_of
from saccade.policies.policy import Policy
from saccade.policies.scores import SCORES, default_score, has_score, make_score
from saccade.policies.sources.stable_baselines3 import from_model, load_zip
from saccade.types import UserError

Model = tuple[BaseAlgorithm, Path]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    folder, made = tmp_path_factory.mktemp("zips"), dict[str, Model]()

    def model(name: str) -> Model:
        if name not in made:
            path = folder / f"{name}.zip"
            made[name] = (trained(CASES[name]), path)
            made[name][0].save(path)
        return made[name]

    return model


def policy_of(model: Model) -> Policy:
    return load_zip(model[1], device="cpu")


def score_names(policy: Policy) -> list[str]:
    return [name for name in SCORES if has_score(policy, name)]


@pytest.mark.parametrize("name", CASES)
def test_actions_are_the_librarys_own(models: Callable[[str], Model], name: str) -> None:
    model, path = models(name)
    policy = load_zip(path, device="cpu")
    obs = pictures(model.observation_space)
    expected, _ = model.predict(obs, deterministic=True)
    found = policy.act(obs)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(policy.act(obs[0]), model.predict(obs[0], deterministic=True)[0], rtol=1e-5, atol=1e-6)
    assert len(np.unique(found.reshape(len(found), -1), axis=0)) > 1 or policy.discrete
    assert policy.env_steps == model.num_timesteps == 8
    assert policy.name == name.split("_")[0].upper()


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_the_librarys_own(models: Callable[[str], Model], name: str) -> None:
    model, path = models(name)
    policy, network = load_zip(path, device="cpu"), model.policy
    network.set_training_mode(False)
    obs = policy.tensor(pictures(model.observation_space))
    found = computed(policy, obs)
    with torch.no_grad():
        if isinstance(model, TD3):
            expected = {"action": network.actor(obs)}
        elif "q_values" in found:
            expected = {"q_values": network.q_net(obs)}
        elif "q" in found:
            mean, log_std, latent = network.actor.get_action_dist_params(obs)
            network.actor.action_dist.actions_from_params(mean, log_std, deterministic=True, **latent)
            normal = network.actor.action_dist.distribution
            expected = {"mean": normal.mean, "log_std": normal.stddev.log(), "action": network.actor(obs, True)}
            expected["gaussian"] = torch.stack([expected["mean"], expected["log_std"]], dim=1)
        elif policy.discrete:
            # PyTorch's Categorical normalises the logits that it is given.
            found["logits"] = found["logits"].log_softmax(-1)
            expected = {"logits": network.get_distribution(obs).distribution.logits}
        else:
            normal = network.get_distribution(obs).distribution
            expected = {"mean": normal.mean, "log_std": normal.stddev.log()}
            expected["action"] = normal.mean.tanh() if network.squash_output else normal.mean
        if "q" in found:
            expected["q"] = network.critic(obs, expected["action"])[0][:, 0]
        if "value" in found:
            expected["value"] = network.predict_values(obs)[:, 0]
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, msg=lambda text, key=key: f"{key}: {text}")


def computed(policy: Policy, obs: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        given = {"q": (policy.greedy(obs),)} if "q" in policy.outputs else {}
        return {key: output(policy.network, obs, *given.get(key, ())) for key, output in policy.outputs.items()}


@pytest.mark.parametrize("name", CASES)
def test_every_output_has_a_gradient(models: Callable[[str], Model], name: str) -> None:
    policy = policy_of(models(name))
    obs = policy.tensor(pictures(models(name)[0].observation_space)).requires_grad_()
    for key, output in policy.outputs.items():
        if key == "log_std" and "sde" not in name and name != "sac":
            continue  # PPO's is a parameter
        given = (policy.greedy(obs),) if key == "q" else ()
        (gradient,) = torch.autograd.grad(output(policy.network, obs, *given).sum(), obs)
        assert bool((gradient.abs().amax((1, 2, 3)) > 0).all()), key


@pytest.mark.parametrize("name", CASES)
def test_every_score_that_a_policy_has(models: Callable[[str], Model], name: str) -> None:
    policy = policy_of(models(name))
    obs = policy.tensor(pictures(models(name)[0].observation_space))
    other = obs.flip(0)
    assert default_score(policy) in score_names(policy)
    for score_name in score_names(policy):
        score = make_score(policy, score_name, obs, action_for(score_name, policy, obs))
        values, changed = score(obs), score(other)
        assert values.shape == (len(obs),), score_name
        assert bool(values.isfinite().all() & changed.isfinite().all()), score_name
        assert score.distance == (score_name in ("kl", "action_distance", "value_distance", "sarfa"))
        if score.distance:
            assert bool((values == 0).all()), score_name
            assert bool((changed >= 0).all() & (changed > 0).any()), score_name
        index = torch.tensor([3, 0, 3])
        torch.testing.assert_close(score.rows(index)(other[index]), changed[index], rtol=1e-4, atol=1e-6)


def action_for(score_name: str, policy: Policy, obs: Tensor) -> Tensor | None:
    """The greedy one; where that is the peak of a density, one beside it."""
    if score_name == "log_probability" and not policy.discrete:
        return policy.greedy(obs) * 0.5 + 0.1
    return None


def test_the_peak_of_a_density_is_refused(models: Callable[[str], Model]) -> None:
    policy = policy_of(models("sac"))
    obs = policy.tensor(pictures(models("sac")[0].observation_space))
    with pytest.raises(UserError, match="at its peak"):
        make_score(policy, "log_probability", obs)


@pytest.mark.parametrize("name", CASES)
def test_scores_reach_weights_through_their_network_alone(models: Callable[[str], Model], name: str) -> None:
    policy = policy_of(models(name))
    obs = policy.tensor(pictures(models(name)[0].observation_space))
    guided = guided_view(policy.network)
    redrawn = [randomised(policy.network, seed)[-1][1] for seed in range(4)]  # SARFA is zero where nothing is lost
    for score_name in score_names(policy):
        score = make_score(policy, score_name, obs, action_for(score_name, policy, obs))
        torch.testing.assert_close(score.through(guided)(obs), score(obs), msg=score_name)
        assert any(not torch.equal(score.through(view)(obs), score(obs)) for view in redrawn), score_name


def test_nothing_is_unpickled(models: Callable[[str], Model], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any, **options: Any) -> Any:
        raise AssertionError("something was unpickled")

    paths = [models(name)[1] for name in CASES]
    for module in (pickle, cloudpickle):
        monkeypatch.setattr(module, "load", never)
        monkeypatch.setattr(module, "loads", never)
    monkeypatch.setattr(pickle, "Unpickler", never)
    for path in paths:
        assert load_zip(path, device="cpu").outputs


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def rewritten(path: Path, to: Path, **members: bytes | None) -> Path:
    """A copy of a zip with other members: ``policy_pth`` for ``policy.pth``; None leaves one out."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        for name in old.namelist():
            content = members.get(name.replace(".", "_"), old.read(name))
            if content is not None:
                new.writestr(name, content)
    return to


def with_data(path: Path, to: Path, **changes: Any) -> Path:
    """A copy of a zip with other settings."""
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("data")) | changes
    return rewritten(path, to, data=json.dumps(data).encode())


def with_weights(path: Path, to: Path, change: Callable[[dict[str, Tensor]], Any]) -> Path:
    with zipfile.ZipFile(path) as archive:
        weights = torch.load(io.BytesIO(archive.read("policy.pth")), weights_only=True)
    saved = io.BytesIO()
    torch.save(change(weights), saved)
    return rewritten(path, to, policy_pth=saved.getvalue())


def pickled(value: Any, **readable: Any) -> dict[str, Any]:
    """A setting as Stable-Baselines3 writes it that cannot be JSON."""
    return {":type:": "x", ":serialized:": base64.b64encode(cloudpickle.dumps(value)).decode(), **readable}


def test_only_trust_runs_what_is_in_a_zip(models: Callable[[str], Model], tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    path = with_data(models("sac")[1], tmp_path / "trap.zip", policy_kwargs=pickled(Trap(sprung), net_arch=[8]))
    load_zip(path, device="cpu")
    assert not sprung.exists()
    with pytest.raises(UserError):  # a folder's name is no dictionary of options
        load_zip(path, device="cpu", trust=True)
    assert sprung.exists()


def test_trust_opens_no_more_than_the_policy(models: Callable[[str], Model], tmp_path: Path) -> None:
    model, path = models("sac")
    sprung = tmp_path / "sprung"
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("data"))
    others = {
        name: {**value, ":serialized:": pickled(Trap(sprung))[":serialized:"]}
        for name, value in data.items()
        if isinstance(value, dict) and ":serialized:" in value and name not in ("policy_class", "policy_kwargs")
    }
    assert {"observation_space", "action_space", "lr_schedule", "replay_buffer_class"} <= others.keys()
    others |= {name: pickled(Trap(sprung)) for name in ("replay_buffer_kwargs", "action_noise", "unheard_of")}
    policy = load_zip(with_data(path, tmp_path / "trap.zip", **others), device="cpu", trust=True)
    obs = pictures(model.observation_space)
    np.testing.assert_array_equal(policy.act(obs), model.predict(obs, deterministic=True)[0])
    assert not sprung.exists()


@pytest.mark.parametrize("name", CASES)
def test_trust_gives_the_same_policy(models: Callable[[str], Model], name: str) -> None:
    model, path = models(name)
    obs = pictures(model.observation_space)
    found = load_zip(path, device="cpu", trust=True)
    np.testing.assert_array_equal(found.act(obs), model.predict(obs, deterministic=True)[0])


def test_a_space_that_numpy_printed_in_part_needs_trust(models: Callable[[str], Model], tmp_path: Path) -> None:
    model, path = models("sac")
    with zipfile.ZipFile(path) as archive:
        space = json.loads(archive.read("data"))["action_space"]
    cut = with_data(path, tmp_path / "cut.zip", action_space={**space, "low_repr": "[-2. ... 0. 1.]"})
    with pytest.raises(UserError, match=r"action_space .* cannot be read without unpickling\. Give --trust"):
        load_zip(cut, device="cpu")
    obs = pictures(model.observation_space)
    expected = model.predict(obs, deterministic=True)[0]
    np.testing.assert_array_equal(load_zip(cut, device="cpu", trust=True).act(obs), expected)


MODULE = """
import torch
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
class Small(BaseFeaturesExtractor):
    def __init__(self, observation_space, features_dim=8):
        super().__init__(observation_space, features_dim)
        import LATER  # only when it is made
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(observation_space.shape[0], 2, 9, 9), torch.nn.Flatten(), torch.nn.Linear(32, features_dim)
        )
    def forward(self, obs):
        return self.layers(obs)
"""


@pytest.mark.parametrize("where", ["beside the zip", "in the working folder"])
def test_trust_finds_modules(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, here = tmp_path / "beside", tmp_path / "here"
    modules, name = (beside if where == "beside the zip" else here), f"models_{where.partition(' ')[0]}"
    for folder in (beside, here):
        folder.mkdir()
    (modules / f"{name}.py").write_text(MODULE.replace("LATER", f"later_{name}"))
    (modules / f"later_{name}.py").write_text("")
    with monkeypatch.context() as then:
        then.syspath_prepend(str(modules))
        extractor = {"features_extractor_class": vars(importlib.import_module(name))["Small"]}
        model = trained(Case(PPO, RGB, BOX, {**extractor, "features_extractor_kwargs": {}}))
    model.save(beside / "own.zip")
    for module in (name, f"later_{name}"):
        del sys.modules[module]
    monkeypatch.chdir(here)
    with pytest.raises(UserError, match=r"Small.* --trust"):
        load_zip(beside / "own.zip", device="cpu")
    obs = pictures(model.observation_space)
    found = load_zip(beside / "own.zip", device="cpu", trust=True).act(obs)
    np.testing.assert_array_equal(found, model.predict(obs, deterministic=True)[0])


def test_weights_that_are_pickles_stay_closed(models: Callable[[str], Model], tmp_path: Path) -> None:
    path = with_weights(models("dqn")[1], tmp_path / "model.zip", lambda weights: {"x": Trap(tmp_path / "sprung")})
    for trust in (False, True):  # the weights are never unpickled
        with pytest.raises(UserError, match=r"policy.pth in .*more than weights") as refused:
            load_zip(path, device="cpu", trust=trust)
        assert "--trust" not in str(refused.value)
    assert not (tmp_path / "sprung").exists()


def test_own_classes_need_trust(tmp_path: Path) -> None:
    extractor = {"features_extractor_class": OwnExtractor, "features_extractor_kwargs": {"features_dim": 5}}
    model = trained(Case(PPO, RGB, BOX, extractor))
    path = tmp_path / "own.zip"
    model.save(path)
    with pytest.raises(UserError, match=r"features extractor .*OwnExtractor.* --trust"):
        load_zip(path, device="cpu")
    obs = pictures(model.observation_space)
    found = load_zip(path, device="cpu", trust=True).act(obs)
    np.testing.assert_array_equal(found, model.predict(obs, deterministic=True)[0])


def test_a_policy_class_or_activation_of_ones_own_needs_trust(models: Callable[[str], Model], tmp_path: Path) -> None:
    changes: dict[str, dict[str, Any]] = {
        "policy class": {"policy_class": {"__module__": "mine", "__init__": "<function Mine.__init__ at 0x0>"}},
        "activation": {"policy_kwargs": {"activation_fn": "<class 'mine.Swish'>"}},
    }
    for what, change in changes.items():
        with pytest.raises(UserError, match=rf"{what} .*[mM]ine.* --trust"):
            load_zip(with_data(models("dqn")[1], tmp_path / "own.zip", **change), device="cpu")


def test_weights_of_another_architecture_are_listed(models: Callable[[str], Model], tmp_path: Path) -> None:
    def other(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        weights["extra.bias"] = weights.pop("value_net.bias")
        return weights

    differences = r"missing: value_net.bias; unexpected: extra.bias\."
    path = with_weights(models("ppo_box")[1], tmp_path / "other.zip", other)
    for trust in (False, True):  # all of its options can be read: trust would change nothing
        with pytest.raises(UserError, match=rf"{differences}$"):
            load_zip(path, device="cpu", trust=trust)
    sealed = with_weights(models("ppo_box_sde")[1], tmp_path / "sealed.zip", other)  # its activation is pickled
    with pytest.raises(UserError, match=rf"{differences} Give --trust"):
        load_zip(sealed, device="cpu")
    with pytest.raises(UserError, match=rf"{differences}$"):
        load_zip(sealed, device="cpu", trust=True)


WRAPPED: dict[str, Callable[[str], str]] = {
    "compiled": lambda name: f"_orig_mod.{name}",
    "compiled and parallel": lambda name: f"module._orig_mod.{name}",
    "partly compiled": lambda name: name.replace("features_extractor.", "features_extractor._orig_mod.", 1),
    "partly parallel": lambda name: name.replace("features_extractor.cnn.", "features_extractor.cnn.module."),
    "compiled in a compiled one": lambda name: f"_orig_mod.{name.replace('q_net.q_net.', 'q_net._orig_mod.q_net.')}",
}


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize("name", ["ppo_discrete", "dqn", "sac"])
def test_compiled_and_parallel_weights(models: Callable[[str], Model], tmp_path: Path, name: str, wrapped: str) -> None:
    model, path = models(name)
    path = with_weights(
        path,
        tmp_path / "wrapped.zip",
        lambda weights: {WRAPPED[wrapped](key): value for key, value in weights.items()},
    )
    obs = pictures(model.observation_space)
    for trust in (False, True):
        found = load_zip(path, device="cpu", trust=trust).act(obs)
        np.testing.assert_array_equal(found, model.predict(obs, deterministic=True)[0])


@pytest.mark.parametrize("own", [{"pi": [5], "vf": [4, 3]}, {"vf": [4]}, {}])
def test_models_from_before_1_8_share_layers(tmp_path: Path, own: dict[str, list[int]]) -> None:
    """Today's model with equal first layers in actor and critic, saved under the old names."""
    arch = {name: [7, 6, *own.get(name, [])] for name in ("pi", "vf")}
    model = trained(Case(PPO, STACK, ACTIONS, {"net_arch": arch}))
    extractor = model.policy.mlp_extractor
    for place in (0, 2):
        extractor.value_net[place].load_state_dict(extractor.policy_net[place].state_dict())
    model.save(tmp_path / "new.zip")

    def old(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for name, value in weights.items():
            for net in ("policy_net", "value_net"):
                place, _, what = name.removeprefix(f"mlp_extractor.{net}.").partition(".")
                if name.startswith(f"mlp_extractor.{net}."):
                    shared = int(place) < 4
                    name = (
                        f"mlp_extractor.shared_net.{place}.{what}"
                        if shared
                        else name.replace(f"{net}.{place}", f"{net}.{int(place) - 4}")
                    )
            found[name] = value
        return found

    path = with_weights(tmp_path / "new.zip", tmp_path / "weights.zip", old)
    options = {"features_extractor_kwargs": {"features_dim": 16}, "net_arch": [7, 6, own], "device": "cpu"}
    path = with_data(path, tmp_path / "old.zip", policy_kwargs=options)
    obs = pictures(STACK)
    for trust in (False, True):
        policy = load_zip(path, device="cpu", trust=trust)
        np.testing.assert_array_equal(policy.act(obs), model.predict(obs, deterministic=True)[0])
        found = computed(policy, policy.tensor(obs))["value"]
        torch.testing.assert_close(found, model.policy.predict_values(torch.as_tensor(obs))[:, 0].detach())


def test_models_from_before_1_7_share_their_extractor(models: Callable[[str], Model], tmp_path: Path) -> None:
    model, path = models("ppo_discrete")
    split = ("pi_features_extractor.", "vf_features_extractor.")

    def old(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value for name, value in weights.items() if not name.startswith(split)}

    obs = pictures(model.observation_space)
    found = load_zip(with_weights(path, tmp_path / "old.zip", old), device="cpu")
    np.testing.assert_array_equal(found.act(obs), model.predict(obs, deterministic=True)[0])
    values = computed(found, found.tensor(obs))["value"]
    torch.testing.assert_close(values, model.policy.predict_values(torch.as_tensor(obs))[:, 0].detach())


def test_spaces_of_openai_gym_are_read_alike(models: Callable[[str], Model], tmp_path: Path) -> None:
    model, path = models("td3")
    box = {":type:": "<class 'gym.spaces.box.Box'>", ":serialized:": "", "dtype": "float32"}
    old = with_data(
        path, tmp_path / "gym.zip", action_space={**box, "shape": [2], "low": "[-2.  0.]", "high": "[1. 3.]"}
    )
    obs = pictures(model.observation_space)
    np.testing.assert_array_equal(load_zip(old, device="cpu").act(obs), model.predict(obs, deterministic=True)[0])


@pytest.mark.parametrize(
    ("name", "space", "message"),
    [
        ("observation_space", {":type:": "<class 'gymnasium.spaces.dict.Dict'>"}, "Dict space; a Box of pixels"),
        ("action_space", {":type:": "<class 'gymnasium.spaces.multi_discrete.MultiDiscrete'>"}, "MultiDiscrete space"),
        ("action_space", {":type:": "<class 'gymnasium.spaces.discrete.Discrete'>", "n": "?"}, "the zip is damaged"),
        ("action_space", None, "does not say what its action_space is"),
    ],
)
def test_spaces_that_cannot_be_explained(
    models: Callable[[str], Model], tmp_path: Path, name: str, space: Any, message: str
) -> None:
    path = with_data(models("dqn")[1], tmp_path / "space.zip", **{name: space})
    with pytest.raises(UserError, match=message):
        load_zip(path, device="cpu")


def test_vectors_are_not_pictures(tmp_path: Path) -> None:
    vectors = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
    model = trained(Case(PPO, vectors, ACTIONS, kind="MlpPolicy"))
    model.save(tmp_path / "vectors.zip")
    for load in (lambda: load_zip(tmp_path / "vectors.zip", device="cpu"), lambda: from_model(model)):
        with pytest.raises(UserError, match=r"Observations of shape \(4,\) are not pictures"):
            load()


def test_a_network_with_nan_is_named(models: Callable[[str], Model], tmp_path: Path) -> None:
    def broken(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        weights["q_net.q_net.0.bias"][1] = float("nan")
        return weights

    path = with_weights(models("dqn")[1], tmp_path / "nan.zip", broken)
    with pytest.raises(UserError, match=r"DQN hold NaN or infinity, in q_net\.q_net\.0\.bias"):
        load_zip(path, device="cpu")


def test_files_that_are_no_policies(models: Callable[[str], Model], tmp_path: Path) -> None:
    path = models("dqn")[1]
    (tmp_path / "text.zip").write_text("not a zip")
    (tmp_path / "notes.txt").write_text("not a policy")
    (tmp_path / "cut.zip").write_bytes(path.read_bytes()[:-2000])
    damaged = bytearray(path.read_bytes())
    damaged[200:220] = bytes(20)
    (tmp_path / "damaged.zip").write_bytes(damaged)
    torch.save({"weight": torch.zeros(2)}, tmp_path / "checkpoint.pt")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("one.png", b"")
    rewritten(path, tmp_path / "json.zip", data=b"{")
    rewritten(path, tmp_path / "list.zip", data=b"[]")
    rewritten(path, tmp_path / "noise.zip", policy_pth=b"noise")
    with_weights(path, tmp_path / "weights.zip", lambda weights: torch.zeros(3))
    (tmp_path / "folder").mkdir()
    expected = {
        "text.zip": "cut off or damaged",
        "cut.zip": "cut off or damaged",
        "damaged.zip": "cut off or damaged",
        "notes.txt": "a policy is a run folder",
        "checkpoint.pt": "needs its class: --policy",
        "photos.zip": "not one that Stable-Baselines3 saved",
        "json.zip": "is not JSON",
        "list.zip": "expected `object`, got `array`",
        "noise.zip": "policy.pth in .* is damaged",
        "weights.zip": "no state dict",
        "folder": "not a run folder.* A policy is",
        "missing.zip": "not a run folder.* A policy is",
    }
    for name, message in expected.items():
        for trust in (False, True):
            with pytest.raises(UserError, match=message):
                load_any(tmp_path / name, device="cpu", trust=trust)


def test_an_algorithm_that_is_not_known(models: Callable[[str], Model], tmp_path: Path) -> None:
    with zipfile.ZipFile(models("dqn")[1]) as archive:
        data = json.loads(archive.read("data"))
    del data["exploration_fraction"]
    path = rewritten(models("dqn")[1], tmp_path / "other.zip", data=json.dumps(data).encode())
    with pytest.raises(UserError, match="a model that is none of PPO, A2C, DQN, SAC, TD3, TQC"):
        load_zip(path, device="cpu")


def test_other_observations_get_a_sentence(models: Callable[[str], Model]) -> None:
    policy = policy_of(models("ppo_discrete"))
    for obs, message in (
        (np.zeros((36, 36, 4), np.uint8), r"shape \(36, 36, 4\).* it takes .*\(4, 36, 36\)"),
        (np.zeros((4, 36, 36), np.float32), "type float32.* it takes uint8"),
    ):
        with pytest.raises(UserError, match=message):
            policy.act(obs)


def drawing(values: list[float]) -> Policy:
    """A policy that makes a row of numbers of whatever it sees."""
    pixels = pixels_of((3, 2, 5), "uint8", 0, 255, layout="channels_first")
    outputs = {"action": lambda network, obs: obs[:, 0, 0, :1]}
    row = {"row": lambda obs: torch.tensor(values).expand(len(obs), 3, 2, 5)}
    return Policy("mine", torch.nn.Identity(), outputs, pixels, False, torch.device("cpu"), pictures=row)


def test_pictures_are_rounded_and_cut_off() -> None:
    found = drawing([-3.0, 0.4, 0.6, 254.6, 300.0]).picture("row", np.zeros((4, 3, 2, 5), np.uint8))
    assert found.dtype == np.uint8 and found.shape == (4, 3, 2, 5)
    assert found[3, 2, 1].tolist() == [0, 0, 1, 255, 255]


def test_pictures_that_there_are_not(models: Callable[[str], Model]) -> None:
    obs = np.zeros((3, 2, 5), np.uint8)
    with pytest.raises(UserError, match="mine has no picture called 'rows'; it has row"):
        drawing([0.0] * 5).picture("rows", obs)
    with pytest.raises(UserError, match="has no picture called 'row'; it has none"):
        policy_of(models("ppo_box")).picture("row", obs)
    with pytest.raises(UserError, match="mine's picture 'row' holds NaN or infinity"):
        drawing([0.0, float("nan"), 0.0, 0.0, 0.0]).picture("row", obs)


def test_a_missing_library_is_named(models: Callable[[str], Model], monkeypatch: pytest.MonkeyPatch) -> None:
    path = models("dqn")[1]
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(UserError, match=r'pip install "saccade-rl\[sb3\]"'):
        load_zip(path, device="cpu")


def test_the_ending_may_be_left_out(models: Callable[[str], Model]) -> None:
    path = models("dqn")[1]
    assert load_any(path.with_suffix(""), device="cpu").source == str(path)
    with pytest.raises(UserError, match="need --policy"):
        load_any(path, output=("logits",), device="cpu")


def test_loading_draws_no_random_numbers_of_others(models: Callable[[str], Model]) -> None:
    path = models("sac")[1]
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    load_zip(path, device="cpu")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_model_in_memory_is_followed_while_it_trains() -> None:
    model = trained(Case(PPO, STACK, ACTIONS))
    policy = from_model(model)
    obs = pictures(STACK)
    before = computed(policy, policy.tensor(obs))["logits"]
    model.learn(8)
    after = computed(policy, policy.tensor(obs))["logits"]
    assert not torch.equal(before, after)
    np.testing.assert_array_equal(policy.act(obs), model.predict(obs, deterministic=True)[0])
    assert policy.network is model.policy
