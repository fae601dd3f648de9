"""Replay by index against a plain list of episodes with their stacks written out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.data import memory, replay
from saccade.data.frames import Segment
from saccade.data.memory import available_bytes, machine_bytes
from saccade.data.replay import ReplayBuffer
from saccade.types import Batch, Continuous, Discrete, UserError

SHAPE = (2, 3, 4)  # channel, height, width: all different, so that a mix-up shows
ACTIONS = Continuous(2)


def frame_of(number: int) -> np.ndarray:
    """Frame ``number`` of a run: no two of the first 65536 are alike."""
    return np.resize(np.array([number % 256, number // 256, 7], dtype=np.uint8), SHAPE)


@dataclass
class Recorder:
    """Drives a buffer, and writes down each transition: obs, action, reward, discount, next_obs."""

    buffer: ReplayBuffer
    frame_stack: int = 3
    frames: int = 0
    episodes: dict[int, list[np.ndarray]] = field(default_factory=dict)
    transitions: list[tuple[np.ndarray, np.ndarray, float, float, np.ndarray]] = field(default_factory=list)

    def start(self, env: int) -> None:
        self.episodes[env] = [self.new_frame()]
        self.buffer.start_episode(env, self.episodes[env][0])

    def step(self, env: int, discount: float = 1.0) -> None:
        number = len(self.transitions)
        action = np.array([number, -number], dtype=np.float32) / 1000
        obs = self.stack(env)
        self.episodes[env].append(self.new_frame())
        self.buffer.add(env, action, 0.5 * number, discount, self.episodes[env][-1])
        self.transitions.append((obs, action, 0.5 * number, discount, self.stack(env)))

    def stack(self, env: int) -> np.ndarray:
        padded = [self.episodes[env][0]] * (self.frame_stack - 1) + self.episodes[env]
        return np.concatenate(padded[-self.frame_stack :])

    def new_frame(self) -> np.ndarray:
        self.frames += 1
        return frame_of(self.frames - 1)


def run(recorder: Recorder, num_envs: int, ticks: int, lengths: Callable[[int], int]) -> None:
    """Step all environments together; environment ``i``'s episodes last ``lengths(i)`` steps."""
    steps = [lengths(env) for env in range(num_envs)]
    for _ in range(ticks):
        for env in range(num_envs):
            if steps[env] == lengths(env):
                recorder.start(env)
                steps[env] = 0
            steps[env] += 1
            recorder.step(env, discount=float(steps[env] < lengths(env) or env == 0))


def sample_all(buffer: ReplayBuffer, seed: int = 0) -> Batch:
    return buffer.sample(10 * len(buffer), torch.Generator().manual_seed(seed))


def assert_samples_are_newest(recorder: Recorder) -> None:
    """Every sample equals the transition that its reward names, and is one of the newest."""
    batch = sample_all(recorder.buffer)
    numbers = (2 * batch.reward).long().tolist()
    assert min(numbers) >= len(recorder.transitions) - len(recorder.buffer)
    expected = zip(*(recorder.transitions[number] for number in numbers), strict=True)
    for sampled, written_down in zip(batch[:5], expected, strict=True):
        np.testing.assert_array_equal(sampled.numpy(), np.stack(written_down))


def test_first_stacks_repeat_the_first_frame_and_the_last_next_obs_is_the_terminal_one() -> None:
    recorder = Recorder(ReplayBuffer(10, SHAPE, ACTIONS))
    recorder.start(0)
    for discount in (1.0, 1.0, 0.0):
        recorder.step(0, discount)
    recorder.start(0)
    recorder.step(0)
    batch = sample_all(recorder.buffer)
    first_pixel = {
        int(2 * reward): (obs[::2, 0, 0].tolist(), next_obs[::2, 0, 0].tolist(), discount.item())
        for obs, _, reward, discount, next_obs in zip(*batch[:5], strict=True)
    }
    # Frames 0..3 are the first episode, 4 and 5 the second.
    assert first_pixel == {
        0: ([0, 0, 0], [0, 0, 1], 1.0),
        1: ([0, 0, 1], [0, 1, 2], 1.0),
        2: ([0, 1, 2], [1, 2, 3], 0.0),
        3: ([4, 4, 4], [4, 4, 5], 1.0),
    }


