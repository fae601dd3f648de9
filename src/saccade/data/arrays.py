"""What goes wrong where NumPy opens a file that somebody has damaged, or that never was one of its own."""

from __future__ import annotations

import tokenize
import zipfile
import zlib

DAMAGED = (
    *(OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error),
    *(SyntaxError, tokenize.TokenError),  # of a header, which NumPy reads as Python
)
"""All that ``numpy.load``, or an array that is taken out of what it gave, raises for such a file. A sentence of ours is
a ValueError too: let ``UserError`` through first."""
