"""Label files that are broken or mean harm: nothing outside their folder is opened, nothing but `DataError` comes out."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.data.formats import FORMATS, export_labels, import_labels
from mien.data.formats.source import SourceFolder
from mien.data.sample import FaceLabel, Sample
from mien.errors import DataError

QUICK = settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=30)

# ------------------------------------------------------------------------------------------------------- places to refuse

opened: list[str] = []
is_watching = False


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if is_watching and event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str | bytes | os.PathLike):
        opened.append(os.fsdecode(arguments[0]))


sys.addaudithook(_watch)


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Note every file that is opened in the block."""
    global is_watching
    opened.clear()
    is_watching = True
    try:
        yield
    finally:
        is_watching = False


def bad_names(outside: Path) -> list[str]:
    """Names that lead out of the folder, or to something that is no picture file in it."""
    ups = [f"{'../' * count}{tail}" for count in range(1, 9) for tail in ("outside/secret.png", "secret.png", "etc/passwd")]
    inner = [f"images/{'../' * count}outside/secret.png" for count in range(2, 9)]
    windows = [name.replace("/", "\\") for name in (*ups[:6], *inner[:3])]
    other = [
        *(
            str(outside / "secret.png"),
            f"//{outside}/secret.png",
            f"file://{outside}/secret.png",
            f"/..{outside}/secret.png",
        ),
        *(
            "/etc/passwd",
            "/proc/self/environ",
            "/dev/zero",
            "/",
            "//",
            "\\",
            "C:\\secret.png",
            "c:/secret.png",
            "C:secret.png",
        ),
        *(
            "\\\\server\\share\\secret.png",
            "//server/share/secret.png",
            "~/secret.png",
            "~root/secret.png",
            "$HOME/secret.png",
        ),
        *("%2e%2e/outside/secret.png", "..%2foutside%2fsecret.png", "....//outside/secret.png", ".../secret.png"),
        *(
            "..;/outside/secret.png",
            "http://[/secret.png",
            "ftp://host/secret.png",
            "secret.png\x00.jpg",
            "\x00",
            "a\n../b.png",
        ),
        *(
            ".",
            "..",
            "./",
            "../",
            "images",
            "images/",
            "images/.",
            "images/..",
            " ",
            "\u202e.png",
            "x" * 5000,
            "a/" * 3000 + "b.png",
        ),
        *(
            "link.png",
            "./link.png",
            "linked/secret.png",
            "images/../link.png",
            "loop.png",
            "pipe.png",
            "hidden/../.secret.png",
        ),
        *("images/a.png/../../../outside/secret.png", "images/a.png/..", "fine.png/", ".hidden.png", "con", "nul.png"),
    ]
    return [*ups, *inner, *windows, *other]


def _voc(name: str) -> str:
    return f"<annotation><filename>{_xml(name)}</filename></annotation>"


def _xml(name: str) -> str:
    from xml.sax.saxutils import quoteattr

    return quoteattr("".join(c for c in name if c >= " "))[1:-1]


WRITERS: dict[str, tuple[str, Callable[[str], str]]] = {
    "coco": ("a.json", lambda n: json.dumps({"images": [{"id": 1, "file_name": n}], "annotations": [], "categories": []})),
    "voc": ("a.xml", _voc),
    "labelme": ("a.json", lambda n: json.dumps({"shapes": [], "imagePath": n, "imageData": None})),
    "label-studio": ("a.json", lambda n: json.dumps([{"data": {"image": n}, "annotations": [{"result": []}]}])),
    "cvat": ("a.xml", lambda n: f'<annotations><image name="{_xml(n)}"/></annotations>'),
    "csv": ("a.csv", lambda n: f'file_name,x1,y1,x2,y2\n"{n}",1,1,9,9\n'),
    "wider": ("a.txt", lambda n: f"{n}\n1\n1 1 9 9\n"),
    "imagefolder": ("metadata.jsonl", lambda n: json.dumps({"file_name": n})),
}


