"""Units that never answer are found."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from mien.learn.networks import Unit  # noqa: E402
from mien.learn.units import dead_units  # noqa: E402


def test_units_that_never_answer_are_counted() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(Unit(3, 8, 3), Unit(8, 5))
    pictures = torch.randn(4, 3, 6, 6)
    assert dead_units(network, lambda: network(pictures)) == {}
    with torch.no_grad():
        network[0][1].bias[:3] = -100.0
        network[1][1].bias[4] = -100.0
    assert network.training
    assert dead_units(network, lambda: network(pictures)) == {"0.2": (3, 8), "1.2": (1, 5)}
    assert network.training
    assert not network[0][2]._forward_hooks
    with torch.no_grad():  # one that answers in any picture of any batch is alive
        network[0][1].bias[0] = 0.0
    batches = [torch.zeros(2, 3, 6, 6), pictures]
    network[0][1].running_mean[0] = 0.5
    assert dead_units(network, lambda: [network(one) for one in batches])["0.2"] == (2, 8)
