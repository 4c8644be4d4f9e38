"""Which frames of a clip are worth a picture, and writing them as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.lips import opening
from stages.kinds.sequences import Sequences


def mouth_opening(motion: NDArray[np.float32], data: Sequences) -> NDArray[np.float64]:
    """(T,): a number that grows as the mouth opens, by the best regions that the data have.

    The distance of the lips from each other; else how far the region "lips" reaches along the up axis; else how far the
    vertices are from where they are in the first frame, on average.
    """
    upper, lower, lips = (data.region(name) for name in ("lip_upper", "lip_lower", "lips"))
    if upper is not None and lower is not None:
        return opening(motion, upper, lower)
    if lips is not None:
        return np.ptp(motion[:, lips, data.info.up_axis], axis=1).astype(np.float64)
    return np.array([np.linalg.norm(frame - motion[0], axis=1).mean() for frame in motion], np.float64)


def informative_frames(curve: NDArray[np.floating], count: int) -> list[int]:
    """Up to `count` different frames, in time's order: the widest open, the most closed, then evenly spaced ones."""
    total = len(curve)
    spaced = (np.linspace(0, total - 1, max(count, 1) + 1)[1:]).round().astype(int).tolist()
    wanted = [int(curve.argmax()), int(curve.argmin()), *spaced, *range(total)]
    return sorted(list(dict.fromkeys(wanted))[:count])


def write_png(file: Path, picture: NDArray[np.uint8]) -> Path:
    """Write (height, width, 3)."""
    from PIL import Image

    Image.fromarray(picture).save(file, format="PNG")
    return file
