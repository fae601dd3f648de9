"""The training methods: one file each, and the table that lists them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from saccade.agents.configs import (
    CURL,
    RAD,
    SAC,
    SADA,
    SCPL,
    SGQN,
    SMG,
    SODA,
    SVEA,
    Architecture,
    Augmentation,
    AugmentedSAC,
    DrQ,
    MaDi,
    SimGRL,
    SVEAWithSODA,
)
from saccade.agents.configs_discrete import DQN, SGDQN, SGPPO, Guidance
from saccade.agents.configs_on_policy import FLS, PPO
from saccade.agents.configs_students import DIGR
from saccade.later import Later
from saccade.types import Continuous, Discrete

if TYPE_CHECKING:
    from saccade.agents.agent import Agent

__all__ = ["METHODS", "Architecture", "Method"]


@dataclass(frozen=True)
class Method:
    """A row of the table of methods: ``make(config, spaces, device, given) -> Agent``.

    Settings that papers published for single tasks are in ``saccade.agents.published_settings``.
    """

    summary: str
    source: str
    config: Any
    make: Callable[..., Agent]
    loop: Literal["off_policy", "on_policy"] = "off_policy"
    """Whether it learns from transitions in a replay buffer, or from rollouts of its current policy."""
    actions: tuple[type[Continuous] | type[Discrete], ...] = (Continuous,)
    """The kinds of action that it supports."""
    overlays: Callable[[Any], bool] = lambda config: False
    """Whether a configuration blends pictures into observations, and so needs a bank of them."""
    rendered_size: Callable[[Any], int] = lambda config: config.sac.architecture.image_size
    """Side in pixels of the observations that a configuration needs."""
    taught: bool = False
    """Whether it learns from a teacher, which ``--teacher`` names."""
    takes_saliency: Callable[[Any], bool] = lambda config: False
    """Whether a configuration also learns from saliency data, which are then prepared before training."""
    decodes: Callable[[Any], bool] = lambda config: False
    """Whether a configuration decodes pictures of that side, which must then suit its decoders."""
    truth: Callable[[Any], bool] = lambda config: False
    """Whether a configuration learns from the simulator's own masks of the task."""


