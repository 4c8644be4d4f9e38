"""The kind `sequences`: mesh sequences with their sound, templates, topology, regions and splits.

`Sequences(path)` reads such an artifact and loads nothing before it is asked for; vertices come as read-only memory
maps. `write_index` writes its `sequences.json`. A file that is missing or not what it should be is a `DataError`.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faces.errors import DataError, said
from faces.texts import read_json
from pipeline.stage import Given, of_json
from stages.kinds.plain import built, remade_by, write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INDEX = "sequences.json"
VERTICES = "vertices_npy"
SOUND = "wav"
TEMPLATES = "templates.npz"
TOPOLOGY = "topology.ply"
REGIONS = "regions"
TRANSCRIPTS = "transcripts.json"
"""Id → what is said, of those sequences whose words are known; the file is absent where none are."""


@dataclass(frozen=True)
class Entry:
    """One sequence: one sentence by one subject.

    split: "train", "val", another of the split file, or "" (in no split). frames: T at the artifact's fps; 0 where it
    has no motion and is sound alone, as of the stage `voice`. samples, sample_rate: of its sound; 0 where it has none.
    """

    subject: str
    sentence: str
    split: str
    frames: int
    samples: int
    sample_rate: int


@dataclass(frozen=True)
class Info:
    """What `sequences.json` says.

    fps: frames per second. units: "m", "mm", or what 1 is otherwise, e.g. "unit-area" (the mesh has an area of 1).
    up: the axis that points up, "y", or "-y" where it points down. vertices: V. subjects: split → subjects, in the
    order of the split file; the order of "train" defines the one-hot style. skipped: id → why it was left out.
    """

    dataset: str
    fps: float
    units: str
    up: str
    vertices: int
    subjects: Mapping[str, Sequence[str]]
    sequences: Mapping[str, Entry]
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def up_axis(self) -> int:
        """Which coordinate height is, whatever its sign."""
        return "xyz".index(self.up.removeprefix("-"))


def write_index(folder: Path, info: Info) -> Path:
    """Write `sequences.json`, sequences and reasons sorted by id, so that equal content is equal bytes."""
    facts = asdict(info)
    facts["subjects"] = {split: list(subjects) for split, subjects in info.subjects.items()}
    for table in ("sequences", "skipped"):
        facts[table] = dict(sorted(facts[table].items()))
    return write_json(folder / INDEX, facts)


class Sequences:
    """Reads an artifact of the kind `sequences`."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @cached_property
    def info(self) -> Info:
        facts = self._read_index()
        try:
            info = built(Info, facts)
            if not 0 < info.fps < math.inf:
                raise TypeError(f"its frame rate is {info.fps}")
        except TypeError as error:
            raise DataError(
                f"{self.path / INDEX} is not an index of sequences ({said(error)}); make it again with preprocess"
            ) from error
        where = str(self.path / INDEX)
        for name in (*info.sequences, *(subject for some in info.subjects.values() for subject in some)):
            check_name(name, where)
        return info

    @property
    def fps(self) -> float:
        return self.info.fps

    @property
    def units(self) -> str:
        return self.info.units

    @property
    def train_subjects(self) -> list[str]:
        """In the order of the one-hot style."""
        return self.subjects("train")

    def subjects(self, split: str) -> list[str]:
        return list(self.info.subjects.get(split, ()))

    def ids(self, split: str | None = None) -> list[str]:
        """Sorted ids, all of them or one split's ("" for those in no split)."""
        return sorted(name for name, entry in self.info.sequences.items() if split is None or entry.split == split)

    def ids_in(self, splits: Sequence[str]) -> list[str]:
        """Ids of several splits, split after split. DataError where one of them is not known or all are empty."""
        known = list(self.info.subjects)
        unknown = [split for split in splits if split not in known]
        found = [name for split in splits for name in self.ids(split)]
        if unknown or not found:
            what = f"no split {', '.join(unknown)}" if unknown else f"no sequence in {', '.join(splits)}"
            there = ", ".join(f"{split} ({len(self.ids(split))})" for split in known)
            raise DataError(f"{self.path} has {what}; its splits and their sequences: {said(there)}")
        return found

    def entry(self, name: str) -> Entry:
        try:
            return self.info.sequences[name]
        except KeyError:
            reason = self.info.skipped.get(name, "there is no sequence of that name; give the data that it is of")
            raise DataError(f"{self.path} has no sequence {name}: {said(reason)}") from None

    def has_motion(self, name: str) -> bool:
        """Whether a sequence has a truth to learn from or to be held against; else it is sound alone."""
        return self.entry(name).frames > 0

    def check_motion(self, name: str) -> None:
        """DataError for a sequence of sound alone."""
        if not self.has_motion(name):
            raise DataError(
                f"{self.path} has no motion of {name}, which is sound alone: it can be spoken and rendered, and there "
                "is no truth to train on or to measure against"
            )

    def vertex_file(self, name: str) -> Path:
        return self.path / VERTICES / f"{name}.npy"

    def vertices(self, name: str) -> NDArray[np.float32]:
        """(T, V, 3) float32 in `units`, a read-only memory map. DataError where it has no motion."""
        import numpy as np

        from faces.arrays import open_npy

        self.check_motion(name)
        entry = self.entry(name)
        shape = (entry.frames, self.info.vertices * 3)
        file = self.vertex_file(name)
        with remade_by("preprocess", file):
            rows = open_npy(file)
        if rows.shape != shape or rows.dtype != np.float32:
            raise DataError(
                f"{file} holds {rows.dtype} {rows.shape}, not float32 {shape}: make it again with preprocess"
            )
        sequence: NDArray[np.float32] = rows.reshape(entry.frames, self.info.vertices, 3)
        return sequence

    def wav(self, name: str) -> Path:
        """The sequence's sound file: 16-bit PCM mono at its native rate."""
        self.entry(name)
        return self.path / SOUND / f"{name}.wav"

    @cached_property
    def transcripts(self) -> dict[str, str]:
        """Id → what is said; empty where the data set has no texts."""
        file = self.path / TRANSCRIPTS
        if not file.is_file():
            return {}
        with remade_by("preprocess", file):
            found = read_json(file)
        if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
            raise DataError(f"{file} is not a table of texts; make it again with preprocess")
        return found

    @cached_property
    def templates(self) -> dict[str, NDArray[np.float32]]:
        """subject → (V, 3) float32, the neutral face."""
        from faces.arrays import read_npz

        with remade_by("preprocess", self.path / TEMPLATES):
            return read_npz(self.path / TEMPLATES)

    @cached_property
    def template_digests(self) -> dict[str, str]:
        """subject → what tells its template from another, without NumPy."""
        from faces.archives import Archive

        file = self.path / TEMPLATES
        with remade_by("preprocess", file), Archive.open(file) as archive:
            found = {name: archive.read(name) for name in archive.names}
        return {Path(name).stem: hashlib.sha256(data).hexdigest()[:32] for name, data in found.items()}

    @cached_property
    def middle_subjects(self) -> list[str]:
        """Those whose mean template stands for all: who is trained on, or everybody where nobody is. Without NumPy."""
        there = self.template_digests
        return [name for name in self.train_subjects if name in there] or sorted(there)

    def template_of(self, name: str) -> NDArray[np.float32]:
        """(V, 3): the neutral face of a sequence's subject. DataError where there is none."""
        return self.template_for(self.entry(name).subject, name)

    def template_for(self, subject: str, name: str) -> NDArray[np.float32]:
        """(V, 3): a subject's neutral face, asked for because of `name`. DataError where there is none."""
        if subject not in self.templates:
            raise DataError(f"{self.path} has no template of {subject}, whom {name} shows: run preprocess again")
        return self.templates[subject]

    @cached_property
    def faces(self) -> NDArray[np.int32]:
        """(F, 3) int32 triangles, counter-clockwise seen from outside."""
        from faces.ply import read_ply

        return read_ply(self.path / TOPOLOGY).faces

    @cached_property
    def region_names(self) -> list[str]:
        return sorted(file.stem for file in (self.path / REGIONS).glob("*.txt"))

    def region(self, name: str) -> NDArray[np.int64] | None:
        """Vertex indices of a region in their published order, duplicates kept; None where there is no such region."""
        from faces.regions import read_region

        file = self.path / REGIONS / f"{name}.txt"
        return read_region(file, self.info.vertices) if file.is_file() else None

    def _read_index(self) -> dict[str, Any]:
        file = self.path / INDEX
        try:
            facts = read_json(file)
        except OSError as error:
            raise DataError(
                f"{self.path} holds no sequences ({INDEX}: {error.strerror}); run preprocess first"
            ) from None
        except ValueError as error:
            raise DataError(f"{file} is not JSON ({said(error)}); make it again with preprocess") from None
        if not isinstance(facts, dict):
            raise DataError(f"{file} is not an index of sequences; make it again with preprocess")
        return facts


