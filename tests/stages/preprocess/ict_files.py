"""Two tiny clones in the layouts and formats of FACEGOOD-Audio2Face and ICT-FaceKit, and the stage run on them.

The head is a face of rings of quads about a mouth hole, twelve vertices a ring, and a quad for each other material.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stages.preprocess import Preprocess
from stages.preprocess.ict_facegood import OWN_MAPPING, Settings
from stages.preprocess.ict_facegood.layout import CURVE_NAMES, CURVES, MODEL, SOUNDS, read_mapping
from stages.preprocess.sound import Clip, write_wav
from tests.stages.fake_job import FakeJob

SECTORS, RINGS = 12, 6
LIP_RINGS = 3
"""The outline of the lips is the third ring."""
FPS, RATE = 30, 8000
TRAIN, VAL, TEST, UNSEEN = "1114_2_01", "1114_3_15", "1114_2_04", "1114_2_06"
WORD, PAUSE, WORDS = 18, 15, 12
"""Frames of sound, frames of silence after it, and how often, in a clip."""
CURVES_THERE = [*read_mapping(OWN_MAPPING), "tooth_d_d", "brow_raise_c"]
SHAPES = sorted({shape for shapes in read_mapping(OWN_MAPPING).values() for shape in shapes})
OTHER_MATERIALS = ("M_GumsTongue", "M_Teeth", "M_ScleraLeft", "M_IrisLeft", "M_ScleraRight", "M_IrisRight",
                   "M_LacrimalFluid", "M_EyeBlend", "M_EyeOcclusion", "M_EyeLashes")  # fmt: skip
UPPER, LOWER = 3, 9
"""The middles of the lips: sectors of the first ring, at 90 and 270 degrees."""


def face_points() -> np.ndarray:
    """(72, 3) centimetres. The first ring is a slit: the lips are closed."""
    ring, sector = np.divmod(np.arange(RINGS * SECTORS), SECTORS)
    angle, radius = sector * 2 * np.pi / SECTORS, ring + 1.0
    height = np.where(ring == 0, 0.05, 1.0)
    return np.stack([radius * np.cos(angle), height * radius * np.sin(angle), -0.1 * radius**2], axis=1)


def at(ring: int, degrees: int) -> int:
    return ring * SECTORS + (degrees // 30) % SECTORS


def landmarks() -> list[int]:
    """Multi-PIE's 68: eyes (36 to 47) on the fifth ring, outline and inner line of the lips where they belong."""
    eyes = [at(4, degrees) for degrees in (30, 60, 120, 150)] * 3
    outline = [at(2, 180 - 30 * k) for k in range(SECTORS)]
    inner = [at(0, degrees) for degrees in (180, 120, 90, 60, 0, -60, -90, -120)]
    return [at(5, 270)] * 36 + eyes + outline + inner


def polygons() -> dict[str, list[list[int]]]:
    """Material → polygons, from 0; vertices after the face's are those of the other parts, four each."""
    face = [
        [r * SECTORS + s, r * SECTORS + (s + 1) % SECTORS, (r + 1) * SECTORS + (s + 1) % SECTORS, (r + 1) * SECTORS + s]
        for r in range(RINGS - 1)
        for s in range(SECTORS)
    ]
    first = RINGS * SECTORS
    quads = [[first + 4 * k + corner for corner in range(4)] for k in range(2 + len(OTHER_MATERIALS))]
    found = {"M_Face": face, "M_BackHead": [quads[0], quads[1]]}  # the neck, and the socket of the mouth
    return found | {material: [quads[k]] for k, material in enumerate(OTHER_MATERIALS, start=2)}


def head_points() -> np.ndarray:
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
    places = [(0, -9, -5), (0, 0, -1.5)] + [(-2 + k % 4, k % 3, -3 - k) for k in range(len(OTHER_MATERIALS))]
    return np.concatenate([face_points(), *(corners + place for place in places)])


