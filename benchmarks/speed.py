"""Milliseconds and memory: both models beside their bare networks and peers, the whole command, a 12-megapixel photo.

python -m benchmarks.speed [--no-write]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.peers import YUNET_SCORE, face_peers
from benchmarks.tables import ROOT, machine, put, table
from mien.filters.preset import render
from mien.media.read import read
from mien.media.write import write
from mien.models.attributes import AttributeModel
from mien.models.faces import FaceModel
from mien.models.matte import MatteModel
from mien.models.settings import FAST_LONG_SIDE
from mien.pipeline import Settings, analyze, analyze_stages, to_json
from mien.types import Faces, Frame

SIZES = {
    "VGA 640x480": (640, 480),
    "720p 1280x720": (1280, 720),
    "1080p 1920x1080": (1920, 1080),
    "12 MP 4000x3000": (4000, 3000),
}
PEERS_AT = "VGA 640x480"


def photo(width: int, height: int) -> np.ndarray:
    """The sample portrait, mirrored out to that size: two to many faces, real texture."""
    image = read(ROOT / "samples" / "astronaut.jpg").image
    scale = height / image.shape[0]
    tile = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    row = np.concatenate([tile, tile[:, ::-1]] * (width // (2 * tile.shape[1]) + 1), 1)
    return np.ascontiguousarray(row[:height, :width])


def interleaved(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """Median and least milliseconds of each call, taken in turn so that a busy moment hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - began) * 1000)
    return {name: (float(np.median(values)), min(values)) for name, values in times.items()}


def bare(model: FaceModel | MatteModel, image: np.ndarray) -> Callable[[], object]:
    """The same network without the steps around it: the exported graph from its padded input to its raw answers."""
    import onnx
    import onnxruntime

    whole = onnx.load_from_string(model.session.file.content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    probe = onnxruntime.InferenceSession(_with_output(whole, "network_image"), options, providers=["CPUExecutionProvider"])
    prepared = probe.run(["network_image"], {"image": image})[0]
    raw = "cell_scores" if "cell_scores" in {name for node in whole.graph.node for name in node.output} else "network_blend"
    wanted = ["cell_scores", "cell_boxes", "cell_keypoints"] if raw == "cell_scores" else [raw]
    core = onnx.utils.Extractor(_named(whole)).extract_model(["network_image"], wanted)
    session = onnxruntime.InferenceSession(core.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"network_image": prepared})


def _with_output(model: object, name: str) -> bytes:
    import onnx

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return probe.SerializeToString()


def _named(model: object) -> object:
    """The model with the tensors where the network begins and ends described, as the extractor needs them."""
    import onnx

    named = onnx.ModelProto()
    named.CopyFrom(model)
    shape = [1, 3, "padded_height", "padded_width"]
    named.graph.value_info.append(onnx.helper.make_tensor_value_info("network_image", onnx.TensorProto.FLOAT, shape))
    for name in ("cell_scores", "cell_boxes", "cell_keypoints", "network_blend"):
        named.graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return named


def measure_models(rounds: int) -> list[list[str]]:
    """One row a picture size and detector or model: whole call, bare network."""
    rows = []
    faces, fast, matte = FaceModel(), FaceModel(long_side=FAST_LONG_SIDE), MatteModel()
    peers, missing = face_peers(YUNET_SCORE)
    for reason in missing:
        print(reason)
    for size, (width, height) in SIZES.items():
        image = photo(width, height)
        calls: dict[str, Callable[[], object]] = {
            "mien faces": lambda image=image: faces(image),
            "mien faces, network alone": bare(faces, image),
            f"mien faces at {FAST_LONG_SIDE}": lambda image=image: fast(image),
            "mien matte": lambda image=image: matte(image),
            "mien matte, network alone": bare(matte, image),
        }
        if size == PEERS_AT:
            calls |= {name: (lambda find=find, image=image: find(image)) for name, find in peers.items()}
        for name, (median, least) in interleaved(calls, rounds).items():
            rows.append([size, name, f"{median:.1f}", f"{least:.1f}"])
    return rows


def measure_reading(rounds: int) -> list[list[str]]:
    """Finding and reading one face and ten, and ten as a chain of one network for each question and face would."""
    image = photo(*SIZES[PEERS_AT])
    find, read_faces = FaceModel(), AttributeModel(names=["smile", "mask", "expression", "age", "gender", "landmarks68"])
    one = find(image)[:1]
    rng = np.random.default_rng(0)
    shifts = rng.uniform(-60, 60, (10, 2)).astype(np.float32)
    ten = Faces(one.boxes + np.tile(shifts, 2), np.repeat(one.scores, 10), one.keypoints + shifts[:, None], attributes={})

    def chain() -> None:
        find(image)
        for face in ten:
            for _ in read_faces.attributes:
                read_faces(image, face)

    calls: dict[str, Callable[[], object]] = {
        "reading one face": lambda: read_faces(image, one),
        "reading ten faces": lambda: read_faces(image, ten),
        "finding, and reading one face": lambda: (find(image), read_faces(image, one)),
        "finding, and reading ten faces": lambda: (find(image), read_faces(image, ten)),
        f"finding, and ten faces as a chain of {len(read_faces.attributes)} networks, one for each question": chain,
    }
    return [[PEERS_AT, name, f"{m:.1f}", f"{least:.1f}"] for name, (m, least) in interleaved(calls, rounds).items()]


