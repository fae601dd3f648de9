"""Evaluations played beside the training: by a thread, with environments and a copy of the weights of its own."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import nn

from saccade.agents.agent import Agent
from saccade.agents.cuda_graphs import GPU_LOCK
from saccade.policies.evaluate import Evaluation, evaluation_steps, in_mode
from saccade.policies.run import RunConfig, make_agent
from saccade.types import Spaces

LEAVING_SECONDS = 10.0  # for environments to close; a thread that takes longer is left to end with the process


@dataclass(frozen=True)
class _Playing:
    """One evaluation under way: what its thread and the training have in common."""

    results: queue.SimpleQueue[Evaluation | BaseException] = field(default_factory=queue.SimpleQueue)
    leave: threading.Event = field(default_factory=threading.Event)


class BackgroundEvaluation:
    """Plays the evaluations of a run in a thread, one evaluation at a time.

    What it plays with are copies, so that nothing which training changes is read meanwhile, and the results depend on
    the weights that ``take`` got alone. Close it; it can then begin again.
    """

    def __init__(self, config: RunConfig, spaces: Spaces, device: torch.device) -> None:
        self._config, self._spaces, self._device = config, spaces, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._playing, self._thread = _Playing(), threading.Thread()

    @property
    def networks(self) -> nn.Module:
        """The copy that is evaluated, with the weights of the last ``take``."""
        return self._agent.networks

    def take(self, networks: nn.Module) -> None:
        """Copy the weights that the next evaluation is of; none may be under way."""
        self.networks.load_state_dict(networks.state_dict())

    def begin(self, modes: tuple[str, ...], opengl: str = "default") -> None:
        """Start playing in these modes, one after the other, with the weights of the last ``take``.

        opengl: what the training's environments render with by now.
        """
        self.wait(LEAVING_SECONDS)  # for the thread before: it has given its last result, or was told to leave
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))  # on which the weights were copied
        self._playing = _Playing()
        # A thread of its own would compute with another number of threads, and round differently.
        arguments = (self._playing, modes, opengl, torch.get_num_threads())
        self._thread = threading.Thread(target=self._play, args=arguments, name="evaluation", daemon=True)
        self._thread.start()

    def results(self) -> Iterator[Evaluation]:
        """The modes' results that have come since the last call, in order. Raises what ended the playing."""
        with contextlib.suppress(queue.Empty):
            while True:
                result = self._playing.results.get_nowait()
                if isinstance(result, BaseException):
                    raise result
                yield result

    def wait(self, seconds: float) -> None:
        """Wait until the evaluation under way has ended, but not longer than this."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def close(self) -> None:
        """End the evaluation under way, at its next step; what is not among its results yet is lost."""
        self._playing.leave.set()
        self.wait(LEAVING_SECONDS)

    @cached_property
    def _agent(self) -> Agent:
        # Acting never overlays anything, so a bank of pictures is not needed.
        return make_agent(self._config, self._spaces, self._device, lambda count, size, generator: torch.empty(0))

    def _play(self, playing: _Playing, modes: tuple[str, ...], opengl: str, threads: int) -> None:
        try:
            torch.set_num_threads(threads)
            with self._on_stream():
                for mode in modes:
                    if not playing.leave.is_set():
                        self._play_mode(playing, mode, opengl)
        except BaseException as error:  # noqa: BLE001  # raised again in the training's own thread
            playing.results.put(error)

    def _play_mode(self, playing: _Playing, mode: str, opengl: str) -> None:
        training = self._config.training
        steps = evaluation_steps(
            self._act,
            in_mode(self._config.env, mode),
            episodes=training.evaluation_episodes,
            seed=training.seed,
            workers=training.workers,
            record=training.video,
            opengl=opengl,
        )
        with closing(steps):
            for result in steps:
                if playing.leave.is_set():
                    return
                if result is not None:
                    playing.results.put(result)

    def _act(self, obs: np.ndarray) -> np.ndarray:
        with GPU_LOCK:  # for the training may be recording updates
            return self._agent.act(torch.as_tensor(obs, device=self._device), None).cpu().numpy()

    def _on_stream(self) -> AbstractContextManager[object]:
        return contextlib.nullcontext() if self._stream is None else torch.cuda.stream(self._stream)
