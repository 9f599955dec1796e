"""Training by a recipe: Lightning drives, the networks and losses are ours, checkpoints resume."""

from __future__ import annotations

import copy
import itertools
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mien.attributes import ATTRIBUTES
from mien.data.sample import write_imagefolder
from mien.errors import DataError
from mien.learn.attribute_loss import AttributeLoss
from mien.learn.attribute_network import AttributeNetwork
from mien.learn.cards import training_facts
from mien.learn.checkpoint import SafeCheckpointIO
from mien.learn.dataset import Draws, FaceCanvases, MatteCanvases, collate_faces, collate_mattes
from mien.learn.evaluate import evaluate
from mien.learn.export import export_network
from mien.learn.face_patches import FacePatch, FacePatches, collate_patches
from mien.learn.gather import Gathered, gather
from mien.learn.losses import FaceLoss, MatteLoss
from mien.learn.muon import MuonAdamW, mixing_weights
from mien.learn.networks import FaceNetwork, MatteNetwork
from mien.learn.pose import mean_face
from mien.learn.recipe import Recipe, read_recipe
from mien.learn.release import release
from mien.learn.units import dead_units, wake_units
from mien.learn.warm_start import warm_start

log = logging.getLogger(__name__)

_START_BATCHES = 8
_MOST_DEAD = 0.3


@dataclass(frozen=True)
class Task:
    """What training one kind of model takes.

    network: its class. canvases: makes the training pictures; its ``weights`` say how often each is drawn.
    collate: joins them to a batch, pictures (uint8) first. losses: of the network on a batch, whose pictures come as floats
    beside it: named losses with their ``total``. ready: tells a network what is found in the pictures without training.
    """

    network: type[nn.Module]
    canvases: Callable[[Recipe, Gathered], Any]
    collate: Callable[[Any], Any]
    losses: Callable[[Any, Tensor, Any], dict[str, Tensor]]
    ready: Callable[[Any, Any], None] = lambda network, canvases: None


_face_loss, _matte_loss = FaceLoss(), MatteLoss()


def _attribute_losses(network: AttributeNetwork, image: Tensor, batch: FacePatch) -> dict[str, Tensor]:
    crops, frames = network.crops(image, batch.box, batch.keypoints)
    logits, points = network.read(crops.contiguous(memory_format=torch.channels_last), frames)
    return AttributeLoss(network.attributes)(logits, points, frames, batch)


TASKS = {
    "faces": Task(
        network=FaceNetwork,
        canvases=lambda recipe, gathered: FaceCanvases(gathered.train, gathered.cache, recipe.seed, gathered.weights),
        collate=collate_faces,
        losses=lambda network, image, batch: _face_loss(network(image), (image.shape[2], image.shape[3]), batch[1]),
    ),
    "matte": Task(
        network=MatteNetwork,
        canvases=lambda recipe, gathered: MatteCanvases(
            gathered.train,
            gathered.cache,
            recipe.seed,
            gathered.weights,
            [source.is_composited for source in gathered.origin],
        ),
        collate=collate_mattes,
        losses=lambda network, image, batch: _matte_loss(network(image), batch[1].float() / 255, batch[2].float()),
    ),
    "attributes": Task(
        network=AttributeNetwork,
        canvases=lambda recipe, gathered: FacePatches(
            gathered.train,
            gathered.cache,
            gathered.origin,
            [ATTRIBUTES[name] for name in recipe.network["attributes"]],
            recipe.seed,
        ),
        collate=collate_patches,
        losses=_attribute_losses,
        ready=lambda network, canvases: network.face.copy_(torch.from_numpy(mean_face(canvases.contours()))),
    ),
}
"""Every task that can be trained."""


def task_of(recipe: Recipe) -> Task:
    """How the recipe's kind of model is trained. Raises `DataError` for an unknown one."""
    if recipe.task not in TASKS:
        raise DataError(f"task: expected one of {', '.join(TASKS)}, got {recipe.task!r}")
    return TASKS[recipe.task]


def build_network(recipe: Recipe) -> nn.Module:
    """The untrained network of a recipe, its weights decided by the seed. Raises `DataError` for an unknown task or
    setting.
    """
    torch.manual_seed(recipe.seed)
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in recipe.network.items()}
    try:
        return task_of(recipe).network(**settings)
    except TypeError as error:
        raise DataError(f"[network]: {str(error).split('() ')[-1]}") from None


