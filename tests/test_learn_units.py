"""Units that never answer are found, and drawn anew."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from mien.learn.networks import Unit  # noqa: E402
from mien.learn.units import dead_units, wake_units  # noqa: E402


def test_units_that_never_answer_are_counted() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(Unit(3, 8, 3), Unit(8, 5))
    pictures = torch.randn(4, 3, 6, 6)
    assert dead_units(network, lambda: network(pictures)) == {}
    with torch.no_grad():
        network[0][1].bias[:3] = -100.0
        network[1][1].bias[4] = -100.0
    assert network.training
    found = dead_units(network, lambda: network(pictures))
    assert {name: rows.nonzero().flatten().tolist() for name, rows in found.items()} == {"0.2": [0, 1, 2], "1.2": [4]}
    assert network.training
    assert not network[0][2]._forward_hooks
    with torch.no_grad():  # one that answers in any picture of any batch is alive
        network[0][1].bias[0] = 0.0
    batches = [torch.zeros(2, 3, 6, 6), pictures]
    network[0][1].running_mean[0] = 0.5
    assert dead_units(network, lambda: [network(one) for one in batches])["0.2"].sum() == 2


def test_dead_units_are_woken_and_the_others_left() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(Unit(3, 8, 3), Unit(8, 5))
    pictures = torch.randn(4, 3, 6, 6) * 20 + 5
    with torch.no_grad():
        network[0][1].bias[:3] = -100.0
    average, before = copy.deepcopy(network), copy.deepcopy(network.state_dict())

    def run(one: torch.nn.Module) -> torch.Tensor:
        return one(pictures)

    dead = dead_units(network, lambda: run(network))
    for one in (network, average):
        one[0][1].running_var[:3] = 1e-30  # what a unit that has been dead for long expects to see
    wake_units((network, average), dead, [lambda: run(network), lambda: run(average)], seed=1)
    assert dead_units(network, lambda: run(network)) == {}
    assert torch.equal(network[0][0].weight[3:], before["0.0.weight"][3:])
    assert not torch.equal(network[0][0].weight[:3], before["0.0.weight"][:3])
    assert torch.equal(network[0][0].weight, average[0][0].weight)
    assert network[0][1].momentum == 0.1
    assert network.training
    for one in (network, average):
        assert 0.1 < float(run(one.eval()).detach().std()) < 10, "the norms still expect what they saw before"
