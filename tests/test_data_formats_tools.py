"""Labels as other tools write them, and what other tools read of ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.formats import export_labels, import_labels
from mien.data.sample import FaceLabel, Sample
from mien.errors import DataError
from mien.types import KEYPOINT_NAMES

WRITTEN = Path(__file__).parent / "written_by_tools"
BOXES = [[4, 6, 24, 36], [30, 10, 60, 40]]


def blank(path: Path, size_wh: tuple[int, int] = (200, 100)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size_wh, (90, 120, 150)).save(path)
    return path


def points(face: FaceLabel) -> dict[str, list[float]]:
    return {n: p for n, p in zip(KEYPOINT_NAMES, face.keypoints.tolist(), strict=True) if np.isfinite(p).all()}


@pytest.mark.parametrize("name", ["coco", "yolo", "voc", "labelme"])
def test_supervision(name: str) -> None:
    found = import_labels(WRITTEN / "supervision" / name, attribute="mask")
    assert found.format == name
    assert not found.rejected
    first, second = found
    assert [face.box for face in first.faces] == [pytest.approx(box, abs=0.001) for box in BOXES]
    assert [face.attributes["mask"] for face in first.faces] == ["mask", "no_mask"]
    assert second.faces[0].box == pytest.approx([8, 12, 40, 52], abs=0.001)


def test_labelimg() -> None:
    (yolo,) = import_labels(WRITTEN / "labelimg" / "yolo", attribute="mask")
    assert [face.box for face in yolo.faces] == [pytest.approx(box, abs=0.001) for box in BOXES]
    found = import_labels(WRITTEN / "labelimg" / "voc", attribute="mask")
    (voc,) = found
    # labelImg writes what it measured from 0 where the format counts from 1: boxes come out one pixel larger.
    assert [face.box.tolist() for face in voc.faces] == [[3, 5, 24, 36], [29, 9, 60, 40]]
    assert [face.is_ignored for face in voc.faces] == [False, True]


def test_labelme() -> None:
    found = import_labels(WRITTEN / "labelme", attribute="mask")
    turned, plain = found
    assert turned.image().shape == (64, 48, 3)
    assert turned.faces[0].box.tolist() == [10, 20, 30, 50], "labelme shows pictures upright"
    first, second = plain.faces
    assert first.box.tolist() == [4, 6.25, 24, 36.5], "dragged from its lower right corner"
    assert first.attributes == {"mask": "bad_mask"}
    assert points(first) == {"left_eye": [18, 15], "right_eye": [9.5, 15.5], "nose": [13, 20]}
    assert second.attributes == {"mask": "mask", "occluded": "true"}
    assert points(second) == {"nose": [22, 30]}, "outside of its box, but of its group"


def test_labelme_uses_the_copy_it_holds_where_the_picture_is_gone(tmp_path: Path) -> None:
    shutil.copy(WRITTEN / "labelme" / "0.json", tmp_path)
    (sample,) = import_labels(tmp_path, attribute="mask")
    assert isinstance(sample.picture, bytes)
    assert sample.image().shape == (48, 64, 3)
    assert sample.name == "0.png"


def test_pycocotools_reads_what_we_write(tmp_path: Path) -> None:
    coco_api = pytest.importorskip("pycocotools.coco")
    keypoints = np.full((5, 2), np.nan, np.float32)
    keypoints[2] = (50, 60)
    faces = (
        FaceLabel(np.array([10, 20, 90, 80], np.float32), keypoints, attributes={"mask": "bad_mask"}),
        FaceLabel(np.array([100, 20, 120, 40], np.float32), keypoints * np.nan, is_ignored=True),
    )
    out = export_labels(
        [Sample(blank(tmp_path / "a.png"), "a.png", faces=faces)], tmp_path / "out", "coco", attribute="mask"
    )
    coco = coco_api.COCO(str(out / "annotations.json"))
    (image,) = coco.loadImgs(coco.getImgIds())
    assert (out / "images" / image["file_name"]).is_file()
    first, crowd = coco.loadAnns(coco.getAnnIds())
    assert first["bbox"] == [10, 20, 80, 60]
    assert coco.loadCats(first["category_id"])[0]["keypoints"] == list(KEYPOINT_NAMES)
    assert first["keypoints"] == [0, 0, 0, 0, 0, 0, 50, 60, 2, 0, 0, 0, 0, 0, 0]
    assert (crowd["iscrowd"], first["iscrowd"]) == (1, 0)
    evaluation = pytest.importorskip("pycocotools.cocoeval").COCOeval(coco, coco.loadRes([{**first, "score": 0.9}]), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><labels><label><name>mask</name><attributes>
    <attribute><name>age</name><mutable>False</mutable><input_type>number</input_type><values>0</values></attribute>
    <attribute><name>blurred</name><input_type>checkbox</input_type><values>false</values></attribute>
  </attributes></label></labels></task></meta>
  <image id="0" name="sub/a.png" width="200" height="100">
    <box label="bad_mask" source="manual" occluded="0" xtl="10.00" ytl="20.00" xbr="90.00" ybr="80.00" z_order="0">
      <attribute name="age">34</attribute>
      <attribute name="blurred">false</attribute>
    </box>
    <skeleton label="points" source="manual" z_order="0">
      <points label="left_eye" source="manual" outside="0" occluded="0" points="60.00,40.00"></points>
      <points label="right_eye" source="manual" outside="1" occluded="0" points="30.00,40.00"></points>
      <points label="chin" source="manual" outside="0" occluded="1" points="45.00,78.00"></points>
    </skeleton>
    <box label="mask" occluded="0" xtl="100" ytl="20" xbr="180" ybr="60" rotation="90.00" z_order="0" group_id="4"/>
    <points label="nose" occluded="0" points="15.50,30.25" z_order="0" group_id="4"/>
    <ellipse label="ignore" cx="190" cy="50" rx="5" ry="10"/>
  </image>
  <image id="1" name="b.png" width="200" height="100">
    <tag label="no_mask" source="manual"></tag>
  </image>
  <image id="2" name="c.png" width="200" height="100">
    <cuboid label="mask" xtl1="1"/>
  </image>
</annotations>
"""


