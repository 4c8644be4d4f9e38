"""The work of the stage `track`: identity codes, then one sequence's codes after the other."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faces.errors import DataError
from faces.skin import Skin
from models.nphm.head import BACKWARD
from models.nphm.lessons import Lesson
from models.nphm.tracking import Effort, at_rest, track
from pipeline.stage import Job
from stages.headfit.interest import interest
from stages.kinds import identities, tracks
from stages.kinds.head import Head
from stages.kinds.plain import write_json
from stages.kinds.sequences import REGIONS, Sequences
from stages.kinds.shared_files import share
from stages.kinds.tracks import EXPRESSION, Track
from stages.processor import set_up
from stages.track import HEAD, WHOLE, Params

NOTES = "residuals"
"""Item → mean distance of its points from the surface that was found, in millimetres; null where none was sought."""


def seek(job: Job, params: Params) -> None:
    """Fill `job.out` with the sequences and their codes."""
    set_up(job.workers)
    data, head = Sequences(job.inputs["data"].path), Head(job.inputs["head"].path)
    head = head.facing(data)
    if head.info.moves != BACKWARD:
        raise DataError(
            f"{head.path} moves points {head.info.moves}: codes are sought with a head that moves them back"
        )
    seeker = Seeker(job, params, data, head)
    speakers = sorted({data.entry(name).subject for name in data.ids()})
    job.each([f"{HEAD}{subject}" for subject in speakers], seeker.identity, unit="heads")
    job.each(data.ids(), seeker.sequence)
    _share_rest(job.out, data.path)
    declared = _declared(data.path, head)
    tracks.write_index(job.out, declared, data.ids())
    _tell(job, data, speakers)


class Seeker:
    """What identity and expression codes are sought with."""

    def __init__(self, job: Job, params: Params, data: Sequences, head: Head) -> None:
        self.job, self.params, self.data, self.head = job, params, data, head
        self.model = head.model(job.device)
        self.device = job.device
        rest = np.mean([head.into(data.templates[subject]) for subject in data.middle_subjects], axis=0)
        self.skin = Skin.of(rest, data.faces, interest(data, rest))
        self.effort = Effort(
            params.window, params.overlap, params.rounds, params.sdf_weight, params.time_weight, params.size_weight,
            params.clamp,
        )  # fmt: skip

    def identity(self, item: str) -> list[Path]:
        """Find a subject's identity code and write it."""
        subject = item.removeprefix(HEAD)
        code = self.head.known(self.data, subject) if self.params.known else None
        residual = None
        if code is None:
            code, residual = self._found(subject)
        files = [identities.write_identity(self.job.out, subject, code)]
        return [*files, self._note(item, residual)]

    def sequence(self, name: str) -> list[Path]:
        """Find the codes of a sequence and write them beside its own files."""
        given, out = self.data.path, self.job.out
        own = [self.data.vertex_file(name), self.data.wav(name), *(given / tracks.FOLDER).glob(f"*/{name}.npy")]
        files = [share(file, out / file.relative_to(given)) for file in own if file.is_file()]
        if not self.data.has_motion(name):
            return files
        size = self.head.tables.identities.shape[1]
        identity = identities.read_identity(out, self.data.entry(name).subject, size)
        codes, apart = track(self.model, self._there(identity)[None], self._there(self.clouds(name)), self.effort)
        residual = float(apart.mean()) * self.head.millimetres
        files.append(tracks.write_rows(out, EXPRESSION, name, codes.cpu().numpy()))
        return [*files, self._note(name, residual)]

    def clouds(self, name: str) -> NDArray[np.float32]:
        """(T, N, 3) other points of the skin in each frame, as a scanner gives."""
        rng = np.random.default_rng([self.job.seed, zlib.crc32(name.encode())])
        frames = self.head.into(self.data.vertices(name))
        drawn = [self.skin.at(frame, self.skin.draw(frame, self.params.points, rng)) for frame in frames]
        return np.stack(drawn).astype(np.float32)

    def _found(self, subject: str) -> tuple[NDArray[np.float32], float]:
        """A neutral face's identity code (D,), and how wrong its distances are, in millimetres."""
        params, rest = self.params, self.head.into(self.data.templates[subject])
        seed = [self.job.seed, zlib.crc32(subject.encode())]
        about = self.skin.about(rest, rest, params.identity_points, np.random.default_rng(seed), spread=0.025)
        lesson = Lesson(*(self._there(np.asarray(part, np.float32))[None] for part in about))
        vertices = self.head.anchor_vertices(len(rest))
        anchors = None if vertices is None else self._there(rest[vertices])[None]
        start = self._there(self.head.tables.identity_mean)[None]
        generator = torch.Generator().manual_seed(seed[0] * 1_000_003 + seed[1])
        code, wrong = at_rest(
            self.model, lesson, start, anchors, params.identity_steps, params.identity_batch, generator
        )
        return code[0].cpu().numpy(), wrong * self.head.millimetres

    def _note(self, item: str, residual: float | None) -> Path:
        """How an item went, in a file of its own so that it goes along with it."""
        (self.job.out / NOTES).mkdir(exist_ok=True)
        return write_json(self.job.out / NOTES / f"{item}.json", None if residual is None else round(residual, 4))

    def _there(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def _declared(path: Path, head: Head) -> dict[str, Track]:
    declared = {
        name: Track(rows.track.about, rows.track.framewise, head=rows.track.head)
        for name, rows in tracks.read_tracks(path).items()
    }
    about = "expression codes of the head model that the stage track was given"
    return declared | {EXPRESSION: Track(about, framewise=True, head=head.digest)}


def _share_rest(out: Path, given: Path) -> None:
    """What of the sequences is nobody's own."""
    files = [given / name for name in WHOLE]
    for file in [*files, *sorted((given / REGIONS).glob("*.txt"))]:
        if file.is_file():
            share(file, out / file.relative_to(given))


def _tell(job: Job, data: Sequences, speakers: list[str]) -> None:
    from faces.texts import read_json

    def of(item: str) -> float | None:
        file = job.out / NOTES / f"{item}.json"
        found: float | None = read_json(file) if file.is_file() else None
        return found

    frames = {name: apart for name in data.ids() if (apart := of(name)) is not None}
    heads = {subject: apart for subject in speakers if (apart := of(f"{HEAD}{subject}")) is not None}
    if heads:
        told = ", ".join(f"{subject} {apart:.2f}" for subject, apart in heads.items())
        job.say(f"identity codes sought, mean error of distances in mm: {told}")
    if frames:
        worst = max(frames, key=lambda name: frames[name])
        mean = float(np.mean(list(frames.values())))
        job.say(f"points lie {mean:.2f} mm off the head's surface on average; most in {worst}, {frames[worst]:.2f} mm")
