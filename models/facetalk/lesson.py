"""What is drawn to learn from a batch: where clips are cut, how far they are noised, whose sound is withheld.

All of it comes from a generator on the CPU, torch's own by default, so that a seed repeats it on every device. Shapes:
B clips, C frames of a crop, K numbers of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.facetalk.settings import Settings

LOOKS = 4
"""Steps of the noise at which validation looks at each crop, evenly spread."""
SEED = 2024
"""Of what validation draws."""


@dataclass(frozen=True)
class Draws:
    """Row by row, on the CPU.

    clips: which clip of the batch a row is cut from. starts, lengths: of its crop, in frames. steps: of the noise.
    first: number of the crop's first frame. withheld: bool, whether its sound is. factors: of its motion. noise:
    (B, C, K).
    """

    clips: Tensor
    starts: Tensor
    lengths: Tensor
    steps: Tensor
    first: Tensor
    withheld: Tensor
    factors: Tensor
    noise: Tensor

    def row(self, i: int) -> Draws:
        """Row i alone, of its own length, as if its clip were the only one."""
        one = {name: value[i : i + 1] for name, value in vars(self).items()}
        one |= {"clips": torch.zeros(1, dtype=torch.int64), "noise": one["noise"][:, : int(self.lengths[i])]}
        return Draws(**one)


def draw(frames: Sequence[int], width: int, settings: Settings) -> Draws:
    """To train on: one crop of every clip."""
    count = len(frames)
    lengths = torch.tensor([min(n, settings.crop) for n in frames])
    chances = torch.rand(count, 5)
    return Draws(
        clips=torch.arange(count),
        starts=_below(chances[:, 0], torch.tensor(list(frames)) - lengths + 1),
        lengths=lengths,
        steps=_below(chances[:, 1], settings.diffusion_steps),
        first=_below(chances[:, 2], max(1, settings.late_start)),
        withheld=chances[:, 3] < settings.audio_dropout,
        factors=settings.scale_low + (settings.scale_high - settings.scale_low) * chances[:, 4],
        noise=torch.randn(count, int(lengths.max()), width),
    )


def spread(frames: Sequence[int], width: int, settings: Settings) -> Draws:
    """To validate on: all of every clip in crops, each at LOOKS steps with fixed noise, and once more without sound.

    The same for the same clips whatever was drawn before, and nothing that others draw is moved by it.
    """
    crops = [(i, start) for i, n in enumerate(frames) for start in range(0, n, settings.crop)]
    steps = [int((look + 0.5) * settings.diffusion_steps / LOOKS) for look in range(LOOKS)]
    clips, starts = torch.tensor(crops).repeat_interleave(LOOKS, 0).T
    lengths = (torch.tensor(list(frames))[clips] - starts).clamp(max=settings.crop)
    noise = torch.zeros(len(clips), int(lengths.max()), width)
    for clip in range(len(frames)):
        own = torch.Generator().manual_seed(SEED)  # a clip's noise hangs on no other clip
        for row in (clips == clip).nonzero().flatten().tolist():
            noise[row, : lengths[row]] = torch.randn(int(lengths[row]), width, generator=own)
    count = len(clips)
    return Draws(
        clips=clips.repeat(2),
        starts=starts.repeat(2),
        lengths=lengths.repeat(2),
        steps=torch.tensor(steps).repeat(2 * len(crops)),
        first=starts.clamp(max=max(0, settings.late_start - 1)).repeat(2),
        withheld=torch.arange(2 * count) >= count,
        factors=torch.ones(2 * count),
        noise=noise.repeat(2, 1, 1),
    )


def _below(chance: Tensor, count: Tensor | int) -> Tensor:
    """Uniform numbers in [0, 1) → uniform whole ones below `count`."""
    top = torch.as_tensor(count)
    return torch.minimum((chance * top).long(), top - 1)
