"""Laying a mesh of a known topology onto a surface, once per identity, so that it can be followed like any reference.

The template is placed by landmarks (a similarity), turned and shifted to fit (rigid rounds of closest points), then
bent: each vertex is drawn to the closest point along the field's gradient, and the displacement's Laplacian resists,
less and less. Vertices with no surface near that faces their way (eyeballs, the inside of a mouth, a neck below the
box) are drawn nowhere and follow their neighbours.
Sources: Umeyama, 1991 (similarity); Amberg et al., Optimal step nonrigid ICP, 2007 (the falling stiffness).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.implicit.laplacian import averaging
from faces.implicit.newton import Slope, onto, sloped, step
from faces.normals import vertex_normals
from faces.ply import Mesh

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Registration:
    """How a template is laid onto a surface. Lengths are in the field's units, NPHM's in the defaults."""

    rigid: int = 10
    """Rounds in which the template is turned and shifted as a whole."""
    stiffness: tuple[float, ...] = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
    """How much the displacement's Laplacian resists in each stage, against 1 for a vertex's distance."""
    rounds: int = 3
    """Rounds of each stage."""
    reach: float = 0.15
    """A vertex farther than this from the surface is not drawn to it."""
    facing: float = 0.5
    """Least cosine between a vertex's normal and the field's gradient: other vertices are not drawn."""
    landmarks: float = 1.0
    """Weight of a landmark, against 1 for a vertex's distance from the surface. They pull while the template bends."""
    newton: int = 2
    """Steps that put the drawn vertices onto the surface in the end."""
    chunk: int = 20_000
    """Points that the field is given at once."""

    def problems(self) -> list[str]:
        """What is wrong with the choices, a sentence each."""
        found = []
        for name, least in (("rigid", 0), ("rounds", 1), ("newton", 0), ("chunk", 1)):
            if getattr(self, name) < least:
                found.append(f"{name} is {getattr(self, name)}; it must be at least {least}")
        if not self.stiffness or not all(value > 0 for value in self.stiffness):
            found.append(f"stiffness is {self.stiffness}; it must be one number above 0 or more")
        if not self.reach > 0:
            found.append(f"reach is {self.reach}; it must be above 0")
        if not -1 <= self.facing <= 1:
            found.append(f"facing is {self.facing}; it must be between -1 and 1")
        if not self.landmarks >= 0:
            found.append(f"landmarks is {self.landmarks}; it must not be negative")
        return found


@dataclass(frozen=True)
class Landmarks:
    """vertices: (L,) numbers of the template's. places: (L, 3) where they belong."""

    vertices: NDArray[np.integer]
    places: NDArray[np.floating]


@dataclass(frozen=True)
class Registered(Mesh):
    """The template on the surface. on_surface: (V,) which vertices were drawn to it; others follow their neighbours."""

    on_surface: NDArray[np.bool_]


def register(
    template: Mesh, slope: Slope, settings: Registration | None = None, landmarks: Landmarks | None = None
) -> Registered:
    """Lay a template onto the zero level of a field with its gradient.

    Without landmarks the template must be in the field's units, and roughly in place. DataError where the field is NaN,
    where no vertex is near the surface, or for settings that cannot be.
    """
    settings = settings or Registration()
    for problem in settings.problems():
        raise DataError(problem)
    points = np.asarray(template.vertices, np.float64)
    if landmarks is not None:
        _check_landmarks(landmarks, len(points))
        scale, turn, shift = similarity(points[landmarks.vertices], np.asarray(landmarks.places, np.float64))
        points = scale * points @ turn.T + shift
    for _ in range(settings.rigid):
        steps, drawn = _draw(slope, points, template.faces, settings)
        _, turn, shift = similarity(points[drawn], (points + steps)[drawn], scaled=False)
        points = points @ turn.T + shift
    points = _bend(template.faces, slope, points, settings, landmarks)
    _, drawn = _draw(slope, points, template.faces, settings)
    points[drawn] = onto(slope, points[drawn], settings.newton, settings.reach, settings.chunk)
    return Registered(points.astype(np.float32), template.faces, drawn)


def similarity(points: Array, targets: Array, *, scaled: bool = True) -> tuple[float, Array, Array]:
    """(scale, rotation (3, 3), shift (3,)): targets ≈ scale · rotation · point + shift, least squares.

    scaled: False for a scale of 1. DataError for fewer than three points, or points on a line.
    """
    if len(points) < 3:
        raise DataError(f"{len(points)} points do not say how a mesh is turned; at least three are needed")
    middle, aim = points.mean(axis=0), targets.mean(axis=0)
    centred, aimed = points - middle, targets - aim
    left, sizes, right = np.linalg.svd(aimed.T @ centred)
    if sizes[1] <= 1e-9 * sizes[0]:
        raise DataError("points on a line, or in one place, do not say how a mesh is turned")
    mirror = np.array([1.0, 1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    turn = left * mirror @ right
    scale = float((sizes * mirror).sum() / np.square(centred).sum()) if scaled else 1.0
    return scale, turn, aim - scale * turn @ middle


def _draw(
    slope: Slope, points: Array, faces: NDArray[np.integer], settings: Registration
) -> tuple[Array, NDArray[np.bool_]]:
    """(V, 3) steps to the surface and (V,) which vertices take them. DataError where none does."""
    values, gradients = sloped(slope, points, settings.chunk)
    lengths = np.linalg.norm(gradients, axis=1)
    upward = np.divide(gradients, lengths[:, None], out=np.zeros_like(gradients), where=lengths[:, None] > 1e-6)
    facing = np.einsum("ni,ni->n", vertex_normals(points, faces), upward)
    drawn = (np.abs(values) <= settings.reach * lengths) & (facing >= settings.facing)
    if not drawn.any():
        raise DataError(
            f"no vertex of the template is within {settings.reach} of the surface and faces its way; is it in the"
            " field's units and place? Landmarks can put it there"
        )
    return step(values, gradients, settings.reach), drawn


def _bend(
    faces: NDArray[np.integer], slope: Slope, points: Array, settings: Registration, landmarks: Landmarks | None
) -> Array:
    from scipy.sparse import csc_array, diags_array  # slow to import, and of no use to who only plans
    from scipy.sparse.linalg import splu

    count, start = len(points), points
    resists = diags_array(np.ones(count)) - averaging(faces, count)
    resists = resists.T @ resists
    for stiffness in settings.stiffness:
        for _ in range(settings.rounds):
            steps, drawn = _draw(slope, points, faces, settings)
            weight = drawn.astype(np.float64)
            pull = weight[:, None] * (points + steps - start)
            if landmarks is not None:
                np.add.at(weight, landmarks.vertices, settings.landmarks)
                away = settings.landmarks * (np.asarray(landmarks.places, np.float64) - start[landmarks.vertices])
                np.add.at(pull, landmarks.vertices, away)
            # A part that nothing draws would be free to be anywhere: it stays.
            system = diags_array(weight + 1e-6) + stiffness * resists
            points = start + splu(csc_array(system)).solve(pull)
    return points


def _check_landmarks(landmarks: Landmarks, count: int) -> None:
    vertices, places = landmarks.vertices, landmarks.places
    if vertices.ndim != 1 or places.shape != (len(vertices), 3):
        raise DataError(f"landmarks need (L,) vertices and (L, 3) places, not {vertices.shape} and {places.shape}")
    if len(vertices) and not 0 <= vertices.min() <= vertices.max() < count:
        raise DataError(f"landmarks name vertex {vertices.max()} of a template of {count}")
    if not np.isfinite(places).all():
        raise DataError("places of landmarks are NaN or infinite")
