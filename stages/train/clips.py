"""Batches of clips, read when they are wanted: vertices from memory maps, features from HDF5, styles by name.

What a network does not take is not there: a motion prior's batches hold no speech, and only a network that is built
upon a prior gets codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faces.errors import DataError
from models.talking_face import Clips, DataFacts
from stages.kinds.codes import Codes
from stages.kinds.features import Features
from stages.kinds.sequences import Sequences


class Take(NamedTuple):
    """One sequence in one style: the sequence's id and the index of a training subject."""

    name: str
    style: int


class Parts(NamedTuple):
    """What is read of one sequence: (L, C), (T, D), (T', Q)."""

    features: NDArray[np.float32]
    vertices: NDArray[np.float32]
    codes: NDArray[Any] | None


class ClipReader:
    """Reads takes into padded batches. DataError where data and features do not belong together."""

    def __init__(self, data: Sequences, features: Features | None, codes: Codes | None = None) -> None:
        self.data = data
        self.features = features
        self.codes = codes
        self.subjects = data.train_subjects
        if not self.subjects:
            raise DataError(f"{data.path} names no training subject: give the data set a train split")

    def facts(self) -> DataFacts:
        vertices, fps, subjects = self.data.info.vertices, self.data.fps, tuple(self.subjects)
        if self.features is None:
            return DataFacts(vertices, fps, subjects, channels=0, encoder="")
        encoder = self.features.encoder
        return DataFacts(vertices, fps, subjects, encoder.channels, encoder.name, encoder.config)

    def takes(self, split: str) -> list[list[Take]]:
        """Per sequence of a split its takes: its own style if its subject was trained on, else every style.

        Where nothing is heard there is no style: one take.
        """
        return [self._takes_of(name) for name in self.data.ids(split)]

    def _takes_of(self, name: str) -> list[Take]:
        subject = self.data.entry(name).subject
        if self.features is not None and name not in self.features:
            raise DataError(f"{self.features.path} has no features of {name}: run the features step on the same data")
        self.data.template_of(name)  # refused here, before an epoch is spent
        if self.features is None:
            return [Take(name, 0)]
        own = [self.subjects.index(subject)] if subject in self.subjects else range(len(self.subjects))
        return [Take(name, style) for style in own]

    def check_codes(self, frames_to_learn: Callable[[int, int], int]) -> None:
        """DataError where a clip's codes are those of another number of frames than the network trains on.

        The prior sees a clip from end to end, so codes of a longer clip are not those of its beginning.
        """
        if self.codes is None or self.features is None:
            return
        for name in (*self.data.ids("train"), *self.data.ids("val")):
            wanted = frames_to_learn(self.data.entry(name).frames, self.features.length(name))
            if (found := self.codes.info.frames.get(name, wanted)) != wanted:
                raise DataError(
                    f"{self.codes.path} has codes of {found} frames of {name}, and {wanted} are trained on: wire "
                    "`features` into the step that encodes if, and only if, alignment = 'pairs'"
                )

    def frames(self, takes: Sequence[Take]) -> list[int]:
        """How long each is."""
        return [self.data.entry(take.name).frames for take in takes]

    def batch(self, takes: Sequence[Take]) -> Clips:
        """DataError, which names the sequence, where one cannot be read."""
        parts = [self._parts(take.name) for take in takes]
        features, vertices = [part.features for part in parts], [part.vertices for part in parts]
        codes = [part.codes for part in parts if part.codes is not None]
        return Clips(
            features=padded(features),
            feature_lengths=torch.tensor([len(item) for item in features]),
            template=torch.stack([self.template(take.name) for take in takes]),
            style=one_hot([take.style for take in takes], len(self.subjects)),
            vertices=padded(vertices),
            frames=torch.tensor([len(item) for item in vertices]),
            codes=padded(codes).long() if codes else None,
        )

    def _parts(self, name: str) -> Parts:
        with telling_name(name):
            codes = None if self.codes is None else self.codes[name]
            return Parts(self.speech(name), flat(self.data.vertices(name)), codes)

    def speech(self, name: str) -> NDArray[np.float32]:
        """(L, C); (0, 0) where nothing is heard."""
        return np.zeros((0, 0), np.float32) if self.features is None else self.features[name].astype(np.float32)

    def in_styles(self, takes: Sequence[Take]) -> Clips:
        """Takes of one and the same sequence as one clip in several styles, which is heard once."""
        return replace(self.batch(takes[:1]), style=one_hot([take.style for take in takes], len(self.subjects)))

    def template(self, name: str) -> Tensor:
        """(D,) of a sequence's subject."""
        return torch.from_numpy(self.data.template_of(name).astype(np.float32).reshape(-1))


@contextmanager
def telling_name(name: str) -> Iterator[None]:
    """What fails in reading a sequence is told with its name."""
    try:
        yield
    except (DataError, OSError) as error:
        if name in str(error):
            raise
        raise DataError(f"{name} cannot be read: {error}") from error


def flat(vertices: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, V, 3) → (T, D)"""
    return vertices.reshape(len(vertices), -1)


def padded(items: Sequence[NDArray[Any]]) -> Tensor:
    """(n_i, C) each → (B, max n, C), zeros at the end."""
    batch = np.zeros((len(items), max(len(item) for item in items), items[0].shape[1]), items[0].dtype)
    for row, item in zip(batch, items, strict=True):
        row[: len(item)] = item
    return torch.from_numpy(batch)


def one_hot(styles: Sequence[int], subjects: int) -> Tensor:
    """(S, K) float32"""
    return torch.nn.functional.one_hot(torch.tensor(list(styles)), subjects).float()
