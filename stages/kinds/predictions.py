"""The kind `predictions`: what a network made of speech, one mesh sequence per sentence and manner of speaking.

Files are named as the field's published code names them, `npy/<id>_condition_<subject>.npy`, float32 (T, 3 V): the
sentence, and the training subject whose manner it is spoken in. What a network drew has its sample's number, too,
`<id>_condition_<subject>_seed<number>.npy`; of a network that moves a track the files hold its rows, float32 (T, D),
and no vertices. `Predictions(path)` reads such an artifact and loads nothing before it is asked for; `write_index`
writes its `predictions.json`. Where the network reads lips,
`text/<id>_condition_<subject>.json` holds what was heard and what it read. What is not as it should be is a
`DataError`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from faces.errors import DataError, said
from faces.texts import read_json
from stages.kinds.plain import built, read_as, remade_by, told_as, write_json
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import EXPRESSION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INDEX = "predictions.json"
MOTION = "npy"
TEXT = "text"
FILE_NAME = r"[\w-][\w.+-]*"
"""Mixed styles are named with "+"."""


@dataclass(frozen=True)
class Item:
    """One predicted sequence.

    id: the sentence's id in `sequences`. subject: whose neutral face moves. condition: the training subject whose
    manner of speaking it has. split: the sentence's. frames: T. seed: the number of a sample; None where nothing was
    drawn.
    """

    id: str
    subject: str
    condition: str
    split: str
    frames: int
    seed: int | None = None


@dataclass(frozen=True)
class Text:
    """heard: what a frozen recogniser heard in a sentence's sound; None where no text was kept with the features.
    lip_read: what the network read off the lips that it moved itself; None where it could not."""

    heard: str | None
    lip_read: str | None


@dataclass(frozen=True)
class Info:
    """What `predictions.json` says. fps: frames per second. units: of the positions, as in `sequences`. styles: whether
    the network speaks in the style that it is given. track: whose rows it made, "" where it made vertices. head: of
    expression codes, whose they are, as in `tracks`; "" where nobody knows."""

    fps: float
    units: str
    dataset: str
    model: str
    items: Mapping[str, Item]
    styles: bool = True
    track: str = ""
    head: str = ""

    def in_style(self, what: str, item: Item) -> str:
        """A caption of `what` with the style that it is in, where the network has any, or with the sample's number."""
        styled = f"{what}, style of {item.condition}" if self.styles else what
        return styled if item.seed is None else f"{styled}, sample {item.seed}"


def prediction_name(sentence: str, condition: str, seed: int | None = None) -> str:
    """The name of a prediction's files: "<id>_condition_<subject>", of a sample with "_seed<number>"."""
    name = f"{sentence}_condition_{condition}"
    return name if seed is None else f"{name}_seed{seed}"


def write_index(folder: Path, info: Info) -> Path:
    """Write `predictions.json`, items sorted by name, so that equal content is equal bytes."""
    facts = asdict(info)
    facts["items"] = dict(sorted(facts["items"].items()))
    return write_json(folder / INDEX, facts)


def write_text(folder: Path, name: str, text: Text) -> Path:
    """Write the text of one prediction, a file of its own so that it goes along with its motion."""
    return write_json(folder / TEXT / f"{name}.json", asdict(text))


