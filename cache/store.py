"""The artifact store: immutable folders found by key, published all at once.

Layout below the root:

    <stage>/<label>--<key8>/    payload, manifest.json, record.json
    work/<stage>-<key16>/       out/ (the payload in the making), state/ (resumable scratch), journal.jsonl
    work/<stage>-<key16>.lease.json    who works on it
    quarantine/                 damaged or replaced artifacts, moved aside, never served
    trash/ pins/ inuse/         see `cache.gc` and `cache.marks`

`record.json` is written last, and the folder takes its name by one rename: a folder without a readable record does
not exist. Looking an artifact up checks the presence and size of all its files; a damaged one counts as absent and
is moved to the quarantine when its successor is published. No index and no database: names carry the key.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache import digest, lastuse
from cache.errors import CacheError
from cache.files import read_json, sync_files, sync_folder, write_json
from cache.manifest import Made, Manifest

RECORD = "record.json"
MANIFEST = "manifest.json"
OWN_FOLDERS = ("work", "quarantine", "trash", "pins", "inuse")
_OWN_FILES = (RECORD, MANIFEST)
_SEPARATOR = "--"


@dataclass(frozen=True)
class Artifact:
    """A published folder and its record."""

    path: Path
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its place in the store, e.g. "features/vocaset-w2v2base-conv--3fa91c07"."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def label(self) -> str:
        return self.path.name.rpartition(_SEPARATOR)[0]

    @property
    def kind(self) -> str:
        return str(self.record["kind"])

    @property
    def key(self) -> Mapping[str, Any]:
        """The whole key: what determined this result."""
        key: Mapping[str, Any] = self.record["key"]
        return key

    @property
    def content(self) -> Mapping[str, str]:
        """Top-level name → digest; what readers depend on."""
        content: Mapping[str, str] = self.record["content"]
        return content

    def manifest(self) -> Manifest:
        return Manifest.from_json(read_json(self.path / MANIFEST))


@dataclass(frozen=True)
class Work:
    """The folder of a key in the making. It is found again by the next attempt at the same key."""

    path: Path
    stage: str
    key: Mapping[str, Any]

    @property
    def out(self) -> Path:
        return self.path / "out"

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def lease(self) -> Path:
        return self.path.with_name(f"{self.path.name}.lease.json")


class Store:
    """The artifacts below one folder, which several users may share."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, stage: str, key: Mapping[str, Any]) -> Artifact | None:
        """The sound artifact of a key, or None."""
        artifact = self._named(stage, digest.of_json(key))
        if artifact is None or self.damage(artifact):
            return None
        return artifact if lastuse.touch(artifact.path / RECORD) else None

    def damage(self, artifact: Artifact) -> str:
        """What is wrong with an artifact's files, by presence and size, or ""."""
        try:
            manifest = artifact.manifest()
        except (TypeError, KeyError, ValueError, AttributeError):
            return f"{MANIFEST} is missing or unreadable"
        return manifest.damage(artifact.path)

    def damaged(self, stage: str, key: Mapping[str, Any]) -> str:
        """Why the artifact of a key, though published, cannot be served, or ""."""
        artifact = self._named(stage, digest.of_json(key))
        return self.damage(artifact) if artifact else ""

    def artifacts(self, stage: str | None = None) -> Iterator[Artifact]:
        """All published artifacts, damaged ones included, by stage and name."""
        for folder in [self.root / stage] if stage else self.stage_folders():
            for path in sorted(folder.glob(f"*{_SEPARATOR}*")) if folder.is_dir() else []:
                record = _record(path)
                if record is not None:
                    yield Artifact(path, record)

    def by_name(self, name: str) -> Artifact | None:
        """The artifact with a name such as "features/vocaset-w2v2base-conv--3fa91c07"."""
        path = self.root / name
        return self.at(path) if _SEPARATOR in path.name else None

    @staticmethod
    def at(folder: Path) -> Artifact | None:
        """The artifact in a folder, or None where it has no record that `publish` could have written."""
        record = _record(folder)
        return Artifact(folder, record) if record is not None else None

    def work(self, stage: str, key: Mapping[str, Any]) -> Work:
        """The work folder of a key; created by `begin`."""
        return Work(self.root / "work" / f"{stage}-{digest.short(digest.of_json(key), 16)}", stage, key)

    def begin(self, work: Work) -> None:
        """Make the work folder ready; what an earlier attempt left there stays."""
        try:
            work.out.mkdir(parents=True, exist_ok=True)
            work.state.mkdir(exist_ok=True)
        except OSError as error:
            raise CacheError(
                f"the store {self.root} cannot be written to ({error.strerror}); choose another folder with --store "
                "or PIPE_STORE"
            ) from error

    def publish(
        self, work: Work, label: str, kind: str, items: Mapping[str, Made], provenance: Mapping[str, Any]
    ) -> Artifact:
        """Turn a filled work folder into an artifact, all at once. CacheError when the disk does not take it."""
        try:
            return self._publish(work, label, kind, items, provenance)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise CacheError(
                f"the disk of {self.root} is full; nothing was published, the work is kept in {work.path}: free some "
                "space and run again"
            ) from error

    def _publish(
        self, work: Work, label: str, kind: str, items: Mapping[str, Made], provenance: Mapping[str, Any]
    ) -> Artifact:
        for name in _OWN_FILES:
            (work.out / name).unlink(missing_ok=True)
        manifest = Manifest.of_folder(work.out, items)
        if not manifest.files:
            raise CacheError(f"stage {work.stage} made no files; that is a defect of the stage")
        payload = [work.out / name for name in manifest.files]
        sync_files(payload)
        write_json(work.out / MANIFEST, manifest.to_json(), sync=True, compact=True)
        record = {
            "format": 1,
            "stage": work.stage,
            "kind": kind,
            "key": dict(work.key),
            "key_digest": digest.of_json(work.key),
            "content": manifest.content(),
            "files": len(manifest.files),
            "bytes": manifest.size,
            "provenance": dict(provenance),
        }
        write_json(work.out / RECORD, record, sync=True)
        for path in payload:
            path.chmod(0o444)
        target = self._place(work, label)
        sync_folder(work.out)
        os.rename(work.out, target)
        sync_folder(target.parent)
        shutil.rmtree(work.path, ignore_errors=True)
        return Artifact(target, record)

    def adopt(self, work: Work, label: str) -> Artifact:
        """Publish a folder that brings its own manifest and record, both checked, from another store."""
        record = _record(work.out)
        if record is None or record["key_digest"] != digest.of_json(work.key):
            raise CacheError(f"{work.out} holds no record of its key")
        payload = [work.out / name for name in Manifest.from_json(read_json(work.out / MANIFEST)).files]
        sync_files([*payload, work.out / MANIFEST, work.out / RECORD])
        for path in payload:
            path.chmod(0o444)
        target = self._place(work, label)
        sync_folder(work.out)
        os.rename(work.out, target)
        sync_folder(target.parent)
        shutil.rmtree(work.path, ignore_errors=True)
        return Artifact(target, record)

    def _place(self, work: Work, label: str) -> Path:
        """A free name for the artifact. What stands under its key already is damaged or to be replaced: set aside."""
        key_digest = digest.of_json(work.key)
        old = self._named(work.stage, key_digest)
        if old is not None:
            self.set_aside(old)
        folder = self.root / work.stage
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^\w.-]+", "-", label) or work.stage
        target = folder / f"{name}{_SEPARATOR}{digest.short(key_digest)}"
        if target.exists() and _record(target) is None:
            self.set_aside(Artifact(target, {}))
        if target.exists():  # eight digits met another key
            target = folder / f"{name}{_SEPARATOR}{digest.short(key_digest, 24)}"
        return target

    def set_aside(self, artifact: Artifact) -> Path:
        """Move an artifact to the quarantine; returns its place there."""
        folder = self.root / "quarantine"
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{artifact.path.parent.name}-{artifact.path.name}"
        number = sum(1 for _ in folder.glob(f"{stem}.*"))
        place = folder / f"{stem}.{number + 1}"
        os.rename(artifact.path, place)
        return place

    def _named(self, stage: str, key_digest: str) -> Artifact | None:
        try:
            names = os.listdir(self.root / stage)
        except OSError:
            return None
        whole = key_digest.partition(":")[2]
        for name in names:
            suffix = name.rpartition(_SEPARATOR)[2]
            if _SEPARATOR in name and len(suffix) >= 8 and whole.startswith(suffix):
                record = _record(self.root / stage / name)
                if record is not None and record["key_digest"] == key_digest:
                    return Artifact(self.root / stage / name, record)
        return None

    def stage_folders(self) -> list[Path]:
        """The folders that hold artifacts, one for a stage."""
        if not self.root.is_dir():
            return []
        return [path for path in sorted(self.root.iterdir()) if path.is_dir() and path.name not in OWN_FOLDERS]


_FIELDS = {"kind": str, "key": dict, "key_digest": str, "content": dict, "bytes": int, "provenance": dict}


def _record(folder: Path) -> Mapping[str, Any] | None:
    """The record of a folder, or None where it is absent or not what `publish` writes."""
    record = read_json(folder / RECORD)
    if not isinstance(record, dict):
        return None
    return record if all(isinstance(record.get(name), kind) for name, kind in _FIELDS.items()) else None
