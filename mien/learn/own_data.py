"""What somebody's own project teaches: its labelled pictures by part, what is asked of them, and what is wrong with them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.attributes import ATTRIBUTES, Attribute
from mien.data.answers import known_label, named_points
from mien.data.divide import divide, usual_shares
from mien.data.project import Project, content_hash
from mien.data.sample import FaceLabel, Sample, read_imagefolder
from mien.data.split import held_out, joined_groups
from mien.errors import DataError, InputError
from mien.geometry import iou
from mien.learn.cache import PictureCache
from mien.media.read import read
from mien.models.faces import FaceModel

POINTS = "points"
"""Name of the attribute that a project's own keypoints are."""
_RESERVED = ("image", "boxes", "keypoints", "scores", POINTS, "landmarks68", "pose", "quality")
_REACH = 2.6
"""Side of what is kept around a face, over the longer side of its box."""
_LEAST_SIDE = 4.0
_BORDER = 0.3


@dataclass(frozen=True)
class OwnData:
    """The labelled pictures of a project.

    task: of the model that is trained, as `ModelCard` has it. attributes: what it is to tell; none for boxes and mattes.
    counts: how many faces (pictures, for mattes) of each class are in each part. data_hash: of pictures, labels and split.
    notes: what a person should know.
    """

    root: Path
    name: str
    task: str
    attributes: tuple[Attribute, ...]
    train: list[Sample]
    validation: list[Sample]
    counts: dict[str, dict[str, int]]
    data_hash: str
    notes: tuple[str, ...] = ()


def own_data(root: Path, asked: Sequence[str] = (), seed: int = 0) -> OwnData:
    """Read a project folder, or an ImageFolder with mattes, and divide it where that has not been done.

    asked: attributes to learn together, `POINTS` for the keypoints; what the project is about if empty.
    Raises `DataError` for anything that cannot be trained on.
    """
    if (root / "mien.toml").is_file():
        with Project.open(root) as project:
            return _of_project(project, asked, seed)
    if (root / "metadata.jsonl").is_file():
        samples = read_imagefolder(root)
        if any(sample.matte is not None for sample in samples):
            return _of_mattes(root, samples, seed)
    raise DataError(
        f"{root}: expected a recipe (TOML), a project (a folder with mien.toml) or pictures with mattes, got none of them; "
        "make a project of labelled pictures: mien new NAME --attribute WHAT --classes A,B, then mien data import NAME "
        f"{root}"
    )


def _of_project(project: Project, asked: Sequence[str], seed: int) -> OwnData:
    settings, root = project.settings, project.root
    samples = project.samples()
    labelled = [sample for sample in samples if sample.state == "labelled"]
    if not labelled:
        got = f"{len(samples)} pictures of which none is labelled" if samples else "no pictures"
        raise DataError(f"{root}: expected labelled pictures, got {got}; label some with: mien label {root}")
    notes: list[str] = []
    if any(not sample.split for sample in labelled):
        notes += divide(project, usual_shares(len(labelled)), seed=seed).notes
        labelled = [sample for sample in project.samples() if sample.state == "labelled"]
    if len(labelled) < len(samples):
        notes.append(f"{len(samples) - len(labelled)} pictures are left out, as nobody has labelled or confirmed them")
    task = "faces" if settings.task == "boxes" and not asked else "attributes"
    attributes = _asked(project, asked, labelled) if task == "attributes" else ()
    parts = {part: [sample for sample in labelled if sample.split == part] for part in ("train", "validation")}
    counts = {part: _counted(attributes, members) for part, members in parts.items()}
    data = OwnData(
        root,
        settings.name,
        task,
        attributes,
        parts["train"],
        parts["validation"],
        counts,
        content_hash(settings, [row for row in project.rows() if row.get("state") == "labelled"]),
        tuple(notes),
    )
    _check_labels(data, project)
    _check_counts(data)
    return data


def _of_mattes(root: Path, samples: list[Sample], seed: int) -> OwnData:
    usable = [sample for sample in samples if sample.matte is not None or sample.is_empty]
    groups = joined_groups(usable, np.arange(len(usable)))
    is_apart = np.array([sample.split == "validation" for sample in usable])
    if not is_apart.any():
        is_apart = held_out(usable, groups, 0.2, seed)
    parts = {
        "train": [sample for sample, apart in zip(usable, is_apart, strict=True) if not apart and sample.split != "test"],
        "validation": [sample for sample, apart in zip(usable, is_apart, strict=True) if apart],
    }
    counts = {
        part: dict(Counter("nobody" if sample.is_empty else "people" for sample in members))
        for part, members in parts.items()
    }
    told = [[str(sample.name), sample.is_empty, Path(str(sample.picture)).stat().st_size] for sample in usable]
    digest = hashlib.sha256(json.dumps([told, is_apart.tolist()]).encode()).hexdigest()
    data = OwnData(root, root.resolve().name, "matte", (), parts["train"], parts["validation"], counts, digest, ())
    _check_counts(data)
    return data


