"""The documentation says what the code does: commands parse, links lead somewhere, names and defaults are real."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import shlex
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest
import torch
from method_cases import ACTIONS, build, images, sample, tiny

from saccade import testing
from saccade.agents import METHODS
from saccade.agents.agent import make_update
from saccade.agents.given import Given
from saccade.agents.parts.augmentation import Augmentation
from saccade.agents.presets import preset
from saccade.attacks import ATTACKS
from saccade.bench.cells import cells_of
from saccade.bench.checking import check_names, check_words
from saccade.bench.described import grid_named
from saccade.cli import HELP, explaining, main, train_command, train_options
from saccade.cli.bench_command import parse_step
from saccade.cli.bench_options import Bench
from saccade.cli.commands import COMMANDS
from saccade.cli.options import Attack, Checks, Maps, People, Subject, Truth
from saccade.cli.parsing import parsed
from saccade.data.banks.colors import load_colors
from saccade.envs.mujoco import opengl
from saccade.envs.scene_dials import SCENE_DIALS
from saccade.envs.shifts import SHIFTS
from saccade.envs.suites import ALL_MODES, SUITES
from saccade.explain.modes import read_modes
from saccade.metrics import METRICS
from saccade.policies.scores import SCORES
from saccade.policies.targets import TARGETS
from saccade.runs.training import OffPolicy, Teaching, Training
from saccade.saliency import METHODS as SALIENCY
from saccade.types import Continuous, Spaces, UserError

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
METHOD_PAGES = sorted((DOCS / "methods").glob("*.md"))
GUIDE = DOCS / "how-to" / "add-a-method.md"
WRITTEN_METHOD = DOCS / "tutorials" / "2-write-a-method.md"
FEWEST_COMMANDS = 25  # fewer found would mean that they are no longer recognised

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]*)\)")
NAMED_CODE = re.compile(r"`([\w/]+\.py):(\w+)`")
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
STILTED = re.compile(r"\b(?:anew|told|tells|true of|so many|wants|by what|it is to be)\b", re.IGNORECASE)
"""Words that crept into these pages before, each with a plain one in its place."""
DEFAULT = re.compile(r"^\| `--([\w-]+)` \| `([^`]*)` \|", re.MULTILINE)

PARENTS = {"sg_dqn": "dqn", "sg_ppo": "ppo"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
every_method = pytest.mark.parametrize("method", METHODS)


def blocks(page: Path, language: str) -> list[str]:
    return [code for name, code in FENCE.findall(page.read_text()) if name == language]


def command_lines(program: str) -> Iterator[str]:
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                while words and "=" in words[0]:  # SACCADE_DATA=... before the program
                    words.pop(0)
                if words[: len(program.split())] == program.split():
                    yield shlex.join(words)


def parse(words: list[str]) -> None:
    """What the command line makes of the words after ``saccade``, without doing it."""
    name, *rest = words
    if any(word in HELP for word in rest):
        assert main(words) == 0
        return
    kind = COMMANDS[name].options
    if kind is not None:
        options = parsed(kind, f"saccade {name}", rest)
        read = read_modes(getattr(getattr(options, "subject", options), "modes", ()), ALL_MODES)
        assert {*read.names} <= {*ALL_MODES, *read.shifts, *read.files}
        if hasattr(options, "maps"):
            explaining.method_settings(options.maps)
    elif train_options.is_resumed(rest):
        parsed(train_options.Resume, "saccade train", rest)
    else:
        train_command.parse(rest)


@pytest.mark.parametrize("line", dict.fromkeys(command_lines("saccade")))
def test_commands_parse(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "my_method.py").write_text(blocks(GUIDE, "python")[0])
    (tmp_path / "steady.py").write_text(blocks(WRITTEN_METHOD, "python")[0])
    try:
        parse(shlex.split(line)[1:])
    except UserError as error:
        pytest.fail(str(error))
    except SystemExit:
        pytest.fail(line)


def test_commands_are_recognised() -> None:
    assert len(set(command_lines("saccade"))) >= FEWEST_COMMANDS
    with pytest.raises((UserError, SystemExit)):
        parse(shlex.split("train sgqn dmc/walker_walk --no-such-option 1"))


@pytest.mark.parametrize("line", dict.fromkeys(command_lines("python")))
def test_scripts_and_their_flags_exist(line: str) -> None:
    script, *rest = shlex.split(line)[1:]
    if script != "-m":
        source = (ROOT / script).read_text()
        assert [word for word in rest if word.startswith("--") and f'"{word}"' not in source] == []


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            place = (page.parent / path).resolve() if path else page
            assert place.exists(), target
            assert not anchor or anchor in anchors(place), target


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_words_are_those_of_a_native_writer(page: Path) -> None:
    prose = re.sub(r"`[^`]*`", "", FENCE.sub("", page.read_text()))
    assert STILTED.findall(prose) == []


@every_page
def test_named_functions_and_tests_exist(page: Path) -> None:
    text = page.read_text()
    opengl.load_simulator()
    for path, name in NAMED_CODE.findall(text):
        dotted = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        assert hasattr(importlib.import_module(f"saccade.{dotted}"), name), f"{path}:{name}"
    for path, name in NAMED_TEST.findall(text):
        assert (ROOT / path).is_file(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


@every_page
def test_python_is_python(page: Path) -> None:
    for code in blocks(page, "python"):
        ast.parse(code)


def settings(config: Any) -> Iterator[tuple[str, str]]:
    """Flag and default, as a person would write them, of everything inside a configuration."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from settings(value)
        else:
            words = isinstance(value, tuple) and all(isinstance(word, str) for word in value)
            yield field.name.replace("_", "-"), " ".join(value) if words else str(value)


