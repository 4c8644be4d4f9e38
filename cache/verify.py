"""Whether artifacts are still what was published: presence, sizes, modes, records, and the bytes themselves.

Looking changes nothing. Repairing deletes nothing that was published: a damaged artifact moves to the quarantine, so
that the next run makes it again, a file that does not belong to an artifact moves there too, and a mode is set right
where it is. An artifact that is replaced or tidied away while it is looked at is not damage.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from cache import digest
from cache.errors import CacheError, Unreadable
from cache.files import read_json
from cache.manifest import Manifest
from cache.names import inside
from cache.record import is_broken
from cache.store import MANIFEST, RECORD, Artifact, Store

_OWN = (RECORD, MANIFEST)
_NAME = re.compile(r"--[0-9a-f]{8,}$")


class Kind(StrEnum):
    """What a finding means: whether the artifact can be served, and what mends it."""

    DAMAGE = "damage"  # never to be served again
    STRAY = "stray"  # a file that nobody published
    SCRAP = "scrap"  # left of an unfinished write
    MODE = "mode"  # could be edited by mistake
    DENIED = "denied"  # may not be read by this user
    UNKNOWN = "unknown"  # cannot be judged here


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. file: its name inside the artifact, "" for the artifact itself."""

    kind: Kind
    file: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file} {self.problem}" if self.file else self.problem


@dataclass(frozen=True)
class Sample:
    """A share of all files, the same ones every time: those whose name's digest lies from `low` to `high` of 0 … 1."""

    low: float = 0.0
    high: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Sample:
        """ "1%": one file in a hundred; "3/30": the third thirtieth, so that thirty such looks see all. ValueError."""
        part, slash, parts = text.partition("/")
        if slash:
            number, count = int(part), int(parts)
            low, high = (number - 1) / count, number / count
        else:
            low, high = 0.0, float(text.removesuffix("%")) / 100
        if not 0 <= low < high <= 1:
            raise ValueError(text)
        return cls(low, high)

    def takes(self, name: str) -> bool:
        if (self.low, self.high) == (0.0, 1.0):
            return True
        return self.low <= int(digest.short(digest.of_bytes(name.encode()), 12), 16) / 16**12 < self.high


ALL = Sample()


@dataclass
class Report:
    """What was found about one artifact. checked: how many files and bytes were read."""

    artifact: Artifact
    findings: list[Finding] = field(default_factory=list)
    checked: tuple[int, int] = (0, 0)

    @property
    def damaged(self) -> bool:
        return any(finding.kind is Kind.DAMAGE for finding in self.findings)

    @property
    def made_by(self) -> str:
        """Recipe and step, as far as the record tells."""
        made = self.artifact.record.get("provenance", {})
        return f"{made['recipe']}/{made['step']}" if made.get("recipe") and made.get("step") else ""


def folders(store: Store) -> Iterator[Path]:
    """All folders with an artifact's name, also those whose record cannot be read. CacheError: of a newer store."""
    for stage in store.stage_folders():
        yield from (path for path in sorted(stage.glob("*--*")) if _NAME.search(path.name) and path.is_dir())


def verify(folder: Path, sample: Sample = ALL, tell: digest.Tell | None = None) -> Report | None:
    """Look at one artifact. None where it is gone, tidied away by another process say.

    tell: called with the number of bytes whenever some have been read.
    """
    for _ in range(2):
        before = _identity(folder)
        report = _look(folder, sample, tell)
        if not report.findings or _identity(folder) == before:
            break  # else it was replaced meanwhile: what was found may be half of the one, half of the other
    return report if folder.is_dir() else None


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(folder / RECORD)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _look(folder: Path, sample: Sample, tell: digest.Tell | None) -> Report:
    record = read_json(folder / RECORD)
    report = Report(Artifact(folder, record if isinstance(record, dict) else {}))
    manifest, report.findings = _papers(folder, record)
    if manifest is None:
        return report
    try:
        present = {name: os.lstat(path) for name, path in _scan(folder)}
    except OSError as error:
        report.findings.append(_unreadable(error, os.path.relpath(error.filename or folder, folder)))
        return report
    report.findings += _presence(manifest.files, present)
    bad = {finding.file for finding in report.findings}
    name = f"{folder.parent.name}/{folder.name}"
    chosen = [file for file in manifest.files if file not in bad and sample.takes(f"{name}/{file}")]
    report.findings += _contents(folder, {file: manifest.files[file][1] for file in chosen}, tell)
    report.findings += [
        Finding(Kind.MODE, file, "is writable") for file in manifest.files if file in present and _open(present[file])
    ]
    report.checked = (len(chosen), sum(manifest.files[file][0] for file in chosen))
    return report


