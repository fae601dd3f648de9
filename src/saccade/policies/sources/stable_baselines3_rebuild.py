"""Rebuild the policy in a Stable-Baselines3 zip from its readable part, or, if it is trusted, from its pickles."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import torch
from torch import Tensor, nn

from saccade.data.memory import allocations_bounded
from saccade.data.user_code import FAILURES, error_text, importable, running
from saccade.policies.sources import weights as weight_files
from saccade.policies.sources.pickles import Trust, unpickled
from saccade.policies.sources.stable_baselines3_algorithms import policy_class, require
from saccade.policies.sources.stable_baselines3_zip import TRUST, Saved, Sealed, space_of
from saccade.types import UserError

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

Found = tuple["BasePolicy", gymnasium.Space[Any], gymnasium.Space[Any]]
"""The policy with its saved weights, its observation space and its action space."""


def rebuild(saved: Saved) -> Found:
    """Rebuild the policy without unpickling anything.

    The architecture is read off the shapes of the weights; what leaves no trace there (activation functions, shared
    extractors, normalisation) off the readable settings.

    Raises:
        UserError: a class that is not the library's own, or weights that do not fit what was rebuilt.
    """
    saved = replace(saved, weights=_modern(saved))
    observation_space, action_space = space_of(saved, "observation_space"), space_of(saved, "action_space")
    module, name = saved.policy_class
    if module != saved.algorithm.module:
        raise UserError(f"The policy class in {saved.origin} is {module}.{name}, not the library's own. {TRUST}")
    made_by = policy_class(saved.algorithm)
    schedule = () if saved.algorithm.kind == "linear" else (_no_rate,)
    # The weights drawn here are overwritten, and the global random state stays as it was.
    with torch.random.fork_rng(devices=[]), allocations_bounded(f"The policy in {saved.origin}"):
        try:
            network = made_by(observation_space, action_space, *schedule, **_options(saved, action_space))
        except UserError:
            raise
        except FAILURES as error:
            why = f"The policy in {saved.origin} could not be rebuilt: {error_text(error)}. {saved.advice}"
            raise UserError(why.rstrip()) from error
    weight_files.fit(network, saved.weights, saved.origin, saved.advice)
    return network, observation_space, action_space


def trusted(saved: Saved, path: Path) -> Found:
    """Return the policy with the class and options pickled in the zip: unpickling them runs code.

    Nothing else in the zip is unpickled: no schedule, no replay buffer, and no space that can be read. Classes may
    lie in modules beside the zip or in the working folder.

    Raises:
        UserError: something that the zip needs is not installed, or it cannot be unpickled, made or filled.
    """
    require(saved.algorithm.package)
    trust = Trust((path.parent, Path()))
    spaces = [_space(saved, name, trust) for name in ("observation_space", "action_space")]
    made_by = _opened(saved, "policy_class", trust)
    options = _old_options(_opened(saved, "policy_kwargs", trust))
    if saved.algorithm.exploring:
        options["use_sde"] = bool(saved.data.get("use_sde"))
    schedule = () if saved.algorithm.kind == "linear" else (_no_rate,)
    with (
        importable(*trust.folders),
        torch.random.fork_rng(devices=[]),
        allocations_bounded(f"The policy in {path}"),
        running(f"Making the policy in {path}"),
    ):
        network = made_by(*spaces, *schedule, **options)
    if not isinstance(network, nn.Module):
        raise UserError(f"The policy class in {path} made a {type(network).__name__}, not a network.")
    weights = saved.weights
    if weight_files.mismatch(network, weights):
        weights = _modern(saved)
    weight_files.fit(network, weights, saved.origin)
    found: Any = network
    return found, spaces[0], spaces[1]


def _no_rate(progress: float) -> float:
    """The learning rate of a policy that is not trained."""
    return 0.0


def _space(saved: Saved, name: str, trust: Trust) -> gymnasium.Space[Any]:
    try:
        return space_of(saved, name)
    except Sealed:
        space = _opened(saved, name, trust)
    if not isinstance(space, gymnasium.Space):
        raise UserError(f"The {name} in {saved.origin} is a {type(space).__name__}, not a space of Gymnasium.")
    return space


def _opened(saved: Saved, name: str, trust: Trust) -> Any:
    """A setting, unpickled if it is pickled."""
    pickled = saved.sealed(name)
    if pickled is None:
        return saved.data.get(name)
    try:
        return unpickled(base64.b64decode(pickled), trust)
    except FAILURES as error:
        raise UserError(f"The {name} in {saved.origin} cannot be unpickled here: {error_text(error)}.") from error


def _old_options(options: Any) -> dict[str, Any]:
    """Keyword arguments as version 2 takes them; earlier ones had a device, and layers shared by actor and critic."""
    taken = {name: value for name, value in dict(options or {}).items() if name != "device"}
    layers = taken.get("net_arch")
    if isinstance(layers, list) and layers and isinstance(layers[-1], dict):
        shared, own = layers[:-1], layers[-1]
        taken["net_arch"] = {name: [*shared, *own.get(name, [])] for name in ("pi", "vf")}
    return taken


def _options(saved: Saved, action_space: gymnasium.Space[Any]) -> dict[str, Any]:
    """Keyword arguments of the policy class."""
    weights, kind = saved.weights, saved.algorithm.kind
    options = _activation(saved)
    if kind == "linear":
        layers = _widths(weights, "action_net.")
        squashed = saved.option("squash_output", "Linear" not in saved.policy_class[1])
        bias = any(name.endswith(".bias") for name in weights)
        return options | {"net_arch": layers[:-1], "with_bias": bias, "squash_output": squashed}
    options |= _extractor(saved) | {"normalize_images": saved.option("normalize_images", True)}
    if kind == "values":
        return options | {"net_arch": _widths(weights, "q_net.q_net.")[:-1]}
    if kind == "quantiles":
        layers = _widths(weights, "quantile_net.quantile_net.")
        actions = int(action_space.n) if isinstance(action_space, gymnasium.spaces.Discrete) else 1
        return options | {"net_arch": layers[:-1], "n_quantiles": layers[-1] // actions}
    if saved.algorithm.name != "CrossQ":
        options["share_features_extractor"] = saved.option("share_features_extractor", kind == "actor_critic")
    if kind == "actor_critic":
        prefixes = {"pi": "mlp_extractor.policy_net.", "vf": "mlp_extractor.value_net."}
        options["net_arch"] = {name: _widths(weights, prefix) for name, prefix in prefixes.items()}
        options["ortho_init"] = False
    else:
        actor = _widths(weights, "actor.mu.")[:-1] if kind == "deterministic" else _widths(weights, "actor.latent_pi.")
        critic = _widths(weights, "critic.qf0.")
        options["net_arch"] = {"pi": actor, "qf": critic[:-1]}
        options["n_critics"] = len({name.split(".")[1] for name in weights if name.startswith("critic.qf")})
        if saved.algorithm.name == "TQC":
            options["n_quantiles"] = critic[-1]
        if saved.algorithm.name == "CrossQ":
            options["batch_norm"] = any(name.endswith(".ra_mean") for name in weights)
            options["batch_norm_eps"] = saved.option("batch_norm_eps", 0.001)
    return options | _exploration(saved)


def _activation(saved: Saved) -> dict[str, Any]:
    described = saved.printed("activation_fn")
    if described is None:
        return {}
    found = vars(nn).get(_known(described, "torch.nn.modules."))
    if found is None:
        raise UserError(f"The activation in {saved.origin} is {described}, not one of PyTorch's. {TRUST}")
    return {"activation_fn": found}


def _extractor(saved: Saved) -> dict[str, Any]:
    """The features extractor's class and keyword arguments."""
    from stable_baselines3.common import torch_layers

    default = "NatureCNN" if "Cnn" in saved.policy_class[1] else "FlattenExtractor"
    text = saved.printed("features_extractor_class")
    name = default if text is None else _known(text, "stable_baselines3.common.torch_layers.")
    if name not in ("NatureCNN", "FlattenExtractor"):
        raise UserError(f"The features extractor in {saved.origin} is {text}, not one that can be rebuilt. {TRUST}")
    options = _extractor_options(saved, name)
    return {"features_extractor_class": getattr(torch_layers, name), "features_extractor_kwargs": options}


