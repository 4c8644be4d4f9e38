"""The list of an artifact's files with size and digest, and the check that they are still as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cache import digest
from cache.files import walk


@dataclass(frozen=True)
class Manifest:
    """files: relative name → (size in bytes, digest). items: item id → the relative names that belong to it."""

    files: Mapping[str, tuple[int, str]]
    items: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of_folder(cls, folder: Path, items: Mapping[str, list[str]] | None = None) -> Manifest:
        """Hash every file below a folder."""
        files = {name: (entry.stat().st_size, digest.of_file(Path(entry.path))) for name, entry in walk(folder)}
        kept = {item: [name for name in names if name in files] for item, names in (items or {}).items()}
        return cls(files, {item: names for item, names in kept.items() if names})

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Manifest:
        return cls({name: (size, hash_) for name, (size, hash_) in value["files"].items()}, value["items"])

    def to_json(self) -> dict[str, Any]:
        return {"files": {name: list(entry) for name, entry in self.files.items()}, "items": dict(self.items)}

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
