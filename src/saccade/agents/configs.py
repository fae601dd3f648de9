"""Hyper-parameters of the methods that learn from a replay buffer, one frozen dataclass each; loads no torch.

So the command line can list and explain them at once. A method's equations are in the file of its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from saccade.agents.settings import DEGREES


@dataclass(frozen=True)
class Augmentation:
    """Which strong augmentation a method uses, and its numbers; any method may use any of them."""

    augmentation: Literal["overlay", "shifted_overlay", "random_convolution", "spectrum"] = "overlay"
    """The strong augmentation: a picture blended in, one that moves from frame to frame, a random convolution of the
    colours, or frequencies removed."""
    overlay_opacity: float = 0.5
    """Share of the picture that is blended in."""
    overlay_velocity: int = 6
    """For a moving picture: its highest speed along each axis, in pixels per frame."""
    spectrum_probability: float = 0.5
    """Probability that frequencies are removed, one draw for a whole batch."""
    spectrum_frequency: float = 0.5
    """Largest inner radius of the removed ring of frequencies, in cycles per pixel."""
    spectrum_width: float = 0.05
    """Largest width of the removed ring, in cycles per pixel."""

    @property
    def overlays(self) -> bool:
        """Whether it needs pictures."""
        return self.augmentation in ("overlay", "shifted_overlay")


@dataclass(frozen=True)
class Architecture:
    """Sizes of the networks; the defaults are the benchmark's."""

    image_size: int = 84
    """Side of the square image that the encoder sees, in pixels."""
    filters: int = 32
    """Channels of every convolution of the shared encoder."""
    conv_layers: int = 11
    """Convolutions in the shared encoder; the first has stride 2."""
    projection: int = 100
    """Width of the embedding that heads read."""
    hidden: int = 1024
    """Width of the two hidden layers of each head."""


@dataclass(frozen=True)
class SAC:
    """Hyper-parameters of SAC; the defaults are the benchmark's code."""

    architecture: Architecture = field(default_factory=Architecture)
    batch_size: int = 128
    """Transitions in a minibatch."""
    discount: float = 0.99
    """Discount per agent step, regardless of the action repeat."""
    critic_lr: float = 1e-3
    """Learning rate of the critic and the encoder."""
    actor_lr: float = 1e-3
    """Learning rate of the actor."""
    temperature_lr: float = 1e-4
    """Learning rate of the temperature, the weight of the policy's entropy."""
    temperature_beta1: float = 0.5
    """Adam's first momentum for the temperature."""
    initial_temperature: float = 0.1
    """Temperature at the first update."""
    log_std_min: float = -10.0
    """Smallest logarithm of the actions' standard deviation."""
    log_std_max: float = 2.0
    """Largest logarithm of the actions' standard deviation."""
    actor_every: int = 2
    """Updates between steps of the actor and the temperature."""
    target_every: int = 2
    """Updates between updates of the target critic."""
    q_target_rate: float = 0.01
    """Fraction of the way that the target's Q heads move in each of its updates."""
    encoder_target_rate: float = 0.05
    """Fraction of the way that the target's encoder moves in each of its updates."""


@dataclass(frozen=True)
class RAD:
    """Hyper-parameters of RAD; the defaults are the benchmark's code."""

    sac: SAC = field(default_factory=SAC)
    rendered_size: int = 100
    """Side of the rendered picture, of which the encoder sees a crop (the middle one when acting)."""
    crop_positions: int = 16
    """Rows and columns a crop may start at; the benchmark's code never uses the last of the 17 possible ones."""


@dataclass(frozen=True)
class DrQ:
    """Hyper-parameters of DrQ; the defaults are the benchmark's code."""

    sac: SAC = field(default_factory=SAC)
    shift: int = 4
    """Largest shift in pixels; 0 switches it off."""


@dataclass(frozen=True)
class AugmentedSAC:
    """Hyper-parameters of SRM; the defaults are the authors' code."""

    sac: SAC = field(default_factory=SAC)
    shift: int = 4
    """Largest random shift in pixels, before the strong augmentation; 0 switches it off."""
    strong: Augmentation = field(default_factory=lambda: Augmentation("spectrum"))
    augment_next_obs: bool = True
    """Whether the next observations, from which targets are computed, are augmented too, independently."""


