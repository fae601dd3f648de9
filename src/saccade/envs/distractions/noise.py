"""Noise: every pixel of every frame changes a little, independently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from saccade.envs.distractions import any_seed
from saccade.types import UserError

if TYPE_CHECKING:
    from saccade.data.folder import DataFolder

MAX_LEVEL = 255


@final
@dataclass(frozen=True)
class Noise:
    """Adds Gaussian noise, independent in every frame and in each colour of each pixel.

    Attributes:
        std: its standard deviation in grey levels (0..255). By default that of the mildest Gaussian noise in
            ImageNet-C (Hendrycks and Dietterich, 2019), 0.08 of the range.

    Raises:
        UserError: ``std`` is not above 0.
    """

    std: float = 0.08 * MAX_LEVEL

    def __post_init__(self) -> None:
        if not 0 < self.std < np.inf:
            raise UserError(f"std is {self.std!r}, but must be a number of grey levels above 0")

    def check(self, folder: DataFolder) -> None:
        """Check nothing: noise is generated."""

    def load(self, folder: DataFolder, image_size: int, clip_order: str) -> GaussianNoise:
        """Open nothing: no data is needed."""
        return GaussianNoise(self.std)


@final
@dataclass(frozen=True)
class GaussianNoise:
    """``Noise`` with its data loaded; an episode's choice is the seed of its noise."""

    std: float

    def choose(self, previous: int, random: np.random.Generator) -> int:
        """Return a random seed, independent of the previous choice."""
        return any_seed(random)

    def paint(self, scene: object, choice: int) -> None:
        """Do nothing."""

    def apply(self, pixels: np.ndarray, choice: int, agent_step: int) -> np.ndarray:
        """Return the frame with the noise of this step, rounded and clipped to 0..255."""
        noise = np.random.default_rng([choice, agent_step]).standard_normal(pixels.shape, np.float32)
        noise *= self.std
        noise += pixels
        return np.rint(noise, out=noise).clip(0, MAX_LEVEL).astype(np.uint8)

    def provenance(self) -> dict[str, object]:
        """How strong the noise is."""
        return {"noise_std": self.std}
