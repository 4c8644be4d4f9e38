"""Other people's files, for tests that need real ones: the folder that FACEPIPE_ASSETS names. Skipped without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ASSETS = os.environ.get("FACEPIPE_ASSETS", "")

needs_assets = pytest.mark.skipif(not ASSETS, reason="FACEPIPE_ASSETS names no folder of real files")


def asset(name: str) -> Path:
    """A file or folder of the assets, which must be there if any are."""
    path = Path(ASSETS) / name
    assert path.exists(), f"FACEPIPE_ASSETS is set, and {path} is missing"
    return path
