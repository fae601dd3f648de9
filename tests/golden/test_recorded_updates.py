"""One update of the authors' published code, recorded, against ours: losses, saliency, and every weight.

``SACCADE_GOLDEN`` names the folder of recordings; a file is called by its method, with an optional suffix
behind an underscore or a hyphen. Sizes of the networks are read off the recorded weights.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saccade.agents import METHODS, agent
from saccade.agents.given import Given
from saccade.agents.methods.sac import SAC, Architecture
from saccade.agents.methods.sgqn import salient_pixels
from saccade.agents.methods.smg import replaced_background
from saccade.agents.parts.attribution import attribution_of_q1, look_of_critic
from saccade.types import Batch, Continuous, Spaces

FOLDER = Path(os.environ.get("SACCADE_GOLDEN", Path(__file__).parents[3] / "shared" / "golden"))
LOSS_TOLERANCE = 1e-4  # relative
WEIGHT_TOLERANCE = 3e-4  # absolute; an Adam step of 1e-3 with the wrong sign is 2e-3 off
ROUNDING_MARGIN = 10
UNDECIDED_SHARE = 1e-4  # of all weights may differ for that reason
UPDATE_INDEX = 2002  # in which every phase runs and every term counts

RECORDED_SETTINGS = {"soda": {"soda_lr": 1e-3}}

CONVOLUTION = (r"shared(?:_cnn)?\.layers\.(\d+)", lambda match: f"convolutions.layers.{int(match[1]) - 2}")
PROJECTION = (r"projection\.projection\.(\d+)", lambda match: f"projection.layers.{int(match[1]) + 1}")
NAMES = {  # from the authors' parameter names to ours, in order of the prefix
    "actor": [
        CONVOLUTION,
        PROJECTION,
        (r"^encoder\.conv", "critic.conv"),
        (r"^encoder\.", "actor."),
        (r"^mlp\.", "actor.head."),
    ],
    "critic": [CONVOLUTION, PROJECTION, (r"^encoder\.", ""), (r"^Q(\d)\.trunk", r"q\1"), (r"^", "critic.")],
    "critic_target": [
        CONVOLUTION,
        PROJECTION,
        (r"^encoder\.", ""),
        (r"^Q(\d)\.trunk", r"q\1"),
        (r"^", "target_critic."),
    ],
    "masker": [(r"^layers\.(\d+)", lambda match: f"masker.layers.{int(match[1]) - 2}")],
    "sgqn aux": [
        CONVOLUTION,
        PROJECTION,
        (r"^encoder\.", "critic."),
        (r"^decoder\.proj", "decoder.layers.0"),
        (r"^decoder\.conv(\d)", lambda match: f"decoder.layers.{1 + 2 * int(match[1])}"),
    ],
    "soda aux": [
        CONVOLUTION,
        (r"^encoder\.conv", "critic.conv"),
        (r"^encoder\.projection\.mlp", "predictor.projection.1"),
        (r"^mlp\.mlp", "predictor.prediction"),
    ],
    "soda aux_target": [
        CONVOLUTION,
        (r"^encoder\.conv", "predictor.target_conv"),
        (r"^encoder\.projection\.mlp", "predictor.target_projection.1"),
    ],
    "smg predictor": [
        CONVOLUTION,
        PROJECTION,
        (r"^fore_encoder\.head\.proj", "foreground_decoder.head.0"),
        (r"^back_encoder\.head\.proj", "background_decoder.head.0"),
        (r"^back_encoder\.encoder\.convolutions", "background_encoder.0"),
        (r"^back_encoder\.encoder\.projection", "background_encoder.1"),
        (r"^inverse_dynamic\.mlp", "inverse_dynamics"),
        (r"conv4", "conv3"),
        (r"^(fore|back)_decoder\.", r"\1ground_decoder.decoder."),
        (r"decoder\.proj", "decoder.layers.0"),
        (r"decoder\.conv(\d)", lambda match: f"decoder.layers.{1 + 2 * int(match[1])}"),
    ],
}
FURTHER_CHANNELS = "fore_decoder.conv4"  # of the mask: one convolution with the image's here
TERMS = {  # what the authors log of single terms
    "smg": {
        "train_critic_consistency_loss": "critic/q_consistency",
        "train_recon_loss": "separation/reconstruction",
        "train_mask_loss": "separation/mask_ratio",
        "train_back_recon_loss": "separation/background",
        "train_action_loss": "separation/inverse_dynamics",
        "train_fore_loss": "separation/foreground",
    }
}
UNUSED = re.compile(r"features_decoder|^aux_target/mlp")  # never read by the authors' update either


def method_of(path: Path) -> str | None:
    names = [name for name in METHODS if re.match(rf"{name}($|[_-])", path.stem)]
    return max(names, key=len, default=None)


RECORDINGS = [path for path in sorted(FOLDER.glob("*.npz")) if method_of(path)] if FOLDER.is_dir() else []
needs_recordings = pytest.mark.skipif(not RECORDINGS, reason=f"no recordings of a known method in {FOLDER}")


def our_name(theirs: str, method: str) -> str:
    """Our name of a parameter that the authors call ``theirs``, such as ``critic/Q1.trunk.0.weight``."""
    if theirs == "log_alpha":
        return "log_temperature"
    group, name = theirs.split("/")
    for pattern, replacement in NAMES.get(f"{method} {group}") or NAMES[group]:
        name = re.sub(pattern, replacement, name)
    return name


def recorded_weights(data: np.lib.npyio.NpzFile, stage: str, method: str, ours: set[str]) -> dict[str, torch.Tensor]:
    weights = {}
    for key in data.files:
        if key.startswith(f"{stage}/") and not UNUSED.search(key.removeprefix(f"{stage}/")):
            name = our_name(key.removeprefix(f"{stage}/"), method)
            name = name if name in ours else f"actor_critic.{name}"
            assert name in ours, f"{key} has no counterpart {name}"
            value = torch.from_numpy(data[key])
            weights[name] = torch.cat([weights[name], value]) if FURTHER_CHANNELS in key else value
    return weights


def with_sac(config: Any, sac: SAC, **changes: Any) -> Any:
    """A method's configuration on other settings of SAC, which may lie within those of another method."""
    if isinstance(config, SAC):
        return sac
    inner = next(field.name for field in dataclasses.fields(config) if field.name in ("sac", "svea"))
    return dataclasses.replace(config, **{inner: with_sac(getattr(config, inner), sac), **changes})


