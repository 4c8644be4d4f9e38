"""`record.json`, the file that makes a folder an artifact, and the number of the format it is written in.

A record that is absent, damaged or of an older format counts as absent: the artifact is made again. One of a newer
format, or one that this user may not read, is an error instead: making it again would put somebody's good result aside.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cache import digest
from cache.errors import CacheError, Unreadable
from cache.files import read_json

FORMAT = 1
RECORD = "record.json"
MANIFEST = "manifest.json"
OWN_FILES = (RECORD, MANIFEST)

_FIELDS = {
    "format": int,
    "kind": str,
    "key": dict,
    "key_digest": str,
    "content": dict,
    "bytes": int,
    "provenance": dict,
}


def read_record(folder: Path) -> Mapping[str, Any] | None:
    """The record of a folder, or None where it is absent or not what publishing writes.

    Raises:
        CacheError: it was written by a newer version.
        Unreadable: this user may not read it.
    """
    record = read_json(folder / RECORD)
    if record is None:
        record = _looked_up_again(folder)
    if not isinstance(record, dict) or not all(isinstance(record.get(name), kind) for name, kind in _FIELDS.items()):
        return None
    refuse_newer(record["format"], f"the artifact {folder}")
    return record if record["format"] == FORMAT else None


def seal(record: Mapping[str, Any]) -> str:
    """The digest of all that a record says; what no other digest in it covers can rot, too. Stands in it as `seal`."""
    told = {name: value for name, value in record.items() if name != "seal"}
    return digest.of_json(json.loads(digest.canonical(told)))  # as it is read back: keys are texts there


def is_broken(record: Mapping[str, Any]) -> bool:
    """Whether a record has another seal than its own, or none. One made with another hash than ours cannot be told."""
    comparable = str(record["key_digest"]).startswith(digest.PREFIX)
    return comparable and record.get("seal") != seal(record)


def refuse_newer(number: int, what: str) -> None:
    """CacheError for a format that this program does not know yet."""
    if number > FORMAT:
        raise CacheError(
            f"{what} was made by a newer version of facepipe (format {number}, this one knows {FORMAT}); update "
            "facepipe, or choose another store with --store or PIPE_STORE"
        )


def _looked_up_again(folder: Path) -> Any:
    """A network file system may remember for a while that a file was not there, until its folder is listed."""
    try:
        return json.loads((folder / RECORD).read_bytes()) if RECORD in os.listdir(folder) else None
    except PermissionError as error:
        raise Unreadable(
            f"{error.filename} cannot be read ({error.strerror}); ask its owner for the rights: a store that is shared "
            "wants umask 002"
        ) from error
    except (OSError, ValueError, RecursionError):
        return None
