"""The network: five pictures to features, a fifth of a second of sound to features, in one space.

Shapes: N windows, T pictures, C columns of coefficients, D features. Names of parameters are those of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.syncnet.mfcc import KEPT
from models.syncnet.sizes import Sizes

SIDE = 224
"""Pixels of a picture."""
PICTURES, COLUMNS, COLUMNS_PER_PICTURE = 5, 20, 4
"""Of one window: 0.2 s at 25 pictures and 100 columns a second."""
AT_ONCE = 16
"""Windows that are looked at together: their first layer is 73 MB."""
HEARD_AT_ONCE = 256
Picture = NDArray[np.uint8]


class SyncNet(nn.Module):
    """Two halves that never meet but in a distance. Meant for eval mode."""

    def __init__(self, sizes: Sizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes or Sizes()
        a, b, c, d, e, f = self.sizes.hearing
        self.netcnnaud = nn.Sequential(  # (N, 1, 13, 20) → (N, f, 1, 1)
            *_heard(1, a, 3), nn.MaxPool2d((1, 1), (1, 1)),
            *_heard(a, b, 3), nn.MaxPool2d((3, 3), (1, 2)),
            *_heard(b, c, 3), *_heard(c, d, 3), *_heard(d, e, 3), nn.MaxPool2d((3, 3), (2, 2)),
            *_heard(e, f, (5, 4), 0),
        )  # fmt: skip
        self.netfcaud = _features(f, self.sizes)
        a, b, c, d, e, f = self.sizes.looking
        self.netcnnlip = nn.Sequential(  # (N, 3, 5, 224, 224) → (N, f, 1, 1, 1)
            *_seen(3, a, (5, 7, 7), 2, 0), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_seen(a, b, (1, 5, 5), 2, 1), nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_seen(b, c, (1, 3, 3)), *_seen(c, d, (1, 3, 3)), *_seen(d, e, (1, 3, 3)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_seen(e, f, (1, 6, 6), 1, 0),
        )  # fmt: skip
        self.netfclip = _features(f, self.sizes)

    @torch.no_grad()
    def hear(self, coefficients: NDArray[np.floating], windows: int) -> Tensor:
        """(N, D) of a sentence's first `windows` windows. coefficients: (C, 13) of `mfcc`, four columns a picture."""
        columns = self._given(coefficients).T  # (13, C)
        cut = columns.unfold(1, COLUMNS, COLUMNS_PER_PICTURE)[:, :windows].transpose(0, 1)  # (N, 13, 20)
        parts = [self.of_sound(part[:, None]) for part in cut.split(HEARD_AT_ONCE)]
        return torch.cat(parts)

    @torch.no_grad()
    def look(self, pictures: Iterable[Picture]) -> Tensor:
        """(T - 4, D): window i is of pictures i … i + 4. pictures: (224, 224, 3) bytes, RGB, five at least.

        Only the first convolution sees time, so that windows which overlap share all that follows it; the same as
        window by window, up to rounding. So many are held at once as `AT_ONCE` windows are of.
        """
        parts = []
        for block in _blocks(pictures, AT_ONCE + PICTURES - 1, PICTURES - 1):
            clip = self._given(np.stack(block)[..., ::-1].copy())  # blue first, as the authors' film reader gives it
            parts.append(self.of_pictures(clip.permute(3, 0, 1, 2)[None])[0])
        return torch.cat(parts)

    def of_sound(self, windows: Tensor) -> Tensor:
        """(N, D) of (N, 1, 13, 20)."""
        seen: Tensor = self.netfcaud(self.netcnnaud(windows).flatten(1))
        return seen

    def of_pictures(self, clips: Tensor) -> Tensor:
        """(B, T - 4, D) of (B, 3, T, 224, 224), blue first, 0 … 255."""
        found = self.netcnnlip(clips)[..., 0, 0].transpose(1, 2)  # (B, T - 4, f)
        features: Tensor = self.netfclip(found.flatten(0, 1)).unflatten(0, found.shape[:2])
        return features

    def _given(self, values: NDArray[np.generic]) -> Tensor:
        weight = next(self.parameters())
        given = torch.from_numpy(values)
        # Pictures go there as bytes, numbers in the weights' precision, beyond which a device may know none.
        return (given.to(weight.dtype) if given.is_floating_point() else given).to(weight.device).to(weight.dtype)


def _heard(before: int, after: int, kernel: int | tuple[int, int], padding: int = 1) -> tuple[nn.Module, ...]:
    return nn.Conv2d(before, after, kernel, padding=padding), nn.BatchNorm2d(after), nn.ReLU()


def _seen(
    before: int, after: int, kernel: tuple[int, int, int], stride: int = 1, padding: int = 1
) -> tuple[nn.Module, ...]:
    convolution = nn.Conv3d(before, after, kernel, (1, stride, stride), (0, padding, padding))
    return convolution, nn.BatchNorm3d(after), nn.ReLU()


def _features(before: int, sizes: Sizes) -> nn.Sequential:
    hidden = sizes.hidden
    return nn.Sequential(
        nn.Linear(before, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, sizes.features)
    )


def _blocks(pictures: Iterable[Picture], most: int, shared: int) -> Iterator[Sequence[Picture]]:
    """Cut into blocks of at most so many, of which the last `shared` begin the next one."""
    stream = iter(pictures)
    block = list(islice(stream, most))
    while len(block) > shared:
        yield block
        block = [*block[-shared:], *islice(stream, most - shared)]


assert KEPT == 13, "the kernels are cut for as many"
