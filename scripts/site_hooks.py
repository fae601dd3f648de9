"""What mkdocs.yml cannot say of the site: which page stands where in the navigation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Every page of a folder is in its section, in the order of the file names; a new page needs no line anywhere.
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
    """The navigation, from the folders."""
    docs = Path(config["docs_dir"])
    config["nav"] = [{title: page} for title, page in FIRST.items()]
    for title, folder in SECTIONS.items():
        pages = [str(path.relative_to(docs)) for path in sorted((docs / folder).glob("*.md"))]
        config["nav"].append({title: [*BESIDE.get(title, ()), *pages]})
    return config
