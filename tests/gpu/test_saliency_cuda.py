"""Saliency on a GPU: the same maps as on the CPU."""

from __future__ import annotations

import pytest
import torch
from saliency_cases import FEW, every_method, network, observations, score_for

from saccade.nets.views.views import randomised
from saccade.saliency import METHODS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU here"),
]


@every_method
@pytest.mark.parametrize("frames", [1, 2])
def test_a_gpu_finds_the_same_map(name: str, frames: int) -> None:
    found = []
    for device in ("cpu", "cuda"):
        net, obs = network(torch.float64).to(device), observations(dtype=torch.float64).to(device)
        score = score_for(name, net, obs)
        found.append(METHODS[name](score, obs, frames=frames, max_batch=7, **FEW.get(name, {})))
        assert found[-1].device.type == device
    torch.testing.assert_close(found[1].cpu(), found[0])


def test_a_gpu_draws_the_same_random_weights() -> None:
    host, device = randomised(network(), 0)[-1][1], randomised(network().cuda(), 0)[-1][1]
    for ours, theirs in zip(host.parameters(), device.parameters(), strict=True):
        assert theirs.is_cuda and torch.equal(theirs.cpu(), ours)
