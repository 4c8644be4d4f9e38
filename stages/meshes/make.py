"""The work of the stage `meshes`: one sentence's codes after the other through the head model, frame by frame."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from faces.errors import DataError
from faces.implicit.settings import Extraction
from faces.implicit.tracking import Tracking
from faces.implicit.weight import FacialWeight
from faces.ply import Mesh, write_ply
from models.nphm.frozen import Quick
from models.nphm.head import FORWARD
from models.nphm.surfaces import Frame, Making, Talker
from pipeline.errors import Interrupted
from pipeline.stage import Job
from stages.kinds.expressions import Expressions, chosen
from stages.kinds.head import Head
from stages.kinds.predictions import Predictions
from stages.kinds.sequences import Sequences
from stages.kinds.surfaces import (
    FIXED,
    MESHES,
    Info,
    Made,
    mesh_file,
    read_made,
    rest_file,
    write_index,
    write_made,
)
from stages.meshes import AUTO, IDENTITY_FILE, Params
from stages.meshes.kept import Done, Kept
from stages.meshes.who import Cast
from stages.processor import set_up


def make(job: Job, params: Params) -> None:
    """Fill `job.out` with surfaces."""
    set_up(job.workers)
    data, head = Sequences(job.inputs["data"].path), Head(job.inputs["head"].path)
    given = Predictions(job.inputs["predictions"].path) if "predictions" in job.inputs else None
    spoken = Expressions(head, data, given, params.splits)
    if params.own:
        spoken.check_identities()
    studio = Studio(job, params, spoken)
    info, items = spoken.info, chosen(spoken.items, params.limit)
    job.each(list(items), studio.make)
    studio.write_rest(sorted({item.subject for item in items.values()}))
    made = {name: read_made(job.out, name) for name in items}
    write_index(
        job.out,
        Info(
            info.fps, info.units, data.info.up, info.dataset, info.model, studio.topology, head_facts(spoken.head),
            choices(params), items, made, info.styles,
        ),
    )  # fmt: skip
    if head.info.moves == FORWARD and params.topology != FIXED:
        job.say("this head model moves one surface's points, so that all frames of a sentence share their triangles")
    for line in effort(list(made.values()), studio.seconds, studio.frames):
        job.say(line)


class Studio:
    """Makes a sentence's meshes at a time. seconds, frames: how long that took, and how many those were."""

    def __init__(self, job: Job, params: Params, spoken: Expressions) -> None:
        self.job, self.params, self.spoken = job, params, spoken
        self.head, self.seconds, self.frames = spoken.head, 0.0, 0
        self.model = self.head.model(job.device)
        self.cast = Cast(self.head, spoken.data, params)
        self.talker = lru_cache(maxsize=4)(self._talker)

    @property
    def topology(self) -> str:
        return FIXED if self.head.info.moves == FORWARD else self.params.topology

    def _talker(self, subject: str) -> Talker:
        identity = self.cast.identity(subject)
        low, high = self.cast.box(subject)
        extraction, mouth = (
            extraction_of(self.params, self.head.info.form),
            self.cast.mouth(subject, identity, self.model),
        )
        sigma = self.params.sigma
        making = Making(
            Extraction(**extraction, low=low, high=high),
            Quick(self.params.least_weight, self.params.half),
            mouth,
            FacialWeight(mouth, self.params.radius, sigma) if sigma else None,
            self.params.topology,
            self.params.reference,
            (self.head.tables.expression_mean, self.head.tables.expression_deviation),
            Tracking(newton=self.params.newton, smoothing=self.params.relax),
            self.cast.throat(subject),
        )
        return Talker(self.model, identity, making)

    def write_rest(self, subjects: Iterable[str]) -> None:
        """The heads at rest whose topology all sentences have, where there is such a one."""
        for subject in subjects:
            if (talker := self.talker(subject)).one_mesh:
                file = rest_file(self.job.out, subject)
                file.parent.mkdir(exist_ok=True)
                write_ply(file, self.head.back(talker.rest.vertices), talker.rest.faces)

    def make(self, name: str) -> list[Path]:
        """A sentence's files."""
        codes = np.array(self.spoken[name])
        if not len(codes):
            raise DataError(f"{name} has no frames, so that there is nothing to make meshes of")
        talker, kept = self.talker(self.spoken.items[name].subject), Kept(self.job.state / MESHES / name)
        kept.go_on(talker.goes_on(len(kept.done)))
        if begun := len(kept.done):
            self.job.say(f"{name}: {begun} of {len(codes)} frames were made by an earlier attempt")
        try:
            for frame in self._watched(name, begun, len(codes), talker.frames(codes, begun)):
                kept.add(frame, Mesh(self.head.back(frame.mesh.vertices), frame.mesh.faces))
        except DataError as error:
            raise DataError(f"{name}, {error}") from error
        files = [mesh_file(self.job.out, name, number) for number in range(len(codes))]
        kept.move(files)
        made = _made(kept.done, self.params.resolution**3, talker.openness(codes).tolist())
        return [*files, write_made(self.job.out, name, made)]

    def _watched(self, name: str, begun: int, count: int, frames: Iterable[Frame]) -> Iterator[Frame]:
        began = time.perf_counter()
        for done, frame in enumerate(frames, start=1):
            yield frame
            if self.job.stopping():
                raise Interrupted("stopped by the user; finished frames are kept, run again to go on")
            each = (time.perf_counter() - began) / done
            self.job.watch(f"{name}: frame {begun + done} of {count}, {each:.2f} s each, {frame.asked:,} points asked")
        self.seconds, self.frames = self.seconds + time.perf_counter() - began, self.frames + count - begun


