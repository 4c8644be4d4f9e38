"""The table of published regions, `published_regions.toml`: what is known of each set but its indices.

Light, so that stages may name the file while they plan. What tells whether indices are a set of the table is
`faces.region_registry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "published_regions.toml"
ENDINGS = (".txt", ".pkl", ".json", ".npy")
"""Of files of regions; `faces.regions` reads them."""
WHAT = "the table of published regions"
"""How a stage calls the file among its sources."""


@dataclass(frozen=True)
class Topology:
    """A mesh that regions belong to. triangles: see `region_registry.triangles_digest`. meshes: files that have it."""

    name: str
    title: str
    vertices: int
    faces: int
    triangles: str
    meshes: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """Where a set is published. file: its name there. id: a name for it, "selftalk/biwi-lips"."""

    id: str
    source: str
    file: str
    licence: str


@dataclass(frozen=True)
class Published:
    """A set of vertices that papers share.

    region: what it covers, "lips". names: those that a user's region has if it is meant to be this set. entries: as
    published; unique: different vertices among them. origins: where it is published, the first naming the set. note:
    what a user should know.
    Digests, 12 digits of SHA-256 of indices, one a line: as_published, in that order; sorted, ascending; distinct,
    ascending and each once. The last two are what metrics print.
    """

    topology: str
    region: str
    names: tuple[str, ...]
    entries: int
    unique: int
    as_published: str
    sorted: str
    distinct: str
    origins: tuple[Origin, ...]
    note: str = ""

    @property
    def id(self) -> str:
        return self.origins[0].id

    @property
    def ids(self) -> tuple[str, ...]:
        """All names: that of each place where the same list is published."""
        return tuple(origin.id for origin in self.origins)

    @property
    def size(self) -> str:
        return size(self.entries, self.unique)


def size(entries: int, unique: int) -> str:
    """ "254 entries, 250 different"."""
    return f"{entries:,} {'entry' if entries == 1 else 'entries'}" + (
        "" if entries == unique else f", {unique:,} different"
    )


def files_in(folder: Path) -> list[Path]:
    """The region files of a folder, sorted; none where it is not there."""
    return sorted(file for file in folder.glob("*") if file.suffix.lower() in ENDINGS and not file.name.startswith("."))


def plain_name(file: Path) -> str:
    """How the engine calls a region file: a text by its region."""
    return file.stem if file.suffix == ".txt" else file.name


@cache
def topologies() -> Mapping[str, Topology]:
    """Name → topology, in the order of the table."""
    found = _document()["topology"]
    return {name: Topology(name=name, **facts | {"meshes": tuple(facts["meshes"])}) for name, facts in found.items()}


@cache
def published() -> tuple[Published, ...]:
    """All sets, in the order of the table."""
    return tuple(_set(dict(facts)) for facts in _document()["set"])


def _set(facts: dict[str, Any]) -> Published:
    origins = tuple(_origin(**origin) for origin in facts.pop("origins"))
    return Published(names=tuple(facts.pop("names")), origins=origins, **facts)


def _origin(id: str, file: str, licence: str = "") -> Origin:
    source = _document()["source"][id.partition("/")[0]]
    return Origin(id, source["title"], file, licence or source["licence"])


@cache
def _document() -> dict[str, Any]:
    import tomllib

    return tomllib.loads(FILE.read_text(encoding="utf-8"))
