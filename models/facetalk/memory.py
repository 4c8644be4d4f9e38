"""What a frozen speech encoder heard, remembered: of a clip it never changes.

Shapes: T frames, W the encoder's width.
"""

from __future__ import annotations

from torch import Tensor

MOST = 2 * 2**30
"""Bytes that are remembered: two hours of speech at 24 frames a second, of an encoder of 768 channels."""


class Remembered:
    """Sentence and number of frames → (T, W), on the CPU. What no longer fits is heard anew each time."""

    def __init__(self, most: int = MOST) -> None:
        self.most, self.used = most, 0
        self._heard: dict[tuple[int, int], Tensor] = {}

    def get(self, sentence: int, frames: int) -> Tensor | None:
        return self._heard.get((sentence, frames))

    def put(self, sentence: int, heard: Tensor) -> None:
        """heard: (T, W)"""
        size = heard.numel() * heard.element_size()
        if self.used + size <= self.most and (sentence, len(heard)) not in self._heard:
            self._heard[sentence, len(heard)] = heard.detach().cpu().clone()
            self.used += size

    def forget(self) -> None:
        """The encoder is another one."""
        self._heard.clear()
        self.used = 0

    def __deepcopy__(self, memo: object) -> Remembered:
        return Remembered(self.most)

    def __reduce__(self) -> tuple[type[Remembered], tuple[int]]:
        """A copy of a network remembers nothing."""
        return Remembered, (self.most,)
