"""The parts of the head that are grids: mouth, lids, eyeballs, teeth. What lies between them is `skin`'s.

A `Part` carries its points, its triangles and, per point, where it sits in its own grid: `ring` counts outwards from
the opening (negative: behind it), `angle` goes round counter-clockwise as one looks at the face, from the head's left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stages.preprocess.synthetic import anatomy
from stages.preprocess.synthetic.anatomy import EYE, EYE_RADIUS, MOUTH, MOUTH_HALF_WIDTH, Array

Faces = NDArray[np.int64]


@dataclass(frozen=True)
class Size:
    """How finely each part is cut. `total` vertices in all; the skin between the parts takes what they leave."""

    total: int
    mouth: tuple[int, int, int]
    """Points round the mouth, rings of lips and skin about it, rings of the pocket behind it."""
    eye: tuple[int, int]
    """Points round an eye, rings of its lids."""
    ball: int
    """Points round an eyeball."""
    teeth: int
    """Points along an arch."""
    brow: int
    """Points along a brow."""


SIZES = {
    5023: Size(5023, mouth=(72, 10, 6), eye=(36, 7), ball=20, teeth=19, brow=17),
    23370: Size(23370, mouth=(156, 20, 12), eye=(76, 14), ball=40, teeth=39, brow=37),
}


@dataclass(frozen=True)
class Part:
    """points: (N, 3). faces: (F, 3), seen from outside counter-clockwise. ring: (N,). angle: (N,) radians.

    border: indices of the outermost ring, where the skin joins, empty for a loose part.
    """

    name: str
    points: Array
    faces: Faces
    ring: Array
    angle: Array
    border: NDArray[np.int64]

    def mirrored(self, name: str) -> Part:
        """The same on the head's right: x and the sense of the triangles change sign."""
        angle = np.mod(np.pi - self.angle, 2 * np.pi)
        return replace(self, name=name, points=self.points * [-1, 1, 1], faces=self.faces[:, ::-1], angle=angle)


def grid_faces(rows: int, columns: int, *, closed: bool) -> Faces:
    """Two triangles for each cell of a grid of rows × columns points; `closed` joins the last column to the first."""
    index = np.arange(rows * columns).reshape(rows, columns)
    right = np.roll(index, -1, axis=1)
    a, b, c, d = index[:-1], right[:-1], right[1:], index[1:]
    if not closed:
        a, b, c, d = (corner[:, :-1] for corner in (a, b, c, d))
    # the diagonal turns from quarter to quarter, so that left and right, above and below are mirror images
    turn = (np.arange(a.shape[1]) * 4 // a.shape[1] % 2 == 0)[None, :, None]
    one = np.where(turn, np.stack([a, d, c], -1), np.stack([a, d, b], -1))
    two = np.where(turn, np.stack([a, c, b], -1), np.stack([b, d, c], -1))
    return np.concatenate([one.reshape(-1, 3), two.reshape(-1, 3)])


def ring_part(name: str, rows: Array, first_ring: int, *, joins: bool) -> Part:
    """(R, C, 3) points of closed rings, innermost first → a part."""
    count, columns = rows.shape[:2]
    ring = np.repeat(np.arange(first_ring, first_ring + count), columns).astype(float)
    angle = np.tile(np.arange(columns) / columns * 2 * np.pi, count)
    border = np.arange((count - 1) * columns, count * columns) if joins else np.arange(0)
    return Part(name, rows.reshape(-1, 3), grid_faces(count, columns, closed=True), ring, angle, border)


# --- mouth ---------------------------------------------------------------------------------------------------------

OUTER_MU = 0.74
"""The outermost ring of the mouth: 20 mm above and below the slit, 32 mm to its sides."""


def mouth_mu(rings: int) -> Array:
    """The elliptic radius of each ring, dense at the slit and the borders of the lips."""
    t = np.linspace(0.0, 1.0, rings)
    mu: Array = OUTER_MU * (0.55 * t + 0.45 * t**2)
    return mu


def mouth(size: Size) -> Part:
    """Lips closed on a slit, skin around them, and a pocket behind them that ends in the throat.

    Confocal ellipses about the slit: x = c cosh(mu) cos(angle), y = c sinh(mu) sin(angle).
    """
    columns, rings, depth = size.mouth
    angle = np.arange(columns) / columns * 2 * np.pi
    mu = mouth_mu(rings)[:, None]
    x = MOUTH[0] + MOUTH_HALF_WIDTH * np.cosh(mu) * np.cos(angle)
    y = MOUTH[1] + MOUTH_HALF_WIDTH * np.sinh(mu) * np.sin(angle) + _slit_bow(x) * np.exp(-((mu / 0.30) ** 2))
    rows = anatomy.skin_in_front(x.ravel(), y.ravel()).reshape(rings, columns, 3)
    rows = rows + _lip_relief(mu, angle[None], rows)
    rows = np.concatenate([_pocket(rows[0], angle, depth), rows])
    part = ring_part("mouth", rows, -depth, joins=True)
    throat = rows[0].mean(axis=0)
    fan = np.stack([np.arange(columns), np.roll(np.arange(columns), -1), np.full(columns, len(part.points))], axis=-1)
    return replace(
        part,
        points=np.concatenate([part.points, throat[None]]),
        faces=np.concatenate([part.faces, fan]),
        ring=np.append(part.ring, -depth - 1),
        angle=np.append(part.angle, 0.0),
    )


def _slit_bow(x: Array) -> Array:
    """The line between closed lips: it dips at the middle of the upper lip and rises to the corners."""
    s = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0, 1.3)
    bow: Array = -0.0006 * np.exp(-((s / 0.26) ** 2)) + 0.0007 * np.exp(-(((s - 0.45) / 0.25) ** 2)) - 0.0004 * s
    return bow


