"""CodeTalker's autoregression for a clip whose end nobody knows yet: memory comes in parts, motion goes out.

Codes are chosen as `CodeTalker.decode_own` chooses them with a bounded context. What is shown cannot be the decode of
the whole clip: of each part, the prior's decoder runs once more on the latest `context` frames, and of that the part
and the one before it are blended with what was decoded last time. So every frame sees those of one part after it, and
comes that much later. Shapes: n frames, d decoder channels, h channels of the prior.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from torch import Tensor

from faces.errors import DataError
from models.blending import Blender
from models.codetalker_vq.prefix import PrefixDecoding
from models.decoder import Decoding
from models.folded import precise
from models.positions import periodic_encoding

if TYPE_CHECKING:
    from models.codetalker.face import CodeTalker


class Voice:
    """One clip in one style (K,)."""

    def __init__(self, network: CodeTalker, style: Tensor) -> None:
        if not network.context:
            raise DataError(
                "codetalker looks back on all of its motion for every frame, which no stream can wait for: set a "
                "context of frames, or wait for the end of the sound (ahead = None)"
            )
        self._network = network
        self._style = self._token = network.style(style[None])
        period = network.settings.period
        self._positions = periodic_encoding(period, self._style.shape[1], period, style.device)
        self._prefix = PrefixDecoding(network.autoencoder, 1, 0, network.context)
        self._spoken = 0

    def speak(self, memories: Iterable[Tensor]) -> Iterator[Tensor]:
        """(1, n·per_frame, d) of the frames that follow, part by part → (1, n, h) at the prior's last layer."""
        remaining = iter(memories)
        first = next(remaining, None)
        if first is None:
            return
        hop = first.shape[1] // self._network.per_frame
        if hop > self._network.context:
            raise DataError(
                f"context = {self._network.context} frames, and {hop} are spoken at a time: give a context as long as "
                "the hop or longer"
            )
        decoding, blender = self._network.transformer_decoder.begin(first), Blender(hop)
        for memory in chain([first], remaining):
            latest = self._after(decoding, memory, hop)
            blender.add(self._spoken - latest.shape[1], latest)
            if (final := self._spoken - hop) > blender.first:  # where the next window begins, or earlier
                yield blender.take(final)
        yield blender.take(blender.last)

    def _after(self, decoding: Decoding, memory: Tensor, earlier: int) -> Tensor:
        """Speak the n frames of a memory, then decode these and some that went before: (1, n + earlier, h)."""
        if self._spoken:
            decoding.extend(memory)
        with precise(memory.device):
            for _ in range(frames := memory.shape[1] // self._network.per_frame):
                self._say(decoding)
            return self._prefix.latest(frames + earlier)

    def _say(self, decoding: Decoding) -> None:
        """One frame."""
        position = self._positions[self._spoken % len(self._positions)]
        features = self._network.feat_map(decoding.step((self._token + position)[:, None]))
        quantised, _ = self._network.autoencoder.quantise(features)
        self._token = self._network.next_token(self._prefix.step(quantised[:, 0]), self._style)
        self._spoken += 1
