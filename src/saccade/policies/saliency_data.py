"""The saliency data that guides a student: states that its teacher visited, and a saliency map of each.

The slow part, perturbing every state, is cached block by block as it is computed, under a digest of everything that
it depends on: an interrupted run goes on from there, and the same question is answered from the cache.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch

from saccade.data.cache import cached_array
from saccade.data.saliency_files import read_saliency_files, scaled
from saccade.envs.config import EnvConfig
from saccade.envs.suites import suite_of
from saccade.policies.played import IMPORTANT, SPACING, UNIMPORTANT, Played, play_states, seen_by
from saccade.policies.policy import Policy
from saccade.policies.scores import make_score
from saccade.runs.training import OF_TEACHER, OF_TRUTH, Teaching
from saccade.saliency.blur_perturbation import blur_perturbation
from saccade.types import UserError

VERSION = 1  # of the method below: part of the digest
BLOCK = 50  # states whose maps are cached together
FOLDER = "saliency_data"
FLOAT = 4  # bytes

Report = Callable[[str, int, int], None]
"""``(what is being prepared, done, total)``."""


@final
class SaliencyArrays(NamedTuple):
    """States and maps, as they are saved in files."""

    states: np.ndarray  # uint8 [n, channels, height, width]
    maps: np.ndarray  # float32 [n, height, width] in 0..1
    sha256: str | None  # of the user's own data


def saliency_data(policy: Policy, env: EnvConfig, teaching: Teaching, seed: int, report: Report) -> SaliencyArrays:
    """Return the saliency data that a configuration asks for.

    Raises:
        UserError: the simulator knows no truth, or the user's own files do not fit.
    """
    count, source = teaching.saliency_states, teaching.saliency_data
    if source == OF_TEACHER:
        states = played_states(policy, env, count, seed, report).states
        maps = perturbation_maps(
            policy,
            states,
            radius=teaching.saliency_radius,
            blur=teaching.saliency_blur,
            stride=teaching.saliency_stride,
            report=report,
        )
        return SaliencyArrays(states, scaled(maps), None)
    if source == OF_TRUTH:
        played = played_states(policy, env, count, seed, report, truth=True)
        assert played.truth is not None
        # Gradients may also fall on what is open to argument.
        return SaliencyArrays(played.states, (played.truth != UNIMPORTANT).astype(np.float32), None)
    shape = suite_of(env.task).spaces(env).obs_shape
    found = read_saliency_files(Path(source), shape)
    return SaliencyArrays(*found)


def played_states(
    policy: Policy, env: EnvConfig, count: int, seed: int, report: Report, *, truth: bool = False
) -> Played:
    """Return ``play_states``, cached: the same policy, task and seed are played once."""
    described = {"env": asdict(env), "count": count, "seed": seed, "spacing": SPACING, "truth": truth}
    name = f"{FOLDER}/{_digest('states', policy.fingerprint(), described)}"
    shape = suite_of(env.task).spaces(env).obs_shape
    kept: list[Played] = []

    def play() -> Played:
        if not kept:
            kept.append(
                play_states(
                    policy, env, count, seed, truth=truth, progress=lambda *at: report("states of the teacher", *at)
                )
            )
        return kept[0]

    def truths() -> np.ndarray:
        found = play().truth
        assert found is not None
        return found

    states = cached_array(f"{name}-states", shape, lambda: play().states)
    return Played(states, cached_array(f"{name}-truth", shape[1:], truths) if truth else None)


def perturbation_maps(
    policy: Policy, states: np.ndarray, *, radius: float, blur: float, stride: int, report: Report
) -> np.ndarray:
    """Return how far a local blur moves the policy, as KL, at each pixel of each state: float32 ``[n, height, width]``.

    Not normalised. Blocks of maps are cached as they are computed.
    """
    described = {"radius": radius, "blur": blur, "stride": stride, "block": BLOCK}
    weights = policy.fingerprint()
    height, width = states.shape[2:]
    found = []
    for first in range(0, len(states), BLOCK):
        some = np.ascontiguousarray(states[first : first + BLOCK])
        report("perturbed states", first, len(states))

        def make(some: np.ndarray = some) -> np.ndarray:
            obs = seen_by(policy, torch.from_numpy(np.array(some)))
            maps = blur_perturbation(make_score(policy, "kl", obs), obs, radius=radius, blur=blur, stride=stride)
            return maps[:, 0].clamp(min=0.0).float().cpu().numpy().view(np.uint8)

        seen = hashlib.sha256(some.tobytes()).hexdigest()
        name = f"{FOLDER}/{_digest('maps', weights, {**described, 'states': seen})}-maps"
        found.append(np.array(cached_array(name, (height, FLOAT * width), make)).view(np.float32))
    report("perturbed states", len(states), len(states))
    return np.concatenate(found)


def refuse_truth_of_nothing(played: Played) -> None:
    """Raise UserError if no state has a pixel that shows the task."""
    if played.truth is None or not (played.truth == IMPORTANT).any():
        raise UserError("No pixel of these states shows the task, so there is nothing to compare maps with.")


def _digest(what: str, weights: str, described: dict[str, object]) -> str:
    text = json.dumps([VERSION, what, weights, described], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
