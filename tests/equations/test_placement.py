"""Where replay and pictures are kept, as a function of what is free: numbers that can be added in the head."""

from __future__ import annotations

import pytest
import torch

from saccade.data import placement
from saccade.data.banks.images import ImageBank, bank_bytes
from saccade.data.placement import TRAINING_RESERVE, place, place_by_what_is_free
from saccade.data.replay import ReplayBuffer
from saccade.types import Continuous

GPU, CPU = torch.device("cuda:0"), torch.device("cpu")
SIZES = {"pictures": 2_000_000_000, "replay": 10_800_000_000}


def places(free: int | None, sizes: dict[str, int] = SIZES) -> list[str]:
    return [str(found.device) for found in place(sizes, GPU, free, reserve=5_000_000_000).values()]


def test_what_fits_beside_the_reserve_is_on_the_gpu() -> None:
    # 2 + 10.8 + 5 = 17.8 GB fit exactly; without one byte the replay goes, and without pictures' 2 + 5 both.
    assert places(17_800_000_000) == ["cuda:0", "cuda:0"]
    assert places(17_799_999_999) == ["cuda:0", "cpu"]
    assert places(7_000_000_000) == ["cuda:0", "cpu"]
    assert places(6_999_999_999) == ["cpu", "cpu"]
    assert places(0) == places(None) == ["cpu", "cpu"]


def test_what_does_not_fit_leaves_its_room_to_the_next() -> None:
    assert places(9_000_000_000, {"replay": 10_800_000_000, "pictures": 2_000_000_000}) == ["cpu", "cuda:0"]


def test_batches_for_a_gpu_are_made_in_page_locked_memory() -> None:
    assert [found.pinned for found in place(SIZES, GPU, 11_000_000_000).values()] == [False, True]
    assert [found.pinned for found in place(SIZES, CPU, 10**12).values()] == [False, False]


def test_sentences() -> None:
    pictures = {"pictures": 49_152_000, "replay": SIZES["replay"]}
    said = [found.sentence for found in place(pictures, GPU, 130_000_000_000).values()]
    assert said == ["pictures: 49 MB on cuda:0 (130.0 GB free)", "replay: 10.8 GB on cuda:0 (130.0 GB free)"]
    said = [found.sentence for found in place(SIZES, GPU, 12_000_000_000).values()]
    assert said[1] == (
        "replay: 10.8 GB in host memory (cuda:0 has 12.0 GB free, and 2.0 GB besides what training needs)"
    )
    assert place(SIZES, GPU, None)["replay"].sentence == (
        "replay: 10.8 GB in host memory (cuda:0 has an unknown size free, and 0 MB besides what training needs)"
    )
    assert place(SIZES, CPU, None)["replay"].sentence == "replay: 10.8 GB in host memory, where training is"


def test_what_is_free_is_asked_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def free(device: torch.device) -> int:
        asked.append(device)
        return TRAINING_RESERVE + SIZES["pictures"]

    monkeypatch.setattr(placement, "available_bytes", free)
    found = place_by_what_is_free(SIZES, GPU)
    assert asked == [GPU] and [str(one.device) for one in found.values()] == ["cuda:0", "cpu"]


def test_the_papers_replay_fits_a_gpu_of_24_gigabytes() -> None:
    sizes = {"pictures": bank_bytes(), "replay": ReplayBuffer.bytes_needed(500_000, (3, 84, 84), Continuous(6))}
    assert {found.device for found in place(sizes, GPU, 24_000_000_000).values()} == {GPU}


def test_a_bank_takes_what_is_announced() -> None:
    bank = ImageBank(torch.zeros(7, 3, 16, 16, dtype=torch.uint8), "zeros")
    assert bank.images.numel() * bank.images.element_size() == bank_bytes(7, 16)
