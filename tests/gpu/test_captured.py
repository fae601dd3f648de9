"""Updates as CUDA graphs: what they compute, that they never wait, what memory they take, and what feeds them."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from method_cases import ACTIONS, BATCH, case, on_device
from waiting import waiting_is_an_error

from saccade.agents import METHODS
from saccade.agents.agent import Agent, make_update
from saccade.agents.recorded_updates import CapturedUpdate, Metrics, kind_of, make_whole_update
from saccade.agents.shortcuts import NETWORKS_LOCK, Shortcuts, make_shortcuts
from saccade.data.actions import uniform_actions
from saccade.data.banks.images import ImageBank
from saccade.data.replay import ReplayBuffer
from saccade.nets.precision import set_compute_dtype
from saccade.types import Batch, Continuous

pytestmark = [
    pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores", "ignore:Synchronization debug mode"),
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here"),
]

CAPACITY = 60
UPDATES = 100
WARM = 20  # updates by which every kind of the methods here is recorded
BUSY_CYCLES = 200_000_000  # a tenth of a second of work that does nothing, for whoever must not wait for it
SHAPE = (3, 5, 4)

every_method = pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.loop == "off_policy"])
"""What is recorded of rollouts stands in test_ppo_cuda.py."""


@pytest.fixture(autouse=True)
def _the_same_numbers_every_time() -> Iterator[None]:
    """Float32 without TF32, and convolutions whose sums always have the same order."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = True, False, False, False
    yield
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before


def on_gpu(method: str) -> Agent:
    """The tiny agent of the other contract tests, with pictures from a bank on the GPU."""
    pictures = torch.randint(0, 256, (16, 3, 24, 24), generator=torch.Generator().manual_seed(5), dtype=torch.uint8)
    bank = ImageBank(pictures.cuda(), "random")
    return on_device(method, torch.device("cuda"), bank.sample)


