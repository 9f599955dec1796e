"""How somebody's own model is trained: what may be chosen, and what is chosen where nothing was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mien.errors import DataError

BACKBONES = ("frozen", "unfrozen", "scratch")
BALANCES = ("sampler", "weights", "none")
PRECISIONS = ("32", "bf16")
STRATEGIES = {"auto": "auto", "ddp": "ddp_spawn_find_unused_parameters_true"}


@dataclass(frozen=True)
class OwnOptions:
    """What may be chosen of a training; None takes what suits the task, the backbone and the number of pictures.

    backbone: "frozen" learns only heads on features of the shipped network, "unfrozen" goes on to train that network too,
        "scratch" starts from nothing, ``package.module:Class`` is any torch module made without arguments, which takes
        crops (N, 3, 96, 96) from -1 to 1 and gives features (N, C), a map (N, C, H, W) or a list of maps.
    attributes: names to learn together, ``points`` for the keypoints; what the project is about if empty.
    rate: the highest learning rate (one-cycle, Smith and Topin 2018). backbone_rate: that of the backbone over it.
    freeze_epochs: so long only the heads of an unfrozen backbone are trained. patience: epochs without a better one after
        which training ends; 0 for never.
    balance: rare classes are drawn more often ("sampler") or count more ("weights"). mixup: its alpha (Zhang et al. 2018).
    smoothing: share of each label that goes to all answers. views: changed ones of each picture, for a frozen backbone.
    precision: "32" or "bf16". clip: largest norm of a gradient.
    devices, strategy: processes, and how they share the work; given to Lightning ("ddp" with gloo).
    finds_rate: look for a good learning rate first.

    Raises `DataError` for a value that cannot be.
    """

    backbone: str | None = None
    attributes: tuple[str, ...] = ()
    epochs: int | None = None
    rate: float | None = None
    backbone_rate: float = 0.1
    batch: int | None = None
    freeze_epochs: int | None = None
    patience: int | None = None
    balance: str = "sampler"
    mixup: float = 0.0
    smoothing: float = 0.05
    views: int = 6
    precision: str = "32"
    clip: float = 10.0
    seed: int = 0
    devices: int = 1
    strategy: str = "auto"
    threads: int = 2
    workers: int = 0
    finds_rate: bool = False

    def __post_init__(self) -> None:
        if self.backbone is not None and self.backbone not in BACKBONES and ":" not in self.backbone:
            raise DataError(f"backbone: expected {', '.join(BACKBONES)} or package.module:Class, got {self.backbone!r}")
        for name, known in (("balance", BALANCES), ("precision", PRECISIONS), ("strategy", tuple(STRATEGIES))):
            if getattr(self, name) not in known:
                raise DataError(f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")
        least = {"epochs": 1, "batch": 2, "freeze_epochs": 0, "patience": 0, "views": 1, "devices": 1, "threads": 1}
        for name, low in {**least, "workers": 0, "seed": 0}.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise DataError(f"{name}: expected {low} or more, got {value}")
        for name, low_f, high in (
            ("rate", 1e-9, 10.0),
            ("backbone_rate", 0.0, 1.0),
            ("mixup", 0.0, 10.0),
            ("smoothing", 0.0, 0.9),
            ("clip", 1e-9, 1e9),
        ):
            number = getattr(self, name)
            if number is not None and not low_f <= number <= high:
                raise DataError(f"{name}: expected {low_f:g} to {high:g}, got {number}")

    def to_json(self) -> dict[str, Any]:
        """The options as plain values; the way back is `from_json`."""
        return {**asdict(self), "attributes": list(self.attributes)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> OwnOptions:
        """Options that `to_json` gave. Raises `DataError` for others."""
        try:
            return cls(**{**values, "attributes": tuple(values.get("attributes", ()))})
        except TypeError as error:
            raise DataError(f"options of the run: {str(error).split('() ')[-1]}; start a new run") from None

    def filled(self, task: str, faces: int) -> OwnOptions:
        """The options with nothing left open, for a task and that many training faces or pictures."""
        backbone = self.backbone or ("frozen" if task == "attributes" else "unfrozen")
        kind = ("frozen" if backbone == "frozen" else "unfrozen") if task == "attributes" else "canvas"
        kind = "scratch" if backbone == "scratch" or ":" in backbone else kind
        epochs, rate, batch, patience = _CHOICES[kind]
        epochs = epochs if self.epochs is None else self.epochs
        return replace(
            self,
            backbone=backbone,
            epochs=epochs,
            rate=rate if self.rate is None else self.rate,
            batch=max(2, min(batch, faces)) if self.batch is None else self.batch,
            freeze_epochs=(min(3, epochs // 4) if backbone == "unfrozen" else 0)
            if self.freeze_epochs is None
            else self.freeze_epochs,
            patience=patience if self.patience is None else self.patience,
        )


_CHOICES = {
    "frozen": (20, 3e-3, 32, 0),
    "unfrozen": (24, 2e-3, 32, 8),
    "scratch": (60, 3e-3, 32, 20),
    "canvas": (20, 1e-3, 8, 6),
}
"""Epochs, rate, batch and patience of each kind of training."""