@dataclass(frozen=True)
class SVEA:
    """Hyper-parameters of SVEA; the defaults are the benchmark's code."""

    sac: SAC = field(default_factory=SAC)
    shift: int = 4
    """Largest random shift in pixels, before the strong augmentation; 0 switches it off."""
    strong: Augmentation = field(default_factory=lambda: Augmentation("random_convolution"))
    """The published code uses the random convolution, the tables of later papers the overlay."""
    clean_weight: float = 0.5
    """Weight of the Bellman error on clean observations (alpha of equation 6)."""
    augmented_weight: float = 0.5
    """Weight of the Bellman error on augmented observations (beta of equation 6)."""


@dataclass(frozen=True)
class SODA:
    """Hyper-parameters of SODA; the defaults are the benchmark's code and its published command."""

    sac: SAC = field(default_factory=SAC)
    rendered_size: int = 100
    """Side of the rendered picture, of which the encoder sees a crop."""
    crop_positions: int = 16
    """Rows and columns a crop may start at; the benchmark's code never uses the last of the 17 possible ones."""
    soda_batch_size: int = 256
    """Observations in the auxiliary task's own minibatch."""
    soda_lr: float = 3e-4
    """Learning rate of the auxiliary task."""
    soda_target_rate: float = 0.005
    """Fraction of the way that the auxiliary task's slow encoder moves after each of its steps."""
    soda_every: int = 2
    """Updates between steps of the auxiliary task."""
    strong: Augmentation = field(default_factory=Augmentation)
    """Augmentation of the view from which the clean latent is predicted."""


@dataclass(frozen=True)
class SVEAWithSODA:
    """SVEA's critic with SODA's auxiliary task: the cross in the ablation of Bertoin et al. (2022)."""

    svea: SVEA = field(default_factory=lambda: SVEA(strong=Augmentation("overlay")))
    soda_batch_size: int = 256
    """Observations in the auxiliary task's own minibatch."""
    soda_lr: float = 3e-4
    """Learning rate of the auxiliary task."""
    soda_target_rate: float = 0.005
    """Fraction of the way that the auxiliary task's slow encoder moves after each of its steps."""
    soda_every: int = 2
    """Updates between steps of the auxiliary task."""


@dataclass(frozen=True)
class SGQN:
    """Hyper-parameters of SGQN; the defaults are what the authors ran, which their paper does not always say."""

    sac: SAC = field(default_factory=SAC)
    shift: int = 4
    """Largest random shift in pixels. The paper says that none is used; the code uses 4. 0 switches it off."""
    quantile: float = 0.95
    """Share of the pixels that the mask hides: 0.95 on walker and finger, 0.98 on cartpole and ball_in_cup."""
    attribution: Literal["guided_backpropagation", "gradient", "integrated_gradients"] = "guided_backpropagation"
    """How the pixels' importance for Q1 is computed, in both losses."""
    consistency_weight: float = 0.5
    """Weight lambda of the consistency loss, not given in the paper; 0 leaves the loss out."""
    mask_fill: Literal["random_grey", "zero"] = "random_grey"
    """What hidden pixels become: one random grey level per update as in the code, or black as in the paper."""
    self_supervision: bool = True
    """Whether the auxiliary mask prediction is trained."""
    saliency_lr: float = 3e-4
    """Learning rate of the mask prediction."""
    saliency_every: int = 2
    """Updates between steps of the mask prediction."""
    decoder_filters: tuple[int, int] = (128, 64)
    """Channels inside the mask predictor: 128 and 64 in the code, 64 and 64 in the paper."""
    strong: Augmentation = field(default_factory=Augmentation)
    """Augmentation of the observation from which the mask is predicted."""


