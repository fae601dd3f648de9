"""Explanation folders without a policy: a square moves over noise, and maps know it or do not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

QUESTIONS = {
    "truth": {"pointing_game": "higher", "mass_inside": "higher"},
    "faithfulness": {"insertion": "lower", "deletion": "higher"},
    "sanity": {"randomisation": "lower"},
    "stability": {"map_drift": "lower", "action_drift": "lower"},
}
CURVES = {
    "insertion": ([0.0, 0.5, 1.0], "share of pixels shown", "how far from what it does with the whole frame"),
    "deletion": ([0.0, 0.5, 1.0], "share of pixels hidden", "how far from what it does with the whole frame"),
    "randomisation": (["actor.2", "actor.0", "encoder.0"], "randomised down to layer", "rank correlation"),
}


def square(frames: int, size: int) -> np.ndarray:
    """Bool ``[frames, size, size]``: where the square is; it moves to the right and comes back."""
    rows, columns = np.mgrid[:size, :size] / size
    where = 0.1 + 0.6 * np.abs(np.linspace(-1, 1, frames))
    return (np.abs(rows - 0.6) < 0.12) & (np.abs(columns - 0.1 - where[:, None, None]) < 0.1)


def arrays(
    methods: tuple[str, ...],
    *,
    frames: int = 5,
    size: int = 12,
    stack: int = 3,
    colours: int = 3,
    floats: bool = False,
    truth: bool = True,
    pictures: tuple[str, ...] = (),
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """The content of a mode's file. Every other method is bright on the square; the others are noise, and signed.

    Every other picture is smaller than the frame, as of an agent that crops what it sees.
    """
    random = np.random.default_rng(seed)
    mask = square(frames, size)
    coarse = random.uniform(60, 200, (colours, size // 4 + 1, size // 4 + 1)).repeat(4, 1).repeat(4, 2)[:, :size, :size]
    seen = np.broadcast_to(coarse, (frames, stack, colours, size, size)) + random.normal(0, 6, (frames, 1, 1, 1, 1))
    color = np.array([230, 170, 40])[:colours, None, None]
    seen = np.where(mask[:, None, None], color, seen).clip(0, 255)
    clean = np.where(mask[:, None, None], color, 90.0 * np.ones_like(seen))
    flat = (frames, stack * colours, size, size)
    content: dict[str, np.ndarray] = {
        "colours": np.array(colours),
        "length": np.array(frames * 10),
        "step": np.arange(frames) * 10,
        "action": random.uniform(-1, 1, (frames, 2)).astype(np.float32),
        "reward": random.uniform(0, 1, frames),
    }
    for name, pixels in {"obs": seen, "clean_obs": clean}.items():
        content[name] = (
            (pixels / 255).astype(np.float32).reshape(flat) if floats else pixels.astype(np.uint8).reshape(flat)
        )
    if truth:
        content["task_mask"] = np.broadcast_to(mask[:, None], (frames, stack, size, size))
    for index, method in enumerate(methods):
        values = random.normal(0, 1, (frames, stack, size, size)).astype(np.float32)
        content[f"map_{method}"] = (
            values if index % 2 else np.abs(values) * (0.1 + 2 * mask[:, None]).astype(np.float32)
        )
    for index, name in enumerate(pictures):
        sides = (size - 5, size - 2) if index % 2 else (size, size)
        content[f"picture_{name}"] = random.integers(0, 256, (frames, 3, *sides), dtype=np.uint8)
    return content


def rows(methods: tuple[str, ...], modes: tuple[str, ...]) -> list[dict]:
    """Rows of scores.jsonl: ``grows with the method's place``, so that what is best is known."""
    made = []
    for mode in modes:
        for place, method in enumerate((*methods, "uniform")):
            for question, metrics in QUESTIONS.items():
                for metric, direction in metrics.items():
                    row = dict(policy="p", task="t", mode=mode, method=method, metric=metric, question=question)
                    row |= dict(direction=direction, mean=0.1 + 0.05 * place, std=0.0125, count=5, undefined=0)
                    if metric in CURVES:
                        x, x_label, y_label = CURVES[metric]
                        y = [0.0, 0.1 + 0.05 * place, 1.0]
                        row["curve"] = dict(x=x, y=y, x_label=x_label, y_label=y_label)
                    made.append(row)
    return made


def write_folder(
    folder: Path,
    *,
    methods: tuple[str, ...] = ("gradient", "rise"),
    modes: tuple[str, ...] = ("train", "video_hard"),
    maps: bool = True,
    scores: bool = True,
    pictures: tuple[str, ...] = (),
    **settings,
) -> Path:
    """Write a whole explanation folder; ``settings`` go to ``arrays``."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "policy": {"name": "sgqn", "source": "runs/dmc-walker_walk/sgqn/0", "env_steps": 500_000},
        "observations": "3 RGB frames of 12x12 pixels, 0..255, channels first",
        "task": "dmc/walker_walk",
        "modes": list(modes),
        "score": "q",
        "methods": {
            name: {
                "summary": f"What {name} does.",
                "source": f"Somebody, 20{10 + place}",
                "score": "value_distance" if place == 1 else "q",
                "seconds_per_frame": 0.002 * (place + 1),
                "seconds_per_frame_single": 0.01 * (place + 1),
            }
            for place, name in enumerate(methods)
        },
        "left_out": {"sarfa": "It needs discrete actions."},
        **({"pictures": list(pictures)} if pictures else {}),
        "settings": {"frames": 5, "every": None, "environment": {"image_size": 12}},
        "versions": {"saccade": "0.2", "torch": "2.13"},
    }
    (folder / "explanation.json").write_text(json.dumps(record))
    if maps:
        (folder / "maps").mkdir(exist_ok=True)
        for seed, mode in enumerate(modes):
            content = arrays(methods, pictures=pictures, seed=seed, **settings)
            np.savez_compressed(folder / "maps" / f"{mode}.npz", **content)
    if scores:
        lines = "".join(json.dumps(row) + "\n" for row in rows(methods, modes))
        (folder / "scores.jsonl").write_text(lines)
    return folder
