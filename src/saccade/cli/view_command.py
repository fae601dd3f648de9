"""``saccade view WHAT --task T``: the live page."""

from __future__ import annotations

import secrets
import shlex
import webbrowser

from saccade.cli import terminal
from saccade.cli.explaining import policy_and_task, say, task_and_modes
from saccade.cli.options import View
from saccade.cli.parsing import parsed
from saccade.explain.session import Session
from saccade.explain.tasks import CLEAN
from saccade.policies.load import load_any
from saccade.types import UserError
from saccade.viewer.live.serving import needs_extra, serve

LEAST_TOKEN = 8  # characters


def run(words: list[str]) -> int:
    """Run the command; return the exit code."""
    options = parsed(View, "saccade view", words)
    _check(options)
    needs_extra()
    console = terminal.console()
    policy, task = policy_and_task(options.subject)
    opening = options.subject.opening
    assert task is not None
    policies = [policy]
    if options.other is not None:
        policies.append(load_any(options.other, device=opening.device, trust=opening.trust))
    _, modes = task_and_modes(opening.task, options.subject.modes)
    mode = (modes or (CLEAN,))[0]

    def ready(address: str) -> None:
        say(console, f"Open {address} on this machine. Ctrl-C ends it.")
        if options.browser:
            _open(address)

    def make() -> Session:
        return Session(policies, task, mode=mode, seed=options.seed)

    serve(
        make,
        title=f"{policy.name} in {task.name}",
        command=shlex.join(["saccade", "view", *words]),
        port=options.port,
        token=options.token or secrets.token_urlsafe(16),
        ready=ready,
    )
    return 0


def _open(address: str) -> None:
    try:
        found = webbrowser.get()
    except webbrowser.Error as error:
        raise UserError("There is no browser on this machine: leave --browser out and open the address.") from error
    found.open(address)


def _check(options: View) -> None:
    if options.subject.obs is not None:
        raise UserError("--obs is recorded, and cannot be played further: `saccade explain` shows it.")
    if not 0 <= options.port <= 65535:
        raise UserError(f"--port {options.port} is no port: use 0 to 65535; 0 is any free one.")
    if options.seed < 0:
        raise UserError(f"--seed {options.seed} is negative: it must be 0 or more.")
    if options.token is not None and (len(options.token) < LEAST_TOKEN or not options.token.isascii()):
        raise UserError(f"--token is a secret: give it {LEAST_TOKEN} letters and digits or more.")
    if len(options.subject.modes) > 1:
        raise UserError("--modes takes one mode here: others can be chosen on the page.")
