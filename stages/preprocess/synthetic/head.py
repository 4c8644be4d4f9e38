"""The neutral head: all parts joined into one mesh of exactly the vertices of FLAME (5,023) or BIWI (23,370).

The mesh is our own; only the counts are those of the published topologies, so that what comes after meets real sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stages.preprocess.synthetic import anatomy, parts, skin
from stages.preprocess.synthetic.anatomy import Array
from stages.preprocess.synthetic.parts import SIZES, Part, Size

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Head:
    """points: (V, 3) metres. faces: (F, 3). ring, angle: (V,) where a point sits in its part (0 on free skin).

    owner: (V,) index into `names`. regions: name → sorted vertex indices.
    """

    points: Array
    faces: Indices
    ring: Array
    angle: Array
    owner: Indices
    names: tuple[str, ...]
    regions: dict[str, Indices]

    def of(self, *names: str) -> NDArray[np.bool_]:
        """(V,) which vertices belong to these parts."""
        return np.isin(self.owner, [self.names.index(name) for name in names])


@lru_cache(maxsize=2)
def neutral_head(vertices: int = 5023) -> Head:
    """Build the head; about a second for 5,023 vertices. The result is shared: do not write to it."""
    size = SIZES[vertices]
    grids = _grids(size)
    fixed = sum(len(part.points) for part in grids)
    grown = skin.grow(
        [skin.to_plane(part.points[part.border]) for part in grids if len(part.border)], size.total - fixed
    )
    points = anatomy.skin_towards(skin.from_plane(grown.plane))
    nowhere = np.zeros(len(points))
    everything = [*grids, Part("skin", points, np.zeros((0, 3), np.int64), nowhere, nowhere, np.arange(0))]
    return _joined(everything, grown.faces)


def _grids(size: Size) -> list[Part]:
    lids, ball, brow = parts.lids(size), parts.ball(size), parts.brow(size)
    return [
        parts.mouth(size),
        replace(lids, name="left lids"),
        lids.mirrored("right lids"),
        replace(ball, name="left ball"),
        ball.mirrored("right ball"),
        replace(brow, name="left brow"),
        brow.mirrored("right brow"),
        parts.teeth(size, upper=True),
        parts.teeth(size, upper=False),
    ]


def _joined(everything: list[Part], skin_faces: Indices) -> Head:
    names = tuple(part.name for part in everything)
    points = np.concatenate([part.points for part in everything])
    starts = np.cumsum([0] + [len(part.points) for part in everything])
    borders = [part.border + start for part, start in zip(everything, starts, strict=False)]
    # the skin's triangles count the points of the borders first, then its own
    skin_index = np.concatenate([*borders, np.arange(starts[-2], starts[-1])])
    faces = [part.faces + start for part, start in zip(everything, starts, strict=False)]
    owner = np.repeat(np.arange(len(names)), np.diff(starts))
    ring = np.concatenate([part.ring for part in everything])
    angle = np.concatenate([part.angle for part in everything])
    head = Head(points, np.concatenate([*faces, skin_index[skin_faces]]), ring, angle, owner, names, {})
    head.regions.update(_regions(head))
    return head


def _regions(head: Head) -> dict[str, Indices]:
    """What a face's metrics and colours ask for, by place in the parts and by place in space."""
    x, y, z = head.points.T
    mouth, lids, balls = head.of("mouth"), head.of("left lids", "right lids"), head.of("left ball", "right ball")
    teeth = head.of("upper teeth", "lower teeth")
    mu = np.full(len(x), np.inf)
    rings = int(head.ring[mouth].max()) + 1
    mu[mouth] = np.interp(head.ring[mouth], np.arange(rings), parts.mouth_mu(rings))
    depth = -head.ring / -head.ring[mouth].min()
    lips = mouth & (mu < 0.40) & (depth <= 0.2)
    skin_ = ~balls & ~teeth & ~(mouth & (depth > 0.2))
    middle = mouth & (head.ring == 0) & (np.abs(x) < 0.0035)
    chosen = {
        "lips": lips,
        "mouth": skin_ & (np.abs(x) < 0.036) & (y > -0.090) & (y < -0.030) & (z > 0.035),
        "upper_face": skin_ & (y > -0.005) & (y < 0.095) & (z > 0.015),
        "mouth_interior": mouth & (depth > 0.2),
        "teeth": teeth,
        "eyes": balls,
        "iris": balls & (head.ring <= parts.IRIS_RINGS),
        "pupil": balls & (head.ring <= parts.PUPIL_RINGS),
        "lids": lids & (head.ring <= 3),
        "brows": head.of("left brow", "right brow"),
        "lip_upper": middle & (np.sin(head.angle) > 0.5),
        "lip_lower": middle & (np.sin(head.angle) < -0.5),
    }
    return {name: np.flatnonzero(mask) for name, mask in chosen.items()}
