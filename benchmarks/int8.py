"""Whether 8-bit weights are worth it: the face model quantised (static, per channel, calibrated on training pictures), its
AP and milliseconds beside the 32-bit one. Needs the training data and says so where it is absent.

    python -m benchmarks.int8 [--no-write]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from benchmarks.accuracy import DATA, held_out_part, is_data_there
from benchmarks.speed import SIZES, interleaved, photo
from benchmarks.tables import put, table
from mien.data.sample import read_samples
from mien.learn.evaluate import evaluate_detector
from mien.learn.evaluate_faces import LOWEST_SCORE
from mien.learn.export import made_whole
from mien.models.faces import FaceModel

CALIBRATION_PICTURES = 60


class Pictures(CalibrationDataReader):  # type: ignore[misc]
    """What the model is fed while the ranges of its numbers are taken."""

    def __init__(self, images: Iterator[np.ndarray]) -> None:
        self.images = images

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self.images, None)
        return None if image is None else {"image": image}


def quantised(path: Path, out: Path) -> Path:
    """The model with 8-bit convolutions."""
    images = (sample.image() for sample in read_samples(DATA / "faces" / "train")[::50][:CALIBRATION_PICTURES])
    whole = onnx.load(path)
    heads = [node.name for node in whole.graph.node if node.op_type == "Conv" and "heads" in node.input[1]]
    onnx.save(made_whole(whole), out)
    quantize_static(
        out,
        out,
        Pictures(images),
        per_channel=True,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv"],
        nodes_to_exclude=heads,
    )
    model = onnx.load(out)
    del model.metadata_props[:]
    model.metadata_props.extend(whole.metadata_props)
    onnx.save(model, out)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    if not is_data_there("int8"):
        return
    cv2.setNumThreads(1)
    part, image = held_out_part("faces"), photo(*SIZES["VGA 640x480"])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        whole = FaceModel(min_score=LOWEST_SCORE)
        eight = quantised(whole.session.file.path, Path(folder) / "faces-int8.onnx")
        models = {"32 bits": whole, "8 bits": FaceModel(eight, min_score=LOWEST_SCORE)}
        in_use = {name: FaceModel(model.session) for name, model in models.items()}
        times = interleaved({name: partial(model, image) for name, model in in_use.items()}, rounds=20)
        for name, model in models.items():
            report = evaluate_detector(model, name, float(whole.card.thresholds["default"]), part)
            size = model.session.file.path.stat().st_size / 1e6
            rows.append([name, f"{report.value('ap50'):.3f}", f"{times[name][1]:.1f}", f"{size:.2f}"])
    text = table(["faces", "AP50", "ms at 640x480", "MB"], rows)
    print(text)
    if not options.no_write:
        put("int8", text, "docs/benchmarks.md")


if __name__ == "__main__":
    main()
