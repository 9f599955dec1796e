"""Pictures of a training: its curves."""

from __future__ import annotations

from pathlib import Path

from mien.media.write import whole_file


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
    """Losses on the left, validation figures on the right, as PNG. Returns ``picture``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    curves = read_log(folder)
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    for axis, group in zip(axes, ("loss", "validation"), strict=True):
        for name, points in curves.items():
            if name.startswith(f"{group}/") and "threshold" not in name:
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
