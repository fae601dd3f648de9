"""What a training run promises: one update per step, rows that say what happened, and an end at the first NaN."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from probe_envs import Probe
from torch import Tensor
from training_cases import after_steps, assert_same, config, final_tensors, loop, never, newest, play, resume, train

import saccade
from saccade.agents import METHODS
from saccade.agents.agent import Agent, Term, set_learning_rate
from saccade.agents.settings import check_settings, numbers_of
from saccade.data.replay import ReplayBuffer
from saccade.envs.config import EnvConfig
from saccade.envs.tasks.manipulation import Robot
from saccade.envs.tasks.pixel_env import PixelEnv
from saccade.envs.workers.env_workers import EnvWorkers
from saccade.policies.evaluate import EvaluationEnvs, episode_seeds, evaluate, evaluation_steps, in_mode
from saccade.runs import config as run_config_module
from saccade.train import assembling, session
from saccade.train.events import Event
from saccade.train.health import NonFiniteLoss, NonFiniteReward
from saccade.train.logs import append_row, read_rows
from saccade.train.off_policy import OffPolicyTraining
from saccade.types import Batch, Continuous, UserError

COUNTERS = {"env_steps", "updates", "seconds"}
EVALUATION_KEYS = {
    *("env_steps", "parameters", "method", "task", "seed", "episode_seed", "mode", "episodes", "sampled"),
    *("return_mean", "return_std", "returns", "success_rate", "gap", "changed_pixels", "maps", "provenance"),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks of this size are computed faster by one thread than by two."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- steps and updates ------------------------------------------------------------------------------


@pytest.mark.parametrize("envs", [1, 2, 4])
def test_one_update_per_agent_step_whatever_the_environments(envs: int) -> None:
    saved: list[tuple[int, int]] = []
    with loop(envs=envs, checkpoint_every=4) as training:
        play(training, saved)
    assert saved == [(steps, steps if steps >= 8 else 0) for steps in (4, 8, 12, 16, 20, 24)]
    assert len(training.replay) == 24


@pytest.mark.parametrize(
    ("device", "cores", "options", "envs"),
    [
        ("cuda", 20, {"steps": 500_000}, 16),
        ("cuda", 6, {"steps": 500_000}, 5),  # 6 do not divide the steps
        ("cuda", 20, {"steps": 17}, 1),
        ("cuda", 20, {"steps": 500_000, "workers": 0}, 1),
        ("cuda", 20, {"steps": 500_000, "envs": 4}, 4),
        ("cpu", 20, {"steps": 500_000}, 1),
        ("cpu", 20, {"steps": 500_000, "envs": 4}, 4),
    ],
)
def test_as_many_environments_as_the_machine_can_feed(
    device: str, cores: int, options: dict[str, int], envs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_config_module, "device_of", lambda name: torch.device(device))
    monkeypatch.setattr(run_config_module, "available_cores", lambda: cores)
    chosen = run_config_module.with_envs(config("sac", **({"workers": None} | options)))
    assert chosen.training.num_envs == envs
    assert run_config_module.with_envs(chosen) == chosen  # and where it is resumed, on whatever machine
    run_config_module.check(chosen)


def test_the_number_of_environments_is_the_runs_own(run: Path) -> None:
    assert json.loads((run / "config.json").read_text())["training"]["envs"] == 1


@pytest.mark.parametrize(
    ("device", "renderer", "warned"),
    [("cuda", "llvmpipe (LLVM 15.0.6)", True), ("cuda", "NVIDIA H100/PCIe/SSE2", False), ("cpu", "llvmpipe", False)],
)
def test_a_gpu_that_learns_from_pictures_drawn_in_software_is_one_warning(
    device: str, renderer: str, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assembling._warn_of_software(torch.device(device), renderer)
    assert [renderer in str(each.message) and "libegl1" in str(each.message) for each in told] == [True] * warned


def test_the_first_steps_are_random_and_without_updates() -> None:
    acted: list[Tensor] = []

    def counting(agent: Agent) -> Agent:
        def act(obs: Tensor, generator: torch.Generator | None) -> Tensor:
            acted.append(agent.act(obs, generator))
            return acted[-1]

        return dataclasses.replace(agent, act=act)

    saved: list[tuple[int, int]] = []
    with loop(steps=64, random_steps=60, change=counting, checkpoint_every=1) as training:
        play(training, saved)
    assert saved == [(steps, steps if steps >= 60 else 0) for steps in range(1, 65)]
    assert torch.equal(training.replay.state_tensors()["action"][60:], torch.cat(acted))
    action = training.replay.state_tensors()["action"][:60]
    assert action.abs().max() <= 1 and action.min() < -0.8 and action.max() > 0.8
    assert action.mean().abs() < 0.25 and 0.45 < action.std() < 0.7  # 0 and 0.577 if uniform


def test_a_seed_is_a_run(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        train(tmp_path / name, config("sac", steps=16, seed=seed))
    one, again, other = (final_tensors(tmp_path / name) for name in ("one", "again", "other"))
    assert_same(one, again)
    for name in ("networks/actor.head.0.weight", "replay/action", "environments/obs"):
        assert not torch.equal(one[name], other[name]), name


def test_a_replay_of_the_published_size_fits_in_eleven_gigabytes() -> None:
    for envs in (1, 16):
        needed = ReplayBuffer.bytes_needed(500_000, (3, 84, 84), Continuous(6), num_envs=envs)
        assert 500_000 * 3 * 84 * 84 < needed < 11e9


# --- what a run writes ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with evaluations after 0 and 32 steps."""
    folder = tmp_path_factory.mktemp("run") / "sgqn"
    options = {"evaluate_every": 32, "evaluation_modes": ("train", "video_hard"), "evaluation_episodes": 2}
    train(folder, config("sgqn", steps=32, **options))
    return folder