class Learner(L.LightningModule):
    """A network, its slowly following average (which is what gets exported), its loss and its schedule."""

    def __init__(self, recipe: Recipe, steps: int) -> None:
        super().__init__()
        self.recipe, self.steps = recipe, steps
        self.network = build_network(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.losses = task_of(recipe).losses
        self.seconds = 0.0

    def start_from(self, model: str, batches: Iterable[Any]) -> None:
        """Take over the weights of a model file; see `warm_start`. batches: as the loader gives them."""
        warm_start(self.network, model, batches, lambda network, batch: self.losses(network, batch[0].float(), batch))
        self.average.load_state_dict(self.network.state_dict())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["seconds"] = self.seconds

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.seconds = checkpoint.get("seconds", 0.0)

    def training_step(self, batch: Any, number: int) -> Tensor:
        image = batch[0].float().contiguous(memory_format=torch.channels_last)
        losses = self.losses(self.network, image, batch)
        self.log_dict(
            {f"loss/{name}": value.detach() for name, value in losses.items()},
            on_step=False,
            on_epoch=True,
            batch_size=len(image),
        )
        total: Tensor = losses["total"]
        if not torch.isfinite(total):
            raise DataError(
                f"the loss became {float(total.detach())} at step {self.global_step}; lower learning_rate or check labels"
            )
        return total

    def on_train_batch_end(self, *_: Any) -> None:
        decay = min(self.recipe.schedule.average, (1 + self.global_step) / (20 + self.global_step))
        with torch.no_grad():
            for mean, now in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
                if mean.dtype.is_floating_point:
                    mean.lerp_(now, 1 - decay)
                else:
                    mean.copy_(now)

    def configure_optimizers(self) -> Any:
        schedule = self.recipe.schedule
        slow: dict[str, float] = getattr(self.network, "slow", {})
        mixing = {id(one) for one in mixing_weights(self.network)} if schedule.optimizer == "muon" else set()
        groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            decay = schedule.weight_decay if parameter.ndim >= 2 else 0.0
            groups.setdefault((slow.get(name.split(".")[0], 1.0), decay, id(parameter) in mixing), []).append(parameter)
        optimizer = MuonAdamW(
            [
                {"params": parameters, "weight_decay": decay, "lr": schedule.learning_rate * share, "is_mixing": is_mixing}
                for (share, decay, is_mixing), parameters in groups.items()
            ]
        )
        warm = max(1, int(schedule.warm_up * self.steps))

        def rate(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, self.steps - warm)))) / 2

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Evaluation(Callback):
    """Every few epochs: export as it would be shipped, evaluate on the held-out part, log the figures."""

    def __init__(self, recipe: Recipe, gathered: Gathered, out: Path) -> None:
        self.recipe, self.gathered, self.out = recipe, gathered, out

    def on_train_epoch_end(self, trainer: L.Trainer, module: Learner) -> None:
        every, epoch = self.recipe.schedule.evaluate_every, trainer.current_epoch + 1
        if epoch % every and epoch != trainer.max_epochs:
            return
        path = export_network(module.average, self.recipe, self.out / "latest.onnx")
        report = evaluate(path, self.out / "validation")
        figures = {row["metric"]: row["value"] for row in report.rows if row["slice"] == "all" and np.isfinite(row["value"])}
        for logger in trainer.loggers:
            named = {f"validation/{name}": value for name, value in figures.items()}
            logger.log_metrics(named, step=trainer.global_step)
        log.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))


class Pace(Callback):
    """One log line an epoch: losses, speed, time left."""

    def on_train_epoch_start(self, trainer: L.Trainer, module: Learner) -> None:
        self.began = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, module: Learner) -> None:
        took = time.monotonic() - self.began
        module.seconds += took
        left = took * ((trainer.max_epochs or 0) - trainer.current_epoch - 1)
        losses = {k.split("/")[1]: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("loss/")}
        text = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        log.info(
            "epoch %d/%s in %.0f s, about %.0f min left: %s",
            trainer.current_epoch + 1,
            trainer.max_epochs,
            took,
            left / 60,
            text,
        )


