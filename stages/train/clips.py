"""Batches of clips, read when they are wanted: motion from memory maps, features from HDF5, styles by name.

What a network does not take is not there: a motion prior's batches hold no speech, those of a recogniser no vertices,
only a network that is built upon a prior gets codes, and regions, text and sound are read where its settings want them
(`models.settings.Wants`). Motion is that of vertices, or of a track where the settings want one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faces.errors import DataError
from models.settings import Wants
from models.sight import Spelling
from models.talking_face import Clips, DataFacts
from models.text import BLANK, SPACE, UNKNOWN, Vocabulary
from stages.audio import speech
from stages.kinds.codes import Codes
from stages.kinds.features import RATE, Features
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import Rows, read_track
from stages.train import HEARD, PIECES, READ

NOTHING = Wants()


class Take(NamedTuple):
    """One sequence in one style: the sequence's id and the index of a training subject."""

    name: str
    style: int


class Parts(NamedTuple):
    """What is read of one sequence: (L, C), (T, D), (T', Q), (L, H), (S, 1), (N, 1); vertices may be a track's rows."""

    features: NDArray[np.float32]
    vertices: NDArray[np.float32] | None
    codes: NDArray[Any] | None
    hidden: NDArray[np.float32] | None
    text: NDArray[np.int64] | None
    sound: NDArray[np.float32] | None


