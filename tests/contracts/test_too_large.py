"""Numbers that no machine can hold: what they would need is computed before anything is allocated, and said."""

from __future__ import annotations

import dataclasses
import resource
from pathlib import Path

import pytest
import torch
from foreign_policies import ACTIONS, STACK
from training_cases import ignore, never, noise_config, without_simulator

from saccade.data import memory
from saccade.data.memory import allocations_bounded, each_allocation_bounded, refuse_beyond
from saccade.policies.sources.checkpoint import from_checkpoint
from saccade.train import assembling, session
from saccade.types import UserError

FREE = 200_000_000
CPU = torch.device("cpu")


def test_what_is_asked_for_is_added_up_and_never_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: FREE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sentence = r"Mine needs 40,000.0 GB of memory or more, .*10000000, 1000000.* 0.2 GB"
    with pytest.raises(UserError, match=sentence), allocations_bounded("Mine"):
        torch.nn.Linear(1_000_000, 10_000_000)
    with pytest.raises(UserError, match="Mine needs"), allocations_bounded("Mine"):
        [torch.empty(1_000_000) for _ in range(100)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB
    with allocations_bounded("Mine"):
        torch.nn.Linear(100, 100)


HUGE = {
    "a layer": "nn.Linear(10**7, 10**7)",
    "a parameter": "nn.Parameter(torch.zeros(10**6, 10**7))",
    "half precision": "nn.Linear(10**7, 10**7, dtype=torch.float16)",
    "more than counts": "nn.Linear(10**19, 3)",
    "an array": "nn.Parameter(torch.from_numpy(numpy.ones(10**16)))",
}


@pytest.mark.parametrize("what", HUGE)
def test_a_network_of_ones_own_that_no_machine_holds(what: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import numpy, torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
        f"        super().__init__()\n        self.body = {HUGE[what]}\ndef make():\n    return Net()\n"
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"Making .*net\.py:make.* (needs|failed)"):
        from_checkpoint(f"{tmp_path / 'net.py'}:make", None, STACK, ACTIONS, output=("logits",))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_code_of_others_may_let_go_of_what_it_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: FREE)
    with each_allocation_bounded("Mine"):
        for _ in range(5):
            torch.empty(FREE // 8)  # half of what is free
        torch.empty(10 * FREE, device="meta")
        torch.compile(torch.nn.Linear(3, 3))
    sentence = r"Mine, for a tensor of shape \[100000000\], needs 0\.4 GB"
    with pytest.raises(UserError, match=sentence), each_allocation_bounded("Mine"):
        torch.empty(FREE // 2)


def test_counting_changes_no_weight() -> None:
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(torch.nn.Linear(30, 20).weight)
        torch.manual_seed(0)
        with allocations_bounded("Mine"):
            made.append(torch.nn.Linear(30, 20).weight)
    assert all(torch.equal(made[0], one) for one in made)


def test_what_is_too_much_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: FREE)
    refuse_beyond(FREE, "It", "take less", CPU)
    with pytest.raises(UserError, match=r"It needs 0.2 GB of memory, but 0.2 GB are free: take less\."):
        refuse_beyond(FREE + 1, "It", "take less", CPU)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("filters", 10**6, "A network of svea needs .* GB of memory .*--filters"),
        ("hidden", 10**6, "A network of svea needs .* GB of memory .*--hidden"),
        ("projection", 10**9, "A network of svea needs .* GB of memory .*--projection"),
        (
            "hidden",
            99999999999999999999,
            "--hidden 9{20} is out of range: it must be from 1 to 2147483647",
        ),
        ("batch_size", 10**8, r"A batch of 100000000 needs .* GB of memory, .*--batch-size"),
    ],
)
def test_a_size_that_no_machine_holds(
    name: str, value: int, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_simulator(monkeypatch)
    monkeypatch.setattr(assembling, "_refuse_small_bank", lambda bank, agent: None)
    config = noise_config("svea")
    sac = config.agent.sac
    if name == "batch_size":
        sac = dataclasses.replace(sac, batch_size=value)
    else:
        sac = dataclasses.replace(sac, architecture=dataclasses.replace(sac.architecture, **{name: value}))
    config = dataclasses.replace(config, agent=dataclasses.replace(config.agent, sac=sac))
    with pytest.raises(UserError, match=sentence):
        session.start(config, tmp_path / "run", {}, ignore, never)
    assert not (tmp_path / "run").exists()


def test_more_pictures_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_simulator(monkeypatch)
    with pytest.raises(UserError, match=r"--image-count 100000000 needs .* GB of memory"):
        session.start(noise_config("sgqn", image_count=10**8), tmp_path / "run", {}, ignore, never)
