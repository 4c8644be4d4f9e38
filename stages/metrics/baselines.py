"""The mean motion of the training set: the best face that never listens."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from faces.metrics_kernels import add_frames
from faces.metrics_stream import flat
from stages.kinds.sequences import Sequences

Array = NDArray[np.float64]


def training_mean(data: Sequences, threads: int = 1) -> Array | None:
    """(V, 3): mean over all frames of the train split of vertices minus their subject's template; None without one."""
    names = data.ids("train")

    def summed(name: str) -> Array:
        motion = data.vertices(name)
        total = np.zeros(3 * data.info.vertices)
        add_frames(flat(motion), total)
        return total.reshape(-1, 3) - len(motion) * data.template_of(name).astype(np.float64)

    total, frames = np.zeros((data.info.vertices, 3)), 0
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for name, part in zip(names, pool.map(summed, names), strict=True):
            total += part
            frames += data.entry(name).frames
    return total / frames if frames else None
