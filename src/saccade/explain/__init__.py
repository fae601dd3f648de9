"""Play a policy in an environment, compute saliency maps, and score them.

``saliency(saccade.load(WHAT), obs)`` computes maps of an array of observations; ``explain(saccade.load(WHAT), TASK)``
maps of an episode, and ``score(explanation)`` says whether they are right; ``with_further_episodes(explanation)`` adds
frames where the episode had too few. ``evaluate(policy, TASK, modes=...)`` plays whole episodes, also under shifts,
which ``Shift(env, "brightness:0.5")`` applies to any environment; ``dial(policy, TASK, "brightness")`` says how much of
a shift a policy withstands.
"""

from saccade.explain.arrays import saliency
from saccade.explain.dials import dial
from saccade.explain.evaluating import evaluate
from saccade.explain.explanation import Explanation, Moments, explain, explain_recorded
from saccade.explain.further import with_further_episodes
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
    "with_further_episodes",
]
