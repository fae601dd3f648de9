"""Whether several processes can draw at the same time, and how fast: each has an environment of its own.

    python benchmarks/drawing.py [--processes 16] [--steps 100] [--seconds 45] [--busy]

With some drivers every one of many processes hangs in its first picture on a GPU. A process that is not done in time is
ended and counted; the exit code is 3 unless all came to their end. With --busy this process multiplies matrices on the
device at the same time, as a learner would: drawing and computing take turns on a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

TASK = "dmc/walker_walk"
PICTURES = 20  # that are drawn after the steps, without physics
MATRIX_SIDE = {"cpu": 256, "cuda": 4096}
PRODUCTS = 50  # that are launched at once
SECONDS_ALONE = 2.0
NOT_ALL_DREW = 3


def main() -> None:
    options = parse_arguments()
    if options.child:
        play(options.steps)
        return
    load = Load() if options.busy else None
    alone = load.teraflops_during(SECONDS_ALONE) if load else 0.0
    if load:
        load.start()
    began = time.perf_counter()
    rows, hung, errors = drawn_by(options.processes, options.steps, options.seconds)
    print(in_words(options.processes, rows, hung, errors, time.perf_counter() - began))
    if load:
        print(f"matrix products: {alone:.2f} TFLOP/s alone, {load.stop():.2f} beside the drawing")
    sys.exit(0 if len(rows) == options.processes else NOT_ALL_DREW)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--steps", type=int, default=100, help="agent steps of each")
    parser.add_argument("--seconds", type=float, default=45.0, help="that a process may take, start included")
    parser.add_argument("--busy", action="store_true", help="multiply matrices meanwhile")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def play(steps: int) -> None:
    """What one process does; its speed as a line of JSON."""
    import numpy as np

    from saccade.envs.config import EnvConfig
    from saccade.envs.make import make_env
    from saccade.envs.mujoco import opengl

    env = make_env(EnvConfig(TASK), 0)
    env.reset()
    random, began = np.random.default_rng(0), time.perf_counter()
    for _ in range(steps):
        env.step(random.uniform(-1, 1, env.action_space.shape).astype(np.float32))
    rate = steps / (time.perf_counter() - began)
    began = time.perf_counter()
    for _ in range(PICTURES):
        env.unwrapped.draw()
    milliseconds = 1000 * (time.perf_counter() - began) / PICTURES
    told = {"steps_per_second": rate, "milliseconds_a_picture": milliseconds, "renderer": opengl.gl_renderer()}
    print(json.dumps(told), flush=True)
    os._exit(0)  # some drivers complain while they are unloaded


def drawn_by(processes: int, steps: int, seconds: float) -> tuple[list[dict[str, Any]], int, list[str]]:
    """What the processes that came to their end told, how many did not in time, and what the others complained of."""
    command = [sys.executable, __file__, "--child", "--steps", str(steps)]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    deadline = time.perf_counter() + seconds
    rows, errors, hung = [], [], 0
    for child in children:
        try:
            told, complaint = child.communicate(timeout=max(deadline - time.perf_counter(), 0.5))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            hung += 1
            continue
        if child.returncode == 0:
            rows.append(json.loads(told.splitlines()[-1]))
        else:
            errors.append(complaint.strip().splitlines()[-1] if complaint.strip() else f"exit code {child.returncode}")
    return rows, hung, errors


def in_words(processes: int, rows: list[dict[str, Any]], hung: int, errors: list[str], seconds: float) -> str:
    sentence = f"{processes} processes: {len(rows)} drew, {hung} hung, {len(errors)} failed"
    if rows:
        rate = sum(row["steps_per_second"] for row in rows)
        picture = sum(row["milliseconds_a_picture"] for row in rows) / len(rows)
        sentence += f"; {rate:.0f} agent steps/s in all, {picture:.2f} ms a picture, {rows[0]['renderer']}"
    return f"{sentence}; {seconds:.1f} s with start" + (f"; first complaint: {errors[0]}" if errors else "")


class Load:
    """Matrix products in bfloat16 in a thread of this process, and how fast they went."""

    def __init__(self) -> None:
        import torch

        self._torch, self._cuda = torch, torch.cuda.is_available()
        device = "cuda" if self._cuda else "cpu"
        self._side = MATRIX_SIDE[device]
        self._matrix = torch.randn(self._side, self._side, device=device, dtype=torch.bfloat16)
        self._stop = threading.Event()
        self._teraflops = 0.0
        self._thread = threading.Thread(target=self._go_on)

    def teraflops_during(self, seconds: float) -> float:
        """Multiply for so long, or until ``stop``."""
        self._multiply()
        began, times = time.perf_counter(), 0
        while not self._stop.is_set() and (times == 0 or time.perf_counter() - began < seconds):
            self._multiply()
            times += PRODUCTS
        return times * 2 * self._side**3 / (time.perf_counter() - began) / 1e12

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> float:
        self._stop.set()
        self._thread.join()
        return self._teraflops

    def _go_on(self) -> None:
        self._teraflops = self.teraflops_during(float("inf"))

    def _multiply(self) -> None:
        for _ in range(PRODUCTS):
            self._torch.mm(self._matrix, self._matrix)
        if self._cuda:
            self._torch.cuda.synchronize()


if __name__ == "__main__":
    main()
