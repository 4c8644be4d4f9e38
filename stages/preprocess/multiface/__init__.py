"""Multiface (Wuu et al., "Multiface: A Dataset for Neural Face Rendering", 2022), prepared as FaceDiffuser does.

13 speakers, 50 sentences each, 30 frames per second, tracked meshes of 7,306 vertices in millimetres. 1,134 of these
are taken away, which leaves MeshTalk's 6,172; what is left is scaled to a box of ±1, each axis by itself. Read from the
files as Meta hands them out, or from arrays that somebody has made of them. Nothing of it is in this project, nor is
the list of vertices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.stage import Items, Job, Sources, param
from stages.kinds.card import Source

if TYPE_CHECKING:
    from stages.preprocess.prepare import Recordings
    from stages.preprocess.split_file import Splits

OFFICIAL_SPLITS = Path(__file__).parent.parent / "splits" / "multiface.toml"

UNITS = ("box", "mm")


@dataclass(frozen=True)
class Settings:
    """Where the files are, who is who, and in which units the meshes are written."""

    root: str = param(path=True, help="folder of the speakers' folders, or with vertices_npy/ and wav/")
    removed: str = param(
        "", path=True, help="list of the vertices to take away, .txt or .npy; default: removed_vertices.txt in root"
    )
    topology: str = param("", path=True, help="MeshTalk's mesh; default: face_template.obj in root")
    templates: str = param("", path=True, help=".pkl or .npz; default: those in root, or each speaker's neutral frame")
    regions: str = param("", path=True, help="folder of regions and masks; default: regions in root")
    splits: str = param("", path=True, help="a split file of your own; default: FaceDiffuser's splits")
    speakers: list[str] = param([], help="all speakers' folders, in the order of their numbers; default: sorted")
    units: str = param("box", choices=UNITS, help="box: each axis scaled to -1 to 1, as published; mm: millimetres")
    skip: list[str] = param([], selects=True, help="ids <speaker>_<sentence> to leave out")

    native_fps: ClassVar[float] = 30.0
    source: ClassVar[Source] = Source(
        title="Multiface",
        citation="Wuu et al., Multiface: A Dataset for Neural Face Rendering, 2022; prepared as in Stan et al., "
        "FaceDiffuser, MIG 2023",
        url="https://github.com/facebookresearch/multiface",
        licence="Meta's, in the repository of the data set",
        terms="non-commercial; the licence says the rest",
    )

    @property
    def split_file(self) -> Path:
        return Path(self.splits) if self.splits else OFFICIAL_SPLITS

    def sources(self) -> Sources:
        from stages.preprocess.multiface.layout import find

        return Sources(files=find(self).files(self.skip) | {"the split file": self.split_file})

    def items(self, sources: Mapping[str, Any]) -> Items:
        """A sequence: of its frames and its sound."""
        from stages.preprocess.multiface.layout import find

        layout, each = find(self), dict[str, Any]()
        for key in sorted("_".join(name) for name in layout.motion.keys() & layout.sound.keys()):
            if key not in self.skip:
                each[key] = [sources.get(f"the frames of {key}"), sources.get(f"the sound of {key}")]
        told = ("the frames of ", "the sound of ", "the template of ", "regions/", "the split file")
        return Items(each, shared={name: hash_ for name, hash_ in sources.items() if not name.startswith(told)})

    def prepare(self, job: Job, *, step: int, limit: int) -> None:
        from stages.preprocess.multiface.prepare import prepare

        prepare(self, job, dataset="multiface", step=step, limit=limit)

    def recordings(self) -> tuple[Recordings, Splits]:
        """The data opened and the splits, for `pipe data check`."""
        from stages.preprocess.multiface.prepare import recordings

        return recordings(self)
