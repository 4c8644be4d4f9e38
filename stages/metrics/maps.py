"""Numbers per vertex as colours on the head, with their scale: where errors are, and where truth and prediction move.

The head is the topology's own neutral face, drawn by the project's renderer on a transparent ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from numpy.typing import NDArray

from faces import camera
from faces.heatmap import HeatScale, colour_table, nice_end
from faces.ply import read_ply
from faces.raster.look import MATTE, Look, to_bytes
from faces.renderer import SoftRenderer
from stages import figures
from stages.kinds.sequences import TOPOLOGY, Sequences
from stages.metrics.surface import Surface
from stages.metrics.units import POWERS, length_unit

Array = NDArray[np.float64]

SIZE = 560
"""Pixels a side of a head."""
TOP = 99.5
"""Percentile of the vertices at which the scale ends: single vertices may pass it."""
SMALLEST = 1e-12


def error_map(stem: Path, data: Sequences, surface: Surface) -> None:
    """The mean distance between truth and prediction."""
    _draw(stem, data, [("mean error", surface.error)], power=1, label="mean distance")


def upper_face_map(
    stem: Path, data: Sequences, surface: Surface, region: NDArray[np.int64], model: str, said: str = ""
) -> None:
    """How much the upper face moves, as the dynamics deviation sees it; the rest of the head stays bare.

    said: of the region, below the figure.
    """
    outside = np.ones(data.info.vertices, bool)
    outside[region] = False
    panels = [
        (name, np.where(outside, 0.0, values))
        for name, values in (("ground truth", surface.truth_deviation), (model, surface.deviation))
    ]
    label = "deviation over time of the\nsquared offset from the template"
    _draw(stem, data, panels, power=2, label=label, of=~outside, said=said)


def step_map(stem: Path, data: Sequences, surface: Surface, model: str) -> None:
    """Mean and standard deviation over time of the distance between neighbouring frames (CodeTalker, CVPR 2023)."""
    panels = [
        ("ground truth, mean", surface.truth_step),
        (f"{model}, mean", surface.step),
        ("ground truth, deviation", surface.truth_step_deviation),
        (f"{model}, deviation", surface.step_deviation),
    ]
    _draw(stem, data, panels, power=1, label="distance between\nneighbouring frames")


def _draw(
    stem: Path,
    data: Sequences,
    panels: Sequence[tuple[str, Array]],
    *,
    power: int,
    label: str,
    of: NDArray[np.bool_] | None = None,
    said: str = "",
) -> None:
    """Heads side by side on one scale. of: (V,) the vertices that the scale is made for; None: all. said: below."""
    factor, unit = length_unit(data.units)
    shown = [values * factor**power for _, values in panels]
    top = max(float(np.percentile(values if of is None else values[of], TOP)) for values in shown)
    exponent, scale = _scale(max(top, SMALLEST), unit + POWERS[power])
    heads = _heads(data, [scale.colours(values / 10.0**exponent) for values in shown])
    figure, all_axes = figures.panels(len(panels), width=2.5, height=3.1)
    for axes, head, (name, _) in zip(all_axes, heads, panels, strict=True):
        axes.imshow(head, interpolation="antialiased")
        axes.set_title(name, fontsize=9)
        axes.set_axis_off()
    colours = ScalarMappable(Normalize(0, scale.high), ListedColormap((to_bytes(colour_table()) / 255).tolist()))
    bar = figure.colorbar(colours, ax=all_axes, shrink=0.7, aspect=16, extend="max")
    bar.set_label(f"{label} ({scale.unit})", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    figures.caption(figure, said)
    figures.publish(figure, stem)


def _scale(top: float, unit: str) -> tuple[int, HeatScale]:
    """A round scale up to `top`, and the power of ten that its numbers leave to the unit: "10⁻³ √area"."""
    exponent = 0 if 0.01 <= top < 10_000 else 3 * int(np.floor(np.log10(top) / 3))
    superscript = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return exponent, HeatScale(nice_end(top / 10.0**exponent), f"10{superscript} {unit}" if exponent else unit)


def _heads(data: Sequences, colours: Sequence[NDArray[np.float32]]) -> list[NDArray[np.uint8]]:
    """(rows, columns, 4) uint8 each, cut to what the head covers."""
    mesh = read_ply(data.path / TOPOLOGY)
    up = data.info.up if data.info.up in camera.UP_AXES else "y"
    view = camera.fit(mesh.vertices, SIZE, up)
    grounds = [SoftRenderer(mesh.faces, view, Look(MATTE, (level,) * 3, 2)) for level in (0, 255)]
    heads = [_cut_out(*(ground.render(mesh.vertices, colour) for ground in grounds)) for colour in colours]
    rows, columns = (np.flatnonzero(heads[0][:, :, 3].any(axis=axis)) for axis in (1, 0))
    return [head[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] for head in heads]


def _cut_out(on_black: NDArray[np.uint8], on_white: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What is the same on black and on white is the head: RGBA whose colours are not mixed with any ground."""
    black = on_black.astype(np.float64)
    alpha = 1 - (on_white - black).max(axis=2) / 255
    colour = black / np.maximum(alpha, 1 / 255)[:, :, None]
    return np.dstack([np.clip(colour, 0, 255), 255 * alpha]).round().astype(np.uint8)
