"""The stage `track`: expression codes of a head model, sought in what every frame shows (FaceTalk, section 3.1).

The codes of a data set's sequences are what FaceTalk's diffusion learns to make. Of each frame only points of its mesh
are looked at, as if they came from a scanner; who speaks is found in the neutral face before, or known from the head's
own fit. What comes out are the sequences with a track more, and the identity codes that it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from pipeline.stage import Given, Items, Job, Needs, Slot, Stage, Upstream, param
from stages.kinds.head import CODES, WEIGHTS
from stages.kinds.head import INDEX as HEAD_INDEX
from stages.kinds.sequences import (
    INDEX,
    REGIONS,
    SOUND,
    TEMPLATES,
    TOPOLOGY,
    TRANSCRIPTS,
    VERTICES,
    Entry,
    Sequences,
)
from stages.kinds.tracks import FOLDER as TRACKS
from stages.kinds.tracks import INDEX as TRACK_INDEX

WHOLE = (INDEX, TEMPLATES, TOPOLOGY, TRANSCRIPTS)
"""Files of sequences that belong to all of them; what is known of the raw data alone stays with those."""
HEAD = "head-of-"
"""What begins the name of an item that is a subject's identity code."""


@dataclass(frozen=True)
class Params:
    points: int = param(400, low=16, help="points of a frame's mesh, more of them at lips and lids")
    window: int = param(10, low=1, help="frames that are solved together (FaceTalk)")
    overlap: int = param(
        2, low=0, help="frames that a window shares with the one before, which settled them (FaceTalk)"
    )
    rounds: int = param(6, low=1, help="rounds of Levenberg and Marquardt in a window; twice as many in the first")
    sdf_weight: float = param(
        1.0, low=0.0, help="weight of the points' distances |f|, summed, in NPHM's units of 25 cm"
    )
    time_weight: float = param(0.1, low=0.0, help="weight of Huber's loss of what changes from frame to frame")
    size_weight: float = param(0.2, low=0.0, help="weight of a code's square length")
    clamp: float = param(0.05, low=1e-4, help="points farther from the surface than this do not count, in NPHM's units")
    identity_points: int = param(
        20_000, low=64, help="points about a neutral face that its identity code is sought with"
    )
    identity_steps: int = param(300, low=1, help="steps of Adam for an identity code")
    identity_batch: int = param(2048, low=16, help="points in such a step")
    known: bool = param(True, help="subjects that the head was fitted to keep the identity codes of that fit")

    @property
    def problems(self) -> Iterable[str]:
        if self.overlap >= self.window:
            yield f"overlap = {self.overlap} leaves no frame to windows of {self.window}"


class TrackHeads(Stage):
    """`sequences` and a `head` → `sequences` with the track `nphm_expression`."""

    name = "track"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot("sequences", uses=(*WHOLE, REGIONS, VERTICES, SOUND, TRACKS, TRACK_INDEX)),
        "head": Slot("head", uses=(WEIGHTS, HEAD_INDEX, CODES)),
    }
    output = "sequences"
    seeded = True
    libraries = ("numpy", "scipy", "torch")

    def check(self) -> Iterable[str]:
        return self.params.problems

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return f"{upstream['data'].label}-tracked"

    def needs(self) -> Needs:
        return Needs(gpu=1, threads="all")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A sequence's codes: of its motion and its subject's template; an identity code of the template."""
        data, files = Sequences(given["data"].path), given["data"].files

        def facts(name: str, entry: Entry) -> list[Any]:
            own = [digest for file, digest in sorted(files.items()) if _is_of(file, name)]
            return [own, data.template_digests.get(entry.subject), asdict(entry)]

        each: dict[str, Any] = {name: facts(name, entry) for name, entry in data.info.sequences.items()}
        each |= {f"{HEAD}{subject}": digest for subject, digest in data.template_digests.items()}
        whole = [digest for name, digest in sorted(files.items()) if name == TOPOLOGY or name.startswith(f"{REGIONS}/")]
        return Items(each, shared=[given["head"].content, whole, data.info.fps, data.units, data.info.up], whole=False)

    def run(self, job: Job) -> None:
        from stages.track.seek import seek

        seek(job, self.params)


def _is_of(file: str, name: str) -> bool:
    """Whether a file of `sequences` belongs to one of them."""
    place, _, last = file.rpartition("/")
    return last in (f"{name}.npy", f"{name}.wav") and (place in (VERTICES, SOUND) or place.startswith(f"{TRACKS}/"))