def _asked(project: Project, asked: Sequence[str], samples: Sequence[Sample]) -> tuple[Attribute, ...]:
    settings = project.settings
    own = settings.attribute if settings.task == "attribute" else POINTS
    found = []
    for name in asked or (own,):
        if name == POINTS:
            names = settings.keypoints
            attribute = Attribute(POINTS, "Where are these points?", points=len(names), point_names=names)
        elif name == settings.attribute:
            attribute = settings.question
        else:
            told = {str(face.attributes[name]) for one in samples for face in one.faces or () if name in face.attributes}
            if not told:
                raise DataError(
                    f"{project.root}: expected faces labelled for {name!r}, found none; label it or leave it out"
                )
            known = ATTRIBUTES.get(name)
            attribute = known if known is not None else Attribute(name, f"{name}?", tuple(sorted(told)))
        if attribute.name in _RESERVED and name != POINTS:
            raise DataError(f"{project.root}: {name!r} is what models call something else; expected another attribute name")
        found.append(attribute)
    return tuple(found)


def labelled_faces(samples: Sequence[Sample]) -> list[tuple[Sample, FaceLabel | None]]:
    """Every face that may teach something: labelled ones that are not ignored, and crops that are a face as a whole."""
    return [
        (sample, face)
        for sample in samples
        for face in (sample.faces or ((None,) if sample.is_crop else ()))
        if face is None or (not face.is_ignored and min(face.box[2:] - face.box[:2]) >= _LEAST_SIDE)
    ]


def is_known(attribute: Attribute, sample: Sample, face: FaceLabel | None) -> bool:
    """Whether a face is labelled for an attribute."""
    if attribute.points:
        return bool(np.isfinite(named_points(attribute, face)).any())
    return known_label(attribute, sample, face) is not None


