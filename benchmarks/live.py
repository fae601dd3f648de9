"""What a person waits for on the live page at 84 pixels: a stroke, a step, and an episode that is played again.

    python benchmarks/live.py

An interaction is a new stroke, two readings and a gradient map. A step is also what the page is told of it, its curves
too: at the beginning of an episode and after a thousand steps. A server that was started again plays a thousand steps
again without drawing them, which is compared with playing them as they are played at first.

Without the browser: what it draws and sends is not timed. The network has the size of DQN's, with random weights.
Threads wait as they do in `saccade view`, asleep: two that spin make a busy machine ten times slower and more.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is loaded

import time
from collections.abc import Callable

import msgspec
import numpy as np
import torch
from torch import nn

from saccade.explain.edits import Paint
from saccade.explain.looking import Pane, Question
from saccade.explain.session import Session
from saccade.explain.tasks import find_task
from saccade.policies.pixels import Pixels
from saccade.policies.policy import Policy
from saccade.viewer.live.curves import Curves
from saccade.viewer.live.payloads import answer_payload, history, map_payload

THREADS, COUNT, LONG = 2, 40, 1000


def random_policy(actions: int) -> Policy:
    """A network of the size of DQN's."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(9, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 512), nn.ReLU(), nn.Linear(512, actions), nn.Tanh(),
    )  # fmt: skip
    pixels = Pixels((9, 84, 84), "uint8", 255.0, "channels_first", 3, ("rgb",))
    outputs = {"action": lambda net, obs: net(obs / 255)}
    return Policy("random", network, outputs, pixels, False, torch.device("cpu"))


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def looked_at(session: Session, question: Question) -> None:
    answer = session.look(Pane(), question)
    answer_payload(answer)
    for level in session.maps(Pane(), answer, "gradient"):
        map_payload(answer, level)


def interactions() -> None:
    session = Session([random_policy(2)], find_task("manipulation/reach", image_size=84, frame_stack=3))
    strokes = [Paint(((0.1, place / COUNT), (0.9, 0.5)), 0.08, (1.0, 0.0, 0.0)) for place in range(COUNT)]
    middle = np.median([seconds_of(lambda one=one: looked_at(session, Question(0, (one,)))) for one in strokes])
    session.close()
    print(f"{1 / middle:.1f} interactions a second (median of {COUNT}, {THREADS} threads)")


def steps() -> None:
    """Of an episode of a thousand steps; the first is not counted, which warms up."""
    task = find_task("dmc/cartpole_balance", image_size=84, frame_stack=3, action_repeat=1)
    session, curves = Session([random_policy(1)], task), Curves()
    played, told, sizes = list[float](), list[float](), list[int]()

    def tell() -> None:
        curves.forget(len(session.actions) - 1)
        new = history(session, len(session.actions) - 1), curves.new(session)
        sizes.append(len(msgspec.json.encode(new)))

    while not session.over:
        played.append(seconds_of(session.step))
        told.append(seconds_of(tell))
    for name, some in (("first", slice(1, COUNT)), ("last", slice(-COUNT, None))):
        step, telling = (1000 * np.median(one[some]) for one in (played, told))
        print(f"{name} steps: {step:.1f} ms to play, {telling:.1f} ms to read and tell ({sizes[some][-1]} bytes)")
    whole = sum(played)
    again = seconds_of(lambda: session.restore(0, "train", session.actions))
    seen = seconds_of(lambda: looked_at(session, Question(len(session.actions))))
    print(
        f"{len(session.actions)} steps: played in {whole:.1f} s, again in {again:.2f} s, seen after {seen:.2f} s more"
    )
    session.close()


def main() -> None:
    torch.set_num_threads(THREADS)
    interactions()
    steps()


if __name__ == "__main__":
    main()
