"""Pictures of what a model said, a tile a labelled thing with truth and answer: for grids and sheets of mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.attributes import Attribute
from mien.data.sample import Sample
from mien.data.sheet import contact_sheet
from mien.errors import InputError
from mien.learn.evaluate_attributes import Read, point_errors
from mien.learn.evaluate_faces import Seen
from mien.learn.judged import Cut, Judged
from mien.metrics import FALSE
from mien.models.matte import MatteModel

Picture = NDArray[np.uint8]

_RIGHT, _WRONG, _NEUTRAL = (26, 150, 88), (214, 48, 38), (120, 124, 132)
_TRUTH, _TOLD = (52, 211, 120), (255, 138, 0)
_CELL, _WIDE = 220, 300
_MOST_LARGE = 12
_GOOD_NME, _GOOD_IOU = 0.08, 0.9
_PAPER = np.array([(236, 236, 232), (250, 250, 248)], np.uint8)


@dataclass(frozen=True)
class Tile:
    """One labelled thing and what was said of it.

    caption: a line or two. error: 0 where it is right, else larger the worse it is. is_right: None where that is not a
    matter of yes or no. paint: makes the picture out of that of the sample. is_wide: it shows several pictures.
    """

    sample: Sample
    caption: str
    error: float
    is_right: bool | None
    paint: Callable[[Picture], Picture]
    is_wide: bool = False


def tiles_of(judged: Judged, model: Path, *, threads: int = 1) -> dict[str, list[Tile]]:
    """All tiles by what they are about: an attribute's name, ``faces``, ``matte``. model: its file, to cut out again."""
    tiles = {}
    for name, attribute in judged.attributes.items():
        if judged.read[name].labels:
            tiles[name] = list(_read_tiles(attribute, judged.read[name]))
    if judged.seen:
        tiles["faces"] = [_seen_tile(seen, judged.threshold) for seen in judged.seen]
    if judged.cuts:
        cut_out = MatteModel(model, threads=threads)
        tiles["matte"] = [_cut_tile(cut, cut_out) for cut in judged.cuts]
    return tiles


def grid(tiles: Sequence[Tile], *, side: int = 4, seed: int = 0) -> Picture:
    """``side`` times ``side`` tiles drawn by lot, framed green where right and red where wrong."""
    picked = np.random.default_rng(seed).permutation(len(tiles))[: side * side]
    return contact_sheet(_shown(tiles[row] for row in picked), columns=side, cell=_WIDE if tiles[0].is_wide else _CELL)


def worst(tiles: Sequence[Tile]) -> list[Tile]:
    """The mistakes, worst first; where no tile is wrong, the few whose errors are largest."""
    ordered = sorted((tile for tile in tiles if tile.error > 0), key=lambda tile: -tile.error)
    return [tile for tile in ordered if tile.is_right is False] or ordered[:_MOST_LARGE]


def worst_sheet(mistakes: Sequence[Tile], *, most: int = 64) -> Picture:
    """A sheet of the first of them."""
    is_wide = mistakes[0].is_wide
    return contact_sheet(_shown(mistakes[:most]), columns=4 if is_wide else 8, cell=_WIDE if is_wide else _CELL - 40)


def _shown(tiles: Iterable[Tile]) -> Iterable[tuple[Picture, str]]:
    for tile in tiles:
        try:
            image = tile.paint(tile.sample.image())
        except InputError:
            image = np.full((_CELL, _CELL, 3), 240, np.uint8)
        colour = {True: _RIGHT, False: _WRONG, None: _NEUTRAL}[tile.is_right]
        image = np.ascontiguousarray(image)
        height, width = image.shape[:2]
        cv2.rectangle(image, (0, 0), (width - 1, height - 1), colour, 9 if tile.is_right is not None else 3)
        yield image, tile.caption


# --------------------------------------------------------------------------------------------------------------- attributes


def _read_tiles(attribute: Attribute, read: Read) -> Iterable[Tile]:
    distances, scales = point_errors(attribute, read) if attribute.points else (np.zeros(0), np.zeros(0))
    for row, (column, label) in enumerate(zip(read.columns, read.labels, strict=True)):
        sample, box = read.samples[row], read.boxes[row]
        if attribute.points:
            nme = float(np.nanmean(distances[row]) / scales[row])
            caption = f"error {nme:.1%} of the eyes' distance" if _has_eyes(attribute) else f"error {nme:.1%} of the face"
            paint = _points_painter(box, np.asarray(label), column.reshape(-1, 2))
            yield Tile(sample, caption, nme, bool(nme <= _GOOD_NME), paint)
        elif attribute.answers:
            best = int(column.argmax())
            told, score = attribute.answers[best], float(column[best])
            is_right = bool(told == label)
            caption = f"{_plain(told)} {score:.2f}" + ("" if is_right else f"   labelled {_plain(label)}")
            yield Tile(sample, caption, 0.0 if is_right else score, is_right, _crop_painter(box))
        else:
            error = abs(float(column[0]) - float(label))
            caption = f"{column[0]:.0f} told, {float(label):.0f} labelled"
            yield Tile(sample, caption, error, None, _crop_painter(box))


def _has_eyes(attribute: Attribute) -> bool:
    return not attribute.point_names or any("eye" in name for name in attribute.point_names)


def _plain(answer: Any) -> str:
    return str(answer).replace("_", " ")


def _crop_painter(box: NDArray[np.float32]) -> Callable[[Picture], Picture]:
    return lambda image: _crop(image, box)[0]


