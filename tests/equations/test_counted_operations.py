"""What the benchmark counts of operations, by hand: floats are 4 bytes, and nothing stays in a cache."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from outside import loaded

counting = loaded("benchmarks/counting.py")
A, B = torch.ones(10, 20), torch.ones(20, 30)
SMALL, LARGE = torch.ones(2, 3, 8, 8), torch.ones(4, 3, 3, 3)


@pytest.mark.parametrize(
    ("work", "flop", "numbers"),
    [
        (lambda: A @ B, 2 * 10 * 20 * 30, 200 + 600 + 300),
        # 2 pictures, 4 filters of 3x3x3, 6x6 places without padding
        (lambda: F.conv2d(SMALL, LARGE), 2 * 2 * 4 * 27 * 36, 2 * 3 * 64 + 4 * 27 + 2 * 4 * 36),
        (lambda: A.clone(), 0, 200 + 200),
        (lambda: A.clone().add_(A), 0, 400 + 3 * 200),  # in place: read twice, written once
        (lambda: A.clone().copy_(A), 0, 400 + 2 * 200),  # what is written over is not read
        (lambda: A.view(20, 10).transpose(0, 1)[2:], 0, 0),
        (lambda: torch.empty(1000), 0, 0),
        (lambda: A[:1].expand(10, 20) + A, 0, 20 + 200 + 200),  # a row that is repeated is there once
        (lambda: A.unfold(0, 5, 1).clone(), 0, 200 + 6 * 20 * 5),  # windows share what they overlap in
    ],
)
def test_operations_count_what_they_compute_and_touch(work: Callable[[], object], flop: int, numbers: int) -> None:
    with counting.OperationCount() as count:
        work()
    assert (count.flop, count.bytes) == (flop, 4 * numbers)


def test_selecting_reads_only_what_is_selected() -> None:
    rows = torch.tensor([1, 3])
    with counting.OperationCount() as count:
        A.index_select(0, rows)
    assert count.bytes == 2 * (2 * 20 * 4) + 2 * 8


def test_an_operation_in_place_that_returns_nothing_counts_what_it_changes() -> None:
    values = [torch.ones(50), torch.ones(50)]
    with counting.OperationCount() as count:
        torch._foreach_mul_(values, 2.0)
    assert count.bytes == 4 * (100 + 100)
