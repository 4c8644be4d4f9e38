"""The picture of a face that networks for films of faces expect: cut out as a face detector would have it cut.

Nothing is detected here: where chin and bridge of the nose are shows in the profile of the mesh, above and below its
lips. A detector's box reaches from the chin up to the middle of the forehead, as far above the bridge as `FOREHEAD` of
the way from chin to bridge (about 42 of 118 mm in adults), and is higher than wide. SyncNet's crop (Chung and
Zisserman, 2016, as its authors' tool makes it) is a square whose side is `SQUARE` halves of that height; its top is the
box's, so that the mouth comes to lie near its middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.camera import FIT_FOCAL, UP_AXES, Camera
from faces.errors import DataError

Points = NDArray[np.floating]
FOREHEAD = 0.36
SQUARE = 2.8
STRIP = 0.3
"""Of the lips' width, how far from the middle of the face its profile is looked at."""
STEP = 0.1
"""Of the lips' width: height of one piece of the profile."""
NOSE = (0.25, 1.4)
"""Between what heights above the lips its tip is, in widths of theirs."""
BRIDGE = 0.9
"""How far above the tip the bridge is at most."""
DEPTH = 0.5
"""How far the chin is behind the front of the lips at most; beyond is the neck."""


@dataclass(frozen=True)
class Lips:
    """Where a mesh has its mouth, x to the right, y up, z to the viewer: the middle of the lips, as far to the front as
    they come, and their width."""

    middle: tuple[float, float, float]
    width: float

    @classmethod
    def of(cls, template: Points, region: NDArray[np.integer]) -> Lips:
        """Of a neutral face (V, 3). DataError where its region has no width."""
        points = np.asarray(template, np.float64)[region]
        low, high = points.min(axis=0), points.max(axis=0)
        if not high[0] > low[0]:
            raise DataError("the lips have no width: give the vertices of whole lips")
        x, y, _ = (low + high) / 2
        return cls((float(x), float(y), float(high[2])), float(high[0] - low[0]))


@dataclass(frozen=True)
class FaceCrop:
    """A square in the plane of the lips: its middle (x, y, z) and its side, in units of the mesh."""

    middle: tuple[float, float, float]
    side: float

    @classmethod
    def of(cls, vertices: Points, lips: Lips) -> FaceCrop:
        """Of a face at rest (V, 3), y up, looking along +z. DataError where no nose or chin is to be found."""
        chin, bridge = _chin(vertices, lips), _bridge(vertices, lips)
        if not bridge > chin:
            raise DataError(f"the bridge of the nose is not above the chin: {_REMEDY}")
        top = bridge + FOREHEAD * (bridge - chin)
        side = SQUARE * (top - chin) / 2
        x, _, z = lips.middle
        return cls((x, top - side / 2, z), side)

    def camera(self, size: int, up: str, moved: Points | None = None) -> Camera:
        """Shows just the square at its depth in a picture of so many pixels a side, from as far as `faces.camera.fit`
        stands. up: of the data; what is seen then turns with them. moved: (3,) how far the head is from where it was,
        in the data's axes."""
        rotation = np.array(UP_AXES[up], np.float32)
        distance = FIT_FOCAL * self.side
        x, y, z = self.middle
        position = np.array([x, y, z + distance]) @ rotation + (0.0 if moved is None else moved)
        return Camera(size, FIT_FOCAL * size, distance / 100, position.astype(np.float32), rotation)


_REMEDY = "see that the region 'lips' is of this topology, and that its axes are as the data say"


def upright(vertices: Points, up: str) -> NDArray[np.float64]:
    """(…, 3) with x to the right, y up, z to the viewer. DataError where the data's up axis is none that is known."""
    if up not in UP_AXES:
        raise DataError(f"the data have {up!r} pointing up, and a face can be drawn where y, z or -y does")
    return np.asarray(vertices, np.float64) @ np.array(UP_AXES[up], np.float64).T


def _strip(vertices: Points, lips: Lips) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights above the lips and how far before them, of all points near the middle of the face, in widths of lips."""
    apart = (np.asarray(vertices, np.float64) - lips.middle) / lips.width
    near = np.abs(apart[:, 0]) < STRIP
    return apart[near, 1], apart[near, 2]


def _chin(vertices: Points, lips: Lips) -> float:
    height, before = _strip(vertices, lips)
    below = height[(height < 0) & (before > -DEPTH)]
    if not len(below):
        raise DataError(f"there is no chin below the lips: {_REMEDY}")
    return float(lips.middle[1] + lips.width * below.min())


def _bridge(vertices: Points, lips: Lips) -> float:
    """Where the profile, going up from the tip of the nose, has come back all but a tenth of how far it comes back."""
    height, before = _strip(vertices, lips)
    piece = np.floor(height / STEP).astype(int)
    there = sorted(set(piece[(height >= NOSE[0]) & (height < NOSE[1] + BRIDGE)].tolist()))
    front = {number: before[piece == number].max() for number in there}
    nose = {number: depth for number, depth in front.items() if (number + 0.5) * STEP < NOSE[1]}
    if not nose:
        raise DataError(f"there is no nose above the lips: {_REMEDY}")
    tip = max(nose, key=lambda number: nose[number])
    above = {number: depth for number, depth in front.items() if 0 < (number - tip) * STEP <= BRIDGE}
    if not above:
        raise DataError(f"there is no bridge of a nose above the lips: {_REMEDY}")
    least = min(above.values())
    first = min(number for number, depth in above.items() if depth <= least + 0.1 * (nose[tip] - least))
    return float(lips.middle[1] + lips.width * (first + 0.5) * STEP)
