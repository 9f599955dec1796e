"""Going on from a finished model file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mien.card import CARD_KEY, ModelCard
from mien.errors import ModelError
from mien.learn.export import save_model, whole_model
from mien.learn.networks import FaceNetwork, MatteNetwork
from mien.learn.warm_start import warm_start

SETTINGS = {"widths": [4, 8, 8, 12, 12, 12], "depths": [1, 1, 1, 1, 1], "neck": 8}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[FaceNetwork, Path]:
    """A network whose norms have seen pictures, and its model file."""
    torch.manual_seed(0)
    network = FaceNetwork(**SETTINGS).train()
    with torch.no_grad():
        for _ in range(5):
            network(torch.rand(4, 3, 128, 128) * 255)
        for norm in network.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.uniform_(-0.5, 0.5)
    network.eval()
    card = ModelCard(name="x", task="faces", version="1", summary="x").to_json()
    path = tmp_path_factory.mktemp("model") / "x.onnx"
    return network, save_model(whole_model(network, "faces", 128), path, {CARD_KEY: card})


def test_a_wider_network_begins_with_the_same_answers_and_learns_with_all_of_its_layers(
    trained: tuple[FaceNetwork, Path],
) -> None:
    network, path = trained
    wide = FaceNetwork(widths=[4, 8, 12, 16, 16, 12], depths=[1, 1, 1, 1, 1], neck=12)
    images = torch.rand(4, 3, 128, 128) * 255
    assert len(warm_start(wide, path, [images])) == sum(isinstance(m, torch.nn.Conv2d) for m in network.modules())
    with torch.no_grad():
        torch.testing.assert_close(wide.eval()(images), network(images), atol=1e-3, rtol=1e-3)
    wide.train()(images).square().mean().backward()
    new = wide.heads[0].weight.grad[:, 8:], wide.backbone.stages[1][0].pointwise[0].weight[8:]
    assert new[0].abs().max() > 0, "what is new is seen by what was there as soon as that helps"
    assert new[1].std() > 0.1


def test_layers_that_join_two_maps_are_not_widened(tmp_path: Path) -> None:
    small, wide = (MatteNetwork(widths=[4, 8, 8, last], depths=[1, 1, 1], decoder=[8, 8, 8]) for last in (8, 12))
    card = ModelCard(name="x", task="matte", version="1", summary="x").to_json()
    path = save_model(whole_model(small, "matte", 64), tmp_path / "x.onnx", {CARD_KEY: card})
    taken = warm_start(wide, path, [torch.rand(2, 3, 64, 64) * 255])
    assert "narrows.0.0" in taken
    wide = MatteNetwork(widths=[4, 8, 12, 8], depths=[1, 1, 1], decoder=[8, 8, 8])
    taken = warm_start(wide, path, [torch.rand(2, 3, 64, 64) * 255])
    assert "backbone.stages.1.0.pointwise.0" in taken
    assert "merges.0.0.0" not in taken
    assert "merges.1.0.0" in taken, "as wide as it was"


def test_the_network_answers_as_the_file_did_and_can_be_trained(trained: tuple[FaceNetwork, Path]) -> None:
    network, path = trained
    torch.manual_seed(1)
    fresh = FaceNetwork(**SETTINGS)
    images = torch.rand(4, 3, 128, 128) * 255
    assert len(warm_start(fresh, path, [images])) == sum(isinstance(m, torch.nn.Conv2d) for m in network.modules())
    with torch.no_grad():
        wanted = network(images)
        torch.testing.assert_close(fresh.eval()(images), wanted, atol=1e-3, rtol=1e-3)
        # The norms hold what the pictures show: counting them anew, as training does, changes next to nothing.
        again = fresh.train()(images)
    assert (again - wanted).abs().mean() < 0.05 * wanted.abs().mean()


def test_layers_of_another_shape_stay_as_they_were(trained: tuple[FaceNetwork, Path]) -> None:
    torch.manual_seed(2)
    narrower = FaceNetwork(**{**SETTINGS, "neck": 6})
    before = narrower.heads[0].weight.clone()
    taken = warm_start(narrower, trained[1], [torch.rand(2, 3, 128, 128) * 255])
    assert 0 < len(taken) < sum(isinstance(m, torch.nn.Conv2d) for m in narrower.modules())
    torch.testing.assert_close(narrower.heads[0].weight, before)


def test_nothing_in_common_is_an_error(trained: tuple[FaceNetwork, Path], tmp_path: Path) -> None:
    other = MatteNetwork(widths=[3, 6, 6], depths=[1, 1], decoder=[6, 6])
    with pytest.raises(ModelError, match="expected a model with layers like those of this network, found none"):
        warm_start(other, trained[1], [])
    with pytest.raises(ModelError):
        warm_start(other, tmp_path / "missing.onnx", [])
