"""A policy, an environment and saliency methods become recordings and rows.

``saliency(saccade.load(WHAT), obs)`` gives maps of an array; ``explain(saccade.load(WHAT), TASK)`` finds the maps of an
episode, ``score(explanation)`` says whether they are right. ``evaluate(policy, TASK, modes=...)`` plays whole episodes,
under shifts too, which ``Shift(env, "brightness:0.5")`` puts on any environment; ``dial(policy, TASK, "brightness")``
says how much of one a policy stands.
"""

from saccade.explain.arrays import saliency
from saccade.explain.dials import dial
from saccade.explain.evaluating import evaluate
from saccade.explain.explanation import Explanation, Moments, explain, explain_recorded
from saccade.explain.gaze import GazeSettings, explain_gaze
from saccade.explain.maps import MethodSettings
from saccade.explain.measuring import ScoreSettings, score
from saccade.explain.recorded import read_recorded
from saccade.explain.rows import save_rows
from saccade.explain.shifted import Shift

__all__ = [
    "Explanation",
    "GazeSettings",
    "MethodSettings",
    "Moments",
    "ScoreSettings",
    "Shift",
    "dial",
    "evaluate",
    "explain",
    "explain_gaze",
    "explain_recorded",
    "read_recorded",
    "saliency",
    "save_rows",
    "score",
]
