"""Pictures of a training: its curves."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from mien.media.write import whole_file


def read_log(table: Path) -> dict[str, list[tuple[float, float]]]:
    """Curves of a run's ``metrics.csv``: name to points (step, value)."""
    curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for name, text in row.items():
                if text and "/" in name:
                    curves[name].append((float(row["step"]), float(text)))
    return dict(curves)


def plot_curves(table: Path, picture: Path) -> Path:
    """Losses on the left, validation figures on the right, as PNG. Returns ``picture``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    curves = read_log(table)
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    for axis, group in zip(axes, ("loss", "validation"), strict=True):
        for name, points in curves.items():
            if name.startswith(f"{group}/"):
                steps, values = zip(*sorted(points), strict=True)
                axis.plot(steps, values, marker="o" if len(points) < 40 else "", markersize=3, label=name.split("/", 1)[1])
        axis.set(title=group, xlabel="step")
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.lines:
            axis.legend(frameon=False, fontsize=8)
    with whole_file(picture) as file:
        figure.savefig(file, format="png", dpi=120)
    plt.close(figure)
    return picture
