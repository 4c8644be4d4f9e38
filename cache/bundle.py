"""One artifact as one file, and back: a plain tar whose bytes depend on the artifact alone.

Order: `bundle.json` (format and name), the manifest, the record, then the payload by name; times and owners are zero.
Every digest is checked on the way out and on the way in. An import trusts nothing: it takes plain files that the
manifest names, of the sizes it gives, into a work folder, and publishes by one rename; on any doubt nothing is
published. An export appears under its name when it is complete, or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from cache import digest
from cache.errors import CacheError
from cache.files import replacing, sync_folder
from cache.lease import lease
from cache.manifest import Manifest
from cache.names import inside
from cache.record import is_broken
from cache.store import MANIFEST, OWN_FOLDERS, RECORD, Artifact, Store
from cache.work import Work

FORMAT = 1
SUFFIX = ".pipe"
_HEAD = "bundle.json"
_PAYLOAD = "payload/"
_LARGEST_PAPER = 1 << 30


def export(artifact: Artifact, target: Path, tell: digest.Tell | None = None) -> None:
    """Write an artifact to one file. CacheError where the artifact is damaged or the file cannot be written."""
    try:
        manifest = artifact.manifest()
        with replacing(target) as temporary, temporary.open("wb") as stream:
            with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
                head = digest.canonical({"format": FORMAT, "name": artifact.name}).encode()
                _add(tar, _HEAD, len(head), io.BytesIO(head))
                for name in (MANIFEST, RECORD):
                    text = (artifact.path / name).read_bytes()
                    _add(tar, name, len(text), io.BytesIO(text))
                for name, (size, hash_) in sorted(manifest.files.items()):
                    _export_file(tar, artifact, name, size, hash_, tell)
            stream.flush()
            os.fsync(stream.fileno())
        sync_folder(target.parent)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise CacheError(f"{artifact.name} is damaged: its {MANIFEST} is missing or unreadable") from error
    except OSError as error:
        raise CacheError(f"{error.filename or target}: {error.strerror or error}; nothing was exported") from error


def _export_file(
    tar: tarfile.TarFile, artifact: Artifact, name: str, size: int, hash_: str, tell: digest.Tell | None
) -> None:
    with (artifact.path / name).open("rb") as stream:
        if os.fstat(stream.fileno()).st_size != size:
            raise CacheError(_damaged(artifact, name))
        reader = _Hashing(stream, hash_, tell)
        _add(tar, _PAYLOAD + name, size, reader)
    if not reader.matches():
        raise CacheError(_damaged(artifact, name))


def _damaged(artifact: Artifact, name: str) -> str:
    return (
        f"{artifact.name} is damaged: {name} is not what was published; `pipe cache verify {artifact.name} --repair` "
        "sets it aside"
    )


def _add(tar: tarfile.TarFile, name: str, size: int, stream: Any) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o444
    tar.addfile(member, stream)


class _Hashing:
    """A stream that hashes what is read from it."""

    def __init__(self, stream: IO[bytes], expected: str, tell: digest.Tell | None) -> None:
        self._stream, self._expected, self._tell = stream, expected, tell
        self._prefix = expected[:3] if digest.known(expected) else digest.PREFIX
        self._hash = digest.hasher(self._prefix)

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._hash.update(data)
        if self._tell:
            self._tell(len(data))
        return data

    def matches(self) -> bool:
        return digest.finish(self._hash, self._prefix) == self._expected


def load(store: Store, path: Path, tell: digest.Tell | None = None) -> tuple[Artifact, bool]:
    """Bring an exported artifact into a store: the artifact, and whether it is new there.

    Raises:
        CacheError: the file is no whole, sound export, or the store cannot be written to. Nothing is published.
    """
    try:
        with _opened(path) as tar:
            return _Import(store, path, tar, tell).run()
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:  # the latter: numbers in headers
        raise CacheError(f"{path} is cut short or damaged ({error}); export it again") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = f"the disk of {store.root} is full" if full else f"{error.filename or path}: {error.strerror or error}"
        raise CacheError(f"{why}; nothing was imported") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    with path.open("rb") as stream:
        if not stream.read(1):
            raise CacheError(f"{path} is empty")
        stream.seek(0)
        try:
            tar = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115
        except tarfile.ReadError as error:
            raise CacheError(f"{path} is no file that `pipe cache export` writes, or is cut short") from error
        with tar:
            yield tar


class _Import:
    def __init__(self, store: Store, path: Path, tar: tarfile.TarFile, tell: digest.Tell | None) -> None:
        self._store, self._path, self._tar, self._tell = store, path, tar, tell

    def run(self) -> tuple[Artifact, bool]:
        stage, label = self._head()
        manifest_text, record_text = self._paper(MANIFEST), self._paper(RECORD)
        manifest, record = self._agreed(manifest_text, record_text, stage)
        if (present := self._store.find(stage, record["key"])) is not None:
            return present, False
        name = f"import-{digest.short(record['key_digest'], 16)}-{os.getpid()}"
        work = Work(self._store.root / "work" / name, stage, record["key"])
        self._store.begin(work)
        try:
            with lease(work.lease):  # tells that this folder is not abandoned
                self._unpack(work.out, manifest)
                (work.out / MANIFEST).write_bytes(manifest_text)
                (work.out / RECORD).write_bytes(record_text)
                return self._publish(work, label)
        finally:
            shutil.rmtree(work.path, ignore_errors=True)

    def _publish(self, work: Work, label: str) -> tuple[Artifact, bool]:
        with lease(self._store.work(work.stage, work.key).lease):  # nobody makes the same thing in this moment
            if (present := self._store.find(work.stage, work.key)) is not None:
                return present, False
            return self._store.adopt(work, label), True

    def _head(self) -> tuple[str, str]:
        """Stage and label of the artifact."""
        try:
            head = json.loads(self._paper(_HEAD))
            format_, name = head["format"], head["name"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._refused(f"its {_HEAD} is not what `pipe cache export` writes") from None
        if not isinstance(format_, int) or format_ > FORMAT:
            raise self._newer(format_)
        stage, slash, rest = str(name).partition("/")
        label, dashes, _ = rest.rpartition("--")
        if not (slash and dashes and stage and label) or "/" in rest or not inside(stage) or not inside(rest):
            raise self._refused(f"it names the artifact {name!r}")
        if stage in OWN_FOLDERS:
            raise self._refused(f"it is of the stage {stage!r}, which is a folder of the store's own")
        return stage, label

    def _paper(self, name: str) -> bytes:
        member = self._tar.next()
        if member is None:
            raise self._refused(f"it is cut short before its {name}")
        if member.name != name or not _is_plain(member):
            raise self._refused(f"{name} is not where it should be")
        if member.size > _LARGEST_PAPER:
            raise self._refused(f"its {name} is {member.size} bytes long")
        stream = self._tar.extractfile(member)
        text = stream.read() if stream else b""
        if len(text) != member.size:
            raise tarfile.ReadError("unexpected end of data")
        return text

    def _agreed(self, manifest_text: bytes, record_text: bytes, stage: str) -> tuple[Manifest, Mapping[str, Any]]:
        """Manifest and record, which must agree with each other."""
        try:
            self._same_hash(json.loads(record_text)["key_digest"])
            manifest, record = Manifest.from_json(json.loads(manifest_text)), json.loads(record_text)
            same = manifest.content() == record["content"] and manifest.size == record["bytes"]
            same &= manifest.items_digest() == record["items"]
            same &= not is_broken(record)
            same &= record["key_digest"] == digest.of_json(record["key"]) and record.get("stage", stage) == stage
            plain = all(type(size) is int and size >= 0 and digest.known(h) for size, h in manifest.files.values())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise self._refused("its manifest or its record cannot be read") from None
        if isinstance(record.get("format"), int) and record["format"] > FORMAT:
            raise CacheError(
                f"{self._path} holds a record of a newer version (format {record['format']}); update facepipe"
            )
        if outside := next((name for name in manifest.files if not inside(name)), None):
            raise self._refused(f"its manifest names {outside!r}, a path that leaves the artifact")
        if not plain or not same:
            raise self._refused("its manifest and its record do not agree")
        return manifest, record

    def _same_hash(self, key_digest: str) -> None:
        if not key_digest.startswith(digest.PREFIX):
            raise self._refused(
                f"its digests are of another kind ({key_digest[:3]}… instead of {digest.PREFIX}…); one of the two "
                "machines lacks the package blake3"
            )

    def _unpack(self, out: Path, manifest: Manifest) -> None:
        missing = dict(manifest.files)
        while (member := self._tar.next()) is not None:
            name = member.name.removeprefix(_PAYLOAD)
            if not member.name.startswith(_PAYLOAD) or name not in missing:
                raise self._refused(f"it holds {member.name!r}, which its manifest does not name")
            size, hash_ = missing.pop(name)
            if not _is_plain(member) or member.size != size:
                raise self._refused(f"{name} is no plain file of {size} bytes in it")
            self._unpack_file(member, out / name, hash_)
        if missing:
            raise self._refused(f"{min(missing)} is missing in it: it is cut short")
        self._expect_end()

    def _unpack_file(self, member: tarfile.TarInfo, target: Path, hash_: str) -> None:
        stream = self._tar.extractfile(member)
        if stream is None:
            raise self._refused(f"{member.name} is no plain file")
        target.parent.mkdir(parents=True, exist_ok=True)
        reader = _Hashing(stream, hash_, self._tell)
        with target.open("xb") as out:
            while chunk := reader.read(digest.CHUNK):
                out.write(chunk)
        if target.stat().st_size != member.size:
            raise tarfile.ReadError("unexpected end of data")
        if not reader.matches():
            raise self._refused(f"{member.name.removeprefix(_PAYLOAD)} has other bytes than its manifest says")

    def _expect_end(self) -> None:
        """After the last file there are only zeros, up to a whole record."""
        stream = self._tar.fileobj
        assert stream is not None
        stream.seek(self._tar.offset)
        rest = stream.read(tarfile.RECORDSIZE + 1)
        if len(rest) > tarfile.RECORDSIZE or rest.strip(b"\0"):
            raise self._refused("there is more in it than its manifest says")

    def _newer(self, format_: object) -> CacheError:
        return self._refused(f"a newer version wrote it (format {format_}, this one reads {FORMAT}); update facepipe")

    def _refused(self, why: str) -> CacheError:
        return CacheError(f"{self._path} is not imported: {why}")


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()


def file_for(target: Path, artifact: Artifact) -> Path:
    """Where an export goes: the file that was named, or a file in the folder that was named."""
    if not target.is_dir():
        return target
    return target / f"{artifact.path.parent.name}-{artifact.path.name}{SUFFIX}"
