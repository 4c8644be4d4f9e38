"""The space in which motion is drawn: what is left of it when neutral face, mean and spread are taken off.

Noise has a variance of 1 in every number, so motion must have it, too: vertices are divided by one deviation of them
all, a track by that of each of its numbers, principal components by that of each. Learnt before the first step and
stored beside the weights. Shapes: T frames, D coordinates, K numbers of a frame in this space: D, or k components.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor, nn

from faces.errors import DataError
from models.folded import precise

Motions: TypeAlias = Callable[[], Iterator[tuple[Tensor, Tensor]]]
"""Called anew for every pass: motion (T, D), absolute, and template (D,) of every training sequence."""

FLOOR = 1e-3
"""Share of the largest deviation below which none counts: numbers that hardly move would be blown up to noise."""
FRAMES, BYTES = 2048, 256 * 2**20
"""Most frames, and bytes of them, that principal components are made of."""
RANK = 1e-5
"""Share of the largest singular value below which a component is rounding and no motion."""
COLUMNS = 4096
"""Coordinates multiplied at once in float64."""


class MotionSpace(nn.Module):
    """width: D. components: k, 0 without. each: whether every number has a deviation of its own."""

    mean: Tensor
    """(D,) of the displacement from the template."""
    deviation: Tensor
    """(K,) or, one of all, (1,); zeros in a space that was never learnt, where all motion is the template."""
    basis: Tensor
    """(k, D), orthonormal rows."""

    def __init__(self, width: int, components: int, *, each: bool) -> None:
        super().__init__()
        self.components = components
        self.width = components or width
        self.each = each or components > 0
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.zeros(self.width if self.each else 1))
        self.register_buffer("basis", torch.zeros(components, width))

    def check(self) -> None:
        """DataError where it was never learnt."""
        if not self.deviation.is_meta and not bool(self.deviation.any()):
            raise DataError(
                "this network has never been shown its training motion, whose mean and spread it needs before it can "
                "learn: call study() first, or give it weights that were trained"
            )

    def inward(self, motion: Tensor, template: Tensor, factor: Tensor | float = 1.0) -> Tensor:
        """Absolute motion (…, T, D), template (…, 1, D) → (…, T, K). factor: of the displacement, (…, 1, 1)."""
        with precise(motion.device):
            moved = factor * (motion - template) - self.mean
            if self.components:
                moved = moved @ self.basis.T
            return moved / self.deviation

    def outward(self, x: Tensor, template: Tensor) -> Tensor:
        """(…, T, K), (D,) → absolute motion (…, T, D)."""
        with precise(x.device):
            moved = x * self.deviation
            if self.components:
                moved = moved @ self.basis
            return moved + (self.mean + template)

    @torch.no_grad()
    def study(self, motions: Motions) -> None:
        """Learn mean, basis and deviation. DataError where the motion has none, or fewer components than asked for."""
        mean, frames = _mean(motions, len(self.mean))
        self.mean.copy_(mean)
        if self.components:
            self.basis.copy_(_principal(_spread_frames(motions, mean, frames), self.components))
        deviation = _deviation(motions, mean, self.basis.cpu().double(), each=self.each)
        largest = float(deviation.max())
        if not largest > 0:
            raise DataError("the training motion never moves: there is nothing to learn")
        self.deviation.copy_(deviation.clamp(min=FLOOR * largest))


def _displacements(motions: Motions) -> Iterator[Tensor]:
    """(T, D) float64 of each sequence."""
    for motion, template in motions():
        yield motion.cpu().double() - template.cpu().double()


def _mean(motions: Motions, width: int) -> tuple[Tensor, int]:
    """(D,) float64, and how many frames there are."""
    total, frames = torch.zeros(width, dtype=torch.float64), 0
    for moved in _displacements(motions):
        total += moved.sum(0)
        frames += len(moved)
    if not frames:
        raise DataError("there is no training motion to learn mean and spread from: give the data a train split")
    if not bool(total.isfinite().all()):
        raise DataError("the training motion holds numbers that are none (NaN or infinity): make the data again")
    return total / frames, frames


def _deviation(motions: Motions, mean: Tensor, basis: Tensor, *, each: bool) -> Tensor:
    """(K,), or of all numbers together (1,). In a second pass: a difference of large sums would lose digits."""
    squares, frames = torch.zeros(1, dtype=torch.float64), 0
    for moved in _displacements(motions):
        rows = moved - mean
        rows = rows @ basis.T if len(basis) else rows
        squares = squares + (rows.square().sum(0) if each else rows.square().mean(1).sum())
        frames += len(rows)
    return (squares / frames).sqrt()


def _spread_frames(motions: Motions, mean: Tensor, frames: int) -> Tensor:
    """Up to FRAMES evenly spread frames of all, (n, D) float32, without the mean."""
    count = min(frames, FRAMES, max(1, BYTES // (4 * len(mean))))
    wanted = torch.arange(count, dtype=torch.float64).add(0.5).mul(frames / count).long()
    kept, first = torch.empty(count, len(mean)), 0
    for moved in _displacements(motions):
        own = (wanted >= first) & (wanted < first + len(moved))
        kept[own] = (moved[wanted[own] - first] - mean).float()
        first += len(moved)
    return kept


def _principal(rows: Tensor, components: int) -> Tensor:
    """(n, D) → the first k right singular vectors (k, D), largest first, by the Gram matrix of the rows.

    n is much smaller than D. A vector's largest entry is positive, so that the same data give the same signs.
    """
    parts = rows.split(COLUMNS, dim=1)
    gram = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for part in parts:
        gram.addmm_(part.double(), part.double().T)
    values, vectors = torch.linalg.eigh(gram)
    singular = values.flip(0).clamp(min=0).sqrt()
    vectors = vectors.flip(1)
    there = int((singular > RANK * singular[0]).sum()) if float(singular[0]) > 0 else 0
    if there < components:
        raise DataError(
            f"pca = {components}, and the training motion has {there} independent components: set pca to that or fewer"
        )
    left = vectors[:, :components] / singular[:components]
    basis = torch.cat([left.T @ part.double() for part in parts], dim=1)
    signs = basis.gather(1, basis.abs().argmax(1, keepdim=True)).sign()
    return basis * signs