def test_batch_has_the_shapes_and_types_of_the_glossary() -> None:
    recorder = Recorder(ReplayBuffer(10, SHAPE, ACTIONS))
    run(recorder, 1, 5, lambda env: 3)
    batch = recorder.buffer.sample(4, torch.Generator().manual_seed(0))
    assert batch.obs.shape == batch.next_obs.shape == (4, 6, 3, 4)
    assert batch.obs.dtype == batch.next_obs.dtype == torch.uint8
    assert batch.action.shape == (4, ACTIONS.dims) and batch.reward.shape == batch.discount.shape == (4,)
    assert {batch.action.dtype, batch.reward.dtype, batch.discount.dtype} == {torch.float32}
    assert batch.drawn == {}


@pytest.mark.parametrize("frame_stack", [1, 3, 4])
@pytest.mark.parametrize("num_envs", [1, 3])
def test_interleaved_environments_before_and_after_the_ring_is_full(num_envs: int, frame_stack: int) -> None:
    buffer = ReplayBuffer(40, SHAPE, ACTIONS, frame_stack=frame_stack, num_envs=num_envs, segment_frames=8)
    recorder = Recorder(buffer, frame_stack)
    for _ in range(6):
        run(recorder, num_envs, 11, lambda env: 5 + 3 * env)
        assert_samples_are_newest(recorder)
    assert len(recorder.transitions) > 60 and recorder.frames > buffer._ring.capacity


def test_all_of_the_capacity_can_be_sampled_when_episodes_have_100_steps() -> None:
    buffer = ReplayBuffer(1000, SHAPE, ACTIONS, num_envs=2, segment_frames=16)
    recorder = Recorder(buffer)
    run(recorder, 2, 500, lambda env: 100)
    assert len(buffer) == 1000
    run(recorder, 2, 777, lambda env: 100)
    assert len(buffer) == 1000
    assert_samples_are_newest(recorder)


