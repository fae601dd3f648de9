"""Whatever fails on a GPU ends in a training with the right numbers, or in one sentence: with faults at every step."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fake_cuda import Faults, fake_cuda, no_compiler, out_of_memory, spoilt
from training_cases import (
    after_steps,
    assert_same,
    final_tensors,
    ignore,
    never,
    noise_config,
    resume,
    rows,
    train,
    without_simulator,
)

from saccade.agents import METHODS
from saccade.agents.agent import make_update
from saccade.agents.shortcuts import (
    COMPILING,
    NETWORKS_LOCK,
    RECORDING,
    cause_of,
    is_out_of_memory,
    make_shortcuts,
)
from saccade.cli import main, train_command
from saccade.runs.training import RunConfig
from saccade.testing.cases import case_of
from saccade.train import assembling, learning, session, ways
from saccade.train.evaluating import BackgroundEvaluation
from saccade.train.events import Event
from saccade.train.off_policy import OffPolicyTraining
from saccade.types import Continuous, Spaces, UserError

STEPS = 24  # with as many updates: six that warm up, two that are recorded, the others replayed

COMPILER = [
    ("sgqn", "compile look", 0, no_compiler),
    ("sgqn", "compile loss", 0, no_compiler),
    ("sgqn", "compile loss", 1, spoilt),
    ("sgqn", "compile loss", 2, no_compiler),  # when the critic and the actor have been stepped
    ("soda", "compile backward", 0, no_compiler),
    ("soda", "compile backward", 2, no_compiler),  # when a pass has moved running statistics
    ("soda", "compile loss", 2, no_compiler),  # the phase with a batch of its own, which is drawn
]
RECORDER = [
    ("sac", "warm-up begin", 0, spoilt),
    ("sac", "warm-up begin", 4, spoilt),
    ("sac", "record begin", 0, spoilt),
    ("sgqn", "record middle", 0, spoilt),
    ("soda", "record middle", 1, spoilt),
    ("sac", "record end", 1, spoilt),
    ("sgqn", "record middle", 0, out_of_memory),
    ("sac", "record end", 0, out_of_memory),
    ("soda", "replay", 0, spoilt),
    ("sac", "replay", 5, spoilt),
    ("sac", "replay", 0, out_of_memory),
]
IN_ONE_SENTENCE = [
    ("compile look", 0, out_of_memory, "auto"),
    ("compile look", 0, out_of_memory, "off"),
    ("compile loss", 1, out_of_memory, "off"),
    ("compile backward", 2, out_of_memory, "auto"),  # of an update that is performed in part
    ("compile backward", 2, out_of_memory, "off"),
    ("warm-up end", 1, out_of_memory, "auto"),  # of an update that has been performed
    ("warm-up end", 1, spoilt, "auto"),
]

Fault = tuple[str, str, int, Callable[[], Exception]]


@pytest.fixture(autouse=True)
def _without_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    without_simulator(monkeypatch)


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of the methods that compile and record nothing."""
    folder = tmp_path_factory.mktemp("eager")
    with pytest.MonkeyPatch.context() as monkeypatch:
        without_simulator(monkeypatch)
        for method in ("sac", "soda", "sgqn"):
            train(folder / method, noise_config(method, steps=STEPS))
    return folder


def paths(folder: Path) -> tuple[str, str]:
    """What a run says in the end of its losses and its updates, in both places."""
    environment = json.loads((folder / "env.json").read_text())["paths"]
    assert environment == json.loads((folder / "result.json").read_text())["paths"]
    return environment[0], environment[1]


def notes(folder: Path) -> tuple[list[str], list[str]]:
    """What is said ahead, and of failures."""
    found = rows(folder, "notes.jsonl")
    return [row["note"] for row in found if "note" in row], [row["warning"] for row in found if "warning" in row]


def assert_equals_eager(folder: Path, eager: Path) -> None:
    assert_same(final_tensors(folder), final_tensors(eager))
    assert rows(folder) == rows(eager)


