"""The stage `clip`: recordings of a new speaker, motion and the sound that goes with it → `sequences`.

A few seconds of them tell the stage `style` how somebody speaks. Motion is in arrays with the vertices of a network's
training data, in their order and unit, at the network's frame rate; what is made has one subject and one split, "clip".
Recordings of other forms are a data set of one's own (`stages.preprocess.own`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.stage import Given, Items, Job, Sources, Upstream, param
from stages.clip.pairs import pairs_in
from stages.voice.one_face import OfOneFace

SPLIT = "clip"
"""The only split of what is made."""


@dataclass(frozen=True)
class Params:
    motion: str = param(
        path=True, help="an .npy of (frames, vertices, 3) with its sound beside it, or a folder of such pairs"
    )
    name: str = param(help="what the speaker is called")
    subject: str | None = param(None, help="whose neutral face the motion departs from: a subject of the data")
    mesh: str | None = param(None, path=True, help="the neutral face itself, a .ply or .obj")


class Clip(OfOneFace):
    """Motion with its sound, for the network of a `checkpoint` → `sequences`."""

    name = "clip"
    Params = Params

    def check(self) -> Iterable[str]:
        if bool(self.params.subject) == bool(self.params.mesh):
            yield "subject and mesh: one of them must say which neutral face the motion departs from"

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return str(self.params.name)

    def sources(self) -> Sources:
        files = dict[str, Path]()
        for name, pair in pairs_in(Path(self.params.motion)).items():
            files |= {f"motion {name}": pair.motion, f"sound {name}": pair.sound}
        return Sources(files=files | self.mesh_files())

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        """A pair: of its two files, and of the face and the network that they are held against."""
        names = [name.removeprefix("motion ") for name in sources if name.startswith("motion ")]
        each = {name: [sources[f"motion {name}"], sources[f"sound {name}"]] for name in names}
        return Items(each, [self.reads(given), sources.get("mesh")])

    def run(self, job: Job) -> None:
        from stages.clip.prepare import prepare

        prepare(job, self.params)
