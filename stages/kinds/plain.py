"""How every stage writes JSON: readable, in UTF-8, without NaN, the same bytes for the same value; and what is said of
files of an artifact that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faces.errors import DataError


def write_json(file: Path, value: Any) -> Path:
    """Write a value and return its file. ValueError for NaN and infinity, which JSON does not know."""
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return file


@contextmanager
def remade_by(stage: str, file: Path) -> Iterator[None]:
    """Turn a `DataError` about a file that a stage wrote into one that names the stage: nobody has it to copy again."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{file} cannot be read ({error}); make it again with {stage}") from error
