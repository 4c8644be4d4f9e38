"""What every speech encoder here expects of sound, and how a clip is standardised before it is heard.

Light to import: NumPy alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
WINDOW = 400
"""Samples that the seven convolutions of wav2vec 2.0, HuBERT and WavLM need for their first step (25 ms)."""
HOP = 320
"""Samples from one step to the next (20 ms, hence 50 Hz)."""
EPS = 1e-7
"""Added to the variance; 1e-5 up to version 4.6 of `transformers`, which FaceFormer pins."""

Wave = NDArray[np.float32]


def standardise(wave: Wave, eps: float = EPS) -> Wave:
    """(x - mean) / sqrt(var + eps) over the whole clip, population variance.

    What the wav2vec 2.0 feature extractor of `transformers` does (Baevski et al. 2020, section 4.1). The sums are taken
    in float64: near-silent clips depend on them.
    """
    x = wave.astype(np.float64)
    standard: Wave = ((x - x.mean()) / np.sqrt(x.var() + eps)).astype(np.float32)
    return standard