def _papers(folder: Path, record: Any) -> tuple[Manifest | None, list[Finding]]:
    """The manifest of a folder, and what is wrong with it and with the record."""
    found: list[Finding] = []
    try:
        if Store.at(folder) is None:
            found.append(_paper(folder / RECORD))
    except Unreadable:
        found.append(_paper(folder / RECORD))
    except CacheError:
        return None, [Finding(Kind.UNKNOWN, RECORD, "cannot be checked here: a newer version of facepipe made it")]
    try:
        manifest = Manifest.from_json(read_json(folder / MANIFEST))
        content = manifest.content()
    except (TypeError, KeyError, ValueError, AttributeError):
        return None, [*found, _paper(folder / MANIFEST)]
    if outside := next((name for name in manifest.files if not inside(name)), None):
        return None, [*found, Finding(Kind.DAMAGE, MANIFEST, f"names {outside!r}, which is no file of an artifact")]
    if found:
        return manifest, found
    comparable = all(str(hash_).startswith(digest.PREFIX) for hash_ in record["content"].values())
    same = record["content"] == content and record.get("items") == manifest.items_digest()
    if (comparable and not same) or record["bytes"] != manifest.size:
        found.append(Finding(Kind.DAMAGE, "", f"{RECORD} and {MANIFEST} tell of different contents"))
    whole = str(record["key_digest"])
    if whole.startswith(digest.PREFIX) and digest.of_json(record["key"]) != whole:
        found.append(Finding(Kind.DAMAGE, RECORD, "holds another key than it was published for"))
    if not whole.partition(":")[2].startswith(folder.name.rpartition("--")[2]):
        found.append(Finding(Kind.DAMAGE, "", f"the folder has the name of another key than its {RECORD}"))
    if not found and is_broken(record):
        found.append(Finding(Kind.DAMAGE, RECORD, "is no longer what was written"))
    return manifest, found


def _paper(path: Path) -> Finding:
    """Why a record or a manifest cannot be used: no permission is not damage."""
    try:
        path.read_bytes()
    except OSError as error:
        return _unreadable(error, path.name)
    return Finding(Kind.DAMAGE, path.name, "is no longer what was written")


def _scan(folder: Path, prefix: str = "") -> Iterator[tuple[str, str]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.is_dir(follow_symlinks=False):
                yield from _scan(Path(entry.path), f"{prefix}{entry.name}/")
            elif prefix or entry.name not in _OWN:
                yield prefix + entry.name, entry.path


def _presence(files: Mapping[str, tuple[int, str]], present: Mapping[str, os.stat_result]) -> Iterator[Finding]:
    for name, (size, _) in files.items():
        if name not in present:
            yield Finding(Kind.DAMAGE, name, "is missing")
        elif not stat.S_ISREG(present[name].st_mode):
            yield Finding(Kind.DAMAGE, name, "is no plain file any more")
        elif present[name].st_size != size:
            yield Finding(Kind.DAMAGE, name, f"has {present[name].st_size} bytes instead of {size}")
    for name in present:
        if name not in files:
            scrap = name.endswith(".tmp")
            yield Finding(
                Kind.SCRAP if scrap else Kind.STRAY, name, "was left behind" if scrap else "does not belong here"
            )


def _contents(folder: Path, files: Mapping[str, str], tell: digest.Tell | None) -> Iterator[Finding]:
    for prefix in sorted({hash_[:3] for hash_ in files.values()}):
        names = {folder / name: name for name, hash_ in files.items() if hash_.startswith(prefix)}
        if not digest.known(prefix):
            problem = f"cannot be checked here: its digest {prefix}… needs another version, or the package blake3"
            yield Finding(Kind.UNKNOWN, min(names.values()), problem)
            continue
        for path, found in digest.of_files(names, tell, prefix):
            if isinstance(found, OSError):
                yield _unreadable(found, names[path])
            elif found != files[names[path]]:
                yield Finding(Kind.DAMAGE, names[path], "has other bytes than were published")


def _unreadable(error: OSError, name: str) -> Finding:
    if isinstance(error, PermissionError):
        return Finding(Kind.DENIED, name, "may not be read by you; ask its owner")
    if isinstance(error, FileNotFoundError):
        return Finding(Kind.DAMAGE, name, "is missing")
    return Finding(Kind.DAMAGE, name, f"cannot be read ({error.strerror}); the disk may be failing")


def _open(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and bool(found.st_mode & 0o222)


def repair(store: Store, report: Report) -> list[str]:
    """Mend what was found; returns what was done, a line each. OSError where the store does not allow it."""
    if report.damaged:
        place = store.set_aside(report.artifact)
        return [f"moved to {place.relative_to(store.root)}"]
    done = []
    strays = [finding.file for finding in report.findings if finding.kind is Kind.STRAY]
    if strays:
        done.append(_move_strays(store, report.artifact, strays))
    for finding in report.findings:
        path = report.artifact.path / finding.file
        if finding.kind is Kind.MODE:
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
            done.append(f"{finding.file}: made read-only")
        elif finding.kind is Kind.SCRAP:
            path.unlink(missing_ok=True)
            done.append(f"{finding.file}: removed")
        elif finding.kind is Kind.DENIED:
            with contextlib.suppress(OSError):
                path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o400)
                done.append(f"{finding.file}: made readable for you")
    return done


def _move_strays(store: Store, artifact: Artifact, names: Sequence[str]) -> str:
    """Take files that do not belong to an artifact out of it."""
    stem, number = f"{artifact.path.parent.name}-{artifact.path.name}.stray", 1
    while True:
        place = store.root / "quarantine" / f"{stem}.{number}"
        try:
            place.mkdir(parents=True)
            break
        except FileExistsError:
            number += 1
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        os.rename(artifact.path / name, place / name)
    return f"{len(names)} {'file' if len(names) == 1 else 'files'} moved to {place.relative_to(store.root)}"