class Predictions:
    """Reads an artifact of the kind `predictions`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @cached_property
    def info(self) -> Info:
        file = self.path / INDEX
        with told_as(file, "is not an index of predictions", "make it with infer"):
            info = built(Info, read_json(file))
            if not 0 < info.fps < math.inf:
                raise TypeError(f"its frame rate is {info.fps}")
        if strange := [name for name in info.items if not re.fullmatch(FILE_NAME, name)]:
            raise DataError(
                f"{file} holds the name {said(repr(strange[0]))}, which no file of its has; make it with infer"
            )
        return info

    @property
    def items(self) -> Mapping[str, Item]:
        """name → item, in the index's order: sorted by name."""
        return self.info.items

    def file(self, name: str) -> Path:
        return self.path / MOTION / f"{name}.npy"

    def check_vertices(self) -> None:
        """DataError where predictions are of a track, and so nothing that can be looked at."""
        if track := self.info.track:
            raise DataError(f"{self.path} holds rows of the track {track!r} and no vertices: {remedy(track)}")

    def motion(self, name: str) -> NDArray[np.float32]:
        """(T, V, 3) float32 in the predictions' units, a read-only memory map."""
        self.check_vertices()
        rows = self.rows(name)
        if rows.shape[1] % 3:
            raise DataError(self._misshapen(name, rows, "3 V"))
        return rows.reshape(len(rows), -1, 3)

    def rows(self, name: str) -> NDArray[np.float32]:
        """(T, D) float32, a read-only memory map: of a track, or of vertices one after the other."""
        import numpy as np

        from faces.arrays import open_npy

        if name not in self.items:
            raise DataError(f"{self.path} has no prediction {name}")
        with remade_by("infer", self.file(name)):
            rows: NDArray[np.float32] = open_npy(self.file(name))
        if rows.ndim != 2 or rows.dtype != np.float32 or len(rows) != self.items[name].frames:
            raise DataError(self._misshapen(name, rows, "D" if self.info.track else "3 V"))
        return rows

    def _misshapen(self, name: str, rows: NDArray[np.float32], width: str) -> str:
        wanted = f"float32 ({self.items[name].frames}, {width})"
        return f"{self.file(name)} holds {rows.dtype} {rows.shape}, not {wanted}: make it again with infer"

    @cached_property
    def has_texts(self) -> bool:
        """Whether lips were read. DataError where a prediction lacks a text, or a text its prediction."""
        if not (folder := self.path / TEXT).is_dir():
            return False
        there = {file.stem for file in folder.glob("*.json")}
        for wrong, what in (
            (self.items.keys() - there, "lacks the text of"),
            (there - self.items.keys(), "is also of"),
        ):
            if wrong:
                raise DataError(
                    f"{folder} {what} {said(min(wrong))}, unlike {INDEX} beside it: make it again with infer"
                )
        return True

    def text(self, name: str) -> Text | None:
        """What was heard and what was read off a prediction's lips; None where no lips were read."""
        if name not in self.items:
            raise DataError(f"{self.path} has no prediction {name}")
        if not self.has_texts:
            return None
        file = self.path / TEXT / f"{name}.json"
        return read_as(Text, file, "is not the text of a prediction", "make it again with infer")


def remedy(track: str) -> str:
    """What to do with predicted rows of a track where vertices are wanted, the end of a sentence."""
    if track == EXPRESSION:
        return (
            "make faces of them with the stage drive, and give what that makes, or surfaces with meshes, for film and "
            "geometry"
        )
    return f"nothing makes faces of them, only of rows of {EXPRESSION!r}; metrics measures the numbers themselves"


def vertices_of(predictions: Predictions, name: str, data: Sequences) -> NDArray[np.float32]:
    """(T, V, 3), see `Predictions.motion`. DataError unless it has the topology of the data it is held against."""
    motion = predictions.motion(name)
    if motion.shape[1] != data.info.vertices:
        raise DataError(
            f"{predictions.file(name)} has {motion.shape[1]} vertices a frame and {data.path} has "
            f"{data.info.vertices}: give predictions of the same topology"
        )
    return motion


def check_alike(data: Sequences, predictions: Predictions) -> None:
    """DataError unless predictions have the frame rate and the units of the data they are held against."""
    made = predictions.info
    if (made.fps, made.units) != (data.fps, data.units):
        raise DataError(
            f"{predictions.path} is at {made.fps:g} fps in {made.units} and {data.path} at {data.fps:g} fps in "
            f"{data.units}: use the sequences that the predictions were made from, or run infer on these"
        )
