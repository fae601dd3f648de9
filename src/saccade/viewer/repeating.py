"""The end of a page: the command that makes it again, and the settings, folded away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from saccade.viewer.page import Code, Facts, Folded, Heading, Section

Pairs = Sequence[tuple[str, str]]


def repeat_sections(command: str, settings: Pairs = (), versions: Pairs = ()) -> Iterator[Section]:
    """Yield the command, and the settings, which few want to see."""
    if not command and not settings and not versions:
        return
    yield Heading("How to repeat this")
    if command:
        yield Code(command)
    for title, pairs in (("Settings", settings), ("Versions", versions)):
        if pairs:
            yield Folded(title, Facts(tuple(pairs)))
