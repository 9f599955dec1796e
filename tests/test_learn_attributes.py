"""Reading faces, from labels to answers: what is learned, what goes into the model file, what comes out of it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import mien
from mien import attributes as face_attributes
from mien.attributes import ATTRIBUTES, Attribute
from mien.data.sample import FaceLabel, Sample
from mien.draw import draw
from mien.errors import DataError, InputError, ModelError
from mien.learn.attribute_network import TEMPLATE, AttributeNetwork, FaceCrops, five_of, mean_contour
from mien.learn.attribute_targets import MIRRORED_POINTS, distribution, face_targets
from mien.learn.cache import PictureCache
from mien.learn.dataset import Draw
from mien.learn.evaluate import evaluate
from mien.learn.face_patches import FacePatches
from mien.learn.pose import head_pose, lift_of, mean_face
from mien.learn.recipe import DataSource
from mien.learn.trainer import train
from mien.models.attributes import AttributeModel, whole_picture, with_keypoints
from mien.models.store import shipped
from mien.types import Faces, Frame

HAT = Attribute("hat", "Does this face wear a hat?", ("hat", "no_hat"), short={"no_hat": "bare"})


def painted(has_hat: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A face of 64 pixels, with a large red hat or not, and its 68 points."""
    image = np.full((64, 64, 3), rng.integers(60, 120), np.uint8)
    points = mean_contour() * 60 + rng.uniform(0, 4, 2)
    cv2.fillPoly(image, [points[:17].astype(np.int32)], (220, 180, 150))
    for x, y in points[36:].astype(int).tolist():
        cv2.circle(image, (x, y), 1, (40, 20, 20), -1)
    if has_hat:
        image[:30] = (235, 20, 20)
    blotches = cv2.resize(rng.uniform(0.6, 1, (16, 16)), (64, 64))[..., None]  # no two are near-duplicates
    return (image * blotches).astype(np.uint8), points.astype(np.float32)


@pytest.fixture(scope="module")
def hats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Parquet file of painted faces, labelled with hat and age."""
    rng, rows = np.random.default_rng(0), []
    for number in range(60):
        image, points = painted(number % 2 == 0, rng)
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        turned = points @ np.array([[1, 0.02 * (number % 7)], [-0.02 * (number % 7), 1]]) + [0, 0.1 * (number % 5)]
        rows.append(
            {
                "image": {"bytes": file.getvalue(), "path": f"{number}.png"},
                "hat": "hat" if number % 2 == 0 else "no_hat",
                "age": number if number % 3 else None,
                "landmarks68": turned.flatten().tolist(),
                "group": number,
                "source": "painted",
            }
        )
    path = tmp_path_factory.mktemp("hats") / "hats.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture(scope="module")
def hat_model(hats: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network for an attribute that the table does not have, trained for two short epochs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ATTRIBUTES, "hat", HAT)  # type: ignore[arg-type]
        recipe = hats.with_name("hats.toml")
        recipe.write_text(
            f"""name = "hats"
