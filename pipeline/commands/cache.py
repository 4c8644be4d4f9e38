"""`pipe cache ls | show | du | pin | unpin`: what is in the store. Reading changes nothing, not even a last use."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cache import lastuse, marks
from cache.lineage import Lineage
from cache.sizes import Part, Room, others
from cache.store import OWN_FOLDERS, RECORD, Artifact
from pipeline.errors import RecipeError
from pipeline.progress import duration, size_text, table
from pipeline.stored import named
from pipeline.toml import shown
from pipeline.units import ago
from pipeline.workspace import Workspace

SORTS = ("name", "size", "used", "made")
_NARROWEST = 24


def ls(workspace: Workspace, *, stage: str, recipe: str, sort: str, as_json: bool) -> None:
    """The artifacts of the store, with size, age, last use and the step that made them."""
    if sort not in SORTS:
        raise RecipeError(f"--sort {sort!r}: allowed are {', '.join(SORTS)}")
    pinned = marks.pinned(workspace.store.root)
    found = [_summary(artifact, pinned) for artifact in workspace.store.artifacts(stage or None)]
    found = [entry for entry in found if recipe in ("", entry["recipe"])]
    if sort != "name":
        found.sort(key=lambda entry: str(entry[sort]) if sort == "made" else float(entry[_FIELD[sort]]), reverse=True)
    if as_json:
        print(json.dumps(found, indent=1))
        return
    rows = [
        (
            entry["name"],
            entry["kind"],
            size_text(entry["bytes"]),
            _date(entry["made"]),
            ago(time.time() - entry["used"]) + (", pinned" if entry["pinned"] else ""),
            f"{entry['recipe']}/{entry['step']}",
        )
        for entry in found
    ]
    if rows:
        print(fitted(rows, ("artifact", "kind", "size", "made", "last used", "by")))
    total = sum(entry["bytes"] for entry in found)
    which = "artifact" if len(rows) == 1 else "artifacts"
    print(f"{len(rows)} {which}, {size_text(total)} in {shown(workspace.store.root)}")


_FIELD = {"size": "bytes", "used": "used"}


def _summary(artifact: Artifact, pinned: Iterable[str]) -> dict[str, Any]:
    made = artifact.record["provenance"]
    return {
        "name": artifact.name,
        "kind": artifact.kind,
        "bytes": artifact.record["bytes"],
        "made": str(made.get("finished", "")),
        "used": lastuse.of(artifact.path / RECORD),
        "recipe": str(made.get("recipe", "")),
        "step": str(made.get("step", "")),
        "seconds": made.get("seconds"),
        "pinned": artifact.name in pinned,
    }


def _date(stamp: str) -> str:
    return stamp.replace("T", " ")[:16]


def fitted(rows: Sequence[tuple[str, ...]], head: tuple[str, ...]) -> str:
    """A table whose first column gives way in a narrow terminal: names keep their beginning and their key."""
    columns = list(zip(head, *rows, strict=True))
    others_ = sum(max(map(len, column)) + 2 for column in columns[1:])
    room = max(_NARROWEST, shutil.get_terminal_size().columns - others_) if sys.stdout.isatty() else 10**6
    return table([(_short(row[0], room), *row[1:]) for row in rows], head)


def _short(name: str, room: int) -> str:
    if len(name) <= room:
        return name
    tail = "…--" + name.rpartition("--")[2] if "--" in name else "…"
    return name[: max(1, room - len(tail))] + tail


def show(workspace: Workspace, name: str, *, as_json: bool) -> None:
    """One artifact: how it was made, from what, and what was made from it."""
    artifact = named(workspace.store, name)
    if as_json:
        print(json.dumps(artifact.record, indent=1, ensure_ascii=False))
        return
    print(artifact.name)
    for title, lines in _facts(workspace, artifact):
        for number, line in enumerate(lines):
            print(f"  {title if number == 0 else '':<10}  {line}")


def _facts(workspace: Workspace, artifact: Artifact) -> Iterator[tuple[str, list[str]]]:
    record, made = artifact.record, artifact.record["provenance"]
    lineage = Lineage(workspace.store.artifacts())
    files = "1 file" if record.get("files") == 1 else f"{record.get('files', '?')} files"
    yield "kind", [f"{artifact.kind}, {size_text(record['bytes'])} in {files}"]
    yield "folder", [str(artifact.path)]
    damage = workspace.store.damage(artifact)
    yield "state", [f"damaged: {damage}" if damage else "all files are there with their sizes"]
    yield "made", [_how(made)]
    if made.get("reason"):
        yield "because", [str(made["reason"])]
    used = f"{ago(time.time() - lastuse.of(artifact.path / RECORD))} ago".replace("just now ago", "just now")
    yield "last used", [used + (", pinned" if artifact.name in marks.pinned(workspace.store.root) else "")]
    yield (
        "reads",
        [
            f"{slot} ← {' or '.join(names) if names else 'an artifact that is gone'}"
            for slot, names in lineage.sources(artifact).items()
        ],
    )
    yield "read by", sorted(lineage.users(artifact))
    yield "parameters", [f"{key} = {json.dumps(v, ensure_ascii=False)}" for key, v in _params(artifact).items()]
    yield "content", [f"{hash_}  {top}" for top, hash_ in artifact.content.items()]
    yield "key", [f"{record['key_digest']}   (all of it: --json)"]


def _how(made: Mapping[str, Any]) -> str:
    text = f"{_date(str(made.get('finished', '?')))} UTC by {made.get('recipe', '?')}/{made.get('step', '?')}"
    if isinstance(made.get("seconds"), int | float):
        text += f" in {duration(made['seconds'])}"
    text += f" on {made['host']}" if made.get("host") else ""
    return text + (f", commit {made['git']}" if made.get("git") else "")


def _params(artifact: Artifact) -> Mapping[str, Any]:
    params = artifact.key.get("params")
    return dict(sorted(params.items())) if isinstance(params, dict) else {}


def du(workspace: Workspace, *, as_json: bool) -> None:
    """The room that stages, recipes and leftovers take. A hard link to a file that counted already takes none."""
    groups, whole = _groups(workspace), Room()
    counts = {}
    for group, parts in groups.items():
        room = Room(parts)
        counts[group] = {"parts": len(parts), "files": sum(part.files for part in parts), "bytes": room.total}
        if not group.startswith("recipe "):
            for part in parts:
                whole.add(part)
    if as_json:
        print(json.dumps({"total": whole.total, "groups": counts}, indent=1))
        return
    rows = [(group, c["parts"], c["files"], size_text(c["bytes"])) for group, c in counts.items()]
    if rows:
        print(table(rows, ("", "number", "files", "size")))
    shared = sum(c["bytes"] for group, c in counts.items() if not group.startswith("recipe ")) - whole.total
    note = f" ({size_text(shared)} of it stand in several places and count once)" if shared else ""
    print(f"{size_text(whole.total)} in {shown(workspace.store.root)}{note}")


def _groups(workspace: Workspace) -> dict[str, list[Part]]:
    """Title → parts. Every artifact is in two groups, its stage's and its recipe's."""
    store = workspace.store
    stages: dict[str, list[Part]] = {}
    recipes: dict[str, list[Part]] = {}
    for artifact in store.artifacts():
        part = Part.of(artifact.path)
        stages.setdefault(f"stage {artifact.path.parent.name}", []).append(part)
        recipe = artifact.record["provenance"].get("recipe") or "?"
        recipes.setdefault(f"recipe {recipe}", []).append(part)
    rest: dict[str, list[Part]] = {}
    for path in others(store):
        own = path.parent.parent == store.root and path.parent.name in OWN_FOLDERS
        rest.setdefault(path.parent.name if own else "no artifact", []).append(Part.of(path))
    return stages | dict(sorted(recipes.items())) | rest


def pin(workspace: Workspace, name: str) -> None:
    """Keep an artifact whatever gc is told."""
    artifact = named(workspace.store, name)
    marks.pin(workspace.store.root, artifact.name)
    print(f"{artifact.name} is pinned; `pipe cache unpin` undoes it")


def unpin(workspace: Workspace, name: str) -> None:
    """Undo `pin`."""
    artifact = named(workspace.store, name)
    was = marks.unpin(workspace.store.root, artifact.name)
    print(f"{artifact.name} is {'no longer' if was else 'not'} pinned")
