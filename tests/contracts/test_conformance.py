"""``saccade.testing`` finds every fault that it says it finds; those of methods are in ``test_broken_methods.py``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import gymnasium
import pytest
import torch
import torch.nn.functional as F
import toy_envs
from torch import Tensor

from saccade.envs import register
from saccade.metrics import METRICS, Metric
from saccade.saliency import METHODS as SALIENCY
from saccade.testing import ConformanceError, check_environment, check_metric, check_modes, check_saliency
from saccade.types import Score, UserError

ONE_SENTENCE = re.compile(r"[^\n]+: [^\n]+\.")
"""What was wrong and what to do, with a colon between."""


def broken(check: Callable[..., None], *arguments: Any, says: str, **keywords: Any) -> None:
    """A check that must fail, and what it must say."""
    with pytest.raises(ConformanceError, match=says) as raised:
        check(*arguments, **keywords)
    assert ONE_SENTENCE.fullmatch(str(raised.value)), str(raised.value)


# ---------------------------------------------------------------------------------------------- environments

FAULTS_OF_ENVIRONMENTS = {
    "DrawsGlobally": "Seed 3 gave other pixels at the first reset when it was played again",
    "LeavesTheSeed": "Seed 3 gave other pixels at the first reset",
    "PaysByChance": r"Seed 3 gave the reward .* at step 1 when",
    "EndsByChance": "Seed 3 gave terminated (True|False) instead of (True|False) at step",
    "BeginsAlike": "The seeds 3 and 4 gave the same pixels in 20 steps: .*seeded=False",
    "Reuses": "The observation of step 1 lies in the same memory as that of the first reset: .*reuses_arrays=True",
    "ReusesMasks": "The task mask of step 1 lies in the same memory",
    "GoesOnWithWhatItGave": "Writing to the arrays that the environment gave led to other pixels at step 1 of seed 3",
    "Floats": r"The observation is float32 \[3, 8, 12\] at the first reset: .* uint8 \[3, 8, 12\]",
    "OtherShape": r"The observation is uint8 \[8, 12, 3\] at the first reset",
    "DeclaresFloats": "The observation space is Box.*float32.*declare a Box of uint8 pictures",
    "ManyChoices": r"The action space is MultiBinary\(2\)",
    "Black": "The picture has the value 0 in all its pixels at step 3",
    "EndsInNumbers": "terminated is 0, of type int, at step 1",
    "PaysNothing": "The reward is nan, of type float, at step 1",
    "PaysArrays": "The reward is array.*, of type ndarray, at step 1",
    "FourValues": "step.. returned 4 values at step 1",
    "NoInfo": "reset.. returned a ndarray at the first reset",
    "CountsFromZero": r"raised IndexError .* at step 1 for np.int64\(\d\), .* its own space Discrete\(3, start=3\)",
    "RefusesTheEdge": r"raised AssertionError \(too far\) at a step that tries the edges of the action space for array",
    "ResetsOnce": "raised RuntimeError .no more levels. at the reset after step 6",
    "SmallMask": r'info\["task_mask"\] is bool \[1, 4, 4\] at the first reset',
    "FloatMask": r'info\["task_mask"\] is float64',
    "ForgetsTheGenerator": "seed 4 that was given the state of one of seed 3 went on with other pixels at step 1",
    "GivesItsOwnMemory": "was given the state of one of seed 3 went on with other pixels at step 1",
    "GivesObjects": "get_state returns a Generator under 'generator', which a checkpoint cannot hold",
}


def checked(kind: str, **keywords: Any) -> None:
    check_environment(getattr(toy_envs, kind), steps=20, seeds=(3, 4), **keywords)


@pytest.mark.parametrize("kind", FAULTS_OF_ENVIRONMENTS)
def test_a_fault_of_an_environment_is_told(kind: str) -> None:
    broken(checked, kind, says=FAULTS_OF_ENVIRONMENTS[kind])


def test_a_sound_environment_passes_and_is_closed() -> None:
    made: list[toy_envs.ToyEnv] = []
    closed: list[toy_envs.ToyEnv] = []

    class Counted(toy_envs.ToyEnv):
        def close(self) -> None:
            closed.append(self)

    def make(seed: int) -> Counted:
        made.append(Counted(seed, discrete=True))
        return made[-1]

    check_environment(make, steps=20, seeds=(3, 4, 5))
    assert len(made) == 4 and {id(env) for env in made} == {id(env) for env in closed}
    check_environment(toy_envs.ToyEnv)


def test_what_an_environment_says_of_itself_is_no_fault() -> None:
    checked("BeginsAlike", seeded=False)
    checked("Reuses", reuses_arrays=True)
    broken(checked, "NeverChanges", seeded=False, says="Other actions gave the same pixels in 20 steps of seed 3")


def test_an_environment_of_gymnasium_is_found_by_its_id() -> None:
    register()
    name = "ToyOfTheTests-v0"
    try:
        gymnasium.register(name, entry_point=lambda: toy_envs.ForgetsTheGenerator(0), max_episode_steps=4)
        check_environment(name, steps=10)  # below a limit of time, whose count is not in the state
        gymnasium.registry[name].max_episode_steps = None
        broken(check_environment, name, steps=10, says="went on with other pixels")
    finally:
        del gymnasium.registry[name]


def test_too_little_to_compare_is_told() -> None:
    with pytest.raises(UserError, match="give at least two seeds and"):
        check_environment(toy_envs.ToyEnv, seeds=(1, 1))
    with pytest.raises(UserError, match="give at least two"):
        check_modes(toy_envs.toy_mode, ("train",))


# ----------------------------------------------------------------------------------------------------- modes

FAULTS_OF_MODES = {
    "as_it_was": "Mode 'as_it_was' shows the same pixels as 'train' in 20 steps of seed 0",
    "pays": r"Mode 'pays' has the reward .* at step 2 of seed 0, compared with 'train'",
    "ends": "Mode 'ends' has truncated True instead of False at step 4",
    "moves": "Mode 'moves' has another state at step 1 of seed 0",
}


def level(env: Any) -> float:
    return env.level


@pytest.mark.parametrize("mode", FAULTS_OF_MODES)
def test_a_fault_of_a_mode_is_told(mode: str) -> None:
    broken(check_modes, toy_envs.toy_mode, ("train", "other", mode), state=level, says=FAULTS_OF_MODES[mode])


def test_a_mode_that_changes_pixels_alone_passes() -> None:
    check_modes(toy_envs.toy_mode, ("train", "other"), state=level)


# -------------------------------------------------------------------------------------------------- saliency


def sound(score: Score, obs: Tensor) -> Tensor:
    pixels = obs.detach().clone().requires_grad_()
    return torch.autograd.grad(score(pixels).sum(), pixels)[0]


def one_for_each_sample(score: Score, obs: Tensor) -> Tensor:
    return sound(score, obs).sum((1, 2, 3))


def attached(score: Score, obs: Tensor) -> Tensor:
    return sound(score, obs) * next(score.network.parameters()).sum()


def not_a_number(score: Score, obs: Tensor) -> Tensor:
    return sound(score, obs) / (obs - obs)


def nothing(score: Score, obs: Tensor) -> Tensor:
    return sound(score, obs) * 0


def drawn(score: Score, obs: Tensor) -> Tensor:
    return sound(score, obs + 0.1 * torch.randn_like(obs))


def seeded_elsewhere(score: Score, obs: Tensor) -> Tensor:
    generator = torch.Generator()
    generator.seed()
    return sound(score, obs + 0.1 * torch.randn(obs.shape, generator=generator))


def scaled_together(score: Score, obs: Tensor) -> Tensor:
    found = sound(score, obs)
    return found / found.abs().max()


def with_hook(score: Score, obs: Tensor) -> Tensor:
    score.network.register_forward_hook(lambda *_: None)
    return sound(score, obs)


def with_hook_after_an_exception(score: Score, obs: Tensor) -> Tensor:
    hook = score.network.register_forward_hook(lambda *_: None)
    found = sound(score, obs)
    hook.remove()
    return found


def in_another_mode(score: Score, obs: Tensor) -> Tensor:
    score.network.eval()
    return sound(score, obs)


def backwards(score: Score, obs: Tensor) -> Tensor:
    pixels = obs.detach().clone().requires_grad_()
    score(pixels).sum().backward()
    assert pixels.grad is not None
    return pixels.grad


def other_weights(score: Score, obs: Tensor) -> Tensor:
    found = sound(score, obs)
    for weight in score.network.parameters():
        weight.data.mul_(1.5)
    return found


def other_pixels(score: Score, obs: Tensor) -> Tensor:
    found = sound(score, obs)
    obs.clamp_(0.2, 0.8)
    return found


def pixels_with_a_gradient(score: Score, obs: Tensor) -> Tensor:
    obs.requires_grad_()
    return torch.autograd.grad(score(obs).sum(), obs)[0]


def silent(score: Score, obs: Tensor) -> Tensor:
    try:
        return sound(score, obs)
    except Exception:  # noqa: BLE001 -- the fault
        return torch.ones_like(obs)


def unsigned(score: Score, obs: Tensor) -> Tensor:
    return sound(score, obs).abs()


def smeared(score: Score, obs: Tensor) -> Tensor:
    return F.avg_pool2d(sound(score, obs), 3, stride=1, padding=1)


def inverted(score: Score, obs: Tensor) -> Tensor:
    found = sound(score, obs)
    return torch.where(found == 0, 1.0, 0.0) + (found.flatten(1).count_nonzero(1) > 100)[:, None, None, None] * found


FAULTS_OF_SALIENCY: dict[Callable[..., Tensor], str] = {
    one_for_each_sample: r"The map of torch.float32 \[3, 4, 12, 12\] is torch.float32 \[3\]",
    attached: "The map has a gradient",
    not_a_number: "The map is NaN or infinite",
    nothing: "The map of sample 0, 1, 2 is zero everywhere",
    drawn: "The method drew from PyTorch's global random numbers",
    seeded_elsewhere: "The same method, score and observations gave two different maps",
    scaled_together: "The map of a sample changes with other samples beside it",
    with_hook: "The network is not what it was: a hook",
    in_another_mode: "The network is not what it was: a hook, an attribute or a mode",
    with_hook_after_an_exception: "After an exception in the network a hook",
    backwards: "The gradient of the parameter 'convolutions.0.weight' was changed",
    other_weights: "The method changed convolutions.0.weight, .* and 5 more",
    other_pixels: "The method changed the observations",
    pixels_with_a_gradient: "The method changed the observations, or left a gradient on them",
    silent: "The method swallowed what the network raised",
    unsigned: r"weights times pixels has the map .* with \[0.5, -1.0, 2.0, 0.25\], but the method gave .*\[0.5, 1.0",
    smeared: r"The pixel \[0, 1\], which the score ignores, has a value",
    inverted: "The only pixel that the score depends on has the value 0",
}


@pytest.mark.parametrize("method", FAULTS_OF_SALIENCY, ids=lambda method: method.__name__)
def test_a_fault_of_a_saliency_method_is_told(method: Callable[..., Tensor]) -> None:
    keywords = {"linear": None} if method in (smeared, inverted) else {}
    broken(check_saliency, method, says=FAULTS_OF_SALIENCY[method], **keywords)


def test_a_sound_saliency_method_passes() -> None:
    check_saliency(sound)
    check_saliency(smeared, linear=None, reach=1)
    check_saliency(SALIENCY["perturbation_kl"], linear=None, reach=None)


# --------------------------------------------------------------------------------------------------- metrics

MASS, SIMILAR = METRICS["mass_inside"], METRICS["similarity"]


def with_values(change: Callable[[Tensor, Tensor], Tensor]) -> Metric:
    """A metric whose values are changed: ``(values, saliency) -> values``."""

    def scored(saliency: Tensor, truth: Tensor, ignore: Tensor) -> Tensor:
        return change(MASS.function(saliency, truth, ignore), saliency)

    return dataclasses.replace(MASS, function=scored)


def cleared(saliency: Tensor, truth: Tensor, ignore: Tensor) -> Tensor:
    values = MASS.function(saliency, truth, ignore)
    saliency.zero_()
    return values


def lucky_noise(values: Tensor, saliency: Tensor) -> Tensor:
    """The first frame of a map that is neither all nor nothing has more than any other can have."""
    first = torch.arange(len(values)) == 0
    shades = ((saliency > 0) & (saliency < 1)).flatten(1).any(1)
    return torch.where(first & shades, 1.0, values.clamp(max=0.9))


FAULTS_OF_METRICS = {
    "turned around": (
        dataclasses.replace(MASS, direction="lower"),
        "Lower is declared to be better, but the best, middling and worst maps have 1, ",
    ),
    "another range": (
        dataclasses.replace(MASS, highest=0.5),
        r"The best maps have 1..1, out of the declared range 0..0.5",
    ),
    "single precision": (with_values(lambda values, _: values.float()), "returned torch.float32 of shape .24. for 24"),
    "one for all": (with_values(lambda values, _: values.mean()), r"of shape \[\] for 24 frames"),
    "undefined": (with_values(lambda values, _: values / values.ne(1)), "is NaN or infinite for the best maps"),
    "in place": (dataclasses.replace(MASS, function=cleared), "changed its argument saliency"),
    "over the batch": (
        with_values(lambda values, _: 0.9 * values + 0.1 * values.mean()),
        "Frame 0 has 0.* alone and 0.* among others",
    ),
    "noise is better once": (with_values(lucky_noise), "The perfect map is worse than a random one in 1 of 24 frames"),
}


@pytest.mark.parametrize("fault", FAULTS_OF_METRICS)
def test_a_fault_of_a_metric_is_told(fault: str) -> None:
    metric, says = FAULTS_OF_METRICS[fault]
    broken(check_metric, metric, says=says)


def test_a_sound_metric_passes() -> None:
    check_metric(MASS)
    check_metric(SIMILAR)
    check_metric(with_values(lambda values, _: values))


def test_a_metric_of_a_question_without_inputs_says_which_it_needs() -> None:
    with pytest.raises(UserError, match=r"cases=Cases\(best, middle, worst\), each with clean_saliency, distracted"):
        check_metric(METRICS["map_drift"])
