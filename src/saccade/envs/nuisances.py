"""Load the distractions of an environment's mode: what every kind of environment applies in its episodes."""

from __future__ import annotations

from saccade.data.folder import find_data
from saccade.envs.config import EnvConfig
from saccade.envs.distractions import Nuisance
from saccade.envs.suites import distractions_of

NO_CHOICE = 0  # the previous choice before a distraction's first episode


def nuisances_of(config: EnvConfig) -> list[Nuisance]:
    """Return the distractions of the configuration's mode, with their data. Raises UserError if it cannot be used."""
    folder, order = find_data(config.option("data")), config.option("clip_order", "seed")
    return [each.load(folder, config.image_size, order) for each in distractions_of(config.task, config.mode)]