def test_rows_of_metrics(run: Path) -> None:
    rows = read_rows(run / "metrics.jsonl")
    episodes = [row for row in rows if "episode/return" in row]
    losses = [row for row in rows if "critic/bellman" in row]
    assert len(episodes) + len(losses) == len(rows)
    assert [row["env_steps"] for row in episodes] == [25]
    assert set(episodes[0]) == COUNTERS | {"env", "episode/return"} and episodes[0]["episode/return"] > 0
    # Read after every 5 updates, where the burst of 8 counts as one, and before a checkpoint.
    assert [row["env_steps"] for row in losses] == [8, 13, 16, 21, 26, 31, 32]
    terms = {"critic/bellman", "critic/consistency", "actor/policy", "actor/temperature", "saliency/prediction"}
    assert set(losses[0]) == COUNTERS | terms
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert all(row["updates"] == row["env_steps"] for row in losses)
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds) and seconds[0] > 0


def test_rows_of_evaluations(run: Path) -> None:
    rows = read_rows(run / "evaluations.jsonl")
    assert [(row["env_steps"], row["mode"]) for row in rows] == [
        (steps, mode) for steps in (0, 32) for mode in ("train", "video_hard")
    ]
    for plain, hard in zip(rows[::2], rows[1::2], strict=True):
        assert set(plain) == set(hard) == EVALUATION_KEYS
        assert plain["gap"] == 0 and hard["gap"] == plain["return_mean"] - hard["return_mean"]
        assert plain["changed_pixels"] is None and 0.3 < hard["changed_pixels"] <= 1  # the same at every evaluation
        assert hard["changed_pixels"] == rows[1]["changed_pixels"]
        for row in (plain, hard):
            assert (row["method"], row["task"], row["seed"]) == ("sgqn", "dmc/cartpole_balance", 0)
            assert row["episodes"] == len(row["returns"]) == 2
            assert row["return_mean"] == pytest.approx(np.mean(row["returns"]))
            assert row["return_std"] == pytest.approx(np.std(row["returns"]))
            assert row["provenance"]["render_quality"] == "fast"
            assert row["success_rate"] is None
    assert rows[1]["provenance"]["clips"] == "procedural" and "clips" not in rows[0]["provenance"]
    assert any(row["gap"] != 0 for row in rows)


