"""What mkdocs.yml cannot say of the site: which page stands where in the navigation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Every page of a folder is in its section, in the order in which the first page links to them.
SECTIONS = {
    "Tutorials": "tutorials",
    "How-to": "how-to",
    "Methods": "methods",
    "Reference": "reference",
    "API": "api",
    "Decisions": "decisions",
}
FIRST = {"Home": "index.md"}
BESIDE = {"Tutorials": (), "Reference": ("concepts.md", "glossary.md")}
"""Pages of no folder, and the section that they begin."""


def on_config(config: Any) -> Any:
    """The navigation: what is in the folders, in the order of the first page's links."""
    docs = Path(config["docs_dir"])
    first = (docs / FIRST["Home"]).read_text(encoding="utf-8")

    def place(page: str) -> tuple[int, str]:
        """Where the first page links to it; after all others where it does not."""
        found = first.rfind(f"]({page}")  # pictures at its top link to some, too
        return (found if found >= 0 else len(first), page)

    config["nav"] = [{title: page} for title, page in FIRST.items()]
    for title, folder in SECTIONS.items():
        pages = sorted((str(path.relative_to(docs)) for path in (docs / folder).glob("*.md")), key=place)
        config["nav"].append({title: [*BESIDE.get(title, ()), *pages]})
    return config
