"""Assemble a run: environments, agent, pictures, replay buffer, and the loop over them."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import torch

from saccade.agents.agent import Agent, Rollouts
from saccade.agents.given import Given
from saccade.agents.methods_of import method_of
from saccade.data.banks.images import ImageBank, bank_bytes, bank_size, load_bank
from saccade.data.memory import refuse_beyond
from saccade.data.placement import Placement, place_by_what_is_free
from saccade.data.replay import ReplayBuffer, Returns
from saccade.data.rollout import Rollout
from saccade.envs.config import EnvConfig
from saccade.envs.mujoco.opengl import is_software, why_in_software
from saccade.envs.streams import Streams, WorkerStreams
from saccade.envs.suites import processes_wanted, suite_of
from saccade.envs.workers.env_workers import EnvWorkers
from saccade.nets.precision import set_compute_dtype
from saccade.runs.agents import make_agent
from saccade.runs.device import device_of
from saccade.runs.torch_setup import compute_dtype, prepare_torch
from saccade.runs.training import RunConfig
from saccade.train.given import Preparing, given_to
from saccade.train.loop import Loop
from saccade.train.off_policy import OffPolicyTraining
from saccade.train.on_policy import OnPolicyTraining
from saccade.train.ways import why_without_graphs
from saccade.types import Spaces, UserError

SEED_STRIDE = 10_007  # between the seeds of one run's environments
LARGEST_SEED = 2**32 // SEED_STRIDE - 1  # environments take seeds of 32 bits
FLOAT_BYTES = 4


@contextmanager
def assembled(config: RunConfig, preparing: Preparing, without_graphs: Callable[[str], None]) -> Iterator[Loop]:
    """Assemble everything that a run consists of; the environments end with the block.

    without_graphs: called with the reason if updates cannot be recorded as CUDA graphs, before anything takes long.
    """
    training = config.training
    if training.seed > LARGEST_SEED:
        raise UserError(f"--seed {training.seed} is too large: it must be at most {LARGEST_SEED}.")
    device = device_of(training.device, training=True)
    prepare_torch(training, device)
    pictures = _place_pictures(config, device)
    why = why_without_graphs(training, device, pictures)
    if why is not None:
        without_graphs(why)
    bank = _load_pictures(config, pictures, preparing)
    make = _off_policy if method_of(config.method).loop == "off_policy" else _on_policy
    images = None if bank is None else bank.sample
    given = given_to(config, suite_of(config.env.task).spaces(config.env), device, images, preparing)
    with make(config, device, bank, given, why) as (loop, place):
        loop.paths = tuple(kept.sentence for kept in (pictures, place) if kept is not None)
        yield loop


@contextmanager
def _off_policy(
    config: RunConfig, device: torch.device, bank: ImageBank | None, given: Given, why: str | None
) -> Iterator[tuple[Loop, Placement]]:
    """A loop on a replay buffer, and where that is stored. why: the reason if CUDA graphs are impossible."""
    with _workers(config, device) as workers:
        agent = _agent(config, workers.spaces, device, bank, given)
        place, replay = _replay(config, workers.spaces, device, agent.returns)
        yield OffPolicyTraining(config, agent, workers, replay, device, eager_because=why), place


@contextmanager
def _on_policy(
    config: RunConfig, device: torch.device, bank: ImageBank | None, given: Given, why: str | None
) -> Iterator[tuple[Loop, Placement | None]]:
    """A loop on rollouts, stored where they are learned from. why: the reason if CUDA graphs are impossible."""
    with closing(_streams(config, device)) as streams:
        agent = _agent(config, streams.spaces, device, bank, given)
        assert agent.rollouts is not None, "an agent that learns from rollouts says how"
        minibatch = _minibatch(agent.rollouts, streams.num_envs)
        steps, envs, spaces = agent.rollouts.steps, streams.num_envs, streams.spaces
        masked, knows_truth = agent.mark is not None, method_of(config.method).truth(config.agent)
        needed = Rollout.bytes_needed(steps, envs, spaces, masked=masked, knows_truth=knows_truth)
        refuse_beyond(needed, f"A rollout of {steps} steps", "choose fewer --rollout-steps", device)
        rollout = Rollout(steps, envs, spaces, device, minibatch, masked=masked, knows_truth=knows_truth)
        yield OnPolicyTraining(config, agent, streams, rollout, device, eager_because=why), None


def _streams(config: RunConfig, device: torch.device) -> Streams:
    """Environments that restart themselves: the suite's own, or any in processes."""
    suite = suite_of(config.env.task)
    own = None if suite.streams is None else suite.streams(_env(config), _seeds(config))
    return WorkerStreams(_workers(config, device)) if own is None else own


