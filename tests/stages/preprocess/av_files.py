"""Sound as AAC in .m4a, as MEAD hands it out, encoded by the library that reads it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_m4a(file: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    """samples: (N,) int16 or (2, N)."""
    planes = np.atleast_2d(samples).astype(np.float32) / 32768
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono" if len(planes) == 1 else "stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(planes), "fltp", stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file
