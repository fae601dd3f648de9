"""Policies of sb3-contrib: opened without unpickling, they act and value as that library says; or one sentence."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from foreign_policies import ACTIONS, BOX, RGB, STACK, NoiseEnv, pictures
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray

from saccade.explain.episodes import record
from saccade.explain.returns import kept_returns
from saccade.explain.tasks import Task
from saccade.policies.load import load_any
from saccade.policies.policy import Policy
from saccade.policies.scores import default_score, make_score
from saccade.policies.sources.stable_baselines3 import from_model
from saccade.types import UserError

contrib = pytest.importorskip("sb3_contrib", reason="sb3-contrib is not installed")

EXTRACTOR = {"features_extractor_kwargs": {"features_dim": 16}}
OFF_POLICY = {"buffer_size": 16, "learning_starts": 4, "batch_size": 4}
ON_POLICY = {"n_steps": 8, "batch_size": 8}
Cases = dict[str, tuple[str, str, gymnasium.Space[Any], gymnasium.Space[Any], dict[str, Any], dict[str, Any]]]
CASES: Cases = {
    "tqc": ("TQC", "CnnPolicy", RGB, BOX, {"net_arch": [8], "n_quantiles": 7, "n_critics": 3, **EXTRACTOR}, OFF_POLICY),
    "tqc_sde": ("TQC", "CnnPolicy", RGB, BOX, {"net_arch": [8], **EXTRACTOR}, {**OFF_POLICY, "use_sde": True}),
    "crossq": ("CrossQ", "MlpPolicy", RGB, BOX, {"net_arch": [8, 6], "batch_norm_eps": 0.01}, OFF_POLICY),
    "crossq_bare": ("CrossQ", "MlpPolicy", RGB, BOX, {"net_arch": [8], "batch_norm": False}, OFF_POLICY),
    "qrdqn": ("QRDQN", "CnnPolicy", STACK, ACTIONS, {"net_arch": [8], "n_quantiles": 7, **EXTRACTOR}, OFF_POLICY),
    "trpo": ("TRPO", "CnnPolicy", STACK, ACTIONS, {"net_arch": {"pi": [7], "vf": [6]}, **EXTRACTOR}, ON_POLICY),
    "trpo_box": ("TRPO", "CnnPolicy", RGB, BOX, EXTRACTOR, {**ON_POLICY, "use_sde": True}),
    "maskable": ("MaskablePPO", "CnnPolicy", STACK, ACTIONS, {"net_arch": [6], **EXTRACTOR}, ON_POLICY),
    "ars": ("ARS", "MlpPolicy", STACK, ACTIONS, {"net_arch": [16]}, {"n_delta": 2}),
    "ars_box": ("ARS", "MlpPolicy", RGB, BOX, {"net_arch": [16], "with_bias": False}, {"n_delta": 2}),
    "ars_linear": ("ARS", "LinearPolicy", RGB, BOX, {}, {"n_delta": 2}),
}


class Masked(NoiseEnv):
    """Never allows the last action."""

    def step(self, action: Any) -> tuple[NDArray[Any], float, bool, bool, dict[str, Any]]:
        assert action != 2
        return super().step(action)

    def action_masks(self) -> NDArray[np.bool_]:
        return np.array([True, True, False])


def made(name: str) -> Any:
    algorithm, kind, observations, actions, policy, options = CASES[name]
    env = TimeLimit((Masked if algorithm == "MaskablePPO" else NoiseEnv)(observations, actions), 4)
    found = getattr(contrib, algorithm)(kind, env, policy_kwargs=policy, seed=3, device="cpu", **options)
    return found.learn(8)


Model = tuple[Any, Path]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    folder, there = tmp_path_factory.mktemp("zips"), dict[str, Model]()

    def model(name: str) -> Model:
        if name not in there:
            path = folder / f"{name}.zip"
            there[name] = (made(name), path)
            there[name][0].save(path)
        return there[name]

    return model


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_actions_are_the_librarys_own(models: Callable[[str], Model], name: str, trust: bool) -> None:
    model, path = models(name)
    policy = load_any(path, device="cpu", trust=trust)
    obs = pictures(model.observation_space)
    np.testing.assert_allclose(policy.act(obs), model.predict(obs, deterministic=True)[0], rtol=1e-5, atol=1e-6)
    assert policy.name == CASES[name][0]


def expected(model: Any, policy: Policy, obs: torch.Tensor) -> dict[str, torch.Tensor]:
    network, action = model.policy, policy.greedy(obs)
    network.set_training_mode(False)
    if policy.name == "QRDQN":
        return {"q_values": network.quantile_net(obs).mean(1)}
    if policy.name in ("TQC", "CrossQ"):
        first = network.critic(obs, action)
        return {
            "q": (first[0] if isinstance(first, tuple) else first[:, 0]).mean(-1),
            "action": network.actor(obs, True),
        }
    if policy.name == "ARS":
        made = network.action_net(network.extract_features(obs, network.features_extractor))
        return {"logits" if policy.discrete else "action": made}
    value = {"value": network.predict_values(obs)[:, 0]}
    distribution = network.get_distribution(obs).distribution
    if not policy.discrete:
        return value | {"mean": distribution.mean, "log_std": distribution.stddev.log(), "action": distribution.mean}
    return value | {"logits": distribution.logits}


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_the_librarys_own(models: Callable[[str], Model], name: str) -> None:
    model, path = models(name)
    policy = load_any(path, device="cpu")
    obs = policy.tensor(pictures(model.observation_space))
    with torch.no_grad():
        wanted = expected(model, policy, obs)
        for key, value in wanted.items():
            given = (policy.greedy(obs),) if key == "q" else ()
            found = policy.outputs[key](policy.network, obs, *given)
            if key == "logits" and policy.name != "ARS":
                found = found.log_softmax(-1)
            torch.testing.assert_close(found, value, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("name", CASES)
def test_the_default_score_depends_on_the_picture(models: Callable[[str], Model], name: str) -> None:
    policy = load_any(models(name)[1], device="cpu")
    obs = policy.tensor(pictures(models(name)[0].observation_space)).requires_grad_()
    score = make_score(policy, default_score(policy), obs)
    (gradient,) = torch.autograd.grad(score(obs).sum(), obs)
    assert bool((gradient.abs().amax((1, 2, 3)) > 0).any())


def test_a_memory_is_refused_with_and_without_trust(tmp_path: Path) -> None:
    model = contrib.RecurrentPPO("CnnLstmPolicy", NoiseEnv(STACK, ACTIONS), policy_kwargs=EXTRACTOR, n_steps=8)
    model.save(tmp_path / "memory.zip")
    for trust in (False, True):
        with pytest.raises(UserError, match=r"memory of earlier observations") as refused:
            load_any(tmp_path / "memory.zip", device="cpu", trust=trust)
        assert "--trust" not in str(refused.value)
    with pytest.raises(UserError, match=r"memory of earlier observations"):
        from_model(model)


def test_what_the_environment_forbids_is_not_done_and_that_is_said(models: Callable[[str], Model]) -> None:
    model, path = models("maskable")
    with torch.no_grad():
        model.policy.action_net.bias[2] += 100.0  # the policy's favourite
    model.save(path.with_name("favourite.zip"))
    with torch.no_grad():
        model.policy.action_net.bias[2] -= 100.0
    policy = load_any(path.with_name("favourite.zip"), device="cpu")
    task = Task("mine", lambda mode, masks: Masked(STACK, ACTIONS), ("train",), False)
    with pytest.warns(UserWarning, match="in 3 of 3 moments MaskablePPO prefers an action that mine does not allow"):
        episode = record(policy, task, "train", moments=3, every=None, seed=0, max_steps=3)
    assert set(episode.action.tolist()) <= {0, 1}
    kept = kept_returns(policy, task, "train", None, torch.zeros_like, fractions=(0.5, 1.0), seed=0, steps=3)
    assert kept.steps == 3  # Masked refuses what it does not allow
    bare = Task("bare", lambda mode, masks: NoiseEnv(STACK, ACTIONS), ("train",), False)
    with pytest.raises(UserError, match=r"trained with action masks, but bare has no action_masks"):
        record(policy, bare, "train", moments=3, every=None, seed=0, max_steps=3)


def test_a_missing_library_is_named(models: Callable[[str], Model], monkeypatch: pytest.MonkeyPatch) -> None:
    path, imported = models("qrdqn")[1], builtins.__import__

    def absent(name: str, *others: Any) -> Any:
        if name.partition(".")[0] == "sb3_contrib":
            raise ImportError("No module named sb3_contrib")
        return imported(name, *others)

    monkeypatch.setattr(
        "saccade.policies.sources.stable_baselines3_algorithms.importlib.import_module",
        lambda name: absent(name, None, None, ["x"]),
    )
    for trust in (False, True):
        with pytest.raises(UserError, match=r'sb3_contrib need its package .*pip install "saccade-rl\[sb3\]"'):
            load_any(path, device="cpu", trust=trust)
