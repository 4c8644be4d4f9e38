"""Small real .flv files, as BIWI has them: a picture that nobody looks at, and sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_flv(file: Path, samples: np.ndarray, rate: int, codec: str = "pcm_s16le", pictures: int = 5) -> Path:
    """samples: (channels, N) int16. codec: "pcm_s16le" keeps them, "mp3" nearly. pictures: 0 leaves no video track."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(file), "w", format="flv") as container:
        video = container.add_stream("flv", rate=25) if pictures else None
        layout = "mono" if len(samples) == 1 else "stereo"
        audio = container.add_stream(codec, rate=rate, layout=layout) if samples.size else None
        if video is not None:
            video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
            for number in range(pictures):
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * number % 255, np.uint8), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        if audio is not None:
            _encode(container, audio, samples, rate, layout)
    return file


def _encode(
    container: av.container.OutputContainer, audio: av.AudioStream, samples: np.ndarray, rate: int, layout: str
) -> None:
    resampler = av.AudioResampler(format=audio.format.name, layout=layout, rate=rate)
    block = 1152  # what MP3 takes at a time
    for start in range(0, samples.shape[1], block):
        piece = np.ascontiguousarray(samples[:, start : start + block].T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(piece, format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        for converted in resampler.resample(frame):
            container.mux(audio.encode(converted))
    container.mux(audio.encode(None))
