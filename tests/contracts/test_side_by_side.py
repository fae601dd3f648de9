"""Budgets that are played side by side, and what is remembered: every row is what it would be alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import saccade
from saccade.explain.attacking import Cell, Play, UnderAttack, cells_of, cells_text, side_by_side, under_attack
from saccade.explain.tasks import task_of
from saccade.policies import attacked
from saccade.policies.attacked import Attacker, AttackSettings
from saccade.policies.evaluate import EvaluationEnvs, evaluate, evaluated_side_by_side, in_mode
from saccade.policies.policy import Policy
from saccade.policies.side_by_side import SideBySide

pytest.importorskip("minigrid", reason="MiniGrid is not installed")
pytestmark = pytest.mark.usefixtures("elsewhere")

TASK = "minigrid/red_fetch_green"


@pytest.fixture(scope="module")
def policy() -> Policy:
    return saccade.load("zoo:ppo-red-fetch-green", device="cpu")


def numbers(one: UnderAttack) -> tuple:
    return one.cell, one.evaluation.returns, one.evaluation.successes, one.action_change, one.untouched


def test_a_row_is_the_same_whatever_else_is_asked(policy: Policy) -> None:
    cells = cells_of(["fgsm", "mad", "random_sign"], [0, 1, 2])
    task, settings, play = task_of(policy, None), AttackSettings(), Play(2, seed=5, sampled=True, workers=0)
    together = list(under_attack(policy, task, cells, settings, play))
    assert {one.cell for one in together} == set(cells) and len(together) == len(cells)
    alone = [one for cell in cells for one in under_attack(policy, task, [cell], settings, play)]
    assert sorted(map(numbers, together), key=str) == sorted(map(numbers, alone), key=str)
    assert all(one.seconds > 0 for one in together)


def test_cells_are_grouped_by_their_attack() -> None:
    cells = cells_of(["pgd", "fgsm"], [0, 1, 2, 4])
    clean, *rest = side_by_side(cells, 2)
    assert clean == [Cell("none", 0)]
    budgets = [(group[0].attack, [cell.epsilon for cell in group]) for group in rest]
    assert budgets == [("pgd", [1, 2]), ("fgsm", [1, 2]), ("pgd", [4]), ("fgsm", [4])]
    assert side_by_side(cells, 1) == [[cell] for cell in cells]
    assert cells_text(*rest[0]) == "pgd, 1, 2 of 255" and cells_text(*clean) == "no attack"


def test_evaluations_side_by_side_are_those_alone(policy: Policy) -> None:
    """Twelve episodes: ten at a time, and two. One evaluation does what is most likely, the other what is least so."""
    env = in_mode(policy.config.env, "train")

    def acting(obs: np.ndarray, whose: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            preferred = policy.preferences(policy.network, policy.tensor(obs)).numpy()
        return np.where(whose == 0, preferred.argmax(-1), preferred.argmin(-1))

    envs = EvaluationEnvs(0)
    found = evaluated_side_by_side(acting, 2, env, envs, episodes=12, seed=3)
    for place, one in enumerate(found):
        alone = evaluate(
            lambda obs, place=place: acting(obs, np.full(len(obs), place)), env, episodes=12, seed=3, workers=0
        )
        assert one.returns == alone.returns and one.successes == alone.successes and one.provenance == alone.provenance
        assert len(one.returns) == 12 and one.frames is None
    assert found[0].returns != found[1].returns


def seen_in_play(count: int) -> np.ndarray:
    env = saccade.make(TASK, num_actions=4, frame_stack=1)
    pictures = [env.reset(seed=seed)[0] for seed in range(count)]
    env.close()
    return np.stack(pictures)


def test_attackers_side_by_side_count_for_themselves(policy: Policy) -> None:
    """The second has nothing to attack in the first step, and both draw as they would alone."""
    obs = seen_in_play(3)
    group = SideBySide([Attacker(policy, "pgd", epsilon) for epsilon in (2, 8)], seed=7)
    first = group.act(obs[:1], np.array([0]))
    second = group.act(obs, np.array([0, 0, 1]))
    alone = [SideBySide([Attacker(policy, "pgd", epsilon)], seed=7) for epsilon in (2, 8)]
    zeros = np.zeros(2, int)
    assert np.array_equal(first, alone[0].act(obs[:1], zeros[:1]))
    expected = [alone[0].act(obs[:2], zeros), alone[1].act(obs[2:], zeros[:1])]
    assert np.array_equal(second, np.concatenate(expected))
    for one, other in zip(group.attackers, (one.attackers[0] for one in alone), strict=True):
        assert (one.steps, one.moved, one.untouched) == (other.steps, other.moved, other.untouched)
    assert [one.steps for one in group.attackers] == [3, 1]


GRADIENTS = {"fgsm": 1, "mi_fgsm": 10, "mad": 10, "pgd": 10, "pgd_restarts": 40}
"""How many of each picture an attack takes."""


@pytest.mark.parametrize("name", GRADIENTS)
def test_what_was_found_is_not_sought_again(name: str, policy: Policy) -> None:
    obs = policy.tensor(seen_in_play(3))
    attacker = Attacker(policy, name, 8)
    sought = 0

    def count(layer: torch.nn.Module, given: tuple[torch.Tensor, ...], result: torch.Tensor) -> None:
        nonlocal sought
        sought += given[0].requires_grad * len(given[0])

    first = next(layer for layer in attacker.view.modules() if isinstance(layer, torch.nn.Conv2d))
    with first.register_forward_hook(count):
        some, _ = attacker.seen(obs[:2])
        assert sought == 2 * GRADIENTS[name]
        all_of_them, _ = attacker.seen(obs)
        assert sought == 3 * GRADIENTS[name]
        again, _ = attacker.seen(obs.flip(0))
        assert sought == 3 * GRADIENTS[name]
    assert torch.equal(all_of_them[:2], some) and torch.equal(again, all_of_them.flip(0))
    fresh, _ = Attacker(policy, name, 8).seen(obs)  # in a batch of another size: rounding decides where signs change
    assert float((fresh != all_of_them).float().mean()) < 0.02
    again.zero_()
    assert torch.equal(attacker.seen(obs)[0], all_of_them)  # what is remembered is nobody else's


def test_a_budget_and_an_action_are_told_apart(policy: Policy) -> None:
    """With another action to be surprised at, the same picture is another one; and so it is with another budget."""
    obs = policy.tensor(seen_in_play(1))
    attacker = Attacker(policy, "fgsm", 8)
    usual, action = attacker.seen(obs)
    allowed = np.ones((1, 4), bool)
    allowed[0, int(action)] = False
    other, _ = attacker.seen(obs, allowed)
    assert not torch.equal(other, usual) and torch.equal(attacker.seen(obs)[0], usual)
    group = [attacker, Attacker(policy, "fgsm", 4)]
    both, _ = attacked.seen_side_by_side(group, [1, 1], obs.repeat(2, 1, 1, 1))
    assert torch.equal(both[:1], usual) and float((both[1] - obs[0]).abs().max()) == 4


def test_what_is_drawn_belongs_to_the_observation(policy: Policy) -> None:
    """And to the seed. Two observations have other numbers."""
    obs = policy.tensor(seen_in_play(2))
    signs = [Attacker(policy, "random_sign", 8, AttackSettings(seed=seed)).seen(obs)[0] - obs for seed in (0, 0, 1)]
    assert torch.equal(signs[0], signs[1]) and not torch.equal(signs[0], signs[2])
    inside = ((obs >= 8) & (obs <= 247)).all(0)
    assert 0.4 < float((signs[0][0] == signs[0][1])[inside].float().mean()) < 0.6


def test_what_is_remembered_is_bounded(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    obs = policy.tensor(seen_in_play(3))
    monkeypatch.setattr(attacked, "REMEMBERED_BYTES", 2 * 4 * math.prod(obs.shape[1:]))
    attacker = Attacker(policy, "fgsm", 8)
    found, _ = attacker.seen(obs)
    assert len(attacker.found_before) == 2
    assert torch.equal(attacker.seen(obs[1:])[0], found[1:])
    monkeypatch.setattr(attacked, "REMEMBERED_BYTES", 0)  # pictures larger than that are kept one at a time
    other = Attacker(policy, "fgsm", 8)
    assert other.seen(obs)[0].shape == obs.shape and len(other.found_before) == 1


@pytest.mark.parametrize(("attack", "same"), [("random_sign", False), ("pgd", True)])
def test_noise_is_another_one_at_every_step_and_an_attack_on_a_picture_the_same(
    policy: Policy, attack: str, same: bool
) -> None:
    attacker = Attacker(policy, attack, 8, AttackSettings())
    obs = policy.tensor(np.random.default_rng(0).integers(0, 256, (2, *policy.pixels.shape), np.uint8))
    pictures = []
    for _ in range(2):
        seen, clean = attacker.seen(obs)
        attacker.count(obs, seen, clean, clean)
        pictures.append(seen)
    assert torch.equal(*pictures) == same
