"""The line above the panels: their names, and the colours of the error with their scale; texts below them.

Drawn with Pillow's own font, so that it looks the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from faces.heatmap import HeatScale

Colour = tuple[int, int, int]
ELLIPSIS = "…"


def strip_height(size: int) -> int:
    """Pixels of the line above panels of `size`, even."""
    return max(size // 28 * 2, 12)


def caption_strip(
    titles: Sequence[str], scales: Sequence[HeatScale | None], size: int, background: Colour
) -> NDArray[np.uint8]:
    """(strip_height, size · panels, 3). The title of a panel with a scale is followed by its colour bar."""
    height = strip_height(size)
    image = Image.new("RGB", (size * len(titles), height), background)
    pen = _Pen(image, background)
    for number, (title, scale) in enumerate(zip(titles, scales, strict=True)):
        left = number * size
        if scale is not None:
            _legend(pen, left, title, scale, size)
        else:
            pen.centred(left + size // 2, title, size * 9 // 10)
    return np.asarray(image).copy()


def text_strip(texts: Sequence[str], size: int, background: Colour) -> NDArray[np.uint8]:
    """(2 · strip_height, size · panels, 3): a text below each panel, in two lines, cut where it has more."""
    pen = _Pen(Image.new("RGB", (size, strip_height(size))), background)
    broken = [pen.in_two(text, size * 9 // 10) for text in texts]
    none = [None] * len(texts)
    return np.concatenate([caption_strip(line, none, size, background) for line in zip(*broken, strict=True)])


class _Pen:
    """Text in a line's middle, dark on a light background and light on a dark one."""

    def __init__(self, image: Image.Image, background: Colour) -> None:
        self.image = image
        self._draw = ImageDraw.Draw(image)
        self._font = ImageFont.load_default(size=image.height * 0.56)
        bright = 0.3 * background[0] + 0.59 * background[1] + 0.11 * background[2] > 127
        self._ink = (40, 40, 40) if bright else (225, 225, 225)

    def width(self, text: str) -> int:
        return round(self._draw.textlength(text, font=self._font))

    def write(self, left: int, text: str) -> int:
        """Write from `left` on; returns where the text ends."""
        self._draw.text((left, self.image.height // 2), text, fill=self._ink, font=self._font, anchor="lm")
        return left + self.width(text)

    def in_two(self, text: str, room: int) -> tuple[str, str]:
        """The words that fit into `room` pixels, and the rest."""
        words = text.split()
        count = next((n for n in range(1, len(words) + 1) if self.width(" ".join(words[:n])) > room), len(words) + 1)
        return " ".join(words[: count - 1]), " ".join(words[count - 1 :])

    def centred(self, middle: int, text: str, room: int) -> None:
        """Write around `middle`, cut to `room` pixels."""
        if self.width(text) > room:
            while text and self.width(text + ELLIPSIS) > room:
                text = text[:-1]
            text += ELLIPSIS
        self.write(middle - self.width(text) // 2, text)


def _legend(pen: _Pen, left: int, title: str, scale: HeatScale, size: int) -> None:
    """Title, 0, colour bar and the bar's end, centred in a panel."""
    height, gap, bar = pen.image.height, pen.image.height // 3, size * 3 // 10
    words = [f"{title}  0", scale.end]
    start = left + max(0, size - sum(map(pen.width, words)) - bar - 2 * gap) // 2
    at = pen.write(start, words[0]) + gap
    pen.image.paste(Image.fromarray(scale.bar(bar, height // 2)), (at, height // 4))
    pen.write(at + bar + gap, words[1])
