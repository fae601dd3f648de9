"""Measure how fast this machine is at the work of training, and by which paths, for ``saccade doctor --bench``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saccade.agents.presets import preset
from saccade.doctor.examination import renderer
from saccade.doctor.facts import GIGABYTE, processor_name
from saccade.envs.config import EnvConfig
from saccade.envs.workers.env_workers import EnvWorkers, WorkerError, available_cores
from saccade.types import Continuous, UserError

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from saccade.data.replay import ReplayBuffer

TASK, METHOD = "dmc/walker_walk", "sgqn"
REPEATS = 5  # measurements of a ceiling; the best counts
MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}
COPIED_BYTES = {"cpu": 256_000_000, "cuda": 2_000_000_000}  # larger than any cache
PERIOD = 2  # updates after which every phase of every method has run
PICTURES, PICTURE_SIDE = 64, 128
FRAME_STACK, ACTION_DIM = 3, 6
REMEMBERED = 1000  # transitions in the replay buffer that is sampled
SEED = 0


@dataclass(frozen=True)
class Effort:
    """How long and how large measurements are; the defaults take half a minute on two cores."""

    seconds: float = 2.0
    """Least seconds of every repeated measurement."""
    matrix_side: int | None = None
    """Side of the matrices that are multiplied; by default large enough for the device."""
    copied_bytes: int | None = None
    """Bytes of the memory that is copied; by default more than any cache holds."""


@dataclass(frozen=True)
class Ceilings:
    """Limits that no computation on a device can exceed.

    Attributes:
        matmul_gigaflops: GFLOP per second of large matrix multiplications, by precision: ``float32``, on a GPU
            ``tf32``, and ``bfloat16`` if the device has units for it. A multiplication and an addition count as two.
        copy_gigabytes: GB (1e9 bytes) per second, reads plus writes, of copying memory on the device.
    """

    matmul_gigaflops: Mapping[str, float]
    copy_gigabytes: float


@dataclass(frozen=True)
class Speed:
    """One measured speed: how many ``unit`` per second, and by which path. ``None``: it could not be measured."""

    what: str
    per_second: float | None
    unit: str
    path: str


@dataclass(frozen=True)
class SpeedReport:
    """What a run would use by default, everything that was measured, and a sentence that sums it up.

    ``chosen``: device, threads, precision, compilation and OpenGL, in the order in which they are printed, like
    ``rows``.
    """

    chosen: Mapping[str, str]
    rows: tuple[Speed, ...]
    summary: str


def ceilings(device: torch.device, effort: Effort | None = None) -> Ceilings:
    """Measure a device's ceilings, on a CPU with PyTorch's current number of threads; takes some seconds."""
    effort = effort or Effort()
    side = effort.matrix_side or MATRIX_SIDE[device.type]
    products = {name: matmul_gigaflops(device, name, side) for name in _precisions(device)}
    return Ceilings(products, copy_gigabytes(device, effort.copied_bytes or COPIED_BYTES[device.type]))


def _precisions(device: torch.device) -> Iterator[str]:
    from saccade.nets.precision import multiplies_bfloat16

    yield "float32"
    if device.type == "cuda":
        yield "tf32"
    if multiplies_bfloat16(device):
        yield "bfloat16"


def matmul_gigaflops(device: torch.device, precision: str, side: int) -> float:
    """Return the GFLOP per second of multiplying two square matrices, the best of several runs.

    precision: ``float32``, ``bfloat16``, or ``tf32``, which are float32 matrices on a GPU's tensor cores.
    """
    import torch

    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left, right = (torch.randn((side, side), device=device).to(dtype) for _ in range(2))
    product = torch.empty_like(left)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        seconds = _best_seconds(lambda: torch.mm(left, right, out=product), device)
    finally:
        torch.set_float32_matmul_precision(before)
    return 2 * side**3 / seconds / 1e9


def copy_gigabytes(device: torch.device, num_bytes: int) -> float:
    """Return the GB per second of copying ``num_bytes`` on the device, reads plus writes."""
    import torch

    # Written to before the clock starts, so that the memory is really allocated.
    source, target = (torch.ones(num_bytes, dtype=torch.uint8, device=device) for _ in range(2))
    return 2 * num_bytes / _best_seconds(lambda: target.copy_(source), device) / GIGABYTE


def measure_speeds(
    size: str = "small", *, method: str = METHOD, task: str = TASK, effort: Effort | None = None
) -> SpeedReport:
    """Time what a training run with default options would do on this machine.

    Args:
        size: the preset whose networks and pictures are used, ``small`` or ``paper``. The latter takes minutes on a
            CPU.

    Raises:
        UserError: there is no such preset.
    """
    from saccade.runs.device import device_of

    effort, device = effort or Effort(), device_of("auto")
    agent_config = preset(method, task, size).agent
    found = ceilings(device, effort)
    update = _update(agent_config, method, size, device, effort)
    environments = list(_environments(agent_config, method, task, effort))
    rows = (*_ceiling_rows(found), update, _replay(agent_config, method, effort), *environments)
    return SpeedReport(_chosen(device), rows, _summary(update, environments))


def print_speeds(report: SpeedReport, console: Console) -> None:
    """Print the rows as one table, and the sentence that sums them up."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("what", no_wrap=True)
    table.add_column("speed", justify="right", no_wrap=True)
    table.add_column("by which path", overflow="fold")
    for what, choice in report.chosen.items():
        table.add_row(what, "", Text(choice))
    for row in report.rows:
        speed = "not measured" if row.per_second is None else f"{row.per_second:,.{_decimals(row)}f} {row.unit}/s"
        table.add_row(row.what, speed, Text(row.path))
    console.print(table)
    console.print(Text(f"\n{report.summary}"))


