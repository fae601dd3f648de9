"""PPO on Atari, recorded: forward passes with attention, and one whole iteration, against ours in double precision.

``SACCADE_GOLDEN`` names the folder of recordings, which has these in ``fls``. Everything is read off a file: sizes,
hyper-parameters, and the names that weights are made from.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from saccade.agents import agent as machinery
from saccade.agents.agent import Agent
from saccade.agents.configs_on_policy import FLS, PPO, Trunk
from saccade.agents.methods.fls import make_fls
from saccade.agents.methods.ppo import PolicyAndValue, appraised, make_ppo
from saccade.data.rollout import Outcome
from saccade.nets.attention import FreeLunchAttention, SoftmaxAttention, UnitLength, receptive_field
from saccade.nets.attention_architectures import ARCHITECTURES
from saccade.types import Decisions, Discrete, Spaces

FOLDER = Path(os.environ.get("SACCADE_GOLDEN", Path(__file__).parents[3] / "shared" / "golden")) / "fls"
OUR_NAMES = {
    "nature": "none",
    "sparse_fls": "sparse",
    "dense_fls_sumpool": "dense",
    "dense_fls_no_relu_sumpool": "dense_no_relu",
}
"""Of architectures whose recordings are not simply called ``sparse_fls_...`` after our ``sparse_...``, or as ours."""
UPDATES = sorted(FOLDER.glob("ppo_update_*.npz"))
FORWARD = sorted(set(FOLDER.glob("ppo_*.npz")) - set(UPDATES))
ADAMS = {"tf1": "tensorflow", "torch": "pytorch"}
HYPERPARAMETERS = (
    "discount", "gae_lambda", "clip_range", "entropy_weight", "value_weight", "max_gradient_norm", "rate",
    "adam_epsilon", "beta1", "beta2", "advantage_epsilon", "update", "updates",
)  # fmt: skip
LOSSES = {"policy": "policy", "value": "value", "entropy": "entropy", "approx_kl": "approximate_kl"}
LOSSES["clip_fraction"] = "clip_fraction"

CPU = torch.device("cpu")
FORWARD_TOLERANCE = 1e-10  # relative to the largest value
SINGLE_TOLERANCE = 1e-6  # the same, of what is recorded, or given, in single precision
FEW_OF_DENSE = 2
FIRST_TOLERANCE = 1e-10  # absolute, before any step
# PyTorch adds 1e-6 to a gradient's length before it cuts it, which the recordings do not. Without that all of it agrees
# to 1e-13. Wrong equations are off by 4e-5 in weights and 0.03 in losses.
LOSS_TOLERANCE, NORM_TOLERANCE, WEIGHT_TOLERANCE, FINAL_TOLERANCE = 1e-6, 1e-5, 2e-9, 5e-6
GOLDEN_RATIO, MIX1, MIX2, ALL_BITS = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 2**64

needs_recordings = pytest.mark.skipif(not (FORWARD and UPDATES), reason=f"no recordings of PPO in {FOLDER}")
every_forward = pytest.mark.parametrize("path", FORWARD, ids=lambda path: path.stem)
every_update = pytest.mark.parametrize("path", UPDATES, ids=lambda path: path.stem)

pytestmark = needs_recordings


def made_weight(seed: str, name: str, shape: tuple[int, ...], scale: float) -> Tensor:
    """The recordings' rule for weights: FNV-1a of the name, splitmix64 of the place, uniform in -scale..scale."""
    key = 0xCBF29CE484222325
    for byte in f"{seed}/{name}".encode():
        key = ((key ^ byte) * 0x100000001B3) % ALL_BITS
    place = np.uint64(key) + np.arange(1, np.prod(shape) + 1, dtype=np.uint64) * np.uint64(GOLDEN_RATIO)
    for shift, factor in ((30, MIX1), (27, MIX2)):
        place = (place ^ (place >> np.uint64(shift))) * np.uint64(factor)
    uniform = ((place ^ (place >> np.uint64(31))) >> np.uint64(11)) / 2.0**53
    return torch.from_numpy((scale * (2 * uniform - 1)).astype(np.float32).reshape(shape))


