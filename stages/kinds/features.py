"""The kind `features`: what a frozen speech encoder made of each sequence's sound, at 50 Hz, in one HDF5 file; or,
where its transformer is frozen too, what that says of each frame of the motion.

`Features(path)` reads such an artifact, lazily and from any number of threads and processes; `write_features` makes it
with equal bytes for equal content. `encoder.json` beside it names the encoder, its configuration and a digest of its
weights, so that other weights are another artifact even where the convolutions agree. A file that is missing or not
what it should be is a `DataError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from faces.errors import DataError, said
from faces.hdf5 import h5_dataset, h5_holds, h5_names, open_h5, read_h5
from faces.texts import read_json
from stages.kinds.plain import remade_by, write_json

if TYPE_CHECKING:
    import h5py
    import numpy as np
    from numpy.typing import NDArray

FILE = "features.h5"
ENCODER = "encoder.json"
HIDDEN, LOGITS = "hidden", "logits"
GROUPS = (HIDDEN, LOGITS)
"""Beside the sequences' features in the file: what else was asked for, a data set for each sequence."""
RATE = 50.0
FRAMES = "frames"
"""The kind of encoder whose features are a frame's each: the last states of its transformer."""


@dataclass(frozen=True)
class Encoder:
    """What made the features.

    name: "log-mel", a hub id, "local" and the family where a folder was given, or "track" and its name where nobody
    said. kind: "conv", "log-mel" or "frames". channels: C. config: the encoder's configuration as `transformers` writes
    it, and weights: the digest of all its parameters; both empty for log-mel, and for a track of which nobody said what
    made it. vocabulary: what the classes of a recogniser's logits stand for; empty where no text was asked for.
    text_weights: the digest of the recogniser, which may be another network than made the features.
    """

    name: str
    kind: str
    channels: int
    config: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    vocabulary: Sequence[str] = ()
    text_weights: str = ""


class Features:
    """Reads an artifact of the kind `features`: `features[id]` is (L, C), float16 or float32 as it was stored."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._lock = Lock()
        self._opened: tuple[int, h5py.File] | None = None

    def __getitem__(self, name: str) -> NDArray[np.floating]:
        return self._read(name)

    def __contains__(self, name: object) -> bool:
        file = self._file
        with remade_by("features", self.path / FILE):
            return h5_holds(file, str(name))

    def length(self, name: str) -> int:
        """L, without reading the features."""
        return self._shape(name)[0]

    def hidden(self, name: str) -> NDArray[np.floating]:
        """(L, H), the last hidden state of the encoder or of the recogniser. DataError where none was kept."""
        self._check_hidden()
        return self._read(f"{HIDDEN}/{name}")

    def logits(self, name: str) -> NDArray[np.floating]:
        """(L, classes of the vocabulary), what a recogniser made of the sound. DataError where none was asked."""
        if LOGITS not in self:
            raise DataError(f"{self.path / FILE} holds no text: set text = true in the features step")
        return self._read(f"{LOGITS}/{name}")

    @property
    def text_width(self) -> int:
        """H of the hidden states. DataError where none were kept."""
        self._check_hidden()
        return self._shape(f"{HIDDEN}/{next(iter(self.ids()), '')}")[1]

    def ids(self) -> list[str]:
        file = self._file
        with remade_by("features", self.path / FILE):
            return [name for name in h5_names(file) if name not in GROUPS]

    @cached_property
    def encoder(self) -> Encoder:
        file = self.path / ENCODER
        try:
            return Encoder(**read_json(file))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{file} does not say what made the features ({said(error)}): run the features step again"
            ) from None

    @property
    def channels(self) -> int:
        return self.encoder.channels

    @property
    def framewise(self) -> bool:
        """Whether features are a frame's each."""
        return self.encoder.kind == FRAMES

    def check_frames(self, name: str, frames: int) -> None:
        """DataError where features that are a frame's each are not of so many frames."""
        if self.framewise and (found := self.length(name)) != frames:
            raise DataError(
                f"{self.path / FILE} has features of {found} frames of {name}, which has {frames}: run the features "
                "step on the same data"
            )

    def __getstate__(self) -> dict[str, Any]:
        """Another process opens the file for itself: HDF5 handles do not travel."""
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Features.__init__(self, state["path"])

    def close(self) -> None:
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    def _check_hidden(self) -> None:
        if HIDDEN not in self:
            raise DataError(f"{self.path / FILE} holds no hidden states: set hidden = true in the features step")

    def _read(self, name: str) -> NDArray[np.floating]:
        with self._found(name) as file:
            return read_h5(file, name, axes=2)

    def _shape(self, name: str) -> tuple[int, ...]:
        with self._found(name) as file:
            return tuple(h5_dataset(file, name, axes=2).shape)

    @contextmanager
    def _found(self, name: str) -> Iterator[h5py.File]:
        """The file. What is not in it, or cannot be read, is told."""
        file = self._file
        try:
            with remade_by("features", self.path / FILE):
                yield file
        except KeyError:
            raise DataError(
                f"{self.path / FILE} has no sequence {name}: run the features step on the same data"
            ) from None

    @property
    def _file(self) -> h5py.File:
        with self._lock, remade_by("features", self.path / FILE):
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), open_h5(self.path / FILE))
            return self._opened[1]


def write_features(
    folder: Path,
    names: Iterable[str],
    encoder: Encoder,
    load: Callable[[str], NDArray[np.floating]],
    rate: float = RATE,
    **more: Callable[[str], NDArray[np.floating]],
) -> None:
    """Write `features.h5` and `encoder.json`. `load(id)` gives (L, C), `rate` of them a second; one sequence is in
    memory at a time.

    more: "hidden" and "logits" (`GROUPS`) → what gives (L, …) of them.

    Contiguous and without compression: features are noise to a compressor (14 % at most, three to fifteen times the
    time). No time stamps, so that equal content is equal bytes.
    """
    import h5py

    ordered = sorted(names)
    with h5py.File(folder / FILE, "w", track_order=False) as file:
        file.attrs.update({"encoder": encoder.name, "kind": encoder.kind, "rate": rate, "channels": encoder.channels})
        for name in ordered:
            file.create_dataset(name, data=load(name), track_times=False)
        for part, load_part in sorted(more.items()):
            group = file.create_group(part)
            for name in ordered:
                group.create_dataset(name, data=load_part(name), track_times=False)
    facts = asdict(encoder)
    write_json(folder / ENCODER, facts | {"config": dict(sorted(facts["config"].items()))})
