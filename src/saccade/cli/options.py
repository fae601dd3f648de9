"""The options of each command and their meaning; importing it loads no torch.

The sentence below an option is its help. ``saccade train`` has the options of ``cli/train_options.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from saccade.cli.suite_options import options_of_all_suites

if TYPE_CHECKING:
    SuiteOptions = Any
else:
    SuiteOptions = options_of_all_suites()


@dataclass(frozen=True)
class Demo:
    """Train SAC and SGQN (small) on a real task, compare them in every mode, and write one page with the results.

    Needs no GPU and no download. The two train side by side, each on one core.
    """

    out: Path | None = None
    """Folder for everything; by default runs/demo, or runs/demo-2 and so on where that exists."""
    task: str = "manipulation/reach"
    """What they learn; `saccade list` names the tasks."""
    steps: int = 20_000
    """Most agent steps of SAC; SGQN, whose updates cost twice as much, takes half as many."""
    minutes: float = 8.5
    """Time for everything. A method that has not finished by then is judged by what it has learned so far."""
    episodes: int = 20
    """Episodes of each policy in each mode."""
    seed: int = 1
    """Seed of weights, environments, exploration and episodes; 1 is the first of the five reported in the README."""


@dataclass(frozen=True)
class Opening:
    """How a policy is opened, and the task that it is played in."""

    task: str | None = None
    """dmc/walker_walk, an id of Gymnasium (module:Id imports its module), or file.py:function that makes an environment
    or a vector of environments; by default a run's own."""
    video_where: Annotated[str | None, tyro.conf.arg(metavar="COLOUR")] = None
    """Which pixels the shift video replaces: black, R,G,B or R,G,B:TOLERANCE in 0..255; by default those outside the
    environment's info["task_mask"]."""
    method: str | None = None
    """For a run of your own method whose file has moved or changed: the file and name now. That file is run."""
    policy: Annotated[str | None, tyro.conf.arg(metavar="FILE.PY:CLASS")] = None
    """For any other network: its class in your Python file, which is run."""
    checkpoint: Path | None = None
    """The weights for --policy: a state dict, as written by torch.save(model.state_dict()) or CleanRL. FILE:NAME is one
    of several in a file, such as both.pt:online."""
    output: tuple[str, ...] = ()
    """What the network of --policy outputs: logits, q_values, action, or logits=module:actor value=method:get_value."""
    layout: Literal["channels_first", "channels_last"] | None = None
    """Where the channels of observations are, if their shape is ambiguous."""
    channels: str | None = None
    """What the channels of one frame are, such as rgb,depth or grey: rgb is three, any other word one. By default this
    is worked out from the episode, as far as possible."""
    mean: tuple[float, ...] = ()
    """What the network's input is normalised with, if it is: one number, or one per colour, for pixels in 0..1 (or in
    0..255), such as 0.485 0.456 0.406; with --std."""
    std: tuple[float, ...] = ()
    """The standard deviation that goes with --mean, such as 0.229 0.224 0.225."""
    trust: bool = False
    """Allow files that run code when they are opened (pickles). Only for files from people you trust."""
    device: str = "auto"
    """Where the networks run: auto, cpu, cuda or cuda:1."""
    options: SuiteOptions = field(default_factory=SuiteOptions)


