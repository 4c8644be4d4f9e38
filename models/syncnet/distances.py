"""From features to the two numbers (Wav2Lip, ACM MM 2020): how far lips and sound are apart where they fit best,
LSE-D, and how much better they fit there than elsewhere, LSE-C."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

REACH = 15
"""Pictures by which sound is looked for before and behind."""


@dataclass(frozen=True)
class Synchrony:
    """distance: LSE-D, the least of `means`. confidence: LSE-C, their median minus that. offset: of the least, in
    pictures: what is heard so much later fits what is seen; the published tool prints its negative. means: of the
    distances at the offsets -15 … 15."""

    distance: float
    confidence: float
    offset: int
    means: tuple[float, ...]


def distances(seen: Tensor, heard: Tensor) -> Tensor:
    """(N, 31): of the features of window i of the pictures from those of window i + k of the sound, k = -15 … 15.

    Both (N, D). Beyond the ends the sound's features are zeros. Euclidean; the published 1e-6 is added to each
    difference.
    """
    padded = functional.pad(heard, (0, 0, REACH, REACH))
    count = len(seen)
    apart = [functional.pairwise_distance(seen, padded[at : at + count], eps=1e-6) for at in range(2 * REACH + 1)]
    return torch.stack(apart, dim=1)


def synchrony(seen: Tensor, heard: Tensor) -> Synchrony:
    """Of one sentence, from features of its windows, both (N, D). Of equally good offsets the earliest is taken."""
    means = distances(seen, heard).cpu().double().mean(dim=0)
    best = int(means.argmin())
    least = means[best].item()
    return Synchrony(least, means.median().item() - least, best - REACH, tuple(means.tolist()))
