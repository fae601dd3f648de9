"""What the program prints, and to what: names as they are, any encoding, full disks, logs; and what ends it."""

from __future__ import annotations

import io
import itertools
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from test_command_line import words_for

from saccade.cli import main, terminal
from saccade.cli.terminal import LogLines
from saccade.data.user_code import at_work

NAMES = ("[red]", "[/]", "[/red]", ":smile:", "[link=x]", "a [b")
COMMAND = [sys.executable, "-m", "saccade.cli"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_printed_as_it_is(name: str) -> None:
    file = io.StringIO()
    console = terminal.console()
    console.file = file
    table = terminal_table(name)
    console.print(name)
    console.print(terminal.heading(name, f": {name}"))
    console.print(table)
    with terminal.progress(console, transient=False) as bar:
        bar.update(bar.add_task(name, total=1), completed=1)
    assert file.getvalue().count(name) == 6


def terminal_table(name: str) -> Any:
    from rich.table import Table

    table = Table(title=name)
    table.add_column("x")
    table.add_row(name)
    return table


NAMES = ("[/]", "[red]", ":smile:")
TYPED = (
    ["NAME"],
    ["train", "NAME", "dmc/walker_walk"],
    ["train", "sac", "NAME"],
    ["train", "--resume", "NAME"],
    ["train", "sac", "dmc/walker_walk", "--device", "NAME"],
    ["train", "sac", "dmc/walker_walk", "--images", "NAME", "--evaluation-modes", "NAME"],
    ["evaluate", "NAME"],
    ["explain", "NAME"],
    ["explain", "NAME", "--task", "NAME"],
    ["score", "--policy", "NAME", "--task", "dmc/walker_walk"],
    ["list", "--preset", "NAME"],
    ["list", "--preset", "sac", "--task", "NAME"],
    ["demo", "--task", "NAME"],
)
DOCTOR = ["doctor", "--data", "NAME"]  # once: it looks at the whole machine each time


@pytest.mark.parametrize(("words", "name"), [*itertools.product(TYPED, NAMES), (DOCTOR, NAMES[0])])
def test_a_wrong_name_that_looks_like_markup(words: list[str], name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """No command reads it as markup, which would fail, or not show it."""
    code = main([name if word == "NAME" else word for word in words])
    told = capfd.readouterr()
    assert code in (1, 2) and name in told.out + told.err and "Traceback" not in told.err


def test_commands_print_to_one_kind_of_console() -> None:
    """Whoever makes another reads names as markup."""
    folder = Path(terminal.__file__).parent
    for path in folder.glob("*.py"):
        text = path.read_text()
        assert path.name == "terminal.py" or ("Console(" not in text and " TextColumn(" not in text), path.name


# --- encodings and places that cannot be written ----------------------------------------------------


def run(*words: str | bytes, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *words], stderr=subprocess.PIPE, timeout=120, check=False, **options)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_output_that_is_not_utf_8(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["list"]) == 0
    console = terminal.console()
    console.print("points ↑ ± \udcff")
    assert "\\u2191" in stream.buffer.getvalue().decode(encoding)


def test_a_word_that_is_not_utf_8_is_one_sentence() -> None:
    done = run("evaluate", b"run\xff")
    assert done.returncode == 2 and b"is not text in UTF-8" in done.stderr and b"Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["list"], ["--help"], ["train", "--help"]])
def test_a_full_disk_is_one_sentence(words: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = run(*words, stdout=full)
    assert (done.returncode, done.stderr.decode()) == (
        1, "saccade: the output cannot be written: No space left on device.\n",
    )  # fmt: skip


def test_a_reader_that_has_left_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as file:
        done = run("list", stdout=file)
    assert (done.returncode, done.stderr) == (0, b"")


def test_output_that_is_closed() -> None:
    done = subprocess.run(["sh", "-c", f"{' '.join(COMMAND)} list >&-"], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0 and b"Traceback" not in done.stderr


def test_too_few_open_files_is_one_sentence() -> None:
    done = run("list", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5)), stdout=subprocess.DEVNULL)
    assert done.returncode in (0, 1) and b"Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(24, "Too many open files", "x"), "x: Too many open files"),
        (MemoryError(), "not enough memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
            "not enough memory",
        ),
        (ImportError("libx.so: cannot open shared object file: Too many open files"), "a library cannot be loaded"),
    ],
)
def test_what_a_machine_lacks_is_one_sentence(
    error: Exception, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(words: list[str]) -> int:
        raise error

    monkeypatch.setattr("saccade.cli._dispatch", fail)
    assert main(["list"]) == 1
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1


def test_a_mistake_of_the_program_keeps_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(words: list[str]) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr("saccade.cli._dispatch", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["list"])


# --- what ends it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_while_a_command_starts_is_one_sentence(number: signal.Signals, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    (tmp_path / "net.py").write_text("import time\nopen('started', 'w').close()\ntime.sleep(100)\n")
    words = ["explain", "--policy", "net.py:Net", "--task", "net.py:Net"]
    process = subprocess.Popen([*COMMAND, *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    (tmp_path / "started").read_bytes()  # a person's code that never returns
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    expected = b"interrupted" if number == signal.SIGINT else f"ended by {number.name}".encode()
    assert process.returncode == 130 and told == b"saccade: " + expected + b".\n"


STUBBORN = {
    "catches it": """
import time
while True:
    try:
        time.sleep(0.1)
    except BaseException:
        pass
""",
    "does not listen": """
import hashlib
hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
""",
}


@pytest.mark.parametrize("how", STUBBORN)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_code_that_does_not_stop_is_ended(number: signal.Signals, how: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "started")
    (tmp_path / "net.py").write_text("open('started', 'w').close()\n" + STUBBORN[how])
    words = ["explain", "--policy", "net.py:Net", "--task", "net.py:Net"]
    process = subprocess.Popen([*COMMAND, *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    (tmp_path / "started").read_bytes()
    time.sleep(1)  # until it is at work
    begun = time.monotonic()
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and time.monotonic() - begun < 15
    assert told == b"saccade: interrupted; Running net.py did not stop by itself.\n"


def test_a_log_is_told_of_code_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "FIRST_LINE_SECONDS", 0.2)
    monkeypatch.setattr(terminal, "SECONDS_BETWEEN_LOOKS", 0.05)
    (tmp_path / "net.py").write_text("import time\ntime.sleep(2)\ndef Net():\n    return 1 / 0\n")
    assert main(["explain", "--policy", "net.py:Net", "--task", "net.py:Net"]) == 2
    told = capsys.readouterr()
    assert re.search(r"Running net\.py has taken \d+ seconds so far", told.out)
    assert "ZeroDivisionError" in told.err
    assert at_work() is None


# --- logs -------------------------------------------------------------------------------------------


def test_a_log_gets_a_line_soon_and_then_every_minute() -> None:
    now, file = [0.0], io.StringIO()
    lines = LogLines(Console(file=file), clock=lambda: now[0])
    for second in range(200):
        now[0] = float(second)
        lines.say(lambda: f"at {now[0]:.0f}")
    assert file.getvalue().split("\n")[:-1] == ["at 10", "at 70", "at 130", "at 190"]
    quiet = io.StringIO()
    on_screen = LogLines(Console(file=quiet, force_terminal=True), clock=lambda: now[0])
    now[0] += 1000
    on_screen.say(lambda: "no")
    assert quiet.getvalue() == ""


def test_a_training_run_writes_lines_into_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And its folder may be called as it likes."""
    from test_command_line import FLAGS, TASK

    monkeypatch.setattr(terminal, "FIRST_LINE_SECONDS", 0.0)
    monkeypatch.setattr(terminal, "SECONDS_BETWEEN_LINES", 0.0)
    assert main(["train", "sac", TASK, *words_for(FLAGS), "--out", "[/]"]) == 0
    told = capsys.readouterr().out
    assert "training: 20 of 20, " in told and "updates/s" in told and "Done: [/]" in told
    assert main(["evaluate", "[/]", "--modes", "train", "--episodes", "1", "--workers", "0"]) == 0
    assert "[/] train: 1 of 1 episodes" in capsys.readouterr().out
    began = time.monotonic()
    assert main(["explain", "[/]", "--methods", "gradient", "--frames", "1", "--max-steps", "2"]) == 0
    told = capsys.readouterr().out
    assert "train: playing: 1 of 2" in told and "Open [/]/explain/report.html" in told
    assert time.monotonic() - began < 60
