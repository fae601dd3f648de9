"""SimGRL by hand: where the moving pictures are, and what the encoder's stem shares between frames."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from saccade.agents.given import NOTHING
from saccade.agents.methods import sac, svea
from saccade.agents.methods.simgrl import SimGRL, encoder, make_simgrl
from saccade.agents.parts.augmentation import Augmentation, make_augment
from saccade.nets.encoders import ConvolutionStack, FrameStemStack
from saccade.pixels.augmentations import draw_velocities, random_overlay, shifted_overlay
from saccade.types import Continuous, Spaces, UserError

CPU = torch.device("cpu")
PUBLISHED = Spaces((9, 84, 84), Continuous(6))


def ramp(batch: int, side: int) -> torch.Tensor:
    """Pictures whose pixels say where they are: 100 times the row plus the column, in every colour."""
    place = 100.0 * torch.arange(side)[:, None] + torch.arange(side)[None, :]
    return place.expand(batch, 3, side, side)


def test_windows_move_over_one_picture_from_its_middle() -> None:
    # 4-pixel observations of 3 frames and pictures of 16: the oldest window begins at 6, 6; at 2 pixels down and 1 to
    # the left per frame the next begin at 8, 5 and 10, 4. A sample that stands still has all of them at 6, 6.
    obs, velocities = torch.zeros(2, 9, 4, 4), torch.tensor([[2, -1], [0, 0]])
    shifted = shifted_overlay(obs, ramp(2, 16), velocities, opacity=1.0)
    for sample, corners in enumerate(([(6, 6), (8, 5), (10, 4)], [(6, 6), (6, 6), (6, 6)])):
        for frame, (top, left) in enumerate(corners):
            window = ramp(1, 16)[0, :, top : top + 4, left : left + 4]
            assert torch.equal(shifted[sample, 3 * frame : 3 * frame + 3], window)


def test_a_picture_that_stands_still_is_the_plain_overlay() -> None:
    obs = torch.rand(2, 9, 6, 6, generator=torch.Generator().manual_seed(0)) * 255
    shifted = shifted_overlay(obs, ramp(2, 10), torch.zeros(2, 2, dtype=torch.long), opacity=0.3)
    torch.testing.assert_close(shifted, random_overlay(obs, ramp(2, 10)[:, :, 2:8, 2:8], 0.3))


def test_velocities_are_whole_and_reach_both_ends() -> None:
    drawn = draw_velocities(2000, 6, torch.Generator().manual_seed(0))
    assert set(drawn[:, 0].tolist()) == set(drawn[:, 1].tolist()) == set(range(-6, 7))
    assert (drawn[:, 0] != drawn[:, 1]).any()


@pytest.mark.parametrize(("fastest", "side"), [(6, 120), (0, 84)])
def test_the_published_pictures_have_120_pixels(fastest: int, side: int) -> None:
    asked: list[tuple[int, int]] = []

    def images(count: int, size: int, generator: torch.Generator) -> torch.Tensor:
        asked.append((count, size))
        return ramp(count, size)

    augment = make_augment(Augmentation("shifted_overlay", overlay_velocity=fastest), images)
    for seed in range(20):  # every window lies inside, or cutting it out would fail
        augment(torch.zeros(8, 9, 84, 84), torch.Generator().manual_seed(seed))
    assert set(asked) == {(8, side)}


def published() -> FrameStemStack:
    torch.manual_seed(0)
    built = encoder(PUBLISHED, SimGRL())
    assert isinstance(built, FrameStemStack)
    return built


def convolutions(module: nn.Module) -> Iterator[nn.Conv2d]:
    return (layer for layer in module.modules() if isinstance(layer, nn.Conv2d))


def test_the_published_encoder_has_83680_parameters_in_11_convolutions() -> None:
    # One frame: 3*16*9 + 16 = 448 and twice 16*16*9 + 16 = 2320. All: 48*32*9 + 32 = 13856 and seven times 9248.
    stack = published()
    assert sum(parameter.numel() for parameter in stack.parameters()) == 448 + 2 * 2320 + 13856 + 7 * 9248 == 83680
    assert [layer.in_channels for layer in convolutions(stack)] == [3, 16, 16, 48, *[32] * 7]
    assert [layer.stride[0] for layer in convolutions(stack)] == [2, *[1] * 10]


def test_features_have_the_benchmarks_shape_and_no_relu_behind_the_last_convolution() -> None:
    stack = published()
    features = stack(torch.rand(2, 9, 84, 84) * 255)
    assert features.shape == (2, 32, 21, 21) and stack.out_features == 14112
    assert features.min() < 0
    plain = ConvolutionStack(9, 84, 32, 11)
    assert (stack.side, stack.out_features) == (plain.side, plain.out_features)


def test_every_frame_passes_the_same_stem() -> None:
    """Frame by frame, with the layers called one after the other."""
    stack = published()
    obs = torch.rand(2, 9, 84, 84, generator=torch.Generator().manual_seed(1)) * 255
    maps = []
    for frame in range(3):
        value = obs[:, 3 * frame : 3 * frame + 3]
        for convolution in convolutions(stack.stem):
            value = convolution(value).clamp(min=0)
        maps.append(value)
    *others, last = convolutions(stack.layers)
    value = torch.cat(maps, dim=1)
    for convolution in others:
        value = convolution(value).clamp(min=0)
    torch.testing.assert_close(stack(obs), last(value))


def test_both_parts_can_be_switched_off() -> None:
    assert isinstance(encoder(PUBLISHED, SimGRL(frame_stem=False)), ConvolutionStack)
    assert SimGRL().svea.strong == Augmentation("shifted_overlay")
    assert (SimGRL().svea.clean_weight, SimGRL().svea.augmented_weight, SimGRL().svea.shift) == (0.5, 0.5, 4)


def test_what_cannot_be_stacked_is_refused() -> None:
    with pytest.raises(UserError, match="--stem-layers 1 or fewer"):
        FrameStemStack(9, 12, filters=4, num_layers=2, stem_filters=4, stem_layers=2)
    with pytest.raises(UserError, match="multiple of 3"):
        FrameStemStack(4, 12, filters=4, num_layers=2, stem_filters=4, stem_layers=1)
    with pytest.raises(UserError, match="12-pixel image"):
        FrameStemStack(9, 12, filters=4, num_layers=9, stem_filters=4, stem_layers=1)


def test_a_method_that_blends_needs_pictures() -> None:
    size = sac.Architecture(image_size=12, filters=4, conv_layers=2, projection=8, hidden=16)
    config = SimGRL(svea.SVEA(sac.SAC(size), strong=Augmentation("shifted_overlay")), stem_layers=1)
    with pytest.raises(UserError, match="bank of images"):
        make_simgrl(config, Spaces((9, 12, 12), Continuous(2)), CPU, NOTHING)
