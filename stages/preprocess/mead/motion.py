"""The two ways in which 3D-MEAD's sequences become vertices: they are vertices, or FLAME makes them of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.flame import JAW
from faces.flame_file import read_flame
from faces.mesh import read_mesh
from stages.kinds.tracks import Track
from stages.preprocess.mead.parameters import Parameters, open_parameters
from stages.preprocess.prepare import Name, check_finite, leave_out
from stages.preprocess.template_file import read_table
from stages.preprocess.vertex_file import VertexFile

if TYPE_CHECKING:
    from stages.preprocess.mead import Settings
    from stages.preprocess.mead.layout import Layout

TRACK = "flame"


class Motion(Protocol):
    """frames: sequence → T as recorded. templates: subject → (V, 3). faces: (F, 3). tracks: as `Tracked` has it."""

    frames: Mapping[Name, int]
    templates: Mapping[str, NDArray[np.float32]]
    faces: NDArray[np.int32]
    tracks: Mapping[str, Track]

    def read(self, name: Name, step: int) -> NDArray[np.float32]:
        """Every `step`-th frame, (T, V, 3)."""
        ...

    def rows(self, name: Name, step: int) -> Mapping[str, NDArray[np.floating]]: ...


def open_motion(settings: Settings, layout: Layout, names: Sequence[Name]) -> Motion:
    """Open the motion of these sequences, of which headers alone are read."""
    made = Reconstructed if layout.parametric else Vertices
    return made(settings, layout, names)


class Vertices:
    """Arrays (T, V, 3) or (T, 3 V), taken as they are."""

    tracks: Mapping[str, Track] = {}

    def __init__(self, settings: Settings, layout: Layout, names: Sequence[Name]) -> None:
        self.files = {name: VertexFile.open(layout.motion[name], flat=True) for name in names}
        self.frames: Mapping[Name, int] = {name: file.frames for name, file in self.files.items()}
        mesh = read_mesh(layout.topology)
        self.faces, count = mesh.faces, len(mesh.vertices)
        self.templates = _templates(layout.templates, {subject for subject, _ in names})
        for subject, template in self.templates.items():
            if len(template) != count:
                raise DataError(
                    f"{layout.templates}, {subject}, has {len(template):,} vertices, but {layout.topology} has "
                    f"{count:,}; give the mesh of the data's own topology"
                )
        for name, file in self.files.items():
            if file.vertices != count:
                raise DataError(
                    f"{file.path} has {file.vertices:,} vertices, but {layout.topology} has {count:,}; "
                    f"{leave_out(name)}"
                )

    def read(self, name: Name, step: int) -> NDArray[np.float32]:
        file = self.files[name]
        frames = file.gather(np.arange(0, file.frames, step))
        check_finite(frames, lambda row: f"{file.path}, frame {row * step}", name)
        return frames

    def rows(self, name: Name, step: int) -> Mapping[str, NDArray[np.floating]]:
        return {}


def _templates(file: Path, subjects: set[str]) -> Mapping[str, NDArray[np.float32]]:
    if file.suffix.lower() in (".pkl", ".npz"):
        return read_table(file)
    shared = read_mesh(file).vertices
    return dict.fromkeys(sorted(subjects), shared)


class Reconstructed:
    """FLAME parameters and the model. The head's pose is not among them, so that it looks ahead."""

    def __init__(self, settings: Settings, layout: Layout, names: Sequence[Name]) -> None:
        self.model = read_flame(layout.flame)
        self.files: dict[Name, Parameters] = {name: open_parameters(layout.motion[name]) for name in names}
        self.frames: Mapping[Name, int] = {name: file.frames for name, file in self.files.items()}
        self.expressions = settings.expressions
        subjects, own = sorted({subject for subject, _ in names}), settings.shape == "subject"
        self.shapes = {s: self._shape(layout.model_of(s, settings.skip)) if own else None for s in subjects}
        self.faces = self.model.faces
        self.templates: Mapping[str, NDArray[np.float32]] = {
            subject: self.model.neutral(shape).astype(np.float32) for subject, shape in self.shapes.items()
        }
        about = f"FLAME: {settings.expressions} numbers of expression, then the jaw's axis times its angle (radians)"
        self.tracks: Mapping[str, Track] = {TRACK: Track(about, framewise=True)}

    def read(self, name: Name, step: int) -> NDArray[np.float32]:
        row = self.rows(name, step)[TRACK]
        expression, jaw = np.split(row, [self.expressions], axis=1)
        return self.model.vertices(expression, {JAW: jaw}, self.shapes[name[0]])

    def rows(self, name: Name, step: int) -> Mapping[str, NDArray[np.floating]]:
        parts = self.files[name].read("exp", "jaw")
        return {TRACK: np.concatenate([parts["exp"][::step, : self.expressions], parts["jaw"][::step]], axis=1)}

    def _shape(self, name: Name) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = self.files[name].read("shape")["shape"].mean(axis=0)
        return mean
