from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import numpy as np
import pytest
import tiny_models as tiny

import mien
from mien import pipeline
from mien.attributes import ATTRIBUTES, Attribute
from mien.errors import InputError, ModelError, SourceError
from mien.filters.preset import Preset
from mien.media.read import read
from mien.media.sources import Photos
from mien.media.write import write
from mien.models.faces import FaceModel, Rotate
from mien.models.settings import FAST_LONG_SIDE, FaceOptions, Options
from mien.models.store import shipped
from mien.pipeline import Prediction, Settings, faces_stage, filter_stage, matte_stage, run, run_batch, to_json
from mien.types import KEYPOINT_NAMES, Faces, Failure, Frame

FACE = Faces([[10.004, 20, 50.5, 71.239]], [0.98765], [[[20, 30], [40.126, 30], [30, 45], [22, 60], [-0.001, 60]]])


class FakeModel:
    """Finds the face `FACE` in every picture that is not black, none in black ones, and fails on white ones."""

    card = SimpleNamespace(attributes=())

    def __call__(self, image: np.ndarray) -> Faces:
        if image.min() == 255:
            raise ModelError("the model cannot do this one")
        return FACE if image.max() > 0 else Faces.none()


def picture(level: int, width: int = 90, height: int = 80) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Puts the fake model in place of the shipped one; the list holds the settings it was asked for with."""
    asked: list[Settings] = []
    monkeypatch.setattr(pipeline, "face_model", lambda settings: (asked.append(settings), FakeModel())[1])
    monkeypatch.setattr(pipeline, "attribute_model", lambda settings: FakeReader())
    return asked


class FakeReader:
    """Reads nothing."""

    attributes: dict[str, Attribute] = {}  # noqa: RUF012

    def __call__(self, image: np.ndarray, faces: Faces) -> Faces:
        return faces


class Stream:
    is_batch = False

    def __init__(self, count: int) -> None:
        self.count, self.is_closed = count, False

    def __iter__(self) -> Iterator[Frame | Failure]:
        for index in range(self.count):
            yield Frame(picture(100), source="camera", index=index, time_s=index / 25)

    def close(self) -> None:
        self.is_closed = True


def failing_at(index: int, error: Exception) -> Callable[[Frame], Frame]:
    def shaky(frame: Frame) -> Frame:
        if frame.index == index:
            raise error
        return frame

    return shaky


def test_every_frame_comes_out_once_in_order_and_the_source_is_closed() -> None:
    source = Stream(5)
    results = list(run(source, [faces_stage(FakeModel()), lambda frame: replace(frame, time_s=frame.time_s * 2)]))
    assert [result.index for result in results if isinstance(result, Frame)] == list(range(5))
    assert all(isinstance(result, Frame) and result.faces is FACE for result in results)
    assert results[4].time_s == pytest.approx(8 / 25)
    assert source.is_closed


@pytest.mark.parametrize(("error", "kind"), [(SourceError("no light"), SourceError), (ValueError("odd"), mien.MienError)])
def test_a_failing_stage_ends_a_stream_with_its_name_and_frame(error: Exception, kind: type[Exception]) -> None:
    source = Stream(5)
    results = run(source, [failing_at(3, error)])
    with pytest.raises(kind, match=f"camera: frame 3: stage 'shaky' failed: .*{error}"):
        list(results)
    assert source.is_closed


def test_leaving_early_closes_the_source() -> None:
    source = Stream(5)
    results = run(source, [])
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert source.is_closed


def test_in_a_batch_one_bad_picture_leaves_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def shaky(frame: Frame) -> Frame:
        if frame.image[0, 0, 0] == 7:
            raise ZeroDivisionError("seven")
        return frame

    with caplog.at_level(logging.WARNING, "mien"):
        photos = Photos([picture(1), b"junk", picture(255), picture(7), picture(2)])
        results = list(run(photos, [faces_stage(FakeModel()), shaky]))
    assert [type(result) for result in results] == [Frame, Failure, Failure, Failure, Frame]
    bytes_failure, model_failure, stage_failure = results[1:4]
    assert (bytes_failure.kind, bytes_failure.source) == ("input", "<bytes>")
    assert (model_failure.kind, model_failure.message) == ("model", "<array>: the model cannot do this one")
    assert (stage_failure.kind, stage_failure.message) == ("error", "<array>: ZeroDivisionError: seven")
    assert "stage 'shaky' failed" in caplog.text
    assert "Traceback" in caplog.text


def test_json_has_its_keys_in_order_and_is_rounded() -> None:
    attributes = {"smile": np.array([[0.25, 0.75]], np.float32), "age": np.array([[np.nan, 1]], np.float32)}
    frame = Frame(picture(9), source="a/ü.jpg", faces=FACE.with_attributes(**attributes))
    row = to_json(frame)
    assert list(row) == ["version", "source", "width", "height", "faces", "error"]
    assert (row["version"], row["source"], row["width"], row["height"], row["error"]) == (1, "a/ü.jpg", 90, 80, None)
    (face,) = row["faces"]
    assert list(face) == ["box", "score", "keypoints", "attributes"]
    assert face["box"] == [10.0, 20.0, 50.5, 71.24]
    assert face["score"] == 0.9877 or face["score"] == 0.9876
    assert list(face["keypoints"]) == list(KEYPOINT_NAMES)
    assert face["keypoints"]["right_eye"] == [40.13, 30.0]
    assert face["attributes"] == {"smile": {"answer": "no_smile", "scores": {"smile": 0.25, "no_smile": 0.75}}, "age": None}
    text = json.dumps(row, allow_nan=False)
    assert "-0.0" not in text
    assert json.loads(text) == row


def test_json_of_a_failure_and_of_what_is_not_known() -> None:
    failed = to_json(Failure("x.jpg", "input", "x.jpg: no such file"))
    assert failed == {
        "version": 1,
        "source": "x.jpg",
        "width": None,
        "height": None,
        "faces": [],
        "error": {"kind": "input", "message": "x.jpg: no such file"},
    }
    unknown = replace(FACE, keypoints=np.full((1, 5, 2), np.nan))
    assert to_json(Frame(picture(9), faces=unknown))["faces"][0]["keypoints"]["nose"] is None
    assert to_json(Frame(picture(9)))["faces"] == []


def test_analyze_one_picture(fake: list[Settings], tmp_path: Path) -> None:
    path = write(picture(60), tmp_path / "a.png")
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), picture(60)):
        found = mien.analyze(source)
        assert isinstance(found, Prediction)
        assert (found.width, found.height, len(found.faces), found.error) == (90, 80, 1, None)
        assert found.draw().shape == (80, 90, 3)
        assert not np.array_equal(found.draw(), picture(60))
    assert mien.analyze(path).source == str(path)
    options: FaceOptions = {"model": "faces", "min_score": 0.25, "fast": True, "device": "cuda", "threads": 3}
    mien.analyze(path, **options)
    assert fake[-1] == Settings(**options)
    options = {
        "attribute_model": "mine.onnx",
        "with_": ("age",),
        "min_size": 12.5,
        "max_faces": 3,
        "tile": 320,
        "rotate": "auto",
    }
    mien.analyze([path], workers=2, **options)
    assert fake[-1] == Settings(**options)
    with pytest.raises(TypeError, match="min_scor"):
        mien.analyze(path, min_scor=0.5)  # type: ignore[call-overload]


def test_options_are_the_settings() -> None:
    kinds = get_type_hints(Settings, localns={"Rotate": Rotate})
    assert get_type_hints(Options, localns={"Rotate": Rotate}) == kinds
    assert set(kinds) - set(get_type_hints(FaceOptions, localns={"Rotate": Rotate})) == {"matte_model"}


def test_analyze_raises_for_one_bad_picture(fake: list[Settings]) -> None:
    with pytest.raises(InputError, match=r"gone.jpg: no such file"):
        mien.analyze("gone.jpg")
    with pytest.raises(ModelError):
        mien.analyze(picture(255))


def test_analyze_a_list_keeps_the_order_and_the_errors(fake: list[Settings], tmp_path: Path) -> None:
    path = write(picture(60), tmp_path / "a.png")
    found = mien.analyze([path, "gone.jpg", picture(0), path.read_bytes(), io.BytesIO(path.read_bytes())])
    assert [len(one.faces) for one in found] == [1, 0, 0, 1, 1]
    assert [one.error is None for one in found] == [True, False, True, True, True]
    assert found[1].to_json()["error"] == {"kind": "input", "message": "gone.jpg: no such file"}
    assert [one.draw().shape for one in found if one.error is None] == [(80, 90, 3)] * 4
    assert found[0].picture == path
    with pytest.raises(InputError, match="nothing to draw on"):
        found[1].draw()
    write(picture(60, width=30), path)
    with pytest.raises(InputError, match="has changed since"):
        found[0].draw()
    assert mien.analyze([]) == []
    assert len(mien.analyze((path,))) == 1


def level_of(image: np.ndarray) -> Faces:
    """A face whose box tells the picture's grey level, after a while that differs from picture to picture."""
    level = int(image[0, 0, 0])
    if level == 13:
        raise ModelError("thirteen")
    time.sleep(0.02 * (level % 3 == 0))
    return Faces([[level, 0, 90, 80]], [0.5], np.zeros((1, 5, 2)))


