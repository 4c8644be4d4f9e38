"""VOCASET as the scripts of FaceFormer and CodeTalker leave it, an array and a wav file a sequence, as `Recordings`.

The arrays are as long as the recordings, 60 frames per second: these scripts drop every second one when they train.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from stages.preprocess import prepare as shared
from stages.preprocess.prepare import Name, leave_out
from stages.preprocess.sound import Clip, Unusable, read_wav
from stages.preprocess.vertex_file import VertexFile
from stages.preprocess.vocaset import RAW_FILES, READY_FRAMES, READY_SOUND, Settings
from stages.preprocess.vocaset.raw import check_present, read_faces, read_templates
from stages.preprocess.vocaset.recordings import Vocaset


class ReadyVocaset(Vocaset):
    """Implements `Recordings`. Of motion and sound nothing is held in memory."""

    def __init__(self, settings: Settings) -> None:
        check_present(settings.files)
        self._sounds = {_named(key): sound for key, (_, sound) in settings.sequences.items()}
        self._arrays = {
            _named(key): VertexFile.open(frames, flat=True)
            for key, (frames, _) in settings.sequences.items()
            if key not in settings.skip
        }
        if not self._arrays:
            raise DataError(
                f"{Path(settings.root, READY_FRAMES)} holds no <subject>_<sentence>.npy; put the arrays there"
            )
        first = next(iter(self._arrays.values()))
        templates = read_templates(settings.files["templates"], first)
        faces = read_faces(settings.files["topology"], first)
        super().__init__(settings, templates, faces, first.vertices, sorted(self._sounds))
        self.where = f"the arrays in {first.path.parent}"
        for name, array in self._arrays.items():
            self._check_topology(name, array, first)

    def frames(self, name: Name) -> int:
        return self._arrays[name].frames

    def clip(self, name: Name) -> Clip:
        if not self.frames(name):
            raise Unusable("no frames")
        if name[0] not in self.templates:
            raise Unusable(f"no template of its subject in {RAW_FILES['templates']}")
        if not self._sounds[name].exists():
            raise Unusable(f"no sound in {READY_SOUND}")
        return read_wav(self._sounds[name])

    def motion(self, name: Name, step: int) -> NDArray[np.float32]:
        array = self._arrays[name]
        frames = array.gather(np.arange(0, array.frames, step))
        shared.check_finite(frames, lambda row: f"{array.path}, frame {row * step}", name)
        return frames

    def _check_topology(self, name: Name, array: VertexFile, first: VertexFile) -> None:
        if array.vertices != first.vertices:
            raise DataError(
                f"{array.path} has {array.vertices:,} vertices, but {first.path.name} has {first.vertices:,}; "
                f"{leave_out(name)}"
            )


def _named(key: str) -> Name:
    """("FaceTalk_170728_03272_TA", "sentence01") for both with "_" between."""
    subject, _, sentence = key.rpartition("_")
    return subject, sentence
