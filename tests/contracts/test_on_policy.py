"""Learning from rollouts: what a rollout holds and is judged by, and runs that go on as if they had never stopped."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from training_cases import assert_same, counters, final_tensors, newest, resume, rows, train, train_killed

import saccade
from saccade.agents.configs_on_policy import PPO, Trunk
from saccade.cli import main
from saccade.data import rollout as rollout_module
from saccade.data.rollout import Outcome, Rollout
from saccade.envs.config import EnvConfig
from saccade.envs.make import make_env
from saccade.runs.training import RunConfig, Training
from saccade.train import session
from saccade.train.events import Event
from saccade.train.loop import Loop
from saccade.types import Discrete, Spaces

pytest.importorskip("minigrid", reason="MiniGrid is not installed")

CPU = torch.device("cpu")
FETCH, ROOMS = "minigrid/red_fetch_green", "minigrid/MultiRoom-N2-S4"
"""Episodes of the first end when something is picked up, those of the second when their 40 steps are over."""
ENVS, ROLLOUT, EPOCHS, MINIBATCHES = 3, 8, 2, 2
DECISIONS = ENVS * ROLLOUT
STEPS = 12 * DECISIONS


def run_of(task: str = FETCH, **training: Any) -> RunConfig:
    """A run with two pixels a cell and tiny networks."""
    cells = {FETCH: 8, ROOMS: 25}[task]
    env = EnvConfig.parse(task, image_size=2 * cells, frame_stack=2)
    trunk = Trunk(network="small", image_size=2 * cells, filters=(4, 4, 4), hidden=16)
    agent = PPO(trunk, ROLLOUT, EPOCHS, MINIBATCHES, clip_schedule="linear")
    options = {
        "steps": STEPS,
        "envs": ENVS,
        "workers": 0,
        "device": "cpu",
        "threads": 1,
        "precision": "float32",
        "evaluate_every": 0,
        "evaluation_modes": (),
        "evaluation_episodes": 2,
        "evaluation_sampled": True,
        "checkpoint_every": 60,
        "log_every": 4,
    }
    return RunConfig("ppo", env, agent, Training(**(options | training)), loop=None)


# --- a rollout --------------------------------------------------------------------------------------

SPACES = Spaces((1, 2, 2), Discrete(5), colours=1)


def filled(steps: int, envs: int, minibatch: int, cut: tuple[tuple[int, int], ...] = ()) -> Rollout:
    """A rollout whose every decision has its own number, up to 60: as its pixels, action and reward.

    cut: step and environment of episodes that ran out of time, whose last observation is 100 brighter.
    """
    rollout = Rollout(steps, envs, SPACES, CPU, minibatch)
    for step in range(steps):
        number = np.arange(envs) + step * envs
        truncated = np.array([(step, env) in cut for env in range(envs)])
        rollout.add(
            pictures(number),
            torch.from_numpy(number % 5),
            number.astype(np.float64),
            np.zeros(envs, np.bool_),
            truncated,
            pictures(number[truncated] + 100).numpy(),
        )
    return rollout


def pictures(numbers: np.ndarray) -> Tensor:
    return torch.from_numpy(numbers.astype(np.uint8))[:, None, None, None].expand(-1, *SPACES.obs_shape).clone()


def judge(obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """The value is the number in the picture; the log-probability has the action in it."""
    number = obs[:, 0, 0, 0].float()
    return -number - action / 10, number


def as_reward(outcome: Outcome) -> tuple[Tensor, Tensor]:
    return outcome.reward + 0.5, outcome.reward + 0.25


@pytest.mark.parametrize(("minibatch", "drawn"), [(5, 15), (15, 15), (4, 12)])
def test_an_epoch_draws_every_decision_once(minibatch: int, drawn: int) -> None:
    """But for those that do not fill a minibatch."""
    rollout, generator = filled(5, 3, minibatch), torch.Generator().manual_seed(0)
    rollout.judged(judge, as_reward, pictures(np.zeros(3)))
    orders = []
    for _ in range(3):
        epoch = [rollout.draw(0, generator).batch() for _ in rollout.minibatches(generator)]
        assert all(len(batch.obs) == minibatch for batch in epoch)
        order = torch.cat([batch.obs[:, 0, 0, 0] for batch in epoch]).tolist()
        assert len(order) == len(set(order)) == drawn and set(order) <= set(range(15))
        orders.append(tuple(order))
    assert len(set(orders)) == len(orders)


def test_a_decision_stays_together() -> None:
    rollout, generator = filled(5, 3, 4), torch.Generator().manual_seed(0)
    rollout.judged(judge, as_reward, pictures(np.zeros(3)))
    for _ in rollout.minibatches(generator):
        batch = rollout.draw(0, generator).batch()
        number = batch.obs[:, 0, 0, 0].float()
        assert batch.obs.dtype == torch.uint8 and batch.action.dtype == torch.int64
        assert torch.equal(batch.action, number.long() % 5) and torch.equal(batch.value, number)
        assert torch.equal(batch.log_probability, judge(batch.obs, batch.action)[0])
        assert torch.equal(batch.advantage, number + 0.5) and torch.equal(batch.target, number + 0.25)


@pytest.mark.parametrize("at_once", [4, 512])
def test_an_episode_cut_short_is_worth_its_last_observation(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_module, "JUDGED_AT_ONCE", at_once)
    rollout, outcomes = filled(4, 3, 3, cut=((1, 2), (3, 0))), []
    rollout.judged(judge, lambda outcome: outcomes.append(outcome) or as_reward(outcome), pictures(np.array([7, 8, 9])))
    (outcome,) = outcomes
    expected = torch.zeros(4, 3)
    expected[1, 2], expected[3, 0] = 105, 109
    assert torch.equal(outcome.truncated_value, expected) and torch.equal(outcome.truncated, expected > 0)
    assert torch.equal(outcome.value, torch.arange(12.0).reshape(4, 3))
    assert outcome.last_value.tolist() == [7, 8, 9] and not outcome.terminated.any()


def test_an_episode_that_ended_as_its_time_ran_out_has_ended() -> None:
    rollout, outcomes = Rollout(1, 2, SPACES, CPU, 2), []
    both, neither = np.array([True, False]), np.zeros(2, np.bool_)
    last = pictures(np.array([50])).numpy()
    rollout.add(pictures(np.array([1, 2])), torch.zeros(2, dtype=torch.int64), np.zeros(2), both, both | neither, last)
    rollout.judged(judge, lambda outcome: outcomes.append(outcome) or as_reward(outcome), pictures(np.zeros(2)))
    assert outcomes[0].terminated.tolist() == [[True, False]] and not outcomes[0].truncated.any()
    assert not outcomes[0].truncated_value.any()


def test_a_rollout_continues_from_its_state() -> None:
    whole = filled(4, 3, 3, cut=((0, 1), (2, 2)))
    state = {name: value.clone() for name, value in whole.state_tensors().items()}
    again = filled(2, 3, 3, cut=((1, 1),))  # of another kind: too short to hold it
    with pytest.raises((RuntimeError, IndexError)):
        again.load(state)
    again = filled(4, 3, 3, cut=((1, 1),))
    again.load(state)
    assert again.is_full and again.state_tensors().keys() == state.keys()
    again.empty()
    assert not again.is_full and again.state_tensors()["reward"].shape == (0, 3)
    assert not any(name.startswith("cut/") for name in again.state_tensors())


@pytest.mark.parametrize(("masked", "knows_truth"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("colours", [1, 3])
def test_a_rollouts_size_is_known_before_it_is_made(masked: bool, knows_truth: bool, colours: int) -> None:
    spaces, masks = Spaces((6, 20, 20), Discrete(3), colours), {"masked": masked, "knows_truth": knows_truth}
    rollout = Rollout(5, 3, spaces, CPU, 5, **masks)
    kept = [value for value in vars(rollout).values() if isinstance(value, torch.Tensor)]
    pixels = sum(value.nbytes for value in kept if value.ndim > 3)
    assert Rollout.bytes_needed(5, 3, spaces, **masks) == pixels > 0.9 * sum(value.nbytes for value in kept)


# --- the loop ---------------------------------------------------------------------------------------


def test_a_rollout_is_learned_from_once_per_epoch_and_rates_fall_with_what_was_made(tmp_path: Path) -> None:
    seen: dict[int, tuple[int, float]] = {}

    def see(event: Event, training: Loop) -> None:
        if event.kind == "tick":
            rate = training.agent.phases[0].optimizer.param_groups[0]["lr"]
            seen[training.counters.env_steps] = training.counters.updates, float(rate)

    session.start(run_of(), tmp_path / "run", {}, see, lambda: False)
    updates = EPOCHS * MINIBATCHES
    for env_steps, (made, rate) in seen.items():
        rounds = (env_steps - 1) // DECISIONS  # the updates of a full rollout come after its last tick
        assert made == rounds * updates
        if rounds:
            assert rate == pytest.approx(PPO().learning_rate * (1 - (rounds - 1) * DECISIONS / STEPS), rel=1e-6)
    assert list(seen) == list(range(ENVS, STEPS + 1, ENVS))
    assert counters(tmp_path / "run")["updates"] == STEPS // DECISIONS * updates


def test_a_rollout_is_judged_by_the_policy_that_made_it(tmp_path: Path) -> None:
    """So with a single update for each the ratio is 1 in all of them."""
    run = run_of(log_every=1)
    once = dataclasses.replace(run.agent, epochs=1, minibatches=1, learning_rate=0.01)
    train(tmp_path / "run", dataclasses.replace(run, agent=once))
    losses = [row for row in rows(tmp_path / "run") if "ppo/policy" in row]
    assert len(losses) == STEPS // DECISIONS
    assert all(row["ppo/approximate_kl"] < 1e-10 and row["ppo/clip_fraction"] == 0 for row in losses)
    assert len({row["ppo/entropy"] for row in losses}) == len(losses)  # though the policy changes


def test_steps_that_fill_no_rollout_are_played_and_not_learned_from(tmp_path: Path) -> None:
    train(tmp_path / "run", run_of(steps=DECISIONS + ENVS))
    assert counters(tmp_path / "run")["updates"] == EPOCHS * MINIBATCHES
    held = final_tensors(tmp_path / "run")
    assert held["rollout/reward"].shape == (1, ENVS)


def test_rows_of_episodes_tell_length_and_success(tmp_path: Path) -> None:
    for task in (FETCH, ROOMS):
        folder = tmp_path / task.replace("/", "-")
        train(folder, run_of(task, steps=(50 if task == FETCH else 12) * DECISIONS))
        episodes = [row for row in rows(folder) if "episode/return" in row]
        assert len(episodes) > ENVS
        for env in range(ENVS):
            own = [row for row in episodes if row["env"] == env]
            ends = np.cumsum([row["episode/length"] for row in own])
            assert [row["env_steps"] for row in own] == (ends * ENVS).tolist()
        limit = EnvConfig(task).episode_agent_steps
        assert all(row["episode/length"] <= limit for row in episodes)
        if task == FETCH:
            assert all(row["episode/success"] == (row["episode/return"] > 0) for row in episodes)
            assert any(row["episode/return"] < 0 for row in episodes)
        else:
            assert sum(row["episode/length"] == limit for row in episodes) > ENVS


# --- as if it had never stopped ----------------------------------------------------------------------

Until = Callable[[Event, Loop], bool]


def stopped(folder: Path, run: RunConfig | None, until: Until) -> None:
    """Begin a run, or go on with it where there is none to begin, and leave at the first event that is waited for."""
    asked: list[bool] = []

    def see(event: Event, training: Loop) -> None:
        if event.kind in session.LEAVE_AT and until(event, training):
            asked.append(True)

    def stop() -> bool:
        return bool(asked)

    if run is not None:
        assert session.start(run, folder, {}, see, stop) is None
    else:
        assert session.resume(folder, None, see, stop, warn=lambda sentence: pytest.fail(sentence)) is None


def after(env_steps: int) -> Until:
    return lambda event, training: training.counters.env_steps >= env_steps


def evaluating(env_steps: int) -> Until:
    return lambda event, training: event.kind == "evaluating" and training.counters.env_steps >= env_steps


def unlogged(folder: Path) -> list[dict[str, Any]]:
    """Rows of episodes; those of losses depend on when a run was stopped."""
    return [row for row in rows(folder) if "episode/return" in row]


@pytest.mark.parametrize("task", [FETCH, ROOMS])
def test_stopped_and_resumed_equals_never_stopped(task: str, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    steps = STEPS if task == FETCH else 9 * DECISIONS
    run = run_of(task, steps=steps, evaluate_every=3 * DECISIONS, evaluation_modes=("train", "noise"))
    train(whole, run)
    moments = [
        evaluating(0),  # before the first step
        after(ENVS),  # in the first rollout
        after(DECISIONS - ENVS),
        after(DECISIONS),  # full, and not yet learned from
        evaluating(3 * DECISIONS),
        after(5 * DECISIONS + 4 * ENVS),
        evaluating(steps),
    ]
    for number, until in enumerate(moments):
        stopped(parts, None if number else run, until)
    assert resume(parts) is not None
    assert_same(final_tensors(parts), final_tensors(whole))
    assert counters(parts) == counters(whole)
    assert unlogged(parts) == unlogged(whole) and len(unlogged(whole)) > 1
    evaluations = rows(whole, "evaluations.jsonl")
    assert rows(parts, "evaluations.jsonl") == evaluations and len(evaluations) == 2 * (steps // DECISIONS // 3 + 1)


def test_a_full_rollout_is_learned_from_after_resuming(tmp_path: Path) -> None:
    stopped(tmp_path / "run", run_of(), after(2 * DECISIONS))
    held = final_tensors(tmp_path / "run")
    assert held["rollout/obs"].shape[:2] == (ROLLOUT, ENVS)
    assert counters(tmp_path / "run")["updates"] == EPOCHS * MINIBATCHES
    stopped(tmp_path / "run", None, after(2 * DECISIONS + ENVS))
    assert counters(tmp_path / "run")["updates"] == 2 * EPOCHS * MINIBATCHES
    assert final_tensors(tmp_path / "run")["rollout/reward"].shape == (1, ENVS)


def test_killed_at_any_moment_resumes_bit_identically(tmp_path: Path) -> None:
    run = run_of(checkpoint_every=DECISIONS // 2, steps=24 * DECISIONS)
    train(tmp_path / "whole", run)
    moments = random.Random(1)
    for attempt in range(2):
        killed = tmp_path / f"killed{attempt}"
        train_killed(killed, run, moments.uniform(0, 0.6))
        assert_same(final_tensors(killed), final_tensors(tmp_path / "whole"))
        assert rows(killed) == rows(tmp_path / "whole")


def test_more_steps_continue_a_finished_run_with_a_schedule_of_their_own(tmp_path: Path) -> None:
    train(tmp_path / "run", run_of(steps=2 * DECISIONS))
    rates: list[float] = []

    def see(event: Event, training: Loop) -> None:
        rates.append(float(training.agent.phases[0].optimizer.param_groups[0]["lr"]))

    session.resume(tmp_path / "run", 4 * DECISIONS, see, lambda: False, pytest.fail)
    assert rates[-1] == pytest.approx(PPO().learning_rate / 4, rel=1e-6)
    assert counters(tmp_path / "run")["updates"] == 4 * EPOCHS * MINIBATCHES


# --- what a run can do afterwards --------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    train(folder, run_of(evaluation_modes=("train", "palette")))
    return folder


def test_sampled_evaluations_repeat(finished: Path, tmp_path: Path) -> None:
    train(tmp_path / "again", run_of(evaluation_modes=("train", "palette")))
    told = rows(finished, "evaluations.jsonl")
    assert rows(tmp_path / "again", "evaluations.jsonl") == told
    assert [row["sampled"] for row in told] == [True] * len(told) and len(told) == 2


EVALUATED = ("--modes", "train", "palette", "--episodes", "2", "--workers", "0", "--device", "cpu")


def test_evaluate_draws_only_when_asked(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = rows(finished, "evaluations.jsonl")
    for words in (["--sampled"], ["--sampled"], []):
        assert main(["evaluate", str(finished), *words, *EVALUATED]) == 0
    assert capsys.readouterr().out.count("actions drawn from the policy") == 2
    first, second, greedy = (rows(finished, "evaluations.jsonl")[start : start + 2] for start in (2, 4, 6))
    assert first == second and [row["sampled"] for row in greedy] == [False, False]
    assert [row["returns"] for row in first] == [row["returns"] for row in before]  # the same weights and draws


def test_the_loaded_policy_acts_as_the_agent_does(finished: Path) -> None:
    agents = []

    def see(event: Event, training: Loop) -> None:
        agents.append(training.agent)

    assert session.resume(finished, None, see, lambda: False, pytest.fail) is not None
    policy = saccade.load(finished, device="cpu")
    assert policy.discrete and set(policy.outputs) == {"logits", "value"} and policy.env_steps == STEPS
    env = make_env(run_of().env, 0)
    obs, _ = env.reset()
    batch = torch.from_numpy(np.stack([obs, *(env.step(action)[0] for action in (2, 1, 2, 0))]))
    assert np.array_equal(policy.act(batch.numpy()), agents[-1].act(batch, None).numpy())
    assert policy.act(obs) in range(7)


def test_a_sampler_draws_by_the_policys_probabilities(finished: Path) -> None:
    policy = saccade.load(finished, device="cpu")
    obs, _ = make_env(run_of().env, 0).reset()
    count = 4000
    many = np.repeat(obs[None], count, axis=0)
    drawn = policy.sampler(3)(many)
    assert np.array_equal(policy.sampler(3)(many), drawn) and not np.array_equal(policy.sampler(4)(many), drawn)
    with torch.no_grad():
        chances = policy.outputs["logits"](policy.network, policy.tensor(obs[None])).softmax(-1)[0].numpy()
    shares = np.bincount(drawn, minlength=7) / count
    assert np.abs(shares - chances).max() < 4 * np.sqrt(chances.max() * (1 - chances.max()) / count)


def test_a_checkpoint_tells_its_spaces(finished: Path) -> None:
    saved = json.loads((newest(finished) / "spaces.json").read_text())
    assert saved == {"obs_shape": [6, 16, 16], "colours": 3, "continuous": None, "discrete": 7}
