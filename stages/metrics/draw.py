"""All figures of a report, each as PNG and PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from faces.metrics_definitions import OPENING, UPPER_FACE
from faces.metrics_parts import Parts
from stages.kinds.sequences import Sequences
from stages.metrics import maps, plots
from stages.metrics.choose import Case
from stages.metrics.scores import Scores
from stages.metrics.surface import Surface


@dataclass(frozen=True)
class Drawing:
    """What there is to be drawn, and where to. over: role of a region → what a figure says of it. surface: None where
    there is nothing but numbers."""

    folder: Path
    data: Sequences
    model: str
    parts: Parts
    over: Mapping[str, str]
    cases: Sequence[Case]
    rows: Mapping[str, Scores]
    surface: Surface | None


def draw_all(drawing: Drawing, curves: int) -> None:
    """Bars and boxes of the numbers, curves of the lips, maps of the surface; what the data lack is left out."""
    folder, data, units = drawing.folder, drawing.data, drawing.data.units
    plots.bars(folder / "baselines", drawing.rows, drawing.model, units, drawing.over)
    plots.boxes(folder / "lve_by_subject", drawing.rows, drawing.model, units, drawing.over)
    if drawing.surface is None:
        return
    maps.error_map(folder / "error_map", data, drawing.surface)
    if len(drawing.parts.upper_face):
        upper, said = drawing.parts.upper_face, drawing.over.get(UPPER_FACE, "")
        maps.upper_face_map(folder / "upper_face_motion", data, drawing.surface, upper, drawing.model, said)
    maps.step_map(folder / "motion_between_frames", data, drawing.surface, drawing.model)
    if drawing.parts.has(OPENING):
        said = drawing.over.get(OPENING, "")
        plots.opening_curves(folder, data, drawing.cases, drawing.parts, drawing.model, curves, said)