@dataclass(frozen=True)
class Evaluate:
    """Play a policy, by default with its most likely actions, and compare the modes with the training mode.

    Results of a run are added to its evaluations.jsonl, those of other policies to evaluations/NAME, with a page.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="WHAT [WHAT ...]")]
    """Run folders, as `saccade train` writes them, or zoo:NAME, whose results go to runs/zoo/NAME; or zips of
    Stable-Baselines3 or sb3-contrib, with --task."""
    modes: tuple[str, ...] = ()
    """Modes to play in, or names of groups of modes such as gb2; by default all of the task's, for dmc train and dmcgb.
    The gap is relative to the mode train. Besides the task's own modes there are shifts with a strength from 0 to 1,
    such as brightness:0.5 or brightness:0.3+noise:0.1, and NAME=FILE.PY:FUNCTION, which makes the environment in
    another light. `saccade list` names modes, groups and shifts."""
    dial: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, ...], ...]], tyro.conf.arg(metavar="NAME [STRENGTH ...]")
    ] = ()
    """Instead of modes: a distraction at strengths from 0 to 1 (by default 0 0.25 0.5 0.75 1), such as --dial
    brightness 0 0.3 0.6 1; once for each dial. The page dials.html shows where the policy breaks. `saccade list` names
    the dials."""
    again: bool = False
    """Play strengths of --dial again that have been played with the same settings."""
    episodes: int = 10
    """Episodes in each mode; published tables use 100."""
    sampled: bool = False
    """Sample actions from the policy, as in training."""
    seed: int | None = None
    """Seed of the episodes; by default the run's own, else 0."""
    workers: int | None = None
    """Processes for environments of Saccade's own tasks: 0 for none; by default one per core, for `minigrid` none."""
    video: bool = False
    """Also write a video of the first episode in each mode."""
    max_steps: int | None = None
    """Agent steps after which an unfinished episode of another library's environment is left; by default 100,000."""
    out: Path | None = None
    """Folder for rows, page and videos of a policy that is no run; by default evaluations/NAME (NAME-2 and so on if
    NAME holds another policy's)."""
    opening: Opening = field(default_factory=Opening)


@dataclass(frozen=True)
class Subject:
    """Which policy, and on which task."""

    what: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="WHAT")] = None
    """A run folder of Saccade, zoo:NAME, or a zip of Stable-Baselines3 or sb3-contrib."""
    obs: Annotated[Path | None, tyro.conf.arg(metavar="FRAMES")] = None
    """Explain recorded observations instead of an episode: an .npz (FILE:NAME is one array of several), an .npy or a
    folder of pictures. Single frames are stacked as the policy sees them, other sizes resized."""
    modes: tuple[str, ...] = ()
    """Modes of the task, such as train video_hard; by default train. Besides these there are shifts with a strength
    from 0 to 1, such as brightness:0.5 or brightness:0.3+noise:0.1, and NAME=FILE.PY:FUNCTION, which makes the
    environment in another light. `saccade list` names the shifts."""
    colours: Literal[1, 3] | None = None
    """Channels per frame of a stack: 3 is --channels rgb, 1 is --channels grey."""
    image_size: int | None = None
    """For Saccade's tasks, side of the picture in pixels; by default what the policy sees."""
    frame_stack: int | None = None
    """For Saccade's tasks, frames in an observation; by default what the policy sees."""
    action_repeat: int | None = None
    """For Saccade's tasks, control steps per agent step; by default as in the run, else the benchmark's."""
    out: Path | None = None
    """Folder for all output; by default RUN/explain, or explanations/NAME (NAME-2 and so on if NAME
    holds another policy's), for the zoo explanations/zoo-NAME."""
    replace: bool = False
    """Whether what another policy left in --out may be deleted."""
    opening: Opening = field(default_factory=Opening)


@dataclass(frozen=True)
class Maps:
    """Which maps, of which moments."""

    methods: tuple[str, ...] = ("all",)
    """Names of saliency methods, or all: every method that can be right for the policy. `saccade list` names them."""
    score: str | None = None
    """What is explained: q, value, logit, action_mean:0, ...; by default the output that decides actions."""
    frames: int = 16
    """Moments of the episode to explain."""
    every: int | None = None
    """Agent steps between them; by default they are spread over the whole episode."""
    seed: int = 0
    """Seed of the episode, and of methods that draw noise or masks."""
    max_steps: int = 1000
    """Agent steps after which an endless episode is left."""
    max_batch: int = 256
    """Samples that go through the network at once: fewer need less memory, and the maps stay the same."""
    over_colours: Literal["max", "sum"] = "max"
    """How the colours of a pixel are combined into one number."""
    rise_masks: int = 1000
    """Random masks of RISE; published work uses 2000 to 6000."""
    perturbation_stride: int = 5
    """Pixels between the places where perturbation methods and SARFA blur."""
    perturbation_radius: float = 5.0
    """Standard deviation of the blurred spot in pixels; published: 5 for 80 pixels, 4 for 64."""
    occlusion_window: int = 8
    """Side of the occluded square in pixels."""


