"""Errors of NumPy when it opens a file that is damaged or not one of its own."""

from __future__ import annotations

import tokenize
import zipfile
import zlib

DAMAGED = (
    *(OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error),
    *(SyntaxError, tokenize.TokenError),  # of a header, which NumPy reads as Python
)
"""All that ``numpy.load``, or taking an array out of its result, raises for such a file. UserError is
a ValueError too: let ``UserError`` through first."""
