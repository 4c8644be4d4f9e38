"""Data sets of papers through their own readers, and artifacts that `preprocess` has made, as a `Corpus`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from faces.errors import DataError
from faces.ply import Mesh, read_ply
from stages.datacheck.corpus import Facts, Held, Name, Reader, by_rule, told
from stages.datacheck.damage import diagnose
from stages.datacheck.findings import WARNING, Finding
from stages.kinds import sequences as kind
from stages.kinds.sequences import Sequences, sequence_id
from stages.preprocess.prepare import Recordings
from stages.preprocess.sound import Clip, Unusable, read_wav
from stages.preprocess.split_file import Splits


class Opened:
    """Implements `Corpus` on `Recordings`. What these refuse is found one by one, in their own words."""

    def __init__(self, data: Recordings, splits: Splits) -> None:
        self.data, self.names = data, data.names
        first = next(iter(data.templates))
        model = Mesh(data.templates[first], data.faces)
        self.facts = Facts(
            data.fps, "the data set's own rate", data.units, data.up, "", model, f"the template of {first}",
            splits.subjects, by_rule(splits), "the splits", data.regions,
        )  # fmt: skip

    def problems(self) -> Iterable[Finding]:
        return ()

    def place(self, name: Name) -> str:
        return sequence_id(*name)

    def frame_place(self, name: Name, frame: int) -> tuple[str, int | None]:
        return self.place(name), frame

    def motion(self, name: Name) -> tuple[Reader | None, list[Finding]]:
        try:
            return Held(self.data.motion(name, 1)), []
        except KeyError:
            return None, [
                Finding(self.place(name), "NO-MOTION", "no frames", "see whether they were left behind", WARNING)
            ]
        except DataError as error:
            return None, [self.unreadable(name, error)]

    def unreadable(self, name: Name, error: DataError) -> Finding:
        code = "NAN" if "NaN" in str(error) else "UNREADABLE"
        return Finding(self.place(name), code, *told(error, self.data.root))

    def sound_place(self, name: Name) -> str:
        return self.place(name)

    def sound(self, name: Name) -> tuple[Clip | None, list[Finding]]:
        try:
            return self.data.clip(name), []
        except Unusable as reason:
            what = str(reason)
            code = "SILENT" if "silent" in what else "EMPTY" if "empty" in what or "shorter" in what else "NO-SOUND"
            return None, [Finding(self.place(name), code, what, "it is skipped when it is prepared", WARNING)]
        except DataError as error:
            return None, [Finding(self.place(name), "UNREADABLE", *told(error, self.data.root))]


class Artifact:
    """Implements `Corpus` on the kind `sequences`."""

    def __init__(self, folder: Path) -> None:
        self.data = Sequences(folder)
        info = self.data.info
        self._ids = {(entry.subject, entry.sentence): key for key, entry in info.sequences.items()}
        self.names: Sequence[Name] = sorted(self._ids)
        self.facts = Facts(
            info.fps, kind.INDEX, info.units, info.up, {"y": "z", "z": "-y"}.get(info.up, ""),
            read_ply(folder / kind.TOPOLOGY), kind.TOPOLOGY, info.subjects, self._split, kind.INDEX,
            {name: found for name in self.data.region_names if (found := self.data.region(name)) is not None},
        )  # fmt: skip

    def _split(self, name: Name) -> Sequence[str]:
        split = self.data.entry(self._ids[name]).split
        return [split] if split else []

    def problems(self) -> Iterable[Finding]:
        for subject, vertices in self.data.templates.items():
            if not np.isfinite(vertices).all():
                yield Finding(kind.TEMPLATES, "NAN", f"the template of {subject} holds NaN", "run preprocess again")

    def place(self, name: Name) -> str:
        return f"{kind.VERTICES}/{self._ids[name]}.npy"

    def frame_place(self, name: Name, frame: int) -> tuple[str, int | None]:
        return self.place(name), frame

    def motion(self, name: Name) -> tuple[Reader | None, list[Finding]]:
        try:
            return Held(self.data.vertices(self._ids[name])), []
        except DataError as error:
            return None, [self.unreadable(name, error)]

    def unreadable(self, name: Name, error: DataError) -> Finding:
        path = self.data.vertex_file(self._ids[name])
        return Finding(self.place(name), *(diagnose(path) or ("UNREADABLE", *told(error, self.data.path, path))))

    def sound_place(self, name: Name) -> str:
        return f"{kind.SOUND}/{self._ids[name]}.wav"

    def sound(self, name: Name) -> tuple[Clip | None, list[Finding]]:
        file = self.data.wav(self._ids[name])
        damage = diagnose(file)
        try:
            return read_wav(file), [Finding(self.sound_place(name), *damage)] if damage else []
        except Unusable as reason:
            return None, [Finding(self.sound_place(name), "EMPTY", str(reason), "run preprocess again")]
        except DataError as error:
            what = damage or ("UNREADABLE", *told(error, self.data.path, file))
            return None, [Finding(self.sound_place(name), *what)]
