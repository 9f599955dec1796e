"""Labels out and in again, for every format of the table, and the doors themselves."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.formats import FORMATS, Imported, export_labels, import_labels
from mien.data.formats.intake import upright
from mien.data.sample import FaceLabel, Sample
from mien.errors import DataError, InputError
from mien.media.read import measure, read
from mien.types import KEYPOINT_NAMES

EXTRA = {"chin": (60.25, 80.5)}


def picture(path: Path, size_wh: tuple[int, int] = (160, 120), seed: int = 0, exif: int = 1) -> Path:
    """A picture of noise; with ``exif`` it is stored turned, ``size_wh`` being its stored size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size_wh[1], size_wh[0], 3), np.uint8)
    tags = Image.Exif()
    tags[0x0112] = exif
    Image.fromarray(pixels).save(path, **({"exif": tags} if exif != 1 else {}))
    return path


def face(box: list[float], points: dict[str, tuple[float, float]] | None = None, **more: object) -> FaceLabel:
    points = points or {}
    keypoints = np.array([points.get(name, (np.nan, np.nan)) for name in KEYPOINT_NAMES], np.float32)
    return FaceLabel(np.array(box, np.float32), keypoints, **more)  # type: ignore[arg-type]


FIVE = {
    "left_eye": (50.5, 30.25),
    "right_eye": (30.0, 31.0),
    "nose": (40.0, 40.75),
    "mouth_left": (48.0, 52.0),
    "mouth_right": (33.0, 52.0),
}


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Four pictures: two faces, one ignored region beside a face with three points, none, and one that nobody looked at."""
    own = tmp_path / "own"
    some = {name: FIVE[name] for name in ("left_eye", "nose", "mouth_right")}
    faces: list[tuple[FaceLabel, ...] | None] = [
        (
            face([20, 10, 70, 70], FIVE, attributes={"mask": "bad_mask", "smile": "no_smile", "age": 34.5}),
            face([90.5, 20.25, 140.75, 90], attributes={"mask": "mask"}, more_points={}),
        ),
        (
            face([20, 10, 70, 90], some, more_points=EXTRA, attributes={"mask": "no_mask"}),
            face([100, 5, 120, 25], is_ignored=True),
        ),
        (),
        None,
    ]
    return [
        Sample(
            picture(own / f"shot {row}.{kind}", seed=row), f"a/shot {row}.{kind}", faces=known, person=f"p{row}", split=split
        )
        for row, (known, kind, split) in enumerate(
            zip(faces, ("png", "jpg", "png", "jpg"), ("train", "validation", "", ""), strict=True)
        )
    ]


@dataclass
class Carried:
    """What a format is to keep. pixels: how far a box may move."""

    pixels: float = 0.006
    points: bool = True
    more_points: bool = True
    ignored: bool = True
    attributes: set[str] = field(default_factory=lambda: {"mask", "smile", "age"})
    unlabelled: bool = False


CARRIED = {
    "coco": Carried(),
    "yolo": Carried(pixels=0.001 * 160, ignored=False, attributes={"mask"}),
    "voc": Carried(pixels=0.51, points=False),
    "labelme": Carried(attributes={"mask", "smile"}),
    "label-studio": Carried(unlabelled=True),
    "cvat": Carried(),
    "csv": Carried(unlabelled=True),
    "wider": Carried(pixels=0.51, points=False, attributes=set()),
    "imagefolder": Carried(unlabelled=True),
}


def same_labels(before: list[Sample], after: Imported, kept: Carried) -> None:
    wanted = [sample for sample in before if sample.faces is not None or kept.unlabelled]
    assert len(after) == len(wanted)
    pairs = [sorted(some, key=lambda sample: Path(sample.name).stem) for some in (wanted, after)]  # a split has folders
    for sample, again in zip(*pairs, strict=True):
        assert np.array_equal(sample.image(), again.image())
        if sample.faces is None:
            assert again.faces is None
            continue
        faces = [one for one in sample.faces if kept.ignored or not one.is_ignored]
        assert len(again.faces) == len(faces)
        for one, other in zip(faces, again.faces, strict=True):
            assert other.box == pytest.approx(one.box, abs=kept.pixels)
            assert other.is_ignored == one.is_ignored
            for name, value in one.attributes.items():
                assert (other.attributes.get(name) == value) == (name in kept.attributes), name
            if kept.points:
                assert other.keypoints == pytest.approx(one.keypoints, abs=kept.pixels, nan_ok=True)
                assert dict(other.more_points).keys() == dict(one.more_points).keys()
                for name, point in one.more_points.items():
                    assert other.more_points[name] == pytest.approx(point, abs=kept.pixels)


@pytest.mark.parametrize("name", CARRIED)
def test_labels_come_back(name: str, samples: list[Sample], tmp_path: Path) -> None:
    out = export_labels(samples, tmp_path / "out", name, attribute="mask")
    again = import_labels(out, attribute="mask")
    assert again.format == name, "recognised"
    assert not again.rejected
    same_labels(samples, again, CARRIED[name])
    # A second turn loses nothing more.
    twice = import_labels(export_labels(again.samples, tmp_path / "twice", name, attribute="mask"), name, attribute="mask")
    same_labels(
        list(again.samples),
        twice,
        Carried(CARRIED[name].pixels, attributes={"mask", "smile", "age", *WIDER}, unlabelled=True),
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "own", "twice"], "nothing is left lying about"


WIDER = {f"wider_{name}" for name in ("blur", "expression", "illumination", "occlusion", "pose")}


def test_every_format_is_tested() -> None:
    assert {*CARRIED, "class-folders", "kaggle", "kaggle-npz"} == set(FORMATS)


def test_what_belongs_to_the_whole_picture(tmp_path: Path) -> None:
    answers = ["mask", "no_mask", "mask"]
    samples = [
        Sample(picture(tmp_path / "own" / f"{row}.png", seed=row), f"{row}.png", labels={"mask": answer})
        for row, answer in enumerate(answers)
    ]
    for name in ("class-folders", "labelme", "label-studio", "cvat", "csv", "imagefolder"):
        again = import_labels(export_labels(samples, tmp_path / name, name, attribute="mask"), attribute="mask")
        assert again.format == name
        assert [sample.faces for sample in again] == [None] * 3, name
        assert sorted(str(sample.labels["mask"]) for sample in again) == sorted(answers), name


def test_class_folders(tmp_path: Path) -> None:
    for name in ("Train/mask/1.jpg", "Train/no_mask/deep/2.jpg", "val/mask/3.jpg"):
        picture(tmp_path / "set" / name)
    found = import_labels(tmp_path / "set", attribute="mask")
    assert [(sample.labels["mask"], sample.split) for sample in found] == [
        ("mask", "train"),
        ("no_mask", "train"),
        ("mask", "validation"),
    ]
    with pytest.raises(DataError, match="--attribute"):
        import_labels(tmp_path / "set")
    out = export_labels(found.samples, tmp_path / "out", "class-folders", attribute="mask")
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.jpg")) == [
        "train/mask/1.jpg",
        "train/no_mask/2.jpg",
        "validation/mask/3.jpg",
    ]
    for bad in ("..", "a/b", ".hidden", "a\\b"):
        with pytest.raises(DataError, match="name of a folder"):
            export_labels(
                [Sample(found.samples[0].picture, "x.jpg", labels={"mask": bad})],
                tmp_path / "bad",
                "class-folders",
                attribute="mask",
            )
        assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize("name", ["kaggle", "kaggle-npz"])
def test_kaggle_crops_come_back(name: str, tmp_path: Path) -> None:
    grey = np.random.default_rng(3).integers(0, 255, (96, 96), np.uint8)
    Image.fromarray(grey).save(tmp_path / "crop.png")
    points = {"left_eye": (66.5, 39.25), "nose": (48.0, 57.5)}
    more = {"left_eyebrow_inner_end": (56.0, 30.5), "chin": (50.0, 90.0)}
    one = Sample(tmp_path / "crop.png", "crop.png", faces=(face([0, 0, 96, 96], points, more_points=more),), is_crop=True)
    again = import_labels(export_labels([one, one], tmp_path / "out", name))
    assert (again.format, len(again)) == (name, 2)
    for sample in again:
        assert sample.is_crop
        assert (sample.image() == grey[..., None]).all()
        assert sample.faces[0].box.tolist() == [0, 0, 96, 96]
        assert sample.faces[0].keypoints == pytest.approx(one.faces[0].keypoints, abs=0.001, nan_ok=True)
        assert dict(sample.faces[0].more_points) == {"left_eyebrow_inner_end": (56.0, 30.5)}, "no column for the chin"


def test_kaggle_crops_are_cut_from_pictures(samples: list[Sample], tmp_path: Path) -> None:
    first = import_labels(export_labels(samples, tmp_path / "out", "kaggle")).samples[0]
    # The box 20 10 70 70 is 50 wide and 60 high: the square around it begins at (15, 10) and is scaled by 1.6.
    expected = (np.array(list(FIVE.values())) - (15, 10)) * 1.6
    assert first.faces[0].keypoints == pytest.approx(expected, abs=0.01)


def test_one_class_needs_no_attribute_and_several_do(samples: list[Sample], tmp_path: Path) -> None:
    plain = import_labels(export_labels(samples, tmp_path / "plain", "yolo"))
    assert not any(one.attributes for sample in plain for one in sample.faces)
    out = export_labels(samples, tmp_path / "classes", "yolo", attribute="mask")
    with pytest.raises(DataError, match=r"bad_mask, mask, no_mask; say what they answer"):
        import_labels(out)
    heads = export_labels(samples[:1], tmp_path / "heads", "coco")
    text = (heads / "annotations.json").read_text().replace('"name": "face"', '"name": "Human head"')
    (heads / "annotations.json").write_text(text)
    found = import_labels(heads)
    assert "'Human head', which tells nothing" in found.notes[0]


def test_a_format_is_recognised_or_asked_for(samples: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=f"known format.*{', '.join(FORMATS)}.*found none of them"):
        import_labels(tmp_path / "empty")
    with pytest.raises(DataError, match="found nothing there"):
        import_labels(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"'cocoo': expected one of coco, yolo"):
        import_labels(tmp_path, "cocoo")
    with pytest.raises(InputError, match="expected one of"):
        export_labels(samples, tmp_path / "out", "cocoo")
    out = export_labels(samples, tmp_path / "out", "coco")
    (out / "classes.txt").write_text("face\n")
    with pytest.raises(DataError, match="found coco and yolo; say which"):
        import_labels(out)
    assert import_labels(out, "coco").format == "coco"
    (tmp_path / "broken.json").write_text('{\n"images": [,')
    with pytest.raises(DataError, match=r"broken\.json:2: expected JSON"):
        import_labels(tmp_path / "broken.json")


def test_pictures_without_labels_are_taken_in_to_be_labelled(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for number, name in enumerate(("one.jpg", "two.png")):
        picture(photos / name, seed=number)
    (photos / "README.md").write_text("holidays")
    found = import_labels(photos)
    assert [(one.name, one.faces, one.labels) for one in found.samples] == [("one.jpg", None, {}), ("two.png", None, {})]
    assert (found.format, len(found.notes)) == ("pictures", 1)
    assert "2 pictures came without labels" in found.notes[0]
    assert [one.name for one in import_labels(photos / "two.png").samples] == ["two.png"]
    (photos / "notes.txt").write_text("who knows what these are\n")
    with pytest.raises(DataError, match="found none of them; say which, or --format pictures for pictures alone"):
        import_labels(photos)
    assert len(import_labels(photos, "pictures")) == 2


def test_what_is_lost_goes_to_whoever_asks(samples: list[Sample], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    export_labels(samples, tmp_path / "told", "voc", attribute="mask", tell=told.append)
    assert any("keypoints" in one for one in told)
    assert not caplog.records
    export_labels(samples, tmp_path / "logged", "voc", attribute="mask")
    assert [record.getMessage() for record in caplog.records] == told


def test_one_file_of_labels_can_be_named(samples: list[Sample], tmp_path: Path) -> None:
    out = export_labels(samples, tmp_path / "out", "coco")
    (out / "other.json").write_bytes((out / "annotations.json").read_bytes())
    assert len(import_labels(out / "other.json")) == 3
    both = import_labels(out)
    assert len(both) == len(both.rejected) == 3
    assert "has labels already" in both.rejected[0].reason


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_half_written_and_nothing_overwritten(name: str, samples: list[Sample], tmp_path: Path) -> None:
    gone = Sample(tmp_path / "gone.png", "gone.png", faces=(face([0, 0, 9, 9], attributes={"mask": "mask"}),))
    with pytest.raises(DataError, match=r"gone\.png"):
        export_labels([samples[0], gone] if name != "class-folders" else [gone], tmp_path / "out", name, attribute="mask")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]
    (tmp_path / "out").mkdir()
    kept = tmp_path / "out" / "mine.txt"
    kept.write_text("mine")
    with pytest.raises(InputError, match="found something there"):
        export_labels(samples, tmp_path / "out", name, attribute="mask")
    kept.unlink()
    useful = samples[1:2] if name != "class-folders" else [Sample(samples[0].picture, "x.png", labels={"mask": "mask"})]
    export_labels(useful, tmp_path / "out", name, attribute="mask")
    assert any((tmp_path / "out").iterdir()), "an empty folder is taken"
    with pytest.raises(DataError, match="at least one sample"):
        export_labels([], tmp_path / "none", name)


def test_pictures_of_one_name_stay_apart(tmp_path: Path) -> None:
    rows = [
        Sample(picture(tmp_path / "own" / f"{row}.png", seed=row), name, faces=())
        for row, name in enumerate(
            ("a/1.png", "b/1.png", "../1.png", "/etc/passwd", "a/1.JPG", "..", "\u0000\n?.png", "x" * 300 + ".png")
        )
    ]
    for name in ("coco", "yolo", "voc", "labelme", "cvat", "csv", "wider", "label-studio", "imagefolder"):
        out = export_labels(rows, tmp_path / name, name)
        again = import_labels(out, name)
        assert not again.rejected
        assert sorted(sample.image().sum() for sample in again) == sorted(sample.image().sum() for sample in rows), name


def test_what_is_lost_is_told(samples: list[Sample], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mien"):
        export_labels(samples, tmp_path / "out", "voc")
    assert "9 keypoints were left out: the format has none" in caplog.messages
    assert "1 pictures without labelled faces were left out" in caplog.messages


def test_answers_that_mean_something_else_are_refused(tmp_path: Path) -> None:
    for answer in ("face", "ignore"):
        one = Sample(picture(tmp_path / "a.png"), "a.png", faces=(face([1, 1, 9, 9], attributes={"kind": answer}),))
        with pytest.raises(DataError, match="stands for a face without one"):
            export_labels([one], tmp_path / "out", "coco", attribute="kind")


# ------------------------------------------------------------------------------------------------------------- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_are_turned_with_their_picture(orientation: int, tmp_path: Path) -> None:
    pixels = np.zeros((40, 64, 3), np.uint8)
    pixels[6:10, 12:16] = 255
    tags = Image.Exif()
    tags[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=tags)
    size = measure(tmp_path / "a.png")
    image = read(tmp_path / "a.png").image
    assert size.stored_wh == (64, 40)
    assert size.size_wh == (image.shape[1], image.shape[0])
    corners = upright(np.array([[12, 6], [16, 10]], np.float32), orientation, size.stored_wh)
    (x1, y1), (x2, y2) = corners.min(axis=0).astype(int), corners.max(axis=0).astype(int)
    assert image[y1:y2, x1:x2].min() == 255
    assert image.sum() == image[y1:y2, x1:x2].sum()


def labelme_with(folder: Path, wh: tuple[int, int], shapes: list[dict], **more: object) -> Path:  # type: ignore[type-arg]
    head = {
        "version": "5.5.0",
        "flags": {},
        "imagePath": "a.jpg",
        "imageData": None,
        "imageWidth": wh[0],
        "imageHeight": wh[1],
    }
    (folder / "a.json").write_text(json.dumps({**head, "shapes": shapes, **more}))
    return folder


def rectangle(box: list[float], label: str = "face", group: int | None = None) -> dict[str, object]:
    return {"label": label, "points": [box[:2], box[2:]], "group_id": group, "shape_type": "rectangle", "flags": {}}


def test_labels_of_the_upright_and_of_the_stored_picture(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", (160, 120), exif=6)  # upright it is 120 wide and 160 high
    upright_box = import_labels(labelme_with(tmp_path, (120, 160), [rectangle([10, 20, 50, 80])]))
    assert upright_box.samples[0].faces[0].box.tolist() == [10, 20, 50, 80]
    stored = import_labels(labelme_with(tmp_path, (160, 120), [rectangle([20, 70, 80, 110])]))
    assert stored.samples[0].faces[0].box.tolist() == [10, 20, 50, 80], "turned with the picture"
    assert "labelled as stored" in stored.notes[0]
    with pytest.raises(DataError, match=r"expected a\.jpg to be 320x240 as its labels say, got 120x160"):
        import_labels(labelme_with(tmp_path, (320, 240), [rectangle([20, 70, 80, 110])]))


@pytest.mark.parametrize("name", ["coco", "yolo", "voc", "labelme", "cvat", "csv", "label-studio", "wider"])
def test_pictures_go_out_upright(name: str, tmp_path: Path) -> None:
    one = Sample(picture(tmp_path / "a.jpg", exif=6), "a.jpg", faces=(face([10, 20, 50, 80]),))
    again = import_labels(export_labels([one], tmp_path / name, name))
    assert measure(again.samples[0].picture).orientation == 1
    assert again.samples[0].image().shape == one.image().shape == (160, 120, 3)
    assert again.samples[0].faces[0].box == pytest.approx(one.faces[0].box, abs=0.51)
