"""Decoding of ever longer prefixes, as CodeTalker's autoregression asks for: after every new frame the decoder runs on
all frames so far, and only the last frame's output is used.

Exact to rounding, with what need not be done again left out. Outputs of the convolution are final two frames behind
the end; the last layer asks for the last frame alone, so that its keys and values are never formed. The other layers
do run on the whole prefix: every new frame changes the norm of all frames, and attention looks both ways.

Shapes: B clips, T frames, P frames that the transformer sees, h channels, H heads, e = h/H, Q·Z channels of a frame's
tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from models.codetalker_vq import columns
from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.codetalker_vq.blocks import EPS, REACH, Attention, Residual
from models.folded import precise


class PrefixDecoding:
    """One run over a batch of clips, for eval mode and without gradients.

    batch, frames: B and the most steps that there will be, 0 where a context is given and nobody knows. context: 0 is
    exact; n > 1 lets the transformer see the last n frames of the prefix alone, an approximation that makes a run
    linear in its length, and as long as one likes: no other frames are held. The norm's mean and variance are those of
    the whole prefix all the same.
    """

    def __init__(self, autoencoder: MotionAutoencoder, batch: int, frames: int, context: int = 0) -> None:
        if context == 1 or context < 0:
            raise ValueError(f"context = {context}: two frames or more, or 0 for all")
        self.decoder = autoencoder.decoder
        self.context = context or frames
        self._next = 0
        self._first = 0  # of the frames that are held
        convolution = self.decoder.expander[0]
        self._slope = convolution.negative_slope
        # One product per step: the weights of the five frames side by side.
        weight, self._bias = (parameter.detach() for parameter in convolution[0].parameters())
        self._kernel = weight.permute(0, 2, 1).flatten(1)  # (h, 5·h)
        bounded = 2 * (context + 2 * REACH)
        room = min(bounded, frames or bounded) if context else frames
        self._given = weight.new_empty(batch, room, len(weight))
        self._convolved = torch.empty_like(self._given)
        self._past = _Past(self._given.new_zeros(2, batch, 1, len(weight)))
        *self._whole, attention, feedforward = self.decoder.decoder_transformer.net
        self._last = _LastFrame(attention, feedforward)
        self._seen = self._given[:, :0]

    @torch.no_grad()
    def step(self, tokens: Tensor) -> Tensor:
        """Quantised tokens of the next frame (B, Q·Z) → what a decode of frames 0…i has in its last frame at the
        input of `vertice_map_reverse`, (B, h).

        A first frame stands twice, as published, since instance norm refuses a single one; it then gives zeros, so that
        this output is the same for any tokens.
        """
        i, self._next = self._next, self._next + 1
        with precise(tokens.device):
            self._make_room(i)
            self._given[:, i - self._first] = self.decoder.enter(tokens)
            self._convolve(i)
            self._seen = self.decoder.entrance(self.decoder.decoder_linear_embedding(self._normalised(i)))
            return self._last(self._transformed(self._seen))

    @torch.no_grad()
    def latest(self, frames: int) -> Tensor:
        """What a decode of the frames so far has in the last ones, as many as were seen if that is fewer: (B, n, h)."""
        with precise(self._seen.device):
            decoded: Tensor = self.decoder.decoder_transformer(self._seen)
        return decoded[:, -frames:]

    def keep(self, items: Sequence[int] | Tensor) -> None:
        """Go on with these items of the batch alone, in this order."""
        index = torch.as_tensor(items, device=self._given.device)
        self._given, self._convolved, self._seen = self._given[index], self._convolved[index], self._seen[index]
        self._past.keep(index)

    def _transformed(self, x: Tensor) -> Tensor:
        """All layers but the last: (B, P, h) → (B, P, h)."""
        if columns.quicker(x):
            return columns.through(self._whole, x)
        for part in self._whole:
            x = part(x)
        return x

    def _make_room(self, i: int) -> None:
        """Forget what no later frame needs, where frame i would find no room."""
        if i - self._first < self._given.shape[1]:
            return
        kept = self.context + 2 * REACH
        for held in (self._given, self._convolved):
            held[:, :kept] = held[:, -kept:].clone()
        self._first = i - kept

    def _convolve(self, i: int) -> None:
        """Bring the last three outputs, which frame i reaches, up to date."""
        around = torch.arange(i - 2 * REACH, i + REACH + 1, device=self._given.device).clamp(0, i)
        window = self._given[:, around - self._first]  # (B, 7, h): frames i - 4 … i, the edges replicated
        width = 2 * REACH + 1
        taps = torch.stack([window[:, j : j + width].flatten(1) for j in range(REACH + 1)], dim=1)
        convolved = F.leaky_relu(F.linear(taps, self._kernel, self._bias), self._slope)
        first = max(0, i - REACH)
        self._convolved[:, first - self._first : i + 1 - self._first] = convolved[:, first - (i - REACH) :]

    def _normalised(self, i: int) -> Tensor:
        """The convolution's output after instance norm over frames 0…i: (B, P, h)."""
        first = max(0, i + 1 - self.context)
        if first:  # two frames or more behind the end, hence final
            self._past.add(self._convolved[:, first - 1 - self._first : first - self._first])
        seen = self._convolved[:, first - self._first : i + 1 - self._first]
        mean = seen.mean(1, keepdim=True)
        centred = seen - mean
        shift, variance = self._past.join(seen.shape[1], mean, centred.square().sum(1, keepdim=True))
        return (centred - shift if first else centred) * (variance + EPS).rsqrt()