def traps(folder: Path) -> tuple[Path, Path]:
    """A folder with links that lead out, a loop and a pipe, and the folder with the secret."""
    root, outside = folder / "set", folder / "outside"
    for path in (root / "images" / "a.png", outside / "secret.png", folder / "secret.png", root / ".hidden.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 24)).save(path)
    (root / "link.png").symlink_to(outside / "secret.png")
    (root / "linked").symlink_to(outside)
    (root / "loop.png").symlink_to(root / "loop.png")
    os.mkfifo(root / "pipe.png")
    return root, outside


@pytest.mark.parametrize("name", WRITERS)
def test_names_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    root, outside = traps(tmp_path)
    file, write = WRITERS[name]
    (root / file).write_text(write("images/a.png"))
    assert len(import_labels(root, name)) == 1
    names = bad_names(outside)
    assert len(names) * len(WRITERS) >= 500
    for bad in names:
        (root / file).write_text(write(bad), "utf-8")
        with watched(), pytest.raises(DataError) as caught:
            import_labels(root, name)
        assert str(root) in str(caught.value), bad
        assert "\n" not in str(caught.value), bad
        seen = {os.path.realpath(path) for path in opened if path.startswith(str(tmp_path))}
        assert all(Path(path).is_relative_to(root.resolve()) for path in seen), bad


def test_mattes_and_label_files_that_lead_out_are_not_read(tmp_path: Path) -> None:
    root, outside = traps(tmp_path)
    for bad in ("../outside/secret.png", str(outside / "secret.png"), "link.png", "linked/secret.png"):
        (root / "metadata.jsonl").write_text(json.dumps({"file_name": "images/a.png", "matte": bad}))
        with pytest.raises(DataError, match=r"metadata\.jsonl:1: expected a file name inside"):
            import_labels(root)
    (root / "metadata.jsonl").unlink()
    (outside / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    (outside / "data.yaml").write_text("names: [secret]")
    (root / "images" / "a.txt").symlink_to(outside / "a.txt")
    (root / "data.yaml").symlink_to(outside / "data.yaml")
    with pytest.raises(DataError, match="found none of them"):
        import_labels(root)
    with pytest.raises(DataError, match="a plain file inside"):
        SourceFolder(root).load(root / "data.yaml")
    with pytest.raises(DataError, match="a plain file inside"):
        SourceFolder(root).load(root / "pipe.png")


# ---------------------------------------------------------------------------------------------------------- broken labels


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small set in every format."""
    folder = tmp_path_factory.mktemp("exports")
    pixels = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    points = np.array([[60, 40], [30, 40], [48, 60], [60, 75], [35, 75]], np.float32)
    faces = (
        FaceLabel(np.array([0, 0, 96, 96], np.float32), points, attributes={"mask": "mask", "age": 30.5}),
        FaceLabel(np.array([5, 5, 20, 20], np.float32), points * np.nan, is_ignored=True),
    )
    both = [Sample(folder / "a.png", "a.png", faces=faces), Sample(folder / "a.png", "b.png", faces=())]
    plain = [Sample(folder / "a.png", f"{answer}.png", labels={"mask": answer}) for answer in ("mask", "no_mask")]
    return {
        name: export_labels(plain if name == "class-folders" else both, folder / name, name, attribute="mask")
        for name in FORMATS
    }


def label_file(folder: Path) -> Path:
    """The file of a set that says most."""
    found = [path for path in folder.rglob("*") if path.suffix not in (".png", ".npz") and path.is_file()]
    return max(found, key=lambda path: path.stat().st_size)


@contextlib.contextmanager
def changed(path: Path, content: bytes) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def check(folder: Path, name: str | None) -> None:
    try:
        found = import_labels(folder, name, attribute="mask")
    except DataError as error:
        message = str(error)
    else:
        message = str(folder)
        for sample in found:
            for face in sample.faces or ():
                assert np.isfinite(face.box).all()
        assert all(str(folder) in fault.where for fault in found.rejected), found.rejected
    assert str(folder) in message
    assert len(message) < 1500


BITES = (
    b"",
    b"\x00",
    b"\xff",
    b"-",
    b"9" * 400,
    b"1e400",
    b"nan",
    b"null",
    b'"',
    b"{",
    b"[",
    b"<",
    b">",
    b"&x;",
    b"\n",
    b",",
    b"\r",
    b"../",
    b"true",
)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "class-folders"])
@QUICK
@given(seed=st.integers(0, 2**32), count=st.integers(1, 5), is_named=st.booleans())
def test_damaged_files(name: str, seed: int, count: int, is_named: bool, exports: dict[str, Path]) -> None:
    rng, path = random.Random(seed), label_file(exports[name])
    data = path.read_bytes()
    for _ in range(count):
        start = rng.randrange(len(data) + 1)
        end = start + rng.choice((0, 1, 1, 2, 5, 40))
        data = data[:start] + rng.choice(BITES) + data[end:]
    with changed(path, data if rng.random() < 0.9 else data[: rng.randrange(len(data) + 1)]):
        check(exports[name], name if is_named else None)


JUNK: tuple[object, ...] = (
    *(None, True, False, 0, -1, 1e30, 1e300, float("inf"), float("nan"), 10**400, -(2**70), 0.1),
    *("", "face", "1", "x", "\x00", "../a.png", "\ud800", "9" * 5000, "nan", "\u2028"),
    *(
        [],
        {},
        [[]],
        [{}],
        {"": None},
        [1, 2],
        [1, 2, 3, 4],
        [None] * 4,
        ["1"] * 4,
        [[1, 2], [3, 4]],
        {"id": 1},
        {"x": [1]},
        [[[[[]]]]],
    ),
    *([float("nan")] * 4, [1e300] * 4, [10**400] * 4, {"name": {"a": 1}}, [{"id": []}], [True, 2, 3, 4]),
)
junk = st.sampled_from(JUNK)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*path, key))


def put(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], junk)
    return copy


@pytest.mark.parametrize("name", ["coco", "labelme", "label-studio", "imagefolder"])
@QUICK
@given(at=st.integers(0, 10_000), junk=junk)
def test_values_of_a_wrong_kind(name: str, at: int, junk: object, exports: dict[str, Path]) -> None:
    path = label_file(exports[name])
    first, *rest = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    document = json.loads(first)
    everywhere = list(places(document))
    broken = put(document, everywhere[at % len(everywhere)], junk)
    with changed(path, "\n".join([json.dumps(broken), *rest]).encode()):
        check(exports[name], name)


@QUICK
@given(junk=junk, key=st.sampled_from(["names", "kpt_shape", "kpt_names", "path"]))
def test_a_yolo_file_of_a_wrong_kind(junk: object, key: str, exports: dict[str, Path]) -> None:
    path = exports["yolo"] / "data.yaml"
    document = {"names": ["mask"], "kpt_shape": [5, 3], "kpt_names": list("abcde"), key: junk}
    with changed(path, json.dumps(document).encode()):
        check(exports["yolo"], "yolo")


@QUICK
@given(data=st.binary(max_size=300))
def test_an_archive_of_anything(data: bytes, exports: dict[str, Path]) -> None:
    path = exports["kaggle-npz"] / "face_images.npz"
    whole = path.read_bytes()
    at = len(data) * 7 % len(whole)
    for broken in (data, b"PK\x03\x04" + data, whole[:at] + data + whole[at + len(data) :], whole[:at]):
        with changed(path, broken):
            check(exports["kaggle-npz"], "kaggle-npz")


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><annotation>&b;</annotation>'
STEAL = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'


@pytest.mark.parametrize("text", [BOMB, STEAL, '<!DOCTYPE a SYSTEM "http://host/a.dtd"><annotation/>'])
def test_xml_with_a_document_type_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(DataError, match=r"a\.xml:1: expected XML without a document type"):
        import_labels(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("a.xml", "<annotation>" + "<x>" * 5000, "at most 60 levels"),
        ("a.xml", "<annotation>\n<object>\n</annotation>", r"a\.xml:3: expected XML, got: mismatched tag"),
        ("a.xml", '<?xml version="1.0" encoding="klingon"?><annotation/>', "expected XML, got"),
        ("a.json", "[" * 100_000, "expected JSON"),
        ("a.json", '{"a": NaN}', "NaN is no JSON number"),
        ("a.json", "[\n1" + "0" * 5000 + "]", "expected JSON"),
        ("data.yaml", "names: [a\nb: ]", r"data\.yaml:2: expected YAML"),
        ("data.yaml", "names: !!python/object/apply:os.system [ls]", "names: expected a list of class names|found none"),
        ("data.yaml", "[" * 3000, "expected YAML of at most 60 levels"),
        ("data.yaml", "- " * 3000, "expected YAML, got"),
        ("data.yaml", "x: " + "a" * 210_000, "at most 0.2 MB of YAML"),
        ("a.csv", "file_name,x1,y1,x2,y2,x1\n", r"a\.csv:1: expected different column names"),
        ("a.csv", "file_name,x1,y1,x2,y2\na.png,1,2\n", r"a\.csv:2: expected 5 cells as in the head, got 3"),
        ("a.csv", 'file_name,x1,y1,x2,y2\n"a.png,1,2,3,4\n', r"a\.csv:2: expected CSV"),
        ("a.csv", "file_name,x1,y1,x2,y2\na.png,1,2,3,four\n", r"a\.csv:2: box: expected 4 finite numbers"),
        ("a.csv", "file_name,x1,y1,x2,y2\na.png,9,2,3,4\n", r"a\.csv:2: box: expected x1 < x2"),
        ("a.csv", "file_name,x1,y1,x2,y2,ignore\na.png,1,2,3,4,perhaps\n", r"a\.csv:2: ignore: expected 1 or 0"),
        ("a.csv", "file_name,xmin,ymin,xmax,ymax,x1\na.png,1,2,3,4,5\n", r"a\.csv:1: expected each column once"),
        ("l.txt", "a.png\n1\n1 2 3 4\nb.png\nmany\n", r"l\.txt:5: expected the number of faces of 'b\.png', got 'many'"),
        ("l.txt", "a.png\n3\n1 2 3 4\n", r"l\.txt:3: expected 3 faces"),
        ("l.txt", "a.png\n1\n1 2 3 4 7 0 0 0 0 0\n", r"l\.txt:3: blur: expected 0 to 2, got 7"),
        ("l.txt", "a.png\n2\n1 2 3 4\n1 2 3 4 5\n", r"l\.txt:4: expected x y width height and blur"),
        ("classes.txt", "\n", r"classes\.txt:1: expected the names of the classes"),
        ("a.json", "\ud800".encode("utf-8", "surrogatepass"), "expected UTF-8 text, got the byte 0xed"),
    ],
)
def test_a_fault_is_named(file: str, text: str | bytes, message: str, tmp_path: Path) -> None:
    Image.new("RGB", (50, 50)).save(tmp_path / "a.png")
    (tmp_path / file).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(DataError, match=message):
        import_labels(tmp_path, attribute="mask")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.5", r"a\.txt:2: expected class x y width height \(5 numbers\), got 4 words"),
        ("0 0.5 0.5 0.5 0.5 0.9", "keypoints need kpt_shape and kpt_names"),
        ("1 0.5 0.5 0.5 0.5", "expected a class from 0 to 0, got 1"),
        ("0.5 0.5 0.5 0.5 0.5", "expected a class from 0 to 0"),
        ("0 50 50 20 20", "expected shares of the picture from 0 to 1, got '0 50 50 20 20'; divide pixels"),
        ("0 -0.5 0.5 0.5 0.5", "expected shares of the picture"),
        ("0 nan 0.5 0.5 0.5", "expected 5 finite numbers"),
    ],
)
def test_a_wrong_yolo_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.new("RGB", (50, 50)).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text("0 0.5 0.5 0.5 0.5\n" + (line if name == "a" else ""))
    (tmp_path / "classes.txt").write_text("face\n")
    found = import_labels(tmp_path)
    assert [sample.name for sample in found] == ["b.png"], "the picture with the fault is left out whole"
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(str(found.rejected[0]))


def test_what_is_no_picture_is_rejected(exports: dict[str, Path]) -> None:
    for name in ("coco", "yolo", "voc", "labelme", "label-studio", "cvat", "csv", "wider", "imagefolder", "class-folders"):
        path = next(exports[name].rglob("*a*.png"))
        with changed(path, b"no picture"):
            found = import_labels(exports[name], name, attribute="mask")
        assert len(found) == len(found.rejected) == 1, name
        assert "expected a picture" in found.rejected[0].reason