def _points_painter(box: NDArray[np.float32], truth: NDArray[Any], told: NDArray[Any]) -> Callable[[Picture], Picture]:
    def paint(image: Picture) -> Picture:
        canvas, scale, corner = _crop(image, box)
        radius = 3 if len(told) < 20 else 2
        for true, answer in zip((truth - corner) * scale, (told - corner) * scale, strict=True):
            place = (round(float(answer[0])), round(float(answer[1])))
            if np.isfinite(true).all():
                goal = (round(float(true[0])), round(float(true[1])))
                cv2.line(canvas, goal, place, (255, 255, 255), 1, cv2.LINE_AA)
                cv2.circle(canvas, goal, radius, _TRUTH, -1, cv2.LINE_AA)
            cv2.circle(canvas, place, radius, _TOLD, -1, cv2.LINE_AA)
        return canvas

    return paint


def _crop(image: Picture, box: NDArray[np.float32]) -> tuple[Picture, float, NDArray[np.float32]]:
    """The square around a box, `_CELL` wide, how much it was enlarged, and its corner in the picture."""
    height, width = image.shape[:2]
    middle, reach = (box[:2] + box[2:]) / 2, 0.68 * float(max(box[2:] - box[:2]))
    if box[2] - box[0] >= 0.95 * width or box[3] - box[1] >= 0.95 * height:  # a crop already
        reach = max(height, width) / 2
        middle = np.array([width / 2, height / 2], np.float32)
    corner = (middle - reach).astype(np.float32)
    scale = _CELL / (2 * reach)
    matrix = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]], np.float32)
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    cut = cv2.warpAffine(image, matrix, (_CELL, _CELL), flags=how, borderValue=(225, 225, 220))
    return np.asarray(cut, np.uint8), scale, corner


# -------------------------------------------------------------------------------------------------------------------- faces


def _seen_tile(seen: Seen, threshold: float) -> Tile:
    found = seen.found[seen.found.scores >= threshold]
    if seen.sample.is_crop and not len(seen.boxes):  # whose face is known to be there, not where
        caption, error = (f"found {found.scores[0]:.2f}", 0.0) if len(found) else ("not found", 1.0)
        is_right = bool(len(found))
        return Tile(seen.sample, caption, error, is_right, _boxes_painter(seen, found.boxes, found.keypoints))
    outcomes = seen.outcomes(0)[seen.found.scores >= threshold]
    false = found.scores[outcomes == FALSE]
    missed = np.setdiff1d(np.arange(len(seen.boxes)), outcomes)
    is_small = seen.sides[missed] < 16
    large = seen.sides[missed[~is_small]]
    error = float(max(false.max(initial=0), (large / max(1.0, float(seen.boxes.max(initial=1)))).max(initial=0)))
    is_right = error == 0
    hits = int((outcomes >= 0).sum())
    caption = f"{hits} of {len(seen.boxes)} found" if len(seen.boxes) else "nobody there"
    if len(false):
        caption += f", {len(false)} false ({false.max():.2f})"
    return Tile(seen.sample, caption, error, is_right, _boxes_painter(seen, found.boxes, found.keypoints))


def _boxes_painter(seen: Seen, boxes: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Callable[[Picture], Picture]:
    def paint(image: Picture) -> Picture:
        scale = 1.5 * _CELL / max(image.shape[:2])
        size_wh = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        canvas = np.asarray(cv2.resize(image, size_wh, interpolation=how), np.uint8)
        for group, colour, line in ((seen.boxes, _TRUTH, 3), (boxes, _TOLD, 2)):
            for x1, y1, x2, y2 in (group * scale).round().astype(int).tolist():
                cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, line if x2 - x1 > 24 else 1, cv2.LINE_AA)
        is_large = (boxes[:, 2] - boxes[:, 0]) * scale > 48
        shown = keypoints[is_large]
        for x, y in (shown[np.isfinite(shown).all(axis=2)] * scale).round().astype(int).tolist():
            cv2.circle(canvas, (x, y), 2, _TOLD, -1, cv2.LINE_AA)
        return canvas

    return paint


# ------------------------------------------------------------------------------------------------------------------- mattes


def _cut_tile(cut: Cut, cut_out: MatteModel) -> Tile:
    def paint(image: Picture) -> Picture:
        height, width = image.shape[:2]
        scale = 1.4 * _CELL / max(height, width)
        size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = np.asarray(cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
        told = cv2.resize(cut_out(image), size_wh, interpolation=cv2.INTER_AREA)
        truth = cv2.resize(cut.sample.matte_image().astype(np.float32) / 255, size_wh, interpolation=cv2.INTER_AREA)
        return np.concatenate([small, _on_checks(small, truth), _on_checks(small, told)], axis=1 if height >= width else 0)

    caption = f"IoU {cut.iou:.3f}" if cut.has_person else f"nobody there, {1 - cut.iou:.1%} cut out"
    limit = _GOOD_IOU if cut.has_person else 0.99
    return Tile(cut.sample, caption, 1 - cut.iou if cut.iou < 0.999 else 0.0, bool(cut.iou >= limit), paint, is_wide=True)


def _on_checks(image: Picture, matte: NDArray[Any]) -> Picture:
    """What a matte (H, W) in [0, 1] leaves of a picture, before light checks."""
    ys, xs = np.indices(matte.shape)
    checks = _PAPER[(ys // 10 + xs // 10) % 2].astype(np.float32)
    share = np.clip(matte, 0, 1)[..., None]
    return (share * image + (1 - share) * checks).round().astype(np.uint8)