def check_name(name: str, where: str) -> str:
    """`name`, if files may be called after it. DataError otherwise, which says that `where` holds it."""
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise DataError(
            f"{where} holds the name {said(repr(name))}, and it becomes a file's name: rename it with letters, digits, "
            "'_', '-' and '.', which may not come first"
        )
    return name


def sequence_id(subject: str, sentence: str) -> str:
    """The name of a sequence's files: "<subject>_<sentence>". DataError for what no file may be called."""
    return f"{check_name(subject, 'the data set')}_{check_name(sentence, 'the data set')}"


def write_region(folder: Path, name: str, indices: Iterable[int]) -> Path:
    """Write one region, one index per line, in the order given."""
    from faces import regions

    file = folder / REGIONS / f"{name}.txt"
    file.parent.mkdir(exist_ok=True)
    return regions.write_region(file, indices)


def write_transcripts(folder: Path, texts: Mapping[str, str]) -> Path:
    """Write `transcripts.json`, id → what is said, sorted by id, so that equal content is equal bytes."""
    return write_json(folder / TRANSCRIPTS, dict(sorted(texts.items())))


def of_data(data: Sequences, names: Sequence[str], given: Given) -> dict[str, str]:
    """Part → digest: motion, templates and facts of the named sequences, told from all else in the artifact."""
    info = data.info
    entries = {name: asdict(data.entry(name)) for name in names}
    facts = [info.dataset, info.fps, info.units, info.up, info.vertices, list(info.subjects.get("train", ())), entries]
    subjects = sorted({entry["subject"] for entry in entries.values()})
    return {
        VERTICES: of_json([given.files.get(f"{VERTICES}/{name}.npy") for name in names]),
        TEMPLATES: of_json([data.template_digests.get(subject) for subject in subjects]),
        INDEX: of_json(facts),
    }