def rebuild(path: Path) -> tuple[str, np.lib.npyio.NpzFile, agent.Agent]:
    method, data = method_of(path), np.load(path)
    layers = [key for key in data.files if re.match(r"before/critic/encoder\.shared.*weight", key)]
    architecture = Architecture(
        image_size=data["batch/obs"].shape[-1],
        filters=len(data[layers[0]]),
        conv_layers=len(layers),
        projection=len(data["before/critic/encoder.projection.projection.0.weight"]),
        hidden=len(data["before/critic/Q1.trunk.0.weight"]),
    )
    sac = SAC(architecture=architecture, batch_size=len(data["batch/obs"]))
    config = with_sac(METHODS[method].config, sac, **RECORDED_SETTINGS.get(method, {}))
    spaces = Spaces(data["batch/obs"].shape[1:], Continuous(data["batch/action"].shape[1]))
    built = METHODS[method].make(config, spaces, torch.device("cpu"), Given(lambda count, size, generator: None))
    state = built.networks.state_dict()
    weights = recorded_weights(data, "before", method, set(state))
    missing = set(state) - set(weights)
    assert not missing, f"the recording leaves our parameters {sorted(missing)} unset"
    built.networks.load_state_dict({name: value.to(state[name].dtype) for name, value in weights.items()})
    # The recorded minibatch, and what was drawn for it, is what every phase learns from.
    phases = tuple(dataclasses.replace(phase, own_batch=None, draw=agent.draws_nothing) for phase in built.phases)
    return method, data, dataclasses.replace(built, phases=phases)


