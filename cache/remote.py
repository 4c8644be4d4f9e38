"""A place that several stores share artifacts through: a bucket, or a folder on another machine.

Layout below its address:

    objects/b3/<2 hex>/<30 hex>         the bytes of a file, named by their digest: equal files are there once
    records/<stage>/<32 hex>.json       label, record and manifest of one key; written last

An artifact without a record does not exist, so a half-uploaded one is invisible, and the next upload goes on where it
stopped. What arrives is hashed before it is believed; RemoteDamaged names an object that is not what it should be. A
record that is there already is kept: what others made under the same key is as good as ours.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cache import digest
from cache.address import shown
from cache.errors import CacheError, RemoteDamaged, RemoteError
from cache.files import walk, write_json
from cache.parcel import Parcel
from cache.store import MANIFEST, RECORD, Artifact, Store
from cache.transfer import answer, side_by_side
from cache.transport import Tell, Transport, connect
from cache.work import Work

_HEX = re.compile(r"[0-9a-f]{8,32}")


@dataclass
class Moved:
    """What a transfer did; filled in while it runs.

    there: files that needed no transfer. other: the remote has another result under the key, and keeps it.
    """

    files: int = 0
    bytes: int = 0
    there: int = 0
    other: bool = False


class Remote:
    """The artifacts below one address. Opening it does not contact it yet, except for ssh."""

    def __init__(self, url: str) -> None:
        self._at: Transport = answer(lambda: connect(url), shown(url))

    @property
    def address(self) -> str:
        """As it may be printed."""
        return self._at.address

    def find(self, stage: str, key: Mapping[str, Any]) -> Parcel | None:
        """What the remote has under a key. One question to the remote, no listing."""
        return self._parcel(_record(stage, digest.of_json(key)))

    def named(self, stage: str, digits: str) -> list[Parcel]:
        """What a stage ("" for any) has under keys that begin with these digits, 8 at least. Lists names."""
        if not _HEX.fullmatch(digits):
            raise RemoteError(f"{digits!r} is no beginning of a key; write at least 8 digits of it")
        folders = [f"records/{stage}"] if stage else answer(lambda: self._at.names("records", ""), self.address)
        names = [name for folder in folders for name in answer(partial(self._at.names, folder, digits), self.address)]
        return [parcel for name in names if (parcel := self._parcel(name)) is not None]

    def missing(self, parcel: Parcel) -> list[tuple[str, int, str]]:
        """(file, size, digest) of what a push would upload, equal files once."""
        wanted = parcel.once()
        absent: list[tuple[str, int, str]] = []

        def look(name: str, size: int, hash_: str, _: Tell) -> None:
            if self._at.size(_object(hash_)) != size:
                absent.append((name, size, hash_))

        tasks = [partial(look, *entry) for entry in wanted]
        for _ in side_by_side(tasks, self._at.threads, self.address):
            pass
        return sorted(absent)

    def push(self, artifact: Artifact, moved: Moved, *, again: bool = False) -> Generator[int]:
        """Upload an artifact; yields bytes as they go. `again`: also what seems to be there already.

        Raises:
            CacheError: a file of ours is not what its manifest says; nothing false was uploaded.
            RemoteError: the remote refuses or is down; what has arrived is used the next time.
        """
        parcel = Parcel.of(artifact)
        record = _record(parcel.stage, parcel.key_digest)
        theirs = None if again else self._theirs(record)
        if theirs is not None and theirs.manifest.files != parcel.manifest.files:
            moved.other = True  # made on another machine, perhaps other in its last digits
            return
        todo = parcel.once() if again else self.missing(parcel)
        moved.there = len(parcel.once()) - len(todo)
        yield parcel.weight - sum(size for _, size, _ in todo)

        def put(name: str, size: int, hash_: str, tell: Tell) -> None:
            path = artifact.path / name
            if not _holds(path, size, hash_):
                raise CacheError(f"{artifact.name}: {name} is damaged here, so it was not uploaded; make it again")
            self._at.put(path, _object(hash_), tell)

        tasks = [partial(put, *entry) for entry in todo]
        yield from side_by_side(tasks, self._at.threads, self.address)
        moved.files, moved.bytes = len(todo), sum(size for _, size, _ in todo)
        if theirs is None:
            text = json.dumps(parcel.to_json(), sort_keys=True, separators=(",", ":")).encode()
            yield from side_by_side([lambda _: self._at.write(record, text)], 1, self.address)

    def pull(self, parcel: Parcel, store: Store, work: Work, moved: Moved, done: list[Artifact]) -> Generator[int]:
        """Fetch an artifact into the work folder of its key, whose lease we hold, and publish it into `done`.

        Raises:
            RemoteDamaged: a file on the remote is missing or is not what it should be. Nothing was published.
            RemoteError: the remote refuses or is down. What has arrived is used the next time.
        """
        arriving = replace(work, path=work.path / "fetched")  # beside what an attempt at making it here may have left
        folder = arriving.out
        for name in parcel.manifest.files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        todo = [entry for entry in parcel.once() if not _holds(folder / entry[0], *entry[1:])]
        moved.there = len(parcel.once()) - len(todo)
        yield parcel.weight - sum(size for _, size, _ in todo)

        def get(name: str, size: int, hash_: str, tell: Tell) -> None:
            self._get(folder / name, size, hash_, parcel.name, tell)

        tasks = [partial(get, *entry) for entry in todo]
        yield from side_by_side(tasks, self._at.threads, self.address)
        moved.files, moved.bytes = len(todo), sum(size for _, size, _ in todo)
        for names in parcel.copies().values():
            for name in names[1:]:
                shutil.copyfile(folder / names[0], folder / name)
        done.append(_adopt(store, arriving, parcel))
        shutil.rmtree(work.path, ignore_errors=True)

    def _get(self, target: Path, size: int, hash_: str, whose: str, tell: Tell) -> None:
        temporary = target.with_name(f".{target.name}.tmp")
        name = _object(hash_)
        for attempt in (1, 2):  # what was torn on the way is whole the second time
            try:
                self._at.get(name, temporary, tell)
            except RemoteError as error:
                if isinstance(error.__cause__, FileNotFoundError) and self._at.size(name) is None:
                    raise RemoteDamaged(f"{self.address}/{name} ({whose}) is missing") from error
                raise
            if _holds(temporary, size, hash_):
                break
            if attempt == 2:
                temporary.unlink()
                raise RemoteDamaged(f"{self.address}/{name} ({whose}) is damaged: other bytes than its name says")
        os.replace(temporary, target)

    def _parcel(self, name: str) -> Parcel | None:
        data = answer(lambda: self._at.read(name), self.address)
        if data is None:
            return None
        source = f"{self.address}/{name}"
        try:
            parcel = Parcel.from_json(json.loads(data), source)
        except (ValueError, RecursionError) as error:
            raise RemoteDamaged(f"{source} is damaged: it is not JSON") from error
        except RemoteError:
            raise
        except CacheError as error:
            raise RemoteDamaged(str(error)) from error
        if _record(parcel.stage, parcel.key_digest) != name:
            raise RemoteDamaged(f"{source} is damaged: it belongs to another key")
        return parcel

    def _theirs(self, record: str) -> Parcel | None:
        with contextlib.suppress(RemoteDamaged):  # then ours takes its place
            return self._parcel(record)
        return None


def _record(stage: str, key_digest: str) -> str:
    return f"records/{stage}/{key_digest.partition(':')[2]}.json"


def _object(hash_: str) -> str:
    kind, _, digits = hash_.partition(":")
    return f"objects/{kind}/{digits[:2]}/{digits[2:]}"


def _adopt(store: Store, work: Work, parcel: Parcel) -> Artifact:
    """Publish what has arrived. CacheError where it is not what the parcel says, or the disk is full."""
    try:
        for name, entry in list(walk(work.out)):
            if name not in parcel.manifest.files:
                Path(entry.path).unlink()
        if damage := parcel.manifest.damage(work.out):
            raise CacheError(f"{parcel.name} did not arrive whole: {damage}")
        write_json(work.out / MANIFEST, parcel.manifest.to_json(), compact=True)
        write_json(work.out / RECORD, dict(parcel.record))
        return store.adopt(work, parcel.label)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise CacheError(f"the disk of {store.root} is full; free some space and run again") from error


def _holds(path: Path, size: int, hash_: str) -> bool:
    try:
        return path.stat().st_size == size and digest.of_file(path) == hash_
    except FileNotFoundError:
        return False
