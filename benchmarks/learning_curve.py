"""What more pictures, and the synthetic and weak sets, are worth: the attribute network from nothing, on shares of its data.

    python -m benchmarks.learning_curve [--shares 0.125,0.25,0.5,1] [--epochs 4] [--pictures 10000] [--no-write]

Every run has the network, the sets and the held-out part of ``recipes/attributes.toml``, the same number of steps, and only
a share of the groups of each set; one more has all groups of the sets whose labels are trusted in full. A run that was
interrupted goes on; one that is finished is not trained again. Needs the training data and says so where it is absent.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.accuracy import is_data_there, shown
from benchmarks.tables import ROOT, machine, put, table
from mien.learn.evaluate import evaluate
from mien.learn.scores import Report
from mien.learn.trainer import train

METRICS = {
    "smile accuracy": "smile",
    "mask balanced_accuracy": "mask, balanced",
    "expression accuracy": "expression",
    "age mean_error": "age, mean error in years",
    "gender accuracy": "gender",
    "landmarks68 nme": "68 points, NME",
}
FOLDER = ROOT / "runs" / "learning"
RECIPE = ROOT / "recipes" / "attributes.toml"


def toml(value: Any) -> str:
    """A value of a recipe as TOML text."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else repr(value) if not isinstance(value, str) else f'"{value}"'


def variant(name: str, share: float, is_trusted_only: bool, epochs: int, pictures: int) -> Path:
    """The recipe from nothing, short, with a share of the data."""
    recipe = tomllib.loads(RECIPE.read_text("utf-8"))
    data = [one for one in recipe.pop("data") if not is_trusted_only or one.get("trust", 1.0) == 1.0]
    network, schedule = recipe.pop("network"), recipe.pop("schedule")
    recipe |= {"name": name, "start": "", "root": str((RECIPE.parent / recipe["root"]).resolve())}
    schedule |= {"epochs": epochs, "pictures_per_epoch": pictures, "evaluate_every": epochs + 1}
    lines = [f"{key} = {toml(value)}" for key, value in recipe.items()]
    for heading, part in [("[network]", network), ("[schedule]", schedule)]:
        lines += ["", heading, *(f"{key} = {toml(value)}" for key, value in part.items())]
    for one in data:
        lines += ["", "[[data]]", *(f"{key} = {toml(value)}" for key, value in (one | {"share": share}).items())]
    path = FOLDER / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def judged(recipe: Path) -> Report:
    """The finished model of a recipe, trained first where that is still to be done."""
    out = FOLDER / recipe.stem
    model = out / f"{recipe.stem}.onnx"
    if not model.exists():
        train(recipe, out=out)
    return evaluate(model, out / "validation")


def plot(shares: list[float], reports: list[Report], path: Path) -> None:
    """One small panel a question, accuracy or error against the share of the data."""
    figure, panels = plt.subplots(2, 3, figsize=(9.5, 5), constrained_layout=True)
    for panel, (metric, title) in zip(panels.flat, METRICS.items(), strict=True):
        rows = [next(row for row in one.rows if (row["metric"], row["slice"]) == (metric, "all")) for one in reports]
        low, value, high = ([row[key] for row in rows] for key in ("low", "value", "high"))
        panel.fill_between(shares, low, high, alpha=0.2, linewidth=0)
        panel.plot(shares, value, marker="o")
        panel.set(title=title, xscale="log", xlabel="share of the groups")
        panel.set_xticks(shares, [f"{100 * share:g}%" for share in shares], minor=False)
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shares", default="0.125,0.25,0.5,1")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    if not is_data_there("learning curve"):
        return
    shares = [float(word) for word in options.shares.split(",")]
    length = options.epochs, options.pictures
    reports = {f"{share:g} of the groups": judged(variant(f"share-{share:g}", share, False, *length)) for share in shares}
    trusted = judged(variant("trusted", 1.0, True, *length))
    rows = [
        [name, *(shown(report, metric) for metric in METRICS)]
        for name, report in [*reports.items(), ("all groups, without the synthetic and weak sets", trusted)]
    ]
    length_text = f"Each {options.epochs} epochs of {options.pictures:,} pictures each, from nothing"
    text = f"{machine()}. {length_text}.\n\n{table(['trained on', *METRICS.values()], rows)}"
    print(text)
    if options.no_write:
        return
    put("learning-curve", text, "docs/benchmarks.md")
    plot(shares, list(reports.values()), ROOT / "docs" / "images" / "attributes-learning.png")


if __name__ == "__main__":
    main()