def test_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eager: Path) -> None:
    """The stand-in does what a GPU does: or else the other tests would show nothing."""
    faults = fake_cuda(monkeypatch, Faults())
    train(tmp_path / "run", noise_config("sgqn", steps=STEPS))
    assert_equals_eager(tmp_path / "run", eager / "sgqn")
    assert notes(tmp_path / "run") == ([COMPILING, RECORDING], [])
    losses, updates = paths(tmp_path / "run")
    assert losses.endswith("losses compiled") and updates.startswith("updates: one CUDA graph for each kind")
    assert (faults.seen["warm-up end"], faults.seen["record end"], faults.seen["replay"]) == (6, 2, STEPS - 6)
    assert (faults.seen["compile loss"], faults.seen["compile look"], faults.seen["healed"]) == (3, 1, 0)


@pytest.mark.parametrize("fault", COMPILER, ids=lambda fault: f"{fault[0]}-{fault[1]}-{fault[2]}")
def test_a_compilation_that_fails_is_left_out(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eager: Path
) -> None:
    method, *where = fault
    faults = fake_cuda(monkeypatch, Faults(*where))
    train(tmp_path / "run", noise_config(method, steps=STEPS))
    assert_equals_eager(tmp_path / "run", eager / method)
    ahead, [warning] = notes(tmp_path / "run")
    cause = cause_of(faults.error())
    assert ahead == [COMPILING, RECORDING] and warning.count(cause) == 1 and "saccade doctor" in warning
    losses, updates = paths(tmp_path / "run")
    assert losses.endswith(f"losses not compiled: compiling them failed ({cause})") and "CUDA graph" in updates
    # Work that is recorded was warmed up as it is now.
    assert faults.seen["warm-up end"] > 6 and faults.seen["record end"] == 2


@pytest.mark.parametrize("fault", RECORDER, ids=lambda fault: f"{fault[0]}-{fault[1]}-{fault[2]}-{fault[3].__name__}")
def test_a_recording_that_fails_is_left_out(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eager: Path
) -> None:
    method, *where = fault
    faults = fake_cuda(monkeypatch, Faults(*where))
    train(tmp_path / "run", noise_config(method, steps=STEPS))
    assert_equals_eager(tmp_path / "run", eager / method)
    ahead, [warning] = notes(tmp_path / "run")
    assert ahead[0] == COMPILING and cause_of(faults.error()) in warning and "CUDA graphs failed" in warning
    losses, updates = paths(tmp_path / "run")
    assert losses.endswith("losses compiled")
    assert updates == f"updates: one operation after the other: recording them failed ({cause_of(faults.error())})"
    assert faults.seen["healed"] == 1


@pytest.mark.parametrize("choice", ["auto", "on"])
def test_pytorchs_own_compiler_without_one_for_c(
    choice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eager: Path
) -> None:
    """Nothing here stands in for the compiler: only the one that it calls is not there."""
    import torch._inductor.config as settings

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    for module in (learning, ways):
        monkeypatch.setattr(module, "is_compiled", lambda training, device: True)
    run = noise_config("sgqn", steps=STEPS, compile=choice)
    with settings.patch({"cpp.cxx": (None, "/nowhere/g++")}):
        if choice == "on":
            with pytest.raises(UserError, match=r"failed: No working C\+\+ compiler found.*--compile off"):
                train(tmp_path / "run", run)
            return
        train(tmp_path / "run", run)
    assert_equals_eager(tmp_path / "run", eager / "sgqn")
    assert "No working C++ compiler found" in notes(tmp_path / "run")[1][0]


def test_both_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eager: Path) -> None:
    faults = fake_cuda(monkeypatch, Faults("compile loss", 0, no_compiler))
    second = Faults("record middle", 0, spoilt)
    monkeypatch.setattr(Faults, "at", lambda self, step, at=Faults.at: [at(one, step) for one in (faults, second)])
    train(tmp_path / "run", noise_config("sac", steps=STEPS))
    assert_equals_eager(tmp_path / "run", eager / "sac")
    assert len(notes(tmp_path / "run")[1]) == 2


def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, run: RunConfig, out: Path) -> Any:
    """Exit code, printed lines and errors of ``saccade train`` with this configuration."""
    monkeypatch.setattr(train_command, "parse_all", lambda words: (run, out, None))
    monkeypatch.setenv("COLUMNS", "1000")
    code = main(["train", "sac", "noise"])
    printed, errors = capsys.readouterr()
    return code, printed.splitlines(), errors


