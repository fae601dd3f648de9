"""A mode that changes nothing tests nothing: what each changes is measured, told in every table, and marked."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from saccade.bench.results import cell, changes_of, newest_results
from saccade.envs.changes import LEAST_SHARE, changed_share, changed_share_text, too_little
from saccade.envs.config import EnvConfig
from saccade.policies.evaluate import EvaluationEnvs, evaluate, evaluation_row

SMALL = {"image_size": 36, "frame_stack": 2, "render_quality": "fast", "action_repeat": 500}


def test_the_share_by_hand() -> None:
    clean = np.full((2, 3, 2, 5), 100, np.uint8)
    seen = clean.copy()
    seen[0, 2, 0, 0] = 104  # one colour, by as much as is seen
    seen[0, :, 0, 1] = 103  # by less
    seen[1, 0, 1, 4] = 0  # no wrap of bytes
    assert changed_share(clean, seen) == changed_share(seen, clean) == 2 / 20
    assert changed_share(clean, clean) == 0


def test_what_is_too_little_is_marked() -> None:
    assert [changed_share_text(share) for share in (0.0, 1.0, 0.431, 0.0432, 0.01, 0.0099, 0.00002)] == [
        *("0% !", "100%", "43%", "4.3%", "1.0%", "1.0% !", "0.002% !"),
    ]
    assert too_little(0.0) and not too_little(LEAST_SHARE) and not too_little(None)


def evaluated(task: str, mode: str, **options: object) -> dict[str, object]:
    env = EnvConfig.parse(task, mode=mode, **SMALL, **options)
    result = evaluate(lambda obs: np.zeros((len(obs), actions(task))), env, episodes=2, seed=0, workers=0)
    return evaluation_row(result, method="sac", env=env, seed=0, env_steps=7)


def actions(task: str) -> int:
    return {"dmc/reacher_easy": 2, "dmc/cartpole_balance": 1, "dmc/fish_upright": 5}[task]


# What is in view: the camera of reacher and fish looks down and sees no sky.
MEASURED = [
    ("dmc/reacher_easy", "video_easy", 0.0, 0.0),
    ("dmc/reacher_easy", "video_hard", 0.3, 1.0),
    ("dmc/fish_upright", "video_easy", 0.0, 0.0),
    ("dmc/cartpole_balance", "video_easy", 0.2, 0.95),
    ("dmc/cartpole_balance", "color_hard", 0.5, 1.0),
    ("dmc/cartpole_balance", "train", None, None),
]


@pytest.mark.parametrize(("task", "mode", "least", "most"), MEASURED)
def test_an_evaluation_measures_what_its_mode_changes(
    task: str, mode: str, least: float | None, most: float | None
) -> None:
    row = evaluated(task, mode)
    share = row["changed_pixels"]
    if least is None or most is None:
        assert share is None
        return
    assert isinstance(share, float) and least <= share <= most
    assert cell(row).endswith("!") == (share < LEAST_SHARE)
    told = changes_of(newest_results([row]))
    assert told[0] == f"Pixels that look different from train in {task}: {mode} {changed_share_text(share)}"
    assert len(told) == (2 if share < LEAST_SHARE else 1)


def test_one_clip_after_the_other_is_compared_with_its_own_state() -> None:
    row = evaluated("dmc/reacher_easy", "video_easy", clip_order="sequential")
    assert row["changed_pixels"] == 0


def test_it_is_measured_once_for_each_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = EvaluationEnvs.made

    def counted(self: EvaluationEnvs, env: EnvConfig, seeds: list[int]) -> object:
        made.append(env.mode)
        return original(self, env, seeds)

    monkeypatch.setattr(EvaluationEnvs, "made", counted)
    with closing(EvaluationEnvs(0)) as envs:
        for _ in range(2):
            for mode in ("train", "color_easy"):
                env = EnvConfig.parse("dmc/cartpole_balance", mode=mode, **SMALL)
                evaluate(lambda obs: np.zeros((len(obs), 1)), env, episodes=1, seed=0, envs=envs)
    assert made == ["train", "color_easy", "train", "train", "color_easy"]


def test_rows_of_an_earlier_version_are_not_marked() -> None:
    row = evaluated("dmc/reacher_easy", "video_easy")
    del row["changed_pixels"]
    assert not cell(row).endswith("!") and changes_of(newest_results([row])) == []
