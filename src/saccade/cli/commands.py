"""The commands as help shows them: usage, examples, and headings for their options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from saccade.cli.bench_options import Bench
from saccade.cli.options import Attack, Demo, Doctor, Evaluate, Explain, Export, List, Score, SuiteOptions, View


@dataclass(frozen=True)
class Command:
    """A command. ``groups``: headings and the options below them; others come below their dataclass's description."""

    summary: str
    usage: tuple[str, ...]
    examples: tuple[str, ...]
    options: type[Any] | None = None
    """None for ``train``, whose options depend on the method."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


SHOWN = "How the task is shown to the agent"
"""The heading of an environment's options, and of its suite's."""
POLICY_SEES = "What it sees, where its shape does not say"
POLICY_GROUPS = {
    "Which policy, on which task": (
        "what", "task", "modes", "video_where", "obs", "method", "policy", "checkpoint", "output", "trust",
    ),
    POLICY_SEES: ("layout", "colours", "channels", "mean", "std"),
    "Saccade's own tasks": (
        "image_size", "frame_stack", "action_repeat", *(field.name for field in fields(SuiteOptions)),
    ),
    "Which moments": ("frames", "every", "seed", "max_steps"),
    "Which maps": ("methods", "score", "over_colours"),
    "Settings of single methods": (
        "rise_masks", "perturbation_stride", "perturbation_radius", "occlusion_window",
    ),
    "Where it runs, and where results go": ("device", "max_batch", "out"),
}  # fmt: skip
OF_MAPS = (
    "Which moments", "Which maps", "Settings of single methods", "Where it runs, and where results go",
)  # fmt: skip
"""The option groups of explain and score that the live page lacks."""
TRAINING_GROUPS = {
    "The run": (
        "preset", "out", "log", "seed", "steps", "random_steps", "replay_capacity", "checkpoint_every", "log_every",
    ),
    SHOWN: ("action_repeat", "frame_stack"),
    "Evaluations during training": (
        "evaluate_every", "evaluation_episodes", "evaluation_modes", "evaluation_sampled", "evaluation_maps", "video",
    ),
    "Pictures to blend into observations": ("images", "image_count"),
    "Where it runs, and how fast": (
        "device", "envs", "overlap", "workers", "threads", "compile", "graphs", "precision", "matmul",
    ),
}  # fmt: skip

COMMANDS: Mapping[str, Command] = {
    "demo": Command(
        "train SAC and SGQN for a few minutes, and show what they learned",
        ("saccade demo [options]",),
        ("saccade demo", "saccade demo --minutes 4 --episodes 2 --out runs/my-demo"),
        Demo,
    ),
    "train": Command(
        "train a method on a task",
        ("saccade train METHOD TASK [--preset small] [options]", "saccade train --resume RUN [--steps N]"),
        (
            "saccade train sgqn dmc/walker_walk --preset small --out runs/small",
            "saccade train --resume runs/small --steps 30_000",
            "saccade train sgqn dmc/walker_walk --help",
        ),
        groups=TRAINING_GROUPS,
    ),
    "evaluate": Command(
        "play any policy in several modes",
        (
            "saccade evaluate RUN [RUN ...] [options]",
            "saccade evaluate ZIP [ZIP ...] --task TASK [options]",
            "saccade evaluate --policy FILE.PY:CLASS --checkpoint FILE --task TASK [options]",
        ),
        (
            "saccade evaluate runs/small",
            "saccade evaluate runs/dmc-walker_walk/sgqn/* --modes train video_hard --episodes 100",
            "saccade evaluate ppo.zip --task ALE/Pong-v5 --modes train brightness:0.5 noise:0.2",
            "saccade evaluate runs/small --dial camera_yaw 0 0.1 0.3 1 --dial blur",
        ),
        Evaluate,
        {
            "Which policy, on which task": ("runs", "task", "method", "policy", "checkpoint", "output", "trust"),
            "Which episodes": (
                "modes",
                "dial",
                "again",
                "video_where",
                "episodes",
                "sampled",
                "seed",
                "max_steps",
            ),
            POLICY_SEES: ("layout", "channels", "mean", "std"),
            "Saccade's own tasks": tuple(field.name for field in fields(SuiteOptions)),
            "Where it runs, and where results go": ("device", "workers", "video", "out"),
        },
    ),
    "explain": Command(
        "show what any policy looks at",
        (
            "saccade explain RUN [options]",
            "saccade explain ZIP --task TASK [options]",
            "saccade explain --policy FILE.PY:CLASS --checkpoint FILE --task TASK [options]",
        ),
        (
            "saccade explain zoo:sgqn-reach",
            "saccade explain runs/small --modes train video_hard",
            "saccade explain ppo.zip --task dmc/cheetah_run",
        ),
        Explain,
        POLICY_GROUPS,
    ),
    "score": Command(
        "test whether its saliency maps are right",
        (
            "saccade score RUN [options]",
            "saccade score ZIP --task TASK [options]",
            "saccade score --policy FILE.PY:CLASS --checkpoint FILE --task TASK [options]",
            "saccade score POLICY --gaze FOLDER --game GAME [options]",
        ),
        (
            "saccade score runs/small --modes video_hard --methods gradient rise",
            "saccade score ppo.zip --task ALE/Pong-v5",
            "saccade score ppo.zip --gaze ~/atari-head --game Breakout",
        ),
        Score,
        POLICY_GROUPS,
    ),
    "attack": Command(
        "play a policy whose observations are changed slightly, where it hurts most",
        (
            "saccade attack RUN [options]",
            "saccade attack ZIP --task TASK [options]",
            "saccade attack --policy FILE.PY:CLASS --checkpoint FILE --task TASK [options]",
        ),
        (
            "saccade attack zoo:ppo-red-fetch-green --sampled",
            "saccade attack runs/mine --attacks fgsm pgd --epsilons 0 2 8 --episodes 20",
            "saccade attack ppo.zip --task ALE/Pong-v5 --transfer-from other.zip",
        ),
        Attack,
        {
            "Which policy, on which task": (
                "what",
                "task",
                "mode",
                "video_where",
                "method",
                "policy",
                "checkpoint",
                "output",
                "trust",
            ),
            "Which attacks": (
                "attacks",
                "beside",
                "transfer_from",
                "epsilons",
                "target",
                "part",
                "whole_pixels",
                "steps",
                "restarts",
            ),
            "Which episodes": ("episodes", "sampled", "seed", "max_steps", "again"),
            POLICY_SEES: ("layout", "channels", "mean", "std"),
            "Saccade's own tasks": tuple(field.name for field in fields(SuiteOptions)),
            "Where it runs, and where results go": ("device", "workers", "out"),
        },
    ),
    "export": Command(
        "write a run's policy as a folder that others can load",
        ("saccade export RUN [--out FOLDER]",),
        ("saccade export runs/small", "saccade export zoo:sgqn-reach --out exports/reach"),
        Export,
    ),
    "bench": Command(
        "run a paper's table, or a grid of your own, with one command",
        (
            "saccade bench list",
            "saccade bench show NAME [options]",
            "saccade bench run NAME [--preset small] [options]",
            "saccade bench report NAME [options]",
        ),
        (
            "saccade bench show sgqn-table-1",
            "saccade bench run sgqn-table-6 --preset small --seeds 3 --methods sac sgqn --slots 2",
            "saccade bench report sgqn-table-6 --preset small",
        ),
        Bench,
        {
            "What": ("verb", "name", "preset", "methods", "tasks", "seeds", "out", "measure"),
            "Where its runs are executed": (
                "executor",
                "slots",
                "threads",
                "gpus",
                "retries",
                "device",
                "address",
                "seconds_between_copies",
                "partition",
                "hours",
            ),
            "What every run is given": ("images", "data"),
        },
    ),
    "view": Command(
        "play with a policy on a live page",
        (
            "saccade view RUN [options]",
            "saccade view ZIP --task TASK [options]",
            "saccade view --policy FILE.PY:CLASS --checkpoint FILE --task TASK [options]",
        ),
        (
            "saccade view zoo:sgqn-reach",
            "saccade view zoo:sgqn-reach --other zoo:sac-reach --modes test1",
            "saccade view ppo.zip --task ALE/Pong-v5 --port 0",
        ),
        View,
        {
            **{heading: some for heading, some in POLICY_GROUPS.items() if heading not in OF_MAPS},
            "The page": ("other", "seed", "port", "token", "browser"),
            "Where it runs": ("device",),
        },
    ),
    "list": Command(
        "list methods, tasks and modes",
        ("saccade list [--preset METHOD] [--task TASK]",),
        ("saccade list", "saccade list --preset sgqn --task dmc/cartpole_swingup", "saccade list --preset small"),
        List,
    ),
    "doctor": Command(
        "show what this machine has, and what is wrong with it",
        ("saccade doctor [options]",),
        ("saccade doctor", "saccade doctor --bench"),
        Doctor,
    ),
}