class ClipReader:
    """Reads takes into padded batches. DataError where data and features do not belong together.

    moves: whether they are for a network that makes motion. spelling: what cuts transcripts into a lip reader's pieces,
    where the network wants these.
    """

    def __init__(
        self,
        data: Sequences,
        features: Features | None,
        codes: Codes | None = None,
        wants: Wants = NOTHING,
        *,
        moves: bool = True,
        spelling: Spelling | None = None,
    ) -> None:
        self.data = data
        self.features = features
        self.codes = codes
        self.wants = wants
        self.moves = moves
        self.spelling = spelling
        self.subjects = data.train_subjects
        if not self.subjects:
            raise DataError(f"{data.path} names no training subject: give the data set a train split")

    def facts(self) -> DataFacts:
        vertices, fps, subjects = self.data.info.vertices, self.data.fps, tuple(self.subjects)
        moved: dict[str, Any] = (
            {} if self.track is None else {"track": self.wants.track, "width": self.track.track.size}
        )
        if self.features is None:
            silent = DataFacts(vertices, fps, subjects, 0, "", regions=self._regions(), tokeniser=self._tokeniser())
            return replace(silent, **moved)
        encoder = self.features.encoder
        facts = DataFacts(vertices, fps, subjects, encoder.channels, encoder.name, encoder.config, self._regions())
        facts = replace(facts, framewise=self.features.framewise, **moved)
        if not self.wants.text or self.wants.text == PIECES:
            return facts
        classes = self.vocabulary.classes  # first: features without text are refused with what they lack
        width = self.features.text_width if self.wants.text == HEARD else 0
        return replace(facts, vocabulary=classes, text_width=width)

    def _tokeniser(self) -> Mapping[str, Any]:
        return {} if self.spelling is None else self.spelling.content()

    def _regions(self) -> dict[str, list[int]]:
        found = {name: self.data.region(name) for name in self.wants.regions}
        if missing := [name for name, indices in found.items() if indices is None]:
            there = ", ".join(self.data.region_names) or "none"
            raise DataError(
                f"{self.data.path} has no region {missing[0]}, which the network learns with; it has {there}: give "
                "preprocess its list of vertices (docs/regions.md), or name another region"
            )
        return {name: indices.tolist() for name, indices in found.items() if indices is not None}

    @cached_property
    def track(self) -> Rows | None:
        """What the network moves in place of vertices, if it does. DataError where the data have no such track, or one
        of their sequences to learn from, which are all named, has not a row for each frame."""
        if not (wanted := self.wants.track):
            return None
        remedy = "prepare data that have it, or name another"
        rows = read_track(self.data.path, wanted, ", which the network moves", remedy)
        if not rows.track.framewise:
            raise DataError(
                f"the track {wanted!r} of {self.data.path} has no row for each frame, so that it cannot be moved: name "
                "one that has"
            )
        learnt = [*self.data.ids("train"), *self.data.ids("val")]
        frames = {name: rows.track.rows.get(name, 0) for name in learnt}
        if short := [name for name in learnt if frames[name] != self.data.entry(name).frames]:
            told = ", ".join(f"{name} ({frames[name]} of {self.data.entry(name).frames} rows)" for name in short)
            raise DataError(
                f"{self.data.path} has the track {wanted!r} not for every frame of {told}: leave them out with skip in "
                "the preprocess step"
            )
        return rows

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Of the recogniser that was heard, or of the letters that the training sentences are written with."""
        if self.wants.text == HEARD:
            assert self.features is not None, "text is heard in features"
            classes = self.features.encoder.vocabulary
            if not classes:
                raise DataError(f"{self.features.path} holds no text: set text = true in the features step")
            return Vocabulary(classes)
        texts = [self.data.transcripts.get(name, "") for name in self.data.ids("train")]
        letters = sorted({letter for text in texts for letter in text.casefold() if letter != " "})
        if not letters:
            raise DataError(
                f"{self.data.path} has no transcripts of its training sentences, and the network learns to write them: "
                "put transcripts.json beside the data (docs/datasets.md)"
            )
        return Vocabulary([BLANK, UNKNOWN, SPACE, *letters])

    def takes(self, split: str) -> list[list[Take]]:
        """Per sequence of a split its takes: its own style if its subject was trained on, else every style.

        Where nothing is heard, or nothing is to move, there is no style: one take.
        """
        return [self._takes_of(name) for name in self.data.ids(split)]

    def _takes_of(self, name: str) -> list[Take]:
        subject = self.data.entry(name).subject
        if self.features is not None and name not in self.features:
            raise DataError(f"{self.features.path} has no features of {name}: run the features step on the same data")
        # What is missing is refused here, before an epoch is spent.
        if self.moves:
            self.template(name)
            if self.features is not None:
                self.features.check_frames(name, self.data.entry(name).frames)
        if self.wants.text in READ:
            self._text(name)
        if self.wants.sound and not self.data.wav(name).is_file():
            raise DataError(f"{self.data.path} has no sound of {name}, which the network hears: leave it out with skip")
        if self.features is None or not self.moves:
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
        features = [part.features for part in parts]
        vertices = [part.vertices for part in parts if part.vertices is not None]
        codes = [part.codes for part in parts if part.codes is not None]
        hidden = [part.hidden for part in parts if part.hidden is not None]
        texts = [part.text for part in parts if part.text is not None]
        sounds = [part.sound for part in parts if part.sound is not None]
        return Clips(
            features=padded(features),
            feature_lengths=torch.tensor([len(item) for item in features]),
            template=torch.stack([self.template(take.name) for take in takes]) if self.moves else none(len(takes)),
            style=one_hot([take.style for take in takes], len(self.subjects)),
            vertices=padded(vertices) if vertices else None,
            frames=torch.tensor([len(item) for item in vertices]) if vertices else None,
            codes=padded(codes).long() if codes else None,
            text_hidden=padded(hidden) if hidden else None,
            text=padded(texts)[..., 0] if texts else None,
            text_lengths=torch.tensor([len(item) for item in texts]) if texts else None,
            sound=padded(sounds)[..., 0] if sounds else None,
            sound_lengths=torch.tensor([len(item) for item in sounds]) if sounds else None,
            sentences=torch.tensor([self._numbers[take.name] for take in takes]),
        )

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """Of every sequence of the data, its own."""
        return {name: number for number, name in enumerate(self.data.ids())}

    def _parts(self, name: str) -> Parts:
        with telling_name(name):
            codes = None if self.codes is None else self.codes[name]
            vertices = self.motion(name) if self.moves or self.wants.mouth else None
            hidden, text, sound = self._hidden(name), self._text(name), self._sound(name)
            return Parts(self.speech(name), vertices, codes, hidden, text, sound)

    def _hidden(self, name: str) -> NDArray[np.float32] | None:
        if self.wants.text != HEARD or self.features is None:
            return None
        return self.features.hidden(name).astype(np.float32)

    def _text(self, name: str) -> NDArray[np.int64] | None:
        """(S, 1)"""
        if not self.wants.text:
            return None
        said = self.said(name)
        if self.wants.text != PIECES:
            return np.array(self.vocabulary.classes_of(said), np.int64).reshape(-1, 1)
        assert self.spelling is not None, "the session gives it where it is wanted"
        if not (pieces := self.spelling.pieces(said)):
            raise DataError(
                f"the transcript of {name}, {said[:40]!r}, has no letter from a to z, and a lip reader reads no other: "
                "write what is said, or leave it out with skip"
            )
        return np.array(pieces, np.int64).reshape(-1, 1)

    def _sound(self, name: str) -> NDArray[np.float32] | None:
        """(N, 1)"""
        return speech(self.data.wav(name))[:, None] if self.wants.sound else None

    def said(self, name: str) -> str:
        """What a sequence says: as the recogniser heard it, or as it is written. DataError where nobody knows."""
        if self.wants.text == HEARD and self.features is not None:
            logits = self.features.logits(name)
            if n := self.wants.per_frame:
                logits = logits[: n * min(self.data.entry(name).frames, len(logits) // n)]
            return self.vocabulary.read(logits)
        if name not in self.data.transcripts:
            raise DataError(
                f"{self.data.path} has no transcript of {name}, whose text the network learns from: put "
                "transcripts.json beside the data (docs/datasets.md), or leave the sentence out with skip"
            )
        return self.data.transcripts[name]

    def speech(self, name: str) -> NDArray[np.float32]:
        """(L, C); (0, 0) where nothing is heard."""
        return np.zeros((0, 0), np.float32) if self.features is None else self.features[name].astype(np.float32)

    @property
    def speech_rate(self) -> float:
        """Steps of speech a second."""
        return self.data.fps if self.features is not None and self.features.framewise else RATE

    def in_styles(self, takes: Sequence[Take]) -> Clips:
        """Takes of one and the same sequence as one clip in several styles, which is heard once."""
        return replace(self.batch(takes[:1]), style=one_hot([take.style for take in takes], len(self.subjects)))

    def motion(self, name: str) -> NDArray[np.float32]:
        """(T, D), a read-only memory map: the vertices of a sequence, or its rows of the track."""
        return flat(self.data.vertices(name)) if self.track is None else self.track[name]

    def template(self, name: str) -> Tensor:
        """(D,) of a sequence's subject; zeros of a track."""
        if self.track is not None:
            return torch.zeros(self.track.track.size)
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


def none(clips: int) -> Tensor:
    """(B, 0)"""
    return torch.zeros(clips, 0)


def padded(items: Sequence[NDArray[Any]]) -> Tensor:
    """(n_i, C) each → (B, max n, C), zeros at the end."""
    batch = np.zeros((len(items), max(len(item) for item in items), items[0].shape[1]), items[0].dtype)
    for row, item in zip(batch, items, strict=True):
        row[: len(item)] = item
    return torch.from_numpy(batch)


def one_hot(styles: Sequence[int], subjects: int) -> Tensor:
    """(S, K) float32"""
    return torch.nn.functional.one_hot(torch.tensor(list(styles)), subjects).float()