@settings(max_examples=100, deadline=None)
@given(
    capacity=st.integers(1, 40),
    frame_stack=st.integers(1, 4),
    num_envs=st.integers(1, 3),
    segment_frames=st.integers(1, 12),
    ticks=st.integers(0, 120),
    start_rate=st.sampled_from([0.02, 0.3, 1.0]),
    seed=st.integers(0, 1000),
)
def test_no_stack_crosses_episodes_or_has_an_overwritten_frame(
    capacity: int,
    frame_stack: int,
    num_envs: int,
    segment_frames: int,
    ticks: int,
    start_rate: float,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    options: dict[str, Any] = {
        "frame_stack": frame_stack,
        "num_envs": num_envs,
        "segment_frames": segment_frames,
    }
    recorder = Recorder(ReplayBuffer(capacity, SHAPE, ACTIONS, **options), frame_stack)
    for env in range(num_envs):
        recorder.start(env)
    for tick in range(ticks):
        for env in range(num_envs):
            recorder.step(env)
            if random.random() < start_rate:
                recorder.start(env)
        if len(recorder.buffer) and tick % 10 == 9:
            assert_samples_are_newest(recorder)
    if len(recorder.buffer):
        assert_samples_are_newest(recorder)
        restored = ReplayBuffer(capacity, SHAPE, ACTIONS, **options)
        restored.load(*saved(recorder.buffer))
        recorder.buffer = restored
        assert_samples_are_newest(recorder)


def test_sampling_is_uniform_over_what_can_be_sampled() -> None:
    recorder = Recorder(ReplayBuffer(50, SHAPE, ACTIONS, num_envs=2, segment_frames=4))
    run(recorder, 2, 100, lambda env: 20)
    count = len(recorder.buffer)
    batch = recorder.buffer.sample(400 * count, torch.Generator().manual_seed(1))
    numbers = (2 * batch.reward).long() - (len(recorder.transitions) - count)
    counts = numbers.bincount(minlength=count)
    assert len(counts) == count
    # Chi-square with count - 1 = 49 degrees of freedom: mean 49, standard deviation 9.9.
    chi_square = ((counts - 400.0).square() / 400).sum().item()
    assert count == 50 and 49 - 4 * 9.9 < chi_square < 49 + 4 * 9.9


def test_the_largest_random_share_is_still_below_the_count() -> None:
    largest = torch.tensor(1 - 2.0**-53, dtype=torch.float64)  # of what torch.rand can draw
    for count in (1, 2, 3, 7, 499_999, 500_000, 2**19, 2**31 - 1, 2**40 + 1):
        assert (largest * torch.tensor(count)).long() == count - 1


def test_transitions_travel_with_every_frame_once() -> None:
    recorder = Recorder(ReplayBuffer(20, SHAPE, ACTIONS))
    run(recorder, 1, 12, lambda env: 5)
    drawn = recorder.buffer.draw(6, torch.Generator().manual_seed(3))
    assert drawn.frames.shape == (6, 4, *SHAPE) and drawn.frames.is_contiguous()
    moved = drawn.to(torch.device("cpu"))
    assert all(one is other for one, other in zip(moved, drawn, strict=True))
    sampled = recorder.buffer.sample(6, torch.Generator().manual_seed(3))
    assert all(torch.equal(one, other) for one, other in zip(drawn.batch()[:5], sampled[:5], strict=True))


def test_samples_are_the_callers() -> None:
    recorder = Recorder(ReplayBuffer(20, SHAPE, ACTIONS))
    run(recorder, 1, 10, lambda env: 4)
    generator = torch.Generator().manual_seed(0)
    batch = recorder.buffer.sample(8, generator)
    kept = [tensor.clone() for tensor in batch[:5]]
    recorder.buffer.sample(8, generator)
    for tensor, copy in zip(batch[:5], kept, strict=True):
        assert torch.equal(tensor, copy)
    for tensor in batch[:5]:
        tensor.zero_()
    assert_samples_are_newest(recorder)


def test_frames_are_the_buffers() -> None:
    buffer = ReplayBuffer(5, SHAPE, ACTIONS)
    frame = frame_of(1)
    frame.flags.writeable = False  # as some environments give them
    buffer.start_episode(0, frame)
    changing = frame_of(2)
    buffer.add(0, np.zeros(ACTIONS.dims), 0.0, 1.0, changing)
    changing[:] = 0
    batch = buffer.sample(1, torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(batch.next_obs[0, -2:].numpy(), frame_of(2))


def saved(buffer: ReplayBuffer) -> tuple[dict[str, torch.Tensor], list[tuple[int, torch.Tensor]]]:
    state = {name: tensor.clone() for name, tensor in buffer.state_tensors().items()}
    return state, [(part.start_serial, buffer.read_segment(part).clone()) for part in buffer.frame_segments()]


def copied(recorder: Recorder, buffer: ReplayBuffer) -> Recorder:
    """The same past with another buffer."""
    episodes = {env: list(frames) for env, frames in recorder.episodes.items()}
    return Recorder(buffer, recorder.frame_stack, recorder.frames, episodes, list(recorder.transitions))


def test_chosen_actions_are_kept_as_whole_numbers() -> None:
    """Also such as no float32 tells from the next one; and a buffer of numbers does not take them."""
    choices = Discrete(2**25)
    buffer = ReplayBuffer(6, SHAPE, choices, num_envs=2)
    for env in range(2):
        buffer.start_episode(env, frame_of(env))
    for number in range(6):
        buffer.add(number % 2, np.int64(2**24 + number), float(number), 1.0, frame_of(number + 2))
    batch = buffer.sample(64, torch.Generator().manual_seed(0))
    assert batch.action.dtype == torch.int64 and batch.action.shape == (64,)
    assert torch.equal(batch.action - 2**24, batch.reward.long()) and len(batch.action.unique()) == 6
    other = ReplayBuffer(6, SHAPE, choices, num_envs=2)
    other.load(*saved(buffer))
    again = other.sample(64, torch.Generator().manual_seed(0))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(batch[:5], again[:5], strict=True))
    with pytest.raises(UserError, match="33554432 as its actions"):
        ReplayBuffer(6, SHAPE, Continuous(1), num_envs=2).load(*saved(buffer))
    few = ReplayBuffer(6, SHAPE, Discrete(2), num_envs=2)
    with pytest.raises(UserError, match="contradicts itself"):  # as many numbers as there were choices
        ReplayBuffer(6, SHAPE, Continuous(2), num_envs=2).load(*saved(few))


@pytest.mark.parametrize("ticks", [0, 1, 7, 100])
def test_a_restored_buffer_goes_on_bit_for_bit(ticks: int) -> None:
    options: dict[str, Any] = {"num_envs": 2, "segment_frames": 8}
    original = Recorder(ReplayBuffer(30, SHAPE, ACTIONS, **options))
    run(original, 2, ticks, lambda env: 9 + env)
    for env in range(2):
        original.start(env)
        original.step(env)  # so that it is saved in the middle of an episode
    state, segments = saved(original.buffer)
    assert all(tensor.is_contiguous() for tensor in state.values())
    other = Recorder(ReplayBuffer(30, SHAPE, ACTIONS, **options))
    run(other, 2, 40, lambda env: 4)  # whatever a buffer held before is gone
    other.buffer.load(state, iter(segments[::-1]))
    restored = copied(original, other.buffer)
    for steps in (0, 3, 60):
        for recorder in (original, restored):
            for _ in range(steps):
                recorder.step(0)
                recorder.step(1)
            assert_samples_are_newest(recorder)
        for ours, theirs in zip(sample_all(original.buffer)[:5], sample_all(restored.buffer)[:5], strict=True):
            assert torch.equal(ours, theirs)


def test_an_empty_buffer_is_saved_and_restored() -> None:
    restored = ReplayBuffer(4, SHAPE, ACTIONS)
    restored.load(*saved(ReplayBuffer(4, SHAPE, ACTIONS)))
    assert len(restored) == 0 and restored.frame_segments() == []


def test_first_frames_are_saved_before_their_first_step() -> None:
    options: dict[str, Any] = {"num_envs": 2, "segment_frames": 1}
    original = Recorder(ReplayBuffer(4, SHAPE, ACTIONS, **options))
    for env in range(2):
        original.start(env)
    restored = copied(original, ReplayBuffer(4, SHAPE, ACTIONS, **options))
    restored.buffer.load(*saved(original.buffer))
    restored.step(0)
    restored.step(1)
    assert_samples_are_newest(restored)


def test_complete_segments_are_written_once_and_never_change() -> None:
    recorder = Recorder(ReplayBuffer(40, SHAPE, ACTIONS, segment_frames=8))
    files: dict[int, torch.Tensor] = {}
    listed: list[Segment] = []
    for _ in range(30):
        run(recorder, 1, 5, lambda env: 20)
        listed = recorder.buffer.frame_segments()
        assert all(segment.complete for segment in listed[:-1])
        for segment in listed:
            frames = recorder.buffer.read_segment(segment)
            assert segment.start_serial % 8 == 0 and len(frames) == segment.count
            assert segment.complete == (segment.count == 8)
            if segment.start_serial in files:
                assert torch.equal(frames, files[segment.start_serial])
            if segment.complete:
                files[segment.start_serial] = frames.clone()
    assert listed[0].start_serial > 0 and len(files) > len(listed)  # older files are not needed any more
    last = (listed[-1].start_serial, recorder.buffer.read_segment(listed[-1]))
    restored = ReplayBuffer(40, SHAPE, ACTIONS, segment_frames=8)
    restored.load(recorder.buffer.state_tensors(), [*files.items(), last])
    assert_samples_are_newest(copied(recorder, restored))


def test_a_damaged_or_foreign_save_is_refused() -> None:
    recorder = Recorder(ReplayBuffer(30, SHAPE, ACTIONS, segment_frames=8))
    run(recorder, 1, 60, lambda env: 10)
    state, segments = saved(recorder.buffer)
    fresh = ReplayBuffer(30, SHAPE, ACTIONS, segment_frames=8)
    with pytest.raises(UserError, match=f"lacks its frames from {segments[1][0]} on"):
        fresh.load(state, [segments[0], *segments[2:]])
    start, frames = segments[0]
    with pytest.raises(UserError, match=f"frames from {start} on are torch.uint8"):
        fresh.load(state, [(start, frames[:-1]), *segments[1:]])
    with pytest.raises(UserError, match="has 30 as its capacity, but this run has 31"):
        ReplayBuffer(31, SHAPE, ACTIONS, segment_frames=8).load(state, segments)
    for name, change in (("frame_ids", 20), ("newest_serial", 1), ("total_frames", -5)):
        with pytest.raises(UserError, match="contradicts itself"):
            fresh.load({**state, name: state[name] + change}, segments)
    with pytest.raises(UserError, match="contradicts itself"):
        fresh.load({**state, "reward": state["reward"][:-1]}, segments)


def test_misuse_is_an_error_not_a_wrong_stack() -> None:
    buffer = ReplayBuffer(100, SHAPE, ACTIONS, num_envs=2)
    with pytest.raises(ValueError, match="nothing to sample"):
        buffer.sample(1, torch.Generator())
    with pytest.raises(ValueError, match="environment 1 has no first frame"):
        buffer.add(1, np.zeros(ACTIONS.dims), 0.0, 1.0, frame_of(0))
    with pytest.raises(ValueError, match="float64"):
        buffer.start_episode(0, np.zeros(SHAPE))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"\(3, 3, 4\)"):
        buffer.start_episode(0, np.zeros((3, 3, 4), np.uint8))
    buffer.start_episode(0, frame_of(0))
    buffer.start_episode(1, frame_of(1))
    for number in range(20):
        buffer.add(0, np.zeros(ACTIONS.dims), 0.0, 1.0, frame_of(number))
    with pytest.raises(ValueError, match="environment 1 stood still"):
        buffer.add(1, np.zeros(ACTIONS.dims), 0.0, 1.0, frame_of(2))
    buffer.start_episode(1, frame_of(3))
    buffer.add(1, np.zeros(ACTIONS.dims), 0.0, 1.0, frame_of(4))
    assert len(buffer) == 21