@pytest.mark.parametrize("page", METHOD_PAGES, ids=lambda page: page.stem)
def test_defaults_of_methods_are_the_codes(page: Path) -> None:
    rollouts = METHODS[page.stem].loop == "on_policy"
    numbers = Continuous in METHODS[page.stem].actions
    config = preset(page.stem, "dmc/walker_walk").agent if numbers and not rollouts else METHODS[page.stem].config
    ours = dict(settings(config))
    told = dict(DEFAULT.findall(page.read_text()))
    assert told == {name: ours.get(name) for name in told}
    parent = PARENTS.get(page.stem, "sac")  # others have all that it has, which its page tells
    alone = page.stem not in PARENTS and (rollouts or not numbers or METHODS[page.stem].taught or page.stem == "sac")
    shared = {} if alone else dict(settings(METHODS[parent].config)) | dict(settings(Augmentation()))
    shared.pop("augmentation", None)  # each page says which one is the method's own
    assert set(ours) - set(shared) == set(told), "every hyper-parameter has its row"


def test_values_of_tasks_on_a_methods_page_are_the_codes() -> None:
    """In columns that a task heads; a cell is empty where the task has the default."""
    (table,) = re.findall(
        r"(^\| option \|.*?)\n\n", (DOCS / "methods" / "ppo.md").read_text(), re.MULTILINE | re.DOTALL
    )
    head, _, *lines = ([cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table.splitlines())
    tasks = [name for name in head if "/" in name]
    assert tasks == ["minigrid/red_fetch_green", "dmc/walker_walk"]
    for task in tasks:
        ours = dict(settings(preset("ppo", task).agent))
        for option, default, *cells in lines:
            told = cells[head.index(task) - 2]
            assert ours[option.removeprefix("--")] == (told or default), (task, option)


def augmentations(config: Any) -> Iterator[str]:
    """The strong augmentation of a configuration, or of one inside it; none for methods without."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Augmentation):
            yield value.augmentation
        elif dataclasses.is_dataclass(value):
            yield from augmentations(value)


def test_augmentations_their_defaults_and_who_uses_them_are_the_codes() -> None:
    text = (DOCS / "reference" / "augmentations.md").read_text()
    assert dict(DEFAULT.findall(text)) == dict(settings(Augmentation()))
    rows = re.findall(r"^\| `(\w+)` \|.*\|(.*)\|$", text, re.MULTILINE)
    told = {name: set(re.findall(r"`(\w+)`", methods)) for name, methods in rows}
    assert set(told) == set(get_args(get_type_hints(Augmentation)["augmentation"]))
    used = {(name, method) for method, row in METHODS.items() for name in augmentations(row.config)}
    assert {(name, method) for name, methods in told.items() for method in methods} == used


def test_defaults_of_training_are_the_codes() -> None:
    groups = (Training(), OffPolicy(), Teaching(), train_options.Environment())
    ours = {name: value or "()" for group in groups for name, value in settings(group)}
    ours |= {name: value for suite in SUITES.values() for name, value in settings(suite.options())}
    section = (DOCS / "reference" / "command-line.md").read_text().split("## train")[1].split("## evaluate")[0]
    told = dict(DEFAULT.findall(section))
    assert (told.pop("preset"), told.pop("out")) == ("paper", "runs/TASK/METHOD/SEED")
    assert told.pop("log") == str(train_options.Folder().log)
    assert told == ours


def test_defaults_of_explaining_are_the_codes() -> None:
    groups = (Subject(), Maps(), Checks(), Truth(), People())
    ours = {name: value or "()" for group in groups for name, value in settings(group) if name != "what"}
    section = (DOCS / "reference" / "command-line.md").read_text().split("## explain, score")[1].split("## attack")[0]
    assert dict(DEFAULT.findall(section)) == ours


def test_defaults_of_grids_are_the_codes() -> None:
    ours = {name: value for name, value in settings(Bench("list")) if name not in ("verb", "name")}
    ours = {name: "()" if value == "" else value for name, value in ours.items()}
    section = (DOCS / "reference" / "command-line.md").read_text().split("## bench")[1].split("## Variables")[0]
    assert dict(DEFAULT.findall(section)) == ours


def test_the_grid_that_the_guide_describes_is_one(tmp_path: Path) -> None:
    page = DOCS / "how-to" / "run-a-grid.md"
    (tmp_path / "mine.toml").write_text(blocks(page, "toml")[0])
    (tmp_path / "grids.py").write_text(blocks(page, "python")[0])
    grid = grid_named(str(tmp_path / "mine.toml"))
    check_names(grid)
    check_words(grid, parse_step)
    assert [step.name for step in cells_of(grid)[0].steps] == ["train", "evaluate", "score", "attack"]
    same = grid_named(f"{tmp_path / 'grids.py'}:MINE")
    assert [cell.name for cell in cells_of(same)] == [cell.name for cell in cells_of(grid)]


def test_defaults_of_attacking_are_the_codes() -> None:
    ours = dict(settings(Attack())) | {"epsilons": " ".join(map(str, Attack().epsilons))}
    section = (DOCS / "reference" / "command-line.md").read_text().split("\n## attack")[1].split("\n## ")[0]
    told = dict(DEFAULT.findall(section))
    assert len(told) >= 8 and told == {name: ours[name] for name in told}


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("saliency.md", SALIENCY),
        ("saliency.md", SCORES),
        ("saliency-scores.md", METRICS),
        ("../how-to/attack-a-policy.md", ATTACKS),
        ("../how-to/attack-a-policy.md", TARGETS),
        ("../how-to/test-under-shift.md", SHIFTS),
        ("../how-to/find-where-a-policy-breaks.md", SCENE_DIALS),
    ],
    ids=["methods", "scores", "metrics", "attacks", "targets", "shifts", "dials"],
)
def test_every_name_of_a_table_is_explained(page: str, names: dict[str, Any]) -> None:
    text = (DOCS / "reference" / page).read_text()
    assert [name for name in names if f"| `{name}`" not in text and f", `{name}` |" not in text] == []


def test_directions_of_metrics_are_the_codes() -> None:
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", (DOCS / "reference" / "saliency-scores.md").read_text(), re.MULTILINE)
    told = {
        name: way
        for names, ways in rows
        for name, way in zip(re.findall(r"`(\w+)`", names), ways.split(", "), strict=True)
    }
    assert {name: told[name] for name in METRICS} == {name: metric.direction for name, metric in METRICS.items()}


@every_method
def test_every_method_has_a_page_with_its_log_keys(method: str) -> None:
    page = DOCS / "methods" / f"{method}.md"
    if page.exists():
        text = page.read_text()
    else:  # a preset, on its parent's page
        title = f"## The preset `{method}`"
        texts = [other.read_text() for other in METHOD_PAGES if title in other.read_text()]
        assert len(texts) == 1, f"docs/methods needs a page {method}.md, or a section {title!r}"
        text = texts[0].split(title)[1].split("\n## ")[0]
    keys = [f"{phase.name}/{term}" for phase in build(method).phases for term in phase.terms]
    assert [key for key in keys if f"`{key}`" not in text] == []


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The file that the guide to a new method shows, imported under the name that it gives."""
    (tmp_path / "my_method.py").write_text(blocks(GUIDE, "python")[0])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_method", raising=False)
    return importlib.import_module("my_method")


def test_the_guides_method_learns_and_its_test_and_check_pass(guide: ModuleType) -> None:
    row = guide.INVARIANCE
    config = tiny(row.config)
    size = row.rendered_size(config)
    agent = row.make(config, Spaces((9, size, size), Continuous(ACTIONS)), torch.device("cpu"), Given(images))
    metrics = make_update(agent)(lambda count: sample("sac", 0, count), torch.Generator().manual_seed(0), 0)
    assert row.overlays(config) and metrics["critic/invariance"] > 0
    _, equation, check = blocks(GUIDE, "python")
    names: dict[str, Any] = {}
    exec(compile(equation, "test_my_method.py", "exec"), names)
    names["test_invariance_is_the_squared_change_of_q"]()
    exec(compile(check, "check.py", "exec"), {})


@pytest.mark.parametrize(
    ("page", "number"),
    [
        *[("how-to/use-in-other-libraries.md", number) for number in range(4)],
        ("how-to/see-where-a-policy-looks.md", 2),
        ("how-to/look-at-a-trained-agent.md", 0),
        ("how-to/score-against-gaze.md", 0),
        ("reference/saliency-scores.md", 0),
        ("how-to/report-a-grid.md", 0),
        ("how-to/report-a-grid.md", 1),
        ("how-to/train-on-minigrid.md", 0),
        ("how-to/train-on-minigrid.md", 1),
        ("how-to/guide-an-agent-that-chooses.md", 0),
        ("how-to/test-on-dmc-gb2.md", 0),
        ("how-to/test-under-shift.md", 0),
        ("how-to/test-under-shift.md", 1),
        ("how-to/find-where-a-policy-breaks.md", 0),
        ("how-to/find-where-a-policy-breaks.md", 1),
    ],
)
def test_examples_run(page: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = blocks(DOCS / page, "python")[number]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="stable_baselines3")
        exec(compile(code, "example.py", "exec"), {})


def test_the_checks_that_the_guide_shows_run_and_say_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = DOCS / "how-to" / "check-your-own.md"
    names: dict[str, Any] = {"__name__": "checks"}
    for code in blocks(page, "python"):
        exec(compile(code, "checks.py", "exec"), names)
    (said,) = blocks(page, "text")
    assert capsys.readouterr().out == said
    names_of_checks = re.findall(r"`(check_\w+)\(", page.read_text())
    assert set(names_of_checks) == {name for name in testing.__all__ if name.startswith("check_")}


def test_the_example_of_colours_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks(DOCS / "how-to" / "use-your-own-data.md", "python")[0], "example.py", "exec"), {})
    (setting,) = load_colors("color_hard.pt")
    assert setting.skybox_rgb == (0.9, 0.9, 0.2)
