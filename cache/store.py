"""The artifact store: immutable folders found by key, published all at once.

Layout below the root:

    store.json                  the format of the store
    <stage>/<label>--<key8>/    payload, manifest.json, record.json
    work/<stage>-<key16>/       out/ (the payload in the making), state/ (resumable scratch), journal.jsonl;
                                `…~<nonce>` while somebody works in it
    work/<stage>-<key16>.lease/ who that is
    quarantine/                 damaged or replaced artifacts, moved aside, never served
    trash/ pins/ inuse/         see `cache.gc` and `cache.marks`
    runs/                      records of runs, kept by the engine

`record.json` is written last, and the folder takes its name by one rename: a folder without a readable record does
not exist. Looking an artifact up checks the presence and size of all its files; a damaged one counts as absent and
is moved to the quarantine when its successor is published. No index and no database: names carry the key. Whatever else
lies in the store is passed over. A store of a newer format is not touched.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache import digest, lastuse, publish
from cache.errors import CacheError, LeaseTaken, Unreadable
from cache.files import read_json, write_json
from cache.manifest import Made, Manifest
from cache.publish import SEPARATOR
from cache.record import FORMAT, read_record, refuse_newer
from cache.record import MANIFEST as MANIFEST
from cache.record import RECORD as RECORD
from cache.work import Work, attempts, enter, fill, leave

if TYPE_CHECKING:
    from cache.lease import Wait

STORE = "store.json"
OWN_FOLDERS = ("work", "quarantine", "trash", "pins", "inuse", "runs")
_WORK = re.compile(r"(?P<stage>.+)-(?P<digits>[0-9a-f]{16})(~.*)?")


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
        return self.path.name.rpartition(SEPARATOR)[0]

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


class Store:
    """The artifacts below one folder, which several users may share."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._checked = self._swept = False
        self._known: dict[str, tuple[tuple[int, int, int], Artifact]] = {}

    def __reduce__(self) -> tuple[type[Store], tuple[Path]]:
        """Another process looks for itself."""
        return Store, (self.root,)

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
        self._check()
        for folder in [self.root / stage] if stage else self.stage_folders():
            for name in sorted(os.listdir(folder)) if folder.is_dir() else []:
                with contextlib.suppress(Unreadable):
                    if SEPARATOR in name and (artifact := self._listed(f"{folder}/{name}")) is not None:
                        yield artifact

    def _listed(self, path: str) -> Artifact | None:
        """As `at`, but a record is read once: a plan lists a stage for every step that must run."""
        try:
            found = os.stat(f"{path}/{RECORD}")
        except OSError:
            return self.at(Path(path))
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        known = self._known.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        artifact = self.at(Path(path))
        if artifact is not None:
            self._known[path] = (stamp, artifact)
        return artifact

    def by_name(self, name: str) -> Artifact | None:
        """The artifact with a name such as "features/vocaset-w2v2base-conv--3fa91c07"."""
        self._check()
        path = self.root / name
        return self.at(path) if SEPARATOR in path.name else None

    @staticmethod
    def at(folder: Path) -> Artifact | None:
        """The artifact in a folder, or None where it has no record that `publish` could have written."""
        record = read_record(folder)
        return Artifact(folder, record) if record is not None else None

    def work(self, stage: str, key: Mapping[str, Any]) -> Work:
        """The work folder of a key as it is now, for looking at; `making` gives it to work in."""
        plain = Work(self.root / "work" / f"{stage}-{digest.short(digest.of_json(key), 16)}", stage, key)
        return replace(plain, path=next(iter(attempts(plain)), plain.path))

    def begin(self, work: Work) -> None:
        """Make the work folder ready; what an earlier attempt left there stays."""
        with self._writing():
            self._sign()
            fill(work)

    @contextlib.contextmanager
    def making(self, stage: str, key: Mapping[str, Any], makes: str = "", wait: Wait | None = None) -> Iterator[Work]:
        """Hold the lease of a key and the folder to make it in, with what earlier attempts left there.

        makes, wait: see `cache.lease.lease`. Look for the artifact again inside: who was waited for has made it.

        Raises:
            LeaseTaken: somebody else makes it, and `wait` was not given.
            LeaseLost: this process was taken for dead meanwhile; begin again, and find what the other made.
        """
        from cache.lease import lease  # not needed to see that nothing has to be made

        plain = self.work(stage, key)
        with contextlib.ExitStack() as stack:
            with self._writing():
                self._sign()
                held = stack.enter_context(lease(plain.lease, makes, wait))
                work = enter(plain, held)
            try:
                yield work
            except Exception as error:
                if work.lost():
                    raise publish.lost(work) from error
                raise
            finally:
                leave(work, keep=work.path.exists() and self.find(stage, key) is None)
        self.sweep()

    def publish(
        self,
        work: Work,
        label: str,
        kind: str,
        items: Mapping[str, Made],
        provenance: Mapping[str, Any],
        *,
        replace: bool = False,
        warn: Callable[[str], None] = lambda text: None,
    ) -> Artifact:
        """Turn a filled work folder into an artifact, all at once.

        Where a sound artifact of the key is there already, it is kept and returned, and ours is dropped, with a warning
        if their contents differ; with `replace` ours takes its place. CacheError when the disk does not take it.
        """
        try:
            record = publish.seal(work, kind, items, provenance)
            artifact = self._kept(work, record, warn) if not replace else None
            artifact = artifact or self._placed(work, label, record)
        except OSError as error:
            if work.lost():
                raise publish.lost(work) from error
            remedy = "free some space" if error.errno in publish.FULL else "see to that"
            raise CacheError(
                f"{publish.trouble(self.root, error)}; nothing was published, the work is kept in {work.at_rest}: "
                f"{remedy} and run again"
            ) from error
        shutil.rmtree(work.path, ignore_errors=True)
        return artifact

    def adopt(self, work: Work, label: str) -> Artifact:
        """Publish a folder that brings its own manifest and record, both checked, from another store."""
        record = read_record(work.out)
        if record is None or record["key_digest"] != digest.of_json(work.key):
            raise CacheError(f"{work.out} holds no record of its key")
        publish.settle(work, Manifest.from_json(read_json(work.out / MANIFEST)))
        artifact = self._placed(work, label, record)
        shutil.rmtree(work.path, ignore_errors=True)
        return artifact

    def set_aside(self, artifact: Artifact) -> Path:
        """Move an artifact to the quarantine; returns its place there."""
        return publish.set_aside(self.root, artifact.path)

    def sweep(self) -> None:
        """Remove what dead processes left: their leases, and the work folders of keys that are published. Done once."""
        from cache.lease import lease, sweep_leases

        if self._swept:
            return
        self._swept = True
        folder = self.root / "work"
        sweep_leases(folder)
        for path in self.root.glob(f".{STORE}.*.tmp"):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                left = _WORK.fullmatch(name)
                if left and self._is_published(left["stage"], left["digits"]):
                    with contextlib.suppress(LeaseTaken), lease(folder / f"{left['stage']}-{left['digits']}.lease"):
                        shutil.rmtree(folder / name, ignore_errors=True)

    def _kept(self, work: Work, record: Mapping[str, Any], warn: Callable[[str], None]) -> Artifact | None:
        """The sound artifact that is there already, or None."""
        theirs = self.find(work.stage, work.key)
        if theirs is not None and theirs.content != record["content"]:
            warn(f"another process made {theirs.name} with other contents; that one is kept")
        return theirs

    def _placed(self, work: Work, label: str, record: Mapping[str, Any]) -> Artifact:
        if work.lost():
            raise publish.lost(work)
        old = self._named(work.stage, record["key_digest"])
        if old is not None:
            self.set_aside(old)
        return Artifact(publish.place(self.root, work, label), record)

    def _is_published(self, stage: str, digits: str) -> bool:
        for path in (self.root / stage).glob(f"*{SEPARATOR}{digits[:8]}*"):
            record = read_record(path)
            if record is not None and record["key_digest"].partition(":")[2].startswith(digits):
                return not self.damage(Artifact(path, record))
        return False

    def _named(self, stage: str, key_digest: str) -> Artifact | None:
        self._check()
        try:
            names = os.listdir(self.root / stage)
        except OSError:
            return None
        whole = key_digest.partition(":")[2]
        for name in names:
            suffix = name.rpartition(SEPARATOR)[2]
            if SEPARATOR in name and len(suffix) >= 8 and whole.startswith(suffix):
                record = read_record(self.root / stage / name)
                if record is not None and record["key_digest"] == key_digest:
                    return Artifact(self.root / stage / name, record)
        return None

    def stage_folders(self) -> list[Path]:
        """The folders that hold artifacts, one for a stage."""
        self._check()
        if not self.root.is_dir():
            return []
        return [path for path in sorted(self.root.iterdir()) if path.is_dir() and path.name not in OWN_FOLDERS]

    def _format(self) -> int:
        """The format that the store says it has, 0 where it does not say."""
        stored = read_json(self.root / STORE)
        number = stored.get("format") if isinstance(stored, dict) else None
        return number if isinstance(number, int) else 0

    def _check(self) -> None:
        """CacheError where the store is of a newer format than this program knows."""
        if not self._checked:
            refuse_newer(self._format(), f"the store {self.root}")
            self._checked = True

    def _sign(self) -> None:
        """Write down the format of the store, once."""
        self._check()
        if self._format() < FORMAT:
            with contextlib.suppress(FileNotFoundError):  # swept by another process, which has signed it
                write_json(self.root / STORE, {"format": FORMAT}, sync=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = "free some space, or " if error.errno in publish.FULL else ""
            raise CacheError(
                f"{publish.trouble(self.root, error)}; {remedy}choose another folder with --store or PIPE_STORE"
            ) from error
