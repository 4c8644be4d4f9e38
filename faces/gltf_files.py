"""Which files a `.gltf` may read: those in its own folder or below it. Light, since planning asks too."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote


def beside(folder: Path, uri: str) -> Path | None:
    """The file that a relative URI names; None where it is, or leads by a link, anywhere but below `folder`."""
    plain = unquote(uri)
    if not plain or ":" in plain or "\\" in plain or "\0" in plain or plain.startswith("/") or ".." in plain.split("/"):
        return None
    path = folder / plain
    return path if path.resolve().is_relative_to(folder.resolve()) else None
