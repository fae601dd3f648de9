"""A Stable-Baselines3 zip: what of it can be read without unpickling, and the policy rebuilt from that."""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from saccade.data import documents
from saccade.data.documents import BadDocument, Kind
from saccade.data.files import refuse_endless
from saccade.data.memory import allocations_bounded
from saccade.policies.sources import weights as weight_files
from saccade.policies.sources.user_code import FAILURES, running, told
from saccade.types import UserError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.policies import BasePolicy

ALGORITHMS = {
    "PPO": "clip_range",
    "DQN": "exploration_fraction",
    "SAC": "target_entropy",
    "TD3": "policy_delay",
    "A2C": "gae_lambda",
}
"""A setting that tells each algorithm from those after it."""

MODULES = {
    "stable_baselines3.common.policies": ("PPO", "A2C"),
    "stable_baselines3.dqn.policies": ("DQN",),
    "stable_baselines3.sac.policies": ("SAC",),
    "stable_baselines3.td3.policies": ("TD3",),
}
"""Where the library's policy classes are, and who uses them."""

MOST_PIXELS = 2**26
"""Of an observation: 4096 by 4096 pixels of a stack of four grey pictures."""

TRUST = "Give --trust if you know where the file comes from: Stable-Baselines3 then loads it, and runs what is in it."


@final
@dataclass(frozen=True)
class Saved:
    """The readable part of a zip. Pickled values are there as strings and simple attributes only."""

    origin: str
    algorithm: str
    data: Mapping[str, Any]
    weights: Mapping[str, Tensor]

    @property
    def env_steps(self) -> int:
        return self._typed("num_timesteps", self.data.get("num_timesteps") or 0, 0)

    def option(self, name: str, default: Kind) -> Kind:
        """A keyword argument that the policy was made with, as far as it can be read; of the default's type."""
        return self._typed(name, self._arguments().get(name, default), default)

    def printed(self, name: str) -> str | None:
        """How a class among the arguments prints; None where there is none."""
        value = self._arguments().get(name)
        return None if value is None else str(value)

    def _arguments(self) -> Mapping[str, Any]:
        arguments = self.data.get("policy_kwargs")
        return arguments if isinstance(arguments, Mapping) else {}

    def _typed(self, name: str, value: Any, default: Kind) -> Kind:
        try:
            return documents.typed(value, type(default))
        except BadDocument as error:
            raise UserError(f"{self.origin} is damaged: its setting {name} cannot be used, {error}.") from error


