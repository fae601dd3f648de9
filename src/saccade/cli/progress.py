"""The progress bar of a training run."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from saccade.cli import terminal
from saccade.envs.changes import changed_share_text
from saccade.train.events import Event
from saccade.train.loop import Loop
from saccade.train.ways import paths_of

ESTIMATE_SECONDS = 300.0


class TrainingProgress:
    """One live line: steps, updates per second, the last episode's return, time left. Results are printed above it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar = Progress(
            terminal.column("{task.description}"),
            BarColumn(bar_width=None),
            terminal.column("{task.completed:.0f}/{task.total:.0f}"),
            terminal.column("{task.fields[speed]}"),
            terminal.column("{task.fields[latest]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=ESTIMATE_SECONDS,
        )
        self._line = self._bar.add_task("starting", total=1, speed="", latest="")

        self._lines = terminal.LogLines(console)

    def start(self) -> None:
        self._bar.start()

    def stop(self) -> None:
        self._bar.stop()

    def preparing(self, what: str, done: int, total: int) -> None:
        """Update the line while pictures and the like are prepared."""
        self._bar.update(self._line, description=f"preparing {what}", completed=done, total=total)
        self._lines.say(lambda: f"preparing {what}: {done} of {total}")

    def show(self, event: Event, training: Loop) -> None:
        """Update the line for an event, and print evaluations."""
        progress = training.progress()
        self._bar.update(
            self._line,
            completed=progress.done,
            total=training.config.steps,
            description=progress.doing + (", evaluating" if training.counters.modes_left else ""),
        )
        if progress.speed:
            self._bar.update(self._line, speed=progress.speed)
        self._lines.say(self._in_words)
        if event.kind == "begun":
            for sentence in paths_of(training):
                self.console.print(sentence, style="dim", highlight=False)
        elif event.kind == "note":
            self._bar.update(self._line, description=event.row["note"].partition(":")[0])
            self.console.print(event.row["note"], style="dim", highlight=False)
        elif event.kind == "warning":
            self.console.print(event.row["warning"], style="yellow", highlight=False, markup=False)
        elif event.kind == "episode":
            self._bar.update(self._line, latest=f"return {event.row['episode/return']:.0f}")
        elif event.kind == "evaluating":
            self._bar.update(self._line, description=f"evaluating {event.row['mode']}")
        elif event.evaluation is not None:
            result = event.evaluation
            rate = result.success_rate
            succeeded = "" if rate is None else f", {100 * rate:.0f}% of them a success"
            if result.changed_pixels is not None:
                succeeded += f"; the mode changes {changed_share_text(result.changed_pixels)} of the pixels"
            self.console.print(
                f"step {event.row['env_steps']}: {result.mode} return {result.mean:.1f} ± {result.std:.1f} "
                f"over {len(result.returns)} episodes{succeeded}",
                highlight=False,
            )

    def _in_words(self) -> str:
        """The bar's content as a line of a log."""
        task = self._bar.tasks[0]
        parts = [f"{task.description}: {task.completed:.0f} of {task.total:.0f}", task.fields["speed"]]
        left = task.time_remaining
        parts += [task.fields["latest"], "" if left is None else f"{left / 60:.0f} minutes left"]
        return ", ".join(filter(None, parts))
