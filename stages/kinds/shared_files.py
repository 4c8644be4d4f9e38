"""Files that an artifact holds as another does: links, which cost nothing, or copies where the disk knows none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def share(source: Path, target: Path) -> Path:
    """`source` under another name, below an artifact that is being made. Neither is written to ever after."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
    return target