@pytest.mark.parametrize("workers", [None, 1, 2, 3, 16])
def test_a_batch_is_the_same_with_any_number_of_workers(workers: int | None, tmp_path: Path) -> None:
    paths = [write(picture(level), tmp_path / f"{level}.png") for level in range(6)]
    photos = [*paths, "gone.jpg", picture(13), *map(picture, range(20, 40)), b"junk", paths[0].read_bytes()]
    rows = [to_json(result) for result in run_batch(photos, [faces_stage(level_of)], workers=workers)]
    assert rows == [to_json(result) for result in run(Photos(photos), [faces_stage(level_of)])]
    assert [row["faces"][0]["box"][0] if row["faces"] else row["error"]["kind"] for row in rows] == [
        *(*range(6), "input", "model", *range(20, 40), "input", 0)
    ]


def test_workers_work_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=20)

    def meet(image: np.ndarray) -> Faces:
        meeting.wait()
        return Faces.none()

    results = list(run_batch([picture(level) for level in range(6)], [faces_stage(meet)], workers=3))
    assert [type(result) for result in results] == [Frame] * 6


@pytest.mark.parametrize("workers", [1, 3])
def test_a_batch_holds_few_pictures(workers: int) -> None:
    started = []

    def note(frame: Frame) -> Frame:
        started.append(frame)
        return frame

    results = run_batch([picture(level) for level in range(30)], [note], workers=workers)
    for taken, _ in enumerate(results, 1):
        time.sleep(0.005)
        assert len(started) <= taken + workers + 1
    assert len(started) == 30