@dataclass(frozen=True)
class SMG:
    """Hyper-parameters of SMG; the defaults are what the authors ran. A weight of 0 leaves its loss out."""

    sac: SAC = field(default_factory=lambda: SAC(Architecture(projection=256), batch_size=64))
    shift: int = 4
    """Largest random shift in pixels, before everything else; 0 switches it off."""
    mask_ratio: float = 0.06
    """Share of the pixels that masks should cover: 0.04 on cartpole and finger, 0.12 on the robot."""
    mask_first_update: int = 1000
    """Index of the first update in which the mask's share counts."""
    reconstruction_weight: float = 1.0
    """Weight of the reconstruction error."""
    mask_ratio_weight: float = 1.0
    """Weight of the error of the masks' share of the pixels."""
    background_weight: float = 2.0
    """Weight of the error of the background predicted from an observation whose background was replaced."""
    inverse_dynamics_weight: float = 1.0
    """Weight of the error of the action predicted from two embeddings."""
    foreground_weight: float = 0.1
    """Weight of the difference between foregrounds of clean and augmented observations."""
    q_consistency_weight: float = 0.5
    """Weight of the difference between values of clean and augmented observations."""
    attribution_share: float = 0.25
    """Share of the updates whose augmented observations have another background; in the others the strong
    augmentation is applied."""
    separation_lr: float = 1e-3
    """Learning rate of the separation, trained by all of the losses above but the last."""
    separation_every: int = 2
    """Updates between steps of the separation."""
    max_gradient_norm: float = 100.0
    """Largest norm of the separation's gradients; longer ones are scaled down to it."""
    decoder_filters: tuple[int, int] = (128, 64)
    """Channels inside both decoders."""
    strong: Augmentation = field(default_factory=Augmentation)
    """Augmentation of the observations on which values and foregrounds must stay the same."""

    @property
    def weights(self) -> Mapping[str, float]:
        """Weights of the separation's terms, without those of weight 0."""
        names = ("reconstruction", "mask_ratio", "background", "inverse_dynamics", "foreground")
        weights: dict[str, float] = {name: getattr(self, f"{name}_weight") for name in names}
        return {name: weight for name, weight in weights.items() if weight}

    @property
    def augments(self) -> bool:
        """Whether a loss reads strongly augmented observations."""
        return bool(self.q_consistency_weight or self.foreground_weight)

    @property
    def replaces_backgrounds(self) -> bool:
        """Whether a loss reads observations with another background."""
        return bool(self.background_weight or (self.augments and self.attribution_share))

    @property
    def overlays(self) -> bool:
        """Whether it needs pictures."""
        return self.replaces_backgrounds or (self.augments and self.strong.overlays)


@dataclass(frozen=True)
class CURL:
    """Hyper-parameters of CURL; the defaults are the benchmark's code and its published command."""

    sac: SAC = field(default_factory=SAC)
    rendered_size: int = 100
    """Side of the rendered picture, of which the encoder sees a crop (the middle one when acting)."""
    crop_positions: int = 16
    """Rows and columns a crop may start at; the benchmark's code never uses the last of the 17 possible ones."""
    contrast_lr: float = 1e-3
    """Learning rate of the contrastive task."""
    contrast_every: int = 1
    """Updates between steps of the contrastive task."""


@dataclass(frozen=True)
class MaDi:
    """Hyper-parameters of MaDi; the defaults are the paper's run of the authors' code."""

    svea: SVEA = field(default_factory=lambda: SVEA(strong=Augmentation("overlay")))
    masker_filters: int = 32
    """Channels inside the masker."""
    masker_layers: int = 3
    """Convolutions of the masker."""
    masker_lr: float = 1e-3
    """Learning rate of the masker."""


@dataclass(frozen=True)
class SimGRL:
    """Hyper-parameters of SimGRL; the defaults are the authors' code."""

    svea: SVEA = field(default_factory=lambda: SVEA(strong=Augmentation("shifted_overlay")))
    frame_stem: bool = True
    """Whether the first convolutions see one frame at a time; otherwise the encoder is the benchmark's."""
    stem_filters: int = 16
    """Channels of the convolutions that see one frame."""
    stem_layers: int = 3
    """How many of the encoder's convolutions see one frame; the first has stride 2."""


