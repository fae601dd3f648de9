"""The methods: one file each, and the one table that lists them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from saccade.agents.agent import Agent
from saccade.agents.drq import DrQ, make_drq
from saccade.agents.rad import RAD, make_rad
from saccade.agents.sac import SAC, Architecture, make_sac
from saccade.agents.sgqn import SGQN, make_sgqn
from saccade.agents.soda import SODA, SVEAWithSODA, make_soda, make_svea_with_soda
from saccade.agents.svea import SVEA, make_svea


@dataclass(frozen=True)
class Method:
    """A row of the table of methods.

    ``make(config, spaces, device, images) -> Agent``; ``per_task`` holds published settings that differ from the
    defaults, by domain.
    """

    summary: str
    source: str
    config: Any
    make: Callable[..., Agent]
    overlays: Callable[[Any], bool] = lambda config: False
    """Whether a configuration blends pictures into observations, and so needs a bank of them."""
    rendered_size: Callable[[Any], int] = lambda config: config.sac.architecture.image_size
    """Side in pixels of the observations that a configuration wants."""
    per_task: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_SGQN_QUANTILES = {domain: {"quantile": 0.98} for domain in ("cartpole", "ball_in_cup")}

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "sac": Method(
            "SAC on plain observations",
            "Haarnoja et al., 2018",
            SAC(),
            make_sac,
            rendered_size=lambda config: config.architecture.image_size,
        ),
        "rad": Method(
            "SAC on random crops",
            "Laskin et al., 2020",
            RAD(),
            make_rad,
            rendered_size=lambda config: config.rendered_size,
        ),
        "drq": Method("SAC on random shifts", "Yarats et al., 2021", DrQ(), make_drq),
        "soda": Method(
            "SAC that also predicts clean latents from augmented views",
            "Hansen and Wang, 2021",
            SODA(),
            make_soda,
            overlays=lambda config: config.strong.overlays,
            rendered_size=lambda config: config.rendered_size,
        ),
        "svea": Method(
            "SAC whose critic also learns on augmented observations",
            "Hansen et al., 2021",
            SVEA(),
            make_svea,
            overlays=lambda config: config.strong.overlays,
        ),
        "sgqn": Method(
            "SAC whose critic agrees with itself on its salient pixels",
            "Bertoin et al., 2022",
            SGQN(),
            make_sgqn,
            overlays=lambda config: config.self_supervision and config.strong.overlays,
            per_task=_SGQN_QUANTILES,
        ),
        "sac_consistency": Method(
            "SGQN without its self-supervision",
            "Bertoin et al., 2022, ablation",
            SGQN(self_supervision=False),
            make_sgqn,
            overlays=lambda config: config.self_supervision and config.strong.overlays,
            per_task=_SGQN_QUANTILES,
        ),
        "sac_self_supervision": Method(
            "SGQN without its consistency",
            "Bertoin et al., 2022, ablation",
            SGQN(consistency_weight=0.0),
            make_sgqn,
            overlays=lambda config: config.self_supervision and config.strong.overlays,
            per_task=_SGQN_QUANTILES,
        ),
        "svea_soda": Method(
            "SVEA with SODA's auxiliary task",
            "Bertoin et al., 2022, ablation",
            SVEAWithSODA(),
            make_svea_with_soda,
            overlays=lambda config: config.svea.strong.overlays,
            rendered_size=lambda config: config.svea.sac.architecture.image_size,
        ),
    }
)

SMALL = Architecture(image_size=48, filters=16, conv_layers=4, projection=100, hidden=512)
"""The ``small`` preset's networks, for CPUs: a picture takes a 28th of the encoder's multiplications."""
SMALL_BATCH_SIZE = 32
SMALL_RENDERED_SIZE = 56
SMALL_DECODER_FILTERS = (16, 8)
SMALL_SHIFT = 2
"""As much of the picture as the published 4 of 84 pixels."""
SMALL_INITIAL_TEMPERATURE = 0.01
"""Lower than published: in some thousand updates the published 0.1 hardly falls, and exploring outweighs the task."""


def small(config: Any) -> Any:
    """A method's configuration for minutes on a CPU: small, and less exploring; every other choice stays."""
    changes: dict[str, Any] = {}
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        if entry.name == "architecture":
            changes[entry.name] = SMALL
        elif entry.name in ("batch_size", "soda_batch_size"):
            changes[entry.name] = SMALL_BATCH_SIZE
        elif entry.name == "rendered_size":
            changes[entry.name] = SMALL_RENDERED_SIZE
        elif entry.name == "decoder_filters":
            changes[entry.name] = SMALL_DECODER_FILTERS
        elif entry.name == "shift":
            changes[entry.name] = SMALL_SHIFT
        elif entry.name == "initial_temperature":
            changes[entry.name] = SMALL_INITIAL_TEMPERATURE
        elif dataclasses.is_dataclass(value):
            changes[entry.name] = small(value)
    return dataclasses.replace(config, **changes)


def preset(name: str, task: str, size: str = "paper") -> Any:
    """A method's configuration for a task: published defaults and per-task values, at ``paper`` or ``small`` size."""
    method = METHODS[name]
    domain = task.rpartition("/")[2]
    changes = next((values for key, values in method.per_task.items() if domain.startswith(key)), {})
    config = dataclasses.replace(method.config, **changes)
    return small(config) if size == "small" else config
