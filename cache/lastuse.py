"""When an artifact was last used: the time stamp of its `record.json`, whose text never changes.

Moved forward at most every half hour, so that a look costs one stat; where the store cannot be written to it stays.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

FRESH_S = 1800
"""How old the stamp may be before a use moves it; `cache.gc` spares what is younger than twice that."""


def touch(record: Path) -> bool:
    """Note that the artifact of a record is used now. False where it is gone, removed in this moment."""
    try:
        if abs(time.time() - os.stat(record).st_mtime) > FRESH_S:
            os.utime(record)
    except FileNotFoundError:
        return False
    except OSError:  # a store that may only be read
        pass
    return True


def of(record: Path) -> float:
    """When the artifact of a record was last found by a plan, or made; 0 where it is gone."""
    try:
        return os.stat(record).st_mtime
    except OSError:
        return 0.0
