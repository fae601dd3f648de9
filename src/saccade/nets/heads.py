"""Fully connected heads."""

from __future__ import annotations

from torch import nn


def multilayer_perceptron(in_features: int, hidden: int, out_features: int) -> nn.Sequential:
    """Return three linear layers with two ReLUs between them: the benchmark's actor and Q heads."""
    return nn.Sequential(
        nn.Linear(in_features, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, out_features),
    )


def normalized_perceptron(in_features: int, hidden: int, out_features: int) -> nn.Sequential:
    """Return linear, batch normalisation, ReLU, linear: SODA's projection and prediction heads."""
    return nn.Sequential(
        nn.Linear(in_features, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out_features)
    )