def test_cvat(tmp_path: Path) -> None:
    for name in ("images/sub/a.png", "images/b.png", "images/c.png"):
        blank(tmp_path / name)
    (tmp_path / "annotations.xml").write_text(CVAT)
    found = import_labels(tmp_path, attribute="mask")
    assert found.format == "cvat"
    first, second = found
    one, turned, region = first.faces
    assert one.attributes == {"mask": "bad_mask", "age": 34.0, "blurred": "false"}
    assert points(one) == {"left_eye": [60, 40]}
    assert one.more_points == {"chin": (45, 78)}
    assert turned.box == pytest.approx([120, 0, 160, 80]), "the upright box around one that is turned about its middle"
    assert points(turned) == {"nose": [15.5, 30.25]}, "tied by its group, not by where it lies"
    assert region.is_ignored
    assert region.box.tolist() == [185, 40, 195, 60]
    assert (second.faces, second.labels) == (None, {"mask": "no_mask"})
    assert found.rejected[0].where.endswith("annotations.xml:26")
    assert "got 'cuboid'" in found.rejected[0].reason
    assert found.notes[0].startswith("2 shapes other than upright boxes")


def region(kind: str, key: str, label: str, **place: object) -> dict[str, object]:
    own = {"id": key, "type": kind, "from_name": "label", "to_name": "image", "original_width": 200, "original_height": 100}
    return {**own, "image_rotation": 0, "value": {**place, kind: [label]}}


def tasks(*results: object, image: str = "/data/upload/3/1a2b3c4d-a.png") -> str:
    annotations = [
        {"id": 7, "was_cancelled": True, "result": [{"broken": 1}]},
        {"id": 8, "completed_by": 1, "result": list(results)},
    ]
    return json.dumps([{"id": 1, "annotations": annotations, "predictions": [], "data": {"image": image}, "meta": {}}])


BOX_A = region("rectanglelabels", "A", "bad_mask", x=5, y=20, width=40, height=60, rotation=0)
BOX_B = region("rectanglelabels", "B", "mask", x=20, y=20, width=40, height=60, rotation=0)


