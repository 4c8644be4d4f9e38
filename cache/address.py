"""Addresses of remotes: `s3://bucket/path`, `gs://…`, `ssh://user@host/path`, `file:///path`, or a plain path.

Checking one contacts nobody. RemoteError says what is wrong with it; passwords in it are never shown.
"""

from __future__ import annotations

import re

from cache.errors import RemoteError

EXTRAS = {"s3": "s3", "gs": "gcs", "ssh": "ssh", "sftp": "ssh", "memory": ""}
"""Protocol → the extra of this package that brings its library. "memory" is for tests."""


def shown(url: str) -> str:
    """An address as it may be printed: without password, without what follows a question mark."""
    return re.sub(r"^(\w+://[^/@:]*):.*@", r"\1:…@", url).partition("?")[0]


def protocol(url: str) -> str:
    """The protocol of an address, "file" for paths."""
    found, slashes, rest = url.partition("://")
    if not slashes:
        return "file"
    if found == "file":
        if not rest.startswith("/"):
            raise RemoteError(f"remote {shown(url)}: a file address has three slashes, as in file:///{rest}")
    elif found not in EXTRAS:
        known = "file, s3, gs, ssh, sftp"
        raise RemoteError(f"remote {shown(url)}: the protocol {found!r} is not known; there are {known}")
    elif not rest.strip("/"):
        raise RemoteError(f"remote {shown(url)}: it names no bucket or host")
    return found
