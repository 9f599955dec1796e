"""A project: one folder with everything about a set of pictures that somebody labels.

``mien.toml`` says what it is about, ``pictures/`` holds the pictures and their rows (Hugging Face ImageFolder),
``versions/`` what was frozen, ``reports/`` pages for people. Nothing outside the folder is written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mien.data.additions import Added as Added
from mien.data.additions import NewPicture as NewPicture
from mien.data.duplicates import hash_text, perceptual_hash
from mien.data.sample import STATES, FaceLabel, Sample, face_entry, face_from_entry, inside, row_of, sample_from_row
from mien.data.settings import ProjectSettings, check_name
from mien.data.split import SPLITS
from mien.data.table import Table
from mien.errors import DataError, InputError
from mien.media.read import MAX_BYTES, read, suffix_of
from mien.media.write import encode, whole_file, whole_folder


class Conflict(DataError):  # noqa: N818  what a web page calls it too (409)
    """Somebody else has changed the row in the meantime.

    row: what it says now.
    """

    def __init__(self, message: str, row: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.row = row


class Project:
    """An open project. Several programs may have it open; `close` leaves a table that other programs can read.

    Rows that are handed out are the project's own: change them only through its methods.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.settings = ProjectSettings.read(self.root / "mien.toml")
        self.pictures = self.root / "pictures"
        self._table = Table(self.pictures / "metadata.jsonl", self.root / "journal.jsonl", self.root / ".lock")
        self._by_hash: dict[str, str] = {}
        self._hashed_at = -1

    @classmethod
    def create(
        cls,
        root: str | Path,
        *,
        task: str = "attribute",
        attribute: str = "",
        classes: Sequence[str] = (),
        keypoints: Sequence[str] = (),
    ) -> Project:
        """A new, empty project in a folder that is new or empty. Raises `DataError`."""
        root = Path(root)
        return cls.with_settings(root, ProjectSettings.of(root.resolve().name, task, attribute, classes, keypoints))

    @classmethod
    def with_settings(cls, root: Path, settings: ProjectSettings) -> Project:
        """A new, empty project as `create` makes it."""
        try:
            if root.exists() and (not root.is_dir() or any(root.iterdir())):
                raise DataError(f"{root}: expected a new or an empty folder, got one with something in it; choose another")
            for name in ("pictures", "versions", "reports"):
                (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{root}: the project cannot be made ({error.strerror or error})") from None
        settings.write(root / "mien.toml")
        return cls(root)

    @classmethod
    def open(cls, root: str | Path) -> Project:
        """The project in a folder. Raises `DataError` where there is none."""
        return cls(root)

    def close(self) -> None:
        """Bring ``pictures/metadata.jsonl`` up to date. The project can go on being used."""
        self._table.settle()

    def __enter__(self) -> Project:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def rows(self) -> list[dict[str, Any]]:
        """The rows of all pictures, in the order in which they came."""
        with self._table.locked() as rows:
            return list(rows.values())

    def row(self, file_name: str) -> dict[str, Any]:
        """The row of a picture. Raises `DataError` where there is none."""
        with self._table.locked() as rows:
            return _known(rows, file_name, self.root)

    def path(self, file_name: str) -> Path:
        """Where a picture lies. Raises `DataError` for a name that leads out of the project."""
        return inside(self.pictures, file_name, str(self.root))

    def samples(self, version: str = "") -> list[Sample]:
        """The pictures as samples, or those of a frozen version with the labels of then.

        Raises `DataError`, also where a picture of the version is no longer there.
        """
        rows = self.version(version)["files"] if version else self.rows()
        where = str(self.root / "versions" / f"{version}.json" if version else self.pictures / "metadata.jsonl")
        samples = [sample_from_row(row, self.pictures, f"{where}: {row['file_name'][:80]}") for row in rows]
        if version and (gone := [sample.name for sample in samples if not Path(str(sample.picture)).is_file()]):
            raise DataError(f"{where}: {len(gone)} of {len(samples)} pictures are no longer there, such as {gone[0]}")
        return samples

    def add(self, pictures: Iterable[NewPicture]) -> Added:
        """Put pictures in, each once: one whose very bytes are there already is counted and left alone.

        A picture that cannot be read, or whose labels do not fit, is counted as rejected and the others go on.
        """
        added = Added()
        for new in pictures:
            name = new.name or (new.picture.name if isinstance(new.picture, Path) else "picture")
            try:
                row, data = self._new_row(new, name)
                suffix = suffix_of(data)
            except (DataError, InputError) as error:
                added.rejected.append((name, str(error)))
                continue
            matte = new.labels.matte if new.labels is not None else None
            with self._table.locked() as rows:
                if known := self._file_with(row["sha256"], rows):
                    added.duplicates.append((name, known))
                    continue
                try:
                    matte_data = None if matte is None else _load_matte(matte, (row["width"], row["height"]))
                except InputError as error:
                    added.rejected.append((name, str(error)))
                    continue
                row["file_name"] = self._free_name(name, suffix, row["sha256"], rows)
                with whole_file(self.pictures / row["file_name"]) as file:
                    file.write(data)
                if matte_data is not None:
                    row |= self._put_matte(row["file_name"], matte_data)
                self._table.change([row])
                self._by_hash[row["sha256"]] = row["file_name"]
            added.kept.append(row)
        return added

    def update(
        self,
        file_name: str,
        *,
        faces: Sequence[FaceLabel | Mapping[str, Any]] | None,
        revision: int,
        state: str = "labelled",
        by: str = "person",
    ) -> dict[str, Any]:
        """Change the labels of a picture and give its new row back, all on the disk.

        faces: labels, or entries as rows have them; None for a picture that nobody has looked at. revision: of the row that
        the change was made on. by: who gave the faces that do not say so.

        Raises `Conflict` when the row has another revision by now, `DataError` for wrong labels or an unknown picture.
        """
        with self._table.locked() as rows:
            old = _known(rows, file_name, self.root)
            if old["revision"] != revision:
                raise Conflict(f"{file_name}: changed meanwhile (revision {old['revision']}, not {revision})", old)
            row = {key: value for key, value in old.items() if key != "faces"} | {"revision": revision + 1, "state": state}
            if faces is not None:
                row["faces"] = [self._face(face, file_name, by) for face in faces]
            if state not in STATES:
                raise DataError(f"{file_name}: state: expected one of {', '.join(STATES)}, got {state!r}")
            self._table.change([row])
            return row

    def attach_matte(self, file_name: str, matte: Path) -> None:
        """Give a picture a person matte, copied from a file; an older one goes.

        Raises `DataError` and `InputError` for an unknown picture, and for a matte that cannot be read or has another size.
        """
        with self._table.locked() as rows:
            row = _known(rows, file_name, self.root)
            size = read(self.path(file_name))
            data = _load_matte(matte, (size.width, size.height))
            if row.get("matte"):
                self.path(row["matte"]).unlink(missing_ok=True)
            self._table.change([{**row, **self._put_matte(file_name, data)}])

    def _put_matte(self, file_name: str, data: bytes) -> dict[str, str]:
        """Write a matte beside its picture; gives what the row then says of it."""
        name = f"{Path(file_name).stem}-matte{suffix_of(data)}"
        with whole_file(self.pictures / name) as file:
            file.write(data)
        return {"matte": name, "matte_sha256": hashlib.sha256(data).hexdigest()}

    def assign(self, values: Mapping[str, Mapping[str, str]]) -> None:
        """Set texts that are no labels in the rows of these files, such as ``split``; "" takes one out. Revisions stay."""
        with self._table.locked() as rows:
            changed = []
            for file_name, texts in values.items():
                row = {**_known(rows, file_name, self.root), **texts}
                changed.append({key: value for key, value in row.items() if key not in texts or value})
            self._table.change(changed)

    def assign_split(self, splits: Mapping[str, str]) -> None:
        """Put pictures into parts of the set, by file name; see `SPLITS`. Raises `DataError`."""
        if unknown := set(splits.values()) - {*SPLITS, ""}:
            raise DataError(f"split: expected one of {', '.join(SPLITS)}, got {', '.join(sorted(unknown))}")
        self.assign({file_name: {"split": split} for file_name, split in splits.items()})

    def reset_split(self) -> None:
        """Take every picture out of its part of the set."""
        self.assign({row["file_name"]: {"split": ""} for row in self.rows() if row.get("split")})

    def remove(self, file_names: Iterable[str]) -> None:
        """Take pictures out, their files too. Raises `DataError` for one that is not there; then none is taken."""
        with self._table.locked() as rows:
            gone = [_known(rows, file_name, self.root) for file_name in file_names]
            self._table.change(removed=[row["file_name"] for row in gone])
            self._hashed_at = -1
            for row in gone:
                for name in (row["file_name"], row.get("matte")):
                    if name:
                        self.path(name).unlink(missing_ok=True)

    def freeze(self, name: str) -> dict[str, Any]:
        """Write down all pictures and labels under a name, and give what was written back.

        ``content`` is a SHA-256 over pictures, labels and split: the same content gives the same hash, whatever the names
        and the order of the files. Raises `DataError` when the name stands for other content already.
        """
        check_name(name, "version")
        from mien import __version__

        rows = sorted(self.rows(), key=lambda row: row["file_name"])
        if not rows:
            raise DataError(f"{self.root}: expected pictures to freeze, found none; add some first")
        frozen = {
            "content": content_hash(self.settings, rows),
            "mien": __version__,
            "pictures": len(rows),
            "split": dict(sorted(Counter(row.get("split", "") for row in rows).items())),
            "settings": {key: getattr(self.settings, key) for key in self.settings.__dataclass_fields__},
            "files": rows,
        }
        path = self.root / "versions" / f"{name}.json"
        if path.exists():
            if (old := self.version(name))["content"] != frozen["content"]:
                raise DataError(f"{path}: stands for other content ({old['content'][:12]}); freeze under another name")
            return old
        with whole_file(path) as file:
            file.write(json.dumps(frozen).encode() + b"\n")
        return frozen

    def version(self, name: str) -> dict[str, Any]:
        """What was frozen under a name. Raises `DataError`."""
        check_name(name, "version")
        path = self.root / "versions" / f"{name}.json"
        try:
            frozen = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            there = ", ".join(sorted(file.stem for file in path.parent.glob("*.json"))) or "none"
            raise DataError(f"{path}: no such version; there are: {there}") from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: expected a frozen version, got: {error}") from None
        if not isinstance(frozen, dict) or not isinstance(frozen.get("files"), list) or "content" not in frozen:
            raise DataError(f"{path}: expected a frozen version, got another JSON")
        return frozen

    def _new_row(self, new: NewPicture, name: str) -> tuple[dict[str, Any], bytes]:
        if isinstance(new.picture, np.ndarray):
            data = encode(new.picture, ".jpg", quality=95)
        else:
            data = new.picture if isinstance(new.picture, bytes) else _load(new.picture)
        frame = read(data)
        row: dict[str, Any] = {
            "file_name": "",
            "sha256": hashlib.sha256(data).hexdigest(),
            "revision": 1,
            "width": frame.width,
            "height": frame.height,
            "state": "unlabelled",
            "perceptual_hash": hash_text(perceptual_hash(frame.image)),
        }
        if new.labels is not None:
            told = row_of(new.labels)
            if "faces" in told:
                told["faces"] = [self._face(face, name) for face in told["faces"]]
                row["state"] = "labelled"
            row |= told
            if new.labels.is_empty:
                row["matte"] = None
        return row, data

    def _face(self, face: FaceLabel | Mapping[str, Any], where: str, by: str = "") -> dict[str, Any]:
        """The entry of a face, checked against the project's settings."""
        label = face if isinstance(face, FaceLabel) else face_from_entry(face, where)
        answer = label.attributes.get(self.settings.attribute)
        if self.settings.attribute and answer is not None:
            self.settings.check_answer(answer)
        entry = face_entry(label)
        return entry if "by" in entry or not by else {**entry, "by": by}

    def _file_with(self, sha256: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
        if self._hashed_at != self._table.times_read:
            self._by_hash = {str(row.get("sha256")): name for name, row in rows.items()}
            self._hashed_at = self._table.times_read
        return self._by_hash.get(sha256, "")

    def _free_name(self, name: str, suffix: str, sha256: str, rows: Mapping[str, Any]) -> str:
        """A file name that no row has. A file left by a crash has the name of the same bytes, and is written again."""
        plain = re.sub(r"[^\w.-]+", "_", Path(name).stem).removesuffix(f"-{sha256[:8]}")
        stem = plain.strip("._-")[:60] or "picture"
        taken = {f"{stem}-{sha256[:length]}{suffix}" for length in (8, 64)} & set(rows)
        return f"{stem}-{sha256[: 64 if taken else 8]}{suffix}"


@contextmanager
def new_project(root: Path, settings: ProjectSettings) -> Iterator[Project]:
    """A new project that takes its place only when the block ends well. Raises `DataError` where something is already."""
    with whole_folder(root, error=DataError) as new, Project.with_settings(new, settings) as project:
        yield project


def _known(rows: Mapping[str, dict[str, Any]], file_name: str, root: Path) -> dict[str, Any]:
    if file_name not in rows:
        raise DataError(f"{root}: no picture is called {file_name[:80]!r}")
    return rows[file_name]


def content_hash(settings: ProjectSettings, rows: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 over what is asked, and over the pictures, labels and split of rows, in any order."""
    asked = [settings.task, settings.attribute, settings.classes, settings.keypoints]
    told = sorted(json.dumps([*map(row.get, _CONTENT), *_mattes(row)], sort_keys=True) for row in rows)
    return hashlib.sha256(json.dumps([asked, told]).encode()).hexdigest()


def _mattes(row: Mapping[str, Any]) -> list[str]:
    """The hash of a row's matte, where it has one."""
    return [row["matte_sha256"]] if row.get("matte_sha256") else []


_CONTENT = ("sha256", "split", "state", "faces", "labels", "person", "session", "group")


def _load(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: expected a picture of at most {MAX_BYTES / 1e6:g} MB; make it smaller")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror or error})") from None


def _load_matte(path: Path, size_wh: tuple[int, int]) -> bytes:
    """The bytes of a matte. Raises `InputError` where it cannot be read or is not of that size."""
    data = _load(path)
    matte = read(data)
    if (matte.width, matte.height) != size_wh:
        raise InputError(
            f"{path}: expected a matte of {size_wh[0]}x{size_wh[1]} pixels as its picture, got {matte.width}x{matte.height}"
        )
    return data
