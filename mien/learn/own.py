"""Training on somebody's own project: from labelled pictures to ``model.onnx``, in a folder of its own for each run."""

from __future__ import annotations

import datetime
import logging
import os
import platform
import re
import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch.multiprocessing import ProcessRaisedException

from mien.data.sample import write_imagefolder
from mien.data.settings import check_name
from mien.errors import DataError, InputError
from mien.learn.cards import commit
from mien.learn.checkpoint import SafeCheckpointIO
from mien.learn.own_data import OwnData, own_data
from mien.learn.own_learner import History, OwnLearner
from mien.learn.own_lesson import build_lesson
from mien.learn.own_options import STRATEGIES, OwnOptions
from mien.learn.own_rate import find_rate
from mien.learn.own_record import HISTORY, MODEL, RECORD, read_history, read_record, write_record
from mien.learn.recipe import DataSource, Recipe, Schedule
from mien.learn.release import release
from mien.learn.run_report import write_report
from mien.models.onnx_file import read_onnx
from mien.models.store import model_path

log = logging.getLogger(__name__)

_PARTS = {"attributes": "reads faces", "faces": "finds faces and what is labelled as such", "matte": "cuts people out"}

Tell = Callable[[str, int, int], None]


class ChangedError(DataError):
    """A run cannot go on, as the project is no longer what it was when the run began."""