task = "attributes"
version = "1"
summary = "hats"
seed = 3
root = {json.dumps(str(hats.parent))}
long_side = 96
intended_use = "a test"
[network]
attributes = ["hat", "age", "smile"]
widths = [8, 12, 16, 24, 24]
depths = [1, 1, 1, 1]
hidden = 24
side = 64
[schedule]
epochs = 12
pictures_per_epoch = 800
batch = 16
sizes = [112]
learning_rate = 0.003
average = 0.8
evaluate_every = 12
[[data]]
path = "hats.parquet"
name = "painted"
terms = "ours"
held_out = 0.2
"""
        )
        return train(recipe, out=tmp_path_factory.mktemp("run"), workers=0)


def test_a_new_attribute_goes_from_label_to_json_overlay_report_and_legend(hat_model: Path, hats: Path) -> None:
    assert "hat" not in ATTRIBUTES
    image, _ = painted(True, np.random.default_rng(9))
    seen = mien.analyze(image, crops=True, attribute_model=hat_model)
    (face,) = seen.to_json()["faces"]
    assert face["attributes"].keys() == {"hat", "smile"}
    assert face["attributes"]["hat"]["scores"].keys() == {"hat", "no_hat"}
    assert len(face["landmarks68"]) == 68
    assert face["pose"].keys() == {"yaw", "pitch", "roll"}
    bare = mien.analyze(painted(False, np.random.default_rng(9))[0], crops=True, attribute_model=hat_model)
    assert seen.faces.attributes["hat"][0, 0] > bare.faces.attributes["hat"][0, 0]
    drawn = draw(Frame(np.zeros((400, 400, 3), np.uint8), faces=seen.faces), attributes=seen.attributes, colour_by="hat")
    answer = face_attributes.answer_of(seen.attributes["hat"], seen.faces.attributes["hat"], 0)
    assert answer is not None
    assert (drawn == face_attributes.colours(HAT)[answer]).all(axis=2).any()
    assert (
        "hat"
        in mien.analyze(image, crops=True, attribute_model=hat_model, with_=("age",)).to_json()["faces"][0]["attributes"]
    )
    report = evaluate(hat_model, hats)
    assert 0.5 < report.value("hat accuracy") <= 1
    assert report.value("age mean_error") < 60
    assert np.sum(report.confusions["hat"]) == 60


def test_what_is_sensitive_is_read_only_when_asked_for(hat_model: Path) -> None:
    image, _ = painted(True, np.random.default_rng(1))
    plain = mien.analyze(image, crops=True, attribute_model=hat_model).faces
    assert "age" not in plain.attributes
    asked = mien.analyze(image, crops=True, attribute_model=hat_model, with_=("age",)).faces
    assert asked.attributes["age"].shape == (1, 2)
    with pytest.raises(InputError, match="'beard': this model reads hat, age, smile"):
        mien.analyze(image, crops=True, attribute_model=hat_model, with_=("beard",))


def test_a_crop_is_one_face_with_keypoints(hat_model: Path) -> None:
    image, _ = painted(False, np.random.default_rng(2))
    faces = mien.analyze(image, crops=True, attribute_model=hat_model).faces
    np.testing.assert_array_equal(faces.boxes, [[0, 0, 64, 64]])
    assert np.isfinite(faces.keypoints).all()
    points = torch.from_numpy(faces.attributes["landmarks68"].reshape(1, 68, 2))
    np.testing.assert_allclose(faces.keypoints, five_of(points), rtol=1e-4)
    assert len(with_keypoints(Faces.none())) == 0


@pytest.mark.parametrize("size", [(300, 260), (2000, 1700)])
def test_the_model_file_alone_gives_the_answers_of_the_runner(hat_model: Path, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    height, width = size
    image = cv2.resize(rng.integers(0, 255, (24, 20, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    side = height / 3
    boxes = np.array([[20, 30, 20 + side, 30 + side], [width - side, 10, width + 5, 10 + side]], np.float32)
    keypoints = TEMPLATE[None] * side + boxes[:, None, :2]
    keypoints[1] = np.nan
    reader = AttributeModel(hat_model, names=["hat", "age", "smile", "landmarks68", "pose", "quality"])
    faces = reader(image, Faces(boxes, np.ones(2), keypoints))
    alone = reader.session.run({"image": image, "boxes": boxes, "keypoints": keypoints})
    for name, column in faces.attributes.items():
        scale = {"landmarks68": side, "pose": 180.0}.get(name, max(1.0, float(np.abs(alone[name]).max())))
        np.testing.assert_allclose(column / scale, alone[name] / scale, atol=0.06, err_msg=name)
    nobody = reader(image, Faces.none())
    assert {name: column.shape[0] for name, column in nobody.attributes.items()} == dict.fromkeys(faces.attributes, 0)


def test_one_batch_gives_what_single_calls_give(hat_model: Path) -> None:
    rng = np.random.default_rng(6)
    image = rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)
    boxes = np.array([[10, 10, 90, 100], [100, 30, 140, 80], [200, 100, 300, 220]], np.float32)
    keypoints = TEMPLATE[None] * (boxes[:, 2:] - boxes[:, :2])[:, None] + boxes[:, None, :2]
    reader = AttributeModel(hat_model)
    together = reader(image, Faces(boxes, np.ones(3), keypoints))
    for row in range(3):
        single = reader(image, Faces(boxes, np.ones(3), keypoints)[[row]])
        for name, column in single.attributes.items():
            atol = 0.05 if name == "pose" else 2e-3  # degrees; pixels
            np.testing.assert_allclose(column[0], together.attributes[name][row], atol=atol, err_msg=name)


@pytest.mark.skipif("faces" not in shipped(), reason="the face model's weights are not in this checkout")
def test_a_model_finds_its_place_by_its_card(hat_model: Path) -> None:
    image, _ = painted(True, np.random.default_rng(3))
    by_place = mien.analyze(image, crops=True, attribute_model=hat_model).to_json()
    assert mien.analyze(image, crops=True, model=hat_model).to_json() == by_place
    with pytest.raises(ModelError, match="expected a model for 'attributes', got one for 'faces'"):
        mien.analyze(image, attribute_model="faces")
    with pytest.raises(ModelError, match="expected a model that finds or reads faces, got one for 'matte'"):
        mien.analyze(image, model="matte")


def test_crops_are_turned_upright() -> None:
    crops = FaceCrops(32)
    angle = np.deg2rad(130)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
    keypoints = torch.from_numpy((TEMPLATE * 50) @ turn + np.float32([90, 80]))[None]
    boxes = torch.tensor([[0.0, 0, 10, 20]])
    frame = crops.frames(boxes, keypoints)[0].numpy()
    np.testing.assert_allclose(frame[0], [90, 80], atol=1e-3)
    np.testing.assert_allclose(frame[1], np.array([50, 0]) @ turn, atol=1e-3)
    np.testing.assert_allclose(frame[2], np.array([0, 50]) @ turn, atol=1e-3)
    unknown = crops.frames(boxes, torch.full((1, 5, 2), torch.nan))[0].numpy()
    np.testing.assert_allclose(unknown, [[-5, 0], [20, 0], [0, 20]])


def test_a_crop_shows_what_lies_in_its_frame() -> None:
    image = torch.zeros(1, 3, 40, 60)
    image[:, 0, 10:30, 20:40] = 200
    crops, _ = FaceCrops(20)(image, torch.tensor([[20.0, 10, 40, 30], [50, 10, 70, 30]]), torch.full((2, 5, 2), torch.nan))
    np.testing.assert_allclose(crops[0, 0], 200, atol=1e-3)
    np.testing.assert_allclose(crops[1, 1, :, :9], 0, atol=1e-3)
    np.testing.assert_allclose(crops[1, 1, :, 11:], 127.5, atol=1e-3)
    apart, _ = FaceCrops(20)(
        image.expand(2, -1, -1, -1), torch.tensor([[20.0, 10, 40, 30]] * 2), torch.full((2, 5, 2), torch.nan)
    )
    np.testing.assert_allclose(apart[1], crops[0], atol=1e-4)


def test_mirrored_points_are_those_of_the_mirrored_face() -> None:
    np.testing.assert_array_equal(MIRRORED_POINTS[MIRRORED_POINTS], np.arange(68))
    face = mean_contour()
    np.testing.assert_allclose(face[MIRRORED_POINTS] * [-1, 1] + [1, 0], face, atol=0.01)
    left, right, *_ = five_of(torch.from_numpy(face)[None])[0].tolist()
    assert left[0] > 0.5 > right[0]  # the subject's left eye is on the picture's right


def _turned(face: np.ndarray, yaw: float, pitch: float, roll: float) -> np.ndarray:
    y, p, r = np.deg2rad([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return (face @ (about_z @ about_y @ about_x).T)[:, :2]


def test_the_mean_face_and_its_pose_come_from_contours_alone() -> None:
    rng = np.random.default_rng(0)
    flat = mean_contour() - 0.5
    depth = 1.2 * (flat[:, 0] ** 2 + 0.3 * flat[:, 1] ** 2)
    depth[27:36] -= 0.15
    solid = np.column_stack([flat, depth])
    solid -= solid.mean(0)
    angles = rng.normal(0, [22, 9, 8], (400, 3))
    angles[:, 1] -= np.median(angles[:, 1])
    contours = np.array([_turned(solid, *one) * rng.uniform(20, 90) + rng.uniform(0, 200, 2) for one in angles])
    face = mean_face(contours)
    np.testing.assert_allclose(face, face[MIRRORED_POINTS] * [-1, 1, 1], atol=1e-5)
    told = head_pose(torch.from_numpy(contours.astype(np.float32)), lift_of(torch.from_numpy(face))).numpy()
    off = told - angles
    assert np.abs(off - np.median(off, axis=0)).mean() < 1.0  # what is level is a convention
    assert np.abs(off[:, [0, 2]]).mean() < 1.0
    with pytest.raises(DataError, match="expected at least 20 faces with 68 points, got 3"):
        mean_face(contours[:3])


def test_partial_labels_weigh_only_what_is_known() -> None:
    chosen = [ATTRIBUTES[name] for name in ("smile", "mask", "expression", "age")]
    sample = Sample(b"", "x", is_crop=True, labels={"votes_happiness": 9, "votes_neutral": 1, "age": 30})
    targets, weights = face_targets(chosen, sample, None, 1.0, {"mask": "no_mask"})
    assert weights.tolist() == pytest.approx([0.3, 0.3, 1, 1])
    assert targets[:2].tolist() == pytest.approx([0.9, 0.1])
    assert targets[2:5].tolist() == [0, 1, 0]
    assert targets[5:13].tolist() == pytest.approx([0.1, 0.9, 0, 0, 0, 0, 0, 0])
    assert targets[13:].argmax() == 30
    assert targets[13:].sum() == pytest.approx(1)
    nothing, none = face_targets(chosen, Sample(b"", "y", is_crop=True), None, 1.0, {})
    assert not none.any()
    assert not nothing.any()
    labelled = FaceLabel(np.zeros(4, np.float32), np.zeros((5, 2), np.float32), attributes={"mask": "bad_mask"})
    _, weights = face_targets(chosen, Sample(b"", "z"), labelled, 0.5, {})
    assert weights.tolist() == [0, 0.5, 0, 0]
    with pytest.raises(DataError, match=r"implied: mask: expected an answer out of"):
        face_targets(chosen, Sample(b"", "y", is_crop=True), None, 1.0, {"mask": "sometimes"})


@pytest.mark.parametrize("has_points", [False, True])
def test_a_crop_is_trained_on_as_it_is_evaluated_and_turned_upright_too(tmp_path: Path, has_points: bool) -> None:
    """Its keypoints are found, not labelled: nobody looks for them when a crop is read, unless points are judged."""
    picture = io.BytesIO()
    Image.new("L", (64, 64), 90).save(picture, "PNG")
    box, unknown = np.array([0, 0, 64, 64], np.float32), np.full((5, 2), np.nan, np.float32)
    face = FaceLabel(box, unknown, attributes={"smile": "smile"})
    samples = [Sample(picture.getvalue(), "x", (face,), is_crop=True)]
    points = (Attribute("wart", "Where is the wart?", points=1),) if has_points else ()
    found = TEMPLATE[None] * 64
    patches = FacePatches(
        samples, PictureCache(samples, tmp_path, 256), [DataSource("", "x", "")], [ATTRIBUTES["smile"], *points], 0, found
    )
    assert np.isfinite(patches.plain(0, 144).keypoints.numpy()).all() == has_points
    turned = [bool(patches[Draw(0, place, 0, 144)].keypoints.isfinite().all()) for place in range(100)]
    assert 0.3 < np.mean(turned) < (0.95 if has_points else 0.7)


def test_labels_of_another_kind_teach_nothing() -> None:
    assert distribution(ATTRIBUTES["smile"], "grin") is None
    assert distribution(ATTRIBUTES["age"], float("nan")) is None
    assert distribution(ATTRIBUTES["age"], 250).argmax() == 100  # type: ignore[union-attr]


def test_an_unknown_attribute_in_a_recipe_is_named() -> None:
    with pytest.raises(DataError, match=r"attributes: expected some of smile, .*, got beard"):
        AttributeNetwork(["smile", "beard"], [8, 8, 8, 8, 8], [1, 1, 1, 1])


def test_a_whole_picture_is_a_face_without_keypoints() -> None:
    faces = whole_picture(np.zeros((30, 40, 3), np.uint8))
    np.testing.assert_array_equal(faces.boxes, [[0, 0, 40, 30]])
    assert np.isnan(faces.keypoints).all()


@pytest.mark.skipif("attributes" not in shipped(), reason="the attribute model's weights are not in this checkout")
def test_the_shipped_model_reads_the_sample(tmp_path: Path) -> None:
    face = mien.analyze("samples/astronaut.jpg", with_=("age", "gender")).to_json()["faces"][0]
    assert face["attributes"].keys() == {"smile", "mask", "expression", "age", "gender"}
    assert face["attributes"]["mask"]["answer"] == "no_mask"
    assert abs(face["pose"]["yaw"]) < 25
    assert face["quality"]["light"] > 0.3
