"""Model files: what is refused, what is read, and that a shrunk picture gives the answers of the whole one."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import tiny_models as tiny
from onnx import TensorProto, helper, numpy_helper
from test_tiles import Detector, chart

from mien.card import GoldenVector
from mien.errors import InputError, ModelError
from mien.geometry import iou, transform_boxes, turn_boxes, turn_points, turned_canvas
from mien.media.read import read
from mien.models import onnx_file, store
from mien.models.faces import FaceModel
from mien.models.matte import MatteModel
from mien.models.onnx_file import read_onnx
from mien.models.session import ModelSession
from mien.models.tiles import tile_regions
from mien.types import Faces


def identity(*nodes: onnx.NodeProto, opset: int = 20, ir_version: int = 10, **parts: object) -> onnx.ModelProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])
    graph = helper.make_graph(list(nodes) or [helper.make_node("Identity", ["x"], ["y"])], "g", [value], [out], **parts)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


@pytest.fixture
def faces_file(tmp_path: Path) -> Path:
    return tiny.save(tmp_path / "tiny.onnx", tiny.build(tiny.WRITTEN_FACES), tiny.card("faces"))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models with two in it."""
    folder = tmp_path / "weights"
    folder.mkdir()
    image = tiny.written(64, 48, [(3, 4, 20, 30, 0.9)])
    model = tiny.build(tiny.WRITTEN_FACES)
    draft = tiny.save(folder / "faces.onnx", model, tiny.card("faces"))
    answers = ModelSession(draft).run({"image": image, "min_score": 0.25})
    golden = [GoldenVector(image, answers, dict.fromkeys(answers, 1e-3), {"min_score": 0.25})]
    tiny.save(draft, model, tiny.card("faces", name="faces"), golden)
    tiny.save(folder / "matte.onnx", tiny.build(tiny.RED_MATTE), tiny.card("matte", name="matte"), [])
    monkeypatch.setattr(store, "WEIGHTS", folder)
    return folder


