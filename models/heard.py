"""Sound that comes in blocks of any size: what was heard so far, and of it only what will be asked for again.

Standardisation needs the mean and the deviation of a whole clip, which a stream does not have: a window is standardised
by all that was heard up to its own end. These sums depend on the windows that are asked for and not on the blocks that
came, so that any blocks of the same sound give the same numbers. Samples are at 16 kHz, mono, full scale ±1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from faces.errors import DataError
from models.sound import EPS, SAMPLE_RATE, Wave


class Heard:
    """The stream's end. Samples are numbered from its beginning."""

    def __init__(self) -> None:
        self.samples = 0
        self._first = 0  # of those that are kept
        self._parts: list[Wave] = []
        self._counted, self._mean, self._squares = 0, 0.0, 0.0

    @property
    def kept(self) -> int:
        """How many samples are held."""
        return self.samples - self._first

    def add(self, block: Any) -> None:
        """(N,) floats, N from 0 on. DataError for anything else, and for NaN and infinity."""
        samples = np.asarray(block)
        if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
            raise DataError(
                f"a block of sound is {samples.dtype} {samples.shape}: give one channel of floating point numbers at "
                f"{SAMPLE_RATE} Hz"
            )
        if not (finite := np.isfinite(samples)).all():
            at = (self.samples + int(finite.argmin())) / SAMPLE_RATE
            raise DataError(
                f"the sound holds samples that are not numbers (NaN or infinity), the first at {at:.2f} s: record or "
                "export it again"
            )
        if len(samples):
            self._parts.append(samples.astype(np.float32))
            self.samples += len(samples)

    def whole(self) -> Wave:
        """All that is held."""
        self._parts = [np.concatenate(self._parts)] if self._parts else []
        return self._parts[0] if self._parts else np.zeros(0, np.float32)

    def window(self, first: int, last: int) -> Wave:
        """Samples `first` up to `last`, standardised by all samples up to `last`, which must not go back."""
        samples = self.whole()
        self._count(samples[self._counted - self._first : last - self._first].astype(np.float64))
        deviation = np.sqrt(self._squares / self._counted + EPS)
        wanted = samples[first - self._first : last - self._first].astype(np.float64)
        standard: Wave = ((wanted - self._mean) / deviation).astype(np.float32)
        return standard

    def drop(self, before: int) -> None:
        """Forget the samples before this one: no later window will ask for them."""
        before = min(before, self._counted)
        if before > self._first:
            self._parts = [self.whole()[before - self._first :].copy()]
            self._first = before

    def _count(self, fresh: np.ndarray) -> None:
        """Mean and sum of squared deviations, joined without differences of large numbers (Chan, Golub, LeVeque)."""
        if not len(fresh):
            return
        total, apart = self._counted + len(fresh), fresh.mean() - self._mean
        self._squares += np.square(fresh - fresh.mean()).sum() + apart**2 * self._counted * len(fresh) / total
        self._mean += apart * len(fresh) / total
        self._counted = total
