"""How every stage writes JSON: readable, in UTF-8, without NaN, the same bytes for the same value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_json(file: Path, value: Any) -> Path:
    """Write a value and return its file. ValueError for NaN and infinity, which JSON does not know."""
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return file
