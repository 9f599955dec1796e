from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien.data.sample import faces_of, read_imagefolder, read_parquet, read_samples, write_imagefolder
from mien.errors import DataError


def folder_with(tmp_path: Path, *lines: object) -> Path:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (tmp_path / "metadata.jsonl").write_text(text)
    return tmp_path


def test_an_imagefolder_is_read(painted: Path) -> None:
    samples = read_samples(painted)
    assert len(samples) == 24
    assert sum(sample.is_empty for sample in samples) == 8
    assert len(faces_of(samples)) == 24
    assert samples[0].image().shape == (96, 128, 3)
    assert samples[0].matte_image().max() == 255
    assert samples[20].matte_image().max() == 0
    left, right = samples[0].faces[0].keypoints[:2]
    assert left[0] > right[0], "the subject's left eye is on the right of the picture"


def test_a_written_copy_reads_the_same(painted: Path, tmp_path: Path) -> None:
    samples = read_samples(painted)
    write_imagefolder(samples, tmp_path / "copy")
    for sample, again in zip(samples, read_samples(tmp_path / "copy"), strict=True):
        assert (sample.image() == again.image()).all()
        assert (sample.matte_image() == again.matte_image()).all()
        assert again.is_empty == sample.is_empty
        for face, other in zip(sample.faces or (), again.faces or (), strict=True):
            assert other.box == pytest.approx(face.box, abs=0.01)
            assert other.keypoints == pytest.approx(face.keypoints, abs=0.01)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "one JSON object a line"),
        ("[]", "object with file_name"),
        ({"file_name": "a.png", "faces": 3}, "faces: expected a list"),
        ({"file_name": "a.png", "faces": [{"box": [1, 2, 3]}]}, "box: expected 4 finite numbers"),
        ({"file_name": "a.png", "faces": [{"box": [3, 2, 1, 5]}]}, "x1 < x2"),
        ({"file_name": "a.png", "faces": [{"box": [0, 0, 1, float("nan")]}]}, "finite"),
        ({"file_name": "a.png", "faces": [{"box": [0, 0, 1, 1], "keypoints": {"nose": [1]}}]}, "nose: expected 2"),
        ({"file_name": "../a.png"}, "inside"),
        ({"file_name": "/etc/hostname"}, "inside"),
        ({"file_name": "a.png", "matte": "../../b.png"}, "inside"),
        ({"file_name": ["a"]}, "inside"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_imagefolder(folder_with(tmp_path, {"file_name": "fine.png"}, line))
    assert "metadata.jsonl:2" in str(caught.value)


def test_places_without_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found nothing there"):
        read_samples(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"metadata\.jsonl"):
        read_samples(tmp_path)
    with pytest.raises(DataError, match="at least one"):
        read_samples(folder_with(tmp_path, ""))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.recursive(st.none() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)), st.text())
def test_readers_raise_nothing_but_data_errors(tmp_path: Path, junk: object, line: str) -> None:
    row = {"file_name": "a.png", "faces": [{"box": junk, "keypoints": junk}, junk], "matte": junk, "group": junk}
    for bad in (row, {"file_name": junk}, line):
        with contextlib.suppress(DataError):
            read_imagefolder(folder_with(tmp_path, bad))


def test_parquet_rows_are_faces(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = [
        {"image": {"bytes": b"x", "path": "a.jpg"}, "box": [1.0, 2.0, 9.0, 9.0], "nose": [4.0, 5.0], "person": "ann"},
        {"image": {"bytes": b"y", "path": None}, "box": None, "nose": None, "person": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "crops.parquet")
    first, second = read_samples(tmp_path / "crops.parquet")
    assert first.is_crop
    assert first.group == "ann"
    assert first.faces[0].keypoints[2].tolist() == [4.0, 5.0]
    assert np.isnan(first.faces[0].keypoints[0]).all()
    assert second.faces is None
    assert second.name == "2"


def test_a_broken_parquet_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(DataError, match="expected a Parquet file"):
        read_parquet(tmp_path / "bad.parquet")