@dataclass
class IctData:
    """What the files hold; tests bend it before `write`."""

    points: np.ndarray = field(default_factory=head_points)
    indices: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, np.ndarray] = field(default_factory=dict)
    modes: list[np.ndarray] = field(default_factory=list)
    names: list[str] = field(default_factory=lambda: list(CURVES_THERE))
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    sounds: dict[str, np.ndarray] = field(default_factory=dict)

    def write(self, root: Path) -> Path:
        """The clones "facegood" and "ict" in a folder."""
        model = root / "ict" / MODEL
        model.mkdir(parents=True)
        write_obj(model / "generic_neutral_mesh.obj", self.points)
        (model / "vertex_indices.json").write_text(json.dumps(self.indices))
        for name, moved in self.shapes.items():
            write_obj(model / f"{name}.obj", self.points + moved)
        for number, moved in enumerate(self.modes):
            write_obj(model / f"identity{number:03d}.obj", self.points + moved)
        facegood = root / "facegood"
        for folder in (CURVES, SOUNDS):
            (facegood / folder).mkdir(parents=True)
        np.save(facegood / CURVE_NAMES, np.array(self.names))
        for clip, values in self.curves.items():
            write_python_2_npy(facegood / CURVES / f"bs_value_{clip}.npy", values)
        for clip, samples in self.sounds.items():
            write_wav(facegood / SOUNDS / f"{clip}.wav", Clip(samples, RATE))
        return root


def ict_data() -> IctData:
    data, rng = IctData(), np.random.default_rng(3)
    data.indices = {
        "expressions": [*SHAPES, "browDown_L"],
        "idx_to_fitting_verts": list(range(RINGS * SECTORS)),
        "idx_to_landmark_verts": landmarks(),
    }
    data.shapes = {name: rng.normal(scale=0.02, size=data.points.shape).round(3) for name in SHAPES}
    opened = np.zeros_like(data.points)
    below = [at(ring, degrees) for ring in range(LIP_RINGS) for degrees in (210, 240, 270, 300, 330)]
    opened[below, 1] = -3.0
    data.shapes["jawOpen"] = opened
    data.modes = [rng.normal(scale=0.1, size=data.points.shape).round(3) for _ in range(2)]
    for number, clip in enumerate((TRAIN, VAL, TEST, UNSEEN)):
        spoken = np.tile(np.r_[np.ones(WORD), np.zeros(PAUSE)], WORDS)
        tone = np.sin(np.arange(len(spoken) * RATE // FPS) * (0.3 + 0.1 * number)) * 9000
        data.sounds[clip] = (tone * np.repeat(spoken, RATE / FPS + 1)[: len(tone)]).astype(np.int16)
        if clip != UNSEEN:
            values = np.zeros((len(spoken), len(data.names)))
            values[:, data.names.index("mouth_stretch_c")] = spoken * rng.uniform(0.3, 0.6, len(spoken))
            values[:, data.names.index("mouth_funnel_ul")] = spoken * rng.uniform(0, 0.5, len(spoken))
            values[:, data.names.index("tooth_d_d")] = spoken * 0.01
            data.curves[clip] = values
    return data


def write_obj(file: Path, points: np.ndarray) -> None:
    """As the kit's own: a licence in comments, texture coordinates, materials, quads."""
    lines = ["# ICT FaceKit", "", "mtllib ICTFaceModelMaterial.mtl"]
    lines += [f"v {x:.6g} {y:.6g} {z:.6g}" for x, y, z in points] + ["vt 0 0"]
    for material, faces in polygons().items():
        lines += [f"usemtl {material}", *("f " + " ".join(f"{corner + 1}/1" for corner in face) for face in faces)]
    file.write_text("\n".join(lines) + "\n")


def write_python_2_npy(file: Path, values: np.ndarray) -> None:
    """As FACEGOOD's own: the header has Python 2's long integers, of which NumPy warns."""
    rows, columns = values.shape
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}L, {columns}L), }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    file.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + values.astype("<f8").tobytes())


def settings_of(root: Path, **settings: Any) -> Settings:
    return Settings(facegood=str(root / "facegood"), ict=str(root / "ict"), **({"modes": 2} | settings))


def run_ict(folder: Path, root: Path, *, fps: float = FPS, limit: int = 0, **settings: Any) -> FakeJob:
    """Run the stage on the clones in `root`; the artifact is `job.out`."""
    job = FakeJob.under(folder)
    params = Preprocess.Params(dataset="ict-facegood", fps=fps, limit=limit)
    Preprocess(params, {"dataset": settings_of(root, **settings)}).run(job)
    return job