def _exploration(saved: Saved) -> dict[str, Any]:
    """Options of state-dependent exploration, which decide what the standard deviation is computed from."""
    kind = saved.algorithm.kind
    if kind == "deterministic" or not saved.data.get("use_sde"):
        return {}
    options = {"use_sde": True, "use_expln": saved.option("use_expln", False)}
    if kind == "squashed":
        return options | {"clip_mean": saved.option("clip_mean", 2.0)}
    full = saved.option("full_std", True)
    return options | {"full_std": full, "squash_output": saved.option("squash_output", False)}


def _extractor_options(saved: Saved, extractor: str) -> dict[str, Any]:
    if extractor != "NatureCNN":
        return {}
    given = saved.option("features_extractor_kwargs", dict[str, Any]())
    last = next((value for name, value in saved.weights.items() if name.endswith("extractor.linear.0.weight")), None)
    options = {} if last is None else {"features_dim": len(last)}
    if given.get("normalized_image"):
        options["normalized_image"] = True
    return options


def _widths(weights: Mapping[str, Tensor], prefix: str) -> list[int]:
    """Output widths of the linear layers in a sequence of layers."""
    layers = {
        int(name.removeprefix(prefix).split(".")[0]): len(value)
        for name, value in weights.items()
        if re.fullmatch(re.escape(prefix) + r"\d+\.weight", name) and value.ndim == 2
    }
    return [layers[index] for index in sorted(layers)]


def _modern(saved: Saved) -> dict[str, Tensor]:
    """Weights under the names of version 2.

    Before version 1.7 PPO and A2C saved their one extractor once; since then it has three names. Before 1.8 the
    first layers after it could be shared too (``shared_net``): they become the first of both, with equal weights.
    """
    weights = dict(saved.weights)
    if saved.algorithm.kind != "actor_critic":
        return weights
    if not any(name.startswith("pi_features_extractor.") for name in weights):
        for name, value in saved.weights.items():
            if name.startswith("features_extractor."):
                weights |= {f"pi_{name}": value, f"vf_{name}": value}
    return _unshared(weights)


def _unshared(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    shared, both = "mlp_extractor.shared_net.", ("mlp_extractor.policy_net.", "mlp_extractor.value_net.")
    places = 2 * len(_widths(weights, shared))  # a layer and its activation
    if not places:
        return weights
    split: dict[str, Tensor] = {}
    for name, value in weights.items():
        prefix = next((one for one in (shared, *both) if name.startswith(one)), None)
        if prefix is None:
            split[name] = value
            continue
        place, _, what = name.removeprefix(prefix).partition(".")
        if prefix == shared:
            split |= {f"{one}{place}.{what}": value for one in both}
        else:
            split[f"{prefix}{int(place) + places}.{what}"] = value
    return split


def _known(described: Any, package: str) -> str:
    """``ReLU`` from ``<class 'torch.nn.modules.activation.ReLU'>`` if it is in this package, else an empty string."""
    found = re.fullmatch(rf"<class '{re.escape(package)}(?:\w+\.)*(\w+)'>", str(described))
    return found.group(1) if found else ""
