"""FACEGOOD's animation curves → weights of the kit's shapes.

Whatever is not as it should be is a `DataError` that names the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.arrays import read_npy
from faces.errors import DataError, said
from stages.preprocess.ict_facegood.layout import Gains, Layout

MOVES = 1e-3
"""A curve that never leaves a range of this does not move."""


@dataclass(frozen=True)
class Curves:
    """names: of the columns. values: clip → (T, C) float64. gains: curve → shape → gain."""

    names: Sequence[str]
    values: Mapping[str, NDArray[np.float64]]
    gains: Gains

    def weights(self, clip: str, shapes: Sequence[str]) -> NDArray[np.float32]:
        """(T, S): what the mapping makes of a clip, kept within 0 … 1. shapes: the columns; unmapped ones are 0."""
        table = np.zeros((len(self.names), len(shapes)))
        for curve, targets in self.gains.items():
            for shape, gain in targets.items():
                table[self.names.index(curve), shapes.index(shape)] = gain
        return np.clip(self.values[clip] @ table, 0.0, 1.0).astype(np.float32)

    @property
    def unmapped(self) -> dict[str, float]:
        """Curves that move and have no shape → how far they go."""
        spans = np.max([np.ptp(values, axis=0) for values in self.values.values()], axis=0)
        return {
            name: float(span)
            for name, span in zip(self.names, spans, strict=True)
            if span > MOVES and name not in self.gains
        }

    @property
    def covered(self) -> float:
        """The share of the curves' variance that the mapping takes, over all clips; 1 where nothing moves."""
        variance = np.sum([values.var(axis=0) * len(values) for values in self.values.values()], axis=0)
        mapped = np.array([name in self.gains for name in self.names])
        return float(variance[mapped].sum() / variance.sum()) if variance.any() else 1.0


def read_curves(layout: Layout) -> Curves:
    """Read the curves of all clips that have sound."""
    names = _read_names(layout.names)
    if unknown := sorted(set(layout.gains) - set(names)):
        raise DataError(
            f"{layout.mapping_file} names the curve {said(unknown[0])}, and {layout.names.name} has none of it"
        )
    values = {clip: _read_values(layout.curves[clip], layout.names, len(names)) for clip in layout.clips}
    return Curves(names, values, layout.gains)


def _read_names(file: Path) -> list[str]:
    array = read_npy(file)
    names = [str(name) for name in array.ravel()] if array.dtype.kind == "U" else []
    if not names or len(set(names)) < len(names):
        raise DataError(f"{file} must hold the names of the curves, each once; copy it again")
    return names


def _read_values(file: Path, names: Path, curves: int) -> NDArray[np.float64]:
    array = read_npy(file)
    if array.dtype.kind != "f" or array.ndim != 2 or array.shape[1] != curves:
        raise DataError(f"{file} is {array.dtype} {array.shape}; it must be (frames, {curves}), as {names.name} names")
    if not len(array) or not np.isfinite(array).all():
        raise DataError(f"{file} holds {'NaN or infinity' if len(array) else 'no frame'}; copy it again")
    return array.astype(np.float64)
