"""VOCASET as its owners hand it out (Cudeiro et al., "Capture, Learning, and Synthesis of 3D Speaking Styles", 2019).

12 subjects, 40 sentences each, 60 frames per second, FLAME topology with 5,023 vertices in metres, head pose removed.
The data are licensed to each user by their owners; nothing of them is in this project.
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

OFFICIAL_SPLITS = Path(__file__).parent.parent / "splits" / "vocaset.toml"

RAW_FILES = {
    "vertices": "data_verts.npy",
    "audio": "raw_audio_fixed.pkl",
    "templates": "templates.pkl",
    "index": "subj_seq_to_idx.pkl",
}

SOURCES = {
    "vertices": "the vertices",
    "audio": "the sound",
    "templates": "the templates",
    "index": "the index of sequences",
    "topology": "the mesh of the topology (or name one with `topology`)",
    "splits": "the split file",
    "masks": "the masks of regions",
}
"""How the engine speaks of the files: "<path> is missing; <this> must be there"."""


@dataclass(frozen=True)
class Settings:
    """Where the raw files are."""

    root: str = param(
        path=True, help="folder with data_verts.npy, raw_audio_fixed.pkl, templates.pkl, subj_seq_to_idx.pkl"
    )
    topology: str = param("", path=True, help="a mesh of the topology; default: FLAME_sample.ply in root")
    masks: str = param("", path=True, help="a pickle of region masks; default: FLAME_masks.pkl in root, if it is there")
    regions: str = param("", path=True, help="a folder of <region>.txt vertex indices; wins over masks")
    splits: str = param("", path=True, help="a split file of your own; default: the official splits")
    skip: list[str] = param([], selects=True, help="ids <subject>_<sentence> to leave out")

    native_fps: ClassVar[float] = 60.0
    source: ClassVar[Source] = Source(
        title="VOCASET",
        citation="Cudeiro et al., Capture, Learning, and Synthesis of 3D Speaking Styles, CVPR 2019",
        url="https://voca.is.tue.mpg.de",
        licence="of the Max Planck Institute for Intelligent Systems, after registration",
        terms="non-commercial research; may not be passed on",
    )

    @property
    def files(self) -> dict[str, Path]:
        """What is read, by name."""
        root = Path(self.root)
        found = {name: root / file for name, file in RAW_FILES.items()}
        found["topology"] = Path(self.topology) if self.topology else root / "FLAME_sample.ply"
        found["splits"] = Path(self.splits) if self.splits else OFFICIAL_SPLITS
        masks = Path(self.masks) if self.masks else root / "FLAME_masks.pkl"
        if self.masks or masks.is_file():
            found["masks"] = masks
        return found

    def sources(self) -> Sources:
        files = {SOURCES[name]: file for name, file in self.files.items()}
        if self.regions:
            folder = Path(self.regions)
            lists = {f"regions/{file.stem}": file for file in sorted(folder.glob("*.txt"))}
            # Never there: the engine then says that the folder, or what it should hold, is missing.
            files |= lists or {"vertex indices of a region": folder / "<region>.txt"}
        return Sources(files=files)

    def items(self, sources: Mapping[str, Any]) -> Items:
        """Every sequence hangs on the few large files; which of them there are, on what these hold."""
        raw = {SOURCES[name] for name in RAW_FILES}
        return Items(None, shared={name: hash_ for name, hash_ in sources.items() if name in raw})

    def prepare(self, job: Job, *, step: int, limit: int) -> None:
        from stages.preprocess.vocaset.prepare import prepare

        prepare(self, job, dataset="vocaset", step=step, limit=limit)

    def recordings(self) -> tuple[Recordings, Splits]:
        """The data opened and the splits, for `pipe data check`."""
        from stages.preprocess.vocaset.prepare import recordings

        return recordings(self)