def _blends(config: Any) -> bool:
    """Whether a guided agent predicts masks of observations that pictures are blended into."""
    return bool(config.guidance.self_supervision and config.guidance.strong.overlays)


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "sac": Method(
            "SAC on plain observations",
            "Haarnoja et al., 2018",
            SAC(),
            Later("saccade.agents.methods.sac", "make_sac"),
            rendered_size=lambda config: config.architecture.image_size,
        ),
        "rad": Method(
            "SAC on random crops",
            "Laskin et al., 2020",
            RAD(),
            Later("saccade.agents.methods.rad", "make_rad"),
            rendered_size=lambda config: config.rendered_size,
        ),
        "drq": Method(
            "SAC on random shifts", "Yarats et al., 2021", DrQ(), Later("saccade.agents.methods.drq", "make_drq")
        ),
        "soda": Method(
            "SAC that also predicts clean latents from augmented views",
            "Hansen and Wang, 2021",
            SODA(),
            Later("saccade.agents.methods.soda", "make_soda"),
            overlays=lambda config: config.strong.overlays,
            rendered_size=lambda config: config.rendered_size,
        ),
        "svea": Method(
            "SAC whose critic also learns on augmented observations",
            "Hansen et al., 2021",
            SVEA(),
            Later("saccade.agents.methods.svea", "make_svea"),
            overlays=lambda config: config.strong.overlays,
        ),
        "sgqn": Method(
            "SAC whose critic agrees with itself on its salient pixels",
            "Bertoin et al., 2022",
            SGQN(),
            Later("saccade.agents.methods.sgqn", "make_sgqn"),
            overlays=lambda config: config.self_supervision and config.strong.overlays,
            decodes=lambda config: config.self_supervision,
        ),
        "sac_consistency": Method(
            "SGQN without its self-supervision",
            "Bertoin et al., 2022, ablation",
            SGQN(self_supervision=False),
            Later("saccade.agents.methods.sgqn", "make_sgqn"),
            overlays=lambda config: config.self_supervision and config.strong.overlays,
            decodes=lambda config: config.self_supervision,
        ),
        "sac_self_supervision": Method(
            "SGQN without its consistency",
            "Bertoin et al., 2022, ablation",
            SGQN(consistency_weight=0.0),
            Later("saccade.agents.methods.sgqn", "make_sgqn"),
            overlays=lambda config: config.self_supervision and config.strong.overlays,
            decodes=lambda config: config.self_supervision,
        ),
        "svea_soda": Method(
            "SVEA with SODA's auxiliary task",
            "Bertoin et al., 2022, ablation",
            SVEAWithSODA(),
            Later("saccade.agents.methods.soda", "make_svea_with_soda"),
            overlays=lambda config: config.svea.strong.overlays,
            rendered_size=lambda config: config.svea.sac.architecture.image_size,
        ),
        "smg": Method(
            "SAC whose encoder separates observations into foreground and background",
            "Zhang et al., 2024",
            SMG(),
            Later("saccade.agents.methods.smg", "make_smg"),
            overlays=lambda config: config.overlays,
            decodes=lambda config: True,
        ),
        "sac_overlay": Method(
            "SAC on observations with a picture blended in",
            "baseline",
            AugmentedSAC(shift=0, strong=Augmentation("overlay"), augment_next_obs=False),
            Later("saccade.agents.methods.srm", "make_augmented_sac"),
            overlays=lambda config: config.strong.overlays,
        ),
        "curl": Method(
            "RAD whose encoder recognises an observation from another crop of it",
            "Laskin, Srinivas and Abbeel, 2020",
            CURL(),
            Later("saccade.agents.methods.curl", "make_curl"),
            rendered_size=lambda config: config.rendered_size,
        ),
        "srm": Method(
            "DrQ on observations without some of their frequencies",
            "Huang et al., 2022",
            AugmentedSAC(),
            Later("saccade.agents.methods.srm", "make_augmented_sac"),
            overlays=lambda config: config.strong.overlays,
        ),
        "madi": Method(
            "SVEA with a small network in front that masks distractions",
            "Grooten et al., 2024",
            MaDi(),
            Later("saccade.agents.methods.madi", "make_madi"),
            overlays=lambda config: config.svea.strong.overlays,
            rendered_size=lambda config: config.svea.sac.architecture.image_size,
        ),
        "scpl": Method(
            "SVEA that agrees with itself on salient pixels, on actions and on what comes next",
            "Sun et al., 2025",
            SCPL(),
            Later("saccade.agents.methods.scpl", "make_scpl"),
            overlays=lambda config: config.strong.overlays,
        ),
        "sada": Method(
            "SVEA whose actor, too, acts on augmented observations",
            "Almuzairee, Hansen and Christensen, 2024",
            SADA(),
            Later("saccade.agents.methods.sada", "make_sada"),
            overlays=lambda config: config.overlays,
        ),
        "ppo": Method(
            "clipped policy updates on rollouts, for continuous and discrete actions",
            "Schulman et al., 2017",
            PPO(),
            Later("saccade.agents.methods.ppo", "make_ppo"),
            loop="on_policy",
            actions=(Continuous, Discrete),
            rendered_size=lambda config: config.trunk.image_size,
        ),
        "fls": Method(
            "PPO whose network multiplies its features by an attention that can be shown",
            "Nikulin et al., 2019",
            FLS(),
            Later("saccade.agents.methods.fls", "make_fls"),
            loop="on_policy",
            actions=(Continuous, Discrete),
            rendered_size=lambda config: config.ppo.trunk.image_size,
        ),
        "digr": Method(
            "a student of any policy, whose gradient lies where the teacher looks",
            "Xing et al., 2022",
            DIGR(),
            Later("saccade.agents.methods.digr", "make_digr"),
            actions=(Continuous, Discrete),
            rendered_size=lambda config: config.trunk.image_size,
            taught=True,
            takes_saliency=lambda config: config.regularised,
        ),
        "distillation": Method(
            "DIGR without its regularization: a student of any policy",
            "Xing et al., 2022, ablation",
            DIGR(regularised=False, distillation_weight=1.0),
            Later("saccade.agents.methods.digr", "make_digr"),
            actions=(Continuous, Discrete),
            rendered_size=lambda config: config.trunk.image_size,
            taught=True,
            takes_saliency=lambda config: config.regularised,
        ),
        "dqn": Method(
            "values of all actions at once, learned from a replay buffer, for discrete actions",
            "Mnih et al., 2015",
            DQN(),
            Later("saccade.agents.methods.dqn", "make_dqn"),
            actions=(Discrete,),
            rendered_size=lambda config: config.trunk.image_size,
        ),
        "sg_dqn": Method(
            "DQN whose values agree with themselves on their salient pixels, for discrete actions",
            "after Bertoin et al., 2022",
            SGDQN(),
            Later("saccade.agents.methods.sg_dqn", "make_sg_dqn"),
            actions=(Discrete,),
            overlays=_blends,
            rendered_size=lambda config: config.dqn.trunk.image_size,
            decodes=lambda config: config.guidance.self_supervision,
            truth=lambda config: config.guidance.mask == "oracle",
        ),
        "sg_ppo": Method(
            "PPO whose policy and value agree with themselves on their salient pixels, for discrete actions",
            "after Bertoin et al., 2022",
            SGPPO(),
            Later("saccade.agents.methods.sg_ppo", "make_sg_ppo"),
            loop="on_policy",
            actions=(Discrete,),
            overlays=_blends,
            rendered_size=lambda config: config.ppo.trunk.image_size,
            decodes=lambda config: config.guidance.self_supervision,
            truth=lambda config: config.guidance.mask == "oracle",
        ),
        "sg_ppo_consistency": Method(
            "SG-PPO without its self-supervision",
            "after Bertoin et al., 2022, ablation",
            SGPPO(guidance=Guidance(self_supervision=False)),
            Later("saccade.agents.methods.sg_ppo", "make_sg_ppo"),
            loop="on_policy",
            actions=(Discrete,),
            overlays=_blends,
            rendered_size=lambda config: config.ppo.trunk.image_size,
            decodes=lambda config: config.guidance.self_supervision,
            truth=lambda config: config.guidance.mask == "oracle",
        ),
        "sg_ppo_self_supervision": Method(
            "SG-PPO without its consistency",
            "after Bertoin et al., 2022, ablation",
            SGPPO(guidance=Guidance(consistency_weight=0.0), value_consistency_weight=0.0),
            Later("saccade.agents.methods.sg_ppo", "make_sg_ppo"),
            loop="on_policy",
            actions=(Discrete,),
            overlays=_blends,
            rendered_size=lambda config: config.ppo.trunk.image_size,
            decodes=lambda config: config.guidance.self_supervision,
            truth=lambda config: config.guidance.mask == "oracle",
        ),
        "simgrl": Method(
            "SVEA that stacks features instead of frames, and blends in moving pictures",
            "Song et al., 2024",
            SimGRL(),
            Later("saccade.agents.methods.simgrl", "make_simgrl"),
            overlays=lambda config: config.svea.strong.overlays,
            rendered_size=lambda config: config.svea.sac.architecture.image_size,
        ),
    }
)
