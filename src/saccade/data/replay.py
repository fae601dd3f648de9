"""`ReplayBuffer`: past transitions, stored as single frames and stacked by index when sampled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from saccade.data.actions import action_dtype
from saccade.data.frames import FrameRing, Segment, put
from saccade.data.memory import available_bytes
from saccade.types import Batch, Continuous, Discrete, UserError

SEGMENT_FRAMES = 4096  # in one file of a checkpoint: 87 MB of 84x84 pixels
SPARE_FRAMES = 0.01  # of the capacity, for first frames: enough for episodes of 100 steps and more
NOT_STARTED = -1
GIGABYTE = 1e9
LAYOUT = (
    "capacity",
    "channels",
    "height",
    "width",
    "actions",
    "frame stack",
    "environments",
    "segment frames",
)


@dataclass(frozen=True)
class Returns:
    """How a sampled transition's reward is computed: from the discounted rewards of several steps.

    reward = r_t + discount r_{t+1} + ... + discount^(k-1) r_{t+k-1}; the next observation is the one k steps later, and
    the transition's own discount is discount^(k-1), or 0 if the episode truly ended by then. k is ``steps``, or as
    many as the episode has so far.
    """

    steps: int
    discount: float


class Transitions(NamedTuple):
    """Sampled transitions whose observations still share their frames: the form in which they move between devices."""

    frames: Tensor
    """uint8 ``[batch, frame_stack + 1, channel, height, width]``, oldest first; or ``[batch, 2, frame_stack, ...]``,
    for observation and next observation, if there are steps between them."""
    action: Tensor  # long [batch] if discrete, else [batch, action_dim], -1..1
    reward: Tensor  # [batch]
    discount: Tensor  # [batch], 0 or 1; with ``Returns`` a power of its discount

    def batch(self) -> Batch:
        """Return the transitions as an update takes them; ``obs`` and ``next_obs`` are views of ``frames``."""
        apart = self.frames.ndim == 6
        first, last = self.frames.unbind(1) if apart else (self.frames[:, :-1], self.frames[:, 1:])
        obs, next_obs = first.flatten(1, 2), last.flatten(1, 2)
        return Batch(obs, self.action, self.reward, self.discount, next_obs)

    def to(self, device: torch.device) -> Transitions:
        """Return a copy on a GPU, made asynchronously, or the transitions themselves if they are there."""
        return Transitions(*(value.to(device, non_blocking=device.type == "cuda") for value in self))


class ReplayBuffer:
    """The newest ``capacity`` transitions of any number of interleaved environments.

    A frame that several stacks share is stored once. The stacks of an episode's first steps repeat its
    first frame, as frame stacking does at ``reset``. A transition can be sampled only while all of its
    frames are there: with episodes shorter than 100 steps, fewer than ``capacity`` can.

    On a GPU neither adding nor sampling waits for it, and sampling can be part of a CUDA graph: what can be sampled
    is stored in tensors that adding updates in place. Add and sample on one stream.

    Args:
        capacity: number of transitions.
        frame_shape: (channel, height, width) of one frame.
        actions: their kind, continuous or discrete.
        frame_stack: frames in an observation.
        num_envs: environments, which must advance together: between two steps of one, every other
            makes at most one step and starts at most one episode.
        device: where frames are stored and batches are made.
        segment_frames: frames in a complete ``Segment``.
        pinned: for a buffer on the CPU, whether batches are made in page-locked memory, from which they are copied to a
            GPU asynchronously. Needs a GPU.
        returns: how samples' rewards are computed; None for the reward of one step. Several steps require environments
            whose steps are ``num_envs`` rows apart, as when all are stepped in turn.
    Raises:
        UserError: the device has too little memory for ``capacity``.
    """

    def __init__(
        self,
        capacity: int,
        frame_shape: tuple[int, int, int],
        actions: Continuous | Discrete,
        *,
        frame_stack: int = 3,
        num_envs: int = 1,
        device: torch.device | str = "cpu",
        segment_frames: int = SEGMENT_FRAMES,
        pinned: bool = False,
        returns: Returns | None = None,
    ) -> None:
        if capacity < 1:
            raise UserError(f"the replay capacity is {capacity}: give --replay-capacity 1 or more")
        self.capacity, self.frame_stack, self.device = capacity, frame_stack, torch.device(device)
        self._pinned, self._num_envs = pinned, num_envs
        self._returns = None if returns is None or returns.steps == 1 else returns
        assert not pinned or self.device.type == "cpu", "only memory of the host can be page-locked"
        self._layout = (capacity, *frame_shape, _size(actions), frame_stack, num_envs, segment_frames)
        self._span = frame_span(frame_stack, num_envs)
        self._check_memory(frame_shape, actions, num_envs, segment_frames)
        num_frames = ring_frames(capacity, frame_stack, num_envs, segment_frames)
        self._ring = FrameRing(num_frames, frame_shape, self.device, segment_frames)
        self._frame_ids = torch.zeros(capacity, frame_stack + 1, dtype=torch.int32, device=self.device)
        self._action = torch.zeros(capacity, *actions.shape, dtype=action_dtype(actions), device=self.device)
        self._reward = torch.zeros(capacity, device=self.device)
        self._discount = torch.zeros(capacity, device=self.device)
        # Bookkeeping stays on the host, so that adding never waits for a GPU.
        self._newest_serial = np.zeros(capacity, dtype=np.int64)  # of each transition's next frame
        self._env_serials = np.full((num_envs, frame_stack), NOT_STARTED, dtype=np.int64)
        self._start = self._end = 0  # of what can be sampled, counting transitions from the beginning
        # The same where batches are made: sampling is recorded once in a CUDA graph, and reads them every time.
        self._first, self._count = (torch.zeros((), dtype=torch.int64, device=self.device) for _ in range(2))

    @staticmethod
    def bytes_needed(
        capacity: int,
        frame_shape: tuple[int, int, int],
        actions: Continuous | Discrete,
        *,
        frame_stack: int = 3,
        num_envs: int = 1,
        segment_frames: int = SEGMENT_FRAMES,
    ) -> int:
        """Return the bytes of a full buffer, mostly pixels: 10.8 GB for 500,000 steps of 84x84."""
        frame_bytes = ring_frames(capacity, frame_stack, num_envs, segment_frames) * math.prod(frame_shape)
        action = math.prod(actions.shape) * action_dtype(actions).itemsize
        frame_ids, floats, serial = 4 * (frame_stack + 1), 4 * 2, 8
        return frame_bytes + capacity * (frame_ids + action + floats + serial)

    def __len__(self) -> int:
        """How many transitions can be sampled."""
        return self._end - self._start

    def start_episode(self, env_index: int, first_frame: NDArray[np.uint8]) -> None:
        """Begin an episode of one environment with the newest frame of its ``reset``'s observation."""
        self._env_serials[env_index] = self._ring.append(first_frame)
        self._forget_incomplete()
        self._announce()

    def add(
        self, env_index: int, action: ArrayLike, reward: float, discount: float, next_frame: NDArray[np.uint8]
    ) -> None:
        """Store a step from the environment's latest stack to the stack with ``next_frame`` appended.

        Args:
            action: [action_dim], -1..1, or the number of the chosen action.
            discount: 0 if the episode truly ended, else 1.
            next_frame: uint8 [channel, height, width], the newest of the next observation.
        """
        oldest = int(self._env_serials[env_index, 0])
        if oldest == NOT_STARTED:
            raise ValueError(f"environment {env_index} has no first frame: call start_episode before add")
        if self._ring.total_frames - oldest > self._span:
            raise ValueError(
                f"environment {env_index} stood still while the others went on: call start_episode before add"
            )
        serial = self._ring.append(next_frame)
        serials = np.append(self._env_serials[env_index], serial)
        self._env_serials[env_index] = serials[1:]
        row = self._end % self.capacity
        put(self._frame_ids[row], torch.from_numpy((serials % self._ring.capacity).astype(np.int32)))
        put(self._action[row], torch.as_tensor(np.array(action), dtype=self._action.dtype))
        self._reward[row].fill_(float(reward))  # passed as an argument of the GPU's operation: no copy to wait for
        self._discount[row].fill_(float(discount))
        self._newest_serial[row] = serial
        self._end += 1
        self._forget_incomplete()
        self._announce()

    def sample(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Sample transitions uniformly with replacement, on the buffer's device.

        ``obs`` and ``next_obs`` are uint8 [batch, frame_stack * channel, height, width], oldest frame
        first. They overlap in memory, each frame being copied once, so do not write to them.
        """
        return self.draw(batch_size, generator).batch()

    def draw(self, batch_size: int, generator: torch.Generator) -> Transitions:
        """Sample transitions uniformly with replacement, on the buffer's device, with every frame once.

        generator: on the buffer's device if sampling is to be part of a CUDA graph.
        """
        if len(self) == 0:
            raise ValueError("there is nothing to sample: add transitions first")
        # 53 random bits, so that the largest product is below the count, and no row is noticeably more likely.
        share = torch.rand(batch_size, dtype=torch.float64, generator=generator, device=generator.device)
        drawn = (share.to(self.device) * self._count).long()
        rows = (drawn + self._first).remainder_(self.capacity)
        ids = self._frame_ids.index_select(0, rows)
        if self._returns is not None:
            return self._reaching(self._returns, drawn, rows, ids)
        return Transitions(
            frames=self._ring.gather(ids.flatten(), pinned=self._pinned).unflatten(0, ids.shape),
            action=self._chosen(self._action, rows),
            reward=self._chosen(self._reward, rows),
            discount=self._chosen(self._discount, rows),
        )

    def _reaching(self, returns: Returns, drawn: Tensor, rows: Tensor, ids: Tensor) -> Transitions:
        """The transitions in ``rows``, the ``drawn``-th of those that can be sampled, as far as ``returns`` reaches.

        Only what a buffer has anyway is read. A row is the step after another's if it begins with the
        frames that the other ends with: no two frames of a buffer are in the same place, and the first of an episode is
        in no other's.
        """
        last_ids, going = ids, torch.ones_like(drawn, dtype=torch.bool)
        reward, discount = self._reward.index_select(0, rows), self._discount.index_select(0, rows)
        for ahead in range(1, returns.steps):
            place = drawn + ahead * self._num_envs
            further = (rows + ahead * self._num_envs).remainder_(self.capacity)
            further_ids = self._frame_ids.index_select(0, further)
            going = going & (place < self._count) & (further_ids[:, :-1] == last_ids[:, 1:]).all(1)
            weight = returns.discount**ahead
            reward = torch.where(going, reward + weight * self._reward.index_select(0, further), reward)
            discount = torch.where(going, weight * self._discount.index_select(0, further), discount)
            last_ids = torch.where(going[:, None], further_ids, last_ids)
        both = torch.stack([ids[:, :-1], last_ids[:, 1:]], dim=1)
        return Transitions(
            frames=self._ring.gather(both.flatten(), pinned=self._pinned).unflatten(0, both.shape),
            action=self._chosen(self._action, rows),
            reward=reward.pin_memory() if self._pinned else reward,
            discount=discount.pin_memory() if self._pinned else discount,
        )

    def state_tensors(self) -> dict[str, Tensor]:
        """Return everything but the pixels, as CPU tensors: 56 bytes per transition with 6 actions."""
        rows = torch.arange(self._start, self._end).remainder_(self.capacity)
        device_rows = rows.to(self.device)
        return {
            "layout": torch.tensor(self._layout),
            "total_frames": torch.tensor([self._ring.total_frames]),
            "env_serials": torch.from_numpy(self._env_serials.copy()),
            "newest_serial": torch.from_numpy(self._newest_serial[rows.numpy()]),
            "frame_ids": self._frame_ids.index_select(0, device_rows).cpu(),
            "action": self._action.index_select(0, device_rows).cpu(),
            "reward": self._reward.index_select(0, device_rows).cpu(),
            "discount": self._discount.index_select(0, device_rows).cpu(),
        }

    def frame_segments(self) -> list[Segment]:
        """Return the pixels to save, oldest first: complete segments never change, the last one may grow."""
        total = self._ring.total_frames
        waiting = self._env_serials[:, 0]  # stacks that the next transitions begin with
        waiting = waiting[(waiting != NOT_STARTED) & (waiting >= total - self._span)]
        return self._ring.segments(min([total, self._oldest_needed(), *waiting.tolist()]))

    def read_segment(self, segment: Segment) -> Tensor:
        """Return the frames of a segment, uint8 [count, channel, height, width] on the CPU."""
        return self._ring.read(segment)

    def load(self, state: Mapping[str, Tensor], segments: Iterable[tuple[int, Tensor]]) -> None:
        """Become the buffer that was saved: the same generator then samples the same bits.

        Args:
            state: what ``state_tensors`` returned.
            segments: (start_serial, frames) of every one of ``frame_segments``, in any order; others
                are ignored.

        Raises:
            UserError: the saved buffer was made with other settings, or is damaged.
        """
        self._check_state(state)
        count = len(state["reward"])
        self._start, self._end = 0, count
        self._frame_ids[:count] = state["frame_ids"].to(self.device)
        self._action[:count] = state["action"].to(self.device)
        self._reward[:count] = state["reward"].to(self.device)
        self._discount[:count] = state["discount"].to(self.device)
        self._newest_serial[:count] = state["newest_serial"].numpy()
        self._env_serials[:] = state["env_serials"].numpy()
        self._ring.total_frames = int(state["total_frames"])
        self._ring.restore(self.frame_segments(), segments)
        self._announce()

    def _chosen(self, values: Tensor, rows: Tensor) -> Tensor:
        chosen = values.index_select(0, rows)
        return chosen.pin_memory() if self._pinned else chosen

    def _announce(self) -> None:
        """Update, where batches are made, what can be sampled."""
        self._first.fill_(self._start)
        self._count.fill_(len(self))

    def _oldest_needed(self) -> int:
        """The oldest frame's serial number of any transition that can be sampled."""
        if len(self) == 0:
            return self._ring.total_frames
        return max(int(self._newest_serial[self._start % self.capacity]) - self._span, 0)

    def _forget_incomplete(self) -> None:
        if len(self) > self.capacity:
            self._start += 1
        # Whole segments, so that every one to be saved is complete.
        while len(self) and self._ring.segment_start(self._oldest_needed()) < self._ring.first_serial:
            self._start += 1

    def _check_memory(
        self, frame_shape: tuple[int, int, int], actions: Continuous | Discrete, num_envs: int, segment_frames: int
    ) -> None:
        def bytes_for(capacity: int) -> int:
            return self.bytes_needed(
                capacity,
                frame_shape,
                actions,
                frame_stack=self.frame_stack,
                num_envs=num_envs,
                segment_frames=segment_frames,
            )

        needed, fixed, available = bytes_for(self.capacity), bytes_for(0), available_bytes(self.device)
        if available is not None and needed > available:
            fitting = max(int(self.capacity * (available - fixed) / (needed - fixed)), 0)
            raise UserError(
                f"a replay of {self.capacity} steps of {frame_shape[1]}x{frame_shape[2]} pixels needs"
                f" {needed / GIGABYTE:.1f} GB, but {available / GIGABYTE:.1f} GB of memory are available on"
                f" {self.device}: lower --replay-capacity to {fitting} or less"
            )

    def _check_state(self, state: Mapping[str, Tensor]) -> None:
        """Check everything that could silently make a sample wrong."""
        for name, saved, ours in zip(LAYOUT, state["layout"].tolist(), self._layout, strict=True):
            if saved != ours:
                raise UserError(
                    f"the saved replay has {saved} as its {name}, but this run has {ours}:"
                    " resume with the settings that it was saved with"
                )
        newest, total = state["newest_serial"], int(state["total_frames"])
        lags = (newest[:, None] - state["frame_ids"]).remainder(self._ring.capacity)
        consistent = (
            len(newest) <= self.capacity
            and all(len(state[name]) == len(newest) for name in ("action", "reward", "discount"))
            and state["action"].dtype == self._action.dtype
            and bool((newest.diff() > 0).all() and (newest < total).all())
            and bool((lags <= self._span).all() and (lags[:, -1] == 0).all())
        )
        if not consistent:
            raise UserError("the saved replay contradicts itself: it is damaged, resume from another checkpoint")


def _size(actions: Continuous | Discrete) -> int:
    """How many numbers an action has, or how many actions there are."""
    return actions.count if isinstance(actions, Discrete) else actions.dims


def frame_span(frame_stack: int, num_envs: int) -> int:
    """Return how many frames there can be from a transition's oldest to its newest.

    An environment makes ``frame_stack + 1`` of them, and so does each other one, at most doubled by
    the first frames of episodes.
    """
    return 2 * (frame_stack + 1) * num_envs


def ring_frames(capacity: int, frame_stack: int, num_envs: int, segment_frames: int) -> int:
    """Return how many frames to keep for ``capacity`` transitions, if saving takes only whole segments."""
    spare = math.ceil(SPARE_FRAMES * capacity)
    return capacity + spare + 2 * frame_span(frame_stack, num_envs) + segment_frames
