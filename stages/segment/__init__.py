"""The stage `segment`: sequences cut into segments of equal length, as some methods train on.

Networks here that learn from crops, FaceTalk's, cut them at random by themselves and hear the whole sentence about
them, so that they need none of this. Segments are for what takes sequences as they are: another program, a network
without crops, a fixed set of clips that is to be the same in every epoch. They are sequences themselves, of the same
subjects and splits, so that all stages take them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from pipeline.stage import Given, Items, Job, Needs, Slot, Stage, Upstream, param
from stages.kinds import identities, tracks
from stages.kinds.sequences import INDEX, REGIONS, SOUND, TEMPLATES, TOPOLOGY, TRANSCRIPTS, VERTICES, Entry, Sequences

SHARED = (TEMPLATES, TOPOLOGY)
"""Files that segments have as the sequences have them."""
FOLDERS = (REGIONS, identities.FOLDER)
"""Folders, likewise."""


@dataclass(frozen=True)
class Params:
    frames: int = param(48, low=2, help="frames of a segment; 48 is 2 s at 24 frames per second (FaceTalk)")
    hop: int = param(
        0, low=0, help="frames from the start of one to that of the next; 0: as many as it has, so that none share any"
    )
    rest: str = param(
        "drop",
        choices=("drop", "keep", "overlap"),
        help="frames at the end that make no whole segment: drop them; keep them as a shorter one; or overlap, a whole "
        "one that ends with the sequence. A sequence shorter than a segment is dropped but with keep",
    )
    sound: str = param(
        "rate",
        choices=("rate", "ends"),
        help="which sound a frame has: rate, by the frame rate, from the first on; ends, sound and motion begin and "
        "end together, as training has it, for data whose frame rate is not quite what it says (FaceTalk's)",
    )

    @property
    def step(self) -> int:
        """Frames from one start to the next."""
        return self.hop or self.frames


class SegmentSequences(Stage):
    """`sequences` → `sequences` of equal length, cut from them."""

    name = "segment"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot(
            "sequences",
            uses=(INDEX, *SHARED, *FOLDERS, TRANSCRIPTS, VERTICES, SOUND, tracks.FOLDER, tracks.INDEX),
        ),
    }
    output = "sequences"
    libraries = ("numpy", "torch")

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return f"{upstream['data'].label}-segments{self.params.frames}"

    def needs(self) -> Needs:
        return Needs(threads="any")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A sequence and all its segments: of its own files and its entry."""
        data, files = Sequences(given["data"].path), given["data"].files
        kinds = {name: rows.track.framewise for name, rows in tracks.read_tracks(data.path).items()}

        def facts(name: str, entry: Entry) -> list[Any]:
            places = {VERTICES: "npy", SOUND: "wav", **{f"{tracks.FOLDER}/{track}": "npy" for track in kinds}}
            return [[files.get(f"{place}/{name}.{end}") for place, end in sorted(places.items())], asdict(entry)]

        moving = {name: entry for name, entry in data.info.sequences.items() if entry.frames}
        each = {name: facts(name, entry) for name, entry in moving.items()}
        return Items(each, shared=[data.fps, dict(sorted(kinds.items()))])

    def run(self, job: Job) -> None:
        from stages.segment.cut import cut

        cut(job, self.params)
