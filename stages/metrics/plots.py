"""The plots of the stage `metrics`: lip opening over time, the model beside its baselines, errors by subject."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from faces.lips import correlation, opening
from faces.metrics_parts import Parts
from stages import figures
from stages.kinds.sequences import Sequences
from stages.metrics.choose import MEAN_MOTION, MODEL, Case, Take
from stages.metrics.scores import Score, Scores
from stages.metrics.units import in_millimetres, length_unit

POWERS = (-2, 4)
"""Powers of ten outside of which an axis counts in one of them."""
BARS = ("lve", "mve", "fdd_abs", "velocity", "code_mse", "code_velocity")
BEST = "#8fbdd6"
Motion = NDArray[np.floating]


def opening_curves(
    folder: Path, data: Sequences, cases: Sequence[Case], parts: Parts, model: str, most: int, said: str = ""
) -> None:
    """One figure for each of up to `most` sequences, spread over all of them. said: of the regions."""
    places = np.unique(np.linspace(0, len(cases) - 1, min(most, len(cases))).round().astype(int))
    for case in (cases[place] for place in places):
        take = next(take for take in case.of(MODEL) if take.counted)
        opening_curve(folder / f"opening_{take.name}", data, take, parts, model, said)


def opening_curve(stem: Path, data: Sequences, take: Take, parts: Parts, model: str, said: str = "") -> None:
    """Truth and prediction over time, and the template's opening as a line."""
    scale, unit = length_unit(data.units)
    lips = parts.lip_upper, parts.lip_lower
    pair = data.vertices(take.item.id)[: take.frames], take.predictions.motion(take.name)[: take.frames]
    truth, prediction = (scale * opening(motion, *lips) for motion in pair)
    rest = scale * opening(data.templates[take.item.subject][None], *lips)[0]
    time = np.arange(take.frames) / data.fps
    agreement = correlation(truth, prediction)
    shown = "" if np.isnan(agreement) else f", r = {agreement:.2f}"
    title = take.predictions.info.in_style(f"{take.item.id}: lip opening", take.item)
    figure, axes = figures.panel(f"{title}{shown}", "time (s)", f"lip opening ({unit})")
    axes.axhline(rest, color=figures.OTHER[1], linestyle=":", linewidth=1, label="neutral template")
    axes.plot(time, truth, color=figures.TRUTH, linewidth=1.4, label="ground truth")
    axes.plot(time, prediction, color=figures.MODEL, linewidth=1.8, label=model)
    axes.margins(x=0)
    axes.legend(frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0, -0.16), borderaxespad=0)
    figures.caption(figure, said)
    figures.publish(figure, stem)


def bars(stem: Path, rows: Mapping[str, Scores], model: str, units: str, over: Mapping[str, str]) -> None:
    """The model beside the baselines with 95 % intervals, one pair of axes per metric. over: as in `Drawing`."""
    chosen = [name for family in BARS if (name := _first(rows[MODEL], family))] or list(rows[MODEL])[:1]
    figure, all_axes = figures.panels(len(chosen))
    for axes, name in zip(all_axes, chosen, strict=True):
        scores = {row: found[name] for row, found in rows.items() if name in found}
        _bars(axes, scores, units)
        axes.set_xticklabels([_label(row, model) for row in scores], fontsize=8)
    roles = {rows[MODEL][name].definition.role for name in chosen}
    figures.caption(figure, "; ".join(text for role, text in over.items() if role in roles))
    figures.publish(figure, stem)


def _bars(axes: Axes, scores: Mapping[str, Score], units: str) -> None:
    definition = next(iter(scores.values())).definition
    heights = [in_millimetres(score.value, definition, units)[0] for score in scores.values()]
    unit = in_millimetres(0.0, definition, units)[1]
    spans = [_interval(score, units) for score in scores.values()]
    reach = [
        [max(0.0, height - low), max(0.0, high - height)] for height, (low, high) in zip(heights, spans, strict=True)
    ]
    style = {"ecolor": figures.TRUTH, "elinewidth": 1, "capsize": 3}
    others = iter(figures.OTHER)
    colours = [_colour(row) or next(others) for row in scores]
    drawn = axes.bar(range(len(scores)), heights, yerr=np.array(reach).T, color=colours, width=0.7, error_kw=style)
    axes.bar_label(drawn, fmt="{:.3g}", padding=2, fontsize=8)
    title = "\n".join(textwrap.wrap(definition.name, 24))
    axes.set(title=f"{title} ({unit})", xticks=range(len(scores)))
    axes.margins(y=0.12)
    axes.ticklabel_format(axis="y", scilimits=POWERS, useMathText=True)
    axes.grid(axis="x", visible=False)
    axes.title.set_fontsize(10)


