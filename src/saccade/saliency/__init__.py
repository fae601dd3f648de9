"""Saliency methods, ``(score, obs) -> real-valued map``: one family per file, all listed by name in ``METHODS``."""

from __future__ import annotations

from typing import Any

from saccade.later import Later
from saccade.saliency.method import Method

GREYDANUS = "Greydanus et al., 2018"
SMILKOV = "Smilkov et al., 2017"
SELVARAJU = "Selvaraju et al., 2017"
ADEBAYO = "Adebayo et al., 2018"


def _find(family: str, name: str, **keywords: Any) -> Later:
    return Later(f"{__name__}.{family}", name, keywords)


METHODS = {
    "gradient": Method(
        _find("gradient", "gradient"),
        "gradient of the score", "Simonyan et al., 2014; Wang et al., 2016", True
    ),
    "guided_backpropagation": Method(
        _find("guided_backpropagation", "guided_backpropagation"),
        "gradient along positive paths only", "Springenberg et al., 2015", True
    ),
    "grad_cam": Method(
        _find("grad_cam", "grad_cam"),
        "last convolution's maps, weighted by their gradients", SELVARAJU, True
    ),
    "guided_grad_cam": Method(
        _find("grad_cam", "guided_grad_cam"),
        "guided backpropagation times Grad-CAM", SELVARAJU, True
    ),
    "integrated_gradients": Method(
        _find("integrated_gradients", "integrated_gradients"),
        "mean gradient on the way from black, times the pixels", "Sundararajan et al., 2017", True
    ),
    "smoothgrad": Method(
        _find("smooth_gradient", "smooth_gradient"),
        "mean gradient under noise", SMILKOV, True
    ),
    "guided_smoothgrad": Method(
        _find("smooth_gradient", "smooth_gradient", guided=True),
        "mean guided gradient under noise", f"{SMILKOV}; DIGR", True
    ),
    "vargrad": Method(
        _find("smooth_gradient", "variance_of_gradients"),
        "variance of the gradient under noise", ADEBAYO, True
    ),
    "guided_vargrad": Method(
        _find("smooth_gradient", "variance_of_gradients", guided=True),
        "variance of the guided gradient under noise", ADEBAYO, True
    ),
    "perturbation_actor": Method(
        _find("blur_perturbation", "blur_perturbation"),
        "how far a local blur moves the action", GREYDANUS, False, score="action_distance"
    ),
    "perturbation_critic": Method(
        _find("blur_perturbation", "blur_perturbation"),
        "how far a local blur moves the value", GREYDANUS, False, score="value_distance"
    ),
    "perturbation_kl": Method(
        _find("blur_perturbation", "blur_perturbation"),
        "how far a local blur moves the policy, as KL", f"{GREYDANUS}; DIGR", False, score="kl"
    ),
    "sarfa": Method(
        _find("blur_perturbation", "blur_perturbation"),
        "how much a local blur takes from this action alone", "Puri et al., 2020", False, score="sarfa"
    ),
    "occlusion": Method(
        _find("occlusion", "occlusion"),
        "how much the score drops under a black square", "Zeiler and Fergus, 2014", False
    ),
    "rise": Method(
        _find("rise", "rise"),
        "random masks, weighted by the score through them", "Petsiuk et al., 2018", False
    ),
}  # fmt: skip
"""Every saliency method by name."""