class _Past:
    """Mean and sum of squared deviations of the frames that a bounded context has left behind.

    Updated and joined without differences of large numbers (Welford 1962; Chan, Golub and LeVeque 1979).
    """

    def __init__(self, zeros: Tensor) -> None:
        """zeros: (2, B, 1, h)"""
        self.count = 0
        self.mean, self.squares = zeros

    def add(self, frame: Tensor) -> None:
        """(B, 1, h)"""
        self.count += 1
        before = frame - self.mean
        self.mean = self.mean + before / self.count
        self.squares = self.squares + before * (frame - self.mean)

    def join(self, count: int, mean: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
        """Of `count` later frames their mean and sum → how far the mean of all lies from theirs, variance of all."""
        total = self.count + count
        apart = self.mean - mean
        shift = apart * (self.count / total)
        return shift, (self.squares + squares + apart * shift * count) / total

    def keep(self, index: Tensor) -> None:
        self.mean, self.squares = self.mean[index], self.squares[index]


class _LastFrame:
    """The last layer of the transformer for the last frame alone.

    With one query, q·(W_k·u) is better read as (q·W_k)·u, and Σ a·(W_v·u) as W_v·(Σ a·u): keys and values of the prefix
    are never formed.
    """

    def __init__(self, attention: Residual, feedforward: Residual) -> None:
        part = attention.fn["fn"]
        assert isinstance(part, Attention)
        self.norm, self.out, self.heads, self.feedforward = attention.fn["norm"], part.to_out, part.heads, feedforward
        weight = part.to_qkv.weight.detach()
        dim = weight.shape[1]
        self.query = weight[:dim] * part.scale
        self.keys, self.values = weight[dim:].view(2, part.heads, -1, dim)  # (H, e, h) each

    def __call__(self, x: Tensor) -> Tensor:
        """(B, P, h) → (B, h)"""
        u, batch = self.norm(x), len(x)
        query = F.linear(u[:, -1], self.query).view(batch, self.heads, -1).transpose(0, 1)  # (H, B, e)
        asked = torch.bmm(query, self.keys).transpose(0, 1)  # (B, H, h)
        shares = torch.bmm(asked, u.transpose(1, 2)).softmax(-1)  # (B, H, P)
        seen = torch.bmm(shares, u).transpose(0, 1)  # (H, B, h)
        values = torch.bmm(seen, self.values.transpose(1, 2))  # (H, B, e)
        out: Tensor = self.feedforward(x[:, -1] + self.out(values.transpose(0, 1).flatten(1)))
        return out