def _lip_relief(mu: Array, angle: Array, rows: Array) -> Array:
    """What makes lips of a smooth muzzle, mostly forward: two cushions, their border, the groove and the corners."""
    up, down = np.clip(np.sin(angle), 0, 1), np.clip(-np.sin(angle), 0, 1)
    x = rows[..., 0] / MOUTH_HALF_WIDTH
    centre = np.exp(-((x / 0.16) ** 2))
    upper = 0.0042 * up**0.55 * _bump(mu, 0.17, 0.19) * (1 - 0.18 * centre)
    lower = 0.0056 * down**0.55 * _bump(mu, 0.21, 0.24)
    border = 0.0008 * up**0.5 * _bump(mu, 0.37 - 0.06 * centre, 0.06)
    corner = np.exp(-(((np.abs(x) - 1.02) / 0.14) ** 2) - (mu / 0.2) ** 2)
    groove = -0.0016 * np.exp(-((mu / 0.05) ** 2)) - 0.0030 * corner
    below = -0.0020 * down**2 * _bump(mu, 0.66, 0.20)
    philtrum = up**2 * _bump(mu, 0.62, 0.20) * (0.0006 * np.exp(-(((np.abs(x) - 0.17) / 0.08) ** 2)) - 0.0009 * centre)
    forward = upper + lower + border + groove + below + philtrum
    meet = np.exp(-((mu / 0.04) ** 2))
    forward += meet * (0.5 * (forward[:, -np.arange(forward.shape[1])] - forward))  # closed lips touch: above = below
    lift = 0.0006 * up * _bump(mu, 0.30, 0.10) * np.exp(-(((np.abs(x) - 0.20) / 0.14) ** 2))
    return np.stack([0 * forward, lift, forward], axis=-1)


def _bump(mu: Array, centre: float | Array, width: float) -> Array:
    bump: Array = np.exp(-(((mu - centre) / width) ** 2))
    return bump


def _pocket(slit: Array, angle: Array, rings: int) -> Array:
    """Rings from the throat to just behind the slit: up and down behind the lips, back past the teeth."""
    t = (np.arange(1, rings + 1) / rings)[:, None]
    back = 0.0035 * np.minimum(t * rings / 1.5, 1) + 0.036 * np.maximum(t - 1.5 / rings, 0)
    open_ = 0.0115 * np.sqrt(np.clip(np.sin(np.pi * np.clip(0.12 + 0.80 * t, 0, 1)), 0, 1)) * np.minimum(t * 2.2, 1)
    narrow = 1.0 - 0.10 * t - 0.25 * t**2
    x = slit[None, :, 0] * narrow
    y = slit[None, :, 1] + open_ * np.sin(angle)
    z = slit[None, :, 2] - back
    return np.stack([x, y, z], axis=-1)[::-1]


# --- eyes ----------------------------------------------------------------------------------------------------------

LID_HALF = np.array([0.0142, 0.0052])
"""Half width and half height of the opening between the lids."""
LID_OUTER = np.array([0.0215, 0.0150])
TILT = 0.0010
"""How much the outer corner lies above the inner one."""


def lids(size: Size) -> Part:
    """The lids of the left eye: an almond-shaped opening, rings of skin about it, an edge behind it."""
    columns, rings = size.eye
    angle = np.arange(columns) / columns * 2 * np.pi
    t = np.linspace(0.0, 1.0, rings)[:, None] ** 1.15
    almond = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (1 + 0.35 * (1 - t))
    half_height = np.where(np.sin(angle) > 0, 1.12, 0.86) * LID_HALF[1]
    x = EYE[0] + 0.0006 + ((1 - t) * LID_HALF[0] + t * LID_OUTER[0]) * np.cos(angle)
    y = EYE[1] + ((1 - t) * half_height + t * LID_OUTER[1]) * almond + TILT * np.cos(angle) * (1 - t)
    rows = anatomy.skin_in_front(x.ravel(), y.ravel()).reshape(rings, columns, 3)
    rows[..., 2] += 0.0007 * np.exp(-((t / 0.10) ** 2))  # the thick edge of a lid
    edge = EYE + (rows[0] - EYE) / np.linalg.norm(rows[0] - EYE, axis=-1, keepdims=True) * (EYE_RADIUS - 0.0009)
    return ring_part("lids", np.concatenate([edge[None], rows]), -1, joins=True)


