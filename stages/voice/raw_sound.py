"""Sound as it comes in on a pipe: blocks of 16 kHz mono, of samples without a header or of a wav.

Nothing waits for more than there is: a block is what has arrived.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

from faces.errors import DataError

RATE = 16_000
MOST_BYTES = 1 << 12
"""At a time, an eighth of a second at 16 kHz: a frame waits for no more sound than it needs."""
FULL_SCALE = 32768.0
MOST_HEADER = 1 << 20
OTHERS = {b"OggS": "ogg", b"fLaC": "flac", b"ID3": "mp3", b"RF64": "RF64", b"RIFX": "RIFX", b"FORM": "aiff"}
"""How what is often sent by mistake begins. As samples it would be noise."""
PCM, EXTENSIBLE = 1, 0xFFFE
UNKNOWN = 0x7FFF0000
"""Sizes from here on mean that the writer did not know."""

Block = NDArray[np.float32]


class Form(NamedTuple):
    """What a wav says of its samples, which are of 16 bits. bytes: of all of them; no end where nobody knew it."""

    rate: int
    channels: int
    bytes: float = math.inf


def blocks(stream: BinaryIO, name: str = "standard input") -> Iterator[Block]:
    """(N,) float32 at 16 kHz within ±1, N as it comes. DataError for a wav of other samples than 16-bit ones, or for
    nothing at all.

    stream: 16-bit little-endian mono at 16 kHz, or a wav of 16-bit samples at any rate.
    """
    beginning = _exactly(stream, 4)
    if what := next((what for magic, what in OTHERS.items() if beginning.startswith(magic)), ""):
        raise DataError(f"{name} is {what}, not samples: decode it, `ffmpeg -i FILE -f s16le -ac 1 -ar 16000 - | …`")
    form, rest = (_wav_form(stream, name), b"") if beginning == b"RIFF" else (Form(RATE, 1), beginning)
    change = None if form.rate == RATE else soxr.ResampleStream(form.rate, RATE, 1, dtype="float32")
    heard = 0
    for samples in _samples(stream, form, rest):
        heard += len(samples)
        block = samples if change is None else change.resample_chunk(samples)
        if len(block):
            yield block
    if change is not None and len(last := change.resample_chunk(np.zeros(0, np.float32), last=True)):
        yield last
    if not heard:
        raise DataError(f"{name} ended before a sample came: send 16-bit mono at 16 kHz, or a wav")


def _samples(stream: BinaryIO, form: Form, rest: bytes) -> Iterator[Block]:
    """(N,) float32 at the stream's own rate, channels averaged."""
    frame, left = 2 * form.channels, form.bytes
    while True:
        whole = len(rest) - len(rest) % frame
        if whole:
            found = np.frombuffer(rest[:whole], "<i2").reshape(-1, form.channels)
            yield (found.mean(axis=1, dtype=np.float32) / FULL_SCALE).astype(np.float32)
        left -= len(came := _some(stream, left))
        if not came:
            return
        rest = rest[whole:] + came


def _some(stream: BinaryIO, left: float) -> bytes:
    """What has arrived, at least one byte and at most those that are left; none at the end."""
    read = getattr(stream, "read1", stream.read)
    came: bytes = read(int(min(MOST_BYTES, left)))
    return came


def _exactly(stream: BinaryIO, count: int) -> bytes:
    found = b""
    while len(found) < count and (more := stream.read(count - len(found))):
        found += more
    return found


def _wav_form(stream: BinaryIO, name: str) -> Form:
    """Read a wav's header up to its samples. Who writes to a pipe knows no number of them and says 0, or very many."""
    _, kind = struct.unpack("<4s4s", _exactly(stream, 8).ljust(8, b"\0"))
    form = None
    while kind == b"WAVE":
        label, size = struct.unpack("<4sI", _exactly(stream, 8).ljust(8, b"\0"))
        if label == b"data" and form is not None:
            return form._replace(bytes=size if 0 < size < UNKNOWN else math.inf)
        if label in (b"data", b"\0\0\0\0") or size > MOST_HEADER:
            break
        content = _exactly(stream, size + size % 2)
        form = _form(content, name) if label == b"fmt " else form
    raise DataError(f"{name} begins as a wav and goes on as none: send a whole wav, or 16-bit mono at 16 kHz")


def _form(content: bytes, name: str) -> Form:
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16].ljust(16, b"\0"))
    if code not in (PCM, EXTENSIBLE) or bits != 16 or not 1 <= channels <= 8 or not 1000 <= rate <= 768_000:
        raise DataError(f"{name} is a wav of {bits}-bit samples (code {code}), {rate} Hz: send one of 16-bit samples")
    return Form(rate, channels)