@dataclass(frozen=True)
class SCPL:
    """Hyper-parameters of SCPL; the defaults are the authors' code. A weight of 0 leaves its loss out."""

    sac: SAC = field(default_factory=SAC)
    shift: int = 4
    """Largest random shift in pixels, before the strong augmentation; 0 switches it off."""
    strong: Augmentation = field(default_factory=Augmentation)
    """Augmentation of observation and next observation, both with the same random numbers."""
    clean_weight: float = 0.5
    """Weight of the Bellman error on clean observations."""
    augmented_weight: float = 0.5
    """Weight of the Bellman error on augmented observations."""
    quantile: float = 0.9
    """Share of the pixels that masks hide, on every task."""
    attribution: Literal["guided_backpropagation", "gradient", "integrated_gradients"] = "guided_backpropagation"
    """How the pixels' importance for Q1 is computed."""
    mask_fill: Literal["random_grey", "zero"] = "random_grey"
    """What hidden pixels become: one random grey level per update, or black."""
    consistency_weight: float = 0.5
    """Weight of the change in value when only salient pixels remain, for clean and for augmented observations."""
    policy_consistency_weight: float = 1.0
    """Weight of the divergence of the policy on augmented observations from the one on clean ones."""
    dynamics_weight: float = 1.0
    """Weight of the error of the next embedding, predicted from an embedding and the action."""
    reward_weight: float = 1.0
    """Weight of the error of the reward, predicted from the same."""
    dynamics_hidden: int = 512
    """Width of the hidden layer that predicts the next embedding and the reward."""
    dynamics_lr: float = 3e-4
    """Learning rate of the dynamics, which the encoder learns from too."""
    dynamics_every: int = 2
    """Updates between steps of the dynamics."""

    @property
    def dynamics_weights(self) -> Mapping[str, float]:
        """Weights of the dynamics' terms, without those of weight 0."""
        weights = {"next_embedding": self.dynamics_weight, "reward": self.reward_weight}
        return {name: weight for name, weight in weights.items() if weight}


ROTATION, FAR_SHIFT, CONVOLUTION, OVERLAY = "rotation", "far_shift", "convolution", "overlay"
"""The augmentations that SADA's names combine."""


@dataclass(frozen=True)
class SADA:
    """Hyper-parameters of SADA; the defaults are the authors' code, whose encoder and rates are not the benchmark's."""

    sac: SAC = field(
        default_factory=lambda: SAC(
            Architecture(conv_layers=4, projection=50),
            batch_size=256,
            critic_lr=5e-4,
            actor_lr=5e-4,
            temperature_lr=5e-4,
            temperature_beta1=0.9,
            actor_every=1,
            target_every=1,
            encoder_target_rate=1.0,
        )
    )
    """At an encoder_target_rate of 1 the target uses the convolutions themselves; its projection is as slow as its Q
    heads."""
    shift: int = 4
    """Largest random shift in pixels, before the strong augmentation; 0 switches it off."""
    last_relu: bool = True
    """Whether a ReLU follows the last convolution too."""
    strong_augmentations: tuple[
        Literal["rotation", "far_shift", "rotation_far_shift", "convolution", "overlay", "convolution_overlay"], ...
    ] = ("rotation", "far_shift", "rotation_far_shift", "convolution", "overlay", "convolution_overlay")
    """Augmentations, of which every sample gets one with equal probability."""
    rotation_degrees: Annotated[float, DEGREES] = 180.0
    """For a rotation: the largest angle to either side."""
    far_shift: int = 16
    """For a far shift: the largest, in pixels."""
    overlay_opacity: float = 0.5
    """For an overlay: share of the picture that is blended in."""
    clean_weight: float = 0.25
    """Weight of the Bellman error on clean observations."""
    augmented_weight: float = 0.25
    """Weight of the Bellman error on augmented observations."""
    augmented_actor: bool = True
    """Whether the actor acts on augmented observations too; without, this is SVEA."""

    @property
    def overlays(self) -> bool:
        """Whether it needs pictures."""
        return any(OVERLAY in name for name in self.strong_augmentations)