@functools.cache
def recorded(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as data:
        return {key: data[key] for key in data.files}


@functools.cache
def made_weights(path: Path) -> dict[str, Tensor]:
    """The weights before anything, by the recordings' names."""
    data = recorded(path)
    rows = zip(data["param_name"], data["param_shape"], data["param_scale"], data["param_sum"], strict=True)
    weights = {}
    for name, shape, scale, total in rows:
        weights[str(name)] = made_weight(str(data["weights_seed"]), str(name), tuple(shape[shape > 0]), scale)
        assert float(weights[str(name)].double().sum()) == pytest.approx(total, abs=1e-9), name
    return weights


def architecture_of(path: Path) -> str:
    """What ``--attention`` calls a recorded architecture."""
    recorded_name = path.stem.removeprefix("ppo_").removeprefix("update_")
    return OUR_NAMES.get(recorded_name, recorded_name.replace("_fls_", "_"))


def attention_places(weights: dict[str, Tensor]) -> dict[str, int]:
    """Which block each recorded attention follows: ``attention2`` the second, one without a number the last."""
    modules = sorted({name.split(".")[0] for name in weights if name.startswith("attention")})
    return {module: int(module.removeprefix("attention") or 3) - 1 for module in modules}


def our_name(theirs: str, weights: dict[str, Tensor], blocks: str = "blocks") -> str:
    places = attention_places(weights)
    module, rest = theirs.split(".", 1)
    if module in places:
        return f"trunk.0.attentions.{places[module]}.{rest}"
    if match := re.fullmatch(r"conv(\d)", module):
        return f"trunk.0.{blocks}.{int(match[1]) - 1}.0.{rest}"
    return f"trunk.2.{rest}" if module == "fc" else theirs


def rebuilt(path: Path, **changes: Any) -> tuple[Agent[Decisions], PPO]:
    """An agent with the recorded weights, in double precision, and what its updates are configured with.

    Its sizes are those of the recorded weights.
    """
    data = recorded(path)
    weights = made_weights(path)
    filters = tuple(len(weights[f"conv{layer}.weight"]) for layer in (1, 2, 3))
    spaces = Spaces(data["obs"].shape[-3:], Discrete(len(weights["policy.weight"])), colours=1)
    accumulate = changes.pop("accumulate", 1)
    config = PPO(Trunk(filters=filters, hidden=len(weights["fc.weight"])), **changes)
    agent = make_fls(FLS(config, architecture_of(path), accumulate=accumulate), spaces, CPU)
    agent.networks.load_state_dict({our_name(name, weights): value for name, value in weights.items()})
    agent.networks.double()
    return agent, config


def networks_of(path: Path) -> PolicyAndValue:
    networks = rebuilt(path)[0].networks
    assert isinstance(networks, PolicyAndValue)
    return networks


def close(ours: Tensor, theirs: np.ndarray, tolerance: float, name: str = "") -> None:
    torch.testing.assert_close(
        ours.double(), torch.from_numpy(theirs).double(), rtol=0.0, atol=tolerance, msg=lambda text: f"{name}: {text}"
    )


def in_double(data: dict[str, np.ndarray], name: str) -> Tensor:
    return torch.from_numpy(data[name]).double()


# --- forward passes ---------------------------------------------------------------------------------


def test_every_architecture_is_recorded() -> None:
    assert sorted(map(architecture_of, FORWARD)) == sorted(ARCHITECTURES)
    authors = {"nature": "none", **{row.published_as: name for name, row in ARCHITECTURES.items()}}
    assert len(authors) == len(ARCHITECTURES) + 1  # no two are the same


def observed(data: dict[str, np.ndarray], path: Path) -> Tensor:
    """The recorded observations; of dense networks the first ones, which have a hundred times the arithmetic."""
    return in_double(data, "obs")[: FEW_OF_DENSE if ARCHITECTURES[architecture_of(path)].dense else None]


def relative_to_largest(data: dict[str, np.ndarray], name: str, tolerance: float = FORWARD_TOLERANCE) -> float:
    return tolerance * float(np.abs(data[name]).max())


@every_forward
def test_forward_passes_equal_the_recorded_ones(path: Path) -> None:
    """Heads, every layer, the attention and its display, in double precision."""
    data = recorded(path)
    networks = networks_of(path)
    assert sum(parameter.numel() for parameter in networks.parameters()) == int(data["param_count"])
    found = outputs_of_layers(networks, attention_places(made_weights(path)))
    obs = observed(data, path)
    with torch.no_grad():
        distribution, value = networks(obs)
    for ours, name in ((distribution.logits, "logits"), (value, "value")):
        close(ours, data[name][: len(obs)], relative_to_largest(data, name), name)
    assert {f"layer_mean/{name}" for name in found} == {key for key in data if key.startswith("layer_mean/")}
    for name, output in found.items():
        tolerance = FORWARD_TOLERANCE * max(1.0, float(np.abs(data[f"layer_mean/{name}"]).max()))
        close(output.flatten(1).mean(1), data[f"layer_mean/{name}"][: len(obs)], tolerance, name)


def outputs_of_layers(networks: PolicyAndValue, places: dict[str, int]) -> dict[str, Tensor]:
    """What the networks' layers give, by the recordings' names, once the networks have been called."""
    convolutions = networks.trunk[0]
    layers = {"fc": networks.trunk[3]}
    for number, block in enumerate(convolutions.blocks, start=1):
        kept = [layer for layer in block if not isinstance(layer, UnitLength)]
        layers[f"conv{number}"] = kept[-1]
        if len(kept) < len(block):
            layers["normalised"] = block[-1]
    for module, place in places.items():
        attention = convolutions.attentions[str(place)]
        activation = attention.relu if isinstance(attention, FreeLunchAttention) else attention.activation
        layers |= {f"{module}.hidden": activation, f"{module}.out": attention.out}
    found: dict[str, Tensor] = {}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda _layer, _inputs, output, name=name: found.update({name: output}))
    return found


