"""What keeps a person from a page: one who uses a screen reader, or the keyboard alone, or sees little contrast.

The rules are those of WCAG 2.2 (levels A and AA) that a program can check, as axe-core does, in our own words:

- every control, group, picture, canvas and drawing has an accessible name, or says that it is decoration
- roles and states exist, and refer to what there is; ids are unique; a label has its control
- one ``h1``, and no heading skips a level; tables have header cells with a scope; there is one main part
- text stands out from its ground by 4.5 to 1, large text by 3 to 1 (1.4.3); disabled controls need not
- what scrolls can be scrolled with keys, and the page itself does not scroll sideways
- the Tab key reaches every control, and what has the focus shows it, by an outline of 3 to 1 (1.4.11, 2.4.7)

Text over a picture is not judged: nobody knows there what it lies on.
"""

from __future__ import annotations

from pathlib import Path

from browser import Browser

RULES = Path(__file__).with_suffix(".js").read_text("utf-8")
PHONE, DESK = 390, 1440  # pixels wide
VIEWS = ((PHONE, False), (PHONE, True), (DESK, False), (DESK, True))
WALKED = ((PHONE, True), (DESK, False))  # with the Tab key, each width and each scheme once
MOST_TABS = 1000
# Chromium draws a frame with the new size before it answers the second of two requests for one.
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))"


def assert_accessible(tab: Browser, *, views: tuple[tuple[int, bool], ...] = VIEWS) -> None:
    """Fail with every fault of the page that is open, in light and dark, at a phone's and a desk's width.

    Folded parts are opened for it. The page stays in the last view.
    """
    found: list[str] = []
    tab.value("document.querySelectorAll('details').forEach(one => { one.open = true; }), 0")
    for width, dark in views:
        show(tab, width, dark)
        told = faults(tab)
        if (width, dark) in WALKED:
            told += faults_of_focus(tab)
        found += [f"{width} pixels, {'dark' if dark else 'light'}: {one}" for one in told]
    assert not found, "\n".join(found)


def show(tab: Browser, width: int, dark: bool) -> None:
    """Give the page a width and a scheme."""
    tab.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    tab.send("Emulation.setEmulatedMedia", features=[scheme])
    tab.value(DRAWN)


def faults(tab: Browser) -> list[str]:
    """What is wrong with the page as it is shown now, a sentence each, which begins with the name of its rule."""
    return list(tab.value(RULES))


def faults_of_focus(tab: Browser) -> list[str]:
    """Go through the page with the Tab key; what cannot be reached, or does not show that it was."""
    tab.value(RULES)
    tab.value(
        "document.activeElement.blur(), getSelection().removeAllRanges(), scrollTo(0, 0),"
        " accessibility.places = accessibility.focusable(),"
        " accessibility.looks = accessibility.places.map(accessibility.look), 0"
    )
    # The walk begins at the top, wherever the focus was: an element of ours comes first, and goes after.
    tab.value(
        "(() => { const top = document.createElement('i'); top.tabIndex = 0; document.body.prepend(top);"
        " top.focus(); accessibility.top = top; })()"
    )
    wrong: list[str] = []
    reached: set[int] = set()
    for _ in range(MOST_TABS):
        tab.press("Tab")
        told = tab.value("document.activeElement === accessibility.top ? null : accessibility.focus()")
        if told is None or (told["at"] >= 0 and told["at"] in reached):
            break
        reached.add(told["at"])
        if told["wrong"]:
            wrong.append(told["wrong"])
    missed = sorted(set(range(tab.value("accessibility.places.length"))) - reached)
    wrong += [
        f"focus: {tab.value(f'accessibility.spelled(accessibility.places[{one}])')} is not reached with the Tab key"
        for one in missed
    ]
    tab.value("document.activeElement.blur(), accessibility.top.remove(), 0")
    return wrong
