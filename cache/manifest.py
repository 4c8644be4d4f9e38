"""An artifact's files with size and digest, its items, and the check that they are still as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cache import digest
from cache.files import walk


@dataclass(frozen=True)
class Made:
    """An item as a worker left it.

    key: what determined it, "" where nothing was declared. late: digest of what is only known while the step runs.
    files: relative names in the payload. unpublished: name → file, of what belongs to its content but lies elsewhere.
    known: name → digest of files that were taken over from another artifact and need not be read again. content: the
    digest of the whole item where that is known, or "".
    """

    key: str
    files: list[str]
    late: str = ""
    unpublished: Mapping[str, Path] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)
    content: str = ""


@dataclass(frozen=True)
class Item:
    """An item of a published artifact. digest: of its content, whatever file it went into."""

    key: str
    digest: str
    files: list[str]
    late: str = ""


@dataclass(frozen=True)
class Manifest:
    """files: relative name → (size in bytes, digest). items: id → item."""

    files: Mapping[str, tuple[int, str]]
    items: Mapping[str, Item] = field(default_factory=dict)

    @classmethod
    def of_folder(cls, folder: Path, items: Mapping[str, Made] | None = None) -> Manifest:
        """Hash every file below a folder but those whose digest is known."""
        made = items or {}
        known = {name: hash_ for item in made.values() for name, hash_ in item.known.items()}
        files = {
            name: (entry.stat().st_size, known.get(name) or digest.of_file(Path(entry.path)))
            for name, entry in walk(folder)
        }
        return cls(files, {name: _published(item, files) for name, item in sorted(made.items())})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Manifest:
        """What `to_json` gave. ValueError where an item has a file that is none of the artifact's."""
        files = {name: (size, hash_) for name, (size, hash_) in value["files"].items()}
        items = {name: Item(*entry) for name, entry in value["items"].items()}
        if any(name not in files for item in items.values() for name in item.files):
            raise ValueError("an item has a file that is not in the list")
        return cls(files, items)

    def to_json(self) -> dict[str, Any]:
        items = {name: [item.key, item.digest, item.files, item.late] for name, item in self.items.items()}
        return {"files": {name: list(entry) for name, entry in self.files.items()}, "items": items}

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(size for size, _ in self.files.values())

    def content(self) -> dict[str, str]:
        """Top-level name → digest of what lies below it: what a reader of only that part depends on."""
        parts: dict[str, dict[str, str]] = {}
        for name, (_, hash_) in self.files.items():
            parts.setdefault(name.partition("/")[0], {})[name] = hash_
        return {top: digest.of_tree(files) for top, files in sorted(parts.items())}

    def items_digest(self) -> str:
        """Of what the items are said to be; it stands in the record, so that nobody can tell another tale of them."""
        return digest.of_json(self.to_json()["items"])

    def damage(self, folder: Path) -> str:
        """What is wrong with the files' presence and sizes, or "". Reads no content: one scandir per folder."""
        try:
            sizes = {name: entry.stat().st_size for name, entry in walk(folder)}
        except OSError as error:
            return f"{folder.name} cannot be read ({error.strerror})"
        for name, (size, _) in self.files.items():
            if name not in sizes:
                return f"{name} is missing"
            if sizes[name] != size:
                return f"{name} has {sizes[name]} bytes instead of {size}"
        return ""


def _published(made: Made, files: Mapping[str, tuple[int, str]]) -> Item:
    here = [name for name in made.files if name in files]
    digests = {name: files[name][1] for name in here}
    digests |= {name: digest.of_file(path) for name, path in made.unpublished.items() if path.is_file()}
    return Item(made.key, made.content or digest.of_tree(digests), here, made.late)