def train_project(
    root: str | Path,
    options: OwnOptions | None = None,
    *,
    name: str = "",
    resume: bool = False,
    tell: Tell | None = None,
) -> Path:
    """Train a model on a project folder (or an ImageFolder with mattes) and return the path of its ``model.onnx``.

    name: of the run, whose folder is ``runs/NAME`` in the project; date and time if empty.
    resume: go on with that run, or the newest unfinished one, with its own options; at most one epoch is lost.
    tell: called with what is being done, how much of it is done and how much there is.

    Raises `DataError` for a project that cannot be trained on, and when the run cannot be written.
    """
    root = Path(root)
    tell = tell or (lambda what, done, count: None)
    began = time.monotonic()
    if resume:
        run = _unfinished(root, name)
        record = read_record(run)
        options = OwnOptions.from_json(record["options"])
        seconds = sum(float(row.get("seconds", 0)) for row in read_history(run / HISTORY))
        for left_over in run.rglob(".*.part"):  # of files that were being written when the run was killed
            left_over.unlink(missing_ok=True)
    else:
        options, seconds = options or OwnOptions(), 0.0
        run = root / "runs" / (_checked(name) or datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S"))
        if (run / RECORD).exists():
            raise DataError(f"{run}: there is a run of that name; go on with it by --resume, or choose another name")
        record = {}
    kept = {key: record[key] for key in ("suggested_lr",) if key in record}
    torch.set_num_threads(options.threads)
    tell("reading", 0, 1)
    data = own_data(root, options.attributes, options.seed)
    if resume and record["data_hash"] != data.data_hash:
        raise ChangedError(f"{run}: pictures or labels have changed since it began; start a new run")
    options = options.filled(data.task, sum(data.counts["train"].values()))
    record = _record(data, options, seconds) | kept
    is_new, has_checkpoint = not run.exists(), (run / "checkpoints" / "last.ckpt").exists
    try:
        write_record(run, record)
        return _trained(data, options, run, record, began, tell)
    except (OSError, InputError) as error:
        problem = error if isinstance(error, OSError) else error.__context__
        if not isinstance(problem, OSError):
            raise
        raise DataError(
            f"{run}: cannot be written ({problem.strerror or problem}); make room, then "
            + ("start it again" if is_new and not has_checkpoint() else "go on with --resume")
        ) from None
    finally:
        if is_new and not has_checkpoint() and not (run / MODEL).exists():
            shutil.rmtree(run, ignore_errors=True)


def _trained(data: OwnData, options: OwnOptions, run: Path, record: dict[str, Any], began: float, tell: Tell) -> Path:
    cache = run / "cache"
    lesson = build_lesson(data, options, cache, tell)
    learner = OwnLearner(lesson, options)
    if options.finds_rate and "suggested_lr" not in record:
        tell("looking for a learning rate", 0, 1)
        record["suggested_lr"] = find_rate(learner, run / "find-lr.png")
        options = replace(options, rate=record["suggested_lr"], finds_rate=False)
        record["options"] = options.to_json()
        learner = OwnLearner(lesson, options)
        write_record(run, record)
    write_imagefolder(data.validation, run / "validation")
    _fit(learner, options, run, tell)
    rows = read_history(run / HISTORY)
    seconds = record["seconds"] + time.monotonic() - began
    tell("exporting", 0, 1)
    facts = {
        "command": "mien train PROJECT",
        "backbone": options.backbone,
        "commit": commit(),
        "data_hash": data.data_hash,
        "seed": options.seed,
        "epochs": len(rows),
        "best_epoch": int(learner.best_epoch),
        "hours": round(seconds / 3600, 3),
        "torch": torch.__version__,
    }
    made = run / "made.onnx"
    release(learner.best, _recipe(data, options), data.validation, facts, {data.name: len(data.train)}, run, made.name)
    (run / "latest.onnx").unlink(missing_ok=True)
    record |= {"seconds": round(time.monotonic() - began + record["seconds"], 2), "epochs": len(rows)}
    record |= {"best_epoch": int(learner.best_epoch), "finished": _now()}
    write_record(run, record)
    made.replace(run / MODEL)
    tell("reporting", 0, 1)
    write_report(run)
    shutil.rmtree(cache, ignore_errors=True)
    return run / MODEL


def _fit(learner: OwnLearner, options: OwnOptions, run: Path, tell: Tell) -> None:
    last = run / "checkpoints" / "last.ckpt"
    history = History(run / HISTORY, tell)
    keep = ModelCheckpoint(
        last.parent, filename="last", every_n_epochs=1, save_on_train_epoch_end=True, enable_version_counter=False
    )
    callbacks: list[Callback] = [history, keep]
    if options.patience:
        callbacks.insert(0, EarlyStopping("goodness", patience=options.patience, mode="max", check_on_train_epoch_end=False))
    strategy = STRATEGIES[options.strategy if options.strategy != "auto" or options.devices == 1 else "ddp"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        trainer = L.Trainer(
            max_epochs=options.epochs,
            accelerator="cpu",
            devices=options.devices,
            strategy=strategy if options.devices > 1 else "auto",
            precision="bf16-mixed" if options.precision == "bf16" else "32-true",
            logger=TensorBoardLogger(run, name=None, version="tensorboard"),
            callbacks=callbacks,
            plugins=[SafeCheckpointIO()],
            gradient_clip_val=options.clip,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            log_every_n_steps=10,
        )
        try:
            trainer.fit(learner, ckpt_path=str(last) if last.exists() else None)
        except ProcessRaisedException as error:
            raise _of_process(error) from None


def _of_process(error: ProcessRaisedException) -> Exception:
    """What stopped another process, as this one would have told it."""
    kind, _, text = str(error).strip().splitlines()[-1].partition(": ")
    return {"mien.errors.DataError": DataError, "mien.errors.InputError": InputError}.get(kind, RuntimeError)(text or kind)


def _recipe(data: OwnData, options: OwnOptions) -> Recipe:
    """The run as what release and card ask for."""
    asked = f": {', '.join(_told(one) for one in data.attributes)}" if data.attributes else ""
    own = options.backbone in ("frozen", "unfrozen")
    return Recipe(
        name=re.sub(r"[^\w.-]+", "-", data.name) or "own",
        task=data.task,
        version="1",
        summary=f"{_PARTS[data.task].capitalize()}{asked}; trained on the project {data.name}",
        seed=options.seed,
        root=data.root,
        network={"attributes": data.attributes, "has_contour": own} if data.attributes else {},
        schedule=Schedule(int(options.epochs or 1), len(data.train), int(options.batch or 2), (0,)),
        data=(DataSource("", data.name, "your own pictures"),),
        long_side=int(read_onnx(model_path(data.task)).settings.get("long_side", 96)),
        intended_use="What its maker trained it for, on pictures like those of the project.",
    )


def _told(attribute: Any) -> str:
    return f"{attribute.name} ({', '.join(attribute.answers or attribute.point_names or (attribute.unit,))})"


def _record(data: OwnData, options: OwnOptions, seconds: float) -> dict[str, Any]:
    packages = ("torch", "lightning", "onnx", "onnxruntime", "numpy")
    return {
        "project": data.name,
        "task": data.task,
        "attributes": [one.name for one in data.attributes],
        "options": options.to_json(),
        "seed": options.seed,
        "data_hash": data.data_hash,
        "counts": data.counts,
        "notes": list(data.notes),
        "seconds": seconds,
        "threads": options.threads,
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in packages},
        "began": _now(),
    }


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _checked(name: str) -> str:
    if name:
        check_name(name, "run")
    return name


def _unfinished(root: Path, name: str) -> Path:
    runs = root / "runs"
    if name:
        run = runs / _checked(name)
        read_record(run)
        if (run / MODEL).exists():
            raise DataError(f"{run}: this run is finished; start a new one without --resume")
        return run
    open_runs = [path.parent for path in runs.glob(f"*/{RECORD}") if not (path.parent / MODEL).exists()]
    if not open_runs:
        raise DataError(f"{runs}: expected an unfinished run to go on with, found none; start one without --resume")
    return max(open_runs, key=lambda run: (run / RECORD).stat().st_mtime)
