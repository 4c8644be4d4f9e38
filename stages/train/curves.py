"""The picture of a training run: losses over epochs, and for a motion prior how much of its codebook is in use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from stages import figures

USAGE = "codebook_usage"
LINES = (("train", "training", figures.MODEL), ("val", "validation", figures.OTHER[0]))


def draw_curves(file: Path, model: str, history: Sequence[dict[str, Any]], best_epoch: int) -> None:
    """Training and validation loss, logarithmic; they differ in kind for some models (see docs)."""
    prior = USAGE in history[0]["train"]
    figure, all_axes = figures.panels(1 + prior, width=5.0 if prior else 7.0)
    all_axes[0].set(title=f"{model}: training", xlabel="epoch", ylabel="loss", yscale="log")
    _draw(all_axes[0], history, "loss", best_epoch)
    if prior:
        all_axes[1].set(title=f"{model}: codebook", xlabel="epoch", ylabel="share of codes in use", ylim=(0, 1.03))
        _draw(all_axes[1], history, USAGE, best_epoch)
    figures.save(figure, file)


def _draw(axes: Axes, history: Sequence[dict[str, Any]], value: str, best_epoch: int) -> None:
    axes.title.set_fontsize(11)
    for key, name, colour in LINES:
        points = [(record["epoch"], record[key][value]) for record in history if key in record]
        if points:
            marker = "." if len(points) < 3 else ""
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, linewidth=1.6, label=name)
    if best_epoch > 0:
        axes.axvline(best_epoch, color=figures.OTHER[1], linestyle=":", label=f"best, epoch {best_epoch}")
    axes.legend(frameon=False)
