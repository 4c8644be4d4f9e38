"""Writing mp4: H.264 and AAC at an exact frame rate, sound and picture starting together, same input same bytes.

Frames carry whole numbers as time stamps in units of 1 / rate, never floats. One encoder thread and FFmpeg's bit-exact
mode keep versions, dates and thread timing out of the file, which appears under its name only when it is complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.stage import replacing
from stages.render.soundtrack import RATE

AAC_FRAME = 1024
AAC_BITS = 128_000
BT709, LIMITED_RANGE = 1, 1
MACROBLOCK, WHOLE_BLOCKS = 16, 8
"""x264's look-ahead goes through a row of macroblocks by eights; of a row that does not divide it reads what was in
memory before, and the bytes differ from run to run. There it goes without."""
NTSC = Fraction(1000, 1001)


def exact_rate(fps: float) -> Fraction:
    """The rate that a float stands for: 30.0 → 30, 29.97 → 30000/1001, 59.94 → 60000/1001, 12.5 → 25/2."""
    if float(fps).is_integer():
        return Fraction(int(fps))
    whole = round(fps / NTSC)
    if abs(float(whole * NTSC) - fps) < 0.004 and whole >= 24:
        return whole * NTSC
    return Fraction(fps).limit_denominator(1001)


class VideoWriter:
    """An open mp4. Made by `open_video`, which also closes it."""

    def __init__(self, container: Any, video: Any, rate: Fraction, sound: NDArray[np.float32] | None) -> None:
        self._container, self._video, self._rate = container, video, rate
        self._sound = sound
        self._audio = None if sound is None else _audio_stream(container)
        self._frames = self._samples = 0

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Append a frame (height, width, 3)."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.pts, frame.time_base = self._frames, 1 / self._rate
        self._container.mux(self._video.encode(frame))
        self._frames += 1
        self._write_sound(until=round(self._frames / self._rate * RATE))

    def finish(self) -> None:
        """Write what the encoders still hold."""
        self._container.mux(self._video.encode(None))
        if self._sound is not None and self._audio is not None:
            self._write_sound(until=len(self._sound) + AAC_FRAME)
            self._container.mux(self._audio.encode(None))

    def _write_sound(self, until: int) -> None:
        """Sound follows the pictures, so that a player finds both in one place of the file."""
        if self._sound is None or self._audio is None:
            return
        while self._samples < len(self._sound) and self._samples + AAC_FRAME <= until:
            part = self._sound[self._samples : self._samples + AAC_FRAME]
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part[None]), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._samples, Fraction(1, RATE)
            self._container.mux(self._audio.encode(frame))
            self._samples += len(part)


@contextmanager
def open_video(
    file: Path, size: tuple[int, int], rate: Fraction, sound: NDArray[np.float32] | None, crf: int, preset: str
) -> Iterator[VideoWriter]:
    """Write a video, and give it its name once all of it is there.

    size: width and height, even. rate: frames per second. sound: (N,) float32 at 48 kHz, or None for no sound track.
    """
    options = {"fflags": "+bitexact", "movflags": "+faststart"}
    with replacing(file) as partial, av.open(str(partial), "w", format="mp4", options=options) as out:
        writer = VideoWriter(out, _video_stream(out, size, rate, crf, preset), rate, sound)
        yield writer
        writer.finish()


def _video_stream(container: Any, size: tuple[int, int], rate: Fraction, crf: int, preset: str) -> Any:
    options = {"crf": str(crf), "preset": preset}
    if -(-size[0] // MACROBLOCK) % WHOLE_BLOCKS:
        options["x264-params"] = "mbtree=0"
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base, context.thread_count = 1 / rate, 1
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = LIMITED_RANGE
    context.flags |= av.codec.context.Flags.bitexact
    return stream


def _audio_stream(container: Any) -> Any:
    stream = container.add_stream("aac", rate=RATE, layout="mono")
    stream.bit_rate = AAC_BITS
    stream.codec_context.time_base = Fraction(1, RATE)
    stream.codec_context.flags |= av.codec.context.Flags.bitexact
    return stream
