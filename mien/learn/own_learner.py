"""Training on somebody's own data: Lightning drives, the average of the weights is judged each epoch, the best is kept."""

from __future__ import annotations

import copy
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mien.errors import DataError
from mien.learn.dataset import Draw, Draws
from mien.learn.own_lesson import Lesson
from mien.learn.own_options import OwnOptions
from mien.learn.own_record import read_history
from mien.media.write import whole_file

_AVERAGE = 0.99
_WEIGHT_DECAY = 0.02
_WARM_SHARE = 0.25
_HELD_BATCH = 32
_LEAST_BATCHES = 4
"""Of an epoch, however few pictures there are."""
_LEAST_STEPS = 12
"""Of a schedule, which has no shape with fewer."""


class Share(Draws):
    """The draws of one of several processes: every so many batches of the same ones."""

    def __init__(self, draws: Draws, number: int, count: int) -> None:
        super().__init__(draws.weights.tolist(), draws.pictures, draws.batch, draws.sizes, draws.seed)
        self.whole, self.number, self.count = draws, number, count

    def __iter__(self) -> Iterator[list[Draw]]:
        self.whole.set_epoch(self.epoch)
        batches = list(self.whole)
        yield from batches[self.number : len(self) * self.count : self.count]

    def __len__(self) -> int:
        return max(1, len(self.whole) // self.count)


class OwnLearner(L.LightningModule):
    """A lesson's network, its slowly following average, and the best average so far, which is what gets exported.

    options: with nothing left open. All that is left to chance depends on the seed, the epoch and the step alone, so a run
    that goes on ends with the same weights.
    """

    def __init__(self, lesson: Lesson, options: OwnOptions) -> None:
        super().__init__()
        self.lesson, self.options = lesson, options
        self.strict_loading = False
        self.network: nn.Module = lesson.network
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.best = copy.deepcopy(self.average)
        self.register_buffer("goodness", torch.tensor(-math.inf))
        self.register_buffer("best_epoch", torch.tensor(0))
        self.sums: dict[str, list[float]] = defaultdict(list)
        self.figures: dict[str, float] = {}
        self.held: list[Any] = []
        batch = int(options.batch or 2)
        pictures = max(len(lesson.weights) * lesson.views, _LEAST_BATCHES * batch * options.devices)
        self.draws = Draws(lesson.weights, pictures, batch, [lesson.size], options.seed)

    @property
    def steps(self) -> int:
        """Steps of the whole training in each process."""
        return int(self.options.epochs or 1) * max(1, len(self.draws) // self.options.devices)

    def train_dataloader(self) -> DataLoader[Any]:
        draws = Share(self.draws, self.global_rank, self.options.devices) if self.options.devices > 1 else self.draws
        workers = self.options.workers
        return DataLoader(self.lesson.train, batch_sampler=draws, collate_fn=self.lesson.collate, num_workers=workers)

    def val_dataloader(self) -> DataLoader[Any]:
        count = self.lesson.held_count
        draws = [
            [Draw(0, number, number, self.lesson.size) for number in range(start, min(start + _HELD_BATCH, count))]
            for start in range(0, count, _HELD_BATCH)
        ]
        return DataLoader(self.lesson.held, batch_sampler=draws, collate_fn=self.lesson.collate)

    def on_train_epoch_start(self) -> None:
        is_kept = self.current_epoch < int(self.options.freeze_epochs or 0)
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(not self._is_fixed(name) and not (is_kept and self.lesson.is_backbone(name)))
        # Said here, as Lightning keeps the mode that it finds: one in a new run, another in one that goes on.
        self.set_mode(self.network)

    def set_mode(self, network: nn.Module) -> None:
        """Let a network drop out as in training. What the norms of a trained backbone know of many pictures is worth more
        than what a few of one's own would teach them, so they stay as they are.
        """
        network.train(self.options.backbone not in ("frozen", "unfrozen"))
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.train()

    def on_train_batch_start(self, batch: Any, number: int) -> None:
        # At each step: what is drawn from before the first of an epoch differs in a run that goes on.
        torch.manual_seed(self.options.seed * 100_003 + self.global_step)

    def training_step(self, batch: Any, number: int) -> Tensor:
        losses = self.lesson.losses(self.network, batch)
        total = losses["total"]
        if not torch.isfinite(total):
            raise DataError(
                f"the loss became {float(total.detach())} in epoch {self.current_epoch + 1}; lower --lr (now "
                f"{self.options.rate:g}), or look for a good one with --find-lr"
            )
        self.sums["loss"].append(float(total.detach()))
        return total

    def on_train_batch_end(self, *_: Any) -> None:
        decay = min(_AVERAGE, (1 + self.global_step) / (20 + self.global_step))
        with torch.no_grad():
            for mean, now in self._followed:
                if mean.dtype.is_floating_point:
                    mean.lerp_(now, 1 - decay)
                else:
                    mean.copy_(now)

    @cached_property
    def _followed(self) -> list[tuple[Tensor, Tensor]]:
        """What changes in training: the average's tensor and the network's own."""
        now = self.network.state_dict()
        return [(mean, now[name]) for name, mean in self.average.state_dict().items() if not self._is_fixed(name)]

    def validation_step(self, batch: Any, number: int) -> None:
        self.held.append(batch)

    def on_validation_epoch_end(self) -> None:
        self.average.eval()
        figures = self.lesson.figures(self.average, self.held)
        self.held = []
        goodness = figures.pop("goodness")
        if goodness > float(self.goodness):
            self.goodness.fill_(goodness)
            self.best_epoch.fill_(self.current_epoch + 1)
            self.best.load_state_dict(self.average.state_dict())
        self.figures = figures
        self.log("goodness", goodness)
        self.log_dict({f"validation/{name}": value for name, value in figures.items()})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {
            name: value for name, value in state.items() if not self._is_fixed(name.partition(".")[2])
        }

    def configure_optimizers(self) -> Any:
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            if self._is_fixed(name):
                parameter.requires_grad_(False)
                continue
            share = self.lesson.share_of(name)
            if self.options.backbone == "unfrozen" and self.lesson.is_backbone(name):
                share *= self.options.backbone_rate
            decay = _WEIGHT_DECAY if parameter.ndim >= 2 else 0.0
            groups.setdefault((share, decay), []).append(parameter)
        rate = float(self.options.rate or 1e-3)
        optimizer = torch.optim.AdamW(
            [{"params": members, "weight_decay": decay, "lr": rate * share} for (share, decay), members in groups.items()]
        )
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            [rate * share for share, _ in groups],
            total_steps=max(self.steps + 1, _LEAST_STEPS),
            pct_start=_WARM_SHARE,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _is_fixed(self, name: str) -> bool:
        return name.split(".")[0] in self.lesson.kept


class History(Callback):
    """``history.jsonl``: one row an epoch, written whole after each; a run that goes on keeps the rows of its past."""

    def __init__(self, path: Path, tell: Callable[[str, int, int], None] | None) -> None:
        self.path, self.tell, self.began = path, tell, 0.0

    def on_train_start(self, trainer: L.Trainer, module: OwnLearner) -> None:  # type: ignore[override]
        # A run that had stopped early is over, also when it was killed before it could export.
        trainer.should_stop |= any(one.wait_count >= one.patience for one in trainer.early_stopping_callbacks)

    def on_train_epoch_start(self, trainer: L.Trainer, module: OwnLearner) -> None:  # type: ignore[override]
        self.began = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, module: OwnLearner) -> None:  # type: ignore[override]
        losses, epochs = module.sums.pop("loss", [math.nan]), trainer.max_epochs or 0
        if not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch + 1
        row = {
            "epoch": epoch,
            "seconds": round(time.monotonic() - self.began, 3),
            "lr": float(trainer.optimizers[0].param_groups[-1]["lr"]),
            "train/loss": sum(losses) / len(losses),
            **{f"validation/{name}": value for name, value in module.figures.items()},
        }
        rows = [one for one in read_history(self.path) if one["epoch"] < epoch]
        with whole_file(self.path) as file:
            file.write("".join(json.dumps(one) + "\n" for one in [*rows, row]).encode())
        for logger in trainer.loggers:
            logger.log_metrics({"loss/total": row["train/loss"], "rate": row["lr"]}, step=trainer.global_step)
        if self.tell is not None:
            self.tell("training", epoch, epochs)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "tell": None}  # another process has nobody to tell
