"""Autoregression for a clip whose end nobody knows yet: memory comes in parts, motion goes out.

The same numbers as `AutoregressiveFace.decode_own` on all memory at once, to rounding. Shapes: n frames, d decoder
channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from models.decoder import BiasedDecoder, Decoding
from models.positions import periodic_encoding


class Voice:
    """One clip in one style. A token is fold·h + constant and its position, where h is what came before; the first one
    is `beginning`. fold: (d, d). constant, beginning: (1, d)."""

    def __init__(self, decoder: BiasedDecoder, fold: Tensor, constant: Tensor, beginning: Tensor) -> None:
        self._decoder, self._fold, self._constant = decoder, fold, constant
        self._token = beginning[:, None]
        self._positions = periodic_encoding(decoder.period, len(fold), decoder.period, fold.device)
        self._decoding: Decoding | None = None
        self._spoken = 0

    def speak(self, memories: Iterable[Tensor]) -> Iterator[Tensor]:
        """(1, n·per_frame, d) of the frames that follow, part by part → their decoder output (1, n, d)."""
        for memory in memories:
            yield self._say(memory)

    def _say(self, memory: Tensor) -> Tensor:
        if self._decoding is None:
            self._decoding = self._decoder.begin(memory)
        else:
            self._decoding.extend(memory)
        outputs = []
        for _ in range(memory.shape[1] // self._decoder.per_frame):
            position = self._positions[self._spoken % self._decoder.period]
            outputs.append(self._decoding.step(self._token + position))
            self._token = F.linear(outputs[-1], self._fold, self._constant)
            self._spoken += 1
        return torch.cat(outputs, dim=1)