def looked_at(built: agent.Agent, batch: Batch) -> Iterator[tuple[agent.Phase, Batch]]:
    """Every phase with what it learns from, each looked at when the ones before it have been stepped."""
    return agent.phases_due(built, batch, lambda size: batch, torch.Generator(), UPDATE_INDEX)


def first_moments(path: Path, dtype: torch.dtype) -> dict[tuple[str, str], torch.Tensor]:
    """Adam's first moments after the update, by phase and parameter, computed in ``dtype``."""
    _, data, built = rebuild(path)
    built.networks.to(dtype)
    batch = recorded_batch(data, built, dtype)
    names = {id(parameter): name for name, parameter in built.networks.named_parameters()}
    moments = {}
    for phase, seen in looked_at(built, batch):
        agent.step(phase, seen, UPDATE_INDEX)
        for parameter in phase.owned():
            moments[phase.name, names[id(parameter)]] = phase.optimizer.state[parameter]["exp_avg"].double()
    return moments


def decided_by_rounding(path: Path) -> dict[str, torch.Tensor]:
    """Where Adam's first step has no meaningful sign: the gradient is not larger than its own rounding error.

    Behind a bias, batch normalisation subtracts the mean, say: its gradient vanishes, and Adam turns the noise that
    float32 leaves of it into a full step either way.
    """
    exact, rounded = first_moments(path, torch.float64), first_moments(path, torch.float32)
    where: dict[str, torch.Tensor] = {}
    for (phase, name), moment in exact.items():
        error = (rounded[phase, name] - moment).abs().max()
        noise = moment.abs() <= ROUNDING_MARGIN * error
        where[name] = where.get(name, torch.zeros_like(noise)) | noise
    return where


def recorded_batch(data: np.lib.npyio.NpzFile, built: agent.Agent, dtype: torch.dtype = torch.float32) -> Batch:
    """The recorded minibatch with every drawn tensor, as it stands before the update."""

    def tensor(key: str) -> torch.Tensor:
        return torch.from_numpy(data[key]).to(dtype)

    drawn = {
        "next_action_noise": tensor("noise/0"),
        "action_noise": tensor("noise/1"),
        "augmented_obs": tensor("batch/overlay"),
    }
    if "mask_fill/0" in data.files:
        drawn["mask_fill"] = tensor("mask_fill/0")
    if "choice/attribution_augmentation" in data.files:
        drawn["background"] = tensor("batch/background")
        drawn["attribution_obs"] = replaced_background(built.networks, tensor("batch/obs"), drawn["background"])
        if data["choice/attribution_augmentation"]:
            drawn["augmented_obs"] = drawn["attribution_obs"]
    return Batch(
        tensor("batch/obs"),
        tensor("batch/action"),
        tensor("batch/reward").squeeze(1),
        tensor("batch/not_done").squeeze(1),
        tensor("batch/next_obs"),
        drawn,
    )


@needs_recordings
def test_something_is_recorded_of_every_kind() -> None:
    assert VALUED and SALIENT and SEPARATED and MASKED


@needs_recordings
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_update_equals_the_recorded_one(path: Path) -> None:
    method, data, built = rebuild(path)
    batch = recorded_batch(data, built)
    losses: dict[str, float] = {}
    for phase, seen in looked_at(built, batch):
        metrics = agent.step(phase, seen, UPDATE_INDEX)
        weights = {f"{phase.name}/{name}": term.weight for name, term in phase.terms.items()}
        losses |= {key: float(value) for key, value in metrics.items()}
        losses[phase.name] = sum(float(value) * weights[key] for key, value in metrics.items())
    ours = {"critic": losses["critic"], "actor": losses["actor/policy"], "alpha": losses["actor/temperature"]}
    for name, key in TERMS.get(method, {}).items():
        assert losses[key] == pytest.approx(float(data[f"expect/{name}"]), rel=LOSS_TOLERANCE), name
    if len(built.phases) > 2:
        ours["aux"] = losses[built.phases[2].name]
    for name, value in ours.items():
        assert value == pytest.approx(float(data[f"expect/train_{name}_loss"]), rel=LOSS_TOLERANCE), name
    assert ("expect/train_aux_loss" in data.files) == (len(built.phases) > 2)
    state, noise = built.networks.state_dict(), decided_by_rounding(path)
    compared = undecided = 0
    for name, value in recorded_weights(data, "after", method, set(state)).items():
        off = (state[name].double() - value.double()).abs() > WEIGHT_TOLERANCE
        compared, undecided = compared + off.numel(), undecided + int(off.sum())
        assert not (off & ~noise.get(name, torch.zeros_like(off))).any(), name
    assert undecided <= UNDECIDED_SHARE * compared


