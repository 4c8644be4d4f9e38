"""A video of a mouth. Training asks for it by name, so that no network's key hangs on how videos are made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from models.sight import PICTURES_PER_SECOND
from stages.render.soundtrack import soundtrack
from stages.render.video import exact_rate, open_video

ENLARGED = 4
"""Pixels of the video for each of the expert's."""


def film(grey: Tensor, sound: Path, file: Path) -> None:
    """Writes pictures (T, h, w) in 0 … 1, 25 a second, with their sound."""
    pictures = (255 * grey.cpu().numpy()).round().astype(np.uint8).repeat(ENLARGED, axis=1).repeat(ENLARGED, axis=2)
    rate = exact_rate(PICTURES_PER_SECOND)
    track = soundtrack(sound, len(pictures) / rate)
    size = pictures.shape[2], pictures.shape[1]
    with open_video(file, size, rate, track, crf=18, preset="fast") as video:
        for picture in pictures:
            video.write(np.repeat(picture[..., None], 3, axis=2))