@every_forward
def test_attention_and_its_display_equal_the_recorded_ones(path: Path) -> None:
    data = recorded(path)
    agent, _ = rebuilt(path)
    places = attention_places(made_weights(path))
    if not places:
        assert not data["attention"].any() and agent.maps == {}  # there is none
        return
    obs = observed(data, path)
    convolutions = agent.networks.trunk[0]
    with torch.no_grad():
        _, found = convolutions.attend(obs)
        attention = convolutions.together(found)
    digits = FORWARD_TOLERANCE if data["attention"].dtype == np.float64 else SINGLE_TOLERANCE
    if len(found) > 1:
        for place, one in enumerate(found, start=1):
            close(one[:, 0], data[f"attention{place}"][: len(obs)], FORWARD_TOLERANCE, f"attention{place}")
    close(attention[:, 0], data["attention"][: len(obs)], relative_to_largest(data, "attention", digits), "attention")
    first = min(places.values())
    assert receptive_field(convolutions.blocks[: first + 1]) == tuple(data["transposed_convolution"])
    shown, coverage, ratio = (
        agent.maps[name](obs, torch.zeros(len(obs))) for name in ("attention", "coverage", "attention_over_coverage")
    )
    assert shown.shape == obs.shape and torch.equal(shown[:, :1].expand_as(shown), shown)
    if len(obs) == len(data["obs"]):
        assert float(shown.max()) == pytest.approx(float(data["trajectory_max"]), rel=SINGLE_TOLERANCE)
    raw = data["saliency_raw"][: len(obs)]
    close(shown[:, 0], raw, relative_to_largest(data, "saliency_raw", SINGLE_TOLERANCE), "saliency_raw")
    close(coverage[0, 0], data["coverage"], SINGLE_TOLERANCE, "coverage")
    expected = raw / data["coverage"]
    close(ratio[:, 0], expected, SINGLE_TOLERANCE * float(expected.max()), "attention_over_coverage")


