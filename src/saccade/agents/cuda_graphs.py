"""CUDA graphs: work that is recorded once and then launched as a whole, and recovery if recording fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Generator, Tensor

GRAPHS_FIND_GENERATORS = "2.14"  # from this PyTorch on: generators need not be registered with a graph beforehand

UNFINISHED: list[torch.cuda.CUDAGraph] = []
"""Kept for good: PyTorch's page-locked allocator goes on querying a graph whose recording did not end."""


def can_record(device: torch.device) -> bool:
    """Return whether work on this device can be recorded."""
    return device.type == "cuda"


@final
class CUDAGraphs:
    """A ``Recorder`` of CUDA graphs that share their memory.

    They may be replayed in any order: nothing in that memory outlives a replay but its result, which is copied at once.
    Gradients live there too, and are gone once a phase has made its step. Work is warmed up on the stream that it is
    recorded on, so that workspaces of libraries exist beforehand. Hold ``NETWORKS_LOCK`` to record.

    Args:
        generator: of the device; the only one that the work draws from.
    """

    def __init__(self, generator: Generator) -> None:
        self._generator, self._device = generator, generator.device
        self._stream = torch.cuda.Stream(self._device)
        self._pool = torch.cuda.graph_pool_handle()
        self._graphs: list[torch.cuda.CUDAGraph] = []
        self._failed: torch.cuda.CUDAGraph | None = None

    def warm_up(self, work: Callable[[], Tensor]) -> Tensor:
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = work()
        current.wait_stream(self._stream)
        return result

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        if torch.__version__ < GRAPHS_FIND_GENERATORS:
            graph.register_generator_state(self._generator)
        first: Exception | None = None
        try:
            # The restrictions of recording apply to this thread alone.
            with (
                torch.cuda.device(self._device),
                torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"),
            ):
                try:
                    result = work()
                except Exception as error:
                    first = error  # ending a failed recording fails too, with a less useful message
                    raise
        except Exception as error:  # noqa: BLE001  # raised again below
            torch.cuda.set_stream(current)  # PyTorch does not if the end fails
            self._failed = graph
            cause = first or error
            cause.add_note("An update was being recorded as a CUDA graph, in which nothing may wait for the GPU.")
            raise cause from None
        self._graphs.append(graph)  # kept: memory that no graph holds any more cannot be shared again

        def replay() -> Tensor:
            copy = torch.empty_like(result)  # before any work is done: memory may run out
            graph.replay()
            return copy.copy_(result)

        return replay

    def give_up(self) -> None:
        torch.cuda.synchronize(self._device)  # raises if the GPU itself is lost
        index = torch.cuda.current_device() if self._device.index is None else self._device.index
        if self._failed is not None:
            self._end_allocation(index, self._failed)
        # Up to PyTorch 2.12 generators continue as if they were being recorded: then nothing can draw from them,
        # and the compiler cannot run its timings. A copy of their state does not carry this along.
        for generator in (self._generator, torch.cuda.default_generators[index]):
            generator.graphsafe_set_state(generator.clone_state())
        self._failed = None
        self._graphs.clear()
        self._pool = torch.cuda.graph_pool_handle()
        torch.cuda.empty_cache()

    def _end_allocation(self, index: int, graph: torch.cuda.CUDAGraph) -> None:
        """Make PyTorch allocate memory as before; it does not if the end of a recording fails."""
        try:
            torch._C._cuda_endAllocateToPool(index, self._pool)
        except RuntimeError:  # it already does
            return
        torch._C._cuda_releasePool(index, self._pool)
        UNFINISHED.append(graph)
