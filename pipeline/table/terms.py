"""What a number depends on besides the model, and sentences that say where two numbers differ in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

FACETS = ("definition", "region", "split", "unit", "average", "scale")
"""What a published number must state, or be said not to state."""
AVERAGES = {
    "frames": "mean over all frames",
    "sequences": "mean of each sequence first",
    "letters": "over all letters",
    "words": "over all words",
    "visemes": "over all visemes",
}


@dataclass(frozen=True)
class Region:
    """A named set of vertices. sha256: of its indices. published: its id in the table of regions. "": not known."""

    name: str
    vertices: int
    sha256: str = ""
    published: str = ""

    def __str__(self) -> str:
        known = [f"{self.vertices} vertices", *filter(None, (self.sha256, self.published))]
        return f"{self.name} ({', '.join(known)})"

    def same(self, other: Region) -> bool:
        """By digest; by number of vertices where a digest is missing, for names are each paper's own."""
        if self.sha256 and other.sha256:
            return self.sha256 == other.sha256
        return self.vertices == other.vertices


Regions = tuple[Region, ...]
"""Empty: all vertices."""


@dataclass(frozen=True)
class Terms:
    """None: not known, which says nothing. unknown: facets that the source leaves open, which is worth a warning.

    unit: as "m²". average: a key of `AVERAGES`. sequences: how many were measured. rules: how templates, unequal
    lengths and styles were dealt with, below which threshold a frame counts where one does, and who read the lips where
    somebody did. differs: further differences in words.
    """

    definition: str | None = None
    region: Regions | None = None
    split: str | None = None
    unit: str | None = None
    average: str | None = None
    sequences: int | None = None
    rules: tuple[str, ...] | None = None
    unknown: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()


def regions_text(regions: Regions) -> str:
    """ "lips (254 vertices, 3fa1…)", "all vertices"."""
    return " and ".join(str(region) for region in regions) or "all vertices"


def differences(found: Terms, wanted: Terms) -> list[str]:
    """Where a number cannot be compared with those of its column; `wanted` is the column's."""
    return [*_stated(found, wanted), *(_not_stated(facet) for facet in found.unknown), *found.differs]


def _stated(found: Terms, wanted: Terms) -> Iterator[str]:
    for facet, prefix in (("definition", "defined as "), ("split", "split "), ("unit", "in "), ("sequences", "")):
        here, there = getattr(found, facet), getattr(wanted, facet)
        if None not in (here, there) and here != there:
            suffix = " sequences" if facet == "sequences" else ""
            yield f"{prefix}{here}{suffix} instead of {there}"
    if found.average and wanted.average and found.average != wanted.average:
        yield f"{AVERAGES[found.average]} instead of {AVERAGES[wanted.average]}"
    if found.region is not None and wanted.region is not None and not _same(found.region, wanted.region):
        yield f"region {regions_text(found.region)} instead of {regions_text(wanted.region)}"
    if found.rules and wanted.rules and found.definition == wanted.definition:
        for here, there in zip(found.rules, wanted.rules, strict=True):
            if here != there:
                yield f"{here} instead of {there}"


def _same(found: Regions, wanted: Regions) -> bool:
    return len(found) == len(wanted) and all(a.same(b) for a, b in zip(found, wanted, strict=True))


def _not_stated(facet: str) -> str:
    return {"scale": "scale not stated, shown as printed", "average": "averaging not stated"}.get(
        facet, f"{facet} not stated"
    )
