"""Every choice of extracting a surface, each with a name."""

from __future__ import annotations

from dataclasses import dataclass

from faces.errors import DataError

SEARCHES = ("dense", "lipschitz", "signs")
RIMS = ("extend", "refresh")
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Extraction:
    """How a surface is extracted. Distances are in the field's units, NPHM's in the defaults.

    Which samples are evaluated never moves a vertex: a cell is cut only where all its eight corners were evaluated.
    """

    resolution: int = 256
    """Samples along each axis: 64 for quick looks, 256 for final meshes."""
    low: Point = (-0.55, -0.5, -0.95)
    """Corner of the box. The default box holds a head in NPHM's units and cuts the neck."""
    high: Point = (0.55, 0.75, 0.4)
    """The opposite corner. Its sides need not be equal, so neither are the voxels'."""
    chunk: int = 20_000
    """Points that the field is given at once."""
    search: str = "lipschitz"
    """What is evaluated: "dense" everything; "lipschitz" blocks that may hold the surface as the field is nearly a
    distance (MonoNPHM); "signs" blocks whose corners differ in sign, where values are no distances (NPHM)."""
    lipschitz: float = 1.5
    """lipschitz: how fast the field may change with distance. 1 for an exact distance; a warped one changes faster."""
    coarsest: int = 16
    """lipschitz: cells along the side of the first blocks. A power of two."""
    stride: int = 8
    """signs: cells between samples of the first grid. A power of two. A piece that fits between them is not seen."""
    margin: int = 1
    """signs: blocks of the first grid to either side of one that changes sign that are looked at more closely, too."""
    reach: float = 0.0
    """signs: blocks this near to an anchor are looked at down to every other sample, whatever their signs."""
    band: int = 2
    """Follower: voxels to either side of the last frame's surface that are evaluated in the next one."""
    refresh: int = 24
    """Follower: each frame of this number is searched anew, since a band cannot see what appears elsewhere."""
    rim: str = "extend"
    """Follower: where the surface leaves the band: "extend" the band along it, or "refresh" the frame."""

    def problems(self) -> list[str]:
        """What is wrong with the choices, a sentence each."""
        found = []
        if self.resolution < 2:
            found.append(f"resolution is {self.resolution}; it must be at least 2")
        if any(not low < high for low, high in zip(self.low, self.high, strict=True)):
            found.append(f"the box from {self.low} to {self.high} is empty; low must be below high on every axis")
        for name, least in (("chunk", 1), ("margin", 0), ("band", 1), ("refresh", 1)):
            if getattr(self, name) < least:
                found.append(f"{name} is {getattr(self, name)}; it must be at least {least}")
        for name in ("coarsest", "stride"):
            size = getattr(self, name)
            if size < 2 or size & (size - 1):
                found.append(f"{name} is {size}; it must be a power of two from 2 on")
        if not self.lipschitz > 0:
            found.append(f"lipschitz is {self.lipschitz}; it must be above 0")
        if not self.reach >= 0:
            found.append(f"reach is {self.reach}; it must not be negative")
        for name, known in (("search", SEARCHES), ("rim", RIMS)):
            if getattr(self, name) not in known:
                found.append(f"{name} is {getattr(self, name)!r}; known are {', '.join(known)}")
        return found

    def check(self) -> None:
        """DataError with the first problem, if there is any."""
        for problem in self.problems():
            raise DataError(problem)