def test_label_studio(tmp_path: Path) -> None:
    blank(tmp_path / "images" / "a.png")
    nose = region("keypointlabels", "n", "nose", x=30, y=50, width=0.5)
    eye = {**region("keypointlabels", "e", "left_eye", x=32, y=40, width=0.5), "parentID": "A"}
    chin = region("keypointlabels", "c", "chin", x=6, y=75, width=0.5)
    relation = {"type": "relation", "from_id": "n", "to_id": "B", "direction": "right"}
    answer = {**BOX_A, "type": "choices", "from_name": "smile", "value": {**BOX_A["value"], "choices": ["no_smile"]}}
    age = {"id": "B", "type": "number", "from_name": "age", "to_name": "image", "value": {"number": 41}}
    (tmp_path / "project-1.json").write_text(tasks(BOX_A, BOX_B, nose, eye, chin, relation, answer, age))
    found = import_labels(tmp_path, attribute="mask")
    assert found.format == "label-studio"
    one, other = found.samples[0].faces
    assert one.box.tolist() == [10, 20, 90, 80]
    assert one.attributes == {"mask": "bad_mask", "smile": "no_smile"}
    assert points(one) == {"left_eye": [64, 40]}, "by its parent"
    assert one.more_points == {"chin": (12, 75)}, "by where it lies"
    assert points(other) == {"nose": [60, 50]}, "by a relation"
    assert other.attributes == {"mask": "mask", "age": 41.0}


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        (
            [BOX_A, BOX_B, region("keypointlabels", "n", "nose", x=30, y=50)],
            "point 'nose': expected one face box, got 2 around it",
        ),
        ([BOX_A, region("keypointlabels", "n", "nose", x=90, y=50)], "expected one face box, got none; group it"),
        ([BOX_A, *(region("keypointlabels", k, "nose", x=9, y=50) for k in "ab")], "expected it once a face, got it twice"),
        ([region("brushlabels", "r", "mask", rle=[1])], "expected boxes, points and choices, got 'brushlabels'"),
        ([{**BOX_A, "image_rotation": 90}], "turn the picture itself"),
        ([{**BOX_A, "original_width": 100}], "expected images/a.png to be 100x100 as its labels say, got 200x100"),
        ([{**BOX_A, "value": {"rectanglelabels": ["mask"], "x": "left"}}], "x and y: expected 2 finite numbers"),
    ],
)
def test_label_studio_faults(results: list[object], reason: str, tmp_path: Path) -> None:
    blank(tmp_path / "images" / "a.png")
    (tmp_path / "p.json").write_text(tasks(*results))
    with pytest.raises(DataError, match=reason) as caught:
        import_labels(tmp_path, attribute="mask")
    assert "p.json:[0]" in str(caught.value)


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/3/1a2b3c4d-a.png",
        "/data/local-files/?d=images/a.png",
        "/data/local-files/?d=images%2Fa.png",
        "https://host.example/data/upload/1/a.png?token=1",
        "s3://bucket/folder/a.png",
        "images/a.png",
        "a.png",
    ],
)
def test_label_studio_addresses_are_files_of_the_folder(image: str, tmp_path: Path) -> None:
    blank(tmp_path / "images" / "a.png")
    (tmp_path / "p.json").write_text(tasks(BOX_A, image=image))
    assert [sample.name for sample in import_labels(tmp_path)] == ["images/a.png"]


WIDER = """0--Parade/a.jpg
2
10 20 30 40 2 1 0 0 1 0
50 20 30 40 0 0 0 1 0 0
0--Parade/b.jpg
0
0 0 0 0 0 0 0 0 0 0
1--Sea/c.jpg
1
10 20 0 0 0 0 0 0 0 0
"""


def test_wider(tmp_path: Path) -> None:
    for name in ("0--Parade/a.jpg", "0--Parade/b.jpg", "1--Sea/c.jpg"):
        blank(tmp_path / "WIDER_train" / "images" / name)
    (tmp_path / "wider_face_split").mkdir()
    (tmp_path / "wider_face_split" / "wider_face_train_bbx_gt.txt").write_text(WIDER)
    found = import_labels(tmp_path)
    assert found.format == "wider"
    assert [len(sample.faces) for sample in found] == [2, 0, 0]
    one, invalid = found.samples[0].faces
    assert one.box.tolist() == [10, 20, 40, 60]
    assert (one.attributes["wider_blur"], one.attributes["wider_occlusion"]) == ("heavy", "partial")
    assert invalid.is_ignored
    assert found.notes[0].startswith("1 boxes without any area were left out (first: ")
    assert found.notes[0].endswith("train_bbx_gt.txt:10)")


