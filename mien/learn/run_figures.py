"""The drawings of a report: curves, confusion, precision and recall, reliability; each one the bytes of a PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien import metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = Sequence[tuple[float, float]]

_COLOURS = ("#0f766e", "#f59e0b", "#6d5bd0", "#dc2626", "#2563eb", "#65a30d", "#db2777", "#525252")
_INK, _GRID = "#22242a", "#e3e3de"
_PANEL = (4.3, 3.1)


def draw_curves(curves: Mapping[str, Curve], step: str = "epoch") -> bytes:
    """Losses, of training and validation in one panel a head, then the validation scores, a panel a measure.

    curves: by name as in ``history.jsonl``: ``train/loss``, ``validation/loss/HEAD``, ``validation/HEAD METRIC``, ``lr``.
    step: what is counted along the panels.
    """
    panels: dict[str, dict[str, Curve]] = {}
    for name, curve in curves.items():
        part, _, rest = name.partition("/")
        if rest.split("/")[0] == "loss":
            panels.setdefault(rest.replace("/", ": "), {})[part] = curve
        elif rest:
            words = rest.replace("/", " ").split()
            panels.setdefault(words[-1].replace("_", " "), {})[" ".join(words[:-1]) or part] = curve
        elif name == "lr":
            panels["learning rate"] = {"": curve}
    order = sorted(panels, key=lambda title: (not title.startswith("loss"), title == "learning rate", title))
    figure, axes = _figure(len(order))
    for axis, title in zip(axes, order, strict=True):
        for (name, curve), colour in zip(sorted(panels[title].items()), _cycle(), strict=False):
            steps, values = zip(*sorted(curve), strict=True)
            is_short = len(values) < 40
            axis.plot(steps, values, color=colour, marker="o" if is_short else "", markersize=3.5, label=name, linewidth=1.8)
        axis.set(title=title, xlabel=step)
        if all(panels[title]):
            axis.legend(frameon=False, fontsize=8)
    return _png(figure)


def draw_confusion(counts: Sequence[Sequence[int]], answers: Sequence[str]) -> bytes:
    """The confusion matrix: labels down, answers across, coloured by the share of each label."""
    table = np.asarray(counts, np.int64)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = max(3.1, 1.3 + 0.62 * len(answers))
    figure, (axis,) = _figure(1, (side + 0.6, side))
    axis.imshow(shares, cmap="GnBu", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(table):
        colour = "white" if shares[row, column] > 0.6 else _INK
        text = f"{count}\n{shares[row, column]:.0%}" if count else ""
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    names = [answer.replace("_", " ") for answer in answers]
    axis.set_xticks(
        range(len(names)), names, rotation=0 if len(names) < 4 else 40, ha="center" if len(names) < 4 else "right"
    )
    axis.set_yticks(range(len(names)), names)
    axis.set(title="confusion", xlabel="told", ylabel="labelled")
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    return _png(figure)


def draw_precision_recall(scores: Mapping[str, tuple[NDArray[Any], NDArray[np.bool_], int]]) -> bytes:
    """Precision over recall. scores: for each curve the scores, whether each is right, and how many are to be found."""
    is_crowded = len(scores) > 4
    figure, (axis,) = _figure(1, (_PANEL[0] + 1.7 * is_crowded, _PANEL[1]))
    for (name, (values, is_hit, wanted)), colour in zip(scores.items(), _cycle(), strict=False):
        precision, recall = metrics.precision_recall(values, is_hit, wanted)
        area = metrics.area_under(precision, recall)
        axis.step([0, *recall], [1, *precision], where="pre", color=colour, label=f"{name.replace('_', ' ')}  {area:.3f}")
    axis.set(title="precision and recall", xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.03))
    place: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)} if is_crowded else {"loc": "lower left"}
    axis.legend(frameon=False, fontsize=8, title="average precision", title_fontsize=8, **place)
    return _png(figure)


def draw_reliability(confidences: NDArray[Any], is_right: NDArray[np.bool_]) -> bytes:
    """How often answers of each confidence are right (the diagonal where they are calibrated), and how many there are."""
    found = metrics.reliability(confidences, is_right)
    figure, (axis,) = _figure(1)
    axis.plot([0, 1], [0, 1], color="#9a9a94", linewidth=1, linestyle="--")
    bounds = [metrics.wilson_interval(a * n, n) for a, n in zip(found.accuracy, found.count.tolist(), strict=True)]
    reach = np.abs(np.array(bounds).T - found.accuracy)
    axis.errorbar(
        found.confidence, found.accuracy, yerr=reach, color=_COLOURS[0], ecolor="#9fd3cd", marker="o", markersize=4
    )
    axis.bar(found.confidence, 0.16 * found.count / found.count.max(), width=0.03, color="#f3d19b", zorder=0)
    error = metrics.calibration_error(confidences, is_right)
    axis.set(title=f"reliability (ECE {error:.3f})", xlabel="confidence", ylabel="share that is right")
    axis.set(xlim=(0, 1.02), ylim=(0, 1.03))
    return _png(figure)


def draw_numbers(labels: NDArray[Any], told: NDArray[Any], unit: str) -> bytes:
    """Numbers told over numbers labelled."""
    figure, (axis,) = _figure(1)
    ends = [float(min(labels.min(), told.min())), float(max(labels.max(), told.max()))]
    axis.plot(ends, ends, color="#9a9a94", linewidth=1, linestyle="--")
    axis.scatter(labels, told, s=9, color=_COLOURS[0], alpha=0.4, linewidths=0)
    axis.set(title="told over labelled", xlabel=f"labelled ({unit})", ylabel=f"told ({unit})")
    return _png(figure)


def draw_errors(errors: NDArray[Any], name: str) -> bytes:
    """Share of the things whose error is at most that, up to the 99th percentile."""
    figure, (axis,) = _figure(1)
    ordered = np.sort(errors[np.isfinite(errors)])
    axis.plot(ordered, np.arange(1, len(ordered) + 1) / len(ordered), color=_COLOURS[0], linewidth=1.8)
    axis.set(title=f"{name}, cumulated", xlabel=name, ylabel="share with at most that", ylim=(0, 1.03))
    axis.set_xlim(0, float(np.quantile(ordered, 0.99)) or 1)
    return _png(figure)


def _cycle() -> Sequence[str]:
    return _COLOURS * 4


def _figure(panels: int, size: tuple[float, float] = _PANEL) -> tuple[Figure, list[Axes]]:
    """A figure with room for so many panels, three in a row."""
    from matplotlib.figure import Figure

    columns = min(3, max(1, panels))
    rows = -(-max(1, panels) // columns)
    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained", facecolor="white")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[panels:]:
        axis.set_visible(False)
    for axis in axes:
        axis.grid(color=_GRID, linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color("#b9b9b2")
        axis.tick_params(labelsize=8, colors=_INK)
        axis.xaxis.label.set_fontsize(9)
        axis.yaxis.label.set_fontsize(9)
    return figure, axes[:panels]


def _png(figure: Figure) -> bytes:
    for axis in figure.axes:
        axis.title.set_fontsize(10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