class TestFile:
    def test_what_it_declares(self, faces_file: Path) -> None:
        file = read_onnx(faces_file)
        assert file.sha256 == hashlib.sha256(faces_file.read_bytes()).hexdigest()
        assert file.card == tiny.card("faces")
        assert file.settings == {"min_score": 0.5, "max_overlap": 1.0, "max_faces": 100}
        assert file.golden == []

    @pytest.mark.parametrize("value", [np.float32(0.25), np.int64(640), np.int64(-3)])
    def test_settings_in_any_encoding(self, tmp_path: Path, value: np.generic) -> None:
        kind = TensorProto.FLOAT if value.dtype == np.float32 else TensorProto.INT64
        for tensor in (numpy_helper.from_array(np.asarray(value), "s"), helper.make_tensor("s", kind, [], [value.item()])):
            model = identity(initializer=[tensor])
            model.graph.input.append(helper.make_tensor_value_info("s", kind, []))
            assert read_onnx(tiny.save(tmp_path / "a.onnx", model)).settings == {"s": value.item()}

    def test_only_scalar_inputs_are_settings(self, tmp_path: Path) -> None:
        tensors = [numpy_helper.from_array(np.ones(2, np.float32), "row"), numpy_helper.from_array(np.float32(1), "inner")]
        model = identity(initializer=tensors)
        model.graph.input.append(helper.make_tensor_value_info("row", TensorProto.FLOAT, [2]))
        assert read_onnx(tiny.save(tmp_path / "a.onnx", model)).settings == {}

    def test_every_place_a_tensor_can_be_is_looked_at(self) -> None:
        """The map of the walk against the real definition of the format."""
        kinds = {
            "ModelProto": "model",
            "TrainingInfoProto": "training",
            "FunctionProto": "function",
            "GraphProto": "graph",
            "NodeProto": "node",
            "AttributeProto": "attribute",
            "SparseTensorProto": "sparse",
            "TensorProto": "tensor",
        }
        descriptors = {name: getattr(onnx, name).DESCRIPTOR for name in kinds}
        for name, descriptor in descriptors.items():
            children = {
                field.number: kinds[field.message_type.name]
                for field in descriptor.fields
                if field.message_type is not None and field.message_type.name in kinds
            }
            assert onnx_file._CHILDREN[kinds[name]] == children, name
            others = {field.message_type for field in descriptor.fields if field.message_type is not None}
            for other in (one for one in others if one.name not in kinds):
                inner = {field.message_type.name for field in other.fields if field.message_type is not None}
                assert not inner & set(kinds), f"{other.name} holds {inner & set(kinds)}"

    @pytest.mark.parametrize("where", ["initializer", "attribute", "subgraph", "sparse", "function"])
    def test_weights_in_other_files_are_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
        monkeypatch.chdir(tmp_path)
        Path("secret.bin").write_bytes(np.arange(4, dtype="<f4").tobytes())
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="secret.bin")
        constant = helper.make_node("Constant", [], ["w"], value=tensor)
        if where == "initializer":
            model = identity(initializer=[tensor])
        elif where == "attribute":
            model = identity(constant, helper.make_node("Add", ["x", "w"], ["y"]))
        elif where == "subgraph":
            out = helper.make_tensor_value_info("w", TensorProto.FLOAT, [4])
            branch = helper.make_graph([constant], "b", [], [out])
            flag = helper.make_node("Constant", [], ["f"], value=numpy_helper.from_array(np.array(True)))
            model = identity(flag, helper.make_node("If", ["f"], ["y"], then_branch=branch, else_branch=branch))
        elif where == "sparse":
            model = identity()
            model.graph.sparse_initializer.add().values.CopyFrom(tensor)
        else:
            model = identity()
            model.functions.add(name="f", domain="d", output=["w"]).node.append(constant)
        path = tiny.save(tmp_path / "a.onnx", model)
        with pytest.raises(ModelError, match="weights in another file"):
            ModelSession(path)

    def test_external_data_hidden_behind_a_second_graph_field_is_refused(self, tmp_path: Path) -> None:
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
        first = identity(initializer=[tensor]).SerializeToString()
        (tmp_path / "a.onnx").write_bytes(first + onnx.ModelProto(graph=identity().graph).SerializeToString())
        with pytest.raises(ModelError, match="weights in another file"):
            read_onnx(tmp_path / "a.onnx")

    @pytest.mark.parametrize(
        "content",
        [b"", b"\x00", b"not a model at all", b"\x89PNG\r\n\x1a\n" + bytes(40), b"PK\x03\x04" + bytes(99), b"\x08\x0a" * 9],
    )
    def test_other_files_are_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.onnx").write_bytes(content)
        with pytest.raises(ModelError, match=r"a\.onnx: expected an ONNX file") as caught:
            ModelSession(tmp_path / "a.onnx")
        assert "\n" not in str(caught.value)

    def test_damaged_files_raise_nothing_but_model_errors(self, faces_file: Path) -> None:
        whole, rng = faces_file.read_bytes(), np.random.default_rng(0)
        broken = faces_file.with_name("broken.onnx")
        for trial in range(150):
            content = bytearray(whole[: rng.integers(len(whole))] if trial % 3 == 0 else whole)
            for place in rng.integers(0, max(1, len(content)), 3):
                content[place : place + 1] = bytes([rng.integers(256)])
            broken.write_bytes(bytes(content))
            assert "\n" not in self.complaint(broken)

    def complaint(self, path: Path) -> str:
        try:
            return read_onnx(path).card.name
        except ModelError as error:
            return str(error)

    def test_files_that_cannot_be_read(self, tmp_path: Path, faces_file: Path) -> None:
        with pytest.raises(ModelError, match="no such model file"):
            read_onnx(tmp_path / "none.onnx")
        with pytest.raises(ModelError, match="no file"):
            read_onnx(tmp_path)
        with pytest.raises(ModelError, match=r"expected at most 0\.001 MB"):
            read_onnx(faces_file, max_bytes=1000)
        with pytest.raises(ModelError, match="expected SHA-256 000"):
            read_onnx(faces_file, sha256="0" * 64)

    def test_endless_nesting_and_countless_fields_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        message = b"\x0a\x00"
        for _ in range(3000):  # graph -> node -> attribute -> graph ...
            for tag in (0x32, 0x2A, 0x0A):
                size = len(message)
                length = b""
                while size > 127:
                    length, size = length + bytes([size & 127 | 128]), size >> 7
                message = bytes([tag]) + length + bytes([size]) + message
            if len(message) > 20_000:
                break
        (tmp_path / "a.onnx").write_bytes(b"\x08\x0a\x3a" + b"\xff\x7f" + message)
        with pytest.raises(ModelError):
            read_onnx(tmp_path / "a.onnx")
        monkeypatch.setattr(onnx_file, "_MAX_FIELDS", 5)
        with pytest.raises(ModelError, match="at most 5 entries"):
            read_onnx(tiny.save(tmp_path / "b.onnx", tiny.build(tiny.RED_MATTE)))


