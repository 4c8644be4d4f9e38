"""Plots as files: one look for all figures, no display, no time stamps, equal bytes for equal numbers."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

TRUTH, MODEL, OTHER = "#333333", "#0b6fa4", ("#c8553d", "#8a8f98", "#e0a030")
"""Colours: ground truth, the model (or training), and what stands beside it."""
SMALL_PRINT: dict[str, Any] = {"fontsize": 7, "color": "#666666"}


def panel(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    """A figure with one pair of axes."""
    figure, (axes,) = panels(1, width=7.0)
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.title.set_fontsize(11)
    return figure, axes


def panels(count: int, *, width: float = 3.0, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """A figure with several pairs of axes side by side; sizes of each in inches at 120 dots."""
    figure = Figure(figsize=(width * count, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = [figure.add_subplot(1, count, place + 1) for place in range(count)]
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, all_axes


def caption(figure: Figure, text: str) -> None:
    """Small print below all axes; nothing where there is no text."""
    if text:
        figure.supxlabel("\n".join(textwrap.wrap(text, int(figure.get_figwidth() * 20))), **SMALL_PRINT)


def save(figure: Figure, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, metadata={"Software": None})
    return file


def publish(figure: Figure, stem: Path) -> list[Path]:
    """The figure for a paper: `stem`.png on a transparent ground, and `stem`.pdf, whose text stays text."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = [stem.with_name(f"{stem.name}.{ending}") for ending in ("png", "pdf")]
    with rc_context({"pdf.fonttype": 42}):
        figure.savefig(files[0], metadata={"Software": None}, transparent=True)
        figure.savefig(files[1], metadata=dict.fromkeys(("Creator", "Producer", "CreationDate")), transparent=True)
    return files
