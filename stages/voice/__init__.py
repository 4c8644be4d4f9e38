"""The stage `voice`: sound of the user's own and a face to speak it → `sequences` of sound alone.

What is made has no vertices: nobody knows how the face should move. It is to the stages `features`, `infer` and
`render` what a prepared data set is, with one subject and one split, "voice".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from faces import region_table
from pipeline.stage import Given, Items, Job, Needs, Slot, Sources, Stage, Upstream, of_json, param
from stages.kinds.checkpoint import CONFIG
from stages.kinds.sequences import INDEX, REGIONS, TEMPLATES, TOPOLOGY, Sequences
from stages.voice.sound_files import plain_id, sounds_in

SPLIT = "voice"
"""The only split of what is made."""
SOUND = "sound "
"""What begins the name of a sound among the sources."""


@dataclass(frozen=True)
class Params:
    audio: str = param(path=True, help="a file of sound (wav, flac, mp3, ogg, m4a, …), or a folder of them")
    subject: str | None = param(
        None, selects=True, help="whose neutral face speaks: a subject of the data; with mesh, its name"
    )
    mesh: str | None = param(
        None, path=True, help="the neutral face itself, a .ply or .obj with the network's vertices, in its unit"
    )


class Voice(Stage):
    """Sound and a face, for the network of a `checkpoint` → `sequences` without vertices."""

    name = "voice"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "checkpoint": Slot("checkpoint", uses=(CONFIG,)),
        "data": Slot("sequences", uses=(INDEX, TEMPLATES, TOPOLOGY, REGIONS), optional=True),
    }
    output = "sequences"
    libraries = ("numpy", "av")

    def check(self) -> Iterable[str]:
        if not self.params.subject and not self.params.mesh:
            yield "subject names nobody and mesh no file: one of them must say whose face speaks"

    @property
    def subject(self) -> str:
        """What the face is called."""
        return self.params.subject or plain_id(Path(self.params.mesh or "").stem)

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return f"{plain_id(Path(self.params.audio).stem)}-{self.subject}".replace("--", "-")

    def sources(self) -> Sources:
        """Each sound for itself, so that another file in the folder that is none changes nothing."""
        files = {f"{SOUND}{name}": file for name, file in sounds_in(Path(self.params.audio)).items()}
        if self.params.mesh:
            files |= {"mesh": Path(self.params.mesh), region_table.WHAT: region_table.FILE}
        return Sources(files=files)

    def reads(self, given: Mapping[str, Given]) -> Mapping[str, Mapping[str, str]]:
        """Of the data one template, and what is true of all: a sentence more changes no voice."""
        parts = {slot: entry.content for slot, entry in given.items()}
        if "data" in given:
            # A mesh of the user's is held against any face of the data: all stand in one order.
            subject = None if self.params.mesh else self.subject
            parts["data"] = of_one_face(Sequences(given["data"].path), given["data"], subject)
        return parts

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A sound, of its file alone. One that cannot be used is none, so that they are not counted before."""
        sounds = {name.removeprefix(SOUND): digest for name, digest in sources.items() if name.startswith(SOUND)}
        return Items(sounds, whole=False)

    def needs(self) -> Needs:
        return Needs(threads="any")

    def run(self, job: Job) -> None:
        from stages.voice.prepare import prepare

        prepare(job, self.params.audio, self.subject, self.params.mesh)


def of_one_face(data: Sequences, given: Given, subject: str | None) -> dict[str, str]:
    """Part → digest: what is true of all faces of the data, and the template of one, where it is named."""
    info = data.info
    template = {} if subject is None else {TEMPLATES: of_json(data.template_digests.get(subject))}
    facts = of_json([info.dataset, info.fps, info.units, info.up, info.vertices])
    return {top: given.content.get(top, "") for top in (TOPOLOGY, REGIONS)} | template | {INDEX: facts}
