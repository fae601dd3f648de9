"""Students and teachers: who may teach, where saliency data come from, and that a run finds both again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import stable_baselines3
import torch
from PIL import Image
from safetensors.torch import load_file

from saccade.agents import METHODS
from saccade.cli import main
from saccade.data.checkpoints import newest_checkpoint
from saccade.data.saliency_files import read_saliency_files
from saccade.envs.config import EnvConfig
from saccade.envs.tasks.minigrid.world import Truth
from saccade.policies import played, saliency_data
from saccade.policies.load import load_any
from saccade.policies.scores import make_score
from saccade.policies.teachers import as_teacher
from saccade.runs.config import from_json, read_config, to_json, with_whole_paths
from saccade.runs.training import RunConfig, Teaching
from saccade.saliency.blur_perturbation import blur_perturbation
from saccade.types import Discrete, Spaces, UserError

TASK = "minigrid/red_fetch_green"
CPU = torch.device("cpu")
ACTIONS = 4
TINY = ["--filters", "2", "2", "2", "--hidden", "8", "--num-actions", str(ACTIONS), "--workers", "0", "--device", "cpu"]
QUIET = ["--evaluate-every", "0", "--evaluation-modes", "train", "--evaluation-episodes", "1", "--precision", "float32"]
OF_STUDENTS = [*TINY, *QUIET, "--preset", "small", "--batch-size", "4", "--envs", "2", "--update-every", "2"]
OF_STUDENTS += ["--random-steps", "4", "--saliency-states", "6", "--saliency-stride", "32", "--checkpoint-every", "8"]
ENV = EnvConfig(TASK, image_size=64, frame_stack=1).changed(num_actions=ACTIONS)
SPACES = Spaces((3, 64, 64), Discrete(ACTIONS))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of PPO that has learned next to nothing."""
    folder = tmp_path_factory.mktemp("teachers") / "ppo"
    words = [*TINY, *QUIET, "--envs", "2", "--rollout-steps", "8", "--minibatches", "2", "--steps", "16"]
    assert main(["train", "ppo", TASK, *words, "--checkpoint-every", "16", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "cache"))


def train(method: str, teacher: Path | str, out: Path, *words: str, steps: int = 16) -> int:
    return main(
        [
            "train",
            method,
            TASK,
            *OF_STUDENTS,
            "--teacher",
            str(teacher),
            "--steps",
            str(steps),
            *words,
            "--out",
            str(out),
        ]
    )


def refused(capsys: pytest.CaptureFixture[str], code: int, *parts: str) -> None:
    """One sentence with all of these parts, and exit code 2."""
    told = " ".join(capsys.readouterr().err.split())
    assert code == 2 and all(part in told for part in parts), told


def final(run: Path) -> dict[str, torch.Tensor]:
    checkpoint, _ = newest_checkpoint(run / "checkpoints")
    tensors: dict[str, torch.Tensor] = {}
    for name in ("networks", "optimizers"):
        tensors |= {
            f"{name}/{key}": value for key, value in load_file(checkpoint.folder / f"{name}.safetensors").items()
        }
    return tensors


