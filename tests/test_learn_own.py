"""Training on one's own project: from labelled pictures to a model that is used at once."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

import onnx  # noqa: E402
from onnx import numpy_helper  # noqa: E402
from own_projects import ANSWERS, hats, picture  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from torch.multiprocessing import ProcessRaisedException  # noqa: E402

import mien  # noqa: E402
from mien.attributes import ATTRIBUTES, Attribute  # noqa: E402
from mien.cli import main  # noqa: E402
from mien.data.project import Project  # noqa: E402
from mien.data.sample import read_samples  # noqa: E402
from mien.errors import DataError, MienError  # noqa: E402
from mien.learn import own as own_module  # noqa: E402
from mien.learn.attribute_network import AttributeNetwork, in_picture  # noqa: E402
from mien.learn.dataset import Draws  # noqa: E402
from mien.learn.evaluate import evaluate  # noqa: E402
from mien.learn.export import lean  # noqa: E402
from mien.learn.own import train_project  # noqa: E402
from mien.learn.own_data import face_cuts, own_data  # noqa: E402
from mien.learn.own_learner import Share  # noqa: E402
from mien.learn.own_lesson import AttributeLesson  # noqa: E402
from mien.learn.own_network import attribute_network  # noqa: E402
from mien.learn.own_options import OwnOptions  # noqa: E402
from mien.learn.own_points import in_crop, start_points  # noqa: E402
from mien.learn.own_rate import steepest  # noqa: E402
from mien.learn.own_record import read_history, read_record, run_lines  # noqa: E402
from mien.learn.own_views import Seen  # noqa: E402
from mien.learn.warm_start import constant_of  # noqa: E402
from mien.models.attributes import AttributeModel  # noqa: E402
from mien.models.store import check, shipped  # noqa: E402
from mien.types import Faces  # noqa: E402

pytestmark = pytest.mark.skipif(
    not {"faces", "attributes"} <= set(shipped()), reason="the shipped models are not in this checkout"
)

QUICK = OwnOptions(epochs=8, views=3, threads=1, seed=2)
ROOT = Path(__file__).resolve().parents[1]


KEEP = """
from safetensors.torch import save_file
import mien.learn.own
def keep(network, recipe, validation, facts, counts, out, file_name):
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, out / file_name)
mien.learn.own.release = keep
"""
"""A program that keeps the weights where the model would be: for what training does, not what is exported."""


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_module, "release", own_module.release)
    exec(KEEP, {})  # noqa: S102


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hats(tmp_path_factory.mktemp("own") / "hats").root


@pytest.fixture(scope="module")
def trained(project: Path) -> Path:
    """The model of a frozen backbone."""
    told: list[str] = []
    options = replace(QUICK, epochs=40, batch=8)
    model = train_project(project, options, name="quick", tell=lambda what, done, count: told.append(what))
    assert {"reading", "training", "exporting"} <= set(told)
    return model


# ---------------------------------------------------------------------------------------------------------- what comes out


def test_own_classes_come_out_of_analyze_and_a_predictor(trained: Path) -> None:
    right = 0
    for number in range(100, 112):
        image, face = picture(number)
        reader = AttributeModel(trained)
        faces = reader(image, Faces(face.box[None], np.ones(1, np.float32), face.keypoints[None]))
        right += int(faces.attributes["hat"].argmax() == ANSWERS.index(str(face.attributes["hat"])))
    assert right >= 9  # a guess gets 4
    image, _ = picture(100)
    (told,) = mien.analyze(image, crops=True, model=trained).to_json()["faces"]
    assert told["attributes"]["hat"]["scores"].keys() == set(ANSWERS)
    assert len(told["landmarks68"]) == 68
    assert told["pose"].keys() == {"yaw", "pitch", "roll"}
    again = mien.Predictor(trained, crops=True)(image)
    assert isinstance(again, mien.Prediction)
    assert again.to_json()["faces"] == [told]
    assert (again.draw(colour_by="hat") != image).any()


def test_a_frozen_backbone_tells_contour_and_pose_as_before(trained: Path) -> None:
    picture_ = mien.read(ROOT / "samples" / "astronaut.jpg").image
    face = mien.analyze(picture_).faces[:1]
    before, now = AttributeModel(), AttributeModel(trained)
    for name in ("landmarks68", "pose", "quality"):
        old = before(picture_, face).attributes[name]
        np.testing.assert_allclose(now(picture_, face).attributes[name], old, rtol=2e-3, atol=0.1, err_msg=name)


def test_a_run_keeps_its_record(trained: Path, project: Path) -> None:
    run = trained.parent
    assert trained == project / "runs" / "quick" / "model.onnx"
    check(trained)
    rows = read_history(run / "history.jsonl")
    assert [row["epoch"] for row in rows] == list(range(1, 41))
    assert {"seconds", "lr", "train/loss", "validation/loss", "validation/balanced_accuracy"} <= rows[0].keys()
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]
    record = read_record(run)
    assert record["options"]["backbone"] == "frozen"
    assert record["seconds"] > 0
    assert sum(record["counts"]["train"].values()) == len(
        [one for one in Project.open(project).samples() if one.split == "train"]
    )
    held = read_samples(run / "validation")
    assert len(held) == sum(record["counts"]["validation"].values())
    assert any(line.startswith("hat balanced accuracy") for line in run_lines(run))
    assert not list(run.glob("*.part")) + list(run.glob("made.onnx")) + list(run.glob("cache"))
    assert evaluate(trained, run / "validation").value("hat balanced_accuracy") > 0.6


@pytest.mark.usefixtures("kept")
def test_a_run_that_is_killed_goes_on_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    project = hats(tmp_path / "hats", 12).root
    wanted = load_file(train_project(project, QUICK, name="whole"))
    program = (
        KEEP + "import os, signal, sys\n"
        "from mien.learn.own import train_project; from mien.learn.own_options import OwnOptions\n"
        "def tell(what, done, count):\n"
        "    if what == 'training' and done == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "train_project(sys.argv[1], OwnOptions(epochs=8, views=3, threads=1, seed=2), name='killed', tell=tell,"
        " resume=sys.argv[3] == '1')"
    )
    (project / "runs" / "killed").mkdir()
    for number, epoch in enumerate((3, 5)):
        if number:
            (project / "runs" / "killed" / ".0123.part").write_bytes(b"half a file")
        words = [sys.executable, "-c", program, str(project), str(epoch), str(number)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
    run = project / "runs" / "killed"
    assert not (run / "model.onnx").exists()
    model = train_project(project, resume=True)
    assert model == run / "model.onnx"
    assert [row["epoch"] for row in read_history(run / "history.jsonl")] == list(range(1, 9))
    got = load_file(model)
    assert all(torch.equal(got[name], weight) for name, weight in wanted.items())
    assert not list(run.rglob(".*.part"))
    rows, wanted_rows = (read_history(project / "runs" / name / "history.jsonl") for name in ("killed", "whole"))
    assert [row["train/loss"] for row in rows] == [row["train/loss"] for row in wanted_rows]
    start = attribute_network([Attribute("hat", "hat?", ANSWERS)], "frozen", QUICK.seed).state_dict()
    changed = {name.split(".")[0] for name, weight in start.items() if not torch.equal(weight, wanted[name])}
    assert changed == {"features", "heads"}  # all else is the shipped network's
    assert torch.equal(start["features.1.running_mean"], wanted["features.1.running_mean"])
    with pytest.raises(DataError, match="expected an unfinished run to go on with, found none"):
        train_project(project, resume=True)
    with pytest.raises(DataError, match="there is a run of that name"):
        train_project(project, QUICK, name="killed")


# -------------------------------------------------------------------------------------------------------- other trainings


def test_named_points_are_learned_told_and_drawn(tmp_path: Path) -> None:
    project = hats(tmp_path / "points", 24, task="keypoints")
    model = train_project(project.root, replace(QUICK, epochs=4), name="p")
    image, face = picture(200)
    told = mien.Predictor(model, crops=True)(image[20:90, 20:120])
    assert isinstance(told, mien.Prediction)
    (one,) = told.to_json()["faces"]
    assert list(one["points"]) == ["left_eye", "right_eye", "chin"]
    assert told.draw().shape == (70, 100, 3)
    rows = read_history(model.parent / "history.jsonl")
    assert rows[-1]["validation/point_error"] < 0.06  # of the crop's side; a face is as wide as that
    report = evaluate(model, model.parent / "validation")
    assert report.value("points rmse") < 0.25 * float((face.box[2:] - face.box[:2]).max())
    assert report.value("points distance", "chin") > 0


def test_two_questions_and_points_are_learned_together(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from mien.cli import app

    project = hats(tmp_path / "both", 48, task="keypoints", asks_plaster=True)
    asked = ("hat", "plaster", "points")
    model = train_project(project.root, replace(QUICK, epochs=20, batch=8, attributes=asked), name="both")
    right = dict.fromkeys(asked[:2], 0)
    aways = []
    for number in range(300, 318):
        image, face = picture(number, has_plaster=number % 4 < 2)
        faces = AttributeModel(model)(image, Faces(face.box[None], np.ones(1, np.float32), face.keypoints[None]))
        for name, answers in (("hat", sorted(ANSWERS)), ("plaster", ["none", "plaster"])):
            right[name] += answers[int(faces.attributes[name].argmax())] == face.attributes[name]
        eye = faces.attributes["points"].reshape(-1, 2)[0] - face.keypoints[0]
        aways.append(float(np.linalg.norm(eye)) / float(face.box[2] - face.box[0]))
    assert right["hat"] >= 11  # a guess gets 6
    assert right["plaster"] >= 15  # a guess gets 9
    assert np.median(aways) < 0.05
    assert np.mean(np.array(aways) < 0.2) > 0.7  # painted faces are far from what the backbone has seen
    assert {"validation/hat balanced_accuracy", "validation/plaster balanced_accuracy", "validation/points point_error"} <= (
        read_history(model.parent / "history.jsonl")[-1].keys()
    )
    image, _ = picture(300, has_plaster=True)
    shown = tmp_path / "face.png"
    mien.write(image, shown)
    words = ["analyze", str(shown), "--crops", "--model", str(model), "--json", "-o", str(tmp_path / "drawn")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    (one,) = json.loads(done.stdout)["faces"]
    assert one["attributes"]["hat"]["scores"].keys() == set(ANSWERS)
    assert one["attributes"]["plaster"]["scores"].keys() == {"plaster", "none"}
    assert one["points"].keys() == {"left_eye", "right_eye", "chin"}
    assert (tmp_path / "drawn" / "face.overlay.jpg").exists()


@pytest.mark.parametrize(("backbone", "precision"), [("own_backbones:Tiny", "32"), ("unfrozen", "bf16")])
def test_other_backbones_are_trained(backbone: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    networks: list[AttributeNetwork] = []
    kinds: set[torch.dtype] = set()
    told = AttributeNetwork.told

    def noted(network: AttributeNetwork) -> AttributeNetwork:
        networks.append(lean(network))
        return networks[-1]

    def watched(self: AttributeNetwork, *seen: torch.Tensor) -> torch.Tensor:
        kinds.add((logits := told(self, *seen)).dtype)
        return logits

    monkeypatch.setattr("mien.learn.release.lean", noted)
    monkeypatch.setattr(AttributeNetwork, "told", watched)
    project = hats(tmp_path / "hats", 12)
    before = AttributeModel()
    options = replace(QUICK, backbone=backbone, epochs=2, freeze_epochs=1, batch=4, mixup=0.2, balance="weights", seed=1)
    model = train_project(project.root, replace(options, precision=precision), name="b")
    assert (torch.bfloat16 in kinds) == (precision == "bf16")
    weights = [numpy_helper.to_array(one) for one in onnx.load(model).graph.initializer]
    assert all(np.isfinite(one).all() for one in weights)
    sizes = {kind: sum(one.nbytes for one in weights if one.dtype == kind and one.ndim == 4) for kind in ("f2", "f4")}
    assert sizes["f2"] > sizes["f4"]  # those are too large for 16 bits, or too few
    reader = AttributeModel(model)
    assert ("landmarks68" in reader.attributes) == (backbone == "unfrozen")
    image, face = picture(3)
    faces = Faces(face.box[None], np.ones(1, np.float32), face.keypoints[None])
    pixels = torch.from_numpy(image).float().permute(2, 0, 1)[None]
    with torch.no_grad():
        logits, _ = networks[0](pixels, torch.from_numpy(faces.boxes), torch.from_numpy(faces.keypoints))
    np.testing.assert_allclose(reader(image, faces).attributes["hat"], logits.softmax(1), atol=1e-4)
    if backbone == "unfrozen":
        away = reader(image, faces).attributes["landmarks68"] - before(image, faces).attributes["landmarks68"]
        assert np.abs(away).mean() < 0.1 * float((face.box[2:] - face.box[:2]).max())  # its teacher keeps the contour


def test_boxes_go_on_from_the_shipped_network(tmp_path: Path) -> None:
    project = hats(tmp_path / "boxes", 8, task="boxes")
    options = OwnOptions(epochs=1, batch=2, threads=1, freeze_epochs=0)
    model = train_project(project.root, options, name="b")
    assert mien.Predictor(model).card.task == "faces"
    assert "validation/loss" in read_history(model.parent / "history.jsonl")[0]


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("backbone", ["unfrozen", "scratch"])
def test_mattes_and_a_network_from_nothing_are_trained(backbone: str, tmp_path: Path, painted: Path) -> None:
    mattes = tmp_path / "mattes"
    shutil.copytree(painted, mattes)
    model = train_project(mattes, OwnOptions(backbone=backbone, epochs=1, batch=4, threads=1), name="m")
    assert load_file(model)["head.weight"].isfinite().all()
    assert read_record(model.parent)["counts"]["train"].keys() == {"people", "nobody"}
    (row,) = read_history(model.parent / "history.jsonl")
    assert {"validation/loss", "validation/iou_loss"} <= row.keys()
    hats_ = hats(tmp_path / "hats", 12)
    model = train_project(hats_.root, replace(QUICK, backbone=backbone, epochs=1, batch=4), name="m")
    assert ("contour.weight" in load_file(model)) == (backbone == "unfrozen")


def test_two_processes_train_one_model(tmp_path: Path) -> None:
    project = hats(tmp_path / "hats", 12)
    options = replace(QUICK, epochs=2, batch=2, devices=2, strategy="ddp")
    program = (
        KEEP + "import json, sys; from mien.learn.own import train_project; from mien.learn.own_options import OwnOptions\n"
        "if __name__ == '__main__':\n"
        "    print(train_project(sys.argv[1], OwnOptions.from_json(json.loads(sys.argv[2])), name='two'))"
    )
    script = tmp_path / "two.py"
    script.write_text(program)
    words = [sys.executable, str(script), str(project.root), json.dumps(options.to_json())]
    done = subprocess.run(words, cwd=ROOT, env=_env(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[-1]).name == "model.onnx"
    assert len(read_history(project.root / "runs" / "two" / "history.jsonl")) == 2


def _env() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.usefixtures("kept")
def test_a_learning_rate_is_found_and_used(tmp_path: Path) -> None:
    project = hats(tmp_path / "hats", 18)
    model = train_project(project.root, replace(QUICK, epochs=1, finds_rate=True, batch=4), name="f")
    record = read_record(model.parent)
    assert 1e-5 < record["suggested_lr"] < 1
    assert record["options"]["rate"] == record["suggested_lr"]
    assert (model.parent / "find-lr.png").stat().st_size > 1000


# ---------------------------------------------------------------------------------------------------------- what is refused


def test_what_cannot_be_trained_on_is_told_in_one_line(tmp_path: Path) -> None:
    empty = Project.create(tmp_path / "empty", attribute="hat", classes=ANSWERS)
    one = hats(tmp_path / "one", 6, answers=("hat",))
    open_ = hats(tmp_path / "open", 3)
    for row in open_.rows():
        open_.update(row["file_name"], faces=row["faces"], revision=row["revision"], state="suggested")
    only = hats(tmp_path / "only", 6)
    only.assign_split({row["file_name"]: "train" for row in only.rows()})
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for root, wanted in (
        (empty.root, "expected labelled pictures, got no pictures; label some with: mien label"),
        (open_.root, "expected labelled pictures, got 3 pictures of which none is labelled"),
        (one.root, "hat: expected faces of two classes or more to train on, got only hat of hat, bare, crown"),
        (only.root, "expected labelled pictures in validation, found none"),
        (pictures, "make a project of labelled pictures: mien new NAME"),
    ):
        with pytest.raises(DataError) as caught:
            train_project(root, QUICK)
        assert wanted in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not (root / "runs").exists()


def test_labels_out_of_range_name_the_picture(tmp_path: Path) -> None:
    project = hats(tmp_path / "hats", 6)
    table = project.pictures / "metadata.jsonl"
    project.close()
    table.write_text(table.read_text().replace('"crown"', '"helmet"', 1))
    with pytest.raises(DataError, match=r"2-\w+.jpg: hat: expected one of hat, bare, crown, got 'helmet'"):
        own_data(project.root)
    points = hats(tmp_path / "points", 6, task="keypoints")
    points.close()
    table = points.pictures / "metadata.jsonl"
    row = json.loads(table.read_text().splitlines()[0])
    row["faces"][0]["keypoints"]["chin"] = [900, 20]
    table.write_text("\n".join([json.dumps(row), *table.read_text().splitlines()[1:]]) + "\n")
    with pytest.raises(DataError, match=r"chin: expected a point in the picture of 128x96, got \(900, 20\)"):
        own_data(points.root)


def test_the_command_tells_recipes_from_projects(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from mien.cli import app

    root = hats(tmp_path / "hats", 3, answers=("hat",)).root
    for words, wanted in (
        ([str(root)], "expected labelled pictures in validation|expected faces of two classes"),
        ([str(root), "-o", "elsewhere"], "--output and --root are for recipes"),
        ([str(root), "--backbone", "big"], "backbone: expected frozen, unfrozen, scratch or"),
        ([str(root / "mien.toml")], "mien.toml"),
        ([str(root), "--resume"], "expected an unfinished run to go on with, found none"),
    ):
        done = CliRunner().invoke(app, ["train", *words])
        assert isinstance(done.exception, MienError), done.output
        assert re.search(wanted, str(done.exception))
        assert not (root / "runs").exists()


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"backbone": "resnet"}, "backbone: expected frozen, unfrozen, scratch or package.module:Class, got 'resnet'"),
        ({"balance": "both"}, "balance: expected one of sampler, weights, none, got 'both'"),
        ({"epochs": 0}, "epochs: expected 1 or more, got 0"),
        ({"rate": 50.0}, "rate: expected 1e-09 to 10, got 50.0"),
    ],
)
def test_wrong_options_are_told(options: dict[str, object], wanted: str) -> None:
    with pytest.raises(DataError) as caught:
        OwnOptions(**options)  # type: ignore[arg-type]
    assert str(caught.value) == wanted


def test_a_backbone_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.learn.own_network import foreign_backbone

    monkeypatch.chdir(Path(__file__).parent)
    for name, wanted in (("no_such:Thing", "No module named"), ("own_backbones:Nothing", "no attribute 'Nothing'")):
        with pytest.raises(DataError, match=wanted):
            foreign_backbone(name)
    with pytest.raises(DataError, match="which makes a NoModule"):
        foreign_backbone("own_backbones:NoModule")
    (one,) = foreign_backbone("own_backbones:Maps")(torch.zeros(2, 3, 96, 96))
    assert one.shape == (2, 8, 6, 6)


@pytest.fixture
def complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Trains by the command line, and gives the one line with which that ends."""

    def ended(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["mien", "train", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        told = capsys.readouterr()
        assert (caught.value.code, told.out) == (2, "")
        (line,) = told.err.splitlines()
        return line

    return ended


def test_bad_input_ends_the_command_with_one_line_and_code_2(tmp_path: Path, complaint: Callable[..., str]) -> None:
    one = hats(tmp_path / "one", 6, answers=("hat",))
    assert "got only hat of hat, bare, crown; record or label others too" in complaint(one.root)
    lacking = hats(tmp_path / "lacking", 6)
    lacking.assign_split({row["file_name"]: "train" for row in lacking.rows()})
    assert "found none; add pictures, or divide them anew with: mien data split" in complaint(lacking.root)
    wrong = hats(tmp_path / "wrong", 6)
    wrong.close()
    table = wrong.pictures / "metadata.jsonl"
    table.write_text(table.read_text().replace('"crown"', '"helmet"', 1))
    assert "got 'helmet'; label it again with: mien label" in complaint(wrong.root)
    assert not [root for root in (one.root, lacking.root, wrong.root) if (root / "runs").exists()]


def test_a_loss_that_is_no_number_and_a_full_disk_stop_the_command(
    tmp_path: Path, complaint: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = hats(tmp_path / "hats", 12)
    few = (project.root, "--views", "3", "--threads", "1", "--epochs", "2", "--name", "it")
    with monkeypatch.context() as patch:
        broken = {"total": torch.tensor(float("nan"), requires_grad=True)}
        patch.setattr(AttributeLesson, "losses", lambda self, network, batch: broken)
        assert complaint(*few).endswith(
            "the loss became nan in epoch 1; lower --lr (now 0.003), or look for a good one with --find-lr"
        )
    # The system refuses files that grow beyond this: first of the decoded pictures, then of the checkpoint.
    for most in (100_000, 1_500_000):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
        try:
            line = complaint(*few)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert line.endswith("runs/it: cannot be written (File too large); make room, then start it again")
        assert not (project.root / "runs" / "it").exists()


def test_what_stops_another_process_is_told_as_in_this_one() -> None:
    text = "-- Process 1 terminated with this error:\nTraceback:\n  File ...\nmien.errors.DataError: the loss became nan"
    told = own_module._of_process(ProcessRaisedException(text, 1, 4711))
    assert (type(told), str(told)) == (DataError, "the loss became nan")
    other = own_module._of_process(ProcessRaisedException("Traceback:\nKeyError: 'x'", 1, 4711))
    assert (type(other), str(other)) == (RuntimeError, "'x'")


# ------------------------------------------------------------------------------------------------------------------- parts


def test_a_face_is_cut_out_with_its_labels(tmp_path: Path) -> None:
    project = hats(tmp_path / "hats", 3)
    asked = Attribute("hat", "hat?", ANSWERS)
    samples = project.samples()
    for sample, cut in zip(samples, face_cuts(samples, [asked]), strict=True):
        face, (moved,) = sample.faces[0], cut.faces  # type: ignore[index]
        x1, y1, *_ = cut.cut  # type: ignore[misc]
        np.testing.assert_allclose(moved.box + np.array([x1, y1, x1, y1]), face.box, rtol=1e-6)
        corner = moved.box[:2].round().astype(int)
        there = face.box[:2].round().astype(int)
        np.testing.assert_array_equal(cut.image()[corner[1], corner[0]], sample.image()[there[1], there[0]])
    assert not face_cuts(samples, [Attribute("scarf", "scarf?", ("yes", "no"))])


def test_several_attributes_and_points_are_asked_together(tmp_path: Path) -> None:
    data = own_data(hats(tmp_path / "hats", 12).root, ("hat", "points"))
    assert [one.name for one in data.attributes] == ["hat", "points"]
    assert data.attributes[1].point_names[0] == "left_eye"
    assert data.counts["train"].keys() >= {"hat: hat", "hat: bare", "hat: crown", "points"}
    with pytest.raises(DataError, match="expected faces labelled for 'scarf', found none"):
        own_data(tmp_path / "hats", ("scarf",))


def test_heads_of_points_start_where_features_tell_the_points_to_be() -> None:
    ears = Attribute("points", "Where?", points=2, point_names=("left_ear", "right_ear"))
    network = AttributeNetwork([ears], [8, 8, 8], [0, 0], side=32, hidden=8, has_contour=False)
    torch.manual_seed(0)
    count = network.heads[0].linear.in_features
    features = torch.randn(60, 2, count)
    crops = 0.5 + 0.1 * features @ (torch.randn(count, 4) / count**0.5)
    turn = torch.tensor([[10.0, 5], [20, 4], [-4, 20]]).expand(60, 2, 3, 2)
    targets = in_picture(crops.flatten(0, 1), turn.flatten(0, 1)).flatten(1).unflatten(0, (60, 2))
    torch.testing.assert_close(in_crop(targets.flatten(0, 1), turn.flatten(0, 1)), crops.flatten(0, 1))
    targets[:7, :, 2:] = torch.nan  # some right ears are not to be seen
    start_points(network, Seen(torch.zeros(60, 2, 1), features, turn, targets, torch.ones(60, 2, 1)))
    away = (network.heads[0](features[7:]) - crops[7:]).abs().mean()
    assert away < 0.5 * (crops - crops.mean((0, 1))).abs().mean()


def test_the_steepest_rate_lies_before_the_lowest_loss() -> None:
    rates = [10.0**step for step in range(-6, 1)]
    assert steepest(rates, [1.0, 1.0, 0.9, 0.5, 0.4, 0.39, 5.0]) == pytest.approx(1e-3)
    with pytest.raises(DataError, match="expected a rate that lowers the loss, found none"):
        steepest(rates[:4], [1.0, 1.1, 1.2, 1.3])


def test_a_loss_that_is_lowest_by_chance_suggests_a_tenth_of_where_it_breaks_away() -> None:
    rates = [10.0**step for step in range(-6, 1)]
    assert steepest(rates, [0.7, 0.6, 0.72, 0.71, 0.7, 1.5, 4.0]) == pytest.approx(1e-3)
    assert steepest(rates, [0.6, 0.7, 0.72, 0.71, 0.7, 1.5, 4.0]) == pytest.approx(1e-3)


def test_two_processes_see_each_batch_once() -> None:
    draws = Draws([1.0] * 24, 24, 4, [8], 0)
    parts = [list(Share(draws, number, 2)) for number in range(2)]
    assert [len(part) for part in parts] == [3, 3]
    assert sorted(map(str, [*parts[0], *parts[1]])) == sorted(map(str, draws))


def test_a_question_that_the_shipped_network_answers_starts_from_its_head() -> None:
    names = [entry["name"] for entry in AttributeModel().card.attributes]
    mask, other = ATTRIBUTES["mask"], Attribute("smile", "smile?", ("grin", "none"))
    network = attribute_network([other, mask], "frozen", 0)
    wanted = constant_of("attributes", f"network.heads.{names.index('mask')}.linear.weight")
    # A head of other features would say nothing.
    is_taken = constant_of("attributes", "network.features.0.weight").shape == network.features[0].weight.shape
    assert torch.equal(network.heads[1].linear.weight, wanted) == is_taken
    smile = constant_of("attributes", f"network.heads.{names.index('smile')}.linear.weight")
    assert not torch.equal(network.heads[0].linear.weight, smile)  # other words, so another question
