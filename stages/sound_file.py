"""Opening sound files: libsndfile behind a check of what a file is and how much it claims to hold.

libsndfile is C and reads two dozen formats, most of which no data set uses; it sees wav, flac, ogg, aiff and mp3 only,
and memory for samples is asked for only where a file of that size can hold them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile

from faces.lfs import LFS_POINTER, refuse_pointer

BEGINNINGS = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b"FORM", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
SMALL, MOST_RATIO = 16 << 20, 200
"""Samples that any file may have, and how many more for each of its bytes: flac and opus come to a hundred."""
RATES = (1000, 768_000)
"""Hz. Others are damage, and a rate of 1 Hz would have a minute resampled to a day."""
NOT_SOUND = (soundfile.LibsndfileError, RuntimeError, OSError)
"""What opening and reading raises for files that are no sound."""


@contextmanager
def open_sound(file: Path) -> Iterator[soundfile.SoundFile]:
    """A sound file, checked. One of NOT_SOUND where it is none, whose text says why; DataError for an LFS pointer."""
    with open(file, "rb") as stream:
        head = stream.read(len(LFS_POINTER))
    refuse_pointer(file, head)
    if not head.startswith(BEGINNINGS):
        raise RuntimeError("it does not begin as wav, flac, ogg, aiff or mp3 does")
    with soundfile.SoundFile(file) as sound:
        size, samples = Path(file).stat().st_size, sound.frames * sound.channels
        if not 0 <= samples <= SMALL + MOST_RATIO * size:
            raise RuntimeError(f"it claims {samples:,} samples in {size:,} bytes")
        if not RATES[0] <= sound.samplerate <= RATES[1]:
            raise RuntimeError(f"it claims {sound.samplerate:,} samples a second")
        yield sound
