"""``saccade list`` and ``saccade list --preset METHOD``."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from saccade.agents import METHODS
from saccade.agents.presets import SIZES, preset
from saccade.agents.published_settings import DIGR_AUTHOR, NOT_PUBLISHED, RED_FETCH_GREEN, SMG_TABLE
from saccade.agents.small_settings import SMALL_TRAINING
from saccade.cli import terminal
from saccade.cli.nearest import nearest
from saccade.cli.options import List
from saccade.cli.parsing import parsed
from saccade.envs.config import EnvConfig
from saccade.envs.distractions import distracting_cs
from saccade.envs.scene_dials import SCENE_DIALS
from saccade.envs.shifts import SHIFTS
from saccade.envs.suites import SUITES, expanded, option_names, suite_of
from saccade.envs.tasks.dmc_suite import BENCHMARK_TASKS, action_repeat_of
from saccade.runs.training import OffPolicy, Teaching, Training, able_to_learn, check_actions
from saccade.runs.zoo import PREFIX, account_of, zoo_names
from saccade.types import Continuous, UserError

FIRST = next(iter(SIZES))
BENCHMARK, BASELINES, OURS = "DMControl-GB", "OpenAI's Baselines for Atari", "Saccade"
LOOPS = {"off_policy": "methods that learn from a replay", "on_policy": "methods that learn from rollouts"}
OF_AUGMENTATIONS = {
    "overlay_opacity": "SODA's code",
    "overlay_velocity": "SimGRL's code",
    **dict.fromkeys(("spectrum_probability", "spectrum_frequency", "spectrum_width"), "SRM's code"),
}
DIGR_PUBLISHES = ("learning_rate", "optimizer", "regularised", "distillation_weight", "threshold", "normalisation")
FOOTNOTE = (
    "The source is for the first column, `paper`; an empty cell means the same value. small: for CPUs, not published. "
    "Choose with --preset NAME."
)
RERUN = "smg_rerun: as SMG's authors ran the baselines in their tables (their code's defaults)."
NO_RERUN = "smg_rerun: sizes as in SMG's authors' baselines; this method was not among them."


def run(words: list[str]) -> int:
    """Run the command; return the exit code."""
    options = parsed(List, "saccade list", words)
    console = terminal.console()
    if options.preset is not None:
        show = _show_size if options.preset in SIZES else _show_preset
        show(options.preset, options.task or _usual_task(options.preset), console)
        return 0
    table = _names("method", "what it is", "source")
    for name, method in METHODS.items():
        table.add_row(name, method.summary, method.source)
    console.print(table)
    from saccade.policies.score_kinds import SCORES
    from saccade.saliency import METHODS as SALIENCY

    saliency = _names("saliency", "what it is", "explains", "source")
    for name, one in SALIENCY.items():
        saliency.add_row(name, one.summary, one.score or "any", one.source)
    console.print()
    console.print(saliency)
    scores = _names("score", "what is explained")
    for name, kind in SCORES.items():
        scores.add_row(name, kind.summary)
    console.print()
    console.print(scores)
    _show_attacks(console)
    zoo = _names("trained agent", "what it is")
    for name in zoo_names():
        zoo.add_row(f"{PREFIX}{name}", account_of(name).summary)
    console.print()
    console.print(zoo)
    console.print()
    console.print(terminal.heading("modes", ", by suite; a name before = stands for all modes after it"))
    for name, suite in SUITES.items():
        grouped = expanded([*suite.mode_groups])
        console.print(f"  {name}: {' '.join(mode for mode in suite.modes if mode not in grouped)}", highlight=False)
        for group, members in suite.mode_groups.items():
            console.print(f"    {group} = {' '.join(members)}", highlight=False)
    console.print()
    _show_graded(console)
    _show_dials(console)
    console.print(terminal.heading("tasks of the benchmark", ", with their action repeats"))
    console.print("  " + "  ".join(f"{task} ({action_repeat_of(task)})" for task in BENCHMARK_TASKS), highlight=False)
    console.print()
    console.print(terminal.heading("all tasks", ", by suite"))
    for name, suite in SUITES.items():
        console.print(f"{name}: {suite.title}", highlight=False)
        for word, tasks in suite.listed.items():
            console.print(f"  {word}: {' '.join(tasks)}", highlight=False)
    return 0


def _show_attacks(console: Console) -> None:
    from saccade.attacks import ATTACKS

    attacks = _names("attack", "what it does", "source")
    for name, attack in ATTACKS.items():
        attacks.add_row(name, attack.summary, attack.source)
    console.print()
    console.print(attacks)


def _show_graded(console: Console) -> None:
    graded = _names("mode of dmc, as NAME:INTENSITY", "what is seen")
    for name, summary in distracting_cs.SUMMARIES.items():
        graded.add_row(name, summary)
    console.print(graded)
    console.print(f"  INTENSITY: {' '.join(distracting_cs.FAMILIES[distracting_cs.NAME])}", highlight=False)
    console.print()


def _show_dials(console: Console) -> None:
    shifts = _names("shift, in any task, as NAME:STRENGTH", "what happens at strength 1")
    for name, shift in SHIFTS.items():
        shifts.add_row(name, shift.summary)
    console.print(shifts)
    console.print()
    dials = _names("dial of a scene, as NAME:STRENGTH", "in tasks of", "what it does")
    for name, dial in SCENE_DIALS.items():
        dials.add_row(name, " ".join(dial.suites), dial.description)
    console.print(dials)
    console.print()


def _names(name: str, *others: str) -> Table:
    """A table whose first column has names to type, which are never cut or broken."""
    table = Table(box=None, pad_edge=False)
    table.add_column(name, no_wrap=True)
    for other in others:
        table.add_column(other)
    return table


ANY_TASK = "dmc/walker_walk"


def _usual_task(preset_or_method: str) -> str:
    """The task whose settings are shown by default: one that the method can learn."""
    method = METHODS.get(preset_or_method)
    return ANY_TASK if method is None or Continuous in method.actions else RED_FETCH_GREEN


def _show_preset(name: str, task: str, console: Console) -> None:
    if name not in METHODS:
        raise UserError(f"There is no method or preset {name!r}. {nearest(name, [*METHODS, *SIZES])}")
    check_actions(name, EnvConfig(task), with_any_options=True)  # also raises for a task that does not exist
    method = METHODS[name]
    console.print(terminal.heading(name, f": {method.summary} ({method.source}), on {task}"))
    table = _names("option", *SIZES, "source")
    columns = {size: _starts(name, task, size) for size in SIZES}
    of_preset = preset(name, task).sources
    sources = {**_sources_of_defaults(name, task), "action_repeat": _action_repeat_source(task), **of_preset}
    for option, value in columns[FIRST].items():
        others = [columns[size][option] for size in SIZES if size != FIRST]
        cells = ["" if other == value else str(other) for other in others]
        table.add_row(_flag(option), str(value), *cells, sources.get(option, method.source))
    console.print(table)
    of_its_own = name == "smg" or method.loop == "on_policy"
    rerun = "" if of_its_own else RERUN if name in SMG_TABLE else NO_RERUN
    console.print(f"{FOOTNOTE} {rerun}".strip(), highlight=False)


def _sources_of_defaults(name: str, task: str) -> dict[str, str]:
    """Who published the defaults of a method, by option, if that is not its paper."""
    if METHODS[name].loop == "on_policy":
        ppo, own = (dict(_settings(METHODS[one].config)) for one in ("ppo", name))
        of_method = {option: BASELINES for option, value in own.items() if option in ppo and ppo[option] == value}
        of_method |= {"steps": NOT_PUBLISHED, "frame_stack": NOT_PUBLISHED}
    elif METHODS[name].taught:
        digr = (option for option, _ in _settings(METHODS["digr"].config))
        of_method = dict.fromkeys((option for option in digr if option not in DIGR_PUBLISHES), NOT_PUBLISHED)
        of_method |= dict.fromkeys(("frame_stack", "saliency_stride"), NOT_PUBLISHED)
        of_method |= {**dict.fromkeys(("filters", "hidden"), DIGR_AUTHOR), "image_size": "the task's own"}
    elif Continuous not in METHODS[name].actions:
        of_method = {**dict.fromkeys(dict(_settings(METHODS["dqn"].config)), METHODS["dqn"].source), **OF_AUGMENTATIONS}
    else:
        of_method = {**dict.fromkeys(dict(_settings(METHODS["sac"].config)), BENCHMARK), **OF_AUGMENTATIONS}
    start = preset(name, task, "small")
    ours = {*SMALL_TRAINING, *suite_of(task).fast, *start.training, *start.loop, *start.environment} - {
        "steps",
        "frame_stack",
    }
    return of_method | dict.fromkeys(ours, OURS)


def _action_repeat_source(task: str) -> str:
    return suite_of(task).action_repeat_source(task) or NOT_PUBLISHED


def _show_size(size: str, task: str, console: Console) -> None:
    """What a preset sets for a run: for the methods of each loop that can learn the task, then for every method."""
    able = able_to_learn(EnvConfig(task))
    console.print(terminal.heading(f"--preset {size}", f": {SIZES[size]}."))
    for loop, about in LOOPS.items():
        alike = [name for name in able if METHODS[name].loop == loop]
        if alike:
            console.print()
            console.print(terminal.heading(about, f": {', '.join(alike)}"))
            console.print(_compared(size, task, alike))
    console.print()
    console.print(
        f"On {task}. For a method's other settings, and who published them: saccade list --preset METHOD.",
        highlight=False,
    )


def _compared(size: str, task: str, methods: Sequence[str]) -> Table:
    """What methods have in common, in a preset and in their papers."""
    starts = {name: _starts(name, task, size) for name in methods}
    plain = {name: _starts(name, task, FIRST) for name in methods}
    table = _names("option", size, FIRST)
    for option in starts[methods[0]]:
        if all(option in start for start in starts.values()):
            by_kind = [{name: start[option] for name, start in some.items()} for some in (starts, plain)]
            if size == FIRST or by_kind[0] != by_kind[1]:
                table.add_row(_flag(option), *map(_in_words, by_kind))
    return table


def _in_words(values: Mapping[str, Any]) -> str:
    """An option's value for every method: one, or the most frequent one and those that differ."""
    counted = Counter(map(str, values.values()))
    usual, _ = counted.most_common(1)[0]
    other = [f"{name} {value}" for name, value in values.items() if str(value) != usual]
    return f"{usual} ({', '.join(other)})" if other else usual


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _starts(name: str, task: str, size: str) -> dict[str, Any]:
    """Every option that a preset of the method may set on the task, and its value."""
    start, suite = preset(name, task, size), suite_of(task)
    training = Training(**start.training)
    shown = EnvConfig.parse(task, **start.environment)
    others = [preset(name, task, other) for other in SIZES]
    of_training = [option for each in others for option in each.training if option != "evaluation_modes"]
    of_suite = [option for each in others for option in each.environment if option in option_names(suite)]
    loop = OffPolicy(**start.loop)
    of_loop = [option for each in others for option in each.loop]
    teaching = Teaching(**start.teaching)
    held_to_saliency = METHODS[name].takes_saliency(start.agent)
    of_teaching = [option for each in others for option in each.teaching if held_to_saliency]
    return {
        **{option: getattr(training, option) for option in (*SMALL_TRAINING, *of_training)},
        **{option: getattr(loop, option) for option in of_loop},
        "action_repeat": shown.control_steps_per_action,
        "frame_stack": shown.frame_stack,
        **{option: shown.option(option) for option in (*suite.fast, *of_suite)},
        **{option: getattr(teaching, option) for option in of_teaching},
        **dict(_settings(start.agent)),
    }


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _settings(value)
        else:
            yield field.name, value
