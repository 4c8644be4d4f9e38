"""The picture of a training run over epochs: losses, for a motion prior how much of its codebook is in use, for a
recogniser how many letters are wrong, and what the validations found of lips and motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from stages import figures
from stages.train.health import FROZEN, HEALTH

USAGE, LETTERS = "codebook_usage", "letter_errors"
LINES = (("train", "training", figures.MODEL), ("val", "validation", figures.OTHER[0]))
LVE, ENERGY, LIPS = "lve", "motion_energy", "lip_correlation"
SHARES = ((ENERGY, "motion energy, share of the truth's", figures.MODEL), (LIPS, "lip opening, r", figures.OTHER[0]))
History = Sequence[dict[str, Any]]


def draw_curves(file: Path, model: str, history: History, best_epoch: int) -> None:
    """Training and validation loss, logarithmic; they differ in kind for some models (see docs). Beside them a panel
    for each of the rest that was recorded."""
    wanted = [
        ("training", _losses),
        ("codebook", _codebook),
        ("letters", _letters),
        ("lips", _lips),
        ("motion", _motion),
    ]
    found = [(title, draw) for title, draw in wanted if draw is _losses or _has(history, title)]
    figure, all_axes = figures.panels(len(found), width=7.0 if len(found) == 1 else 5.0)
    for axes, (title, draw) in zip(all_axes, found, strict=True):
        axes.set(title=f"{model}: {title}", xlabel="epoch")
        axes.title.set_fontsize(11)
        draw(axes, history)
        if best_epoch > 0:
            axes.axvline(best_epoch, color=figures.OTHER[1], linestyle=":", label=f"best, epoch {best_epoch}")
        axes.legend(frameon=False, fontsize=8)
    figures.save(figure, file)


def _has(history: History, panel: str) -> bool:
    names = {"codebook": [("train", USAGE)], "lips": [(HEALTH, LVE)], "motion": [(HEALTH, ENERGY), (HEALTH, LIPS)]}
    names |= {"letters": [("val", LETTERS)]}
    return any(_points(history, *name) for name in names[panel])


def _losses(axes: Axes, history: History) -> None:
    axes.set(ylabel="loss", yscale="log")
    for key, name, colour in LINES:
        _draw(axes, _points(history, key, "loss"), name, colour)


def _codebook(axes: Axes, history: History) -> None:
    axes.set(ylabel="share of codes in use", ylim=(0, 1.03))
    for key, name, colour in LINES:
        _draw(axes, _points(history, key, USAGE), name, colour)


def _letters(axes: Axes, history: History) -> None:
    axes.set(ylabel="wrong letters, share of the truth's")
    _draw(axes, _points(history, "val", LETTERS), "validation", figures.OTHER[0])
    axes.set_ylim(bottom=0)


def _lips(axes: Axes, history: History) -> None:
    axes.set(ylabel="lip vertex error, unit of the data squared")
    _draw(axes, _points(history, HEALTH, LVE), "validation", figures.OTHER[0])
    axes.set_ylim(bottom=0)


def _motion(axes: Axes, history: History) -> None:
    axes.set(ylabel="share, correlation")
    points = {value: _points(history, HEALTH, value) for value, _, _ in SHARES}
    for value, name, colour in SHARES:
        _draw(axes, points[value], name, colour)
    largest = max(value for line in points.values() for _, value in line)
    axes.set_ylim(top=1.45 * max(1.0, largest))  # the truth's energy is 1; above there is room for the legend
    axes.axhline(FROZEN, color=figures.OTHER[2], linestyle="--", linewidth=1, label="below: frozen")


def _points(history: History, key: str, value: str) -> list[tuple[int, float]]:
    return [(record["epoch"], record[key][value]) for record in history if record.get(key, {}).get(value) is not None]


def _draw(axes: Axes, points: Sequence[tuple[int, float]], name: str, colour: str) -> None:
    if points:
        marker = "." if len(points) < 3 else ""
        axes.plot(*zip(*points, strict=True), color=colour, marker=marker, linewidth=1.6, label=name)