def read_zip(path: Path) -> Saved:
    """Raises UserError for a file that is not a zip, is damaged, or is not a policy of Stable-Baselines3."""
    refuse_endless(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if not {"data", "policy.pth"} <= names:
                raise UserError(f"{path} is a zip, but not one that Stable-Baselines3 saved: {_what_else(names)}.")
            text = _member(archive, "data", documents.MOST_BYTES)
            weights = _member(archive, "policy.pth", weight_files.most_bytes())
        data = documents.parse(text, dict[str, Any])
    except BadDocument as error:
        raise UserError(f"{path} is damaged: its member 'data' cannot be used, {error}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"{path} is not a zip file, or is cut off or damaged: copy or save it again.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    algorithm = next((name for name, setting in ALGORITHMS.items() if setting in data), None)
    if algorithm is None:
        raise UserError(f"{path} holds a model that is none of {', '.join(ALGORITHMS)}.")
    found = list(weight_files.state_dicts(weight_files.read(weights, f"policy.pth in {path}")))
    if len(found) != 1:
        raise UserError(f"{path} is damaged: its member 'policy.pth' is no state dict.")
    return Saved(str(path), algorithm, data, found[0])


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of a member, of which no more is unpacked than the archive declares."""
    declared = archive.getinfo(name).file_size
    if declared > most:
        raise UserError(
            f"{archive.filename} declares {declared:,} bytes of {name!r}, more than the {most:,} that can be right."
        )
    return archive.read(name)


def _what_else(names: set[str]) -> str:
    if any(name.endswith("data.pkl") for name in names):
        return "it is a checkpoint of PyTorch, which needs its class: --policy file.py:Class --checkpoint FILE"
    return "it has no 'data' and 'policy.pth' in it"


def rebuild(saved: Saved) -> tuple[BasePolicy, gymnasium.Space[Any], gymnasium.Space[Any]]:
    """The policy with its saved weights, its observation space and its action space.

    The architecture is read off the shapes of the weights; what leaves no trace there (activation functions, shared
    extractors, normalisation) off the readable settings.

    Raises:
        UserError: a class that is not the library's own, or weights that do not fit what was rebuilt.
    """
    observation_space = _space(saved, "observation_space")
    action_space = _space(saved, "action_space")
    policy_class, extractor = _classes(saved)
    # The weights that are drawn here are overwritten; nobody's random numbers change for it.
    with torch.random.fork_rng(devices=[]), allocations_bounded(f"The policy in {saved.origin}"):
        try:
            options = _options(saved, extractor)
            network = policy_class(observation_space, action_space, lambda progress: 0.0, **options)
        except UserError:
            raise
        except FAILURES as error:
            raise UserError(f"The policy in {saved.origin} could not be rebuilt: {told(error)}. {TRUST}") from error
    weight_files.fit(network, _with_split_extractors(saved), saved.origin, TRUST)
    return network, observation_space, action_space


def trusted_model(saved: Saved, path: Path) -> BaseAlgorithm:
    """The model as Stable-Baselines3 loads it: what is pickled in the zip is run.

    Raises:
        UserError: Stable-Baselines3 or something that the zip needs is not installed, or it cannot be loaded.
    """
    library = _library()
    # Schedules and buffers serve training alone; a replay buffer of the original size could fill the memory.
    training_only = {
        "learning_rate": 0.0,
        "lr_schedule": lambda progress: 0.0,
        "exploration_schedule": lambda progress: 0.0,
        "clip_range": 0.2,
        "clip_range_vf": None,
        "replay_buffer_class": None,
        "replay_buffer_kwargs": {},
        "rollout_buffer_class": None,
        "rollout_buffer_kwargs": {},
        "_last_obs": None,
    }
    size = {"n_steps": 1} if "gae_lambda" in saved.data else {"buffer_size": 1}
    with running(f"Loading {path} with Stable-Baselines3"):
        return getattr(library, saved.algorithm).load(path, device="cpu", custom_objects=training_only, **size)


def _library() -> Any:
    try:
        import stable_baselines3
    except ImportError as error:
        raise UserError(
            f'Policies of Stable-Baselines3 need its package ({error}): pip install "saccade-rl[sb3]".'
        ) from error
    return stable_baselines3


def _classes(saved: Saved) -> tuple[type[BasePolicy], str]:
    """The library's policy class, and the name of its features extractor."""
    _library()
    from stable_baselines3.common.policies import ActorCriticPolicy
    from stable_baselines3.dqn.policies import DQNPolicy
    from stable_baselines3.sac.policies import SACPolicy
    from stable_baselines3.td3.policies import TD3Policy

    classes: dict[str, type[BasePolicy]] = {
        "PPO": ActorCriticPolicy,
        "A2C": ActorCriticPolicy,
        "DQN": DQNPolicy,
        "SAC": SACPolicy,
        "TD3": TD3Policy,
    }
    policy_class = saved.data.get("policy_class")
    described = policy_class if isinstance(policy_class, Mapping) else {}
    module, name = described.get("__module__"), _class_name(described.get("__init__"))
    if saved.algorithm not in MODULES.get(str(module), ()):
        raise UserError(f"The policy class in {saved.origin} is {module}.{name}, not the library's own. {TRUST}")
    default = "NatureCNN" if "Cnn" in name else "FlattenExtractor"
    text = saved.printed("features_extractor_class")
    extractor = default if text is None else _known(text, "stable_baselines3.common.torch_layers.")
    if extractor not in ("NatureCNN", "FlattenExtractor"):
        raise UserError(f"The features extractor in {saved.origin} is {text}, not one that can be rebuilt. {TRUST}")
    return classes[saved.algorithm], extractor


def _options(saved: Saved, extractor: str) -> dict[str, Any]:
    """Keyword arguments of the policy class."""
    from stable_baselines3.common import torch_layers

    weights, algorithm = saved.weights, saved.algorithm
    options: dict[str, Any] = {
        "features_extractor_class": getattr(torch_layers, extractor),
        "features_extractor_kwargs": _extractor_options(saved, extractor),
        "normalize_images": saved.option("normalize_images", True),
    }
    activation = saved.printed("activation_fn")
    if activation is not None:
        options["activation_fn"] = vars(nn).get(_known(activation, "torch.nn.modules."))
        if options["activation_fn"] is None:
            raise UserError(f"The activation in {saved.origin} is {activation}, not one of PyTorch's. {TRUST}")
    if algorithm == "DQN":
        return options | {"net_arch": _widths(weights, "q_net.q_net.")[:-1]}
    shared = saved.option("share_features_extractor", algorithm in ("PPO", "A2C"))
    options["share_features_extractor"] = shared
    if algorithm in ("SAC", "TD3"):
        actor = _widths(weights, "actor.latent_pi.") if algorithm == "SAC" else _widths(weights, "actor.mu.")[:-1]
        options["net_arch"] = {"pi": actor, "qf": _widths(weights, "critic.qf0.")[:-1]}
        options["n_critics"] = len({name.split(".")[1] for name in weights if name.startswith("critic.qf")})
    else:
        layers = {"pi": "mlp_extractor.policy_net.", "vf": "mlp_extractor.value_net."}
        options["net_arch"] = {name: _widths(weights, prefix) for name, prefix in layers.items()}
        options["ortho_init"] = False
    return options | _exploration(saved)


def _exploration(saved: Saved) -> dict[str, Any]:
    """Options of state-dependent exploration, which decide what the standard deviation is computed from."""
    if saved.algorithm == "TD3" or not saved.data.get("use_sde"):
        return {}
    options = {"use_sde": True, "use_expln": saved.option("use_expln", False)}
    if saved.algorithm == "SAC":
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
    """Outputs of the linear layers in a sequence of layers."""
    layers = {
        int(name.removeprefix(prefix).split(".")[0]): len(value)
        for name, value in weights.items()
        if re.fullmatch(re.escape(prefix) + r"\d+\.weight", name) and value.ndim == 2
    }
    return [layers[index] for index in sorted(layers)]


def _with_split_extractors(saved: Saved) -> dict[str, Tensor]:
    """Before version 1.7 PPO and A2C saved their one extractor once; since then three names lead to it."""
    weights = dict(saved.weights)
    if saved.algorithm in ("PPO", "A2C") and not any(name.startswith("pi_features_extractor.") for name in weights):
        for name, value in saved.weights.items():
            if name.startswith("features_extractor."):
                weights |= {f"pi_{name}": value, f"vf_{name}": value}
    return weights


def _space(saved: Saved, name: str) -> gymnasium.Space[Any]:
    """A space from its printed attributes. Those of OpenAI Gym, from before Gymnasium, print alike."""
    described = saved.data.get(name)
    if not isinstance(described, Mapping):
        raise UserError(f"{saved.origin} does not say what its {name} is.")
    kind = str(described.get(":type:")).removesuffix("'>").rpartition(".")[2]
    most = sum(value.numel() for value in saved.weights.values())  # each action and each number seen has a weight
    try:
        if kind == "Discrete":
            count, start = int(described["n"]), int(described.get("start") or 0)
            if count > most:
                raise UserError(f"{saved.origin} tells of {count:,} actions, and its network has {most:,} weights.")
            return gymnasium.spaces.Discrete(count, start=start)
        if kind == "Box":
            shape = tuple(int(side) for side in described.get("_shape", described.get("shape")))
            if math.prod(shape) > MOST_PIXELS:
                raise UserError(f"The {name} in {saved.origin} has shape {shape}, which no picture has.")
            dtype = np.dtype(described["dtype"])
            low, high = (_bound(described, bound, shape).astype(dtype) for bound in ("low", "high"))
            return gymnasium.spaces.Box(low, high, shape, dtype.type)
    except UserError:
        raise
    except FAILURES as error:
        raise UserError(f"The {name} in {saved.origin} cannot be read without unpickling. {TRUST}") from error
    kinds = "a Box of pixels is" if name == "observation_space" else "Discrete or Box is"
    raise UserError(f"The {name} in {saved.origin} is a {kind} space; {kinds} needed to explain a policy.")


def _bound(described: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A Box's lower or upper bound, from how NumPy prints it: one number, all of them, or a corner of equal ones."""
    text = described.get(f"{name}_repr") or described[name]
    words = re.sub(r"[\[\],]", " ", str(text)).split()
    numbers = [float(word) for word in words if word != "..."]
    if len(set(numbers)) == 1:
        return np.full(shape, numbers[0])
    return np.array(numbers).reshape(shape)  # raises ValueError where NumPy left numbers out


def _class_name(described: Any) -> str:
    """``CnnPolicy`` of ``<function CnnPolicy.__init__ at 0x7f>``."""
    found = re.match(r"<function (\w+)\.__init__ ", str(described))
    return found.group(1) if found else "a class of its own"


def _known(described: Any, package: str) -> str:
    """``ReLU`` of ``<class 'torch.nn.modules.activation.ReLU'>`` if it is of this package, else nothing."""
    found = re.fullmatch(rf"<class '{re.escape(package)}(?:\w+\.)*(\w+)'>", str(described))
    return found.group(1) if found else ""
