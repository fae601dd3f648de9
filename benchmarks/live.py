"""Interactions a second of the live page's session: a new stroke, two readings and a gradient map at 84 pixels.

    python benchmarks/live.py

Without the browser: what it draws and sends is not timed. The network has the size of DQN's, with random weights.
Threads wait as they do in `saccade view`, asleep: two that spin make a busy machine ten times slower and more.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is loaded

import time

import torch
from torch import nn

from saccade.explain.edits import Paint
from saccade.explain.looking import Pane, Question
from saccade.explain.session import Session
from saccade.explain.tasks import find_task
from saccade.policies.pixels import Pixels
from saccade.policies.policy import Policy
from saccade.viewer.live.telling import answer_told, map_told

THREADS, COUNT = 2, 40


def main() -> None:
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(9, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 512), nn.ReLU(), nn.Linear(512, 2), nn.Tanh(),
    )  # fmt: skip
    pixels = Pixels((9, 84, 84), "uint8", 255.0, "channels_first", 3, ("rgb",))
    outputs = {"action": lambda net, obs: net(obs / 255)}
    policy = Policy("random", network, outputs, pixels, False, torch.device("cpu"))
    session = Session([policy], find_task("manipulation/reach", image_size=84, frame_stack=3))
    seconds = []
    for place in range(COUNT):
        start = time.perf_counter()
        stroke = Paint(((0.1, place / COUNT), (0.9, 0.5)), 0.08, (1.0, 0.0, 0.0))
        answer = session.look(Pane(), Question(0, (stroke,)))
        answer_told(answer)
        for level in session.maps(Pane(), answer, "gradient"):
            map_told(answer, level)
        seconds.append(time.perf_counter() - start)
    session.close()
    middle = sorted(seconds)[COUNT // 2]
    print(f"{1 / middle:.1f} interactions a second (median of {COUNT}, {THREADS} threads)")


if __name__ == "__main__":
    main()
