"""Load policies of Stable-Baselines3 and sb3-contrib, from a model in memory or from the zip it saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from saccade.policies.normalisation import Normalisation
from saccade.policies.pixels import Layout, Pixels
from saccade.policies.policy import Output, Policy
from saccade.policies.sources.stable_baselines3_algorithms import NEEDS_A_MEMORY, is_masked, kind_of
from saccade.policies.sources.stable_baselines3_rebuild import rebuild, trusted
from saccade.policies.sources.stable_baselines3_zip import read_zip
from saccade.policies.spaces import action_width, is_discrete, pixels_of_space, within
from saccade.policies.trial import tried
from saccade.runs.device import device_of
from saccade.types import UserError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

AsGiven = Callable[[Tensor], Tensor]
"""Converts ``[batch, channel, height, width]`` to the layout of the model's observation space."""


def load_zip(
    path: Path,
    *,
    layout: Layout | None = None,
    colours: int | None = None,
    normalised: Normalisation | None = None,
    device: str = "auto",
    trust: bool = False,
) -> Policy:
    """Load the policy of a zip that ``model.save`` wrote. Nothing in it is unpickled, unless ``trust`` is given.

    The networks are rebuilt from the readable part of the zip and the shapes of its weights. With ``trust`` the class
    and the options of its policy are unpickled, which runs code that the zip's author put there: this is needed for
    custom features extractors and policy classes. Observations are as the model took them: Stable-Baselines3 moves the
    channels of pictures to the front before it trains.

    Args:
        layout, colours, normalised: as for ``pixels_of``.

    Raises:
        UserError: the file is no such zip or is damaged; the policy is of a kind that cannot be rebuilt or explained;
            Stable-Baselines3 is not installed.
    """
    saved = read_zip(path)
    if saved.algorithm.kind == "recurrent":
        raise UserError(f"{path} holds a {saved.algorithm.name}: {NEEDS_A_MEMORY}.")
    network, space, action_space = trusted(saved, path) if trust else rebuild(saved)
    network.set_training_mode(False)
    network.to(device_of(device))
    pixels = pixels_of_space(space, layout=layout, colours=colours, normalised=normalised)
    policy = _policy(network, action_space, pixels, saved.algorithm.name, saved.env_steps, str(path))
    return tried(policy, action_width(action_space))


def from_model(
    model: BaseAlgorithm,
    *,
    layout: Layout | None = None,
    colours: int | None = None,
    normalised: Normalisation | None = None,
) -> Policy:
    """Return the policy of a model in memory, always up to date: weights are shared, nothing is copied or switched.

    Raises:
        UserError: its policy cannot be explained, or its observations are not pictures.
    """
    pixels = pixels_of_space(model.observation_space, layout=layout, colours=colours, normalised=normalised)
    name = type(model).__name__
    return _policy(model.policy, model.action_space, pixels, name, model.num_timesteps, f"a {name} in memory")


def _policy(
    network: Any,
    action_space: gymnasium.Space[Any],
    pixels: Pixels,
    name: str,
    env_steps: int,
    source: str,
) -> Policy:
    discrete = is_discrete(action_space)
    to_env = within(action_space)
    if not discrete and network.squash_output:
        to_env = _unscaled(network)
    return Policy(
        name=name,
        network=network,
        outputs=_outputs(network, pixels.as_given, discrete),
        pixels=pixels,
        discrete=discrete,
        device=network.device,
        to_env=to_env,
        env_steps=env_steps,
        source=source,
        masked=is_masked(type(network)),
    )