def test_the_terminal_says_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_cuda(monkeypatch, Faults("record middle", 0, spoilt))
    code, printed, errors = command(capsys, monkeypatch, noise_config("sac", steps=STEPS), tmp_path / "run")
    assert (code, errors) == (0, "")
    for sentence in (COMPILING, RECORDING, notes(tmp_path / "run")[1][0]):
        assert sum(line.startswith(sentence) for line in printed) == 1


@pytest.mark.parametrize("fault", [*COMPILER[:2], *RECORDER[1:4], RECORDER[-1]], ids=lambda fault: fault[1])
def test_what_was_asked_for_and_fails_is_one_sentence(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    method, *where = fault
    faults = fake_cuda(monkeypatch, Faults(*where))
    run = noise_config(method, steps=STEPS, compile="on", graphs="on")
    code, _, errors = command(capsys, monkeypatch, run, tmp_path / "run")
    option = "--compile off" if "compile" in faults.step else "--graphs off"
    assert code == 2 and errors.count("\n") == 1 and cause_of(faults.error()) in errors and option in errors
    # The way out that it names.
    way = {option.removeprefix("--").split()[0]: "off"}
    said: list[str] = []
    assert session.resume(tmp_path / "run", None, ignore, never, said.append, None, way) is not None
    assert len(said) == (option == "--graphs off")


@pytest.mark.parametrize("fault", IN_ONE_SENTENCE, ids=lambda fault: f"{fault[0]}-{fault[2].__name__}-{fault[3]}")
def test_a_gpu_that_is_full_or_lost_is_one_sentence(
    fault: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    *where, graphs = fault
    faults = fake_cuda(monkeypatch, Faults(*where))
    run = noise_config("sgqn", steps=STEPS, graphs=graphs)
    code, _, errors = command(capsys, monkeypatch, run, tmp_path / "run")
    assert code == 2 and errors.count("\n") == 1 and cause_of(faults.error()) in errors
    full = is_out_of_memory(faults.error())
    assert ("--batch-size" in errors and "--replay-capacity" in errors) == full
    assert f"--resume {tmp_path / 'run'}" in errors or full


@pytest.mark.parametrize("method", ["sac", "sgqn"])
def test_graphs_where_nothing_can_be_recorded_are_refused_before_anything_is_written(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = noise_config(method, graphs="on")
    with pytest.raises(UserError, match=r"--graphs on was asked for .* because CUDA graphs need a GPU: leave it"):
        train(tmp_path / "run", run)
    fake_cuda(monkeypatch, Faults())
    pinned = SimpleNamespace(device=torch.device("cpu"), pinned=True, sentence="pictures: in host memory")
    monkeypatch.setattr(assembling, "_place_pictures", lambda config, device: pinned)
    with pytest.raises(UserError, match="because the pictures are in host memory"):
        train(tmp_path / "run", run)
    assert not (tmp_path / "run").exists()
    train(tmp_path / "run", dataclasses.replace(run, training=dataclasses.replace(run.training, graphs="auto")))
    assert paths(tmp_path / "run")[1] == "updates: one operation after the other: the pictures are in host memory"


def test_graphs_that_are_not_wanted_are_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = fake_cuda(monkeypatch, Faults())
    train(tmp_path / "run", noise_config("sac", steps=STEPS, graphs="off", compile="off"))
    assert paths(tmp_path / "run")[1] == "updates: one operation after the other: --graphs off"
    assert not faults.seen and notes(tmp_path / "run") == ([], [])


@pytest.mark.parametrize("graphs", ["auto", "on"])
def test_a_run_begun_with_graphs_goes_on_without_and_says_so(graphs: Any, tmp_path: Path, eager: Path) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        without_simulator(monkeypatch)
        fake_cuda(monkeypatch, Faults())
        watch, stop = after_steps(16, seen=[])
        assert session.start(noise_config(steps=STEPS, graphs=graphs), tmp_path / "run", {}, watch, stop) is None
    said: list[str] = []
    assert session.resume(tmp_path / "run", None, ignore, never, said.append) is not None
    assert said == [
        "The run began with updates recorded as CUDA graphs, and continues without: CUDA graphs need a GPU."
    ]
    assert_same(final_tensors(tmp_path / "run"), final_tensors(eager / "sac"))


def test_a_run_that_never_had_graphs_goes_on_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watch, stop = after_steps(16, seen=[])
    session.start(noise_config(steps=STEPS), tmp_path / "run", {}, watch, stop)
    words = ["train", "--resume", str(tmp_path / "run"), "--graphs", "off", "--compile", "off", "--device", "cpu"]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "began with" not in printed.out and printed.err == ""
    training = json.loads((tmp_path / "run" / "config.json").read_text())["training"]
    assert (training["graphs"], training["compile"], training["device"]) == ("off", "off", "cpu")


def test_a_run_from_before_this_option_goes_on(tmp_path: Path) -> None:
    watch, stop = after_steps(16, seen=[])
    session.start(noise_config(steps=STEPS), tmp_path / "run", {}, watch, stop)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    del config["training"]["graphs"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    assert resume(tmp_path / "run") is not None
    config["training"]["unknown"] = 1
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="differ in unknown"):
        resume(tmp_path / "run")


def test_a_mistake_in_a_loss_is_not_the_compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails without the compiler too is a programmer's to read."""

    def broken(*_: object) -> torch.Tensor:
        raise IndexError("of a loss")

    fake_cuda(monkeypatch, Faults())
    monkeypatch.setattr("saccade.agents.agent.Phase.total", broken)
    with pytest.raises(IndexError, match="of a loss"):
        train(tmp_path / "run", noise_config(steps=STEPS))


def test_evaluation_uses_the_gpu_while_nothing_is_recorded() -> None:
    """And the stand-in for graphs shows in every test here that recording holds the same lock."""
    evaluation = BackgroundEvaluation(noise_config(), Spaces((3, 16, 16), Continuous(1)), torch.device("cpu"))
    held: list[bool] = []

    def act(obs: torch.Tensor, generator: None) -> torch.Tensor:
        held.append(NETWORKS_LOCK.locked())
        return torch.zeros(len(obs), 1)

    evaluation.__dict__["_agent"] = SimpleNamespace(act=act)
    evaluation._act(None, np.zeros((2, 3, 16, 16), np.uint8))
    assert held == [True] and not NETWORKS_LOCK.locked()


def test_no_network_is_used_while_another_thread_compiles() -> None:
    """The tracer of PyTorch's compiler takes whatever module is called meanwhile for a part of what it traces."""
    traced, errors = threading.Event(), []

    class Slow(torch.nn.Module):
        def forward(self, value: torch.Tensor) -> torch.Tensor:
            traced.set()
            time.sleep(0.3)
            return value

    def compiler(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        if not traced.is_set():
            torch.fx.symbolic_trace(Slow())
        return graph.forward

    case = case_of(METHODS["sac"], Spaces((3, 16, 16), Continuous(1)), noise_config().agent)
    evaluation = BackgroundEvaluation(noise_config("sac"), case.spaces, torch.device("cpu"))
    assert len(list(evaluation.networks.modules())) > 1  # it is made

    def evaluate() -> None:
        traced.wait()
        try:
            evaluation._act(None, np.zeros((1, 3, 16, 16), np.uint8))
        except NameError as error:
            errors.append(error)

    thread = threading.Thread(target=evaluate)
    thread.start()
    compilation = make_shortcuts().compilation
    update = make_update(case.agent(), compile_losses=True, backend=compiler, shortcut=compilation)  # type: ignore[arg-type]
    update(case.batch, torch.Generator().manual_seed(0), 0)
    thread.join()
    assert traced.is_set() and errors == [] and compilation.failure is None


def test_causes_are_what_went_wrong_and_not_what_it_was_wrapped_in() -> None:
    assert cause_of(no_compiler()) == "Failed to find C compiler. Please specify via CC environment variable"
    assert cause_of(spoilt()) == "CUDA error: operation failed due to a previous error during capture"
    assert cause_of(OSError()) == "OSError" and len(cause_of(RuntimeError("long " * 100))) == 203
    assert is_out_of_memory(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")) and not is_out_of_memory(spoilt())


def test_events_of_failures_carry_where_the_run_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_cuda(monkeypatch, Faults("replay", 0, spoilt))
    seen: list[tuple[str, int]] = []

    def watch(event: Event, training: OffPolicyTraining) -> None:
        if event.kind in ("note", "warning"):
            seen.append((event.kind, event.row["updates"]))

    session.start(noise_config(steps=STEPS), tmp_path / "run", {}, watch, never)
    # Odd and even updates warm up in turns: the first six are 0 to 5; number 6 is recorded, and its replay fails.
    assert seen == [("note", 0), ("note", 6), ("warning", 7)]