def test_kaggle_training_csv(tmp_path: Path) -> None:
    grey = (np.arange(96 * 96) % 256).reshape(96, 96)
    pixels = " ".join(map(str, grey.ravel()))
    names = ("left_eye_center", "right_eye_center", "mouth_center_top_lip")
    head = ",".join([*(f"{name}_{axis}" for name in names for axis in "xy"), "Image"])
    rows = [
        f"66.03,39.00,30.22,36.42,43.1,72.9,{pixels}",
        f"66.03,39.00,,,,,{pixels}",
        f"66,39,,,,,{pixels} 7",
        f"66,,,,,,{pixels}",
    ]
    (tmp_path / "training.csv").write_text("\n".join([head, *rows]))
    found = import_labels(tmp_path)
    whole, partial = found
    assert found.format == "kaggle"
    assert (whole.image() == grey[..., None]).all()
    assert points(whole.faces[0]) == {"left_eye": pytest.approx([66.53, 39.5]), "right_eye": pytest.approx([30.72, 36.92])}
    assert whole.faces[0].more_points["mouth_center_top_lip"] == pytest.approx((43.6, 73.4))
    assert list(points(partial.faces[0])) == ["left_eye"], "points may be missing"
    assert [fault.where.split(":")[-1] for fault in found.rejected] == ["4", "5"]
    assert "expected 9216 grey values" in found.rejected[0].reason


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_kaggle_npz(dtype: type, tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (96, 96, 3)).astype(dtype)
    np.savez_compressed(tmp_path / "face_images.npz", face_images=images)
    (tmp_path / "facial_keypoints.csv").write_text("left_eye_center_x,left_eye_center_y\n1,2\n,\n5,6\n")
    found = import_labels(tmp_path)
    assert found.format == "kaggle-npz"
    assert (found.samples[1].image()[..., 0] == images[..., 1]).all()
    assert [len(points(sample.faces[0])) for sample in found] == [1, 0, 1]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"other": np.zeros(3)}, "got other"),
        ({"face_images": np.zeros((96, 95, 3), np.uint8)}, r"got uint8 \(96, 95, 3\)"),
        ({"face_images": np.full((96, 96, 3), 0.5)}, "got other numbers"),
        ({"face_images": np.full((96, 96, 3), 300)}, "got other numbers"),
        ({"face_images": np.full((96, 96, 3), np.nan)}, "got other numbers"),
        ({"face_images": np.array([print], object)}, "archive of plain numbers"),
        ({"face_images": np.zeros((96, 96, 2), np.uint8)}, "one row for each of the 2 pictures, got 3"),
    ],
)
def test_other_npz_files_are_refused(arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "face_images.npz", **arrays)
    (tmp_path / "facial_keypoints.csv").write_text("left_eye_center_x,left_eye_center_y\n1,2\n,\n5,6\n")
    with pytest.raises(DataError, match=message):
        import_labels(tmp_path)


def test_yolo_pose_and_its_names(tmp_path: Path) -> None:
    blank(tmp_path / "train" / "images" / "a.png")
    blank(tmp_path / "train" / "images" / "b.png")
    (tmp_path / "train" / "labels").mkdir()
    (tmp_path / "train" / "labels" / "a.txt").write_text("0 0.5 0.5 0.5 0.5 0.6 0.4 2 0.4 0.4 0\n")
    config = (
        "path: ../datasets/faces\ntrain: ../train/images\nval: /content/valid/images\nkpt_shape: [2, 3]\nnames: ['face']\n"
    )
    (tmp_path / "data.yaml").write_text(config)
    with pytest.raises(DataError, match=r"data\.yaml: expected kpt_names .* add for example"):
        import_labels(tmp_path)
    (tmp_path / "data.yaml").write_text(config + "kpt_names:\n  0: [left_eye, right_eye]\n")
    found = import_labels(tmp_path)
    assert found.samples[0].faces[0].box.tolist() == [50, 25, 150, 75]
    assert points(found.samples[0].faces[0]) == {"left_eye": pytest.approx([120, 40])}
    assert found.samples[1].faces == ()
    assert "1 pictures without a text file were taken to show no face" in found.notes[0]


def test_common_csv(tmp_path: Path) -> None:
    blank(tmp_path / "a.png")
    (tmp_path / "_annotations.csv").write_text(
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,200,100,mask,10,20,90,80\na.png,200,100,no_mask,100,20,120,40\n"
    )
    (sample,) = import_labels(tmp_path, attribute="mask")
    assert [(face.box.tolist(), face.attributes) for face in sample.faces] == [
        ([10, 20, 90, 80], {"mask": "mask"}),
        ([100, 20, 120, 40], {"mask": "no_mask"}),
    ]