class TestSession:
    def test_it_runs_and_takes_plain_numbers_as_settings(self, faces_file: Path) -> None:
        session = ModelSession(faces_file)
        image = tiny.written(64, 48, [(3, 4, 20, 30, 0.9), (1, 1, 9, 9, 0.3)])
        assert session.input_names == ("image",)
        assert session.output_names == ("boxes", "scores", "keypoints")
        assert session.provider == "CPUExecutionProvider"
        assert len(session.run({"image": image})["boxes"]) == 1
        assert len(session.run({"image": image, "min_score": 0.2})["boxes"]) == 2
        assert len(session.run({"image": image, "min_score": 0.2, "max_faces": 1})["boxes"]) == 1

    def test_wrong_feeds_are_input_errors(self, faces_file: Path) -> None:
        session, image = ModelSession(faces_file), tiny.written(64, 48, [])
        with pytest.raises(InputError, match=r"expected image, .*; got no image"):
            session.run({})
        with pytest.raises(InputError, match="got unknown picture"):
            session.run({"image": image, "picture": image})
        with pytest.raises(InputError, match="image: expected uint8, got float32"):
            session.run({"image": image.astype(np.float32)})
        with pytest.raises(InputError, match="on this input") as caught:
            session.run({"image": image[..., 0]})
        assert "\n" not in str(caught.value)

    def test_a_model_that_fails_is_a_model_error(self, faces_file: Path) -> None:
        with pytest.raises(ModelError, match="cannot run it on this input"):
            ModelSession(faces_file).run({"image": np.zeros((4, 5, 3), np.uint8)})  # 15 numbers are no rows of 6

    @pytest.mark.parametrize("changes", [{"opset": 999}, {"ir_version": 999}])
    def test_models_from_the_future_are_refused_in_one_line(self, tmp_path: Path, changes: dict[str, int]) -> None:
        path = tiny.save(tmp_path / "a.onnx", identity(**changes))
        with pytest.raises(ModelError, match="cannot load it") as caught:
            ModelSession(path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500

    def test_unknown_operators_are_model_errors(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="NoSuchOperator"):
            ModelSession(tiny.save(tmp_path / "a.onnx", identity(helper.make_node("NoSuchOperator", ["x"], ["y"]))))

    @pytest.mark.parametrize(
        "device", ["cuda", "openvino", "gpu", "", "TensorrtExecutionProvider", "AzureExecutionProvider"]
    )
    def test_an_absent_device_is_an_error_that_names_the_present_ones(self, faces_file: Path, device: str) -> None:
        import onnxruntime

        if device in ("cuda", "openvino") and len(onnxruntime.get_available_providers()) > 2:
            pytest.skip("this onnxruntime may have it")
        with pytest.raises(InputError, match=r"is not there; this onnxruntime offers: .*cpu"):
            ModelSession(faces_file, device=device)

    def test_a_runtime_that_falls_back_is_caught(self, faces_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import onnxruntime

        monkeypatch.setattr(
            onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
        )
        real = onnxruntime.InferenceSession
        monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *a, **_: real(a[0], providers=["CPUExecutionProvider"]))
        with pytest.raises(InputError, match="'cuda' could not be started, onnxruntime fell back to CPUExecutionProvider"):
            ModelSession(faces_file, device="cuda")

    @pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
    def test_threads_are_a_whole_number(self, faces_file: Path, threads: int) -> None:
        with pytest.raises(InputError, match="threads: expected a whole number from 1"):
            ModelSession(faces_file, threads=threads)

    def test_threads_share_one(self, faces_file: Path) -> None:
        model, wrong = FaceModel(faces_file), []

        def look(size: int) -> None:
            image = tiny.written(64, 48, [(1, 2, size, size + 1, 0.8)])
            for _ in range(40):
                if model(image).boxes.tolist() != [[1, 2, size, size + 1]]:
                    wrong.append(size)

        workers = [threading.Thread(target=look, args=(size,)) for size in range(10, 18)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert wrong == []

    def test_nothing_is_printed(self, faces_file: Path) -> None:
        code = f"from mien.models.faces import FaceModel; FaceModel({str(faces_file)!r})"
        root = Path(store.__file__).parents[2]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        assert "Initializer" not in done.stderr
        assert done.stdout == ""


class TestStore:
    def test_shipped_models_by_name(self, weights: Path) -> None:
        assert store.shipped() == {"faces": weights / "faces.onnx", "matte": weights / "matte.onnx"}
        assert store.model_path("matte") == weights / "matte.onnx"
        assert FaceModel().card.name == "faces"
        assert MatteModel().card.name == "matte"

    def test_an_unknown_name_gets_the_nearest(self, weights: Path) -> None:
        with pytest.raises(ModelError, match="shipped: faces, matte; did you mean 'faces'"):
            store.model_path("face")
        with pytest.raises(ModelError, match="shipped: faces, matte; or give the path"):
            store.model_path("zebra")

    def test_paths_are_paths(self, weights: Path) -> None:
        assert store.model_path("own.onnx") == Path("own.onnx")
        assert store.model_path("./faces") == Path("faces")
        assert store.model_path(Path("faces")) == Path("faces")

    def test_summary(self, weights: Path) -> None:
        line = store.summary("faces")
        assert (line.name, line.task, line.version, line.licence) == ("faces", "faces", "1.2.3", "Apache-2.0")
        assert line.size_bytes == (weights / "faces.onnx").stat().st_size
        assert line.sha256 == hashlib.sha256((weights / "faces.onnx").read_bytes()).hexdigest()

    def test_a_shipped_model_that_was_altered_is_refused(self, weights: Path) -> None:
        digest = store.summary("faces").sha256
        (weights / "SHA256SUMS").write_text(f"{digest}  faces.onnx\n{digest} *matte.onnx\n")
        assert store.check("faces")
        with pytest.raises(ModelError, match="expected SHA-256"):
            MatteModel()
        with pytest.raises(ModelError, match="expected SHA-256"):
            store.summary("matte")

    def test_check_runs_the_golden_vectors(self, weights: Path) -> None:
        rows = store.check("faces")
        assert [row.output for row in rows] == ["boxes", "scores", "keypoints"]
        assert all(row.is_ok and row.difference <= row.tolerance and row.name == "faces" for row in rows)

    @pytest.mark.parametrize("change", ["value", "shape", "name"])
    def test_check_tells_a_wrong_answer(self, weights: Path, change: str) -> None:
        (good,) = read_onnx(weights / "faces.onnx").golden
        outputs = dict(good.outputs)
        if change == "value":
            outputs["boxes"] = outputs["boxes"] + np.float32(2)
        elif change == "shape":
            outputs["boxes"] = outputs["boxes"][:0]
        else:
            outputs["angle"] = np.zeros(1, np.float32)
        golden = [good, GoldenVector(good.image, outputs, dict.fromkeys(outputs, 0.5), good.inputs)]
        tiny.save(weights / "faces.onnx", tiny.build(tiny.WRITTEN_FACES), tiny.card("faces"), golden)
        with pytest.raises(ModelError, match=r"1 of \d golden answers are wrong: (boxes|angle) of picture 1"):
            store.check("faces")
        assert [row.is_ok for row in store.golden_results("faces")].count(False) == 1

    def test_check_without_golden_vectors_is_no_pass(self, weights: Path) -> None:
        with pytest.raises(ModelError, match="expected golden vectors"):
            store.check("matte")

    def test_the_wrong_task_is_refused(self, weights: Path) -> None:
        with pytest.raises(ModelError, match="expected a model for 'faces', got one for 'matte'"):
            FaceModel("matte")
        with pytest.raises(ModelError, match="expected a model for 'matte', got one for 'faces'"):
            MatteModel(weights / "faces.onnx")

    def test_a_card_that_promises_what_the_graph_has_not_is_refused(self, tmp_path: Path) -> None:
        path = tiny.save(tmp_path / "a.onnx", tiny.build(tiny.RED_MATTE), tiny.card("faces"))
        with pytest.raises(ModelError, match="to boxes, scores, keypoints, got image to matte"):
            FaceModel(path)

    def test_a_model_without_a_card_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="expected a model with a card"):
            FaceModel(tiny.save(tmp_path / "a.onnx", tiny.build(tiny.WRITTEN_FACES)))


WRONG_IMAGES = [
    np.zeros((4, 6), np.uint8),
    np.zeros((4, 6, 4), np.uint8),
    np.zeros((0, 6, 3), np.uint8),
    np.zeros((4, 6, 3), np.float32),
    np.zeros((1, 4, 6, 3), np.uint8),
    [[[0, 0, 0]]],
    None,
]


class TestFaces:
    def test_settings_go_into_the_graph(self, faces_file: Path) -> None:
        image = tiny.written(64, 48, [(3, 4, 20, 30, 0.6), (1, 1, 9, 9, 0.3), (5, 6, 25, 36, 0.95)])
        assert FaceModel(faces_file)(image).scores == pytest.approx([0.95, 0.6], abs=0.002)
        assert len(FaceModel(faces_file, min_score=0.2)(image)) == 3
        assert len(FaceModel(faces_file, min_score=0.2, max_faces=1)(image)) == 1
        assert len(FaceModel(faces_file)(np.zeros((5, 6, 3), np.uint8))) == 0

    def test_a_setting_that_the_model_has_not_is_refused(self, faces_file: Path) -> None:
        with pytest.raises(ModelError, match="no setting long_side"):
            FaceModel(faces_file, long_side=320)

    @pytest.mark.parametrize(
        "setting",
        [
            *({"min_score": 1.5}, {"min_score": float("nan")}, {"long_side": 0}, {"long_side": 64.5}),
            *(
                {"max_faces": 0},
                {"max_faces": 2.5},
                {"min_size": -1},
                {"min_size": float("nan")},
                {"min_size": float("inf")},
            ),
            *({"tile": 31}, {"tile": -640}, {"tile": 99.5}, {"tile": "yes"}, {"rotate": "90"}, {"rotate": True}),
        ],
    )
    def test_wrong_settings(self, faces_file: Path, setting: dict[str, float]) -> None:
        with pytest.raises(InputError, match=f"{next(iter(setting))}: expected"):
            FaceModel(faces_file, **setting)

    def test_small_faces_are_left_out_before_the_best_are_taken(self, faces_file: Path) -> None:
        image = tiny.written(64, 48, [(3, 4, 13, 40, 0.95), (0, 0, 60, 11, 0.9), (5, 6, 25, 36, 0.8), (1, 1, 13, 13, 0.7)])
        assert FaceModel(faces_file, min_size=10)(image).scores == pytest.approx([0.95, 0.9, 0.8, 0.7], abs=0.002)
        assert FaceModel(faces_file, min_size=10.5)(image).scores == pytest.approx([0.9, 0.8, 0.7], abs=0.002)
        best = FaceModel(faces_file, min_size=12, max_faces=1)(image)
        assert best.boxes.tolist() == [[5, 6, 25, 36]]
        assert best.keypoints.shape == (1, 5, 2)
        assert len(FaceModel(faces_file, min_size=100)(image)) == 0

    def test_more_faces_than_the_models_own_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(tiny._SETTINGS, "max_faces", np.int64(2))
        path = tiny.save(tmp_path / "a.onnx", tiny.build(tiny.WRITTEN_FACES), tiny.card("faces"))
        image = tiny.written(64, 48, [(n, n, 20 + n, 30, 0.9) for n in range(5)])
        assert [len(FaceModel(path, max_faces=most)(image)) for most in (None, 1, 2, 4, 9)] == [2, 1, 2, 4, 5]

    def test_an_open_session_is_shared(self, faces_file: Path) -> None:
        first = FaceModel(faces_file)
        second = FaceModel(first.session, min_score=0.2)
        image = tiny.written(64, 48, [(3, 4, 20, 30, 0.6), (1, 1, 9, 9, 0.3)])
        assert second.session is first.session
        assert (len(first(image)), len(second(image))) == (1, 2)

    @pytest.mark.parametrize("image", WRONG_IMAGES)
    def test_wrong_pictures(self, faces_file: Path, image: object) -> None:
        with pytest.raises(InputError, match=r"image: expected \(H, W, 3\) uint8 RGB"):
            FaceModel(faces_file)(image)

    def test_limits_of_the_card_hold(self, tmp_path: Path) -> None:
        card = tiny.card("faces", input_limits={"min_side": 4, "max_side": 100})
        model = FaceModel(tiny.save(tmp_path / "a.onnx", tiny.build(tiny.WRITTEN_FACES), card))
        model(np.zeros((4, 100, 3), np.uint8))
        for shape in ((3, 60, 3), (4, 102, 3)):
            with pytest.raises(InputError, match="image: expected sides from 4 to 100 px"):
                model(np.zeros(shape, np.uint8))

    @pytest.mark.parametrize("size_wh", [(400, 300), (300, 400), (1000, 777), (129, 100), (1000, 170)])
    def test_a_shrunk_picture_gives_the_places_of_the_whole_one(self, tmp_path: Path, size_wh: tuple[int, int]) -> None:
        model = FaceModel(tiny.save(tmp_path / "a.onnx", tiny.build(tiny.BRIGHT_FACE), tiny.card("faces")))
        width, height = size_wh
        image = np.zeros((height, width, 3), np.uint8)
        image[round(0.3 * height) : round(0.7 * height), round(0.2 * width) : round(0.6 * width)] = 255
        whole, quick = model.session.run({"image": image}), model(image)
        cell = max(size_wh) / 64
        np.testing.assert_allclose(quick.boxes, whole["boxes"], atol=1e-3)
        np.testing.assert_allclose(quick.keypoints, whole["keypoints"], atol=1e-3)
        true_box = np.array([round(0.2 * width), round(0.3 * height), round(0.6 * width), round(0.7 * height)])
        assert np.abs(quick.boxes - true_box).max() <= 0.75 * cell + 0.5
        assert quick.boxes.dtype == np.float32

    def test_views_of_pictures(self, tmp_path: Path) -> None:
        model = FaceModel(tiny.save(tmp_path / "a.onnx", tiny.build(tiny.BRIGHT_FACE), tiny.card("faces")))
        image = np.zeros((300, 400, 3), np.uint8)
        image[100:200, 40:160] = 255
        for view in (image, image[::-1], image[:, ::-1], np.rot90(image), image[:240, :, ::-1], image[::8, ::8]):
            np.testing.assert_array_equal(model(view).boxes, model(view.copy()).boxes)

    def test_shrinking_follows_the_long_side_that_is_asked_for(self, tmp_path: Path) -> None:
        path = tiny.save(tmp_path / "a.onnx", tiny.build(tiny.BRIGHT_FACE), tiny.card("faces"))
        image = np.zeros((600, 800, 3), np.uint8)
        image[201:400, 203:501] = 255
        exact = FaceModel(path, long_side=800)(image).boxes
        np.testing.assert_allclose(exact, [[203, 201, 501, 400]])
        near = FaceModel(path, long_side=200)(image).boxes
        assert 0 < np.abs(near - exact).max() <= 4


class TestLooks:
    """Which parts of a picture, and which ways round, a face model looks at."""

    FOUND = Faces([[10, 4, 30, 28], [40, 10, 52, 24]], [0.9, 0.6], np.arange(20, dtype=np.float32).reshape(2, 5, 2) + 8)

    @pytest.fixture
    def look(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FaceModel]:
        """Face models that find `FOUND` in a 64 x 48 picture whose top left pixel is white: when it is upright."""
        path = tiny.save(tmp_path / "a.onnx", tiny.build(tiny.BRIGHT_FACE), tiny.card("faces"))
        monkeypatch.setattr(FaceModel, "_find", lambda self, image, grown=1.0: self.find(image))

        def make(find: Callable[[np.ndarray], Faces] = self.upright, **settings: Any) -> FaceModel:
            model = FaceModel(path, **settings)
            model.find = find  # type: ignore[attr-defined]
            return model

        return make

    def upright(self, image: np.ndarray) -> Faces:
        return self.FOUND if image[0, 0, 0] == 255 else Faces.none()

    def picture(self, turns: int) -> np.ndarray:
        image = np.zeros((48, 64, 3), np.uint8)
        image[0, 0] = 255
        return np.ascontiguousarray(np.rot90(image, -turns))

    @pytest.mark.parametrize("turns", range(4))
    @pytest.mark.parametrize("rotate", ["auto", "all"])
    def test_turned_pictures(self, look: Callable[..., FaceModel], turns: int, rotate: str) -> None:
        image = self.picture(turns)
        assert len(look(rotate="never")(image)) == (2 if turns == 0 else 0)
        faces = look(rotate=rotate)(image)
        assert faces.scores.tolist() == self.FOUND.scores.tolist()
        assert np.array_equal(faces.boxes, turn_boxes(self.FOUND.boxes, turns, (64, 48)))
        assert np.array_equal(faces.keypoints, turn_points(self.FOUND.keypoints, turns, (64, 48)))
        assert (faces.boxes[:, :2] < faces.boxes[:, 2:]).all()
        assert (faces.boxes <= [*image.shape[1::-1], *image.shape[1::-1]]).all()

    def test_auto_takes_one_way_round_and_all_takes_every_one(self, look: Callable[..., FaceModel]) -> None:
        """Upright shows a face of 0.9; a quarter turn shows two of 0.6, one of them the same face."""
        size_wh = (64, 48)
        once = self.FOUND[[0]]
        side = Faces(turn_boxes(self.FOUND.boxes, 1, size_wh), [0.6, 0.59], self.FOUND.keypoints)

        def find(image: np.ndarray) -> Faces:
            """The white pixel of the upright picture tells how it has been turned."""
            return {(True, False): once, (False, True): side}.get(tuple(image[0, [0, -1], 0] == 255), Faces.none())

        image = self.picture(0)
        assert look(find, rotate="auto")(image).scores == pytest.approx([0.6, 0.59])
        assert look(find, rotate="all")(image).scores == pytest.approx([0.9, 0.59])
        assert look(find, rotate="all", max_faces=1)(image).boxes.tolist() == once.boxes.tolist()
        assert look(find, rotate="auto", min_size=15)(image).scores == pytest.approx([0.9])

    @pytest.mark.parametrize("angle", [30, 60, -75, 150, 200, 335])
    def test_what_a_tilted_look_finds_lies_where_it_is(self, tmp_path: Path, angle: int) -> None:
        path = tiny.save(tmp_path / "a.onnx", tiny.build(tiny.BRIGHT_FACE), tiny.card("faces"))
        upright = cv2.circle(np.zeros((90, 120, 3), np.uint8), (70, 40), 20, (255, 255, 255), -1)
        canvas_wh, matrix = turned_canvas((120, 90), angle)
        tilted = cv2.warpAffine(upright, matrix, canvas_wh)
        wanted = transform_boxes(matrix, np.array([[50, 20, 90, 60]], np.float32))
        found = FaceModel(path, long_side=300)._look_tilted(tilted, -angle)
        assert iou(found.boxes, wanted).max() > 0.85

    def test_doubtful_faces_do_not_turn_a_picture(self, look: Callable[..., FaceModel]) -> None:
        def find(image: np.ndarray) -> Faces:
            return self.FOUND[[0]] if image[0, 0, 0] == 255 else replace(self.FOUND, scores=np.float32([0.52, 0.51]))

        model = look(find, rotate="auto")
        assert model(self.picture(0)).scores == pytest.approx([0.52, 0.51])
        model._settings["min_score"] = 0.5
        assert model(self.picture(0)).scores == pytest.approx([0.9])

    def test_equal_or_no_answers_leave_the_picture_as_it_is(self, look: Callable[..., FaceModel]) -> None:
        assert look(lambda image: self.FOUND, rotate="auto")(self.picture(0)).boxes.tolist() == self.FOUND.boxes.tolist()
        for rotate in ("auto", "all"):
            assert len(look(lambda image: Faces.none(), rotate=rotate)(self.picture(2))) == 0

    @pytest.mark.parametrize(("tile", "side"), [(True, 32), (48, 48), (40, 40)])
    def test_tiles(self, look: Callable[..., FaceModel], tile: bool | int, side: int) -> None:
        image = chart(300, 200)
        face = np.array([[101, 77, 107, 83]], np.float32)
        detector = Detector(face, smallest=1.6)
        detector.side = 64
        found = look(detector, tile=tile)(image)
        assert found.boxes.tolist() == face.tolist()
        assert detector.regions[: len(tile_regions(300, 200, side))] == tile_regions(300, 200, side)
        assert len(look(Detector(face), tile=False)(image)) == 0
        assert len(look(detector, tile=tile, min_size=6.5)(image)) == 0

    def test_tiles_of_a_turned_picture(self, look: Callable[..., FaceModel]) -> None:
        shapes = []

        def find(image: np.ndarray) -> Faces:
            shapes.append(image.shape[:2])
            return Faces.none()

        look(find, tile=32, rotate="auto")(np.zeros((40, 100, 3), np.uint8))
        assert shapes.count((40, 100)) == shapes.count((100, 40)) == 2
        canvas_wh, _ = turned_canvas((100, 40), 30)
        each = (len(tile_regions(*wh, 32)) for wh in ((100, 40), (40, 100), canvas_wh))
        assert len(shapes) == 2 * sum(each)


class TestMatte:
    @pytest.fixture
    def model(self, tmp_path: Path) -> MatteModel:
        return MatteModel(tiny.save(tmp_path / "red.onnx", tiny.build(tiny.RED_MATTE), tiny.card("matte")))

    @pytest.mark.parametrize("size_wh", [(300, 400), (128, 96), (127, 90), (3, 2), (1, 1), (2000, 300)])
    def test_a_shrunk_picture_gives_the_matte_of_the_whole_one(self, model: MatteModel, size_wh: tuple[int, int]) -> None:
        import cv2

        width, height = size_wh
        noise = np.random.default_rng(0).integers(0, 256, (3, 6, 3), np.uint8)
        image = cv2.resize(noise, size_wh, interpolation=cv2.INTER_CUBIC)
        quick, whole = model(image), model.session.run({"image": image})["matte"]
        assert quick.shape == (height, width)
        assert quick.dtype == np.float32
        assert quick.min() >= 0
        assert quick.max() <= 1
        np.testing.assert_allclose(quick, whole, atol=0.06)
        assert np.abs(quick - whole).mean() < 0.01

    def test_places_do_not_shift(self, model: MatteModel) -> None:
        image = np.zeros((480, 640, 3), np.uint8)
        image[:, :311, 0] = 255
        matte = model(image)
        edge = np.interp(0.5, matte[240, ::-1], np.arange(640)[::-1] + 0.5)
        assert edge == pytest.approx(311, abs=1)

    @pytest.mark.parametrize("image", WRONG_IMAGES)
    def test_wrong_pictures(self, model: MatteModel, image: object) -> None:
        with pytest.raises(InputError, match=r"image: expected \(H, W, 3\) uint8 RGB"):
            model(image)


class TestShipped:
    """The weights that come with mien."""

    @pytest.mark.parametrize("name", ["faces", "matte"])
    def test_golden_vectors(self, name: str) -> None:
        if name not in store.shipped():
            pytest.skip(f"{name}.onnx is not trained yet")
        if not read_onnx(store.model_path(name)).golden:
            pytest.skip(f"{name}.onnx is a draft without golden vectors")
        assert all(row.is_ok for row in store.check(name))

    @pytest.mark.parametrize("size_wh", [(1, 1), (1, 700), (33, 47), (1300, 900)])
    def test_any_size(self, size_wh: tuple[int, int]) -> None:
        if not {"faces", "matte"} <= store.shipped().keys():
            pytest.skip("the models are not trained yet")
        width, height = size_wh
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        matte = MatteModel()(image)
        assert matte.shape == (height, width)
        assert np.isfinite(matte).all()
        faces = FaceModel()(image)
        assert np.isfinite(faces.boxes).all()
        assert (np.diff(faces.scores) <= 0).all()

    def test_a_shrunk_picture_gives_the_faces_of_the_whole_one(self) -> None:
        import cv2

        picture = Path(store.__file__).parents[1] / "learn" / "astronaut.png"
        if "faces" not in store.shipped() or not picture.exists():
            pytest.skip("the model is not trained yet")
        large = cv2.resize(cv2.imread(str(picture))[..., ::-1], (1800, 1800), interpolation=cv2.INTER_CUBIC)
        model = FaceModel()
        quick, whole = model(large), model.session.run({"image": np.ascontiguousarray(large)})
        if not len(quick):
            pytest.skip("the model is a draft that finds no face")
        assert len(quick) == len(whole["boxes"])
        side = quick.boxes[0, 2] - quick.boxes[0, 0]
        np.testing.assert_allclose(quick.boxes, whole["boxes"], atol=0.03 * side)
        np.testing.assert_allclose(quick.keypoints, whole["keypoints"], atol=0.03 * side)
        np.testing.assert_allclose(quick.scores, whole["scores"], atol=0.05)

    @pytest.mark.parametrize("turns", range(4))
    def test_a_turned_picture_gives_the_same_faces(self, turns: int) -> None:
        picture = Path(store.__file__).parents[2] / "samples" / "astronaut.jpg"
        if "faces" not in store.shipped():
            pytest.skip("the model is not trained yet")
        image = read(picture).image[:440]
        height, width = image.shape[:2]
        upright = FaceModel()(image)
        if not len(upright):
            pytest.skip("the model is a draft that finds no face")
        turned = FaceModel(rotate="auto")(np.ascontiguousarray(np.rot90(image, -turns)))
        np.testing.assert_allclose(turned.boxes, turn_boxes(upright.boxes, turns, (width, height)), atol=1e-3)
        np.testing.assert_allclose(turned.keypoints, turn_points(upright.keypoints, turns, (width, height)), atol=1e-3)
