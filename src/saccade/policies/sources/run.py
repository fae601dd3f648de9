"""Load the policy of a Saccade run, from its newest checkpoint or from an exported folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from saccade.agents.given import Given
from saccade.agents.methods_of import label_of
from saccade.data.checkpoints import Checkpoint, newest_checkpoint
from saccade.policies.normalisation import BYTE
from saccade.policies.pixels import pixels_of
from saccade.policies.policy import Policy
from saccade.runs.agents import NETWORKS, load_weights, make_agent, spaces_of
from saccade.runs.config import read_config
from saccade.runs.device import device_of
from saccade.runs.exported import exported_part, read_weights, spaces_of_export
from saccade.runs.hub import hub_name
from saccade.runs.training import RunConfig
from saccade.runs.zoo import PREFIX, folder_of_run, zoo_name
from saccade.types import Discrete, Spaces


def load_policy(run: str | Path, device: str = "auto", method: str | None = None) -> Policy:
    """Load the policy of a run's newest undamaged checkpoint: ``load_policy(run).act(obs)``.

    run: its folder, the folder of an exported policy, ``zoo:NAME`` or ``hub:OWNER/NAME``.
    method: ``file.py:NAME`` of your own method, if that file has moved or changed since the run was trained.
    """
    name, folder = zoo_name(run), folder_of_run(run)
    config = read_config(folder, method)
    exported = exported_part(folder)
    if exported is not None:
        weights = read_weights(folder, exported)
        spaces = spaces_of_export(exported, folder)
        policy = _policy(weights, spaces, config, device_of(device), exported.env_steps, folder)
    else:
        checkpoint, _ = newest_checkpoint(folder / "checkpoints")
        policy = policy_of(checkpoint, config, device_of(device))
    # An agent from the zoo or the hub is the same one wherever its files lie.
    if hub_name(run) is not None:
        return replace(policy, source=str(run))
    return policy if name is None else replace(policy, source=f"{PREFIX}{name}")


def policy_of(checkpoint: Checkpoint, config: RunConfig, device: torch.device) -> Policy:
    """Return the policy of one checkpoint. Raises UserError if its weights are of another method or size."""
    weights, spaces = checkpoint.tensors(NETWORKS), spaces_of(checkpoint, config)
    return _policy(weights, spaces, config, device, checkpoint.env_steps, checkpoint.folder)


def _policy(
    weights: Mapping[str, Tensor],
    spaces: Spaces,
    config: RunConfig,
    device: torch.device,
    env_steps: int,
    origin: Path,
) -> Policy:
    # Acting never overlays pictures, so no bank of pictures is needed.
    agent = make_agent(config, spaces, device, Given(lambda count, size, generator: torch.empty(0)))
    load_weights(agent, weights, origin)
    return Policy(
        name=label_of(config.method),
        network=agent.networks,
        outputs=agent.outputs,
        pixels=pixels_of(spaces.obs_shape, "uint8", 0, BYTE, layout="channels_first", colours=spaces.colours),
        discrete=isinstance(spaces.actions, Discrete),
        device=device,
        maps=agent.maps,
        pictures=agent.pictures,
        layer=agent.layer,
        draw=agent.act,
        env_steps=env_steps,
        source=str(origin),
        config=config,
    )
