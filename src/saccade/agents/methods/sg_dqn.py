"""SG-DQN: DQN with SGQN's two losses (Bertoin et al., 2022), which its authors suggest as future work.

The value of an action on the observation and on the pixels that it depends on most must agree (consistency), and the
trunk must predict, from an observation with a picture blended in, which pixels of the clean one these are
(self-supervision). The simulator's own mask in place of the attribution is the ceiling, a random one the floor.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saccade.agents.agent import Agent, Look, Phase, Seen, Shared, Term, in_order
from saccade.agents.configs_discrete import SGDQN, Guidance
from saccade.agents.given import NOTHING, Given
from saccade.agents.methods import dqn, sac, sgqn
from saccade.agents.parts.augmentation import Images, draw_augmented, in_colours, make_augment
from saccade.agents.parts.guidance import (
    NOISE,
    TRUTH,
    Draw,
    MaskPredictor,
    apart_from_truth,
    draw_noise,
    salient,
    seen_through,
)
from saccade.data.replay import Returns
from saccade.nets.precision import MixedPrecision
from saccade.pixels.masks import fill_outside
from saccade.types import Batch, Spaces


class SGDQNNetworks(nn.Module):
    """DQN's networks, and the predictor of masks from the trunk's features and the action."""

    def __init__(self, nets: dqn.QNetworks, config: SGDQN, spaces: Spaces) -> None:
        super().__init__()
        self.dqn = nets
        choices, hidden = dqn.choices_of(spaces), config.dqn.trunk.hidden
        filters = config.guidance.decoder_filters
        self.predictor = MaskPredictor(spaces, choices, hidden, filters) if config.guidance.self_supervision else None

    def forward(self, obs: Tensor) -> Tensor:
        return self.dqn(obs)

    def predict(self, obs: Tensor, action: Tensor) -> Tensor:
        """Mask logits ``[batch, frames * colours, height, width]``."""
        assert self.predictor is not None, "masks are predicted with self-supervision alone"
        return self.predictor(self.dqn.online.trunk(obs), action)


def masked_q_consistency(nets: dqn.QNetworks, colours: int) -> dqn.Loss:
    """Squared difference between the action's value on the observation and on its salient pixels (L_C of SGQN).

    The gradient flows into both sides, as in SGQN's code.
    """

    def loss(batch: Batch, shared: Shared) -> Tensor:
        pixels = fill_outside(batch.obs, batch.seen["mask"], batch.drawn["mask_fill"], colours)
        return F.mse_loss(dqn.value_of(nets.online(pixels), batch.action), shared["q"])

    return loss


def look_at_mask(draw: Draw) -> Look[Any]:
    """Return a look at ``mask``: the salient pixels according to the networks before the step."""

    def look(batch: Any) -> Seen:
        return {"mask": draw(batch.obs, batch.action, batch.drawn.get(TRUTH), batch.drawn.get(NOISE))}

    return look


def saliency_phase(
    nets: sgqn.PredictsMasks,
    learned: tuple[nn.Module, ...],
    guidance: Guidance,
    colours: int,
    images: Images | None,
    look: Look[Any],
) -> Phase[Any]:
    """Self-supervision phase: an Adam of its own over the trunk and the predictor. Draws ``augmented_obs``."""
    augment = in_colours(make_augment(guidance.strong, images), colours)
    return Phase(
        "saliency",
        {"prediction": Term(sgqn.saliency_prediction(nets, colours))},
        sac.adam(*learned, lr=guidance.saliency_lr),
        draw=draw_augmented(augment),
        look=look,
        every=guidance.saliency_every,
    )


def make_sg_dqn(config: SGDQN, spaces: Spaces, device: torch.device, given: Given = NOTHING) -> Agent[Batch]:
    """Make DQN with the consistency term in its phase and a phase that predicts saliency."""
    guidance, colours = config.guidance, spaces.colours
    sgqn.check_quantile(guidance.quantile)
    nets = dqn.QNetworks(spaces, config.dqn)
    networks = SGDQNNetworks(nets, config, spaces).to(device)
    convolutions = nets.online.trunk[0]
    assert isinstance(convolutions, MixedPrecision)
    draw = salient(guidance, dqn.attribution_of_q(nets, guidance.attribution), colours)
    maps, pictures, look = dict(dqn.q_maps(nets, colours)), {}, look_at_mask(draw)
    if guidance.consistency_weight:
        consistency = Term(masked_q_consistency(nets, colours), guidance.consistency_weight)
        plain = dqn.learning_phase(nets, config.dqn, consistency=consistency)
        phases = [dataclasses.replace(plain, look=look)]
    else:
        phases = [dqn.learning_phase(nets, config.dqn)]
    act = dqn.epsilon_greedy(nets)
    if guidance.mask == "attribution":
        pictures["masked"] = seen_through(draw, lambda obs: act(obs, None), colours)
    if networks.predictor is not None:
        maps["predicted_mask"] = sgqn.predicted_mask(networks, colours)
        learned = (nets.online.trunk, networks.predictor)
        phases.append(saliency_phase(networks, learned, guidance, colours, given.images, look))
    steps = [apart_from_truth(guidance, colours), sac.as_pixels(convolutions), sgqn.draw_mask_fill(guidance.mask_fill)]
    return Agent(
        networks=networks,
        act=act,
        prepare=in_order(*steps, draw_noise(guidance, colours)),
        phases=tuple(phases),
        batch_size=config.dqn.batch_size,
        maps=maps,
        pictures=pictures,
        outputs=dqn.q_outputs(),
        returns=Returns(config.dqn.n_steps, config.dqn.discount),
    )