@pytest.mark.parametrize("path", [path for path in FORWARD if "rsppo" in path.stem], ids=lambda path: path.stem)
def test_maps_of_the_region_sensitive_network_equal_the_recorded_ones(path: Path) -> None:
    data = recorded(path)
    convolutions = networks_of(path).trunk[0]
    attention = convolutions.attentions["2"]
    assert isinstance(attention, SoftmaxAttention)
    seen: list[Tensor] = []
    attention.register_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        convolutions(in_double(data, "obs"))
        close(attention.shares(*seen), data["attention_maps"], FORWARD_TOLERANCE, "attention_maps")


@every_forward
def test_single_precision_is_close(path: Path) -> None:
    data = recorded(path)
    networks = networks_of(path).float()
    obs = torch.from_numpy(data["obs"])[: len(observed(data, path))]
    with torch.no_grad():
        distribution, value = networks(obs)
        _, found = networks.trunk[0].attend(obs)
    for ours, name in ((distribution.logits, "logits"), (value, "value")):
        close(ours, data[name][: len(obs)], relative_to_largest(data, name, 2e-5), name)
    if found:
        attention = networks.trunk[0].together(found)[:, 0]
        close(attention, data["attention"][: len(obs)], relative_to_largest(data, "attention", 1e-5), "attention")


def test_ppos_own_network_is_the_one_without_attention() -> None:
    (path,) = (path for path in FORWARD if architecture_of(path) == "none")
    data = recorded(path)
    weights = made_weights(path)
    networks = make_ppo(PPO(), Spaces(data["obs"].shape[-3:], Discrete(4), colours=1), CPU).networks
    networks.load_state_dict({our_name(name, weights, "layers"): value for name, value in weights.items()})
    with torch.no_grad():
        distribution, value = networks.double()(in_double(data, "obs"))
    for ours, name in ((distribution.logits, "logits"), (value, "value")):
        close(ours, data[name], relative_to_largest(data, name), name)


# --- one whole iteration ----------------------------------------------------------------------------


def configured(data: dict[str, np.ndarray], adam: str) -> tuple[dict[str, Any], dict[str, float]]:
    """The recorded hyper-parameters as ours, and all of them by name; the learning rate is that of the first update."""
    given = dict(zip(HYPERPARAMETERS, map(float, data["hyperparameters"]), strict=True))
    ours = {name: given[name] for name in given if name in {field.name for field in dataclasses.fields(PPO)}}
    epochs, samples = data["permutation"].shape
    minibatches = len(data["torch/losses"]) // epochs
    assert len(data["actions"].flatten()) == samples
    return {
        **ours,
        "value_clip": given["clip_range"],
        "learning_rate": given["rate"] / (1 - done(given)),
        "learning_rate_schedule": "linear",
        "clip_schedule": "constant",
        "advantage_normalization": "minibatch",
        "truncation": "end",
        "epochs": epochs,
        "minibatches": minibatches,
        "adam": ADAMS[adam],
    }, given


def done(given: dict[str, float]) -> float:
    """Which share of training was done before the recorded update, which is counted from 1."""
    return (given["update"] - 1) / given["updates"]


def advantages_and_targets(data: dict[str, np.ndarray], config: PPO) -> tuple[Tensor, Tensor]:
    firsts = torch.from_numpy(np.concatenate([data["dones"][1:], data["last_dones"][None]]))
    nothing = torch.zeros_like(firsts)
    arguments = [in_double(data, name) for name in ("rewards", "old_values", "last_value")]
    reward, value, last_value = arguments
    return appraised(config, Outcome(reward, firsts, nothing, value, torch.zeros_like(value), last_value))


