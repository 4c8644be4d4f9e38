"""Mel-frequency cepstral coefficients as SyncNet was trained on: 13 of them, 100 columns a second.

Samples count as 16-bit numbers. Pre-emphasis 0.97; windows of 25 ms every 10 ms without a taper, the last one filled up
with zeros; 512-point power spectrum divided by 512; 26 triangles, equally wide in mel, between 0 and 8000 Hz, whose
corners are cut to whole bins; logarithm; orthonormal DCT-II; lifter of 22; and for the first coefficient the logarithm
of the window's whole energy. Other tools' MFCC differ in every one of these. Arithmetic is float64.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
RATE = 16_000
WINDOW, HOP, POINTS = 400, 160, 512
BANDS, KEPT, LIFTER = 26, 13, 22
EMPHASIS = 0.97
FULL_SCALE = 32_768
LEAST = float(np.finfo(np.float64).eps)
"""What stands for an energy of nothing, whose logarithm there is not."""
AT_ONCE = 4096
"""Windows whose spectra are held at the same time."""


def mfcc(wave: NDArray[np.floating]) -> Array:
    """(N,) samples of full scale ±1 at 16 kHz → (C, 13), C = 1 + ⌈(N - 400) / 160⌉, 1 at least."""
    framed = windows(emphasised(as_16_bit(wave)))
    return np.concatenate([_coefficients(framed[at : at + AT_ONCE]) for at in range(0, len(framed), AT_ONCE)])


def as_16_bit(wave: NDArray[np.floating]) -> Array:
    """The numbers that a 16-bit file holds, as floats."""
    scaled = np.round(np.asarray(wave, np.float64) * FULL_SCALE)
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1)


def emphasised(samples: Array) -> Array:
    """Each sample less 0.97 of the one before."""
    changed = samples.copy()
    changed[1:] -= EMPHASIS * samples[:-1]
    return changed


def windows(samples: Array) -> Array:
    """(N,) → (C, 400)."""
    count = 1 + max(0, -(-(len(samples) - WINDOW) // HOP))
    filled = np.zeros((count - 1) * HOP + WINDOW)
    filled[: len(samples)] = samples
    return np.lib.stride_tricks.sliding_window_view(filled, WINDOW)[::HOP]


@cache
def triangles() -> Array:
    """(257, 26): share of each bin in each band, 1 in its middle."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    corners = np.floor((POINTS + 1) * hertz / RATE)
    bins = np.arange(POINTS // 2 + 1)[:, None]
    low, middle, high = corners[:-2], corners[1:-1], corners[2:]
    # The two sides of a triangle may be of no width: bins are cut to whole ones.
    rising = (bins - low) / np.maximum(middle - low, 1)
    falling = (high - bins) / np.maximum(high - middle, 1)
    shares: Array = np.where(bins < middle, rising * (bins >= low), falling * (bins < high))
    return shares


@cache
def cosines() -> Array:
    """(26, 13): the orthonormal DCT-II, each coefficient times its lifter."""
    band, order = np.arange(BANDS)[:, None], np.arange(KEPT)
    basis = np.cos(np.pi * order * (2 * band + 1) / (2 * BANDS)) * np.sqrt(2 / BANDS)
    basis[:, 0] /= np.sqrt(2)
    lifted: Array = basis * (1 + LIFTER / 2 * np.sin(np.pi * order / LIFTER))
    return lifted


def _coefficients(framed: Array) -> Array:
    power = np.abs(np.fft.rfft(framed, POINTS, axis=1)) ** 2 / POINTS
    found = _log(power @ triangles()) @ cosines()
    found[:, 0] = _log(power.sum(axis=1))
    return found


def _log(energy: Array) -> Array:
    return np.log(np.where(energy == 0, LEAST, energy))
