"""What every strong augmentation promises, and that every method with one takes any of them."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints

import pytest
import torch
from method_cases import images, sample, spaces_of, tiny

from saccade.agents import METHODS
from saccade.agents.agent import make_update
from saccade.agents.given import Given
from saccade.agents.parts.augmentation import Augmentation, make_augment
from saccade.types import UserError

NAMES = get_args(get_type_hints(Augmentation)["augmentation"])
every_augmentation = pytest.mark.parametrize("name", NAMES)


def augmenting(config: Any, name: str) -> tuple[Any, bool]:
    """The configuration with another strong augmentation, and whether it has one."""
    found, changes = False, {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Augmentation):
            found, changes[field.name] = True, dataclasses.replace(value, augmentation=name)
        elif dataclasses.is_dataclass(value):
            changes[field.name], within = augmenting(value, name)
            found = found or within
    return dataclasses.replace(config, **changes), found


WITH_ONE = [method for method, row in METHODS.items() if augmenting(row.config, "overlay")[1]]


@every_augmentation
@pytest.mark.parametrize("method", WITH_ONE)
def test_every_method_learns_with_every_augmentation(method: str, name: str) -> None:
    config, _ = augmenting(tiny(METHODS[method].config), name)
    size = METHODS[method].rendered_size(config)
    agent = METHODS[method].make(config, spaces_of(METHODS[method], size), torch.device("cpu"), Given(images))
    metrics = make_update(agent)(lambda count: sample(method, 0, count), torch.Generator().manual_seed(0), 0)
    assert metrics and all(value.isfinite() for value in metrics.values())


@every_augmentation
def test_an_augmentation_repeats_for_a_seed_and_leaves_its_argument_alone(name: str) -> None:
    augment = make_augment(Augmentation(name, overlay_velocity=2, spectrum_width=0.5), images)
    obs = sample("sac").obs.float()
    before = obs.clone()
    first, again, others = (
        [augment(obs, torch.Generator().manual_seed(seed)) for seed in seeds] for seeds in ([0], [0], range(1, 10))
    )
    assert torch.equal(obs, before) and torch.equal(first[0], again[0])
    assert any(not torch.equal(first[0], other) for other in others)
    assert all(made.shape == obs.shape and made.dtype == obs.dtype and made.isfinite().all() for made in others)


@every_augmentation
def test_pictures_are_asked_for_where_they_are_needed(name: str) -> None:
    config = Augmentation(name)
    if config.overlays:
        with pytest.raises(UserError, match="bank of images"):
            make_augment(config, None)
    else:
        make_augment(config, None)