VALUED = [path for path in RECORDINGS if "expect/q1_before" in np.load(path).files]


@needs_recordings
@pytest.mark.parametrize("path", VALUED, ids=lambda path: path.stem)
def test_forward_passes_equal_the_recorded_ones(path: Path) -> None:
    _, data, built = rebuild(path)
    batch = recorded_batch(data, built)
    nets = (
        built.networks.get_submodule("actor_critic")
        if "critic" not in dict(built.networks.named_children())
        else built.networks
    )
    with torch.no_grad():
        q1, q2 = nets.critic(batch.obs, batch.action)
        mean, log_std = nets.actor(nets.critic.convolutions(batch.obs))
    for ours, key in ((q1[:, None], "q1"), (q2[:, None], "q2"), (mean.tanh(), "mu"), (log_std, "log_std")):
        theirs = torch.from_numpy(data[f"expect/{key}_before"])
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


SALIENT = [path for path in RECORDINGS if "expect/attribution_before" in np.load(path).files]


@needs_recordings
@pytest.mark.parametrize("path", SALIENT, ids=lambda path: path.stem)
def test_attribution_and_mask_equal_the_recorded_ones(path: Path) -> None:
    _, data, built = rebuild(path)
    batch = recorded_batch(data, built)
    critic = built.networks.actor_critic.critic
    theirs = torch.from_numpy(data["expect/attribution_before"])
    own_pass = attribution_of_q1(critic, "guided_backpropagation")(batch.obs, batch.action)
    _, walked_back = look_of_critic(critic, "guided_backpropagation")(batch.obs, batch.action)
    for ours in (own_pass, walked_back):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=float(theirs.abs().max()) * 1e-5)
    mask = salient_pixels(walked_back, 0.95)
    recorded = torch.from_numpy(data["expect/mask_before"])[:, ::3]  # the same on the three colours of a frame
    assert (mask != recorded).float().mean() < 1e-4  # a pixel at the threshold may fall either way


SEPARATED = [path for path in RECORDINGS if "expect/foreground_before" in np.load(path).files]


@needs_recordings
@pytest.mark.parametrize("path", SEPARATED, ids=lambda path: path.stem)
def test_foreground_and_background_equal_the_recorded_ones(path: Path) -> None:
    _, data, built = rebuild(path)
    obs = torch.from_numpy(data["batch/obs"])
    found = {"mask": built.maps["foreground_mask"](obs, torch.from_numpy(data["batch/action"]))}
    found |= {name: built.pictures[name](obs) for name in ("foreground", "background")}
    for name, ours in found.items():
        torch.testing.assert_close(ours, torch.from_numpy(data[f"expect/{name}_before"]), rtol=1e-4, atol=1e-5)


MASKED = [path for path in RECORDINGS if method_of(path) == "madi"]


@needs_recordings
@pytest.mark.parametrize("path", MASKED, ids=lambda path: path.stem)
def test_soft_masks_equal_the_recorded_ones(path: Path) -> None:
    _, data, built = rebuild(path)
    obs, action = (torch.from_numpy(data[f"batch/{name}"]) for name in ("obs", "action"))
    theirs = torch.from_numpy(data["expect/mask_before"])
    torch.testing.assert_close(built.maps["mask"](obs, action), theirs, rtol=1e-4, atol=1e-5)
