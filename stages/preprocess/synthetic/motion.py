"""How the head moves: a handful of linear displacement fields, one per muscle group of speech and expression.

Each field is (V, 3) metres for one unit of its control; a pose is the template plus their weighted sum. Units: `jaw`
one degree of opening, `blink` 1 = closed, the others 1 = a strong everyday gesture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.preprocess.synthetic.anatomy import EYE, HINGE, MOUTH, MOUTH_HALF_WIDTH, Array, smooth_step
from stages.preprocess.synthetic.head import Head

CONTROLS = ("jaw", "wide", "round", "upper", "press", "smile", "brow", "blink")


@dataclass(frozen=True)
class MouthPlace:
    """Where each vertex is as seen from the mouth. mu: elliptic distance from the slit. s, c: sine and cosine of the
    angle about it (s = 1 above). near: 1 at the lips, falling off. depth: 0 on the skin, 1 in the throat.
    """

    mu: Array
    s: Array
    c: Array
    near: Array
    depth: Array

    @classmethod
    def of(cls, head: Head) -> MouthPlace:
        x, y, z = head.points.T
        height = y - MOUTH[1]
        far = np.hypot(x - MOUTH_HALF_WIDTH, height) + np.hypot(x + MOUTH_HALF_WIDTH, height)
        mu = np.arccosh(np.maximum(far / (2 * MOUTH_HALF_WIDTH), 1.0))
        angle = np.arctan2(height / np.maximum(np.sinh(mu), 1e-3), x / np.cosh(mu))
        own = head.of("mouth")
        inside = own & (head.ring <= 0)
        angle, mu = np.where(own, head.angle, angle), np.where(inside, 0.0, mu)
        depth = np.where(own, np.maximum(-head.ring, 0) / -head.ring.min(), 0.0)
        near = np.exp(-((mu / 0.80) ** 2.4)) * smooth_step(-0.01, 0.03, z) * (1 - depth) * ~_loose(head)
        return cls(mu, np.sin(angle), np.cos(angle), near, depth)


def fields(head: Head) -> Array:
    """(K, V, 3), in the order of CONTROLS, for the neutral head."""
    place = MouthPlace.of(head)
    makers: dict[str, Callable[[Head, MouthPlace], Array]] = {
        "jaw": _jaw,
        "wide": _wide,
        "round": _round,
        "upper": _upper,
        "press": _press,
        "smile": _smile,
        "brow": _brow,
        "blink": _blink,
    }
    return np.stack([makers[name](head, place) for name in CONTROLS])


def _loose(head: Head) -> NDArray[np.bool_]:
    """What no skin moves: teeth and eyeballs."""
    return head.of("upper teeth", "lower teeth", "left ball", "right ball")


def _jaw(head: Head, place: MouthPlace) -> Array:
    """A rotation about the hinge, in full at the lower lip, the chin and the lower teeth."""
    y, z = head.points[:, 1], head.points[:, 2]
    # a weight that goes with the sine opens an ellipse
    at_lips = np.where(place.s > 0, 0.14 * (1 - place.s), 0.14 + 0.86 * np.abs(place.s))
    below = smooth_step(-0.004, 0.030, MOUTH[1] - y) * smooth_step(-0.040, 0.025, z)
    below *= 1 - smooth_step(0.090, 0.124, -y)
    blend = smooth_step(0.0, 0.75, place.mu)
    weight = np.where(_loose(head), 0.0, at_lips * (1 - blend) + below * blend)
    weight = np.where(place.depth > 0, at_lips * (1 - 0.75 * place.depth**2), weight)
    weight = np.where(head.of("lower teeth"), 1.0, weight)
    lever = head.points - HINGE
    turn: Array = np.deg2rad(1.0) * np.stack([0 * y, -lever[:, 2], lever[:, 1]], axis=-1)
    narrow = -0.005 * head.points[:, 0] * place.near * np.abs(place.c) ** 1.5
    return turn * weight[:, None] + _field(narrow, 0 * y, 0 * y)


def _field(dx: Array, dy: Array, dz: Array) -> Array:
    field: Array = np.stack(np.broadcast_arrays(dx, dy, dz), axis=-1)
    return field


def _corner(place: MouthPlace) -> Array:
    corner: Array = np.abs(place.c) ** 1.5
    return corner


def _wide(head: Head, place: MouthPlace) -> Array:
    """Corners out and back, lips stretched thin against the teeth."""
    x = head.points[:, 0]
    thin = -0.10 * (head.points[:, 1] - MOUTH[1]) * np.exp(-((place.mu / 0.4) ** 2))
    return _field(0.20 * x, thin, -0.0012 - 0.0026 * _corner(place)) * place.near[:, None]


def _round(head: Head, place: MouthPlace) -> Array:
    """Corners in, lips out into a funnel, open in the middle."""
    x = head.points[:, 0]
    forward = 0.0085 * (1 - 0.35 * _corner(place)) * np.exp(-((place.mu / 0.65) ** 2))
    return _field(-0.36 * x, 0.0018 * place.s * (1 - _corner(place)), forward) * place.near[:, None]


def _upper(head: Head, place: MouthPlace) -> Array:
    """The upper lip lifted off the teeth."""
    lift = np.clip(place.s, 0, 1) ** 0.7
    return _field(0 * lift, 0.0038 * lift, 0.0007 * lift) * place.near[:, None]


def _press(head: Head, place: MouthPlace) -> Array:
    """Lips pressed and rolled in. The slit stays where it is, the red narrows."""
    red = np.exp(-(((place.mu - 0.22) / 0.20) ** 2))
    narrow = -0.0016 * np.sign(place.s) * np.sqrt(np.abs(place.s)) * red * smooth_step(0.0, 0.16, place.mu)
    bulge = 0.0008 * np.exp(-(((place.mu - 0.60) / 0.18) ** 2))
    return _field(0.02 * head.points[:, 0], narrow, -0.0024 * red + bulge) * place.near[:, None]


def _smile(head: Head, place: MouthPlace) -> Array:
    """Corners up, out and back, cheeks a little up."""
    x, y, z = head.points.T
    cheek = np.exp(-(((np.abs(x) - 0.040) / 0.016) ** 2) - ((y + 0.018) / 0.016) ** 2) * (z > 0) * ~_loose(head)
    corner = np.abs(place.c) ** 3 * place.near
    near = place.near
    return _field(0.13 * x * near, 0.0062 * corner + 0.0022 * cheek, -0.0022 * near + 0.0010 * cheek)


def _brow(head: Head, place: MouthPlace) -> Array:
    """Brows up, the forehead with them, the upper lids a little."""
    x, y, z = head.points.T
    weight = smooth_step(0.024, 0.038, y) * (1 - smooth_step(0.045, 0.085, y)) * smooth_step(0.01, 0.04, z)
    weight *= (1 - 0.35 * np.exp(-((x / 0.010) ** 2))) * ~_loose(head)
    return _field(0 * y, 0.0056 * weight, 0.0004 * weight)


def _blink(head: Head, place: MouthPlace) -> Array:
    """The upper lids roll over the eyeballs down to the lower ones, which rise a little to meet them."""
    moved = np.zeros_like(head.points)
    for side, name in ((1.0, "left lids"), (-1.0, "right lids")):
        own = np.flatnonzero(head.of(name))
        centre = EYE * [side, 1, 1]
        moved[own] = _close(head.points[own] - centre, head.ring[own], head.angle[own])
    return moved


def _close(p: Array, ring: Array, angle: Array) -> Array:
    """Displacements of one eye's lids, `p` from the eyeball's centre; every vertex keeps its distance from that."""
    edge = ring == 0
    order = np.argsort(angle[edge])
    rim = angle[edge][order], p[edge, 1][order]
    here, opposite = (np.interp(at, *rim, period=2 * np.pi) for at in (angle, -angle))
    share = np.where(np.sin(angle) > 0, 0.80, 0.20)
    fall = 1 - smooth_step(0.0, 0.85, np.maximum(ring, 0) / ring.max())
    y = p[:, 1] + share * (opposite - here) * fall
    z = np.sqrt(np.maximum(np.sum(p**2, axis=1) - p[:, 0] ** 2 - y**2, 0))
    return _field(0 * y, y - p[:, 1], z - p[:, 2])
