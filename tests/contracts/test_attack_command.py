"""``saccade attack``: rows, page, sentences; going on after an interruption; what is refused before it plays."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from any_evaluations import put_policy, refusal
from browser import Browser, browser
from foreign_policies import CASES, pictures, trained
from test_page import Reader

import saccade
from saccade.attacks import ATTACKS
from saccade.bench.robustness import sentences
from saccade.cli import main
from saccade.explain.attacking import Play, cells_of, under_attack
from saccade.explain.evaluating import evaluate
from saccade.explain.fitting import fitting
from saccade.explain.tasks import task_of
from saccade.policies.attacked import Attacker, AttackSettings
from saccade.policies.targets import TARGETS, target_score
from saccade.types import UserError

pytestmark = pytest.mark.usefixtures("elsewhere")

QUICK = ["--device", "cpu"]
WAVES = ["attack", "ppo.zip", "--task", "envs.py:Waves", "--episodes", "3", *QUICK]
FEW = ["--attacks", "fgsm", "mad", "--beside", "random_sign", "--epsilons", "0", "4", "12"]
CONTINUOUS = ("ppo_box", "sac", "td3", "ppo_box_sde")
DISCRETE = ("ppo_discrete", "dqn", "a2c_unit", "a2c_discrete")


@pytest.fixture
def policy(ppo_zip: Path, elsewhere: None) -> Path:
    return put_policy(ppo_zip)


def rows_of(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "attacks.jsonl").read_text().splitlines()]


def test_a_zip_in_somebodys_environment(policy: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = [*WAVES, *FEW, "--transfer-from", "ppo.zip"]
    assert main(words) == 0
    out = capsys.readouterr().out
    rows = rows_of("evaluations/ppo")
    names = ["fgsm", "mad", "random_sign", "transfer"]
    cells = [(row["attack"], row["epsilon"]) for row in rows]
    assert cells == [("none", 0.0), *((name, budget) for budget in (4.0, 12.0) for name in names)]
    for row in rows:
        assert row["task"] == "envs.py:Waves" and row["method"] == "PPO" and row["source"] == "ppo.zip"
        assert len(row["returns"]) == row["episodes"] == 3 and row["return_mean"] == np.mean(row["returns"])
        assert 0 <= row["success_rate"] <= 1 and "4 grey frames" in row["provenance"]["observations"]
        assert row["target"] == ("policy" if row["attack"] == "mad" else "action")
        attacked = row["epsilon"] > 0
        assert (row["action_change"] is not None) == attacked and (row["untouched"] is not None) == attacked
        assert row["transfer_from"] == ("ppo.zip" if row["attack"] == "transfer" else None)
    for told in sentences(rows):
        assert told in out
    page = Path("evaluations/ppo/attacks.html")
    text = page.read_text()
    assert "clean</small>" in text and "difference x 1" in text and "would do" in text
    assert all(f"<dt>{name}</dt>" in text for name in names)
    _curves_belong_to_the_film(text)
    with browser(tmp_path / "browser") as tab:
        for width in (390, 1440):
            for dark in (False, True):
                looked_at(tab, page, width, dark)

    assert main(words) == 0  # nothing is played again
    assert "9 of 9 cells have been played before" in capsys.readouterr().out and rows_of("evaluations/ppo") == rows
    assert main([*words, "--epsilons", "0", "2"]) == 0  # only what is missing
    assert [row["epsilon"] for row in rows_of("evaluations/ppo")[len(rows) :]] == [2.0] * 4
    assert main([*words, "--seed", "1", "--attacks", "fgsm", "--epsilons", "0"]) == 0
    assert rows_of("evaluations/ppo")[-1]["episode_seed"] == 1  # another setting, another row


def _curves_belong_to_the_film(text: str) -> None:
    """Value with and without the attack, reward, and the chances of what it saw, of which the greatest is done."""
    reader = Reader(text)
    [charts] = [json.loads(found["data-charts"] or "") for _, found in reader.elements if "data-charts" in found]
    [part] = [found for _, found in reader.elements if "data-lines" in found]
    lines = json.loads(part["data-lines"] or "")
    value, reward, total, chances, moved = charts
    titles = ["value", "reward", "return so far", "probabilities", "another action (1) or the same (0)"]
    assert [one["title"] for one in charts] == titles
    assert [line["name"] for line in value["lines"]] == ["of what it sees", "of the clean picture"]
    seen, clean = (line["values"] for line in value["lines"])
    assert len(seen) == len(clean) == len(lines) and seen != clean
    assert total["lines"][0]["values"] == pytest.approx(np.cumsum(reward["lines"][0]["values"]), rel=1e-3)
    likely = np.array([line["values"] for line in chances["lines"]]).argmax(0)
    does = [line.partition("does ")[2].partition(",")[0] for line in lines]
    would = [line.partition("would do ")[2].partition(";")[0] for line in lines]
    assert does == [str(place) for place in likely]
    assert moved["lines"][0]["values"] == [float(a != b) for a, b in zip(does, would, strict=True)]


def looked_at(tab: Browser, page: Path, width: int, dark: bool) -> None:
    tab.open(page, width=width, dark=dark)
    assert tab.value("document.documentElement.scrollWidth") <= width and tab.problems == []
    line = tab.value("document.querySelector('.line').textContent")
    assert line.startswith("step 0: does ")


def test_budget_0_is_what_evaluate_plays(policy: Path) -> None:
    loaded = saccade.load("ppo.zip", device="cpu")
    task = task_of(loaded, "envs.py:Waves")
    (clean,) = under_attack(loaded, task, cells_of(["pgd"], [0]), AttackSettings(), Play(episodes=12, seed=4))
    (expected,) = evaluate(loaded, task, modes=("train",), episodes=12, seed=4)
    assert clean.evaluation.returns == expected.returns and clean.evaluation.successes == expected.successes
    assert clean.action_change is None


def test_episodes_that_are_left_are_told_as_evaluate_tells_them(policy: Path) -> None:
    loaded = saccade.load("ppo.zip", device="cpu")
    task = task_of(loaded, "envs.py:Endless")
    play = Play(episodes=3, max_steps=5)
    told = r"3 of 3 episodes in train had not ended after 5 agent steps and were left: .* --max-steps"
    with pytest.warns(UserWarning, match=told):
        (clean,) = under_attack(loaded, task, cells_of(["pgd"], [0]), AttackSettings(), play)
    with pytest.warns(UserWarning, match=told):
        (expected,) = evaluate(loaded, task, modes=("train",), episodes=3, max_steps=5)
    assert clean.evaluation.returns == expected.returns


def test_environments_are_closed_where_one_cannot_be_made(policy: Path) -> None:
    loaded = saccade.load("ppo.zip", device="cpu")
    task = task_of(loaded, "envs.py:Waves")
    closed: list[int] = []

    numbers = itertools.count()

    def made(mode: str, masks: bool) -> Any:
        number = next(numbers)
        if number == 2:
            raise UserError("no more of them")
        env = task.make(mode, masks)
        env.close = lambda: closed.append(number)
        return env

    broken = dataclasses.replace(task, make=made)
    with pytest.raises(UserError, match="no more of them"):
        list(under_attack(loaded, broken, cells_of(["pgd"], [4]), AttackSettings(), Play(episodes=4)))
    assert sorted(closed) == [0, 1]


def test_episodes_do_not_depend_on_those_beside_them(policy: Path) -> None:
    loaded = saccade.load("ppo.zip", device="cpu")
    task = task_of(loaded, "envs.py:Waves")
    cells = cells_of(["pgd", "random_sign"], [6])
    few, more = (
        [one.evaluation.returns for one in under_attack(loaded, task, cells, AttackSettings(), Play(episodes=count))]
        for count in (2, 5)
    )
    assert few == [returns[:2] for returns in more]


def test_an_interrupted_command_goes_on(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word if word != "envs.py:Waves" else "envs.py:Interrupted" for word in [*WAVES, *FEW]]
    for played in range(1, 7):  # each time the environment gives up in the second cell that it is asked for
        assert main(words) == 130
        assert f"{played} of 7 cells are in" in capsys.readouterr().err
        assert len(rows_of("evaluations/ppo")) == played
    assert main(words) == 130  # all is played, and the film is not
    assert main(words) == 0
    rows = rows_of("evaluations/ppo")
    assert len({(row["attack"], row["epsilon"]) for row in rows}) == len(rows) == 7


def test_rows_count_where_the_code_is_the_same(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*WAVES, "--attacks", "fgsm", "--beside", "--epsilons", "0"]
    assert main(words) == 0
    code, rows = Path("envs.py"), Path("evaluations/ppo/attacks.jsonl")
    rows.write_text('{"attack": [], "epsilon": null}\n{"epsilon": "0"}\n' + rows.read_text())
    assert main(words) == 0
    assert "1 of 1 cells have been played before" in capsys.readouterr().out
    code.write_text(code.read_text() + "# another reward\n")
    assert main(words) == 0
    assert "played before" not in capsys.readouterr().out and len(rows_of("evaluations/ppo")) == 4


@pytest.mark.parametrize(("asked", "called"), [("noise:0.10", "noise:0.1"), ("dim=envs.py:Dim", "dim")])
def test_a_mode_is_called_as_evaluate_calls_it(asked: str, called: str, policy: Path) -> None:
    words = [*WAVES, "--attacks", "fgsm", "--beside", "--epsilons", "0", "4", "--mode", asked]
    assert main(words) == 0
    assert [row["mode"] for row in rows_of("evaluations/ppo")] == [called] * 2


def test_an_agent_of_saccade_in_its_own_task(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("minigrid", reason="MiniGrid is not installed")
    words = ["attack", "zoo:ppo-red-fetch-green", "--sampled", "--attacks", "fgsm", "--beside", "random_sign"]
    words += ["--epsilons", "0", "16", "--episodes", "4", "--workers", "0", *QUICK]
    assert main(words) == 0
    rows = rows_of("runs/zoo/ppo-red-fetch-green")
    by_cell = {(row["attack"], row["epsilon"]): row for row in rows}
    assert all(row["sampled"] and row["provenance"]["image_size"] == 64 for row in rows)
    assert by_cell["fgsm", 16.0]["return_mean"] < by_cell["none", 0.0]["return_mean"]
    assert by_cell["fgsm", 16.0]["action_change"] > 0.5 > by_cell["random_sign", 16.0]["action_change"]
    assert "4 episodes are too few" in capsys.readouterr().out
    page = Path("runs/zoo/ppo-red-fetch-green/attacks.html").read_text()
    assert "would do" in page and "return so far" in page


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("zips")
    for name in (*CONTINUOUS, *DISCRETE):
        trained(CASES[name]).save(folder / name)
    return {name: folder / f"{name}.zip" for name in (*CONTINUOUS, *DISCRETE)}


@pytest.mark.parametrize("case", [*CONTINUOUS, *DISCRETE])
def test_one_call_attacks_any_policy(case: str, zips: dict[str, Path]) -> None:
    loaded = saccade.load(zips[case], device="cpu")
    obs = seen_by(loaded, case, 3)
    high = loaded.pixels.high
    moved = {}
    for name in ATTACKS:
        settings = AttackSettings(source=loaded, whole_pixels=obs.dtype == np.uint8)
        found = saccade.attack(loaded, obs, name, 8, settings)
        assert found.obs.shape == obs.shape and found.obs.dtype == obs.dtype and np.array_equal(found.clean_obs, obs)
        step = np.abs(found.obs.astype(float) - obs) * 255 / high
        assert 7 < step.max() <= 8 + 1e-3
        assert np.array_equal(found.action, loaded.act(found.obs)) and found.changed.shape == (3,)
        assert np.array_equal(found.clean_action, loaded.act(obs))
        moved[name] = drift_of(loaded, found.clean_obs, found.obs)
        assert np.array_equal(saccade.attack(loaded, obs, name, 0, settings).obs, obs)
    for name in ("pgd", "mad", "fgsm", "mi_fgsm"):
        assert moved[name] > moved["random_sign"], moved


def seen_by(policy: Any, case: str, count: int) -> np.ndarray:
    """Pictures as the policy takes them: Stable-Baselines3 moves channels to the front."""
    space = CASES[case].observations
    see = fitting(space, policy.pixels, case)
    return np.stack([see(one) for one in pictures(space, count)])


def drift_of(policy: Any, clean: np.ndarray, seen: np.ndarray) -> float:
    """How far preferences or actions move."""
    with torch.no_grad():
        kind = next(kind for kind in ("logits", "q_values", "action") if kind in policy.outputs)
        before, after = (policy.outputs[kind](policy.network, policy.tensor(obs)) for obs in (clean, seen))
        if kind != "action":
            before, after = before.log_softmax(-1), after.log_softmax(-1)
    return float((before - after).square().sum())


@pytest.mark.parametrize("target", [*TARGETS, "kl", "value_distance"])
@pytest.mark.parametrize("case", ["ppo_box", "sac", "ppo_discrete", "dqn"])
def test_every_target_is_driven(target: str, case: str, zips: dict[str, Path]) -> None:
    loaded = saccade.load(zips[case], device="cpu")
    obs = loaded.tensor(seen_by(loaded, case, 3))
    score = target_score(loaded, target, obs, loaded.greedy(obs))
    seen, _ = Attacker(loaded, "pgd", 8, AttackSettings(target, whole_pixels=False)).seen(obs)
    with torch.no_grad():
        assert bool((score(seen) > score(obs)).all())


@pytest.mark.parametrize("case", ["ppo_box", "sac", "ppo_discrete", "dqn"])
def test_a_value_that_is_not_computed_is_no_target(case: str, zips: dict[str, Path]) -> None:
    loaded = saccade.load(zips[case], device="cpu")
    outputs = {name: output for name, output in loaded.outputs.items() if name not in ("value", "q")}
    if "q_values" in outputs:
        outputs["logits"] = outputs.pop("q_values")
    student = dataclasses.replace(loaded, outputs=outputs)
    with pytest.raises(UserError, match="computes no value: attack its action or its policy"):
        saccade.attack(student, seen_by(student, case, 2), "pgd", 4, AttackSettings("value"))


def test_the_newest_frame_alone(policy: Path) -> None:
    loaded = saccade.load("ppo.zip", device="cpu")
    obs = pictures(CASES["ppo_discrete"].observations, 2)
    found = saccade.attack(loaded, obs, "pgd", 8, AttackSettings(part="newest"))
    with pytest.raises(UserError, match="no part 'oldest' of an observation: it is stack or newest"):
        AttackSettings(part="oldest")  # type: ignore[arg-type]
    same = (found.obs == obs).reshape(2, 4, -1).all(-1)
    assert same.tolist() == [[True, True, True, False]] * 2


REFUSED = {
    "--epsilons -1": "--epsilons -1 is no budget",
    "--epsilons 0 0.5": "With 0.5 of 255 no whole pixel changes: use a budget of 1 or more",
    "--epsilons 0 300": "--epsilons 300 is no budget",
    "--attacks pdg": "There is no attack 'pdg': did you mean pgd",
    "--beside xyzzy": "There is no attack 'xyzzy': there are fgsm, pgd",
    "--episodes 0": "--episodes 0 is too small",
    "--max-steps 0": "--max-steps 0 is too small",
    "--seed -1": "--seed -1 is too small",
    "--restarts 0": "--restarts 0 is too small",
    "--steps 0": "--steps 0 is too small",
    "--target speed": "There is no target 'speed': choose from action, value, policy",
    "--target action_mean": "PPO has no score 'action_mean': its network outputs",
    "--attacks transfer": "say which with --transfer-from",
    "--transfer-from zoo:ppo-red-fetch-green": "An attack on zoo:ppo-red-fetch-green cannot be shown to PPO: the one",
    "--transfer-from nothing.zip": "nothing.zip",
    "--mode night": "envs.py:Waves has no mode 'night'",
    "--mode gb2": "--mode gb2 is several modes: name one of them, such as gb2_rotate_easy",
    "--task envs.py:Numbers": "observations of shape (4,)",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_wrong_is_said_before_anything_is_played(
    words: str, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert REFUSED[words] in refusal(capsys, *WAVES, *words.split())
    assert not Path("played").exists() or "--mode" in words
    assert not Path("evaluations/ppo/attacks.jsonl").exists()


def test_a_categorical_score_of_numbers_is_refused(zips: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    Path("envs.py").write_text(NUMBERS)
    words = ["attack", str(zips["td3"]), "--task", "envs.py:Arm", "--episodes", "2", "--epsilons", "0", "8", *QUICK]
    assert "has no score 'logit': its network outputs" in refusal(capsys, *words, "--target", "logit")
    assert main([*words, "--attacks", "pgd", "mad", "--beside", "random_sign", "--out", "here"]) == 0
    rows = {(row["attack"], row["epsilon"]): row for row in rows_of("here")}
    assert rows["pgd", 8.0]["action_change"] > rows["random_sign", 8.0]["action_change"]
    loaded = saccade.load(zips["td3"], device="cpu")
    with pytest.raises(UserError, match="no score 'confidence'"):
        saccade.attack(loaded, seen_by(loaded, "td3", 2), "pgd", 4, AttackSettings("confidence"))


NUMBERS = '''
import gymnasium
import numpy as np

class Arm(gymnasium.Env):
    """Noise, and a reward for the first number of the action."""
    def __init__(self):
        self.observation_space = gymnasium.spaces.Box(0, 255, (36, 36, 3), np.uint8)
        self.action_space = gymnasium.spaces.Box(np.array([-2, 0], np.float32), np.array([1, 3], np.float32))
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self.picture(), {}
    def step(self, action):
        self.time += 1
        return self.picture(), float(action[0]), self.time == 5, False, {}
    def picture(self):
        return self.np_random.integers(0, 256, (36, 36, 3), dtype=np.uint8)
'''