def test_half_a_million_steps_fit_into_eleven_gigabytes() -> None:
    needed = ReplayBuffer.bytes_needed(500_000, (3, 84, 84), Continuous(6), num_envs=16)
    # 500,000 + 1% + 2 * 2 * 4 * 16 + 4096 frames of 21,168 bytes, and 16 + 4 * 8 + 8 bytes a step.
    assert needed == 509_352 * 21_168 + 500_000 * 56
    assert needed < 11e9


def test_what_is_reserved_is_what_was_announced() -> None:
    buffer = ReplayBuffer(64, SHAPE, ACTIONS, frame_stack=2, num_envs=3, segment_frames=5)
    tensors = (buffer._ring._frames, buffer._frame_ids, buffer._action, buffer._reward, buffer._discount)
    reserved = sum(tensor.numel() * tensor.element_size() for tensor in tensors) + buffer._newest_serial.nbytes
    announced = ReplayBuffer.bytes_needed(64, SHAPE, ACTIONS, frame_stack=2, num_envs=3, segment_frames=5)
    assert reserved == announced


def test_too_little_memory_is_said_before_anything_is_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "available_bytes", lambda device: int(5.4e9))
    with pytest.raises(UserError, match=r"500000 steps of 84x84 pixels needs 10\.8 GB, but 5\.4 GB") as caught:
        ReplayBuffer(500_000, (3, 84, 84), Continuous(6))
    advice = re.search(r"--replay-capacity to (\d+) or less", str(caught.value))
    assert advice is not None
    fitting = int(advice[1])
    assert 5.3e9 < ReplayBuffer.bytes_needed(fitting, (3, 84, 84), Continuous(6)) <= 5.4e9
    with pytest.raises(UserError, match="replay capacity is 0"):
        ReplayBuffer(0, (3, 84, 84), Continuous(6))


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    version_2, version_1 = tmp_path / "2", tmp_path / "1"
    for folder, names in (
        (version_2, ("memory.max", "memory.current", "memory.stat")),
        (version_1 / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")),
    ):
        folder.mkdir(parents=True)
        reclaimable = "inactive_file" if folder == version_2 else "total_inactive_file"
        for name, text in zip(names, ("1000", "700", f"anon 5\n{reclaimable} 200"), strict=True):
            (folder / name).write_text(text + "\n")
    cpu = torch.device("cpu")
    assert available_bytes(cpu, version_2) == available_bytes(cpu, version_1) == 500
    (version_2 / "memory.max").write_text("max\n")
    assert memory.container_bytes(version_2) is None
    assert memory.container_bytes(tmp_path / "none") is None


def test_the_machines_memory_is_read_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:       3 kB\n")
    assert machine_bytes(tmp_path / "meminfo") == 3072
    assert machine_bytes(tmp_path / "absent") is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_cpus_batches() -> None:
    cpu, gpu = (ReplayBuffer(30, SHAPE, ACTIONS, segment_frames=8, device=device) for device in ("cpu", "cuda"))
    for buffer in (cpu, gpu):
        run(Recorder(buffer), 1, 80, lambda env: 7)
    ours, theirs = sample_all(cpu), sample_all(gpu)
    for one, other in zip(ours[:5], theirs[:5], strict=True):
        assert other.is_cuda and torch.equal(one, other.cpu())
    restored = ReplayBuffer(30, SHAPE, ACTIONS, segment_frames=8, device="cuda")
    restored.load(*saved(gpu))
    assert torch.equal(sample_all(restored).obs, theirs.obs)
