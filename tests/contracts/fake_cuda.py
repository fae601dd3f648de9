"""A stand-in for a GPU that fails: compiling, recording and replaying on a CPU, with a fault at a step of choice.

It does as CUDA does. Nothing of a recording is performed, not even of one that fails. After a failure nothing more can
be recorded until it is healed. A recording or a replay that fails has moved the generator already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from recorded_operations import CPURecorder, Recording
from torch import Generator, Tensor

from saccade.agents import agent, cuda_graphs
from saccade.agents.shortcuts import NETWORKS_LOCK
from saccade.runs.training import Training
from saccade.train import learning, ways

OPERATIONS_BEFORE_THE_MIDDLE = 40


def out_of_memory() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of 79.11 GiB.")


def spoilt() -> Exception:
    return torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture\nSearch for it.")


class BackendFailed(RuntimeError):
    """As PyTorch wraps what its compiler met."""

    def __init__(self, inner: Exception) -> None:
        super().__init__(f"backend='inductor' raised:\n{type(inner).__name__}: {inner}")
        self.inner_exception = inner


def no_compiler() -> Exception:
    return BackendFailed(RuntimeError("Failed to find C compiler. Please specify via CC environment variable."))


@dataclass
class Faults:
    """Raises an error at the given occurrence, 0 the first, of a step; counts all steps."""

    step: str = "never"
    occurrence: int = 0
    error: Callable[[], Exception] = spoilt
    seen: Counter[str] = field(default_factory=Counter)

    def at(self, step: str) -> None:
        self.seen[step] += 1
        if step == self.step and self.seen[step] == self.occurrence + 1:
            raise self.error()


class FaultyBackward(torch.autograd.Function):
    """The identity, whose backward pass is a step."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, faults: Faults) -> Tensor:
        ctx.faults = faults
        return total.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        ctx.faults.at("compile backward")
        return gradient, None


class FaultyRecording(Recording):
    """Also has a step in its middle."""

    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if len(self.operations) == OPERATIONS_BEFORE_THE_MIDDLE:
            self._faults.at("record middle")
        return super().__torch_dispatch__(function, types, args, kwargs)


class FakeGraphs(CPURecorder):
    """``CUDAGraphs`` of a GPU that may fail."""

    def __init__(self, generator: Generator, faults: Faults) -> None:
        super().__init__()
        self._generator, self._faults, self.broken = generator, faults, False

    def warm_up(self, work: Callable[[], Tensor]) -> Tensor:
        self._faults.at("warm-up begin")
        assert not self.broken
        result = work()
        self._faults.at("warm-up end")
        return result

    def record(self, work: Callable[[], Tensor]) -> Callable[[], Tensor]:
        assert not self.broken and NETWORKS_LOCK.locked()
        recording = FaultyRecording(self._faults)
        try:
            self._faults.at("record begin")
            with recording:
                result = work()
            self._faults.at("record end")
        except Exception:
            self.broken = True
            raise
        finally:
            recording.take_back()
            if self.broken:
                self._move_generator()
        self.recorded += 1

        def replay() -> Tensor:
            before = self._generator.get_state()
            self._move_generator()
            self._faults.at("replay")
            self._generator.set_state(before)
            recording.repeat()
            self.replayed += 1
            return result.clone()

        return replay

    def give_up(self) -> None:
        self._faults.seen["healed"] += 1
        self.broken = False

    def _move_generator(self) -> None:
        torch.rand(3, generator=self._generator)


def compiled(function: Callable[..., Any], faults: Faults) -> Callable[..., Any]:
    """A look or a loss as ``torch.compile`` makes it: compiled when first called with a set of terms."""
    known: set[tuple[Any, ...]] = set()

    def call(batch: Any, *begun: frozenset[str]) -> Any:
        if begun not in known:
            known.add(begun)
            faults.at("compile loss" if begun else "compile look")
        result = function(batch, *begun)
        if not begun:
            return result
        total, metrics = result
        return FaultyBackward.apply(total, faults), metrics

    return call


def fake_cuda(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> Faults:
    """Have runs on the CPU compile and record as they do on a GPU, with these faults."""

    def is_compiled(training: Training, device: torch.device) -> bool:
        return training.compile != "off"

    monkeypatch.setattr(cuda_graphs, "can_record", lambda device: True)
    monkeypatch.setattr(cuda_graphs, "CUDAGraphs", lambda generator: FakeGraphs(generator, faults))
    monkeypatch.setattr(agent, "as_one_region", lambda function, backend: compiled(function, faults))
    for module in (learning, ways):
        monkeypatch.setattr(module, "is_compiled", is_compiled)
    return faults