def _counted(attributes: Sequence[Attribute], samples: Sequence[Sample]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    faces = labelled_faces(samples)
    if not attributes:
        return {"faces": len(faces), "pictures": len(samples)}
    for attribute in attributes:
        if attribute.answers:
            counts.update(dict.fromkeys(_class_names(attributes, attribute), 0))
        for sample, face in faces:
            if not is_known(attribute, sample, face):
                continue
            if attribute.answers:
                answer = str(known_label(attribute, sample, face))
                counts[answer if len(attributes) == 1 else f"{attribute.name}: {answer}"] += 1
            else:
                counts[attribute.name] += 1
    return dict(counts)


def _class_names(attributes: Sequence[Attribute], attribute: Attribute) -> list[str]:
    return [answer if len(attributes) == 1 else f"{attribute.name}: {answer}" for answer in attribute.answers]


def _check_labels(data: OwnData, project: Project) -> None:
    """Raises `DataError` for the first label that cannot be true."""
    sizes = {row["file_name"]: (row.get("width"), row.get("height")) for row in project.rows()}
    for sample, face in labelled_faces([*data.train, *data.validation]):
        where = f"{project.root}: {sample.name}"
        for attribute in data.attributes:
            label = face.attributes.get(attribute.name) if face is not None else None
            if label is None or attribute.points:
                continue
            if attribute.answers and known_label(attribute, sample, face) is None:
                raise DataError(
                    f"{where}: {attribute.name}: expected one of {', '.join(attribute.answers)}, got {str(label)[:60]!r}; "
                    f"label it again with: mien label {project.root}"
                )
            low, high = attribute.span
            if not attribute.answers and not (isinstance(label, int | float) and low <= label <= high):
                raise DataError(
                    f"{where}: {attribute.name}: expected {low:g} to {high:g} {attribute.unit}, got {str(label)[:60]}; "
                    f"label it again with: mien label {project.root}"
                )
        width, height = sizes.get(sample.name, (None, None))
        if face is not None and width and height:
            _check_places(data, face, np.array([width, height], np.float32), where)


def _check_places(data: OwnData, face: FaceLabel, size_wh: NDArray[np.float32], where: str) -> None:
    low, high = np.maximum(face.box[:2], 0), np.minimum(face.box[2:], size_wh)
    if (high <= low).any():
        raise DataError(f"{where}: expected a box in the picture of {size_wh[0]:g}x{size_wh[1]:g}, got {face.box.tolist()}")
    for attribute in data.attributes:
        if not attribute.points:
            continue
        places = named_points(attribute, face).reshape(-1, 2)
        is_off = ((places < -0.1 * size_wh) | (places > 1.1 * size_wh)).any(axis=1)  # not so where unknown
        if is_off.any():
            row = int(is_off.argmax())
            name, (x, y) = attribute.point_names[row], places[row].tolist()
            raise DataError(
                f"{where}: {name}: expected a point in the picture of {size_wh[0]:g}x{size_wh[1]:g}, got "
                f"({x:g}, {y:g}); move it with: mien label {data.root}"
            )


def _check_counts(data: OwnData) -> None:
    """Raises `DataError` for a part or a class that has nothing in it."""
    for part, members in (("train", data.train), ("validation", data.validation)):
        if not members or not any(data.counts[part].values()):
            raise DataError(
                f"{data.root}: expected labelled pictures in {part}, found none; add pictures, or divide them anew with: "
                f"mien data split {data.root} --validation 0.2 --anew"
            )
    for attribute in data.attributes:
        if not attribute.answers:
            continue
        names = dict(zip(_class_names(data.attributes, attribute), attribute.answers, strict=True))
        present = [answer for name, answer in names.items() if data.counts["train"][name]]
        if len(present) < 2:
            raise DataError(
                f"{data.root}: {attribute.name}: expected faces of two classes or more to train on, got only "
                f"{', '.join(present) or 'none'} of {', '.join(attribute.answers)}; record or label others too"
            )


@dataclass(frozen=True, eq=False)
class FaceCut(Sample):
    """One labelled face with its surroundings; they are cut out of its picture when it is read. cut: x1 y1 x2 y2."""

    cut: tuple[int, int, int, int] | None = None

    def image(self) -> NDArray[np.uint8]:
        image = _decoded(self.picture)
        if self.cut is None:
            return image
        x1, y1, x2, y2 = self.cut
        return np.ascontiguousarray(image[y1:y2, x1:x2])


@lru_cache(maxsize=2)
def _decoded(picture: Path | bytes) -> NDArray[np.uint8]:
    return read(picture).image


def face_cuts(samples: Sequence[Sample], attributes: Sequence[Attribute]) -> list[FaceCut]:
    """A sample for each face that is labelled for one of the attributes, its labels in pixels of what is cut out."""
    cuts = []
    for number, (sample, face) in enumerate(labelled_faces(samples)):
        if not any(is_known(attribute, sample, face) for attribute in attributes):
            continue
        plain: dict[str, Any] = {key: getattr(sample, key) for key in ("picture", "source", "kind", "labels", "is_crop")}
        if face is None:
            cuts.append(FaceCut(name=f"{sample.name}#{number}", faces=None, **plain))
            continue
        centre, half = (face.box[:2] + face.box[2:]) / 2, (face.box[2:] - face.box[:2]).max() * _REACH / 2
        x1, y1 = (int(max(0, value)) for value in np.floor(centre - half))
        x2, y2 = (int(value) for value in np.ceil(centre + half))
        moved = replace(
            face,
            box=face.box - np.array([x1, y1, x1, y1], np.float32),
            keypoints=face.keypoints - np.array([x1, y1], np.float32),
            more_points={name: (x - x1, y - y1) for name, (x, y) in face.more_points.items()},
        )
        cuts.append(FaceCut(name=f"{sample.name}#{number}", faces=(moved,), cut=(x1, y1, x2, y2), **plain))
    return cuts


def seen_keypoints(cuts: Sequence[FaceCut], cache: PictureCache, *, are_labels_used: bool) -> NDArray[np.float32]:
    """The five keypoints by which each face is turned upright, (N, 5, 2) in pixels of its cut; NaN where none are known.

    are_labels_used: labelled ones, where there are all five, else those of the shipped face model; or its alone, for faces
    whose points are to be learned.
    """
    find: FaceModel | None = None
    found = np.full((len(cuts), 5, 2), np.nan, np.float32)
    for row, sample in enumerate(cuts):
        face = sample.faces[0] if sample.faces else None
        if are_labels_used and face is not None and np.isfinite(face.keypoints).all():
            found[row] = face.keypoints
            continue
        picture, scale = cache[row]
        image = np.ascontiguousarray(picture[..., :3])
        edge = round(_BORDER * max(image.shape[:2]))
        framed = cv2.copyMakeBorder(image, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(127, 127, 127))
        find = find or FaceModel("faces", long_side=320)
        try:
            faces = find(framed)
        except InputError:
            continue
        if not len(faces):
            continue
        box = face.box * np.float32(scale) if face is not None else np.array([0, 0, *image.shape[1::-1]], np.float32)
        overlaps = iou(faces.boxes - np.float32(edge), box[None])[:, 0]
        if overlaps.max() > 0.3:
            found[row] = (faces.keypoints[int(overlaps.argmax())] - edge) / scale
    return found
