"""The stage `voice`: sound of the user's own and a face to speak it → `sequences` of sound alone.

What is made has no vertices: nobody knows how the face should move. It is to the stages `features`, `infer` and
`render` what a prepared data set is, with one subject and one split, "voice".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.stage import Given, Items, Job, Sources, Upstream, param
from stages.voice.one_face import OfOneFace
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


class Voice(OfOneFace):
    """Sound and a face, for the network of a `checkpoint` → `sequences` without vertices."""

    name = "voice"
    Params = Params

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
        return Sources(files=files | self.mesh_files())

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A sound, of its file alone. One that cannot be used is none, so that they are not counted before."""
        sounds = {name.removeprefix(SOUND): digest for name, digest in sources.items() if name.startswith(SOUND)}
        return Items(sounds, whole=False)

    def run(self, job: Job) -> None:
        from stages.voice.prepare import prepare

        prepare(job, self.params.audio, self.subject, self.params.mesh)
