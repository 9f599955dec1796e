"""Labelling a project in the browser: its pictures, what the model suggests for them, and saving what a person decides."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import cycle
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from mien.attributes import Attribute, colours
from mien.data.project import Project
from mien.draw import KEYPOINT_COLOURS, Colour
from mien.errors import DataError, MienError
from mien.serve.errors import NotFoundError
from mien.serve.pictures import DISPLAY_SIDE, THUMBNAIL_SIDE, Gallery
from mien.serve.suggest import Face, Finder, Suggester, Suggestion, agreement

Name = Annotated[str, Path(max_length=1000)]
Row = Mapping[str, Any]

_SURE = 1.0
_OTHER_POINTS: tuple[Colour, ...] = ((255, 176, 32), (199, 125, 255), (46, 196, 182), (255, 143, 171), (184, 233, 134))


class FaceBody(BaseModel):
    """One face as the page sends it; the project checks what is in it."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    box: tuple[float, float, float, float]


class LabelBody(BaseModel):
    """What a person decided about a picture. revision: of the row that they saw."""

    model_config = ConfigDict(extra="forbid")

    revision: int
    state: str
    faces: Annotated[list[FaceBody], Field(max_length=2000)] | None


class Seen(BaseModel):
    """A picture, and the revision in which a person saw it."""

    file_name: str
    revision: int


class AcceptBody(BaseModel):
    """Pictures whose suggestions are to be taken as they are."""

    pictures: Annotated[list[Seen], Field(max_length=5000)]


class LabelDesk:
    """A project on the table: its rows, and what the model thinks of those that nobody has labelled.

    finder: gives suggestions; None to label without. Threads may share it.
    """

    def __init__(self, project: Project, finder: Finder | None = None) -> None:
        self.project = project
        self.gallery = Gallery()
        self.question: Attribute | None = project.settings.question if project.settings.task == "attribute" else None
        self.suggester = Suggester(finder, self.gallery, self.question, self._note)
        self._lock = threading.Lock()
        self._changes: dict[str, int] = {}
        self._count = 0

    def start(self) -> None:
        """Look at the pictures that are not labelled, in the background."""
        rows = [row for row in self.project.rows() if row["state"] != "labelled"]
        self.suggester.start((row["file_name"], self.project.pictures / row["file_name"]) for row in rows)

    def close(self) -> None:
        """End the background work and leave the project's table in order."""
        self.suggester.stop()
        self.project.close()

    def _note(self, file_name: str) -> None:
        """Remember that a picture has changed, for pages that ask what is new."""
        with self._lock:
            self._count += 1
            self._changes[file_name] = self._count

    def row(self, file_name: str) -> Row:
        """The row of a picture. Raises `NotFoundError`."""
        try:
            return self.project.row(file_name)
        except DataError as error:
            raise NotFoundError(str(error)) from None

    def item(self, row: Row) -> dict[str, Any]:
        """A picture's line in the list: how far it is, and how sure the model is of it, 0 to 1, or None."""
        known = self.suggester.known(row["file_name"])
        margin = self._margin(row, known) if isinstance(known, Suggestion) and self.suggester.has_model else None
        faces = row.get("faces")
        suggested = known.faces if isinstance(known, Suggestion) and not faces and row["state"] == "unlabelled" else ()
        return {
            "file_name": row["file_name"],
            "state": row["state"],
            "revision": row["revision"],
            "faces": len(faces or suggested),
            "margin": margin,
            "is_certain": margin == _SURE and self._is_answered(faces or known.faces),  # type: ignore[union-attr]
            "error": known if isinstance(known, str) else "",
        }

    def _margin(self, row: Row, known: Suggestion) -> float:
        return agreement(row["faces"], known) if row.get("faces") else known.margin

    def _is_answered(self, faces: Sequence[Face]) -> bool:
        """Whether every face has an answer to what is asked."""
        name = self.question.name if self.question is not None else None
        return name is None or all(face.get("ignore") or name in face.get("attributes", {}) for face in faces)

    def overview(self) -> dict[str, Any]:
        """What the project is about, and all its pictures."""
        settings, question = self.project.settings, self.question
        with self._lock:
            count = self._count
        return {
            "name": settings.name,
            "task": settings.task,
            "question": None if question is None else _question_json(question),
            "keypoints": [{"name": name, "colour": _hex(colour)} for name, colour in _keypoint_colours(settings.keypoints)],
            "has_model": self.suggester.has_model,
            "count": count,
            "pictures": [self.item(row) for row in self.project.rows()],
        }

    def changes(self, since: int) -> dict[str, Any]:
        """The pictures that have changed since a count."""
        with self._lock:
            names = [name for name, count in self._changes.items() if count > since]
            count = self._count
        items = []
        for name in names:
            with suppress(NotFoundError):
                items.append(self.item(self.row(name)))
        return {"count": count, "pictures": items}

    def certain(self) -> list[dict[str, Any]]:
        """The pictures whose suggestions `accept` would take, with the boxes of the faces in them."""
        found = []
        for row in self.project.rows():
            item, known = self.item(row), self.suggester.known(row["file_name"])
            if row["state"] != "labelled" and item["is_certain"] and isinstance(known, Suggestion):
                boxes = [face["box"] for face in row.get("faces") or known.faces]
                found.append({**item, "width": known.size_wh[0], "height": known.size_wh[1], "boxes": boxes})
        return found

    def picture(self, file_name: str) -> dict[str, Any]:
        """Everything about one picture: row, size, suggestions. Raises `InputError` when it cannot be read."""
        row = self.row(file_name)
        path = self.project.path(file_name)
        suggestion = None if row["state"] == "labelled" else self.suggester.get(file_name, path)
        width, height = suggestion.size_wh if suggestion is not None else self._size_wh(row)
        return {
            **self.item(row),
            "row": row,
            "width": width,
            "height": height,
            "suggestions": list(suggestion.faces) if suggestion is not None else [],
            "doubtful": list(suggestion.doubtful) if suggestion is not None else [],
        }

    def _size_wh(self, row: Row) -> tuple[int, int]:
        if row.get("width") and row.get("height"):
            return row["width"], row["height"]
        frame = self.gallery.frame(self.project.path(row["file_name"]))
        return frame.width, frame.height

    def save(self, file_name: str, body: LabelBody) -> dict[str, Any]:
        """Keep what a person decided. Raises `Conflict` when somebody else was quicker, `DataError` for wrong labels."""
        row = self.row(file_name)
        faces = None if body.faces is None else [face.model_dump() for face in body.faces]
        for face in faces or ():
            _check_box(face["box"], row, file_name)
        new = self.project.update(file_name, faces=faces, revision=body.revision, state=body.state)
        self._note(file_name)
        return {**self.item(new), "row": new}

    def accept(self, seen: Sequence[Seen]) -> dict[str, Any]:
        """Take the suggestions of pictures as labels, those only that are certain and still as they were seen."""
        accepted: list[dict[str, Any]] = []
        refused: list[dict[str, str]] = []
        for one in seen:
            try:
                row = self.row(one.file_name)
                if not self.item(row)["is_certain"]:
                    raise DataError(f"{one.file_name}: expected a picture that the model is certain of; look at it")
                suggestion = self.suggester.get(one.file_name, self.project.path(one.file_name))
                faces = row.get("faces") or [dict(face) for face in suggestion.faces]
                new = self.project.update(one.file_name, faces=faces, revision=one.revision, state="labelled", by="model")
            except MienError as error:
                refused.append({"file_name": one.file_name, "message": str(error)})
                continue
            self._note(one.file_name)
            accepted.append({**self.item(new), "before": row, "row": new})
        return {"accepted": accepted, "refused": refused}