def measure_batch(rounds: int) -> list[list[str]]:
    """Sixteen pictures of one size in a list, and one by one."""
    rows = []
    for size, (width, height) in (("1280x960", (1280, 960)), ("12 MP 4000x3000", (4000, 3000))):
        with tempfile.TemporaryDirectory() as folder:
            one = write(photo(width, height), Path(folder) / "photo.jpg")
            paths = [one] * 16
            calls: dict[str, Callable[[], object]] = {
                "16 pictures in a list": lambda paths=paths: analyze(paths),
                "16 pictures one by one": lambda paths=paths: [analyze(path) for path in paths],
            }
            for name, (median, least) in interleaved(calls, max(3, rounds // 5)).items():
                rows.append([size, name, f"{median:.0f}", f"{least:.0f}"])
    return rows


def measure_whole(rounds: int) -> list[list[str]]:
    """Everything that a command does for one picture, file to file, without starting Python."""
    rows = []
    matte = MatteModel()
    find = FaceModel()
    stages, _ = analyze_stages(Settings())
    with tempfile.TemporaryDirectory() as folder:
        for size, (width, height) in SIZES.items():
            path = Path(folder) / "photo.jpg"
            write(photo(width, height), path)

            def analyse(path: Path = path) -> None:
                frame = read(path)
                for stage in stages:
                    frame = stage(frame)
                json.dumps(to_json(frame))

            def portrait(path: Path = path, background: str | None = None) -> None:
                frame = read(path)
                made = render(Frame(frame.image, faces=find(frame.image), matte=matte(frame.image)), background)
                write(made, Path(folder) / "out.png")

            calls = {
                "open": lambda path=path: read(path),
                "analyze (open, find, read faces)": analyse,
                "filter to a poster (open, find, matte, render, write)": portrait,
                "filter to a cut-out": lambda p=path: portrait(p, "transparent"),
            }
            for name, (median, least) in interleaved(calls, max(3, rounds // 4)).items():
                rows.append([size, name, f"{median:.0f}", f"{least:.0f}"])
    return rows


_PEAK = """
import sys
from mien.cli import main
try:
    main()
finally:
    lines = open("/proc/self/status").read().splitlines()
    print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024, file=sys.stderr)
"""


def measure_command() -> list[list[str]]:
    """The command as a person runs it: from its start to its end, and the most memory it held."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.jpg"
        write(photo(4000, 3000), large)
        small = ROOT / "samples" / "astronaut.jpg"
        out = str(Path(folder) / "out")
        runs = {
            "mien --version": ["--version"],
            "mien analyze, 512x512": ["analyze", str(small), "--json"],
            "mien filter, 512x512": ["filter", str(small), "-o", out],
            "mien analyze, 12 MP": ["analyze", str(large), "--json"],
            "mien filter to a poster, 12 MP": ["filter", str(large), "-o", out],
            "mien filter to a cut-out, 12 MP": ["filter", str(large), "-o", out, "--background", "transparent"],
        }
        for name, words in runs.items():
            seconds, peaks = [], []
            for _ in range(3):
                began = time.perf_counter()
                words_now = [*words, "--overwrite"] if "filter" in words else words
                done = subprocess.run(
                    [sys.executable, "-c", _PEAK, *words_now], capture_output=True, text=True, check=True, env=os.environ
                )
                seconds.append(time.perf_counter() - began)
                peaks.append(float(done.stderr.split()[-1]))
            rows.append([name, f"{np.median(seconds):.2f}", f"{max(peaks):.0f}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    text = "\n\n".join(
        [
            f"One thread, {machine()}. Times in milliseconds, all rows of a size taken in turn in one run.",
            table(["picture", "what", "median ms", "least ms"], measure_models(options.rounds)),
            "Reading faces: all questions about all faces in one call, and as a chain:",
            table(["picture", "what", "median ms", "least ms"], measure_reading(options.rounds)),
            "A list, and the same pictures one by one, on all processors:",
            table(["picture", "what", "median ms", "least ms"], measure_batch(options.rounds)),
            "The whole work for one picture, from file to file:",
            table(["picture", "what", "median ms", "least ms"], measure_whole(options.rounds)),
            "The command as typed, Python's own start included:",
            table(["command", "seconds to the end", "peak memory MB"], measure_command()),
        ]
    )
    print(text)
    if not options.no_write:
        put("speed", text, "docs/benchmarks.md")


if __name__ == "__main__":
    main()