def _unscaled(network: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Convert squashed actions in -1..1 to what the environment takes."""
    shape = network.action_space.shape
    return lambda action: network.unscale_action(action.reshape(-1, *shape))


def _outputs(network: Any, given: AsGiven, discrete: bool) -> dict[str, Output]:
    kind = kind_of(type(network))
    if kind == "actor_critic":
        return _actor_critic(given, discrete)
    if kind == "values":
        return {"q_values": lambda network, obs: network.q_net(given(obs))}
    if kind == "quantiles":  # Q is their mean (Dabney et al., 2018)
        return {"q_values": lambda network, obs: network.quantile_net(given(obs)).mean(1)}
    if kind == "squashed":
        return _sac(given)
    if kind == "linear":
        return {"logits" if discrete else "action": _linear(given)}
    assert kind == "deterministic", kind
    return {"action": lambda network, obs: network.actor(given(obs)), "q": _first_critic(given)}


def _actor_critic(given: AsGiven, discrete: bool) -> dict[str, Output]:
    """PPO, A2C, TRPO and MaskablePPO, before any mask.

    Layers are called one by one, without the distribution objects that the policy builds.
    """
    from stable_baselines3.common.policies import BaseModel

    def latent(network: Any, obs: Tensor) -> Tensor:
        # The policy's own extract_features would run both extractors where actor and critic do not share one.
        features = BaseModel.extract_features(network, given(obs), network.pi_features_extractor)
        return network.mlp_extractor.forward_actor(features)

    def preference(network: Any, obs: Tensor) -> Tensor:
        return network.action_net(latent(network, obs))

    def log_std(network: Any, obs: Tensor) -> Tensor:
        if network.use_sde:
            return _state_dependent_log_std(network, latent(network, obs))
        return network.log_std.expand(len(obs), -1)

    def action(network: Any, obs: Tensor) -> Tensor:
        mean = preference(network, obs)
        return mean.tanh() if network.squash_output else mean

    def value(network: Any, obs: Tensor) -> Tensor:
        features = BaseModel.extract_features(network, given(obs), network.vf_features_extractor)
        return network.value_net(network.mlp_extractor.forward_critic(features))[:, 0]

    if discrete:
        return {"logits": preference, "value": value}
    return {"mean": preference, "log_std": log_std, "action": action, "value": value}


def _linear(given: AsGiven) -> Output:
    """ARS (Mania et al., 2018): its action is the largest output, or all of them."""
    from stable_baselines3.common.policies import BaseModel

    def output(network: Any, obs: Tensor) -> Tensor:
        return network.action_net(BaseModel.extract_features(network, given(obs), network.features_extractor))

    return output


def _sac(given: AsGiven) -> dict[str, Output]:
    def gaussian(network: Any, obs: Tensor) -> Tensor:
        mean, log_std, latent = network.actor.get_action_dist_params(given(obs))
        if network.actor.use_sde:
            log_std = _state_dependent_log_std(network.actor, latent["latent_sde"])
        return torch.stack([mean, log_std], dim=1)

    def mean(network: Any, obs: Tensor) -> Tensor:
        return gaussian(network, obs)[:, 0]

    def log_std(network: Any, obs: Tensor) -> Tensor:
        return gaussian(network, obs)[:, 1]

    def action(network: Any, obs: Tensor) -> Tensor:
        return mean(network, obs).tanh()

    return {"mean": mean, "log_std": log_std, "gaussian": gaussian, "action": action, "q": _first_critic(given)}


def _first_critic(given: AsGiven) -> Output:
    """Q of the first critic; the smaller of two would switch between networks from picture to picture.

    TQC's Q is the mean of its quantiles. The critic's own forward pass would keep gradients from the observation where
    actor and critic share their features.
    """

    def q(network: Any, obs: Tensor, action: Tensor) -> Tensor:
        critic = network.critic
        features = critic.extract_features(given(obs), critic.features_extractor)
        return critic.qf0(torch.cat([features, action], dim=-1)).mean(1)

    return q


def _state_dependent_log_std(actor: Any, latent: Tensor) -> Tensor:
    """The log standard deviation of generalised state-dependent exploration (Raffin et al., 2021).

    Its noise is linear in the last layer.
    """
    distribution = actor.action_dist
    variance = latent.square() @ distribution.get_std(actor.log_std).square()
    return 0.5 * (variance + distribution.epsilon).log()
