"""Pictures of a training: its curves."""

from __future__ import annotations

import math
from pathlib import Path

from mien.media.write import whole_file

_ACROSS = 4


def read_log(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Curves of a run from its TensorBoard log, resumed parts joined: name to points (step, value)."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {
        name: [(point.step, point.value) for point in events.Scalars(name)]
        for name in events.Tags()["scalars"]
        if "/" in name
    }


def plot_curves(folder: Path, picture: Path) -> Path:
    """Each loss and each validation figure in a panel of its own scale, as PNG; those told only once or twice in a longer
    run are left to its card. Returns ``picture``.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    curves = {name: sorted(points) for name, points in read_log(folder).items() if name.startswith(("loss/", "validation/"))}
    curves = {name: points for name, points in curves.items() if "threshold" not in name}
    longest = max(map(len, curves.values()), default=1)
    curves = {name: points for name, points in curves.items() if len(points) > 2 or longest <= 2}
    rows = max(1, math.ceil(len(curves) / _ACROSS))
    figure, axes = plt.subplots(rows, _ACROSS, figsize=(12, 2.4 * rows), layout="constrained", squeeze=False)
    for axis, (name, points) in zip(axes.flat, curves.items(), strict=False):
        axis.plot(*zip(*points, strict=True), marker="o" if len(points) < 40 else "", markersize=3)
        axis.set_title(name.replace("/", ": "), fontsize=9)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(curves) :]:
        axis.set_axis_off()
    with whole_file(picture) as file:
        figure.savefig(file, format="png", dpi=120)
    plt.close(figure)
    return picture
