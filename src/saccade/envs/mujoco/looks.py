"""How a MuJoCo task may be looked at. Loads no simulator."""

from __future__ import annotations

FIRST_CAMERA = "0"  # of a robot task, which has no other, and of runs before there was a choice
