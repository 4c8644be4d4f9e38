"""The work of the stage `lipread`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from faces.errors import DataError
from faces.mouth.camera import MouthCamera
from faces.text_errors import letter_error_rate
from pipeline.errors import StageError
from pipeline.stage import Job
from stages.audio import speech
from stages.kinds.checkpoint import BEST, Checkpoint
from stages.kinds.predictions import Predictions, check_alike, vertices_of
from stages.kinds.readings import TEXT, TRUTH, Info, Reading, Readings, digest_of, write_index, write_reading
from stages.kinds.sequences import Sequences
from stages.lipread import Params
from stages.processor import set_up
from stages.sight import sight_of


def read(job: Job, params: Params) -> None:
    """Fill `job.out` with readings."""
    set_up(job.workers)
    data, predictions = Sequences(job.inputs["data"].path), Predictions(job.inputs["predictions"].path)
    predictions.check_vertices()
    check_alike(data, predictions)
    wanted = _wanted(data, predictions, params.splits)
    expert = _Expert(Checkpoint(job.inputs["expert"].path), data, params, job.device)
    for part in (TEXT, TRUTH):
        (job.out / part).mkdir(exist_ok=True)

    def make(name: str) -> list[Path]:
        wave = expert.sound(name)
        said = expert.network.as_written(data.transcripts[name])
        seen = [(TEXT, one, vertices_of(predictions, one, data), predictions.file(one)) for one in wanted[name]]
        if params.truth:
            seen.append((TRUTH, name, data.vertices(name), data.vertex_file(name)))
        return [
            write_reading(job.out, part, one, Reading(said, expert.read(motion, wave), digest_of(file)))
            for part, one, motion, file in seen
        ]

    job.each(list(wanted), make)
    names = sorted(one for names in wanted.values() for one in names)
    truth = sorted(wanted) if params.truth else []
    write_index(job.out, Info(expert.digest, expert.modality, params.beam, params.ctc_weight, names, truth))
    _tell(job, Readings(job.out))


def _wanted(data: Sequences, predictions: Predictions, splits: Sequence[str]) -> dict[str, list[str]]:
    """id → names of its predictions. Errors before anything is read: no prediction, or no transcript."""
    found: dict[str, list[str]] = {}
    for name, item in sorted(predictions.items.items()):
        if not splits or item.split in splits:
            found.setdefault(item.id, []).append(name)
    if not found:
        held = ", ".join(sorted({item.split for item in predictions.items.values()})) or "nothing"
        raise StageError(
            f"{predictions.path} holds no prediction of {', '.join(splits) or 'anything'} (it holds: {held})"
        )
    if missing := [name for name in found if name not in data.transcripts]:
        raise DataError(
            f"{data.path} has no transcript of {missing[0]}, and what is read is held against what was said: put "
            "transcripts.json beside the data (docs/datasets.md)"
        )
    return dict(sorted(found.items()))


class _Expert:
    """A lip reader before the faces of a data set."""

    def __init__(self, checkpoint: Checkpoint, data: Sequences, params: Params, device: str) -> None:
        network = cast("Any", checkpoint.load_network(device))
        if not hasattr(network, "tokeniser") or not hasattr(network, "watch"):
            raise StageError(
                f"{checkpoint.path} holds {checkpoint.config.model!r}, which reads no lips: give the step that trains "
                "a lipreader"
            )
        network.watch(sight_of(data))
        if params.silent and not network.settings.listens:
            raise StageError("silent = true, and this expert hears nothing anyway: leave silent out")
        self.network, self.data, self.params, self.device = network, data, params, device
        self.digest = _digest(digest_of(checkpoint.path / BEST), network.mouth.renderer.camera)

    @property
    def modality(self) -> str:
        return "silent" if self.params.silent else str(self.network.settings.modality)

    def sound(self, name: str) -> torch.Tensor | None:
        """(N,) at 16 kHz, of no sample where it is to hear nothing."""
        if not self.network.settings.listens:
            return None
        wave = np.zeros(0, np.float32) if self.params.silent else speech(self.data.wav(name))
        return torch.from_numpy(wave).to(self.device)

    def read(self, motion: NDArray[np.floating], wave: torch.Tensor | None) -> str:
        """What positions (T, V, 3) say."""
        positions = torch.from_numpy(np.array(motion, np.float32)).flatten(1).to(self.device)
        text: str = self.network.read(positions, wave, beam=self.params.beam, ctc_weight=self.params.ctc_weight)
        return text


def _digest(weights: str, camera: MouthCamera) -> str:
    """Of who reads: the same weights, shown other pictures, read otherwise."""
    return hashlib.blake2b(f"{weights} {camera}".encode(), digest_size=16).hexdigest()


def _tell(job: Job, readings: Readings) -> None:
    parts: Mapping[str, list[Reading | None]] = {
        "predicted": [readings.text(name) for name in readings.info.predictions],
        "true": [readings.truth(name) for name in readings.info.truth],
    }
    for which, found in parts.items():
        pairs = [(one.said, one.read) for one in found if one is not None]
        if pairs:
            job.say(f"{which} lips: {100 * letter_error_rate(pairs):.0f} % of the letters wrong")
