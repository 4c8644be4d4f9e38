"""What a picture looks like beyond its mesh and camera: material, background, sampling, and the transfer to bytes.

The light is one white lamp at the camera, shining along the view axis. That is what the published renderers show:
they place five directional lamps, which have no position, and pyrender drops the fifth: four times intensity 2.
The shading is pyrender's metallic-roughness model (Cook-Torrance with GGX), so that grey levels are equal to it:

    F = F0 + (1 - F0) (1 - v·h)⁵,              F0 = 0.04 (1 - metallic) + base · metallic
    D = a² / (π ((n·h)² (a² - 1) + 1)²),       a = roughness²
    G = g(n·v) g(n·l),                         g(x) = x / (x (1 - k) + k),  k = (roughness + 1)² / 8
    value = n·l · intensity · ((1 - F) · 0.96 base (1 - metallic) / π + F G D / (4 n·l n·v + 0.001)) + ambient · base
    byte = 255 · clip(value · colour)^(1/2.2)

Vertex colours multiply the light that comes back, as pyrender's do: 1 is the bare material, 0 is black. They are
linear; a byte is 255 · linear^(1/2.2), pyrender's transfer, not the piecewise sRGB curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

GAMMA = 2.2
TABLE_SIZE = 8192
CONTINUITY = 7.0
"""A pixel is shaded once where its samples lie within this many pixel widths in depth: a slope of 82 degrees."""
FLAT = 0.001
"""Least n·l and n·v, as in pyrender: faces turned away get ambient light and next to nothing else."""


@dataclass(frozen=True)
class Material:
    """Metallic-roughness material of a linear grey `base`, under the lamp at the camera."""

    base: float
    metallic: float
    roughness: float
    intensity: float
    ambient: float


PUBLISHED = Material(base=0.3, metallic=0.8, roughness=0.8, intensity=8.0, ambient=0.2)
"""VOCA's, FaceFormer's and CodeTalker's grey."""
MATTE = Material(base=1.0, metallic=0.0, roughness=1.0, intensity=2.216, ambient=0.35)
"""Facing the camera, a vertex appears in its own colour: for colours that are read off a legend."""


@dataclass(frozen=True)
class Look:
    """material: how light is returned. background: 8-bit RGB. supersample: 1, or 2 for 2×2 samples in each pixel."""

    material: Material = PUBLISHED
    background: tuple[int, int, int] = (0, 0, 0)
    supersample: int = 2


def to_linear(colour: ArrayLike) -> NDArray[np.float32]:
    """Linear float32 of 8-bit colours."""
    return ((np.asarray(colour, np.float64) / 255) ** GAMMA).astype(np.float32)


def to_bytes(linear: ArrayLike) -> NDArray[np.uint8]:
    """8-bit colours of linear ones; what is outside 0 … 1 is cut."""
    return (np.clip(np.asarray(linear, np.float64), 0, 1) ** (1 / GAMMA) * 255 + 0.5).astype(np.uint8)


def transfer_table() -> NDArray[np.float32]:
    """(TABLE_SIZE + 1,) bytes, not rounded, of linear values 0 … 1.

    Samples are averaged as bytes, which is what OpenGL's multisampling does.
    """
    return (np.linspace(0, 1, TABLE_SIZE + 1) ** (1 / GAMMA) * 255).astype(np.float32)
