"""`pipe regions ls | show`: the published sets, and a user's regions on their mesh. The options are in the engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import RecipeError
from pipeline.registry import nearest


def ls(topology: str, *, as_json: bool) -> None:
    """The table of published regions. RecipeError for a topology that it does not have."""
    from faces.region_table import published, topologies
    from pipeline.progress import table

    if topology and topology not in topologies():
        known = ", ".join(topologies())
        raise RecipeError(
            f"no regions are published for {topology!r}, only for {known}.{nearest(topology, topologies())}"
        )
    sets = [one for one in published() if topology in ("", one.topology)]
    if as_json:
        from dataclasses import asdict

        print(json.dumps([{"id": one.id} | asdict(one) for one in sets], indent=1, ensure_ascii=False))
        return
    heads = ("id", "topology", "entries", "different", "as published", "numbers say", "file", "licence")
    rows = [
        (
            origin.id, one.topology, f"{one.entries:,}", f"{one.unique:,}", one.as_published, _printed(one),
            origin.file, origin.licence,
        )
        for one in sets
        for origin in one.origins
    ]  # fmt: skip
    print(table(rows, heads))


def _printed(one: Any) -> str:
    """The digests that stand beside numbers: of each vertex once, and as often as it stands in the list."""
    return one.distinct if one.distinct == one.sorted else f"{one.distinct}, {one.sorted}"


def show(
    word: str, regions: Sequence[Path], mesh: Path | None, out: Path | None, size: int, store: str | None, as_json: bool
) -> None:
    """Draw regions on their mesh, and say what each is. Errors as in `subject.find`."""
    from faces.region_registry import remarks
    from stages.regions import pictures, subject

    found = subject.find(word, mesh, regions, lambda name: _artifact(name, store))
    facts = {name: _facts(name, indices, len(found.mesh.vertices)) for name, indices in sorted(found.regions.items())}
    folder = out or Path(f"regions-{found.name}")
    files = pictures.write(folder, found, {name: _below(one) for name, one in facts.items()}, size)
    if as_json:
        print(json.dumps({"regions": list(facts.values()), "files": [str(file) for file in files]}, indent=1))
        return
    _print(facts)
    for remark in remarks(found.regions, len(found.mesh.vertices), found.mesh.faces):
        print(remark)
    print(f"{len(files)} pictures in {folder}, all together in {files[0]}")


def _artifact(name: str, store: str | None) -> Path:
    from pipeline.stored import named
    from pipeline.workspace import Workspace
    from stages.regions.subject import topology_names

    try:
        return named(Workspace.find(store).store, name).path
    except RecipeError as error:
        raise RecipeError(f"{error}\n{name} is no mesh file and no topology either; {topology_names(name)}") from None


def _facts(name: str, indices: Any, vertices: int) -> dict[str, Any]:
    """sha256: as numbers over each vertex print it. as_published: whether order and repeats are the published ones."""
    from faces.region_registry import Match, identify
    from faces.regions import region_digest

    found = identify(indices, vertices)
    return {
        "name": name,
        "entries": found.entries,
        "unique": found.unique,
        "sha256": region_digest(indices),
        "published": found.set.id if found.set else "",
        "match": str(found.match),
        "as_published": found.match is Match.EXACT,
    }


def _below(facts: dict[str, Any]) -> str:
    """What stands below a picture."""
    from faces.region_table import size

    known = f"{facts['published']},\n{facts['match']}" if facts["published"] else "no published set"
    return f"{size(facts['entries'], facts['unique'])}\n{facts['sha256']}\n{known}"


def _print(facts: dict[str, dict[str, Any]]) -> None:
    from pipeline.progress import table

    rows = [
        (one["name"], f"{one['entries']:,}", f"{one['unique']:,}", one["sha256"], one["published"] or "–", one["match"])
        for one in facts.values()
    ]
    print(table(rows, ("region", "entries", "different", "digest", "published", "")))
