"""The subjects: who they are (a shape of the head) and how they speak (a manner).

Both are drawn from the data's seed and the subject's number alone, so that a further subject changes no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stages.preprocess.synthetic.anatomy import Array, smooth_step
from stages.preprocess.synthetic.head import Head, neutral_head
from stages.preprocess.synthetic.motion import CONTROLS, fields

SHAPE_SPREAD = {
    "width": 0.060,
    "length": 0.110,
    "jaw_width": 0.130,
    "chin": 0.0060,
    "nose_size": 0.0065,
    "nose_width": 0.180,
    "mouth_width": 0.110,
    "lips": 0.0016,
    "brow_ridge": 0.0026,
    "eye_distance": 0.0018,
    "forehead": 0.0050,
    "cheeks": 0.0045,
    "ears": 0.0040,
    "neck": 0.110,
}
"""Largest departure from the neutral head: shares for widths and lengths, metres for the rest."""

Shape = dict[str, float]


@dataclass(frozen=True)
class Manner:
    """How a subject speaks.

    f0: Hz. rate: speed of speech, 1 = ordinary. vocal_tract: factor on the formants. gains: per control of
    articulation (jaw, wide, round, upper, press). blend: seconds of coarticulation. smile, brow: how much of them
    accompanies speech. blinks: per second.
    """

    f0: float
    rate: float
    vocal_tract: float
    gains: tuple[float, ...]
    blend: float
    smile: float
    brow: float
    blinks: float


VOICE = ("f0", "rate", "vocal_tract")
"""What of a manner is heard."""


@dataclass(frozen=True)
class Subject:
    """A name, a shape, a manner; template and motion follow."""

    name: str
    shape: Shape
    manner: Manner
    vertices: int = 5023

    @cached_property
    def head(self) -> Head:
        """The neutral head all subjects share."""
        return neutral_head(self.vertices)

    @cached_property
    def template(self) -> Array:
        """(V, 3) this subject's neutral face, metres."""
        return deform(self.head.points, self.shape)

    @cached_property
    def basis(self) -> Array:
        """(K, V, 3) this subject's motion fields: the neutral head's, carried through the deformation."""
        moved = self.head.points + fields(self.head)
        return np.stack([deform(points, self.shape) - self.template for points in moved])

    def pose(self, controls: Array) -> NDArray[np.float32]:
        """(T, K) controls in the order of CONTROLS → (T, V, 3) float32."""
        flat = controls.astype(np.float32) @ self.basis.reshape(len(CONTROLS), -1).astype(np.float32)
        flat += self.template.reshape(-1).astype(np.float32)
        return flat.reshape(len(controls), -1, 3)


def draw_subject(seed: int, number: int, vertices: int = 5023) -> Subject:
    """Subject `number` of the data set with this seed. Low and high voices alternate."""
    rng = np.random.default_rng([seed, number, 0])
    shape = {name: float(rng.uniform(-spread, spread)) for name, spread in SHAPE_SPREAD.items()}
    high = number % 2 == 1
    manner = Manner(
        f0=float(rng.uniform(175, 230) if high else rng.uniform(95, 140)),
        rate=float(rng.uniform(0.88, 1.14)),
        vocal_tract=float(rng.uniform(1.06, 1.16) if high else rng.uniform(0.96, 1.04)),
        gains=tuple(float(g) for g in rng.uniform([0.80, 0.70, 0.70, 0.60, 0.85], [1.20, 1.30, 1.30, 1.40, 1.15])),
        blend=float(rng.uniform(0.026, 0.040)),
        smile=float(rng.uniform(-0.05, 0.22)),
        brow=float(rng.uniform(0.15, 0.80)),
        blinks=float(rng.uniform(0.15, 0.45)),
    )
    return Subject(f"Synthetic_{number + 1:02d}", shape, manner, vertices)


def deform(points: Array, shape: Shape) -> Array:
    """Smooth fields over space, so that lids stay on their eyeballs and teeth behind their lips: (V, 3) → (V, 3)."""
    x, y, z = points.T.copy()
    side, front = np.tanh(x / 0.004), smooth_step(-0.01, 0.03, z)
    out = np.abs(x)
    eye = 1 - smooth_step(0.020, 0.034, np.hypot(out - 0.0315, y - 0.020))
    nose = np.exp(-((x / 0.013) ** 2)) * smooth_step(-0.040, -0.022, y) * (1 - smooth_step(0.005, 0.035, y)) * front
    mouth = np.exp(-((x / 0.034) ** 4) - ((y + 0.054) / 0.026) ** 2) * front
    chin = np.exp(-((x / 0.030) ** 2) - ((y + 0.086) / 0.020) ** 2) * front
    cheek = np.exp(-(((out - 0.046) / 0.022) ** 2) - ((y + 0.018) / 0.024) ** 2) * front
    ear = np.exp(-(((y - 0.004) / 0.034) ** 2) - ((z + 0.028) / 0.024) ** 2) * smooth_step(0.070, 0.084, out)
    ridge = np.exp(-((out / 0.050) ** 4) - ((y - 0.041) / 0.010) ** 2) * front * (1 - eye)
    forehead = np.exp(-((out / 0.060) ** 4) - ((y - 0.085) / 0.030) ** 2) * front
    jaw = smooth_step(0.020, 0.075, -y) * (1 - smooth_step(0.100, 0.140, -y))
    neck = smooth_step(0.095, 0.135, -y)
    widen = shape["width"] * (1 - eye) + shape["jaw_width"] * jaw * (1 - mouth)
    widen = widen + shape["nose_width"] * np.exp(-((x / 0.022) ** 4) - ((y + 0.019) / 0.014) ** 2) * front
    widen = widen + shape["mouth_width"] * mouth + shape["neck"] * neck
    lips = np.exp(-((x / 0.022) ** 4) - ((y + 0.054) / 0.010) ** 2) * front
    return np.stack(
        [
            x * (1 + widen)
            + side * (shape["eye_distance"] * eye + 0.6 * shape["cheeks"] * cheek + shape["ears"] * ear),
            y + shape["length"] * np.minimum(y - 0.005, 0) * (1 - neck) - 0.5 * shape["chin"] * chin,
            z
            + shape["nose_size"] * nose
            + shape["lips"] * lips
            + shape["chin"] * chin
            + 0.5 * shape["cheeks"] * cheek
            + shape["brow_ridge"] * ridge
            + shape["forehead"] * forehead
            + 0.04 * shape["neck"] * neck * (z + 0.045) / 0.05,
        ],
        axis=-1,
    )