def minibatches_of(data: dict[str, np.ndarray], config: PPO) -> list[Decisions]:
    """The recorded minibatches in their order, in double precision."""
    advantage, target = advantages_and_targets(data, config)

    def flat(value: Tensor) -> Tensor:
        """Samples are numbered environment by environment."""
        return value.transpose(0, 1).flatten(0, 1)

    whole = Decisions(
        obs=flat(in_double(data, "obs")),
        action=flat(torch.from_numpy(data["actions"])),
        log_probability=flat(-in_double(data, "old_neglogp")),
        value=flat(in_double(data, "old_values")),
        advantage=flat(advantage),
        target=flat(target),
    )
    order = torch.from_numpy(data["permutation"]).reshape(config.epochs * config.minibatches, -1)
    return [Decisions(*(value[rows] for value in whole[:6])) for rows in order]


@every_update
def test_advantages_and_targets_equal_the_recorded_ones(path: Path) -> None:
    data = recorded(path)
    changes, _ = configured(data, "torch")
    advantage, target = advantages_and_targets(data, PPO(**changes))
    close(advantage, data["advantages"], FIRST_TOLERANCE, "advantages")
    close(target, data["returns"], FIRST_TOLERANCE, "returns")


@every_update
@pytest.mark.parametrize(("adam", "accumulate"), [("tf1", 1), ("torch", 1), ("tf1", 3)])
def test_an_iteration_equals_the_recorded_one(path: Path, adam: str, accumulate: int) -> None:
    """Also where a minibatch of four is learned from in parts."""
    data = recorded(path)
    changes, given = configured(data, adam)
    agent, config = rebuilt(path, accumulate=accumulate, **changes)
    networks = agent.networks
    names = {our_name(str(name), made_weights(path)): str(name) for name in data["param_name"]}
    parameters = {names[name]: parameter for name, parameter in networks.named_parameters()}
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    agent = dataclasses.replace(agent, prepare=machinery.draws_nothing)
    (phase,) = agent.phases
    for group in phase.optimizer.param_groups:
        group["betas"] = (given["beta1"], given["beta2"])
    machinery.anneal(agent, done(given))
    update = machinery.make_update(agent)

    def entries(name: str, parameter: Tensor) -> Tensor:
        return parameter.detach().flatten()[torch.from_numpy(data[f"index/{name}"])]

    for index, minibatch in enumerate(minibatches_of(data, config)):
        looked_at = machinery.look(phase, minibatch)
        total, _ = phase.total(looked_at)
        gradients, _ = machinery.gradients_of(phase, phase.total, looked_at, phase.begun(index))
        metrics = update(lambda size, one=minibatch: one, torch.Generator(), index)
        found = {theirs: float(metrics[f"ppo/{name}"]) for theirs, name in LOSSES.items()} | {"total": total.item()}
        expected = dict(zip(map(str, data["loss_name"]), data[f"{adam}/losses"][index], strict=True))
        norm = expected.pop("gradient_norm")
        assert found == pytest.approx(expected, abs=LOSS_TOLERANCE if index else FIRST_TOLERANCE)
        length = torch.stack([gradient.norm() for gradient in gradients]).norm()
        assert length.item() == pytest.approx(norm, rel=NORM_TOLERANCE if index else FIRST_TOLERANCE)
        by_name = dict(zip(parameters, gradients, strict=True))
        for name, parameter in parameters.items():
            if index == 0:
                close(entries(name, by_name[name]), data[f"first_gradient/{name}"], FIRST_TOLERANCE, name)
                close(entries(name, parameter), data[f"{adam}/after_first/{name}"], WEIGHT_TOLERANCE, name)
            if (index + 1) % config.minibatches == 0:
                after = data[f"{adam}/after_epoch/{name}"][index // config.minibatches]
                close(entries(name, parameter), after, WEIGHT_TOLERANCE, name)
    for name, parameter in parameters.items():
        change = float((parameter.detach() - before[name]).norm())
        assert change == pytest.approx(float(data[f"{adam}/change_l2/{name}"]), rel=1e-4), name
    with torch.no_grad():
        distribution, value = networks(in_double(data, "obs").flatten(0, 1))
    close(distribution.logits, data[f"{adam}/final_logits"], FINAL_TOLERANCE, "logits")
    close(value, data[f"{adam}/final_value"], FINAL_TOLERANCE, "value")
