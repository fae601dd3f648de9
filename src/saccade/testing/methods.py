"""Check that a method does what training, resuming, compiling and explaining rely on."""

from __future__ import annotations

from typing import Any

from saccade.agents import Method
from saccade.testing.acting import check_acts, check_maps, check_outputs, check_pictures, check_relus, check_saved
from saccade.testing.cases import MakeAgent, case_of
from saccade.testing.phases import check_phases
from saccade.testing.updates import check_updates
from saccade.types import Spaces


def check_method(
    method: Method | MakeAgent, spaces: Spaces | None = None, *, config: Any = None, updates: int = 4
) -> None:
    """Make agents of a method on the CPU, let them act and learn from noise, and compare.

    First acting, maps, pictures, outputs and saved networks; then every phase of an update, eager and compiled; then
    two seeded runs of several updates. The method learns from transitions or, if the row's ``loop`` is ``on_policy``,
    from decisions. This takes seconds for small networks and batches, minutes for published ones: give a small
    ``config``.

    Args:
        method: a row such as those of ``saccade.agents.METHODS``, or ``make(config, spaces, device, given) -> Agent``,
            which learns from transitions.
        spaces: those that agents are made for; by default three RGB frames of the size that the row renders, and
            actions of two numbers.
        config: the method's hyper-parameters, by default the row's.
        updates: updates in each run.

    Raises:
        ConformanceError: one sentence with what was wrong, in which phase, loss or parameter, and what to do.
        UserError: a function came without its configuration or spaces.
    """
    case = case_of(method, spaces, config)
    for check in (check_acts, check_outputs, check_relus, check_maps, check_pictures, check_saved, check_phases):
        check(case)
    check_updates(case, updates)