def _check_box(box: Sequence[float], row: Row, where: str) -> None:
    width, height = row.get("width"), row.get("height")
    if width and height and not (box[0] < width and box[1] < height and box[2] > 0 and box[3] > 0):
        raise DataError(f"{where}: box: expected one in the picture of {width}x{height}, got {list(box)}; move it back")


def _keypoint_colours(names: Sequence[str]) -> Iterator[tuple[str, Colour]]:
    """The colours that overlays have, and others for points that overlays do not know."""
    others = cycle(_OTHER_POINTS)
    return ((name, KEYPOINT_COLOURS.get(name) or next(others)) for name in names)


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _question_json(question: Attribute) -> dict[str, Any]:
    """What the page makes its buttons, keys, colours and legend of."""
    answers = [
        {
            "name": answer,
            "text": question.short.get(answer, answer.replace("_", " ")),
            "colour": _hex(colour),
        }
        for answer, colour in colours(question).items()
    ]
    return {"name": question.name, "question": question.question, "answers": answers, "unit": question.unit}


def label_router(desk: LabelDesk) -> APIRouter:
    """The paths under ``/api/label`` that the page uses."""
    router = APIRouter(prefix="/api/label", tags=["label"])

    @router.get("")
    def overview() -> dict[str, Any]:
        return desk.overview()

    @router.get("/changes")
    def changes(since: Annotated[int, Query(ge=0)] = 0) -> dict[str, Any]:
        return desk.changes(since)

    @router.get("/certain")
    def certain() -> list[dict[str, Any]]:
        return desk.certain()

    @router.get("/pictures/{name:path}")
    def picture(name: Name) -> dict[str, Any]:
        return desk.picture(name)

    @router.put("/pictures/{name:path}")
    def save(name: Name, body: LabelBody) -> dict[str, Any]:
        return desk.save(name, body)

    @router.post("/accept")
    def accept(body: AcceptBody) -> dict[str, Any]:
        return desk.accept(body.pictures)

    @router.get("/images/{name:path}")
    def image(name: Name, request: Request) -> Response:
        return _encoded(desk, name, DISPLAY_SIDE, request)

    @router.get("/thumbnails/{name:path}")
    def thumbnail(name: Name, request: Request) -> Response:
        return _encoded(desk, name, THUMBNAIL_SIDE, request)

    return router


def _encoded(desk: LabelDesk, name: str, long_side: int, request: Request) -> Response:
    """The picture for a browser, or 304 where it has it already."""
    row = desk.row(name)
    tag = f'"{row.get("sha256", row["revision"])}-{long_side}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    encoded = desk.gallery.encoded(desk.project.path(name), long_side)
    return Response(encoded.content, media_type=encoded.media_type, headers=headers)
