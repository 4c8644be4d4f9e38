"""The figures of the stage `metrics`: lip opening over time beside the truth, and the model beside its baselines."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from faces.metrics import DEFINITIONS, correlation, to_shorter
from stages import figures
from stages.kinds.predictions import Predictions, prediction_name
from stages.kinds.sequences import Sequences
from stages.metrics.measure import MODEL, Row, counted_conditions, lip_opening
from stages.metrics.regions import Regions
from stages.metrics.report import MM_PER_M, UNIT_NAMES, in_millimetres

BARS = ("lve", "mve", "abs_fdd")


def opening_curves(
    folder: Path,
    data: Sequences,
    predictions: Predictions,
    by_sequence: Mapping[str, Sequence[str]],
    regions: Regions,
    most: int,
) -> None:
    """One figure for each of up to `most` sequences, spread over all of them."""
    names = list(by_sequence)
    picked = np.unique(np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int))
    for name in (names[i] for i in picked):
        items = [predictions.items[item] for item in by_sequence[name]]
        opening_curve(folder, data, predictions, name, counted_conditions(items)[0], regions)


def opening_curve(
    folder: Path, data: Sequences, predictions: Predictions, name: str, condition: str, regions: Regions
) -> Path:
    made = prediction_name(name, condition)
    scale, unit = (MM_PER_M, "mm") if data.units == "m" else (1.0, UNIT_NAMES.get(data.units, data.units))
    pair = to_shorter(data.vertices(name), predictions.motion(made))
    truth, prediction = (scale * lip_opening(motion, regions) for motion in pair)
    rest = scale * lip_opening(data.templates[data.entry(name).subject][None], regions)[0]
    time = np.arange(len(truth)) / data.fps
    style = "own style" if condition == data.entry(name).subject else f"style of {condition}"
    agreement = correlation(truth, prediction)
    shown = "" if np.isnan(agreement) else f", r = {agreement:.2f}"
    figure, axes = figures.panel(f"{name}: lip opening, {style}{shown}", "time (s)", f"lip opening ({unit})")
    axes.axhline(rest, color=figures.OTHER[1], linestyle=":", linewidth=1, label="neutral template")
    axes.plot(time, truth, color=figures.TRUTH, linewidth=1.4, label="ground truth")
    axes.plot(time, prediction, color=figures.MODEL, linewidth=1.8, label=predictions.info.model)
    axes.margins(x=0)
    axes.legend(frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0, -0.16), borderaxespad=0)
    return figures.save(figure, folder / f"opening_{made}.png")


def bars(file: Path, rows: Mapping[str, Row], model: str, units: str) -> None:
    """The model beside the baselines, one pair of axes per metric, in millimetres where the data are metric."""
    metrics = [name for name in BARS if name in rows[MODEL].means]
    colours = [figures.MODEL, *figures.OTHER]
    figure, all_axes = figures.panels(len(metrics))
    for axes, metric in zip(all_axes, metrics, strict=True):
        definition = DEFINITIONS[metric]
        heights = [in_millimetres(row.means[metric].value, definition, units)[0] for row in rows.values()]
        drawn = axes.bar(range(len(rows)), heights, color=colours[: len(rows)], width=0.7)
        axes.bar_label(drawn, fmt="{:.3g}", padding=2, fontsize=8)
        unit = in_millimetres(0.0, definition, units)[1]
        title = "\n".join(textwrap.wrap(definition.name, 24))
        axes.set(title=f"{title} ({unit})", xticks=range(len(rows)))
        axes.margins(y=0.1)
        axes.grid(axis="x", visible=False)
        axes.set_xticklabels([(model if name == MODEL else name).replace(" ", "\n") for name in rows], fontsize=8)
        axes.title.set_fontsize(10)
    figures.save(figure, file)
