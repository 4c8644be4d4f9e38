"""From noise to motion: samplers, guidance and windows for several clips at once.

The state of the walk is not the noisy motion but what the denoiser's first layer makes of it. Every step is a weighted
sum of motions and that layer is linear, so that both walk alike, to rounding; and what it makes of an estimate is one
matrix (d, d) times the last layer's input. Motion, up to a hundred times as wide, is formed once, at the end. Where a
frame hears its own step of sound alone, what a layer hears is computed once for all steps.

Shapes: N frames of a motion, R rows (windows of motions) of W frames, K numbers of a frame, d channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.diffusion.schedule import Schedule
from models.diffusion.steps import guided, walk_of
from models.diffusion.walk import walk
from models.facetalk.denoiser import Denoiser, Film
from models.facetalk.windows import Windows
from models.folded import precise
from models.padding import Padding
from models.sampling import Sampling

NOISE_ROWS = 64
"""Frames whose noise is drawn at once. A motion's noise hangs on this number: it is part of what a seed means."""


class Said(NamedTuple):
    """What a motion is drawn for: the sound as the denoiser is told of it (N, d), the seed, and the window's length."""

    condition: Tensor
    seed: int
    window: int


@torch.no_grad()
def drawn(denoiser: Denoiser, said: Sequence[Said], schedule: Schedule, sampling: Sampling) -> list[Tensor]:
    """Of each the denoiser's last hidden layer (N, d), of which `formed` makes motion."""
    rows = _Rows(denoiser, said, sampling.guidance)
    steps = walk_of(schedule, sampling)
    films = denoiser.films(torch.tensor([step.at for step in steps], device=denoiser.null.device))
    matrix, constant = denoiser.returned()

    def hidden(u: Tensor, i: int) -> Tensor:
        own = [[Film(film.scale[i : i + 1], film.shift[i : i + 1]) for film in layer] for layer in films]
        return rows.decode(u, own).to(matrix.dtype)

    def estimate(u: Tensor, i: int) -> Tensor:
        with precise(u.device):
            return F.linear(hidden(u, i), matrix, constant)

    # The last step returns the estimate itself.
    end = walk(rows.noise(), steps[:-1], estimate, rows.noise, rows.tie)
    return rows.motions(hidden(end, len(steps) - 1))


class _Rows:
    """All windows of all motions as one batch, and once more without sound where there is guidance."""

    def __init__(self, denoiser: Denoiser, said: Sequence[Said], guidance: float) -> None:
        self.denoiser, self.guidance = denoiser, guidance
        self.generators = [torch.Generator().manual_seed(one.seed) for one in said]
        self.windows = [Windows(len(one.condition), one.window) for one in said]
        self.width = max(windows.window for windows in self.windows)
        self.counts = [windows.count for windows in self.windows]
        self.ties = self._ties()
        # The state has no bias in it: it would be scaled by every step.
        self.positions = denoiser.placed(denoiser.inward.bias.expand(1, self.width, -1))
        conditions = self._cut([one.condition for one in said])
        lengths = [length for windows in self.windows for length in windows.lengths]
        padding = Padding.of(lengths, self.width, conditions.device)
        self.heard = denoiser.listen(conditions, None if padding is None else padding.inside)
        if guidance != 1:
            pairs = zip(self.heard, denoiser.listen_to_nothing(), strict=True)
            self.heard = [[*sound, *nothing] for sound, nothing in pairs]

    def _ties(self) -> list[tuple[slice, slice, Windows]]:
        """Of every motion of several windows: the rows but its first, the rows but its last, and how they lie."""
        found, first = [], 0
        for windows in self.windows:
            last = first + windows.count
            if windows.count > 1:
                found.append((slice(first + 1, last), slice(first, last - 1), windows))
            first = last
        return found

    def _cut(self, clips: Sequence[Tensor]) -> Tensor:
        """(N, d) each → (R, W, d)"""
        pairs = zip(self.windows, clips, strict=True)
        parts = [F.pad(own.cut(clip), (0, 0, 0, self.width - own.window)) for own, clip in pairs]
        return torch.cat(parts)

    def noise(self) -> Tensor:
        """(R, W, d): a frame that two windows share has the same in both."""
        pairs = zip(self.windows, self.generators, strict=True)
        return self._cut([self._noise_of(windows.frames, generator) for windows, generator in pairs])

    def _noise_of(self, frames: int, generator: torch.Generator) -> Tensor:
        weight = self.denoiser.inward.weight
        with precise(weight.device):
            return torch.cat(
                [
                    F.linear(
                        torch.randn(min(NOISE_ROWS, frames - i), weight.shape[1], generator=generator).to(weight),
                        weight,
                    )
                    for i in range(0, frames, NOISE_ROWS)
                ]
            )

    def decode(self, u: Tensor, films: Sequence[Sequence[Film]]) -> Tensor:
        """(R, W, d) → (R, W, d), guided."""
        x = u + self.positions
        if self.guidance == 1:
            return self.denoiser.decode(x, self.heard, films)
        with_sound, without = self.denoiser.decode(torch.cat((x, x)), self.heard, films).chunk(2)
        return guided(with_sound, without, self.guidance)

    def tie(self, u: Tensor) -> Tensor:
        """The second part of every window takes the place of the first of the next, as EDGE has it."""
        for later, earlier, windows in self.ties:
            u[later, : windows.overlap] = u[earlier, windows.window - windows.overlap : windows.window].clone()
        return u

    def motions(self, rows: Tensor) -> list[Tensor]:
        """(R, W, d) → (N, d) each."""
        parts = zip(self.windows, rows.split(self.counts), strict=True)
        return [windows.join(own[:, : windows.window]) for windows, own in parts]
