"""The clips that a style is fitted to, as padded batches of like length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from faces.errors import DataError
from models.talking_face import Clips, Styled
from stages.kinds.features import Features
from stages.kinds.sequences import Sequences
from stages.train.clips import flat, padded, telling_name

LEAST_S = 1.0
"""Of motion in all: of less nobody could tell how somebody speaks."""


def batches(
    network: Styled, data: Sequences, features: Features, names: Sequence[str], at_once: int
) -> list[list[str]]:
    """Ids, those of like length together. DataError where a clip, or all of them together, are too short."""
    frames = {name: network.frames_to_learn(data.entry(name).frames, features.length(name)) for name in names}
    least = getattr(network, "least", 1)
    if short := [name for name, count in frames.items() if count < least]:
        raise DataError(
            f"{short[0]} has {frames[short[0]]} frames that its speech covers, and this network learns from {least} or "
            "more: leave it out"
        )
    if (seconds := sum(frames.values()) / data.fps) < LEAST_S:
        raise DataError(
            f"{seconds:.2g} s of motion ({', '.join(names)}) are too short to tell a style: give {LEAST_S:g} s or more"
        )
    ordered = sorted(names, key=lambda name: (features.length(name), name))
    return [ordered[start : start + at_once] for start in range(0, len(ordered), at_once)]


def read(data: Sequences, features: Features, names: Sequence[str], subjects: int) -> Clips:
    """A padded batch in no style yet, zeros (B, K). DataError, which names the clip, where one cannot be used."""
    heard = [_finite(name, "features", features[name].astype(np.float32)) for name in names]
    moved = [_finite(name, "vertices", _vertices(data, name)) for name in names]
    templates = [data.template_of(name).astype(np.float32).reshape(-1) for name in names]
    return Clips(
        features=padded(heard),
        feature_lengths=torch.tensor([len(item) for item in heard]),
        template=torch.from_numpy(np.stack(templates)),
        style=torch.zeros(len(names), subjects),
        vertices=padded(moved),
        frames=torch.tensor([len(item) for item in moved]),
    )


def _vertices(data: Sequences, name: str) -> np.ndarray:
    with telling_name(name):
        return flat(data.vertices(name))


def _finite(name: str, what: str, values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise DataError(f"{name} has {what} that are not numbers (NaN or infinity): leave it out, or export it again")
    return values