def test_leaving_a_batch_early_ends_its_threads() -> None:
    before = threading.active_count()
    results = run_batch([picture(level) for level in range(30)], [faces_stage(level_of)], workers=4)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_open_files_are_read_one_after_another(tmp_path: Path) -> None:
    """As the members of an archive are, which share one position in its file."""
    content = write(picture(7), tmp_path / "a.png").read_bytes()
    busy = threading.Lock()

    class Member(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert busy.acquire(blocking=False), "read by two threads at the same time"
            time.sleep(0.01)
            busy.release()
            return super().read(size)

    results = run_batch([Member(content) for _ in range(8)], [faces_stage(level_of)], workers=4)
    assert [to_json(result)["faces"][0]["box"][0] for result in results] == [7] * 8


@pytest.mark.parametrize("workers", [0, -1])
def test_wrong_workers(workers: int) -> None:
    with pytest.raises(InputError, match="workers: expected at least 1"):
        run_batch([picture(1)], [], workers=workers)


@pytest.mark.parametrize(
    "options",
    [
        *({}, {"min_score": 0.2}, {"min_size": 9}, {"max_faces": 1}, {"tile": True}, {"tile": 32}),
        {"rotate": "all", "min_score": 0.0},
    ],
)
def test_a_file_its_bytes_its_pixels_and_lists_of_them_give_one_answer(options: FaceOptions, tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "tiny.onnx", tiny.build(tiny.WRITTEN_FACES), tiny.card("faces"))
    image = tiny.written(64, 48, [(3, 4, 20, 30, 0.6), (1, 1, 9, 9, 0.3), (25, 6, 45, 36, 0.95)])
    path = write(image, tmp_path / "a.png")
    sources = [path, str(path), path.read_bytes(), image]
    one = mien.analyze(path, model=model, **options).to_json()
    assert one["faces"]
    for workers in (None, 1, 3):
        found = [mien.analyze(source, model=model, **options) for source in sources]
        found += mien.analyze(sources, model=model, workers=workers, **options)
        assert [prediction.to_json()["faces"] for prediction in found] == [one["faces"]] * 8


def test_settings_share_what_they_load(tmp_path: Path) -> None:
    model = tiny.save(tmp_path / "tiny.onnx", tiny.build(tiny.WRITTEN_FACES), tiny.card("faces"))
    first = pipeline.face_model(Settings(model=model))
    assert pipeline.face_model(Settings(model=model, min_score=0.2, tile=64)).session is first.session
    assert pipeline.face_model(Settings(model=model, threads=2)).session is not first.session


def test_filter_saves_what_it_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def half(image: np.ndarray) -> np.ndarray:
        matte = np.zeros(image.shape[:2], np.float32)
        matte[:, : image.shape[1] // 2] = 1
        return matte

    monkeypatch.setattr(pipeline, "face_model", lambda settings: FakeModel())
    monkeypatch.setattr(pipeline, "matte_model", lambda settings: half)
    cut = mien.filter(picture(60), "transparent")
    assert cut.image.shape == (80, 90, 3)
    assert cut.alpha is not None
    assert cut.alpha[:, :44].min() == 255
    assert cut.alpha[:, 46:].max() == 0
    again = read(cut.save(tmp_path / "cut.png"))
    assert again.alpha is not None
    assert np.array_equal(again.alpha, cut.alpha)
    poster = mien.filter(picture(60), seed=1)
    assert poster.alpha is None
    assert poster.save(tmp_path / "poster.jpg").stat().st_size > 1000


def test_filter_stage_refuses_a_wrong_background_before_any_work() -> None:
    with pytest.raises(InputError, match="background 'transparnt'"):
        filter_stage(Preset("transparnt"))
    with pytest.raises(InputError, match="seed"):
        filter_stage(Preset(seed=-1))
    with pytest.raises(InputError, match="expected a matte"):
        filter_stage(Preset("transparent"))(Frame(picture(3)))


def test_matte_stage_keeps_the_rest() -> None:
    frame = Frame(picture(3), source="a", faces=FACE)
    result = matte_stage(lambda image: np.ones(image.shape[:2], np.float32))(frame)
    assert result.faces is FACE
    assert result.matte is not None
    assert result.matte.shape == (80, 90)


def test_an_unknown_model_is_one_line() -> None:
    with pytest.raises(ModelError, match="no shipped model is called 'face'"):
        mien.analyze(picture(3), model="face")
    with pytest.raises(ModelError):
        mien.analyze(picture(3), model="missing/model.onnx")


@pytest.mark.skipif("faces" not in shipped(), reason="the face model's weights are not in this checkout")
def test_the_shipped_face_model_end_to_end() -> None:
    photo = Path(pipeline.__file__).parent / "learn" / "astronaut.png"
    found = mien.analyze(photo)
    row = found.to_json()
    json.dumps(row, allow_nan=False)
    assert (row["width"], row["height"]) == (found.width, found.height)
    assert all(0 <= face["score"] <= 1 for face in row["faces"])
    assert mien.analyze([photo, photo])[1].to_json() == row
    assert mien.analyze(read(photo).image).to_json()["faces"] == row["faces"]
    fewer = mien.analyze(photo, min_score=0.99)
    assert len(fewer.faces) <= len(found.faces)
    assert pipeline.face_model(Settings()).session is pipeline.face_model(Settings(min_score=0.2, tile=True)).session


@pytest.mark.skipif("faces" not in shipped(), reason="the face model's weights are not in this checkout")
def test_a_fast_look_has_a_least_score_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    image = read(Path(pipeline.__file__).parent / "learn" / "astronaut.png").image
    shared = pipeline.face_model(Settings())
    assert 0.3 < shared.card.thresholds["fast"] < 1
    monkeypatch.setitem(shared.card.thresholds, "fast", 0.02)  # type: ignore[arg-type]
    counts = {}
    for name, settings in {
        "fast": Settings(fast=True),
        "asked": Settings(fast=True, min_score=0.3),
        "usual": Settings(),
    }.items():
        counts[name] = len(pipeline.face_model(settings)(image))
    assert counts["fast"] == len(FaceModel(long_side=FAST_LONG_SIDE, min_score=0.02)(image)) > 1
    assert counts["asked"] == len(FaceModel(long_side=FAST_LONG_SIDE, min_score=0.3)(image)) < counts["fast"]
    assert counts["usual"] == 1


@pytest.mark.skipif(not {"faces", "matte"} <= shipped().keys(), reason="the models' weights are not in this checkout")
def test_the_shipped_models_cut_out_and_poster() -> None:
    photo = Path(pipeline.__file__).parent / "learn" / "astronaut.png"
    cut = mien.filter(photo, "transparent")
    assert cut.image.shape == read(photo).image.shape
    assert cut.alpha is not None
    assert mien.filter(photo).image.shape in ((1350, 1080, 3), (1080, 1350, 3))


def test_the_reference_page_shows_the_form_that_is_written() -> None:
    page = (Path(__file__).parent.parent / "docs" / "reference" / "json.md").read_text("utf-8")
    shown = [json.loads(block.split("```")[0]) for block in page.split("```json")[1:]]
    (face,) = shown[0]["faces"]
    columns = {
        "landmarks68": [face["landmarks68"][0] + face["landmarks68"][1] + face["landmarks68"][2]],
        "pose": [list(face["pose"].values())],
        "quality": [[face["quality"][part] for part in ATTRIBUTES["quality"].parts]],
        "smile": [[0.9124, 0.0876]],
        "mask": [[0.4411, 0.1207, 0.4382]],
        "age": [[31.42, 4.2]],
    }
    arrays = {name: np.array(column, np.float32) for name, column in columns.items()}
    known = {
        "landmarks68": Attribute("landmarks68", "Where?", points=3),
        "mask": replace(ATTRIBUTES["mask"], abstain_below=0.5),
    }
    faces = Faces([face["box"]], [face["score"]], [list(face["keypoints"].values())], attributes=arrays)
    frame = Frame(np.zeros((960, 1280, 3), np.uint8), source="holiday/beach.jpg", faces=faces)
    error = shown[1]["error"]
    for written, example in zip((to_json(frame, known), to_json(Failure(shown[1]["source"], **error))), shown, strict=True):
        assert json.dumps(written) == json.dumps(example)
