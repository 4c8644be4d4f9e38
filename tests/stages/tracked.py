"""The tiny data with a track: a few numbers a frame, mixed out of the vertices."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from stages.kinds.sequences import Sequences
from stages.kinds.tracks import Track, write_index, write_rows

TRACK, SIZE = "codes", 5


def add_track(folder: Path, *, without: Collection[str] = (), framewise: bool = True) -> Path:
    """Writes the track into an artifact of the kind `sequences`, but for some of its sequences."""
    data = Sequences(folder)
    mix = np.random.default_rng(0).standard_normal((3 * data.info.vertices, SIZE))
    names = [name for name in data.ids() if name not in without]
    for name in names:
        moved = data.vertices(name) - data.template_of(name)
        write_rows(folder, TRACK, name, moved.reshape(len(moved), -1) @ mix)
    write_index(folder, {TRACK: Track("mixed vertices", framewise)}, names)
    return folder
