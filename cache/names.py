"""Names of files inside an artifact that came from elsewhere: which of them may be used as paths."""

from __future__ import annotations

_OWN = ("manifest.json", "record.json")


def inside(name: str) -> bool:
    """Whether a relative name stays below its folder on every system, and is not one of the store's own files."""
    if not name or name in _OWN or any(letter in name for letter in "\\\0:") or len(name) > 4096:
        return False
    return all(part not in ("", ".", "..") for part in name.split("/"))