@dataclass(frozen=True)
class Explain:
    """Show what a policy looks at: pictures, a video, arrays, and a page to open.

    WHAT is a run folder of Saccade, an agent that comes with it (zoo:NAME) or a zip of Stable-Baselines3; any other
    network comes with --policy file.py:Class --checkpoint FILE.
    """

    subject: Subject = field(default_factory=Subject)
    maps: Maps = field(default_factory=Maps)


@dataclass(frozen=True)
class Checks:
    """What is scored besides the task's masks, hiding and showing pixels, and drift under distractions."""

    sanity_frames: int = 4
    """Moments whose maps are compared with those of randomised weights, layer by layer; 0 for none."""
    sanity_stages: int = 6
    """Networks between the trained and the wholly random one."""
    return_steps: int = 0
    """Agent steps of episodes in which the policy sees only the most salient pixels, in every mode; 0 plays none."""
    return_methods: tuple[str, ...] = ()
    """Methods whose most salient pixels it sees there; by default all, which can take long."""


@dataclass(frozen=True)
class People:
    """Scores against people's gaze."""

    gaze: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Score against people who played the policy's Atari game: the folder of Atari-HEAD as downloaded. By default
    SACCADE_GAZE, if --game or --trials is given. No environment is needed."""
    game: str | None = None
    """The game, such as Breakout; by default a run's own, or that of --task."""
    trials: tuple[int, ...] = ()
    """Numbers of the people's games, such as 55 60; by default all of the game."""
    gaze_join: Literal["frame_id", "published"] = "frame_id"
    """How gaze is matched to pictures: by name, or as in the published code of Free-Lunch Saliency, one picture too
    early."""
    gaze_frames: int = 100
    """Observations of each trial that are scored, evenly spread; 0 for all, as published."""


@dataclass(frozen=True)
class Truth:
    """Scores on thousands of states that are the same for all policies that are compared."""

    truth_states: int | None = None
    """Score against the simulator's own truth in this many states (DIGR: 10000), by the methods of DIGR's table 1
    unless others are named. The states are saved beside the scores."""
    truth_player: Annotated[Path | None, tyro.conf.arg(metavar="WHAT")] = None
    """The policy that reaches those states: a run folder, zoo:NAME or zip; by default a student's teacher, else the
    policy itself."""


@dataclass(frozen=True)
class Score:
    """Score saliency maps: do they show the task, does the policy follow them, do they survive random weights? Or, with
    --gaze, do they lie where people look?

    First does what `saccade explain` does. WHAT is a run folder of Saccade, an agent that comes with it (zoo:NAME) or a
    zip of Stable-Baselines3; any other network comes with --policy file.py:Class --checkpoint FILE.
    """

    subject: Subject = field(default_factory=Subject)
    maps: Maps = field(default_factory=Maps)
    checks: Checks = field(default_factory=Checks)
    truth: Truth = field(default_factory=Truth)
    people: People = field(default_factory=People)