def extraction_of(params: Params, form: str) -> dict[str, Any]:
    """`Extraction`'s choices but for the box. form: the head model's, which says what its values are good for."""
    names = (
        *("resolution", "chunk", "search", "lipschitz", "coarsest", "stride", "margin", "reach"),
        *("band", "refresh", "rim"),
    )
    found = {name: getattr(params, name) for name in names}
    if params.search == AUTO:
        found["search"] = "lipschitz" if form == "mono" else "signs"
    return found


def head_facts(head: Head) -> dict[str, Any]:
    """What is written down of the head model."""
    info = head.info
    return {
        "form": info.form,
        "moves": info.moves,
        "dataset": info.dataset,
        "scale": info.scale,
        "shift": list(info.shift),
    }


def choices(params: Params) -> Mapping[str, Any]:
    """What is written down of the parameters: all but which sentences, and where a file was."""
    facts = asdict(params)
    facts["identity"] = "file" if facts.pop(IDENTITY_FILE) else facts["identity"]
    return {name: value for name, value in facts.items() if name not in ("splits", "limit")}


def effort(made: Sequence[Made], seconds: float, frames: int) -> Iterator[str]:
    """Lines on what all took."""
    count, asked, dense = (
        sum(values) for values in zip(*((len(m.vertices), m.asked, m.dense) for m in made), strict=True)
    )
    took = f", {seconds / frames:.2f} s a frame" if frames else ""
    whole = sum(one.whole for one in made)
    size = sum(sum(one.vertices) for one in made)
    yield (
        f"{count:,} frames of {size // count:,} vertices; asked {asked:,} points, all samples would be "
        f"{dense / asked:.1f} times as many; {whole} searched everywhere{took}"
    )
    unsolved = sum(one.unsolved for one in made)
    if unsolved:
        yield f"{unsolved:,} vertices ({100 * unsolved / size:.2g} %) were not followed to where they belong"


def _made(frames: Sequence[Done], samples: int, openness: Sequence[float]) -> Made:
    return Made(
        [frame.vertices for frame in frames],
        sum(frame.asked for frame in frames),
        samples * len(frames),
        sum(frame.whole for frame in frames),
        sum(frame.unsolved for frame in frames),
        [float(f"{value:.6g}") for value in openness],
    )