# --- training ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["digr", "distillation"])
def test_a_student_that_was_stopped_goes_on_as_if_it_had_not_been(method: str, teacher: Path, tmp_path: Path) -> None:
    assert train(method, teacher, tmp_path / "whole") == 0
    assert train(method, teacher, tmp_path / "parts", steps=8) == 0
    # A longer run has a larger replay unless its size is given, which presets do.
    assert main(["train", "--resume", str(tmp_path / "parts"), "--steps", "16"]) == 0
    whole, parts = final(tmp_path / "whole"), final(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_run_knows_its_teacher(teacher: Path, tmp_path: Path) -> None:
    assert train("digr", teacher, tmp_path / "run") == 0
    config = read_config(tmp_path / "run")
    assert config.teacher_sha256 == load_any(teacher, device="cpu").fingerprint()
    assert config.teaching is not None and config.teaching.teacher == str(teacher)
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


def test_a_teacher_that_has_changed_or_gone_is_told(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, copy = tmp_path / "run", tmp_path / "copy"
    shutil.copytree(teacher, copy)
    assert train("distillation", copy, run, steps=8) == 0
    words = ["train", "--resume", str(run), "--steps", "16"]
    copy.rename(tmp_path / "moved")
    refused(capsys, main(words), "run began with this teacher", "--teacher")
    other = tmp_path / "other"
    sizes = [*TINY, *QUIET, "--envs", "2", "--rollout-steps", "8", "--minibatches", "2", "--steps", "16", "--seed", "1"]
    assert main(["train", "ppo", TASK, *sizes, "--checkpoint-every", "16", "--out", str(other)]) == 0
    refused(capsys, main([*words, "--teacher", str(other)]), "other weights than when the run began")
    assert main([*words, "--teacher", str(tmp_path / "moved")]) == 0
    config = read_config(run)
    assert config.teaching is not None and config.teaching.teacher == str(tmp_path / "moved")


def test_configurations_from_before_there_were_teachers_are_read() -> None:
    old = to_json(RunConfig("sac", EnvConfig("dmc/walker_walk"), METHODS["sac"].config))
    for name in ("teaching", "teacher_sha256", "saliency_sha256"):
        del old[name]
    del old["loop"]["update_every"]
    read = from_json(json.loads(json.dumps(old)))
    assert read.teaching is None and read.loop is not None and read.loop.update_every == 1


def test_updates_are_as_many_as_asked_for(teacher: Path, tmp_path: Path) -> None:
    assert train("distillation", teacher, tmp_path / "run", "--log-every", "1", "--update-every", "4") == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert max(row["updates"] for row in rows if "student/distillation" in row) == 16 // 4


# --- who may teach ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ([], ["learns from a teacher", "--teacher"]),
        (["--teacher", "nowhere"], ["nowhere"]),
        (["--teacher", "zoo:sgqn-reach"], ["was trained on manipulation/reach"]),
        (["--teacher", "TEACHER", "--num-actions", "5"], ["4 actions to choose from", "has 5", "--num-actions"]),
        (["--teacher", "TEACHER", "--frame-stack", "2"], ["3 channels", "6 channels", "--frame-stack"]),
        (["--teacher", "TEACHER", "--threshold", "1.5"], ["--threshold 1.5", "from 0 to 1"]),
        (["--teacher", "TEACHER", "--saliency-states", "0"], ["--saliency-states 0", "from 1 to"]),
        (["--teacher", "TEACHER", "--saliency-data", "nowhere.npz"], ["no saliency data at", "nowhere.npz"]),
        (["--teacher", "TEACHER", "--teacher-temperature", "0"], ["--teacher-temperature 0", "out of range"]),
    ],
)
def test_what_cannot_teach_is_refused_and_nothing_is_written(
    words: list[str], parts: list[str], teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(teacher) if word == "TEACHER" else word for word in words]
    code = main(["train", "digr", TASK, *OF_STUDENTS, "--steps", "8", *given, "--out", str(tmp_path / "run")])
    refused(capsys, code, *parts)
    assert not (tmp_path / "run").exists()


def test_other_methods_have_no_teacher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["train", "ppo", TASK, "--teacher", "anything", "--out", str(tmp_path / "run")])
    refused(capsys, code, "--teacher is an option of methods that learn from a teacher", "ppo has none")


class Pictures(gymnasium.Env[Any, Any]):
    """What the task shows, with its actions or a wrong kind of them."""

    def __init__(self, actions: gymnasium.Space[Any]) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, (3, 64, 64), np.uint8)
        self.action_space = actions

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros((3, 64, 64), np.uint8), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.zeros((3, 64, 64), np.uint8), 0.0, False, False, {}


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, made = tmp_path_factory.mktemp("zips"), {}
    own = {"policy_kwargs": {"net_arch": [8], "features_extractor_kwargs": {"features_dim": 8}}, "device": "cpu"}
    for name, actions in {
        "choices": gymnasium.spaces.Discrete(ACTIONS),
        "numbers": gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32),
    }.items():
        model = stable_baselines3.PPO("CnnPolicy", Pictures(actions), n_steps=8, batch_size=8, seed=0, **own)
        model.save(folder / name)
        made[name] = folder / f"{name}.zip"
    return made


def test_somebody_elses_zip_teaches(zips: dict[str, Path], tmp_path: Path) -> None:
    assert train("digr", zips["choices"], tmp_path / "run") == 0


