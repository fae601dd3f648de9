"""Losses that the real compiler has compiled make the updates that eager ones make, in every precision of a run.

Other contract tests trace with ``aot_eager``, which writes no code. Here C++ is written and compiled: about 40 small
files for every case, a second each, which the compiler keeps for the next time. So two of the four cases run by
default; ``scripts/test_other_torch.sh`` runs all of them, on another PyTorch.
"""

from __future__ import annotations

import os
import shutil

import pytest
import torch
from method_cases import build, sample
from torch._inductor import metrics

from saccade.agents.agent import Agent, make_update
from saccade.nets.precision import set_compute_dtype
from saccade.types import Batch

UPDATES = 6
# Of the way that the weights went. Sums in another order and products that stay in registers differ in the last of 24
# bits, or of 8; over some steps of Adam, which divides by the size of a gradient, that came to 1e-6 and to 1e-5.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 1e-2}

DEFAULT_CASES = [("sac", torch.float32), ("sgqn", torch.bfloat16)]
FURTHER_CASES = [("sac", torch.bfloat16), ("sgqn", torch.float32)]
CASES = DEFAULT_CASES + (FURTHER_CASES if os.environ.get("SACCADE_ALL_COMPILED") == "1" else [])

needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="there is no C++ compiler here"
)


def weights(agent: Agent) -> torch.Tensor:
    values = agent.networks.state_dict().values()
    return torch.cat([value.flatten().double() for value in values if value.is_floating_point()])


@needs_compiler
@pytest.mark.parametrize(("method", "dtype"), CASES, ids=lambda value: str(value).removeprefix("torch."))
def test_compiled_updates_equal_eager_ones(method: str, dtype: torch.dtype) -> None:
    torch.compiler.reset()
    ours, theirs = build(method), build(method)
    for agent in (ours, theirs):
        set_compute_dtype(agent.networks, dtype)
    first = weights(theirs)
    updates = make_update(ours, compile_losses=True), make_update(theirs)
    generators = [torch.Generator().manual_seed(1) for _ in updates]
    for index in range(UPDATES):

        def drawn(size: int, seed: int = index) -> Batch:
            return sample(method, seed, size)

        ours_logged, theirs_logged = (
            update(drawn, generator, index) for update, generator in zip(updates, generators, strict=True)
        )
        assert list(ours_logged) == list(theirs_logged)
        for key, value in theirs_logged.items():
            torch.testing.assert_close(ours_logged[key], value, rtol=TOLERANCE[dtype], atol=1e-6, msg=key)
    way, apart = (weights(theirs) - first).norm(), (weights(ours) - weights(theirs)).norm()
    assert way > 0 and apart <= TOLERANCE[dtype] * way, f"{float(apart)} apart after a way of {float(way)}"


@needs_compiler
def test_the_compiler_is_the_real_one() -> None:
    """Or the test above would compare eager updates with eager ones."""
    torch.compiler.reset()
    before = metrics.generated_kernel_count
    torch.compile(lambda value: value.sin().cos(), fullgraph=True)(torch.ones(3))
    assert metrics.generated_kernel_count > before
