"""Which frames a head model is fitted to, and the codes that they begin with.

Codes begin as what principal components make of the motion, so that alike frames have alike codes from the start and
zero is the head at rest. Of each subject the frames are taken that lie farthest from each other in these codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from stages.kinds.sequences import Sequences

MOST = 500
"""Frames that the components are made of."""
EVEN = 0.5
"""How far components are brought to one size: 0 leaves them as they are, 1 makes them equal."""


@dataclass(frozen=True)
class Frame:
    """One frame of a sequence. code: (E,) that it begins with."""

    subject: str
    sequence: str
    number: int
    code: NDArray[np.float32]

    def vertices(self, data: Sequences) -> NDArray[np.float32]:
        """(V, 3)"""
        return data.vertices(self.sequence)[self.number]


def choose(data: Sequences, interest: NDArray[np.floating], each: int, size: int, seed: int) -> list[Frame]:
    """`each` frames of every training subject, with codes of `size` numbers none of which is longer than 1."""
    places = [
        (data.entry(name).subject, name, number)
        for name in data.ids("train")
        for number in range(0, data.entry(name).frames, 2)
    ]
    if not places:
        raise DataError(f"{data.path} has no training sequence with motion, and a head model is fitted to those")
    weight = np.sqrt(interest)[:, None]
    rng = np.random.default_rng([seed, 1])
    few = sorted(rng.choice(len(places), min(MOST, len(places)), replace=False))
    basis = _basis(
        np.stack([_moved(data, name, [number], weight)[0] for _, name, number in (places[row] for row in few)]), size
    )
    codes = np.concatenate([_codes(data, name, weight, basis) for name in data.ids("train")])
    deviation = codes.std(axis=0)
    codes /= np.maximum(deviation, 1e-3 * deviation.max()) ** EVEN
    codes /= max(float(np.linalg.norm(codes, axis=1).max()), 1e-9)
    chosen: list[Frame] = []
    for subject in data.train_subjects:
        rows = np.array([row for row, place in enumerate(places) if place[0] == subject], np.int64)
        for row in rows[_spread(codes[rows] / np.maximum(codes.std(axis=0), 1e-9), each)]:
            _, name, number = places[row]
            chosen.append(Frame(subject, name, number, codes[row].astype(np.float32)))
    return chosen


def _basis(moved: NDArray[np.floating], size: int) -> NDArray[np.floating]:
    """(size, 3 V) components of motion about rest, not about its mean; zeros where there are fewer."""
    _, _, rows = np.linalg.svd(moved, full_matrices=False)
    rows = rows[:size]
    return np.concatenate([rows, np.zeros((size - len(rows), rows.shape[1]), rows.dtype)])


def _codes(
    data: Sequences, name: str, weight: NDArray[np.floating], basis: NDArray[np.floating]
) -> NDArray[np.float64]:
    numbers = range(0, data.entry(name).frames, 2)
    found: NDArray[np.float64] = _moved(data, name, numbers, weight) @ basis.T
    return found


def _moved(data: Sequences, name: str, numbers: range | list[int], weight: NDArray[np.floating]) -> NDArray[np.float32]:
    """(N, 3 V) weighted displacements from the subject's template."""
    frames = data.vertices(name)[numbers] - data.template_of(name)
    return (frames * weight).reshape(len(frames), -1).astype(np.float32)


def _spread(codes: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """Rows that lie far from rest and from each other, the farthest first."""
    apart, chosen = np.linalg.norm(codes, axis=1), list[int]()
    for _ in range(min(count, len(codes))):
        row = int(np.argmax(apart))
        chosen.append(row)
        apart = np.minimum(apart, np.linalg.norm(codes - codes[row], axis=1))
    return np.array(chosen, np.int64)
