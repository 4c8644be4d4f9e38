"""All of an artifact but its files, as it travels to a remote and back.

What arrives is believed only as far as it can be checked: the record must belong to its key, the manifest to the
record, and no name may leave the artifact's folder. CacheError says what does not fit; RemoteError, what is beyond this
program and no damage. The files are checked by who brings them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cache import digest
from cache.errors import CacheError, RemoteError
from cache.manifest import Manifest
from cache.names import inside
from cache.record import FORMAT as RECORD_FORMAT
from cache.store import OWN_FOLDERS, Artifact

FORMAT = 1
_WORD = re.compile(r"[A-Za-z0-9_][\w.-]*")
_TYPES = {
    "format": int,
    "stage": str,
    "kind": str,
    "key": dict,
    "key_digest": str,
    "content": dict,
    "bytes": int,
    "provenance": dict,
}


@dataclass(frozen=True)
class Parcel:
    """An artifact on its way between stores: label, record and manifest."""

    label: str
    record: Mapping[str, Any]
    manifest: Manifest

    @classmethod
    def of(cls, artifact: Artifact) -> Parcel:
        return cls(artifact.label, artifact.record, artifact.manifest())

    @classmethod
    def from_json(cls, value: Any, source: str) -> Parcel:
        """Unpack what `to_json` made; `source` is what an error names."""
        if not isinstance(value, dict) or not isinstance(value.get("format"), int):
            raise CacheError(f"{source} is damaged: it is no record of an artifact")
        record = value.get("record")
        formats = (value["format"], FORMAT), (record.get("format") if isinstance(record, dict) else 0, RECORD_FORMAT)
        if any(isinstance(theirs, int) and theirs > ours for theirs, ours in formats):
            raise RemoteError(f"{source} was written by a newer version of facepipe; upgrade to read it")
        if re.match(r"\w\w:", str(value.get("digest"))) and not value["digest"].startswith(digest.PREFIX):
            raise RemoteError(f"{source} was hashed by another algorithm; install blake3 on both machines")
        if value.get("digest") != digest.of_json([value.get("label"), value.get("record"), value.get("manifest")]):
            raise CacheError(f"{source} is damaged: its digest does not fit")
        try:
            parcel = cls(str(value["label"]), value["record"], Manifest.from_json(value["manifest"]))
            flaw = parcel.flaw()
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            flaw = f"{type(error).__name__} {error}"
        if flaw:
            raise CacheError(f"{source} is damaged: {flaw}")
        return parcel

    def to_json(self) -> dict[str, Any]:
        manifest, record = self.manifest.to_json(), dict(self.record)
        sealed = digest.of_json([self.label, record, manifest])
        return {"format": FORMAT, "digest": sealed, "label": self.label, "record": record, "manifest": manifest}

    @property
    def stage(self) -> str:
        return str(self.record["stage"])

    @property
    def key_digest(self) -> str:
        return str(self.record["key_digest"])

    @property
    def name(self) -> str:
        """What the artifact is called in messages; in a store it may get more digits."""
        return f"{self.stage}/{self.label}--{digest.short(self.key_digest)}"

    def copies(self) -> dict[tuple[int, str], list[str]]:
        """Equal files together: (size, digest) → names."""
        found: dict[tuple[int, str], list[str]] = {}
        for name, (size, hash_) in self.manifest.files.items():
            found.setdefault((size, hash_), []).append(name)
        return found

    def once(self) -> list[tuple[str, int, str]]:
        """(name, size, digest), one of equal files."""
        return [(names[0], size, hash_) for (size, hash_), names in self.copies().items()]

    @property
    def weight(self) -> int:
        """Bytes that travel."""
        return sum(size for size, _ in self.copies())

    def flaw(self) -> str:
        """What does not fit together, or ""."""
        record = self.record
        for name, kind in _TYPES.items():
            if not isinstance(record[name], kind):
                return f"{name} is no {kind.__name__}"
        if record["format"] != RECORD_FORMAT:
            return f"its record is of format {record['format']}"
        if digest.of_json(record["key"]) != record["key_digest"]:
            return "its key has another digest"
        if (self.manifest.content(), self.manifest.items_digest()) != (record["content"], record.get("items")):
            return "its manifest is not that of its record"
        if not _WORD.fullmatch(record["stage"]) or record["stage"] in OWN_FOLDERS:
            return f"{record['stage']!r} is no name of a stage"
        unsafe = [name for name in self.manifest.files if not inside(name)]
        return f"{unsafe[0]!r} is no name of a file inside it" if unsafe else ""
