"""`FrameRing`: the newest single camera frames on a device, and how they are written to files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saccade.types import UserError


@dataclass(frozen=True)
class Segment:
    """Frames ``start_serial`` to ``start_serial + count - 1``, the unit of writing frames to files.

    Starts are multiples of the segment length, so a complete segment is the same in every later save.
    """

    start_serial: int
    count: int
    complete: bool  # it will never change nor grow


class FrameRing:
    """The newest ``capacity`` frames, uint8 [channel, height, width], each with a serial number.

    Serial numbers count all frames ever appended; frame ``s`` is in slot ``s % capacity`` until
    frame ``s + capacity`` overwrites it. Memory is reserved at once and touched as it fills.
    """

    def __init__(
        self, capacity: int, frame_shape: tuple[int, int, int], device: torch.device, segment_frames: int
    ) -> None:
        self.capacity = capacity
        self.frame_shape = frame_shape
        self.segment_frames = segment_frames
        self.total_frames = 0
        self._frames = torch.empty((capacity, *frame_shape), dtype=torch.uint8, device=device)

    @property
    def first_serial(self) -> int:
        """The oldest frame that has not been overwritten."""
        return max(self.total_frames - self.capacity, 0)

    def append(self, frame: NDArray[np.uint8]) -> int:
        """Store a copy of ``frame`` over the oldest one; return its serial number."""
        if frame.shape != self.frame_shape or frame.dtype != np.uint8:
            raise ValueError(f"a frame is {frame.dtype} {frame.shape}: uint8 {self.frame_shape} is needed")
        serial = self.total_frames
        put(self._frames[serial % self.capacity], torch.from_numpy(np.array(frame)))
        self.total_frames += 1
        return serial

    def gather(self, slots: Tensor, *, pinned: bool = False) -> Tensor:
        """Return copies of the frames in ``slots`` int [n], as uint8 [n, channel, height, width].

        pinned: whether to make them in page-locked memory, new in every call: PyTorch does not reuse it before
        the copies to a GPU that started from it are done.
        """
        # On a CPU as fast as numpy.take, and five times as fast as indexing with brackets.
        if not pinned:
            return self._frames.index_select(0, slots)
        gathered = torch.empty((len(slots), *self.frame_shape), dtype=torch.uint8, pin_memory=True)
        return torch.index_select(self._frames, 0, slots, out=gathered)

    def segment_start(self, serial: int) -> int:
        """Return the first frame of the segment that holds frame ``serial``."""
        return serial // self.segment_frames * self.segment_frames

    def segments(self, needed_serial: int) -> list[Segment]:
        """Return what must be saved to have every frame from ``needed_serial`` on, oldest first."""
        starts = range(self.segment_start(needed_serial), self.total_frames, self.segment_frames)
        assert not starts or starts[0] >= self.first_serial, "frames that are needed were overwritten"
        counts = [min(self.segment_frames, self.total_frames - start) for start in starts]
        return [
            Segment(start, count, complete=count == self.segment_frames)
            for start, count in zip(starts, counts, strict=True)
        ]

    def read(self, segment: Segment) -> Tensor:
        """Return the frames of a segment, uint8 [count, channel, height, width] on the CPU."""
        return self.gather(self._slots(segment)).cpu()

    def restore(self, needed: list[Segment], found: Iterable[tuple[int, Tensor]]) -> None:
        """Restore the frames of the ``needed`` segments, which are among those ``found``.

        Raises:
            UserError: a segment is missing or has other frames than were saved.
        """
        missing = {segment.start_serial: segment for segment in needed}
        for start, frames in found:
            segment = missing.pop(start, None)
            if segment is None:
                continue
            shape, found_shape = (segment.count, *self.frame_shape), tuple(frames.shape)
            if found_shape != shape or frames.dtype != torch.uint8:
                raise UserError(
                    f"the saved replay frames from {start} on are {frames.dtype} {found_shape} instead"
                    f" of torch.uint8 {shape}: the checkpoint is damaged, resume from another one"
                )
            self._frames.index_copy_(0, self._slots(segment), frames.to(self._frames.device))
        if missing:
            raise UserError(
                f"the saved replay lacks its frames from {min(missing)} on: the checkpoint is damaged,"
                " resume from another one"
            )

    def _slots(self, segment: Segment) -> Tensor:
        serials = torch.arange(segment.start_serial, segment.start_serial + segment.count)
        return (serials % self.capacity).to(self._frames.device)


def put(place: Tensor, value: Tensor) -> None:
    """Copy a CPU tensor of the same type to ``place``, without waiting for a GPU that is busy."""
    if place.is_cuda:
        # Page-locked memory is not reused before the copy is done, although ``value`` is released at once.
        place.copy_(value.pin_memory(), non_blocking=True)
    else:
        place.copy_(value)
