"""A policy, an environment and saliency methods become recordings and rows.

``explain(saccade.load(WHAT), TASK)`` finds the maps, ``score(explanation)`` says whether they are right.
"""

from saccade.explain.explanation import Explanation, Moments, explain
from saccade.explain.maps import MethodSettings
from saccade.explain.measuring import ScoreSettings, score
from saccade.explain.rows import save_rows

__all__ = ["Explanation", "MethodSettings", "Moments", "ScoreSettings", "explain", "save_rows", "score"]