def test_a_teacher_of_numbers_cannot_teach_choices(
    zips: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(
        capsys,
        train("digr", zips["numbers"], tmp_path / "run"),
        "gives actions that are vectors",
        "takes the other kind",
    )


def test_what_a_zip_teaches_is_what_it_does(zips: dict[str, Path]) -> None:
    policy = load_any(zips["choices"], device="cpu")
    obs = torch.randint(0, 256, (5, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    theirs = stable_baselines3.PPO.load(zips["choices"], device="cpu")
    with torch.no_grad():
        expected = theirs.policy.get_distribution(obs).distribution.logits
    found = as_teacher(policy, 1.0).outputs(obs)
    torch.testing.assert_close(found.log_softmax(-1), expected, atol=1e-5, rtol=1e-5)
    colder = as_teacher(policy, 0.5).outputs(obs)
    torch.testing.assert_close(colder, 2 * found)


@pytest.mark.parametrize("name", ["", ":policy"])
def test_a_network_of_ones_own_teaches(name: str, tmp_path: Path) -> None:
    file = tmp_path / "network.py"
    file.write_text(
        "from torch import nn\n"
        "class Network(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        f"        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, {ACTIONS}))\n"
        "    def forward(self, obs):\n"
        "        return self.layers(obs / 255)\n"
    )
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64 * 64, ACTIONS))
    state = {f"layers.{key}": value for key, value in layers.state_dict().items()}
    torch.save({"policy": state} if name else state, tmp_path / "weights.pt")
    words = ["--teacher-policy", f"{file}:Network", "--teacher-output", "logits", "--teacher-trust"]
    assert train("distillation", f"{tmp_path / 'weights.pt'}{name}", tmp_path / "run", *words) == 0
    assert main(["train", "--resume", str(tmp_path / "run"), "--steps", "24"]) == 0


@pytest.mark.parametrize("name", ["", ":policy"])
def test_a_run_alone_has_nobodys_weights_unpickled(name: str, tmp_path: Path, capsys: Any) -> None:
    test_a_network_of_ones_own_teaches(name, tmp_path)
    (tmp_path / "weights.pt").write_bytes(b"of somebody else")
    code = main(["train", "--resume", str(tmp_path / "run"), "--steps", "32"])
    refused(capsys, code, "weights.pt, a file that you have not named before or that has changed")