def _workers(config: RunConfig, device: torch.device) -> EnvWorkers[EnvConfig]:
    envs = config.training.num_envs
    processes = processes_wanted(config.env.task, config.training.workers)
    workers = EnvWorkers([_env(config)] * envs, _seeds(config), num_workers=processes)
    _warn_of_software(device, workers.arrangement.renderer)
    return workers


def _env(config: RunConfig) -> EnvConfig:
    """The environment's configuration, with the simulator's own masks if these are learned from."""
    return config.env.changed(task_mask=True) if method_of(config.method).truth(config.agent) else config.env


def _seeds(config: RunConfig) -> list[int]:
    training = config.training
    return [training.seed * SEED_STRIDE + index for index in range(training.num_envs)]


def _agent(config: RunConfig, spaces: Spaces, device: torch.device, bank: ImageBank | None, given: Given) -> Agent:
    agent = make_agent(config, spaces, device, given)
    _refuse_large_batch(agent.batch_size, spaces, device)
    set_compute_dtype(agent.networks, compute_dtype(config.training.precision, device))
    if bank is not None:
        _refuse_small_bank(bank, agent)
    return agent


def _minibatch(rollouts: Rollouts, num_envs: int) -> int:
    """Decisions in a minibatch. Raises UserError if a rollout cannot be split into that many."""
    decisions = rollouts.steps * num_envs
    if decisions < rollouts.minibatches:
        raise UserError(
            f"A rollout of {rollouts.steps} steps of {num_envs} environments has {decisions} decisions, which cannot "
            "be "
            f"split into --minibatches {rollouts.minibatches}: choose fewer, or more --rollout-steps or --envs."
        )
    return decisions // rollouts.minibatches


def _warn_of_software(device: torch.device, renderer: str) -> None:
    """Warn if a GPU trains while a processor renders, which takes most of such a run's time."""
    if device.type == "cuda" and is_software(renderer):
        warnings.warn(why_in_software(renderer), stacklevel=2)


def _place_pictures(config: RunConfig, device: torch.device) -> Placement | None:
    """Where pictures for overlays are stored; None for a method that needs none."""
    if not method_of(config.method).overlays(config.agent):
        return None
    size = bank_bytes(config.training.image_count, bank_size(config.env.image_size))
    placed = place_by_what_is_free({"pictures": size}, device)["pictures"]
    count = f"--image-count {config.training.image_count}"
    refuse_beyond(size, count, "choose a smaller --image-count", placed.device)
    return placed


def _load_pictures(config: RunConfig, place: Placement | None, preparing: Preparing) -> ImageBank | None:
    if place is None:
        return None
    training, size = config.training, bank_size(config.env.image_size)
    folder = None if training.images is None else Path(training.images)
    progress = None if preparing is None else functools.partial(preparing, "pictures")
    return load_bank(
        folder, count=training.image_count, size=size, seed=training.seed, device=place.device, progress=progress
    )


def _replay(
    config: RunConfig, spaces: Spaces, device: torch.device, returns: Returns | None
) -> tuple[Placement, ReplayBuffer]:
    """An empty replay buffer for a run's environments, and where it is."""
    training, stack = config.training, config.env.frame_stack
    assert config.loop is not None, "only a method that learns from a replay has one"
    capacity = config.loop.replay_capacity or training.steps
    masks = 1 if method_of(config.method).truth(config.agent) else 0  # for each frame, as one more channel
    frame = (spaces.obs_shape[0] // stack + masks, *spaces.obs_shape[1:])
    size = ReplayBuffer.bytes_needed(capacity, frame, spaces.actions, frame_stack=stack, num_envs=training.num_envs)
    place = place_by_what_is_free({"replay": size}, device)["replay"]
    replay = ReplayBuffer(
        capacity,
        frame,
        spaces.actions,
        frame_stack=stack,
        num_envs=training.num_envs,
        device=place.device,
        pinned=place.pinned,
        returns=returns,
    )
    return place, replay


def _refuse_large_batch(batch: int, spaces: Spaces, device: torch.device) -> None:
    """Raise UserError if not even a batch's observations, before and after its steps, fit into memory."""
    needed = 2 * FLOAT_BYTES * batch * math.prod(spaces.obs_shape)
    refuse_beyond(needed, f"A batch of {batch}", "choose a smaller --batch-size", device)


def _refuse_small_bank(bank: ImageBank, agent: Agent) -> None:
    """Raise UserError if a batch would need more pictures than there are."""
    own = max((phase.own_batch.size for phase in agent.phases if phase.own_batch is not None), default=0)
    batch, pictures = max(agent.batch_size, own), len(bank.images)
    if pictures < batch:
        smaller = "--soda-batch-size" if own > agent.batch_size else "--batch-size"
        raise UserError(
            f"{pictures} pictures are too few to overlay a batch of {batch}: give a folder of {batch} or more with "
            f"--images and at least --image-count {batch}, or a smaller {smaller}."
        )
