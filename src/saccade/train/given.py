"""What a run's method is given from outside, made ready: pictures, its teacher, and the saliency data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from saccade.agents.given import Given, SaliencyData
from saccade.agents.methods_of import method_of
from saccade.agents.parts.augmentation import Images
from saccade.data.memory import refuse_beyond
from saccade.envs.suites import suite_of
from saccade.policies.saliency_data import Report, saliency_data
from saccade.policies.teachers import as_teacher, open_teacher
from saccade.runs.training import SALIENCY_SOURCES, RunConfig
from saccade.types import Spaces, UserError

CPU = torch.device("cpu")


def no_report(what: str, done: int, total: int) -> None:
    """Ignore a report of what is being prepared."""


def given_to(
    config: RunConfig, spaces: Spaces, device: torch.device, images: Images | None, report: Report | None
) -> Given:
    """Return everything that a run's method needs. Raises UserError for a teacher or data that are not the run's."""
    row = method_of(config.method)
    if not row.taught or config.teaching is None:
        return Given(images)
    policy = open_teacher(config, spaces, device)
    teacher = as_teacher(policy, config.teaching.teacher_temperature)
    if not row.takes_saliency(config.agent):
        return Given(images, teacher)
    teaching = config.teaching
    found = saliency_data(policy, config.env, teaching, config.training.seed, report or no_report)
    if config.saliency_sha256 not in (None, found.sha256):
        raise UserError(
            f"The saliency data in {teaching.saliency_data} have changed since the run began: restore them."
        )
    size = found.states.nbytes + found.maps.nbytes
    refuse_beyond(size, f"--saliency-states {len(found.states)}", "choose fewer", device)
    states, maps = (torch.from_numpy(np.array(array)).to(device) for array in (found.states, found.maps))
    return Given(images, teacher, SaliencyData(states, maps))


def with_digests(config: RunConfig) -> RunConfig:
    """Return the configuration of a new run with the digests of its teacher and of the user's own saliency data."""
    row, teaching = method_of(config.method), config.teaching
    if not row.taught:
        return config
    spaces = suite_of(config.env.task).spaces(config.env)
    policy = open_teacher(config, spaces, CPU, named=True)
    config = dataclasses.replace(config, teacher_sha256=policy.fingerprint())
    if teaching is None or teaching.saliency_data in SALIENCY_SOURCES or not row.takes_saliency(config.agent):
        return config
    found = saliency_data(policy, config.env, teaching, config.training.seed, no_report)
    return dataclasses.replace(config, saliency_sha256=found.sha256)


Preparing = Callable[[str, int, int], None] | None
"""Called with what is being prepared before a run: what, how much is done, of how much."""