@pytest.mark.parametrize("ending", [".zip", ""])
def test_a_run_alone_has_nobodys_zip_unpickled(
    ending: str, zips: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Also where the zip is named without its ending."""
    shutil.copy(zips["choices"], tmp_path / "model.zip")
    assert train("distillation", tmp_path / f"model{ending}", tmp_path / "run", "--teacher-trust", steps=8) == 0
    words = ["train", "--resume", str(tmp_path / "run"), "--steps", "16"]
    monkeypatch.setenv("SACCADE_CACHE", str(tmp_path / "of somebody else"))
    refused(capsys, main(words), "model.zip, a file that you have not named before")


def test_a_run_needs_no_trust_and_may_have_it(teacher: Path, tmp_path: Path) -> None:
    assert train("distillation", teacher, tmp_path / "run", "--teacher-trust", steps=8) == 0


def test_a_class_without_its_file_is_refused_as_such(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, train("distillation", teacher, tmp_path / "run", "--teacher-policy", "Network"), "Network", ".py:")


@pytest.mark.parametrize("name", ["zoo:ppo-red-fetch-green", "hub:some/body@v1"])
def test_a_teachers_name_is_no_path(name: str) -> None:
    config = RunConfig("digr", ENV, METHODS["digr"].config, teaching=Teaching(teacher=name, saliency_data="maps.npz"))
    teaching = with_whole_paths(config).teaching
    assert teaching is not None and teaching.teacher == name and Path(teaching.saliency_data).is_absolute()


@pytest.mark.parametrize("digest", ["0" * 64, None])
def test_a_run_alone_has_nobodys_file_run(digest: str | None, tmp_path: Path, capsys: Any) -> None:
    """A network's file that this person has not named is not run because a run's configuration says so, nor because it
    says that no teacher was there before.
    """
    test_a_network_of_ones_own_teaches("", tmp_path)
    (tmp_path / "network.py").write_text("raise SystemExit('it was run')\n")
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "teacher_sha256": digest}))
    code = main(["train", "--resume", str(tmp_path / "run"), "--steps", "32"])
    refused(capsys, code, "a file that you have not named before or that has changed")


# --- saliency data ----------------------------------------------------------------------------------


def quiet(what: str, done: int, total: int) -> None:
    pass


def test_states_are_of_the_policys_play_and_the_truth_of_the_simulator(teacher: Path) -> None:
    policy = load_any(teacher, device="cpu")
    found = played.play_states(policy, ENV, 40, seed=3, truth=True)
    again = played.play_states(policy, ENV, 40, seed=3)
    other = played.play_states(policy, ENV, 40, seed=4)
    assert found.states.shape == (40, 3, 64, 64) and found.states.dtype == np.uint8
    assert np.array_equal(found.states, again.states) and again.truth is None
    assert not np.array_equal(found.states, other.states)
    assert found.truth is not None
    assert [int(value) for value in (Truth.UNIMPORTANT, Truth.IMPORTANT, Truth.IGNORED)] == [0, 1, 2]
    red = (found.states[:, 0] > 200) & (found.states[:, 1] < 50)  # the agent
    green = (found.states[:, 1] > 200) & (found.states[:, 0] < 50)
    assert (found.truth[red | green] == played.IMPORTANT).all() and (red.any((1, 2))).all()
    walls = (found.states == 100).all(1)
    assert (found.truth[walls] == played.IGNORED).all()
    with pytest.raises(UserError, match="does not say which pixels"):
        played.play_states(policy, EnvConfig("atari/Breakout"), 1, seed=0, truth=True)


def test_maps_are_those_of_the_perturbations_and_are_found_again(
    teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is interrupted goes on with the block that was not made, and whoever asks again computes nothing."""
    policy = load_any(teacher, device="cpu")
    states = played.play_states(policy, ENV, 7, seed=0).states
    monkeypatch.setattr(saliency_data, "BLOCK", 3)
    obs = played.seen_by(policy, torch.from_numpy(states))
    expected = blur_perturbation(make_score(policy, "kl", obs), obs, radius=4.0, blur=3.0, stride=16)[:, 0].clamp(min=0)
    made: list[int] = []

    def counted(score: Any, some: Any, **numbers: Any) -> Any:
        if len(made) == 1 and numbers.pop("fails", fails[0]):
            raise KeyboardInterrupt
        made.append(len(some))
        return blur_perturbation(score, some, **numbers)

    fails = [True]
    monkeypatch.setattr(saliency_data, "blur_perturbation", counted)
    numbers = {"radius": 4.0, "blur": 3.0, "stride": 16, "report": quiet}
    with pytest.raises(KeyboardInterrupt):
        saliency_data.perturbation_maps(policy, states, **numbers)
    fails[0] = False
    found = saliency_data.perturbation_maps(policy, states, **numbers)
    assert made == [3, 3, 1]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    assert np.array_equal(saliency_data.perturbation_maps(policy, states, **numbers), found) and len(made) == 3


def test_the_simulators_truth_is_a_map(teacher: Path) -> None:
    policy = load_any(teacher, device="cpu")
    teaching = Teaching(saliency_data="truth", saliency_states=5)
    found = saliency_data.saliency_data(policy, ENV, teaching, 0, quiet)
    truth = saliency_data.played_states(policy, ENV, 5, 0, quiet, truth=True).truth
    assert truth is not None and np.array_equal(found.maps == 0, truth == played.UNIMPORTANT)
    assert set(np.unique(found.maps)) == {0.0, 1.0}


STATES = np.random.default_rng(0).integers(0, 256, (4, 3, 64, 64)).astype(np.uint8)
MAPS = np.random.default_rng(1).random((4, 64, 64)).astype(np.float32) * 3


def own_data(folder: Path, kind: str) -> Path:
    """The same states and maps in each of the forms."""
    if kind == "npz":
        np.savez(folder / "data.npz", states=STATES, maps=MAPS)
        return folder / "data.npz"
    if kind == "npy":
        np.save(folder / "states.npy", STATES.transpose(0, 2, 3, 1))
        np.save(folder / "maps.npy", MAPS)
        return folder
    for name, arrays in (("states", STATES.transpose(0, 2, 3, 1)), ("maps", np.rint(MAPS / 3 * 255).astype(np.uint8))):
        (folder / name).mkdir()
        for index, array in enumerate(arrays):
            Image.fromarray(array).save(folder / name / f"{index}.png")
    return folder


@pytest.mark.parametrize("kind", ["npz", "npy", "png"])
def test_maps_of_ones_own_are_read(kind: str, tmp_path: Path) -> None:
    found = read_saliency_files(own_data(tmp_path, kind), (3, 64, 64))
    assert np.array_equal(found.states, STATES)
    expected = MAPS / MAPS.max((1, 2), keepdims=True)
    np.testing.assert_allclose(found.maps, expected, atol=1e-6 if kind != "png" else 0.01)


def test_a_student_learns_from_maps_of_ones_own_and_notices_others(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = own_data(tmp_path, "npz")
    assert train("digr", teacher, tmp_path / "run", "--saliency-data", str(data), steps=8) == 0
    np.savez(data, states=STATES, maps=MAPS + 1)
    refused(
        capsys, main(["train", "--resume", str(tmp_path / "run"), "--steps", "16"]), "have changed since the run began"
    )


@pytest.mark.parametrize(
    ("arrays", "part"),
    [
        ({"states": STATES}, "holds no saliency data"),
        ({"states": STATES, "maps": MAPS[:, :32]}, "its states need (4, 64, 64)"),
        ({"states": STATES, "maps": MAPS[:3]}, "its states need (4, 64, 64)"),
        ({"states": STATES, "maps": -MAPS}, "not negative"),
        ({"states": STATES, "maps": MAPS * np.nan}, "finite"),
        ({"states": STATES, "maps": MAPS.astype(np.float64) + 1e300}, "finite"),
        ({"states": STATES, "maps": MAPS.astype(str)}, "finite"),
        ({"states": STATES[..., :32], "maps": MAPS[..., :32]}, "the student sees uint8 of shape (n, 3, 64, 64)"),
        ({"states": STATES.astype(np.float32), "maps": MAPS}, "are float32"),
    ],
)
def test_maps_that_do_not_fit_are_refused(arrays: dict[str, np.ndarray], part: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(UserError) as error:
        read_saliency_files(tmp_path / "data.npz", (3, 64, 64))
    assert part in str(error.value)


def test_files_that_are_no_saliency_data_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", STATES)
    np.savez_compressed(tmp_path / "damaged.npz", states=STATES, maps=MAPS)
    content = bytearray((tmp_path / "damaged.npz").read_bytes())
    content[150:260] = bytes(value ^ 0x5A for value in content[150:260])
    (tmp_path / "damaged.npz").write_bytes(content)
    (tmp_path / "text.npz").write_text("states and maps")
    for name in ("one.npy", "damaged.npz", "text.npz"):
        with pytest.raises(UserError, match=r"an \.npz with the arrays states and maps"):
            read_saliency_files(tmp_path / name, (3, 64, 64))


def test_pictures_must_come_in_pairs(tmp_path: Path) -> None:
    folder = own_data(tmp_path, "png")
    (folder / "maps" / "2.png").unlink()
    with pytest.raises(UserError, match=r"2\.png is in only one of them"):
        read_saliency_files(folder, (3, 64, 64))
    (tmp_path / "text").write_text("no data")
    with pytest.raises(UserError, match="cannot be read as saliency data"):
        read_saliency_files(tmp_path / "text", (3, 64, 64))


# --- scores on shared states ------------------------------------------------------------------------


def test_a_student_is_scored_on_its_teachers_states(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("distillation", teacher, tmp_path / "run", steps=8) == 0
    words = ["--truth-states", "5", "--methods", "gradient", "grad_cam", "--device", "cpu", "--out"]
    for name, what in (("student", tmp_path / "run"), ("teacher", teacher)):
        assert main(["score", str(what), *words, str(tmp_path / name)]) == 0
    states = [np.load(tmp_path / name / "states" / "train.npz") for name in ("student", "teacher")]
    for name in ("states", "truth", "maps"):
        assert np.array_equal(states[0][name], states[1][name]), name
    rows = [json.loads(line) for line in (tmp_path / "student" / "scores.jsonl").read_text().splitlines()]
    assert {row["method"] for row in rows} == {"gradient", "grad_cam"}
    assert {row["metric"] for row in rows} == {
        "important_sum",
        "unimportant_sum",
        "area_under_roc",
        "milliseconds_per_frame",
        "milliseconds_alone",
    }
    assert all(row["states"] == 5 and row["player"] == "ppo" and row["policy"] == "distillation" for row in rows)
    explained = json.loads((tmp_path / "student" / "explanation.json").read_text())
    assert explained["methods"]["gradient"]["score"] == "confidence"
    assert (tmp_path / "student" / "report.html").is_file()


def test_modes_that_are_scored_stand_side_by_side(teacher: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["--truth-states", "3", "--methods", "gradient", "--device", "cpu", "--out", str(out)]
    assert main(["score", str(teacher), *words, "--modes", "train", "palette"]) == 0
    rows = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    assert {row["mode"] for row in rows} == {"train", "palette"}
    assert json.loads((out / "explanation.json").read_text())["modes"] == ["train", "palette"]
    states = [np.load(out / "states" / f"{mode}.npz")["states"] for mode in ("train", "palette")]
    assert states[0].shape == states[1].shape and not np.array_equal(*states)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--truth-player", "zoo:ppo-red-fetch-green"], "give --truth-states N too"),
        (["--truth-states", "0"], "--truth-states 0 is too small"),
        (["--truth-states", "5", "--frames", "3"], "--frames belongs to an episode"),
        (["--truth-states", "5", "--truth-player", "zoo:sgqn-reach"], "shows other pictures"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    words: list[str], part: str, teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["score", str(teacher), *words, "--device", "cpu", "--out", str(tmp_path / "out")])
    refused(capsys, code, part)
    assert not (tmp_path / "out").exists()
