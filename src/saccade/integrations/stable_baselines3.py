"""``ExplainCallback``: where a Stable-Baselines3 policy looks while it trains, in its own logger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Image

from saccade.explain.maps import DEFAULT_SETTINGS, Find, MethodSettings, find_maps, finders, magnitude, noise_of
from saccade.policies.policy import Policy
from saccade.policies.sources.stable_baselines3 import from_model
from saccade.types import UserError
from saccade.viewer.explanation import brightest
from saccade.viewer.pictures import frames_of, grid, overlay, upscale

TEXT_FORMATS = ("stdout", "log", "json", "csv")  # of the logger; they cannot hold pictures
SMALLEST_SIDE = 160  # pixels, so that labels and maps can be read


class ExplainCallback(BaseCallback):
    """Logs pictures ``explain/METHOD`` of what the policy looks at while it trains, through the model's own logger.

    The observations are the newest ones of the training environments at that time. Training itself is not affected:
    weights, gradients, random states and the mode of the network stay as they are.

    Args:
        every: environment steps, over all environments, between two pictures.
        methods: names in ``saccade.saliency.METHODS``; one that cannot be right for the policy raises UserError when
            training starts.
        frames: observations in a picture, one from each environment, as far as there are enough.
        settings: what the methods explain, and their hyper-parameters.
    """

    def __init__(
        self,
        every: int = 10_000,
        methods: Sequence[str] = ("gradient", "perturbation_actor"),
        *,
        frames: int = 4,
        settings: MethodSettings = DEFAULT_SETTINGS,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        if every < 1 or frames < 1:
            raise UserError(f"ExplainCallback(every={every}, frames={frames}): both must be at least 1.")
        self.every, self.methods, self.frames, self.settings = every, tuple(methods), frames, settings
        self._last = 0
        self._found: list[Find] = []
        self._policy: Policy | None = None

    def _on_training_start(self) -> None:
        # For this model and this call of learn, whose steps start from 0: a callback may be used again.
        self._last = self.num_timesteps
        self._policy = from_model(self.model)
        self._found, _ = finders(self._policy, self.methods, self.settings, noise_of(self._policy))

    def _on_step(self) -> bool:
        if self.num_timesteps - self._last >= self.every:
            self._last = self.num_timesteps
            self._explain(self.locals["new_obs"])
        return True

    def _explain(self, obs: Any) -> None:
        assert self._policy is not None
        seen = self._seen(obs)
        frames = self._policy.tensor(seen).cpu().numpy() * (255 / self._policy.pixels.high)
        training = self.model.policy.training
        self.model.policy.set_training_mode(False)
        try:
            for find in self._found:
                maps, _ = find_maps(self._policy, find, seen, self.settings.max_batch)
                self.logger.record(f"explain/{find.name}", Image(self._picture(frames, maps), "HWC"), TEXT_FORMATS)
        finally:
            self.model.policy.set_training_mode(training)

    def _seen(self, obs: Any) -> np.ndarray:
        """Observations as the policy takes them: channels first if the library moves them."""
        seen = np.asarray(obs)[: self.frames]
        assert self._policy is not None
        if seen.shape[1:] != self._policy.pixels.shape and seen.ndim == 4:
            seen = np.moveaxis(seen, -1, 1)
        return seen

    def _picture(self, frames: np.ndarray, maps: np.ndarray) -> np.ndarray:
        assert self._policy is not None
        saliency = magnitude(maps)
        limits = (0.0, brightest(saliency))
        factor = -(-SMALLEST_SIDE // frames.shape[-1])
        pictures = frames_of(frames, colours=self._policy.pixels.colours)
        overlays = overlay(pictures, saliency, limits=limits)
        return grid([[upscale(picture, factor) for picture in row] for row in (pictures, overlays)])


__all__ = ["ExplainCallback"]