class Run:
    """An agent on the GPU with its replay, which grows by a step before every update until it overwrites itself."""

    def __init__(
        self,
        method: str,
        *,
        captured: bool = True,
        resident: bool = True,
        compiled: bool = False,
        dtype: torch.dtype = torch.float32,
        shortcuts: Shortcuts | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """meanwhile: what else is done in every update, before anything is learned."""
        self.agent = on_gpu(method)
        prepare = self.agent.prepare

        def prepare_and_more(batch: Batch, generator: torch.Generator) -> Batch:
            prepared = prepare(batch, generator)
            meanwhile()
            return prepared

        self.agent = dataclasses.replace(self.agent, prepare=prepare_and_more)
        set_compute_dtype(self.agent.networks, dtype)
        self.first = self.weights()
        spaces, returns = case(method).spaces, self.agent.returns
        self.actions, frame = spaces.actions, (spaces.colours, *spaces.obs_shape[1:])
        place: dict[str, Any] = {"device": "cuda"} if resident else {"pinned": True}
        self.replay = ReplayBuffer(CAPACITY, frame, self.actions, segment_frames=4, returns=returns, **place)
        self.random, self.steps = np.random.default_rng(0), 0
        while self.steps < CAPACITY // 2:
            self.make_step()
        self.generator = torch.Generator("cuda").manual_seed(1)
        self.update = make_whole_update(
            self.agent,
            make_update(self.agent, compile_losses=compiled, shortcut=shortcuts and shortcuts.compilation),
            self.replay,
            self.generator,
            torch.Generator().manual_seed(2),
            eager_because=None if captured else "it is what graphs are compared with",
            shortcuts=shortcuts,
        )
        assert isinstance(self.update, CapturedUpdate) == captured

    def make_step(self) -> None:
        shape = self.replay._ring.frame_shape
        if self.steps % 7 == 0:
            self.replay.start_episode(0, self.random.integers(0, 256, shape, dtype=np.uint8))
        frame = self.random.integers(0, 256, shape, dtype=np.uint8)
        action = uniform_actions(self.actions, 1, torch.Generator().manual_seed(self.steps))[0].numpy()
        self.replay.add(0, action, self.random.normal(), float(self.steps % 7 != 6), frame)
        self.steps += 1

    def go_on(self, indices: range) -> list[Metrics]:
        metrics = []
        for index in indices:
            self.make_step()
            metrics.append(self.update(index))
        return metrics

    def weights(self) -> torch.Tensor:
        values = self.agent.networks.state_dict().values()
        return torch.cat([value.flatten().double() for value in values if value.is_floating_point()])


def assert_same_way(ours: Run, theirs: Run, tolerance: float) -> None:
    """Both runs came to the same weights, but for a share of the way that they went from the first ones."""
    way, apart = (theirs.weights() - theirs.first).norm(), (ours.weights() - theirs.weights()).norm()
    assert way > 0 and apart <= tolerance * way, f"{float(apart)} apart after a way of {float(way)}"


# Both do the same operations with the same random numbers. Where a library chooses another algorithm on another stream,
# sums differ in the last of 24 bits, and 100 steps of Adam, which divides by the size of gradients, make more of it; a
# recording that repeats a batch, a step count or a noise ends somewhere else altogether (a share of order 1).
@every_method
def test_graphs_equal_eager_updates(method: str) -> None:
    ours, theirs = Run(method), Run(method, captured=False)
    indices = range(UPDATES)
    metrics, expected = ours.go_on(indices), theirs.go_on(indices)
    assert [list(one) for one in metrics] == [list(one) for one in expected]
    for one, other in zip(metrics[:10], expected[:10], strict=True):  # the beginning, before anything is made more of
        for key, value in other.items():
            torch.testing.assert_close(one[key], value, rtol=1e-3, atol=1e-4, msg=key)
    assert torch.equal(ours.generator.get_state(), theirs.generator.get_state())
    assert_same_way(ours, theirs, 1e-2)


@pytest.mark.parametrize("method", ["sac", "soda", "svea_soda", "sgqn"])
def test_graphs_fed_from_host_memory_equal_eager_updates(method: str) -> None:
    ours, theirs = Run(method, resident=False), Run(method, resident=False, captured=False)
    ours.go_on(range(UPDATES))
    theirs.go_on(range(UPDATES))
    assert "host memory" in ours.update.path
    assert_same_way(ours, theirs, 1e-2)


@pytest.mark.parametrize("method", ["sgqn", "smg"])
def test_compiled_losses_inside_graphs_equal_eager_updates(method: str) -> None:
    ours, theirs = Run(method, compiled=True), Run(method, captured=False)
    ours.go_on(range(WARM))
    theirs.go_on(range(WARM))
    # Compiled sums have another order from the first update on; a pixel at a mask's threshold may go the other way.
    assert_same_way(ours, theirs, 5e-2)


@pytest.mark.parametrize("method", ["sac", "sgqn"])
def test_what_people_get_by_default_learns_as_float32_does(method: str) -> None:
    """Convolutions in bfloat16, losses compiled, updates recorded: it goes about the same way as plain float32."""
    ours, theirs = Run(method, compiled=True, dtype=torch.bfloat16), Run(method, captured=False)
    metrics, expected = ours.go_on(range(WARM)), theirs.go_on(range(WARM))
    for key, value in expected[0].items():  # of the first update, of the same weights
        torch.testing.assert_close(metrics[0][key], value, rtol=0.05, atol=0.02, msg=key)
    assert all(value.isfinite() for one in metrics for value in one.values())
    way, apart = (theirs.weights() - theirs.first).norm(), (ours.weights() - theirs.weights()).norm()
    assert apart < 0.5 * way, f"{float(apart)} apart after a way of {float(way)}"


@every_method
@pytest.mark.parametrize("resident", [True, False])
def test_no_update_waits_for_the_gpu(method: str, resident: bool) -> None:
    run = Run(method, resident=resident)
    run.go_on(range(WARM))
    with waiting_is_an_error():
        metrics = run.go_on(range(WARM, WARM + 10))
    assert all(value.isfinite() for one in metrics for value in one.values())


@pytest.mark.parametrize("resident", [True, False])
def test_memory_stays_as_it_is(resident: bool) -> None:
    run = Run("sgqn", resident=resident)
    run.go_on(range(WARM))
    torch.cuda.synchronize()
    allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    for index in range(WARM, WARM + 200):
        run.make_step()
        run.update(index)
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() == allocated
    assert torch.cuda.memory_reserved() <= reserved


def test_metrics_are_the_callers() -> None:
    run = Run("sac")
    run.go_on(range(WARM))
    kept = run.update(WARM)
    values = {key: value.clone() for key, value in kept.items()}
    run.go_on(range(WARM + 1, WARM + 6))
    assert all(torch.equal(kept[key], values[key]) for key in values)


def test_a_generator_that_is_set_back_repeats_the_update() -> None:
    """What a checkpoint holds of it is enough: replays read the state that is set, not one that was recorded."""
    run = Run("sac")
    run.go_on(range(WARM))
    state, weights = run.generator.get_state(), run.agent.networks.state_dict()
    weights = {name: value.clone() for name, value in weights.items()}
    moments = [
        (value, value.clone())
        for phase in run.agent.phases
        for entry in phase.optimizer.state.values()
        for value in entry.values()
    ]
    before = run.weights()
    run.update(WARM)
    first = run.weights()
    run.generator.set_state(state)
    run.agent.networks.load_state_dict(weights)
    for value, kept in moments:
        value.copy_(kept)
    run.update(WARM)
    # Adam's step is as long whatever the batch: one with other random numbers ends up about as far away as the start.
    assert (run.weights() - first).norm() < 1e-2 * (first - before).norm()


def test_moments_that_are_loaded_are_the_ones_that_go_on() -> None:
    ours, theirs = Run("sgqn"), Run("sgqn", captured=False)
    for run in (ours, theirs):
        run.go_on(range(WARM))
        for phase in run.agent.phases:
            saved = phase.optimizer.state_dict()
            entries = {
                number: {name: value * 2 if name == "exp_avg_sq" else value.clone() for name, value in entry.items()}
                for number, entry in saved["state"].items()
            }
            phase.optimizer.load_state_dict({**saved, "state": entries})
        run.go_on(range(WARM, 2 * WARM))
    assert_same_way(ours, theirs, 1e-2)


@pytest.mark.parametrize("searching", [False, True])
def test_another_thread_may_use_the_gpu_while_updates_are_recorded(searching: bool) -> None:
    """As evaluation does, which holds the lock. searching: both let cuDNN try which algorithm is fastest, which waits
    for the device."""
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = not searching, searching
    run, stop = Run("sgqn"), threading.Event()
    problems: list[BaseException] = []

    def evaluate() -> None:
        try:
            for count in itertools.cycle(range(1, 65)):  # batches of new sizes are searched anew
                if stop.is_set():
                    return
                obs = torch.randint(0, 256, (count if searching else BATCH, 9, 12, 12), dtype=torch.uint8)
                with NETWORKS_LOCK:
                    run.agent.act(obs.cuda(), None).cpu()
        except RuntimeError as error:
            problems.append(error)

    thread = threading.Thread(target=evaluate)
    thread.start()
    try:
        metrics = run.go_on(range(WARM))
    finally:
        stop.set()
        thread.join()
    assert problems == [] and len({kind_of(run.agent, index) for index in range(WARM)}) == 2
    assert all(value.isfinite() for one in metrics for value in one.values())


def wait_for_the_gpu() -> None:
    torch.cuda.synchronize()


def read_a_number() -> None:
    torch.ones((), device="cuda").item()


def fill_the_memory() -> None:
    torch.empty(1 << 50, device="cuda")


def make_a_mistake() -> None:
    raise IndexError("of the processor, while the GPU records as it should")


@pytest.mark.parametrize("fault", [wait_for_the_gpu, read_a_number, fill_the_memory, make_a_mistake])
@pytest.mark.parametrize("resident", [True, False])
def test_a_recording_that_fails_is_healed_and_left_out(fault: Callable[[], None], resident: bool) -> None:
    """The update that failed is performed once, with the numbers it would have had; afterwards all works as before."""
    failed: list[int] = []

    def fail_while_recording() -> None:
        if torch.cuda.is_current_stream_capturing():
            failed.append(1)
            fault()

    shortcuts, stream = make_shortcuts(), torch.cuda.current_stream()
    ours = Run("sac", resident=resident, shortcuts=shortcuts, meanwhile=fail_while_recording)
    theirs = Run("sac", resident=resident, captured=False)
    ours.go_on(range(WARM))
    theirs.go_on(range(WARM))
    [said] = shortcuts.news()
    assert len(failed) == 1 and said.startswith("Recording updates as CUDA graphs failed")
    assert ours.update.path.startswith("one operation after the other: recording them failed")
    assert torch.equal(ours.generator.get_state(), theirs.generator.get_state())
    assert_same_way(ours, theirs, 1e-2)
    # The process can do everything again: draw, compile what draws, record.
    assert torch.cuda.current_stream() == stream
    assert torch.randn(1000, device="cuda").std() > 0.5
    draw = torch.compile(lambda: torch.randn(1000, device="cuda") * 2, fullgraph=True)
    assert draw().std() > 1
    again = Run("sac", resident=resident, compiled=True)
    again.go_on(range(WARM))
    assert again.update.path.startswith("one CUDA graph for each kind of update")
    assert_same_way(again, theirs, 5e-2)


def test_what_a_failed_recording_held_is_given_back() -> None:
    def fail_while_recording() -> None:
        if torch.cuda.is_current_stream_capturing():
            kept.append(torch.empty(1 << 28, device="cuda", dtype=torch.uint8))  # 268 MB, which the recording uses
            torch.cuda.synchronize()

    kept: list[torch.Tensor] = []
    run = Run("sac", shortcuts=make_shortcuts(), meanwhile=fail_while_recording)
    run.go_on(range(WARM))
    kept.clear()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() - torch.cuda.memory_allocated() < 1 << 27


def filled(buffer: ReplayBuffer, seed: int = 0, steps: int = 50) -> ReplayBuffer:
    random = np.random.default_rng(seed)
    for step in range(steps):
        if step % 7 == 0:
            buffer.start_episode(0, random.integers(0, 256, SHAPE, dtype=np.uint8))
        frame = random.integers(0, 256, SHAPE, dtype=np.uint8)
        buffer.add(0, random.uniform(-1, 1, ACTIONS), random.normal(), float(step % 7 != 6), frame)
    return buffer


def test_adding_does_not_wait_and_loses_nothing() -> None:
    """Memory that copies are made from must not be used again before they are made, and the GPU is far behind."""
    host, device, other = (
        ReplayBuffer(40, SHAPE, Continuous(ACTIONS), device=place) for place in ("cpu", "cuda", "cuda")
    )
    filled(host)
    torch.cuda._sleep(BUSY_CYCLES)
    filled(other, seed=1)  # so that there is page-locked memory to be used again
    with waiting_is_an_error():
        torch.cuda._sleep(BUSY_CYCLES)
        filled(device)
        assert not torch.cuda.current_stream().query(), "the GPU was done before everything was added"
    ours, theirs = (buffer.sample(500, torch.Generator().manual_seed(0)) for buffer in (host, device))
    for one, found in zip(ours[:5], theirs[:5], strict=True):
        assert torch.equal(one, found.cpu())


def test_batches_go_up_without_waiting_and_unharmed() -> None:
    plain, pinned = (filled(ReplayBuffer(40, SHAPE, Continuous(ACTIONS), pinned=choice)) for choice in (False, True))
    ours, theirs = (torch.Generator().manual_seed(0) for _ in range(2))
    device = torch.device("cuda")
    assert all(value.is_pinned() for value in pinned.draw(3, torch.Generator()))
    torch.cuda._sleep(BUSY_CYCLES)
    for _ in range(50):  # so that there is page-locked memory to be used again
        pinned.draw(16, torch.Generator()).to(device)
    with waiting_is_an_error():
        torch.cuda._sleep(BUSY_CYCLES)
        sent = [pinned.draw(16, theirs).to(device) for _ in range(50)]
        assert not torch.cuda.current_stream().query(), "the GPU was done before everything was sent"
    for batch in sent:
        for value, found in zip(plain.draw(16, ours), batch, strict=True):
            assert torch.equal(value, found.cpu())


def test_a_buffer_on_the_gpu_is_sampled_evenly_by_its_own_generator() -> None:
    buffer = filled(ReplayBuffer(40, SHAPE, Continuous(ACTIONS), segment_frames=4, device="cuda"))
    batch = buffer.sample(400 * len(buffer), torch.Generator("cuda").manual_seed(1))
    counts = torch.unique(batch.reward, return_counts=True)[1].double()
    # Chi-square with 39 degrees of freedom: mean 39, standard deviation 8.8.
    chi_square = ((counts - 400).square() / 400).sum().item()
    assert len(counts) == len(buffer) == 40 and 39 - 4 * 8.8 < chi_square < 39 + 4 * 8.8


def test_pictures_in_host_memory_are_cropped_on_the_gpu() -> None:
    pictures = torch.randint(0, 256, (9, 3, 20, 20), dtype=torch.uint8)
    host, device = ImageBank(pictures, "random"), ImageBank(pictures.cuda(), "random")
    ours, theirs = (bank.sample(30, 12, torch.Generator("cuda").manual_seed(0)) for bank in (host, device))
    assert ours.is_cuda and torch.equal(ours, theirs)
