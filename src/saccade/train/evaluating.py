"""Evaluations that run during training: in a thread, with their own environments and a copy of the weights."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import queue
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from saccade.agents.agent import Agent
from saccade.agents.given import Given
from saccade.agents.shortcuts import NETWORKS_LOCK
from saccade.envs.workers.env_workers import Arrangement
from saccade.envs.workers.process import DEFAULT_OPENGL
from saccade.policies.evaluate import Evaluation, EvaluationEnvs, evaluation_steps, in_mode, unwatched
from saccade.policies.watched_maps import WatchedStates
from saccade.runs.agents import make_agent
from saccade.runs.training import RunConfig
from saccade.types import Spaces

LEAVING_SECONDS = 10.0  # for environments to close; a thread that takes longer is left to end with the process


@dataclass(frozen=True)
class _Playing:
    """One evaluation, requested or running: what its thread and the training share."""

    modes: tuple[str, ...] = ()
    opengl: str = DEFAULT_OPENGL
    most_processes: int | None = None
    threads: int = 1
    results: queue.SimpleQueue[Evaluation | BaseException] = field(default_factory=queue.SimpleQueue)
    leave: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


_Asked = queue.SimpleQueue[_Playing | None]
"""What a thread is asked to play, one after the other; None ends it."""


class BackgroundEvaluation:
    """Plays the evaluations of a run in a thread, one at a time.

    It plays with copies, so that it reads nothing that training changes meanwhile, and the results depend only on
    the weights that ``take`` got. The thread lasts from the first evaluation until it is closed, since cuDNN keeps
    its findings per thread, and so do the processes of its environments. Close it; it can then begin again.
    """

    def __init__(self, config: RunConfig, spaces: Spaces, device: torch.device) -> None:
        self._config, self._spaces, self._device = config, spaces, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._playing, self._asked, self._thread = _Playing(), _Asked(), threading.Thread()
        self._playing.ended.set()

    @property
    def networks(self) -> nn.Module:
        """The copy that is evaluated, with the weights of the last ``take``."""
        return self._agent.networks

    def take(self, networks: nn.Module) -> None:
        """Copy the weights for the next evaluation; none may be running."""
        self.networks.load_state_dict(networks.state_dict())

    def begin(self, modes: tuple[str, ...], arrangement: Arrangement) -> None:
        """Start playing in these modes, one after the other, with the weights of the last ``take``.

        arrangement: the current one of the training's environments, which shows what renders on this machine.
        """
        self.wait(LEAVING_SECONDS)  # for the previous one: it has returned its last result, or was told to leave
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))  # where the weights were copied
        # A thread of its own would compute with another number of threads, and round differently.
        threads = torch.get_num_threads()
        self._playing = _Playing(modes, arrangement.opengl, arrangement.most_processes, threads)
        if not self._thread.is_alive():
            self._asked = _Asked()
            self._thread = threading.Thread(target=self._live, args=(self._asked,), name="evaluation", daemon=True)
            self._thread.start()
        self._asked.put(self._playing)

    def results(self) -> Iterator[Evaluation]:
        """Yield the modes' results that have arrived since the last call, in order. Raises what ended the playing."""
        with contextlib.suppress(queue.Empty):
            while True:
                result = self._playing.results.get_nowait()
                if isinstance(result, BaseException):
                    raise result
                yield result

    def wait(self, seconds: float) -> None:
        """Wait until the running evaluation has ended, but not longer than this."""
        self._playing.ended.wait(seconds)

    def close(self) -> None:
        """End the running evaluation at its next step; results that have not arrived yet are lost."""
        self._playing.leave.set()
        self._asked.put(None)
        if self._thread.is_alive():
            self._thread.join(LEAVING_SECONDS)
        self._thread = threading.Thread()  # an old one that takes longer plays nothing more

    @cached_property
    def _agent(self) -> Agent:
        # Acting never overlays anything, so a bank of pictures is not needed.
        return make_agent(
            self._config, self._spaces, self._device, Given(lambda count, size, generator: torch.empty(0))
        )

    def _live(self, asked: _Asked) -> None:
        """Run the thread: play what it is asked for until it is told to stop."""
        envs = EvaluationEnvs(self._config.training.workers)
        try:
            while (playing := asked.get()) is not None:
                if (envs.opengl, envs.most_processes) != (playing.opengl, playing.most_processes):
                    envs.close()
                    envs = EvaluationEnvs(self._config.training.workers, playing.opengl, playing.most_processes)
                try:
                    self._play(playing, envs)
                except BaseException as error:  # noqa: BLE001  # raised again in the training's own thread
                    playing.results.put(error)
                playing.ended.set()
        finally:
            envs.close()

    def _play(self, playing: _Playing, envs: EvaluationEnvs) -> None:
        torch.set_num_threads(playing.threads)
        with self._on_stream():
            for mode in playing.modes:
                if not playing.leave.is_set():
                    self._play_mode(playing, mode, envs)

    def _play_mode(self, playing: _Playing, mode: str, envs: EvaluationEnvs) -> None:
        training = self._config.training
        generator = None
        if training.evaluation_sampled:  # the same for every mode, so that modes are compared on the same draws
            generator = torch.Generator(self._device).manual_seed(training.seed)
        env, watched = in_mode(self._config.env, mode), WatchedStates(training.evaluation_maps, training.seed)
        steps = evaluation_steps(
            functools.partial(self._act, generator),
            env.changed(task_mask=True) if training.evaluation_maps else env,
            envs=envs,
            episodes=training.evaluation_episodes,
            seed=training.seed,
            record=training.video,
            seen=watched.look if training.evaluation_maps else unwatched,
        )
        with closing(steps):
            for result in steps:
                if playing.leave.is_set():
                    return
                if result is not None:
                    maps = watched.area_under_roc(self._maps) if training.evaluation_maps else None
                    playing.results.put(dataclasses.replace(result, maps=maps))

    def _act(self, generator: torch.Generator | None, obs: np.ndarray) -> np.ndarray:
        with NETWORKS_LOCK:  # the training may be compiling or recording updates
            return self._agent.act(torch.as_tensor(obs, device=self._device), generator).cpu().numpy()

    def _maps(self, obs: Tensor) -> dict[str, Tensor]:
        seen = obs.to(self._device)
        with NETWORKS_LOCK:
            pixels, action = seen.float(), self._agent.act(seen, None)
            return {name: find(pixels, action).detach() for name, find in self._agent.maps.items()}

    def _on_stream(self) -> AbstractContextManager[object]:
        return contextlib.nullcontext() if self._stream is None else torch.cuda.stream(self._stream)
