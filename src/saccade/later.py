"""Functions that are named in a table and imported only when first called.

Reading such a table costs nothing: its rows can be listed, and their options explained, without loading torch.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final


@final
@dataclass(frozen=True)
class Later:
    """The function ``name`` of ``module``, with some keywords already set; called like the function itself."""

    module: str
    name: str
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def function(self) -> Callable[..., Any]:
        """Import the function and return it."""
        found: Callable[..., Any] = getattr(importlib.import_module(self.module), self.name)
        return functools.partial(found, **self.keywords) if self.keywords else found

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.function(*arguments, **keywords)

    @property
    def __name__(self) -> str:  # as a function's, for messages
        return self.name

    @property
    def __signature__(self) -> inspect.Signature:  # what inspect.signature reads
        return inspect.signature(self.function)