@dataclass(frozen=True)
class Attack:
    """Change what a policy sees by a little, where it hurts most, and play whole episodes: how much return is left?

    Rows are added to attacks.jsonl in a run's folder, those of other policies to evaluations/NAME, with a page. What
    has been played with the same settings is not played again, so an interrupted command goes on where it was.
    """

    what: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="WHAT")] = None
    """A run folder of Saccade, zoo:NAME, or a zip of Stable-Baselines3 or sb3-contrib, with --task."""
    mode: str = "train"
    """The mode of the task to play in, or a shift such as brightness:0.5."""
    attacks: tuple[str, ...] = ("fgsm", "pgd", "mi_fgsm", "mad")
    """Which attacks. `saccade list` names them."""
    beside: tuple[str, ...] = ("random_sign", "pgd_restarts")
    """What is played beside them, to tell a robust policy from a hidden gradient: noise, and PGD from several
    starts."""
    transfer_from: Annotated[Path | None, tyro.conf.arg(metavar="WHAT")] = None
    """Another policy of the same observations: PGD against it is shown to this one, as the attack transfer."""
    epsilons: Annotated[tuple[float, ...], tyro.conf.arg(metavar="[X ...]")] = (0, 1, 2, 4, 8, 12, 16)
    """Budgets: by how many of 255 steps from black to white any pixel may change. 0 is no attack."""
    target: str = "action"
    """What is attacked: the action, the value, or the policy as a whole (policy); or a score of the policy, such as
    logit, which is lowered. mad always attacks the policy."""
    part: Literal["stack", "newest"] = "stack"
    """Whether every frame of an observation is changed, or the newest alone."""
    whole_pixels: bool = True
    """Round what the policy sees to whole pixels 0..255, as a camera would."""
    steps: int | None = None
    """Gradient steps of the attacks that make several; by default 10."""
    restarts: int = 4
    """Random starts of pgd_restarts, of which the worst counts."""
    episodes: int = 50
    """Episodes for each attack and budget."""
    sampled: bool = False
    """Draw actions from the policy, as training does."""
    seed: int | None = None
    """Of the episodes; by default the run's own, else 0."""
    again: bool = False
    """Play again what has been played with the same settings."""
    workers: int | None = None
    """Processes for the environments of Saccade's own tasks: 0 none, by default one per core, or none on `minigrid`."""
    max_steps: int | None = None
    """Agent steps after which an episode of somebody's environment is left, if it has not ended; by default 100,000."""
    out: Path | None = None
    """Folder for rows and page; by default the run's, or evaluations/NAME (NAME-2 and so on where NAME holds another
    policy's)."""
    opening: Opening = field(default_factory=Opening)


@dataclass(frozen=True)
class Export:
    """Write a run's policy as a folder that others can load: its configuration, its weights, and a model card.

    The card has the returns in every mode and the saliency scores that the run has for these very weights. The folder
    contains no path of this machine.
    """

    what: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = None
    """A run folder of Saccade, or zoo:NAME."""
    out: Path | None = None
    """The new folder; by default exports/TASK-METHOD-SEED."""


@dataclass(frozen=True)
class View:
    """Play with a policy on a live page on this machine: go back, paint, turn dials, and see what changes.

    WHAT is a run folder of Saccade, an agent that comes with it (zoo:NAME) or a zip of Stable-Baselines3; any other
    network comes with --policy file.py:Class --checkpoint FILE.
    """

    subject: Subject = field(default_factory=Subject)
    other: Annotated[Path | None, tyro.conf.arg(metavar="WHAT")] = None
    """A second policy, for the second view: a run folder, zoo:NAME or a zip with the same observations."""
    seed: int = 0
    """Seed of the first episode; the page can begin others."""
    port: int = 8642
    """Port of the page on this machine; 0 for any free port."""
    token: str | None = None
    """The secret in the page's address; with the same one a page continues when the server is restarted. By default
    a new one each time."""
    browser: bool = False
    """Open the page in this machine's browser."""


@dataclass(frozen=True)
class List:
    """List the methods, saliency methods, trained agents, tasks and modes, or every setting of a method or a
    preset.
    """

    preset: str | None = None
    """A method: show every setting that it is trained with, in every preset, and who published it. Or a preset, such as
    small: show what it changes."""
    task: str | None = None
    """The task whose settings --preset shows, if they differ between tasks; by default dmc/walker_walk, or
    minigrid/red_fetch_green for a method with discrete actions."""


@dataclass(frozen=True)
class Doctor:
    """Show what this machine has for Saccade, and what is wrong with it. Exit code 1 if something is."""

    data: str | None = None
    """The benchmark's data folder; by default SACCADE_DATA."""
    bench: bool = False
    """Measure instead how fast the machine trains, and by which paths; takes half a minute."""
    preset: Literal["small", "paper"] = "small"
    """The preset whose networks and pictures --bench times; paper takes minutes on a CPU."""
