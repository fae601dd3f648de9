"""Check your own code against what Saccade relies on: a broken promise is reported in one sentence.

``check_environment(make)``, ``check_modes(make, modes)``, ``check_method(method)``, ``check_saliency(method)`` and
``check_metric(metric)`` return nothing, or raise ``ConformanceError``. They need no test runner; Saccade's own contract
tests call them for everything in its tables.
"""

from __future__ import annotations

from saccade.testing.conformance import ConformanceError
from saccade.testing.environments import check_environment
from saccade.testing.methods import check_method
from saccade.testing.metric_cases import Cases
from saccade.testing.metrics import check_metric
from saccade.testing.modes import check_modes
from saccade.testing.saliency import check_saliency

__all__ = [
    "Cases",
    "ConformanceError",
    "check_environment",
    "check_method",
    "check_metric",
    "check_modes",
    "check_saliency",
]
