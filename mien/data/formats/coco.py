"""COCO: one JSON file of images, annotations and categories; keypoints by the names that the category gives them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mien.data.formats.documents import read_json
from mien.data.formats.intake import Intake, plain_value
from mien.data.formats.marks import BoxMark
from mien.data.formats.outlet import Outlet, point_names, points_of, rounded
from mien.data.formats.source import SourceFolder
from mien.data.sample import Sample, finite_numbers
from mien.errors import DataError

_LISTS = ("images", "annotations", "categories")
_SEEN = 2
"""The visibility of a keypoint that is labelled and seen; 0 is unknown, 1 covered."""


def detect(source: SourceFolder) -> bool:
    """Whether one of the first JSON files is COCO's."""
    return any(_is_coco(read_json(source, path)) for path in source.label_files(".json")[:3])


def _is_coco(document: Any) -> bool:
    return isinstance(document, dict) and all(isinstance(document.get(key), list) for key in _LISTS)


def read(intake: Intake) -> None:
    """Take in every COCO file of the folder; other JSON files are passed over."""
    for path in intake.source.label_files(".json"):
        document = read_json(intake.source, path)
        if not _is_coco(document):
            continue
        images, annotations, categories = (document[key] for key in _LISTS)
        names = {_key(entry, "id", f"{path}:categories[{row}]"): entry for row, entry in enumerate(categories)}
        by_image: dict[int | str, list[int]] = defaultdict(list)
        known = {_key(entry, "id", f"{path}:images[{row}]") for row, entry in enumerate(images)}
        if len(known) < len(images) or len(names) < len(categories):
            raise DataError(f"{path}: expected a different id for each image and each category, got some twice")
        for row, entry in enumerate(annotations):
            with intake.entry(path):
                image = _key(entry, "image_id", f"{path}:annotations[{row}]")
                if image not in known:
                    raise DataError(f"{path}:annotations[{row}]: expected the image_id of an image, got {image}")
                by_image[image].append(row)
        for row, entry in enumerate(images):
            with intake.entry(path):
                where = f"{path}:images[{row}]"
                name = intake.source.find(entry.get("file_name"), path.parent, where)
                marks = [_mark(annotations[at], names, f"{path}:annotations[{at}]") for at in by_image[entry["id"]]]
                stated = (entry["width"], entry["height"]) if entry.get("width") and entry.get("height") else None
                intake.add(name, marks, where, stated_wh=stated)


def _key(entry: Any, name: str, where: str) -> int | str:
    key = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(key, int | str):
        raise DataError(f"{where}: expected an object with {name}, got {str(entry)[:60]}")
    return key


def _mark(entry: Mapping[str, Any], categories: Mapping[int | str, Any], where: str) -> BoxMark:
    category = categories.get(_key(entry, "category_id", where))
    if category is None:
        raise DataError(f"{where}: expected the category_id of a category, got {entry['category_id']}")
    x, y, width, height = finite_numbers(entry.get("bbox"), 4, f"{where}: bbox").tolist()
    attributes = entry.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise DataError(f"{where}: attributes: expected an object, got {str(attributes)[:60]}")
    return BoxMark(
        [x, y, x + width, y + height],
        str(category.get("name", "")),
        where,
        attributes={name: plain_value(value, f"{where}: {name}") for name, value in attributes.items()},
        is_ignored=bool(entry.get("iscrowd", 0)),
        points=_points(entry.get("keypoints") or [], category.get("keypoints") or [], where),
    )


def _points(flat: Any, names: Any, where: str) -> dict[str, tuple[float, float]]:
    if not flat:
        return {}
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not names:
        raise DataError(f"{where}: keypoints: expected their names in the category, got {str(names)[:60]}")
    triples = finite_numbers(flat, 3 * len(names), f"{where}: keypoints").reshape(-1, 3).tolist()
    return {name: (x, y) for name, (x, y, seen) in zip(names, triples, strict=True) if seen > 0}


def write(outlet: Outlet, samples: Sequence[Sample]) -> None:
    """``images/`` and ``annotations.json``; regions to ignore are crowds, attributes stand where CVAT puts them."""
    classes, points = outlet.class_names(samples), point_names(samples)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for sample, faces in outlet.labelled(samples):
        placed = outlet.place(sample, "images")
        width, height = placed.size_wh
        images.append({"id": len(images) + 1, "file_name": placed.name, "width": width, "height": height})
        for face in faces:
            x1, y1, x2, y2 = face.box.tolist()
            annotation: dict[str, Any] = {
                "id": len(annotations) + 1,
                "image_id": len(images),
                "category_id": 1 + (0 if face.is_ignored else classes.index(outlet.class_of(face))),
                "bbox": rounded((x1, y1, x2 - x1, y2 - y1)),
                "area": round((x2 - x1) * (y2 - y1), 2),
                "segmentation": [],
                "iscrowd": int(face.is_ignored),
            }
            if attributes := outlet.other_attributes(face):
                annotation["attributes"] = attributes
            if points:
                known = points_of(face)
                triples = [(*rounded(known[name]), _SEEN) if name in known else (0, 0, 0) for name in points]
                annotation["keypoints"] = [number for triple in triples for number in triple]
                annotation["num_keypoints"] = len(known)
            annotations.append(annotation)
    categories = [
        {"id": number, "name": name, "supercategory": "", **({"keypoints": points, "skeleton": []} if points else {})}
        for number, name in enumerate(classes, 1)
    ]
    document = {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories}
    outlet.write("annotations.json", json.dumps(document, ensure_ascii=False))