def test_a_success_in_any_step_is_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = iter(range(1000))
    monkeypatch.setattr(Robot, "outcome", lambda robot: {"is_success": next(steps) == 60})
    env = EnvConfig.parse("manipulation/reach", image_size=8, render_quality="fast", clip_order="sequential")
    result = evaluate(lambda obs: np.zeros((len(obs), 2)), env, episodes=3, seed=0, workers=0)
    # One environment, three episodes of a reset and 50 steps: number 60 is in the second.
    assert result.successes == (False, True, False) and result.success_rate == pytest.approx(1 / 3)


def test_the_result_of_a_run(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    assert set(result) == COUNTERS | {"evaluations", "paths"}
    assert result["paths"] == json.loads((run / "env.json").read_text())["paths"]
    assert result["env_steps"] == result["updates"] == 32
    assert result["evaluations"] == read_rows(run / "evaluations.jsonl")[-2:]


def test_tensorboard_reads_the_run(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    tags = events.Tags()["scalars"]
    assert {"critic/bellman", "episode/return", "evaluation/train", "evaluation/video_hard"} <= set(tags)
    assert not COUNTERS & set(tags)
    row = read_rows(run / "evaluations.jsonl")[-1]
    last = events.Scalars("evaluation/video_hard")[-1]
    assert last.step == 32 and last.value == pytest.approx(row["return_mean"])


def test_a_row_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_row(path, {"env_steps": 1})
    append_row(path, {"env_steps": 2})
    path.write_text(path.read_text()[:-4])
    assert read_rows(path) == [{"env_steps": 1}]


def test_a_row_that_does_not_fit_on_the_disk_is_one_sentence() -> None:
    with pytest.raises(UserError, match="/dev/full cannot be written"):
        append_row(Path("/dev/full"), {"env_steps": 1})


def test_resuming_a_finished_run_keeps_its_result(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    extra = {**read_rows(run / "evaluations.jsonl")[-1], "episodes": 100}  # as `saccade evaluate` adds them
    append_row(tmp_path / "run" / "evaluations.jsonl", extra)
    before = json.loads((run / "result.json").read_text())
    assert resume(tmp_path / "run") == before
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == before
    assert read_rows(tmp_path / "run" / "evaluations.jsonl") == [*read_rows(run / "evaluations.jsonl"), extra]


@pytest.mark.parametrize("maps", [{"q_attribution": 0.5}, None], ids=["in_its_last_bits", "before_maps_were_scored"])
def test_a_mode_that_is_played_again_is_written_once(run: Path, tmp_path: Path, maps: dict[str, float] | None) -> None:
    row = {**read_rows(run / "evaluations.jsonl")[-1], "maps": {"q_attribution": 0.5 + 2**-30} if maps else None}
    old = {**row, "maps": maps} if maps else {key: value for key, value in row.items() if key != "maps"}
    append_row(tmp_path / "evaluations.jsonl", {**old, "return_mean": row["return_mean"] + 2**-30})
    assert session.is_written(row, tmp_path)
    assert not session.is_written({**row, "env_steps": row["env_steps"] + 1}, tmp_path)


# --- mistakes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{"images": "nowhere"}, {"device": "cuda:99"}, {"envs": 5}, {"seed": 10**6}],
    ids=["images", "device", "envs", "seed"],
)
def test_a_mistake_leaves_no_folder_behind(changes: dict[str, Any], tmp_path: Path) -> None:
    options = {"images": str(tmp_path / changes["images"])} if "images" in changes else changes
    with pytest.raises(UserError):
        train(tmp_path / "new" / "run", config("sgqn", **options))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError):
        train(tmp_path / "empty", config("sgqn", **options))
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize("method", METHODS)
def test_every_number_of_a_method_has_a_range_and_is_refused_beyond_it(method: str) -> None:
    agent = METHODS[method].config
    check_settings(agent)
    names = {name for name, _ in numbers_of(agent)}
    of_loop = {"off_policy": {"batch_size", "critic_lr"}, "on_policy": {"rollout_steps", "learning_rate"}}
    own = of_loop[METHODS[method].loop] if Continuous in METHODS[method].actions else {"learning_rate", "discount"}
    own = {"learning_rate", "batch_size", "threshold"} if METHODS[method].taught else own
    assert own | {"image_size"} <= names
    for name in names:
        for value in (-math.inf, math.nan):
            with pytest.raises(UserError, match=f"^--{name.replace('_', '-')} {value} is out of range: it must be "):
                check_settings(changed(agent, name, value))


def changed(config: Any, name: str, value: float) -> Any:
    """The configuration with one number replaced wherever it is."""
    replaced: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        old = getattr(config, field.name)
        if field.name == name:
            replaced[name] = (value, *old[1:]) if isinstance(old, tuple) else value
        elif dataclasses.is_dataclass(old):
            replaced[field.name] = changed(old, name, value)
    return dataclasses.replace(config, **replaced)


def test_of_two_runs_that_begin_together_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process makes the folder while this one is still being assembled."""
    folder, inner = tmp_path / "run", config("sac", steps=16)

    def slow_start(*arguments: Any, **options: Any) -> Any:
        monkeypatch.undo()
        train(folder, inner)
        return EnvWorkers(*arguments, **options)

    monkeypatch.setattr(assembling, "EnvWorkers", slow_start)
    with pytest.raises(UserError, match="exists already"):
        train(folder, config("sac", steps=16, seed=1))
    assert json.loads((folder / "config.json").read_text())["training"]["seed"] == 0
    assert json.loads((folder / "result.json").read_text())["env_steps"] == 16


# --- NaN and infinity -------------------------------------------------------------------------------


def broken(phase_name: str, term_name: str, at_call: int, value: float) -> Callable[[Agent], Agent]:
    """An agent one of whose terms becomes ``value`` from its ``at_call``-th call on."""

    def change(agent: Agent) -> Agent:
        phases = []
        for phase in agent.phases:
            terms = dict(phase.terms)
            if phase.name == phase_name:
                terms[term_name] = break_term(terms[term_name], at_call, value)
            phases.append(dataclasses.replace(phase, terms=terms))
        return dataclasses.replace(agent, phases=tuple(phases))

    return change


def break_term(term: Term, at_call: int, value: float) -> Term:
    calls = iter(range(10_000))

    def loss(batch: Batch, shared: Any) -> Tensor:
        return term.loss(batch, shared) * (value if next(calls) >= at_call else 1.0)

    return dataclasses.replace(term, loss=loss)


SGQN_TERMS = [
    ("critic", "bellman", 1),
    ("critic", "consistency", 1),
    ("actor", "policy", 2),
    ("actor", "temperature", 2),
    ("saliency", "prediction", 2),
]


@pytest.mark.parametrize(("phase", "term", "every"), SGQN_TERMS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_phase_and_the_term_that_broke_first_are_named(phase: str, term: str, every: int, value: float) -> None:
    change = broken(phase, term, at_call=7 // every, value=value)
    update = 7 // every * every
    expected = rf"^Update {update}: phase {phase}, term {term} became (nan|-?inf)\. .*before its first checkpoint\.$"
    with loop("sgqn", change=change) as training, pytest.raises(NonFiniteLoss, match=expected) as stopped:
        play(training, [])
    assert "learning rate" not in str(stopped.value)  # all are usual


@pytest.mark.parametrize("phase", ["critic", "actor"])
@pytest.mark.parametrize("rate", [1e20, 1e38])
def test_a_learning_rate_that_breaks_the_first_updates_is_named(phase: str, rate: float) -> None:
    def change(agent: Agent) -> Agent:
        set_learning_rate(next(one for one in agent.phases if one.name == phase).optimizer, rate)
        return agent

    expected = (
        rf"^Update \d: .*The learning rate of phase {phase}, 1e\+\d\d, is the likely cause: .*smaller one\. The run"
    )
    with loop("sac", change=change) as training, pytest.raises(NonFiniteLoss, match=expected):
        play(training, [])


def test_broken_weights_are_not_saved_even_where_every_loss_was_finite() -> None:
    """The square root of zero: a loss that is finite, with a gradient that is not."""

    def change(agent: Agent) -> Agent:
        critic, *others = agent.phases
        weight = critic.owned()[0]
        calls = iter(range(10_000))

        def loss(batch: Batch, shared: Any) -> Tensor:
            zero = (weight.sum() * 0.0).sqrt() if next(calls) == 15 else 0.0
            return critic.terms["bellman"].loss(batch, shared) + zero

        terms = {"bellman": Term(loss)}
        return dataclasses.replace(agent, phases=(dataclasses.replace(critic, terms=terms), *others))

    saved: list[tuple[int, int]] = []
    expected = r"^Update 15: phase critic, weight critic\.convolutions\.\S+ became .*of step 8, kept\.$"
    with loop(change=change, checkpoint_every=8) as training, pytest.raises(NonFiniteLoss, match=expected):
        play(training, saved)
    assert saved == [(8, 8)]


@pytest.mark.parametrize("reward", [math.nan, math.inf])
def test_a_reward_that_is_not_finite_never_reaches_the_replay(reward: float) -> None:
    with loop(probe=Probe(constant=reward)) as training, pytest.raises(NonFiniteReward, match="Environment 0 gave"):
        play(training, [])
    assert len(training.replay) == 0


@pytest.mark.parametrize(
    ("updates", "named"),
    [(19, r"term bellman became nan"), (20, r"weight actor\.head\.0\.weight became NaN or infinite")],
    ids=["before an update", "before the policy acts"],
)
def test_a_run_stopped_by_a_nan_keeps_its_last_checkpoint_and_can_go_on(
    updates: int, named: str, tmp_path: Path
) -> None:
    folder, options = tmp_path / "run", config("sac", steps=32, log_every=100)

    def poison(event: Event, training: OffPolicyTraining) -> None:
        """As a step with an infinite gradient would leave it."""
        if training.counters.env_steps == 20 and training.counters.updates == updates:
            with torch.no_grad():
                training.agent.networks.get_parameter("actor.head.0.weight").fill_(math.nan)

    with pytest.raises(NonFiniteLoss, match=rf"^Update 19: phase (actor|critic), {named}\. .*of step 16, kept"):
        session.start(options, folder, {}, poison, never)
    assert newest(folder).name == "step_000000016"
    resume(folder)
    train(tmp_path / "whole", options)
    assert_same(final_tensors(folder), final_tensors(tmp_path / "whole"))


def test_a_stop_does_not_save_what_is_broken(tmp_path: Path) -> None:
    def poison(event: Event, training: OffPolicyTraining) -> None:
        if training.counters.env_steps == 10:
            with torch.no_grad():
                training.agent.networks.get_parameter("actor.head.0.weight").fill_(math.nan)

    seen: list[int] = []
    watch, stop = after_steps(10, seen)

    def both(event: Event, training: OffPolicyTraining) -> None:
        poison(event, training)
        watch(event, training)

    with pytest.raises(NonFiniteLoss):
        session.start(config("sac"), tmp_path / "run", {}, both, stop)
    assert not list((tmp_path / "run").glob("checkpoints/step_*"))


def test_a_simulator_that_breaks_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = iter(range(1000))
    advance = PixelEnv.advance
    monkeypatch.setattr(
        PixelEnv, "advance", lambda env, action: advance(env, action) if next(steps) < 18 else float("nan")
    )
    with pytest.raises(NonFiniteReward, match=r"reward nan after step 18.*of step 16, kept"):
        train(tmp_path / "run", config("sac", steps=32))
    assert newest(tmp_path / "run").name == "step_000000016"


# --- policies and evaluation ------------------------------------------------------------------------


def test_a_loaded_policy_is_the_agent_that_was_trained(tmp_path: Path) -> None:
    agents: list[Agent] = []

    def watch(event: Event, training: OffPolicyTraining) -> None:
        agents[:] = [training.agent]

    session.start(config("sgqn", steps=16), tmp_path / "run", {}, watch, never)
    policy = saccade.load(tmp_path / "run")
    obs = np.random.default_rng(0).integers(0, 256, (5, 9, 16, 16), np.uint8)
    expected = agents[0].act(torch.from_numpy(obs), None).numpy()
    assert policy.env_steps == 16
    np.testing.assert_array_equal(policy.act(obs), expected)
    np.testing.assert_allclose(policy.act(obs[2]), expected[2], rtol=0, atol=1e-6)
    assert policy.act(obs[2]).shape == (1,) and len(np.unique(expected)) == 5
    assert policy.map("predicted_mask", obs).shape == (5, 3, 16, 16)
    with pytest.raises(UserError, match=r"has no map called 'attention'; it has .*predicted_mask"):
        policy.map("attention", obs)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((9, 16, 16), np.float32),
        np.zeros((9, 20, 20), np.uint8),
        np.zeros((3, 16, 16), np.uint8),
        np.zeros((1, 1, 9, 16, 16), np.uint8),
        np.zeros((16, 16, 9), np.uint8),
    ],
    ids=lambda wrong: f"{wrong.dtype}{list(wrong.shape)}",
)
def test_an_observation_of_another_kind_is_refused(wrong: np.ndarray, run: Path) -> None:
    with pytest.raises(UserError, match=r"it takes uint8 of shape \(9, 16, 16\)"):
        saccade.load(run).act(wrong)


def test_an_evaluation_does_not_depend_on_the_workers_and_repeats_what_training_saw(run: Path) -> None:
    policy = saccade.load(run)
    env = in_mode(policy.config.env, "video_hard")
    alone, shared = (evaluate(policy.act, env, episodes=2, seed=0, workers=workers) for workers in (0, 2))
    assert alone.returns == shared.returns and alone.provenance == shared.provenance
    assert list(alone.returns) == read_rows(run / "evaluations.jsonl")[-1]["returns"]
    assert alone.returns[0] != alone.returns[1]


def test_modes_played_in_kept_processes_are_those_of_fresh_ones(run: Path) -> None:
    policy = saccade.load(run)
    assert policy.config is not None
    with closing(EvaluationEnvs(workers=1)) as envs:
        for mode in ("video_hard", "train", "color_hard", "video_hard"):
            env = in_mode(policy.config.env, mode)
            *_, kept = evaluation_steps(policy.act, env, envs, episodes=2, seed=0)
            fresh = evaluate(policy.act, env, episodes=2, seed=0, workers=0)
            assert kept is not None
            assert (kept.returns, kept.provenance, kept.mode) == (fresh.returns, fresh.provenance, mode)


@pytest.mark.parametrize(("task", "asked", "processes"), [
    ("minigrid/red_fetch_green", None, 0), ("minigrid/red_fetch_green", 1, 1), ("dmc/cartpole_balance", None, 1),
])  # fmt: skip
def test_light_environments_are_evaluated_without_processes(task: str, asked: int | None, processes: int) -> None:
    if task.startswith("minigrid"):
        pytest.importorskip("minigrid")
    with closing(EvaluationEnvs(asked)) as envs, envs.made(EnvConfig(task, image_size=40), [0]) as group:
        assert group.num_workers == processes


def test_evaluation_episodes_are_neither_each_other_nor_the_training_ones() -> None:
    seeds = episode_seeds(0, 100)
    assert len(set(seeds)) == 100 and seeds[:3] == episode_seeds(0, 3)
    assert not set(seeds) & {0, *episode_seeds(1, 100)}


def test_an_evaluation_records_its_first_episode(run: Path) -> None:
    policy = saccade.load(run)
    result = evaluate(policy.act, policy.config.env, episodes=2, seed=0, workers=0, record=True)
    assert result.frames is not None and result.frames.dtype == np.uint8
    assert result.frames.shape == (policy.config.env.episode_agent_steps, 16, 16, 3)
    assert (result.frames[0] != result.frames[-1]).any()
