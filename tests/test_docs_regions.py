"""The page on regions and the files of published numbers say of every set what the table of published regions says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from faces.region_registry import lookup
from faces.region_table import Published, published, topologies

DOCS = Path(__file__).parents[1] / "docs"


def row(one: Published) -> str:
    """A set's line on the page."""
    files = "; ".join(
        f"`{origin.file}`, {origin.source}, {origin.licence}"
        if number == 0
        else f"`{origin.id}`: `{origin.file}`, {origin.licence}"
        for number, origin in enumerate(one.origins)
    )
    digests = one.distinct if one.distinct == one.sorted else f"{one.distinct}, {one.sorted}"
    order = "ascending" if one.as_published == one.sorted else one.as_published
    return f"| `{one.id}` | {one.entries:,} | {one.unique:,} | {digests} | {order} | {files} |"


@pytest.mark.parametrize("topology", topologies())
def test_the_page_lists_every_set(topology: str) -> None:
    text = (DOCS / "regions.md").read_text(encoding="utf-8")
    mesh = topologies()[topology]
    section = text.partition(f"\n### `{topology}`")[2].partition("\n#")[0]
    assert f"{mesh.vertices:,} vertices, {mesh.faces:,} triangles" in section
    listed = [line for line in section.splitlines() if line.startswith("| `")]
    assert listed == [row(one) for one in published() if one.topology == topology]


@pytest.mark.parametrize("file", sorted((DOCS / "published").glob("*.toml")), ids=lambda file: file.stem)
def test_published_numbers_name_regions_of_the_table(file: Path) -> None:
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    named = [entry for entry in [*document["value"], *document["source"].values()] if "published" in region(entry)]
    assert named
    for entry in named:
        one = lookup(region(entry)["published"])
        assert one is not None
        assert (entry["region"]["vertices"], entry["region"]["sha256"]) == (one.entries, one.distinct)


def region(entry: dict) -> dict:
    found = entry.get("region", {})
    return found if isinstance(found, dict) else {}