BALL_ANGLES = np.deg2rad([10.0, 11.5, 20.0, 27.5, 29.5, 44.0, 66.0, 92.0])
"""Rings of an eyeball from the gaze outwards: edge of the pupil, iris, white."""
PUPIL_RINGS, IRIS_RINGS = 1, 4


def ball(size: Size) -> Part:
    """The left eyeball, front half. Pupil and iris are carved in, as sculptors do: bare geometry looks at you."""
    columns = size.ball
    polar = BALL_ANGLES[:, None]
    carved = np.array([0.0016, 0.0007, 0.0006, 0.0004, 0.0, 0.0, 0.0, 0.0])[:, None]
    angle = np.arange(columns) / columns * 2 * np.pi
    radius = EYE_RADIUS - carved
    x, y, z = np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle), np.cos(polar) + 0 * angle
    part = ring_part("ball", EYE + radius[..., None] * np.stack([x, y, z], axis=-1), 1, joins=False)
    front = EYE + np.array([0.0, 0.0, EYE_RADIUS - 0.0018])
    fan = np.stack([np.arange(columns), np.roll(np.arange(columns), -1), np.full(columns, len(part.points))], axis=-1)
    return replace(
        part,
        points=np.concatenate([part.points, front[None]]),
        faces=np.concatenate([part.faces, fan]),
        ring=np.append(part.ring, 0.0),
        angle=np.append(part.angle, 0.0),
    )


# --- teeth ---------------------------------------------------------------------------------------------------------


def teeth(size: Size, *, upper: bool) -> Part:
    """One arch as a smooth band: gum, face of the teeth, cutting edge, and a way back from it."""
    columns = size.teeth
    side = np.linspace(-1.0, 1.0, columns)
    bend = np.deg2rad(68.0) * side
    arch_x, arch_z = 0.0225 * np.sin(bend), -0.030 * (1 - np.cos(bend))
    down = -1.0 if upper else 1.0
    edge = MOUTH[1] + (-0.0004 if upper else -0.0020)
    scale = 1.0 if upper else 0.92
    rows = []
    for height, back in ((0.0095, 0.0015), (0.0045, 0.0), (0.0, 0.0006), (0.0006, 0.0030)):
        z = MOUTH[2] - 0.0075 - back + arch_z * scale - (0.0 if upper else 0.0012)
        rows.append(np.stack([arch_x * scale, np.full(columns, edge - down * height), z], axis=-1))
    faces = grid_faces(len(rows), columns, closed=False)
    faces = faces if upper else faces[:, ::-1]
    ring = np.repeat(np.arange(len(rows)), columns).astype(float)
    name = "upper teeth" if upper else "lower teeth"
    return Part(name, np.concatenate(rows), faces, ring, np.tile(bend, len(rows)), np.arange(0))


# --- brows ---------------------------------------------------------------------------------------------------------

BROW_ACROSS = np.array([-1.0, -0.72, 0.0, 0.72, 1.0])
"""Lower edge to upper edge; the outermost two lie under the skin."""


def brow(size: Size) -> Part:
    """The left brow as a pad of hair on the skin: an arc that thins towards the temple."""
    t = np.linspace(0.0, 1.0, size.brow)
    x = 0.0125 + 0.0365 * t
    arc = 0.0372 + 0.0050 * np.sin(np.pi * np.clip(t * 0.82 + 0.05, 0, 1)) - 0.0035 * t**3
    half = 0.0036 * np.sqrt(1.02 - np.clip(1 - t / 0.14, 0, 1) ** 2) * (1.05 - 0.95 * t**2.2)
    xs, ys = np.broadcast_to(x, (5, size.brow)), arc + half * BROW_ACROSS[:, None]
    rows = anatomy.skin_in_front(xs.ravel(), ys.ravel()).reshape(5, size.brow, 3)
    rows[..., 2] += 0.0013 * np.array([-0.9, 0.75, 1.0, 0.75, -0.9])[:, None] * np.minimum(half / 0.0015, 1)
    faces = grid_faces(5, size.brow, closed=False)[:, ::-1]
    ring = np.repeat(np.arange(5.0), size.brow)
    return Part("brow", rows.reshape(-1, 3), faces, ring, np.tile(t, 5), np.arange(0))
