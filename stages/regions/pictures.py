"""Regions on their mesh as pictures, drawn by the project's renderer: one of each, and all on one sheet."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from faces import camera
from faces.raster.look import MATTE, Look, to_linear
from faces.renderer import SoftRenderer
from stages import figures
from stages.regions.subject import Subject
from stages.render.stills import write_png

SKIN, REGION = (198, 200, 204), (200, 60, 40)
"""8-bit colours, as they appear where the face looks at the camera."""
GROUND = (255, 255, 255)
COLUMNS = 5
INCHES, SHEET_DPI = 2.4, 120
"""Of the sheet: pictures in a row, the side of each, dots per inch."""


HIDDEN = "hidden from the front"


def draw(subject: Subject, size: int) -> Iterator[tuple[str, NDArray[np.uint8], bool]]:
    """Name, (size, size, 3) and whether any of the region is seen, of each region, from the front.

    Triangles at a region's border shade off, since colours belong to vertices.
    """
    vertices = subject.mesh.vertices
    up = subject.up if subject.up in camera.UP_AXES else "y"
    renderer = SoftRenderer(subject.mesh.faces, camera.fit(vertices, size, up), Look(MATTE, GROUND, 2))
    skin = np.tile(to_linear(SKIN), (len(vertices), 1))
    bare = renderer.render(vertices, skin)
    for name, indices in sorted(subject.regions.items()):
        colours = skin.copy()
        colours[indices] = to_linear(REGION)
        picture = renderer.render(vertices, colours)
        yield name, picture, not np.array_equal(picture, bare)


def sheet(file: Path, title: str, pictures: Sequence[tuple[str, NDArray[np.uint8]]], said: Mapping[str, str]) -> Path:
    """All pictures with what is said of each below it."""
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    size = (INCHES * columns, (INCHES + 0.95) * rows + 0.5)
    figure = Figure(figsize=size, dpi=SHEET_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("\n".join(textwrap.wrap(title, 24 * columns)), fontsize=10)
    for place in range(rows * columns):
        axes = figure.add_subplot(rows, columns, place + 1)
        axes.set_axis_off()
        if place < len(pictures):
            name, picture = pictures[place]
            axes.imshow(picture, interpolation="antialiased")
            axes.set_title(name, fontsize=9)
            axes.text(0.5, -0.02, said[name], transform=axes.transAxes, ha="center", va="top", fontsize=7)
    return figures.save(figure, file)


def write(folder: Path, subject: Subject, said: Mapping[str, str], size: int) -> list[Path]:
    """<region>.png of each, and overview.png, into a folder that need not be there."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = list(draw(subject, size))
    pictures = [(name, picture) for name, picture, _ in drawn]
    below = {name: said[name] if seen else f"{said[name]}\n{HIDDEN}" for name, _, seen in drawn}
    files = [write_png(folder / f"{name}.png", picture) for name, picture in pictures]
    return [sheet(folder / "overview.png", _title(subject), pictures, below), *files]


def _title(subject: Subject) -> str:
    mesh = subject.topology
    known = f"the topology of {mesh.title}" if mesh else "no regions are published for this topology"
    return f"{subject.name}: {len(subject.mesh.vertices):,} vertices, {len(subject.mesh.faces):,} triangles; {known}"
