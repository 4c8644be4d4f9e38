"""The neutral head as a surface: landmarks of an adult face, and a signed distance built of ellipsoids and capsules.

Metres, x to the head's left, y up, z forward, origin inside the head at the height of the nose bridge. Proportions are
those of drawing books: eyes half way down, mouth a third of the way from nose to chin. Symmetric in x.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CENTRE = np.array([0.0, -0.030, -0.020])
"""Every point of the skin is seen from here, so that a direction names it."""
NECK = np.array([0.0, -1.0, -0.176]) / np.hypot(1.0, 0.176)
"""Direction from CENTRE down the neck."""
RIM_ANGLE = np.deg2rad(19.5)
"""Where the neck is cut, off that direction."""
MOUTH = np.array([0.0, -0.054, 0.064])
MOUTH_HALF_WIDTH = 0.0245
EYE = np.array([0.0315, 0.0200, 0.0395])
"""Centre of the left eyeball; the right one is its mirror image."""
EYE_RADIUS = 0.0121
LID_THICKNESS = 0.0013
HINGE = np.array([0.0, -0.008, -0.010])
"""The axis of the jaw, between the two joints, in front of the ears."""


def smooth_min(a: Array, b: Array, radius: float) -> Array:
    """Union of two distances with a fillet of about `radius`."""
    h = np.clip(0.5 + 0.5 * (b - a) / radius, 0.0, 1.0)
    blended: Array = b + (a - b) * h - radius * h * (1.0 - h)
    return blended


def smooth_step(low: float, high: float, x: Array) -> Array:
    """0 below `low`, 1 above `high`, with flat ends."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    stepped: Array = t * t * (3.0 - 2.0 * t)
    return stepped


def ellipsoid(p: Array, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Array:
    """First-order distance to an ellipsoid."""
    q = (p - np.array(centre)) / np.array(radii)
    length = np.sqrt(np.einsum("...i,...i", q, q))
    q /= np.array(radii)
    slope = np.sqrt(np.einsum("...i,...i", q, q))
    distance: Array = length * (length - 1.0) / np.maximum(slope, 1e-9)
    return distance


def capsule(
    p: Array, start: tuple[float, float, float], end: tuple[float, float, float], r0: float, r1: float
) -> Array:
    """Distance to a rod whose radius runs from r0 to r1."""
    a, along = np.array(start), np.array(end) - np.array(start)
    t = np.clip((p - a) @ along / (along @ along), 0.0, 1.0)
    distance: Array = np.linalg.norm(p - a - t[..., None] * along, axis=-1) - (r0 + (r1 - r0) * t)
    return distance


SOLIDS: tuple[tuple[tuple[float, float, float], tuple[float, float, float], float], ...] = (
    # centre, radii, fillet; given for x >= 0, mirrored by the folding of x
    ((0.000, -0.022, 0.014), (0.058, 0.074, 0.050), 0.030),  # face
    ((0.024, -0.060, 0.004), (0.029, 0.038, 0.047), 0.028),  # jaw
    ((0.000, -0.0855, 0.0430), (0.0190, 0.0140, 0.0170), 0.020),  # chin
    ((0.000, -0.050, 0.0440), (0.029, 0.024, 0.0205), 0.018),  # muzzle, over the teeth
    ((0.040, -0.004, 0.0300), (0.024, 0.019, 0.0210), 0.022),  # cheekbone
    ((0.034, -0.034, 0.0280), (0.022, 0.024, 0.0220), 0.022),  # cheek
    ((0.020, 0.0385, 0.0520), (0.023, 0.0075, 0.0090), 0.016),  # brow ridge
    ((0.000, -0.0165, 0.0755), (0.0080, 0.0078, 0.0085), 0.009),  # tip of the nose
    ((0.0115, -0.0210, 0.0655), (0.0055, 0.0062, 0.0085), 0.006),  # wing of the nose
)


def head_distance(points: Array) -> Array:
    """(…, 3) → signed distance to the skin, negative inside. Approximate away from it."""
    p = np.array(points)
    p[..., 0] = np.abs(p[..., 0])
    d = ellipsoid(p, (0.0, 0.045, -0.029), (0.0745, 0.091, 0.094))  # cranium
    for centre, radii, fillet in SOLIDS:
        d = smooth_min(d, ellipsoid(p, centre, radii), fillet)
    d = smooth_min(d, capsule(p, (0.0, 0.028, 0.0530), (0.0, -0.014, 0.0735), 0.0060, 0.0070), 0.010)  # nose bridge
    d = _with_eyes(p, d)
    d = _with_ears(p, d)
    d = smooth_min(d, capsule(p, (0.0, -0.03, -0.034), (0.0, -0.26, -0.056), 0.046, 0.056), 0.026)  # neck
    return d


def _with_eyes(p: Array, d: Array) -> Array:
    socket = ellipsoid(p, (0.0310, 0.0200, 0.0650), (0.0200, 0.0120, 0.0130))
    d = -smooth_min(-d, socket, 0.012)
    lid = EYE_RADIUS + LID_THICKNESS
    return smooth_min(d, np.linalg.norm(p - EYE, axis=-1) - lid, 0.005)


def _with_ears(p: Array, d: Array) -> Array:
    """A shell that stands off the head, with a hollow."""
    turn = np.deg2rad(28.0)
    q = p - np.array([0.0775, 0.004, -0.026])
    out, ahead = q[..., 0], q[..., 2]
    q = np.stack([out * np.cos(turn) + ahead * np.sin(turn), q[..., 1], ahead * np.cos(turn) - out * np.sin(turn)], -1)
    shell = ellipsoid(q, (0.0, 0.0, 0.0), (0.0070, 0.028, 0.0165))
    hollow = ellipsoid(q, (0.008, 0.002, 0.002), (0.0066, 0.017, 0.0092))
    shell = -smooth_min(-shell, hollow, 0.004)
    return smooth_min(d, shell, 0.010)


def trace(distance: Callable[[Array], Array], start: Array, ray: Array, steps: int = 48) -> Array:
    """Walk from outside along unit rays to the first crossing of the surface: (N, 3), (N, 3) → (N, 3)."""
    travelled = np.zeros(len(start))
    for _ in range(steps):
        # the distance is approximate: full steps could jump through a thin part
        travelled += 0.75 * distance(start + travelled[:, None] * ray)
    return start + travelled[:, None] * ray


def skin_towards(directions: Array) -> Array:
    """The outermost skin point in unit directions from CENTRE: (N, 3) → (N, 3)."""
    return trace(head_distance, CENTRE + 0.24 * directions, -directions)


def skin_in_front(x: Array, y: Array) -> Array:
    """The foremost skin point at (x, y): (N,), (N,) → (N, 3)."""
    start = np.stack([x, y, np.full_like(x, 0.11)], axis=-1)
    return trace(head_distance, start, np.broadcast_to([0.0, 0.0, -1.0], start.shape))
