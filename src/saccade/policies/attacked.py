"""A policy whose observations are attacked before it acts."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, final, get_args

import numpy as np
import torch
from torch import Tensor

from saccade.attacks import ATTACKS
from saccade.attacks.attack import Attack
from saccade.nets.views.strided import strided_view
from saccade.policies.normalisation import BYTE
from saccade.policies.pixels import Pixels
from saccade.policies.policy import Policy
from saccade.policies.targets import check_target, target_score
from saccade.spelling import close_names
from saccade.types import UserError

Part = Literal["stack", "newest"]
DIVERGENCE = "policy"
REMEMBERED_BYTES = 32_000_000
"""Memory of an attacker for attacked observations, in bytes: 650 of 64x64, more than a grid world shows."""
Key = tuple[int, bytes]
"""The checksum of an observation, and the action that the attack moves the policy away from."""


@final
@dataclass(frozen=True)
class AttackSettings:
    """What to attack, and how.

    Attributes:
        target: one of ``targets.TARGETS`` or a score; attacks that can only climb a divergence take ``policy`` instead.
        part: whether all frames of an observation are changed or only the newest. In the latter case older frames are
            as the environment drew them, not as they were attacked.
        whole_pixels: whether pixels are rounded to whole numbers in 0..255 at the end of each attack.
        seed: seed of the attacks' random numbers.
        source: the policy that ``transfer`` is computed on.
        changes: hyper-parameters that differ from the defaults, by attack.
    """

    target: str = "action"
    part: Part = "stack"
    whole_pixels: bool = True
    seed: int = 0
    source: Policy | None = None
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_target(self.target)
        if self.part not in get_args(Part):
            raise UserError(f"There is no part {self.part!r} of an observation: it is {' or '.join(get_args(Part))}.")

    def target_of(self, attack: Attack) -> str:
        """Return the target of this attack."""
        return DIVERGENCE if attack.distance else self.target


DEFAULT_SETTINGS = AttackSettings()


@final
@dataclass(frozen=True)
class Attacked:
    """Observations before and after an attack, and what the policy does at both.

    Attributes:
        obs: attacked observations as the environment would return them: ``[batch, *shape]``, bytes where its
            observations are bytes and pixels are whole.
        clean_obs: the observations before the attack, likewise.
        action: the deterministic action at ``obs``, as the environment takes it; ``clean_action`` is the one at
            ``clean_obs``.
        changed: bool ``[batch]``, whether the two actions differ.
    """

    obs: np.ndarray
    clean_obs: np.ndarray
    action: np.ndarray
    clean_action: np.ndarray

    @property
    def changed(self) -> np.ndarray:
        differs = self.action != self.clean_action
        return np.asarray(differs.reshape(len(differs), -1).any(1))


def attack_named(name: str) -> Attack:
    """Return the attack of ``ATTACKS``. Raises UserError, with the nearest names, for one that does not exist."""
    if name not in ATTACKS:
        near = close_names(name, ATTACKS)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(ATTACKS)}."
        raise UserError(f"There is no attack {name!r}: {hint}")
    return ATTACKS[name]


def attack(
    policy: Policy, obs: np.ndarray, name: str, epsilon: float, settings: AttackSettings = DEFAULT_SETTINGS
) -> Attacked:
    """Attack a policy's observations: ``attack(saccade.load("runs/mine"), obs, "pgd", 4).obs``.

    Args:
        obs: observations as the environment returns them: ``[*shape]`` or ``[batch, *shape]``.
        name: a name in ``saccade.attacks.ATTACKS``.
        epsilon: how much a pixel may change, in steps of 1/255 from black to white.

    Raises:
        UserError: an unknown attack, a negative budget, a target that the policy does not compute, or observations that
            do not fit the policy.
    """
    attacker = Attacker(policy, name, epsilon, settings)
    batch = policy.tensor(obs)
    seen, clean_action = attacker.seen(batch)
    action = policy.greedy(seen)
    before, after = (policy.to_env(one.cpu().numpy()) for one in (clean_action, action))
    return Attacked(as_env(policy.pixels, seen, settings.whole_pixels), as_env(policy.pixels, batch), after, before)


def as_env(pixels: Pixels, obs: Tensor, whole: bool = True) -> np.ndarray:
    """Return tensors ``[batch, channel, height, width]`` in 0..high as the environment would return them."""
    if np.dtype(pixels.dtype).kind == "f":
        return pixels.as_given(obs).cpu().numpy().astype(pixels.dtype)
    # The network's owner normalises bytes.
    given = dataclasses.replace(pixels, normalised=None).as_given(obs * (BYTE / pixels.high)).cpu().numpy()
    return given.round().astype(pixels.dtype) if whole else given


@final
class Attacker:
    """One attack with one budget, applied to the observations between an environment and a policy.

    Attributes:
        steps: number of observations attacked so far.
        moved: sum over these of how far the deterministic action moved: for discrete actions 1 where it changed, for
            continuous ones the mean distance over the dimensions.
        untouched: how many of them it left unchanged, such as where a gradient is zero.
    """

    def __init__(self, policy: Policy, name: str, epsilon: float, settings: AttackSettings = DEFAULT_SETTINGS) -> None:
        self.policy, self.name, self.epsilon, self.settings = policy, name, epsilon, settings
        self.attack = attack_named(name)
        self.source = policy
        if self.attack.of_another:
            self.source = _source(policy, settings.source)
        self.target = settings.target_of(self.attack)
        self.view = strided_view(self.source.network) if self.source.device.type == "cpu" else self.source.network
        if settings.whole_pixels and 0 < epsilon < 1:
            raise UserError(
                f"With {epsilon:g} of 255 no whole pixel changes: use a budget of 1 or more, or let pixels be no whole "
                "numbers with --no-whole-pixels (whole_pixels=False)."
            )
        self.found_before: dict[Key, tuple[np.ndarray, Tensor]] = {}
        self.steps = self.untouched = 0
        self.moved = 0.0

    def seen(self, obs: Tensor, allowed: np.ndarray | None = None) -> tuple[Tensor, Tensor]:
        """Return the attacked observations and the clean actions, as ``policy.tensor`` and ``greedy`` return them."""
        return seen_side_by_side([self], [len(obs)], obs, allowed)

    def count(self, batch: Tensor, seen: Tensor, clean: Tensor, action: Tensor) -> None:
        """Count the observations that stayed unchanged, and how far the deterministic action moved."""
        self.steps += len(batch)
        self.untouched += int((batch == seen).flatten(1).all(1).sum())
        apart = (clean != action).float() if self.policy.discrete else (clean - action).abs().flatten(1).mean(1)
        self.moved += float(apart.sum())

    def known(self, key: Key, obs: np.ndarray) -> Tensor | None:
        """Return the attacked observation found earlier for the same observation; None if it is not remembered."""
        there = self.found_before.get(key)
        return there[1] if there is not None and np.array_equal(there[0], obs) else None

    def remember(self, key: Key, obs: np.ndarray, found: Tensor) -> None:
        """Remember an attacked observation, and forget the oldest if there are too many."""
        kept = self.found_before
        if kept and len(kept) >= REMEMBERED_BYTES // obs.nbytes:
            del kept[next(iter(kept))]
        kept[key] = obs.copy(), found.clone()


def seen_side_by_side(
    attackers: Sequence[Attacker], counts: Sequence[int], obs: Tensor, allowed: np.ndarray | None = None
) -> tuple[Tensor, Tensor]:
    """Return each attacker's attacked observations and the policy's clean actions, computed as one batch.

    Args:
        attackers: of one policy with one attack and the same settings; their budgets differ.
        counts: how many of the consecutive observations belong to each.
    """
    first = attackers[0]
    policy, source = first.policy, first.source
    action = policy.greedy(obs, allowed)
    if not any(attacker.epsilon for attacker in attackers):
        return obs, action
    at_source = obs if source is policy else obs * (source.pixels.high / policy.pixels.high)
    judged = action if source is policy else source.greedy(at_source)
    owners = [attacker for attacker, count in zip(attackers, counts, strict=True) for _ in range(count)]
    found = _found_once(owners, obs, at_source, judged)
    return (found if source is policy else found * (policy.pixels.high / source.pixels.high)), action


def _found_once(owners: Sequence[Attacker], obs: Tensor, at_source: Tensor, judged: Tensor) -> Tensor:
    """Return what the attack finds, computed only for new observations: for others it is what was found before.

    An agent that an attack keeps in one place sees the same few pictures until time runs out. Noise is no adversary
    that answers to a picture: it is drawn again at every step.

    Args:
        owners: the attacker of each observation.
        at_source: the observations as the policy takes them that the attack is computed on.
        judged: the actions that the attack moves the policy away from.
    """
    first, rows, actions = owners[0], obs.cpu().numpy(), judged.cpu().numpy()
    # Each observation has its own seed, whatever else is in the batch: the same one whenever it comes again, but for
    # noise, which has another one at each of its attacker's steps.
    steps = [0 if first.attack.gradients else owner.steps for owner in owners]
    seeds = [
        zlib.crc32(row.astype(np.float32, copy=False).tobytes(), first.settings.seed + step)
        for row, step in zip(rows, steps, strict=True)
    ]
    keys = [(seed, action.tobytes()) for seed, action in zip(seeds, actions, strict=True)]
    known = [owner.known(key, row) for owner, key, row in zip(owners, keys, rows, strict=True)]
    new = [place for place, one in enumerate(known) if one is None]
    if new:
        index = torch.tensor(new, device=obs.device)
        score = target_score(first.source, first.target, at_source[index], judged[index])
        found = first.attack(
            score.through(first.view) if score.network is first.source.network else score,
            at_source[index],
            [owners[place].epsilon for place in new],
            high=first.source.pixels.high,
            channels=first.policy.pixels.colours if first.settings.part == "newest" else None,
            whole_pixels=first.settings.whole_pixels,
            seed=[seeds[place] for place in new],
            **first.settings.changes.get(first.name, {}),
        )
        for place, picture in zip(new, found, strict=True):
            known[place] = picture
            if first.attack.gradients:
                owners[place].remember(keys[place], rows[place], picture)
    return torch.stack([one for one in known if one is not None])


def _source(policy: Policy, source: Policy | None) -> Policy:
    if source is None:
        raise UserError(
            "The attack transfer is computed on another policy: say which with --transfer-from (source=...)."
        )
    if source.pixels.channels_first != policy.pixels.channels_first:
        raise UserError(
            f"An attack on {source.source or source.name} cannot be shown to {policy.name}: the one sees "
            f"{source.pixels.description()}, the other {policy.pixels.description()}."
        )
    return source
