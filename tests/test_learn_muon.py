"""Steps of the optimiser: bold ones for the layers that mix channels, Adam's for all others."""

import copy

import pytest

torch = pytest.importorskip("torch")

from mien.errors import DataError  # noqa: E402
from mien.learn.muon import MuonAdamW, mixing_weights, orthogonal  # noqa: E402
from mien.learn.networks import FaceNetwork  # noqa: E402
from mien.learn.recipe import Schedule  # noqa: E402


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6)])
def test_orthogonal_keeps_directions_and_levels_their_strength(shape):
    generator = torch.Generator().manual_seed(1)
    u, _, v = torch.linalg.svd(torch.randn(shape, generator=generator), full_matrices=False)
    strengths = torch.logspace(0, -1.5, min(shape))
    made = orthogonal(u @ torch.diag(strengths) @ v)
    assert made.shape == shape
    along = u.T @ made @ v.T
    assert torch.allclose(along, torch.diag(along.diagonal()), atol=1e-4), "other directions than the gradient's"
    assert along.diagonal().min() > 0.5
    assert along.diagonal().max() < 1.3


def test_orthogonal_of_nothing_is_nothing():
    assert not orthogonal(torch.zeros(3, 5)).any()


def test_only_pointwise_units_are_mixing_weights():
    network = FaceNetwork([8, 8, 8, 8, 8, 8], [1, 1, 1, 1], neck=8)
    mixing = {id(one) for one in mixing_weights(network)}
    names = [name for name, one in network.named_parameters() if id(one) in mixing]
    assert {"backbone.stages.0.0.pointwise.0.weight", "laterals.0.0.weight"} <= set(names)
    assert not any("depthwise" in name or "stem" in name or "heads" in name or name.endswith("1.weight") for name in names)


def test_a_mixing_step_is_as_long_as_one_of_adam_and_others_are_adams():
    torch.manual_seed(0)
    bold, plain = (torch.nn.Parameter(torch.zeros(16, 32, 1, 1)) for _ in range(2))
    twin = torch.nn.Parameter(torch.zeros(16, 32, 1, 1))
    gradient = torch.randn(16, 32, 1, 1)
    optimizer = MuonAdamW([{"params": [bold], "lr": 0.01, "is_mixing": True}, {"params": [plain], "lr": 0.01}])
    adam = torch.optim.AdamW([twin], lr=0.01)
    for one in (bold, plain, twin):
        one.grad = gradient.clone()
    optimizer.step()
    adam.step()
    assert torch.equal(plain, twin)
    assert float(bold.detach().square().mean().sqrt()) == pytest.approx(0.2 * 0.01, rel=0.3)
    assert float((bold.detach() * gradient).sum()) < 0, "not downhill"


def test_goes_on_where_it_was_interrupted():
    def parts():
        torch.manual_seed(0)
        weight = torch.nn.Parameter(torch.randn(4, 6, 1, 1))
        return weight, MuonAdamW([{"params": [weight], "lr": 0.1, "weight_decay": 0.1, "is_mixing": True}])

    def step(weight, optimizer, number):
        weight.grad = torch.randn(4, 6, 1, 1, generator=torch.Generator().manual_seed(number))
        optimizer.step()

    whole, one = parts()
    for number in range(4):
        step(whole, one, number)
    begun, first = parts()
    for number in range(2):
        step(begun, first, number)
    gone_on, second = parts()
    gone_on.data.copy_(begun.data)
    second.load_state_dict(first.state_dict())
    for number in range(2, 4):
        step(gone_on, second, number)
    assert torch.equal(whole, gone_on)


def test_goes_on_from_a_checkpoint_of_adamw():
    def parts(kind, group):
        weight = torch.nn.Parameter(torch.ones(4, 6))
        weight.grad = torch.ones(4, 6)
        return weight, kind([{"params": [weight], "lr": 0.1, **group}])

    old, adam = parts(torch.optim.AdamW, {})
    adam.step()
    new, optimizer = parts(MuonAdamW, {"is_mixing": True})
    new.data.copy_(old.data)
    optimizer.load_state_dict(copy.deepcopy(adam.state_dict()))
    for one in (adam, optimizer):
        one.step()
    assert torch.equal(old, new)


def test_an_unknown_optimiser_is_told():
    with pytest.raises(DataError, match="optimizer: expected one of adamw, muon, got 'sgd'"):
        Schedule(1, 1, 1, (8,), optimizer="sgd")