def _label(row: str, model: str) -> str:
    return row if _of_samples(row) else (model if row == MODEL else row).replace(" ", "\n")


def _of_samples(row: str) -> bool:
    return row.startswith("best of ")


def _colour(row: str) -> str:
    """The model's, paler for the best of its samples; "" for what stands beside it."""
    return figures.MODEL if row == MODEL else BEST if _of_samples(row) else ""


def _interval(score: Score, units: str) -> tuple[float, float]:
    """The 95 % interval as it is shown; of no width where there is none."""
    low, high = score.interval or (score.value, score.value)
    return in_millimetres(low, score.definition, units)[0], in_millimetres(high, score.definition, units)[0]


def boxes(stem: Path, rows: Mapping[str, Scores], model: str, units: str, over: Mapping[str, str]) -> None:
    """Lip vertex error of each subject's sequences, each a dot, the model beside the mean motion."""
    name = _first(rows[MODEL], "lve")
    if not name:
        return
    shown = {model: rows[MODEL][name]} | ({MEAN_MOTION: rows[MEAN_MOTION][name]} if MEAN_MOTION in rows else {})
    subjects = sorted(set(rows[MODEL][name].subjects))
    unit = in_millimetres(0.0, rows[MODEL][name].definition, units)[1]
    figure, (axes,) = figures.panels(1, width=max(3.6, 1.4 + 0.9 * len(subjects)), height=3.8)
    for place, (row, score) in enumerate(shown.items()):
        offset = (place - (len(shown) - 1) / 2) * 0.36
        colour = figures.MODEL if place == 0 else figures.OTHER[1]
        _boxes(axes, score, subjects, units, offset, colour, row)
    axes.set(title="lip vertex error by subject", ylabel=f"LVE of a sequence ({unit})", xticks=range(len(subjects)))
    long = len(subjects) > 1 and max(map(len, subjects)) > 6
    axes.set_xticklabels(subjects, fontsize=8, rotation=25 if long else 0, ha="right" if long else "center")
    axes.ticklabel_format(axis="y", scilimits=POWERS, useMathText=True)
    axes.set(ylim=(0, None), xlim=(-0.6, len(subjects) - 0.4))
    axes.grid(axis="x", visible=False)
    axes.title.set_fontsize(11)
    said = "\n".join(textwrap.wrap(over.get(rows[MODEL][name].definition.role, ""), 46))
    axes.set_xlabel(said, **figures.SMALL_PRINT)
    figure.legend(frameon=False, fontsize=8, ncols=2, loc="outside lower center")
    figures.publish(figure, stem)


def _boxes(
    axes: Axes, score: Score, subjects: Sequence[str], units: str, offset: float, colour: str, label: str
) -> None:
    values = [
        [
            in_millimetres(value, score.definition, units)[0]
            for value, subject in zip(score.values, score.subjects, strict=True)
            if subject == name
        ]
        for name in subjects
    ]
    positions = np.arange(len(subjects)) + offset
    drawn = axes.boxplot(values, positions=positions.tolist(), widths=0.3, manage_ticks=False, showfliers=False)
    for lines in drawn.values():
        for line in lines:
            line.set(color=colour, linewidth=1.3)
    for position, few in zip(positions, values, strict=True):
        spots = position + 0.05 * np.linspace(-1, 1, len(few)) if len(few) > 1 else [position]
        axes.plot(
            spots, few, ".", color=colour, markersize=4, alpha=0.6, label=label if position == positions[0] else None
        )


def _first(scores: Scores, family: str) -> str:
    """The first variant of a family that there is, or ""."""
    return next((name for name, score in scores.items() if score.definition.family == family), "")