def _decimals(row: Speed) -> int:
    assert row.per_second is not None
    return 0 if row.per_second >= 100 else 1 if row.per_second >= 1 else 3


def _chosen(device: torch.device) -> dict[str, str]:
    import torch

    from saccade.runs.torch_setup import compute_dtype, is_compiled
    from saccade.runs.training import Training

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    return {
        "device": f"{device} ({name})",
        "threads": f"{torch.get_num_threads()} of PyTorch on {available_cores()} cores",
        "precision": f"{str(compute_dtype('auto', device)).removeprefix('torch.')} in convolutions, float32 elsewhere",
        "losses": "compiled" if is_compiled(Training(), device) else "not compiled: --compile on first takes minutes",
        "OpenGL": renderer().value,
    }


def _ceiling_rows(found: Ceilings) -> Iterator[Speed]:
    for precision, gigaflops in found.matmul_gigaflops.items():
        yield Speed(f"matrix products, {precision}", gigaflops, "GFLOP", "upper limit of any update")
    yield Speed("memory copies", found.copy_gigabytes, "GB", "read and written")


def _update(config: Any, method: str, size: str, device: torch.device, effort: Effort) -> Speed:
    """Updates of one method on random pixels, sampled from a replay buffer, as a run makes them by default."""
    import torch

    from saccade.agents import METHODS
    from saccade.agents.agent import make_update
    from saccade.agents.given import Given
    from saccade.agents.recorded_updates import WARM_UP, make_whole_update
    from saccade.agents.shortcuts import make_shortcuts
    from saccade.data.banks.images import ImageBank
    from saccade.nets.precision import set_compute_dtype
    from saccade.runs.torch_setup import compute_dtype, is_compiled, prepare_torch
    from saccade.runs.training import Training
    from saccade.types import Spaces

    prepare_torch(Training(), device)
    side = METHODS[method].rendered_size(config)
    pictures = torch.randint(0, 256, (PICTURES, 3, PICTURE_SIDE, PICTURE_SIDE), dtype=torch.uint8, device=device)
    spaces = Spaces((FRAME_STACK * 3, side, side), Continuous(ACTION_DIM))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        agent = METHODS[method].make(config, spaces, device, Given(ImageBank(pictures, "random").sample))
    set_compute_dtype(agent.networks, compute_dtype("auto", device))
    generators = torch.Generator(device).manual_seed(SEED), torch.Generator().manual_seed(SEED)
    shortcuts = make_shortcuts()
    losses = make_update(agent, compile_losses=is_compiled(Training(), device), shortcut=shortcuts.compilation)
    update = make_whole_update(agent, losses, _filled_replay(side, device), *generators, shortcuts=shortcuts)

    def turn() -> None:
        for index in range(PERIOD):
            update(index)

    for _ in range(WARM_UP if device.type == "cuda" else 0):
        turn()
    rate = PERIOD * _per_second(turn, device, effort.seconds)
    path = "; ".join((update.path, f"batch {agent.batch_size}, {side} pixels", *shortcuts.news()))
    return Speed(f"{method} updates, {size}", rate, "updates", path)


