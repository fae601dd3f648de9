"""One attack with several budgets at once, whose observations go through the policy's network as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import torch

from saccade.policies.attacked import Attacker, seen_side_by_side


@final
class SideBySide:
    """Attackers that act at the same time. Each attacks, samples and counts exactly as it would alone.

    Args:
        attackers: of one policy with one attack and the same settings; their budgets differ.
        seed: seed for sampling actions from the policy, the same for each attacker; None for the most likely actions.

    Raises:
        UserError: the policy cannot be sampled from.
    """

    def __init__(self, attackers: Sequence[Attacker], seed: int | None = None) -> None:
        self.attackers = tuple(attackers)
        self._policy = self.attackers[0].policy
        assert all(
            (one.policy, one.name, one.settings) == (self._policy, attackers[0].name, attackers[0].settings)
            for one in attackers
        )
        self._draws = None if seed is None else [self._policy.drawer(seed) for _ in attackers]

    def act(self, obs: np.ndarray, whose: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
        """Act on attacked observations, as ``Policy.act`` does on a batch of clean ones.

        Args:
            whose: int ``[batch]``, ascending: the index of each observation's attacker.
        """
        batch = self._policy.tensor(obs)
        counts = np.bincount(whose, minlength=len(self.attackers)).tolist()
        seen, clean = seen_side_by_side(self.attackers, counts, batch, allowed)
        greedy = clean if seen is batch else self._policy.greedy(seen, allowed)
        places = np.split(np.arange(len(batch)), np.cumsum(counts)[:-1])
        for attacker, rows in zip(self.attackers, places, strict=True):
            if attacker.epsilon > 0:
                attacker.count(batch[rows], seen[rows], clean[rows], greedy[rows])
        chosen = greedy
        if self._draws is not None:
            drawn = [draw(seen[rows]) for draw, rows in zip(self._draws, places, strict=True) if len(rows)]
            chosen = torch.cat(drawn)
        return self._policy.to_env(chosen.cpu().numpy())
