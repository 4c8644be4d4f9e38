"""Whether vertex indices are a set that somebody has published: exactly, in another order, or with other repeats.

What is known stands in `region_table`; indices come from the user. A topology is known by its triangles, whatever order
these are in, so that a mesh that only has as many vertices is not taken for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from faces.region_table import Published, Topology, published, size, topologies
from faces.regions import indices_digest, region_digest

Indices = NDArray[np.integer]


class Match(StrEnum):
    """How like a published set indices are; the value completes "the vertices of SET, …"."""

    EXACT = "as published"
    REORDERED = "in another order than published"
    REPEATED = "with other repeats than published"
    NONE = ""


@dataclass(frozen=True)
class Found:
    """What indices are. set: None where they are no published set. entries, unique: of the indices."""

    set: Published | None
    match: Match
    entries: int
    unique: int

    @property
    def size(self) -> str:
        return size(self.entries, self.unique)

    def id(self, repeats: bool) -> str:
        """The set's name, if a number over the indices is the one over the published list; "" otherwise.

        repeats: whether a vertex that stands twice weighs more in it. Their order never matters to a number.
        """
        same = self.match in (Match.EXACT, Match.REORDERED) or (self.match is Match.REPEATED and not repeats)
        return self.set.id if self.set and same else ""


def triangles_digest(faces: Indices) -> str:
    """Tells topologies apart: of (F, 3) corners, in whatever order triangles and their corners are."""
    corners = np.sort(np.asarray(faces, np.int64), axis=1)
    text = "".join(f"{a} {b} {c}\n" for a, b, c in corners[np.lexsort(corners.T[::-1])].tolist())
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def topology_of(vertices: int, faces: Indices) -> Topology | None:
    """The topology of a mesh of V vertices and (F, 3) triangles; None for one that the table does not have."""
    alike = [mesh for mesh in topologies().values() if (mesh.vertices, mesh.faces) == (vertices, len(faces))]
    digest = triangles_digest(faces) if alike else ""
    return next((mesh for mesh in alike if mesh.triangles == digest), None)


def sets_of(topology: str, region: str = "") -> list[Published]:
    """The published sets of a topology, all of them or those of one region such as "lips"."""
    return [one for one in published() if one.topology == topology and region in ("", one.region)]


def lookup(name: str) -> Published | None:
    """The set of an id, "flame-masks/lips"; every place where the same list is published has one."""
    return next((one for one in published() if name in one.ids), None)


def identify(indices: Indices, vertices: int) -> Found:
    """What (N,) indices of a mesh of V vertices are, in the order they are stored in."""
    entries, unique = len(indices), len(np.unique(indices))
    digests = {
        Match.EXACT: ("as_published", indices_digest(indices)),
        Match.REORDERED: ("sorted", region_digest(indices, repeats=True)),
        Match.REPEATED: ("distinct", region_digest(indices)),
    }
    known = [one for one in published() if topologies()[one.topology].vertices == vertices]
    for match, (field, digest) in digests.items():
        for one in known:
            if getattr(one, field) == digest:
                return Found(one, match, entries, unique)
    return Found(None, Match.NONE, entries, unique)


def remarks(regions: Mapping[str, Indices], vertices: int, faces: Indices) -> Iterator[str]:
    """Lines on the regions of a mesh: which are published sets, and which are not although their names say so."""
    found = {name: identify(indices, vertices) for name, indices in regions.items()}
    strangers = {name: other for name, one in found.items() if one.set is None and (other := _elsewhere(regions[name]))}
    if exact := {name: one.set for name, one in found.items() if one.set and one.match is Match.EXACT}:
        yield f"regions as published: {_by_source(exact)}"
    for name, one in found.items():
        if one.set and one.match is not Match.EXACT:
            yield f"warning: {name} {_nearly(one, one.set)}"
    if strangers:
        yield f"warning: lists for other meshes than this, of {vertices:,} vertices: {_by_source(strangers)}"
    mesh = topology_of(vertices, faces)
    if mesh:
        yield from _held_against({name: one for name, one in found.items() if name not in strangers}, mesh)


def _elsewhere(indices: Indices) -> Published | None:
    """The set that indices are as published, whatever its topology."""
    digest = indices_digest(indices)
    return next((one for one in published() if one.as_published == digest), None)


def _held_against(found: Mapping[str, Found], mesh: Topology) -> Iterator[str]:
    """Regions that have the name of a published set and are none of its kind, then those that make no such claim."""
    own = []
    for name, one in found.items():
        claimed = [other for other in sets_of(mesh.name) if name in other.names]
        if claimed and (one.set is None or one.set.region not in {other.region for other in claimed}):
            yield f"warning: {name} {_other(one)}; {_choice(mesh, claimed)}"
        elif one.set is None:
            own.append(f"{name} ({one.size})")
    if own:
        yield f"regions that are no published set: {', '.join(own)}"


def _by_source(exact: Mapping[str, Published]) -> str:
    """ "face, lips of flame-masks; lips = facediffuser/flame-lips": short where a region has its set's own name."""
    plain: dict[str, list[str]] = {}
    renamed = []
    for name, one in exact.items():
        source, _, own = one.id.partition("/")
        if own == name:
            plain.setdefault(source, []).append(name)
        else:
            renamed.append(f"{name} = {one.id}")
    return "; ".join([*(f"{', '.join(names)} of {source}" for source, names in plain.items()), *renamed])


def _nearly(found: Found, near: Published) -> str:
    if found.match is Match.REORDERED:
        return (
            f"holds the {near.size} of {near.id} in another order than published: numbers are the same, but a network "
            "with an input for each entry needs the published order"
        )
    return (
        f"holds the vertices of {near.id}, but {found.size}, where {near.size} are published: what counts each vertex "
        "once is the same, but a network with an input for each entry needs the published list"
    )


def _other(found: Found) -> str:
    if found.set:
        return f"holds {found.set.id}, {found.set.region} as published"
    return f"differs from every published set: {found.size}"


def _choice(mesh: Topology, claimed: Sequence[Published]) -> str:
    """What is published under that name, and for the same region under others."""
    wanted = {one.region for one in claimed}
    there = [one for one in sets_of(mesh.name) if one.region in wanted]
    return f"published for {mesh.title} are {', '.join(f'{one.id} ({one.size})' for one in there)}"
