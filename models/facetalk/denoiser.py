"""FaceTalk's denoiser: a causal transformer that predicts the clean motion from the noisy one, the sound and the step.

Pre-norm layers of self-attention, sound, feed-forward; after each of the three, the step of the noise scales and
shifts what is added (FiLM, Perez et al., AAAI 2018). Shapes: B rows, T frames, K numbers of a frame, d channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.doubles import doubled
from models.facetalk.attention import AudioAttention, CausalAttention, Heard
from models.facetalk.settings import Settings
from models.folded import precise
from models.positions import periodic_encoding

BLOCKS = 3
"""Of a layer, each with a FiLM of its own."""


def sinusoid(steps: Tensor, dim: int) -> Tensor:
    """(B,) → (B, d): sines, then cosines, of rates that fall from 1 to 1/10000. float32."""
    half = dim // 2
    rates = torch.exp(torch.arange(half, device=steps.device) * (-math.log(10000.0) / max(1, half - 1)))
    angle = steps[:, None].float() * rates
    return torch.cat((angle.sin(), angle.cos()), dim=1)


class Film(NamedTuple):
    """What a step of the noise does to a block: (B or 1, 1, d) each."""

    scale: Tensor
    shift: Tensor

    def __call__(self, h: Tensor) -> Tensor:
        return (1 + self.scale) * h + self.shift


class Layer(nn.Module):
    """Self-attention, sound, feed-forward."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        d, wide = settings.feature_dim, settings.feedforward or 2 * settings.feature_dim
        self.norm1, self.norm3 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.motion = CausalAttention(d, settings.heads, settings.dropout, settings.look_back)
        self.audio = AudioAttention(d, settings.heads, settings.dropout, settings.reach)
        self.linear1, self.linear2 = nn.Linear(d, wide), nn.Linear(wide, d)
        self.dropout = nn.Dropout(settings.dropout)
        self.films = nn.Linear(d, BLOCKS * 2 * d)

    def forward(self, x: Tensor, heard: Sequence[Heard], films: Sequence[Film]) -> Tensor:
        """(B, T, d) → (B, T, d). heard: of equal shares of the rows, one after the other."""
        drop = self.dropout
        x = x + films[0](drop(self.motion(self.norm1(x))))
        x = self._hear(x, heard, films[1])
        return x + films[2](drop(self.linear2(drop(F.gelu(self.linear1(self.norm3(x)))))))

    def _hear(self, x: Tensor, heard: Sequence[Heard], film: Film) -> Tensor:
        if len(heard) == 1:
            return x + film(self.dropout(heard[0](x)))
        parts = zip(x.chunk(len(heard)), heard, strict=True)
        return torch.cat([part + film(self.dropout(hear(part))) for part, hear in parts])


class Denoiser(nn.Module):
    """K numbers a frame in and out."""

    def __init__(self, settings: Settings, width: int) -> None:
        super().__init__()
        d = settings.feature_dim
        self.inward = nn.Linear(width, d)
        self.null = nn.Parameter(torch.randn(d))
        self.audio_norm = nn.LayerNorm(d)
        self.time = nn.Sequential(nn.Linear(d, 4 * d), nn.Mish(), nn.Linear(4 * d, d), nn.Mish())
        self.layers: Sequence[Layer] = nn.ModuleList(Layer(settings) for _ in range(settings.layers))  # type: ignore[assignment]
        self.outward = nn.Linear(d, width)
        # An untrained network estimates the mean.
        nn.init.zeros_(self.outward.weight)
        nn.init.zeros_(self.outward.bias)

    def forward(
        self,
        x: Tensor,
        steps: Tensor,
        audio: Tensor,
        *,
        inside: Tensor | None = None,
        withheld: Tensor | None = None,
        first: Tensor | None = None,
    ) -> Tensor:
        """Noisy motion (B, T, K), steps (B,) of its noise and sound (B, T, d) → the clean motion (B, T, K).

        inside: (B, T) bool, False behind a clip's end. withheld: (B,) bool, whose sound is not heard. first: (B,), the
        number of each row's first frame, on the CPU.
        """
        heard = self.listen(self.condition(audio, withheld), inside)
        return self.formed(self.decode(self.placed(self.inward(x), first), heard, self.films(steps)))

    def condition(self, audio: Tensor, withheld: Tensor | None = None) -> Tensor:
        """(B, T, d) → (B, T, d): with the null in place of sound that is withheld, normalised."""
        if withheld is not None:
            audio = torch.where(withheld[:, None, None], self.null.to(audio.dtype), audio)
        normed: Tensor = self.audio_norm(audio)
        return normed

    def listen(self, condition: Tensor, inside: Tensor | None = None) -> list[list[Heard]]:
        """What every layer hears of (B, T, d)."""
        return [[layer.audio.prepare(condition, inside)] for layer in self.layers]

    def listen_to_nothing(self) -> list[list[Heard]]:
        """What every layer hears where sound is withheld: the same in all rows and frames."""
        nothing = self.audio_norm(self.null)
        return [[layer.audio.prepare_alike(nothing)] for layer in self.layers]

    def films(self, steps: Tensor) -> list[list[Film]]:
        """(B,) → for every layer the three of its blocks."""
        time = self.time(sinusoid(steps, self.null.shape[0]))
        tables = (layer.films(time)[:, None].chunk(2 * BLOCKS, dim=-1) for layer in self.layers)
        return [[Film(table[i], table[i + 1]) for i in range(0, len(table), 2)] for table in tables]

    def placed(self, u: Tensor, first: Tensor | None = None) -> Tensor:
        """What `inward` makes of motion (B, T, d), with the positions of its frames."""
        frames, d = u.shape[1:]
        if first is None:
            return u + periodic_encoding(frames, d, frames, u.device)
        rows = first[:, None] + torch.arange(frames)
        last = int(rows.max()) + 1
        return u + periodic_encoding(last, d, last)[rows].to(u.device)

    def decode(self, x: Tensor, heard: Sequence[Sequence[Heard]], films: Sequence[Sequence[Film]]) -> Tensor:
        """Placed motion (B, T, d) → (B, T, d), of which `formed` makes motion."""
        for layer, hears, own in zip(self.layers, heard, films, strict=True):
            x = layer(x, hears, own)
        return x

    def formed(self, hidden: Tensor) -> Tensor:
        """(…, d) → motion (…, K), in the precision of the weights whatever autocast says: steps add it up."""
        with precise(hidden.device):
            formed: Tensor = self.outward(hidden.to(self.outward.weight.dtype))
        return formed

    def returned(self) -> tuple[Tensor, Tensor]:
        """`inward` after `outward`, without the bias of the former: a matrix (d, d) and (d,), in float32.

        Motion is wide, VOCASET's thirty times as wide as the layers: a sampler whose state is what `inward` makes of it
        never forms any before the end.
        """
        weight, outward = doubled(self.inward.weight), self.outward
        matrix = weight @ doubled(outward.weight)
        return matrix.to(outward.weight), (weight @ doubled(outward.bias)).to(outward.weight)