class Units(Callback):
    """A warning after an epoch in which much of a layer was dead. Where the schedule ``wakes_dead``, dead units are drawn
    anew after each epoch of the first half of training.
    """

    def on_train_batch_end(self, trainer: L.Trainer, module: Learner, outputs: Any, batch: Any, number: int) -> None:  # type: ignore[override]
        self.batch = batch

    def on_train_epoch_end(self, trainer: L.Trainer, module: Learner) -> None:
        networks = (module.network, module.average)
        runs = [partial(module.losses, network, self.batch[0].float(), self.batch) for network in networks]
        found = dead_units(module.network, runs[0])
        for name, dead in found.items():
            count = int(dead.sum())
            if count > _MOST_DEAD * len(dead):
                log.warning(
                    "%s: %d of %d units answered nothing in the last batch; lower learning_rate", name, count, len(dead)
                )
        schedule = module.recipe.schedule
        if schedule.wakes_dead and 2 * (trainer.current_epoch + 1) <= schedule.epochs:
            wake_units(networks, found, runs, module.recipe.seed + trainer.current_epoch)
            log.info("%d dead units drawn anew", sum(int(dead.sum()) for dead in found.values()))


def train(
    recipe_path: Path,
    *,
    out: Path | None = None,
    root: Path | None = None,
    resume: bool = True,
    threads: int = 1,
    workers: int = 1,
    max_epochs: int | None = None,
) -> Path:
    """Train what the recipe says and return the path of the finished ``.onnx``.

    out: folder for checkpoints, curves, held-out pictures and the model; ``runs/NAME`` unless given.
    resume: go on from the last checkpoint in ``out`` where there is one; at most one epoch is lost by a crash.
    max_epochs: stop after this many epochs, as if interrupted there (the schedule stays the recipe's).
    A recipe that starts from a model which is not there yet, and whose own recipe stands beside it, has that one trained
    first. Raises `DataError` for a wrong recipe or data.
    """
    recipe_path = Path(recipe_path)
    recipe = read_recipe(recipe_path, root)
    task = task_of(recipe)
    out = out or Path("runs") / recipe.name
    last = out / "checkpoints" / "last.ckpt"
    is_resumed = resume and last.exists()
    start = Path(recipe.start)
    before = recipe_path.with_name(f"{start.stem}.toml")
    if recipe.start and not is_resumed and not start.exists() and before.exists() and before != recipe_path:
        log.info("%s starts from %s, which is trained first", recipe.name, before.name)
        train(before, out=start.parent, root=root, resume=resume, threads=threads, workers=workers, max_epochs=max_epochs)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    gathered = gather(recipe, out.parent / "cache")
    write_imagefolder(gathered.validation, out / "validation")
    schedule = recipe.schedule
    canvases = task.canvases(recipe, gathered)
    draws = Draws(canvases.weights, schedule.pictures_per_epoch, schedule.batch, schedule.sizes, recipe.seed)
    loader: DataLoader[Any] = DataLoader(
        canvases,
        batch_sampler=draws,
        collate_fn=task.collate,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    learner = Learner(recipe, schedule.epochs * len(draws))
    for network in (learner.network, learner.average):
        task.ready(network, canvases)
    if recipe.start and not is_resumed:
        learner.start_from(recipe.start, itertools.islice(loader, _START_BATCHES))
    trainer = L.Trainer(
        max_epochs=min(schedule.epochs, max_epochs or schedule.epochs),
        accelerator="cpu",
        logger=TensorBoardLogger(out, name=None, version="tensorboard"),
        callbacks=[
            ModelCheckpoint(
                last.parent, filename="last", every_n_epochs=1, save_on_train_epoch_end=True, enable_version_counter=False
            ),
            Pace(),
            Units(),
            Evaluation(recipe, gathered, out),
        ],
        plugins=[SafeCheckpointIO()],
        gradient_clip_val=10.0,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        log_every_n_steps=50,
    )
    trainer.fit(learner, loader, ckpt_path=str(last) if is_resumed else None)
    facts = training_facts(recipe, gathered.data_hash, trainer.current_epoch, learner.seconds / 3600)
    return release(learner.average, recipe, gathered.validation, facts, gathered.counts, out)
