"""Training, on painted faces: the parts, and the whole chain from recipe to a judged ONNX file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from mien.data.sample import read_samples  # noqa: E402
from mien.errors import DataError, ModelError  # noqa: E402
from mien.learn import trainer  # noqa: E402
from mien.learn.cache import PictureCache  # noqa: E402
from mien.learn.checkpoint import read_checkpoint, write_checkpoint  # noqa: E402
from mien.learn.dataset import Draw, Draws, FaceCanvases, MatteCanvases  # noqa: E402
from mien.learn.export import HALF, feeds_of, lean, made_whole, parity, save_model, whole_model  # noqa: E402
from mien.learn.gather import gather  # noqa: E402
from mien.learn.guided import blended, guided_blend  # noqa: E402
from mien.learn.losses import FaceLoss, FaceTargets, MatteLoss, assign, giou  # noqa: E402
from mien.learn.networks import FaceNetwork, MatteNetwork, Unit  # noqa: E402
from mien.learn.recipe import read_recipe  # noqa: E402
from mien.learn.trainer import train  # noqa: E402
from mien.models.faces import FaceModel  # noqa: E402
from mien.models.matte import MatteModel  # noqa: E402
from mien.models.store import check  # noqa: E402

FACES = {"widths": [8, 8, 16, 16, 16, 16], "depths": [0, 1, 1, 0, 0], "neck": 16}
MATTE = {"widths": [8, 8, 16, 16], "depths": [0, 1, 1], "decoder": [16, 8, 8]}


def write_recipe(folder: Path, data: Path, task: str, epochs: int = 2, extra: str = "", **schedule: object) -> Path:
    network = FACES if task == "faces" else MATTE
    path = folder / f"{task}.toml"
    settings = {"pictures_per_epoch": 16, "batch": 4, "sizes": [64], "learning_rate": 0.004, **schedule}
    path.write_text(
        textwrap.dedent(
            f"""
            name = "{task}"
            task = "{task}"
            version = "0.0.1"
            summary = "painted faces"
            seed = 3
            root = "{data.parent}"
            long_side = 128
            intended_use = "tests"
            {extra}
            [network]
            """
        )
        + "\n".join(f"{name} = {value}" for name, value in network.items())
        + f"\n[schedule]\nepochs = {epochs}\n"
        + "\n".join(f"{name} = {value}" for name, value in settings.items())
        + f'\n[[data]]\npath = "{data.name}"\nname = "painted"\nterms = "ours"\nheld_out = 0.25\n'
    )
    return path


# ---------------------------------------------------------------------------------------------------------------- networks


@pytest.mark.parametrize("size", [(64, 64), (128, 192)])
def test_a_face_network_answers_once_a_cell(size: tuple[int, int]) -> None:
    network = FaceNetwork(**FACES).eval()
    raw = network(torch.zeros(2, 3, *size))
    centres, strides = network.cells(*size)
    assert raw.shape == (2, len(centres), 15)
    scores, boxes, keypoints = network.decode(raw, centres, strides)
    assert (boxes[..., 2:] >= boxes[..., :2]).all()
    assert keypoints.shape == (2, len(centres), 5, 2)
    assert scores.max() < 0.1, "an untrained network calls nothing a face"
    assert centres[0].tolist() == [4, 4]
    assert strides[-1].item() == 64


def test_a_matte_has_the_size_of_its_picture() -> None:
    assert MatteNetwork(**MATTE)(torch.zeros(1, 3, 64, 96)).shape == (1, 1, 64, 96)


# ------------------------------------------------------------------------------------------------------------------ losses


def test_giou_of_known_boxes() -> None:
    a = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    b = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    generalised, plain = giou(a, b)
    assert plain.tolist() == [1, 0]
    assert generalised.tolist() == pytest.approx([1, -1 / 3])


def test_cells_answer_for_the_face_they_lie_in() -> None:
    centres, strides = FaceNetwork.cells(128, 128)
    faces = torch.tensor([[8.0, 8, 40, 40], [70, 60, 120, 120]])
    boxes = torch.cat([centres - strides * 2, centres + strides * 2], 1)
    chosen = assign(torch.zeros(len(centres)), boxes, centres, strides, faces)
    for number, face in enumerate(faces):
        inside = centres[chosen == number]
        assert 1 <= len(inside) <= 10
        assert ((inside > face[:2]) & (inside < face[2:])).all()


def targets(boxes: list[list[float]], ignored: list[list[float]] | None = None) -> FaceTargets:
    count = len(boxes)
    rows = torch.tensor(boxes).reshape(-1, 4)
    points = (rows[:, None, :2] + rows[:, None, 2:]) / 2 + torch.zeros(count, 5, 2)
    points[:, 4] = torch.nan
    flags = torch.zeros(count, dtype=torch.bool)
    return FaceTargets(rows, points, flags, flags, torch.tensor(ignored or []).reshape(-1, 4))


def test_ignored_regions_cost_nothing() -> None:
    raw = torch.zeros(1, len(FaceNetwork.cells(64, 64)[0]), 15)
    plain = FaceLoss()(raw, (64, 64), [targets([])])["total"]
    everywhere = FaceLoss()(raw, (64, 64), [targets([], [[0, 0, 64, 64]])])["total"]
    assert plain > 1
    assert everywhere == 0


def test_unknown_points_and_empty_pictures_give_finite_gradients() -> None:
    network = FaceNetwork(**FACES)
    batch = [targets([[10.0, 10, 40, 40]]), targets([]), targets([[5.0, 5, 20, 20], [30, 30, 60, 60]], [[0, 40, 20, 60]])]
    losses = FaceLoss()(network(torch.rand(3, 3, 64, 64) * 255), (64, 64), batch)
    losses["total"].backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert losses["keypoint"] > 0


def test_a_right_matte_costs_less_than_a_wrong_one() -> None:
    matte = torch.zeros(1, 1, 32, 32)
    matte[..., 8:24, 8:24] = 1
    counted = torch.ones_like(matte)
    right = MatteLoss()((matte * 2 - 1) * 8, matte, counted)["total"]
    wrong = MatteLoss()((1 - matte * 2) * 8, matte, counted)["total"]
    assert right < 0.1 * wrong
    assert MatteLoss()((1 - matte * 2) * 8, matte, counted * 0)["total"] < 0.1


# ----------------------------------------------------------------------------------------------------------------- dataset


def test_canvases_depend_on_the_draw_alone(painted: Path, tmp_path: Path) -> None:
    samples = read_samples(painted)
    for task in ("faces", "matte"):
        cache = PictureCache(samples, tmp_path, 128, with_mattes=task == "matte")
        kinds = [FaceCanvases(samples, cache, 1), FaceCanvases(samples, cache, 1)]
        if task == "matte":
            kinds = [MatteCanvases(samples, cache, 1, [1.0] * 24, [False] * 24) for _ in range(2)]
        first, other = kinds
        draws = [Draw(0, place, place % 24, 64) for place in range(12)]
        list(map(other.__getitem__, draws[::-1]))
        for draw in draws:
            assert (first[draw][0] == other[draw][0]).all()
        changed = [(first[draw][0] != first[draw._replace(epoch=1)][0]).any() for draw in draws]
        assert all(changed)


def test_epochs_draw_differently_and_repeat() -> None:
    draws = Draws([1, 2, 3], 40, 8, [64, 128], seed=0)
    first = list(draws)
    draws.set_epoch(1)
    second = list(draws)
    draws.set_epoch(0)
    assert list(draws) == first
    assert [d.row for batch in second for d in batch] != [d.row for batch in first for d in batch]
    assert len(first) == len(draws) == 5
    assert {(len(batch), batch[0].size) for batch in first + second} <= {(8, 64), (2, 128)}
    rows = [draw.row for epoch in range(40) for batch in _epoch(draws, epoch) for draw in batch]
    assert np.bincount(rows) / len(rows) == pytest.approx([1 / 6, 1 / 3, 1 / 2], abs=0.06)


def _epoch(draws: Draws, epoch: int) -> list[list[Draw]]:
    draws.set_epoch(epoch)
    return list(draws)


# -------------------------------------------------------------------------------------------------------------- checkpoint


def test_checkpoints_come_back_as_they_were(tmp_path: Path) -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    tree = {"a": [1, 2.5, None, True, "text"], 3: {"nested": (tensor, tensor.t())}, "empty": [{}, ()]}
    write_checkpoint(tree, tmp_path / "x.ckpt")
    back = read_checkpoint(tmp_path / "x.ckpt")
    assert back["a"] == tree["a"]
    assert back["empty"] == [{}, ()]
    assert (back[3]["nested"][1] == tensor.t()).all()
    assert [path.name for path in tmp_path.iterdir()] == ["x.ckpt"]


def test_checkpoints_run_no_code(tmp_path: Path) -> None:
    torch.save({"epoch": 1}, tmp_path / "pickle.ckpt")
    with pytest.raises(ModelError, match="expected a checkpoint written by mien"):
        read_checkpoint(tmp_path / "pickle.ckpt")
    with pytest.raises(TypeError, match="holds tensors"):
        write_checkpoint({"f": print}, tmp_path / "f.ckpt")


# ------------------------------------------------------------------------------------------------------------------ recipe


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("speed = 3", "unknown setting 'speed'"),
        ("known_failures = 3\n[schedule]\nepochs = 1", "expected a recipe"),
        ("x = ", "expected a recipe"),
    ],
)
def test_a_wrong_recipe_is_named(tmp_path: Path, extra: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_recipe(write_recipe(tmp_path, tmp_path, "faces", extra=extra))


def test_a_recipe_needs_data_and_a_known_task(tmp_path: Path, painted: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_recipe(tmp_path / "none.toml")
    path = write_recipe(tmp_path, painted, "faces")
    path.write_text(path.read_text().replace('task = "faces"', 'task = "feet"'))
    with pytest.raises(DataError, match="expected one of faces, matte, attributes, got 'feet'"):
        train(path, out=tmp_path / "run", workers=0)


def test_a_share_of_the_groups_leaves_what_is_held_out_alone(tmp_path: Path, painted: Path) -> None:
    parts = {}
    for share in (0.2, 0.5, 1.0):
        path = write_recipe(tmp_path, painted, "faces")
        path.write_text(path.read_text() + f"share = {share}\n")
        found = gather(read_recipe(path), tmp_path / "cache")
        parts[share] = {sample.name for sample in found.train}
        assert found.counts == {"painted": len(found.train)}
        parts[-share] = {sample.name for sample in found.validation}
    assert set() < parts[0.2] < parts[0.5] < parts[1.0]
    assert parts[-0.2] == parts[-0.5] == parts[-1.0]
    assert not parts[1.0] & parts[-1.0]


# ------------------------------------------------------------------------------------------------------------------- chain


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, painted: Path) -> dict[str, Path]:
    """Both tasks trained for two epochs by their recipes."""
    folder = tmp_path_factory.mktemp("chain")
    return {task: train(write_recipe(folder, painted, task), out=folder / task, workers=0) for task in ("faces", "matte")}


def test_a_recipe_has_the_one_that_it_starts_from_trained_first(
    painted: Path, trained: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = write_recipe(tmp_path, painted, "faces", epochs=1, extra='start = "runs/begin/begin.onnx"')
    begin = tmp_path / "runs" / "begin" / "begin.onnx"
    calls = []

    def train_first(recipe: Path, *, out: Path, **named: object) -> None:
        calls.append((recipe, out, named["workers"]))
        out.mkdir(parents=True)
        shutil.copy(trained["faces"], begin)

    monkeypatch.setattr(trainer, "train", train_first)
    monkeypatch.setattr(trainer, "release", lambda network, recipe, *rest: Path(recipe.start))
    with pytest.raises(ModelError, match=r"begin\.onnx"):  # neither model nor recipe
        train(goes_on, out=tmp_path / "alone", workers=0)
    assert not calls
    (tmp_path / "begin.toml").touch()
    for name in ("one", "two"):
        assert train(goes_on, out=tmp_path / name, workers=0) == begin
    assert calls == [(tmp_path / "begin.toml", begin.parent, 0)]


@pytest.mark.parametrize("task", ["faces", "matte"])
def test_the_chain_ends_in_a_file_that_judges_itself(trained: dict[str, Path], task: str) -> None:
    path = trained[task]
    results = check(path)
    assert results
    assert all(result.is_ok for result in results)
    card = (FaceModel if task == "faces" else MatteModel)(path).card
    assert card.task == task
    assert card.training["epochs"] == 2
    assert card.data[0]["pictures"] == 18
    assert {row["data"] for row in card.scores} == {"held-out validation part"}
    assert (path.parent / "curves.png").stat().st_size > 5_000
    assert len(read_samples(path.parent / "validation")) == 6
    assert not list(path.parent.glob("**/*.part"))


@pytest.mark.parametrize("shape", [(1, 1), (17, 90), (200, 96), (640, 480)])
def test_any_size_goes_in(trained: dict[str, Path], shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    faces = FaceModel(trained["faces"], min_score=0.0)(image)
    assert (faces.boxes[:, :2] >= 0).all()
    assert (faces.boxes[:, 2:] <= [shape[1], shape[0]]).all()
    matte = MatteModel(trained["matte"])(image)
    assert matte.shape == shape
    assert matte.min() >= 0
    assert matte.max() <= 1


def test_the_gate_sees_a_changed_weight(painted: Path) -> None:
    network = FaceNetwork(**FACES).eval()
    feeds = [feeds_of(sample, "faces") for sample in read_samples(painted)[:3]]
    model = whole_model(network, "faces", 128)
    assert parity(network, model, "faces", feeds) < 1e-4
    with torch.no_grad():
        network.heads[0].bias[0] += 0.5
    assert parity(network, model, "faces", feeds) > 1e-3


def test_a_lean_copy_does_not_raise_a_unit_that_was_dead_in_training() -> None:
    unit = torch.nn.Sequential(Unit(1, 2))
    with torch.no_grad():
        unit[0][0].weight[:] = 1.0
        unit[0][1].running_var[:] = torch.tensor([1e-37, 1.0])
    answers = lean(unit)(torch.full((1, 1, 1, 1), 5.0)).detach().flatten()
    assert answers[0] == 0
    assert abs(float(answers[1]) - 5) < 0.01


def test_a_lean_copy_silences_a_unit_that_next_to_nothing_woke() -> None:
    unit = torch.nn.Sequential(Unit(3, 3, groups=3))
    with torch.no_grad():
        unit[0][0].weight[:] = 1.0
        unit[0][1].running_var[:] = torch.tensor([1e-5, 1.0, 1.5])
    answers = lean(unit)(torch.full((1, 3, 1, 1), 5.0)).flatten()
    assert answers[0] == 0
    assert (answers[1:] > 4).all()


def test_a_lean_copy_answers_as_the_network_does_and_fills_a_smaller_file(painted: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = FaceNetwork([16, 32, 64, 64, 64, 64], [1, 1, 1, 1, 1], 64)
    image = torch.rand(2, 3, 128, 128) * 255
    with torch.no_grad():
        network.train()(image)
        wanted = network.eval()(image)
        small = lean(network)
        assert torch.equal(network(image), wanted), "the network itself stays as it is"
        assert (small(image) - wanted).abs().max() < 0.01 * wanted.abs().max()
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in small.modules())
    models = [whole_model(one, "faces", 128) for one in (network, small)]
    feeds = [feeds_of(sample, "faces") for sample in read_samples(painted)[:3]]
    assert all(parity(one, model, "faces", feeds) < 1e-4 for one, model in zip((network, small), models, strict=True))
    large, less = (save_model(model, tmp_path / f"{row}.onnx", {}).stat().st_size for row, model in enumerate(models))
    weights = sum(layer.weight.numel() for layer in network.modules() if isinstance(layer, torch.nn.Conv2d))
    assert large - less > 1.8 * weights  # two bytes each, but for the small layers
    assert parity(small, made_whole(models[1]), "faces", feeds) < 1e-4
    assert not any(one.name.endswith(HALF) for one in made_whole(models[1]).graph.initializer)


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, painted: Path) -> None:
    recipe = write_recipe(tmp_path, painted, "faces", epochs=3)
    code = """
        import sys
        from pathlib import Path
        from mien.learn import trainer
        class Killed(trainer.Pace):
            def on_train_epoch_end(self, *args):
                super().on_train_epoch_end(*args)
            def on_train_batch_end(self, run, *args):
                if run.current_epoch == 1 and run.global_step >= 6:
                    import os, signal
                    os.kill(os.getpid(), signal.SIGKILL)
        if sys.argv[3] == "kill":
            trainer.Pace = Killed
        trainer.train(Path(sys.argv[1]), out=Path(sys.argv[2]), workers=0)
    """

    def run(out: Path, word: str) -> int:
        command = [sys.executable, "-c", textwrap.dedent(code), str(recipe), str(out), word]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert run(tmp_path / "killed", "kill") == -9
    assert not (tmp_path / "killed" / "faces.onnx").exists()
    assert read_checkpoint(tmp_path / "killed" / "checkpoints" / "last.ckpt")["epoch"] == 0
    assert run(tmp_path / "killed", "on") == 0
    assert run(tmp_path / "whole", "on") == 0
    ends = [read_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt") for name in ("killed", "whole")]
    assert ends[0]["global_step"] == ends[1]["global_step"] == 12
    for key, value in ends[0]["state_dict"].items():
        assert torch.equal(value, ends[1]["state_dict"][key]), key


class TestGuidedBlend:
    """The matte takes its outline from the picture."""

    @staticmethod
    def blended(image: torch.Tensor, matte: torch.Tensor) -> torch.Tensor:
        return blended(image, guided_blend(image, matte))[:, 0]

    def test_a_blurred_outline_moves_onto_the_edge_of_the_colours(self) -> None:
        image = torch.full((1, 3, 64, 96), 40.0)
        image[:, 0, :, 50:] = 200.0
        truth = (image[:, 0] > 100).float()
        blurred = torch.sigmoid((torch.arange(96.0) - 48) / 4).expand(1, 1, 64, 96)
        found = self.blended(image, blurred)
        assert (found - truth).abs().mean() < 0.5 * (blurred[:, 0] - truth).abs().mean()
        assert ((found[0, 32] > 0.5) == (truth[0, 32] > 0.5)).all()

    def test_without_edges_the_matte_stays(self) -> None:
        flat = torch.full((1, 3, 64, 64), 90.0)
        for share in (0.5, 0.6):
            found = self.blended(flat, torch.full((1, 1, 64, 64), share))
            assert torch.allclose(found, torch.full_like(found, 0.5 + 1.5 * (share - 0.5)), atol=1e-3)