def _replay(config: Any, method: str, effort: Effort) -> Speed:
    """Batches sampled from a replay buffer in the host's memory."""
    import torch

    from saccade.agents import METHODS

    side, cpu = METHODS[method].rendered_size(config), torch.device("cpu")
    replay, generator = _filled_replay(side, cpu), torch.Generator().manual_seed(SEED)
    count = (config if method == "sac" else config.sac).batch_size
    rate = _per_second(lambda: replay.sample(count, generator), cpu, effort.seconds / 2)
    return Speed("replay batches", rate, "batches", f"frames in the host's memory, batch {count}, {side} pixels")


def _filled_replay(side: int, device: torch.device) -> ReplayBuffer:
    """One long episode of random pictures."""
    import numpy as np

    from saccade.data.replay import ReplayBuffer
    from saccade.types import Continuous

    replay = ReplayBuffer(REMEMBERED, (3, side, side), Continuous(ACTION_DIM), frame_stack=FRAME_STACK, device=device)
    random = np.random.default_rng(SEED)
    frames = random.integers(0, 256, (REMEMBERED + 1, 3, side, side), dtype=np.uint8)
    replay.start_episode(0, frames[0])
    for frame in frames[1:]:
        replay.add(0, random.uniform(-1, 1, ACTION_DIM), random.uniform(), 1.0, frame)
    return replay


def _environments(config: Any, method: str, task: str, effort: Effort) -> Iterator[Speed]:
    """Agent steps, rendered, in one process and in as many as there are cores."""
    from saccade.agents import METHODS

    side = METHODS[method].rendered_size(config)
    env = EnvConfig(task, image_size=side)
    for processes in dict.fromkeys((1, available_cores())):
        what = f"agent steps, {processes} process{'es' if processes > 1 else ''}"
        path = f"{task}, rendered at {side} pixels, action repeat {env.control_steps_per_action}"
        try:
            yield Speed(what, _steps_per_second(env, processes, effort.seconds), "steps", path)
        except (UserError, WorkerError) as error:
            yield Speed(what, None, "steps", str(error).strip().splitlines()[-1])


def _steps_per_second(env: EnvConfig, processes: int, seconds: float) -> float:
    import numpy as np
    import torch

    random = np.random.default_rng(SEED)
    with EnvWorkers([env] * processes, list(range(processes)), num_workers=processes) as workers:
        workers.reset()

        def step() -> None:
            action = random.uniform(-1, 1, (processes, *workers.spaces.actions.shape)).astype(np.float32)
            if workers.step(action).truncated.any():
                workers.reset()  # all end together

        return processes * _per_second(step, torch.device("cpu"), seconds)


def _summary(update: Speed, environments: list[Speed]) -> str:
    """A sentence on what limits a run: there is one update per agent step."""
    fastest = max((row.per_second for row in environments if row.per_second is not None), default=None)
    assert update.per_second is not None
    if fastest is None:
        return "Environments could not be stepped: `saccade doctor` says what is wrong."
    slower, others = ("updates", "environments") if update.per_second < fastest else ("environments", "updates")
    rate = min(update.per_second, fastest)
    return (
        f"There is one update per agent step: training makes at most {rate:.3g} agent steps per second here, "
        f"since {others} wait for {slower}."
    )


def _per_second(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """How often a piece of work can be done per second: it is done once first, and then for this many seconds."""
    work()
    _wait_for(device)
    began, times = time.perf_counter(), 0
    while times == 0 or time.perf_counter() - began < seconds:
        work()
        _wait_for(device)
        times += 1
    return times / (time.perf_counter() - began)


def _best_seconds(work: Callable[[], object], device: torch.device) -> float:
    """The shortest time of a piece of work over several runs; it is done once first."""
    work()
    _wait_for(device)
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        _wait_for(device)
        times.append(time.perf_counter() - began)
    return min(times)


def _wait_for(device: torch.device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
