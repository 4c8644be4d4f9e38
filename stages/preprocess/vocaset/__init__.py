"""VOCASET (Cudeiro et al., "Capture, Learning, and Synthesis of 3D Speaking Styles", 2019).

12 subjects, 40 sentences each, 60 frames per second, FLAME topology with 5,023 vertices in metres, head pose removed.
It is read as its owners hand it out, or from the folder that the scripts of FaceFormer and CodeTalker make of that. The
data are licensed to each user by their owners; nothing of them is in this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from faces import region_table
from pipeline.stage import Items, Job, Sources, param
from stages.kinds.card import Source
from stages.preprocess import given_transcripts, published_transcripts

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

READY_FRAMES, READY_SOUND = "vertices_npy", "wav"
"""Folders of the published scripts: <subject>_<sentence>.npy and .wav."""
TOPOLOGIES = ("FLAME_sample.ply", "templates/FLAME_sample.ply")

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
    """Where the files are, and at what rate they were recorded."""

    root: str = param(
        path=True,
        help="folder with data_verts.npy, raw_audio_fixed.pkl, templates.pkl, subj_seq_to_idx.pkl; or with "
        "vertices_npy/, wav/ and templates.pkl, as published scripts leave them",
    )
    recorded_fps: float = param(60.0, low=1.0, help="frames per second of the files; 60 as handed out and as published")
    topology: str = param("", path=True, help="a mesh of the topology; default: FLAME_sample.ply in root")
    masks: str = param("", path=True, help="a pickle of region masks; default: FLAME_masks.pkl in root, if it is there")
    regions: str = param("", path=True, help="a folder of <region>.txt vertex indices, or other lists; wins over masks")
    splits: str = param("", path=True, help="a split file of your own; default: the official splits")
    skip: list[str] = param([], selects=True, help="ids <subject>_<sentence> to leave out")

    source: ClassVar[Source] = Source(
        title="VOCASET",
        citation="Cudeiro et al., Capture, Learning, and Synthesis of 3D Speaking Styles, CVPR 2019",
        url="https://voca.is.tue.mpg.de",
        licence="of the Max Planck Institute for Intelligent Systems, after registration",
        terms="non-commercial research; may not be passed on",
    )

    @property
    def native_fps(self) -> float:
        return self.recorded_fps

    @property
    def is_ready(self) -> bool:
        """Whether the folder is one that published scripts have made."""
        root = Path(self.root)
        return (root / READY_FRAMES).is_dir() and not (root / RAW_FILES["vertices"]).exists()

    @property
    def files(self) -> dict[str, Path]:
        """What is read beside single sequences, by name."""
        root, usual = Path(self.root), [Path(self.root, name) for name in TOPOLOGIES]
        names = ("templates",) if self.is_ready else tuple(RAW_FILES)
        found = {name: root / RAW_FILES[name] for name in names}
        there = next((file for file in usual if file.exists()), usual[0])
        found["topology"] = Path(self.topology) if self.topology else there
        found["splits"] = Path(self.splits) if self.splits else OFFICIAL_SPLITS
        masks = Path(self.masks) if self.masks else root / "FLAME_masks.pkl"
        if self.masks or masks.is_file():
            found["masks"] = masks
        return found

    @property
    def sequences(self) -> dict[str, tuple[Path, Path]]:
        """Of a ready folder, id → frames and sound, which may be absent."""
        root = Path(self.root)
        return {
            file.stem: (file, root / READY_SOUND / f"{file.stem}.wav")
            for file in sorted((root / READY_FRAMES).glob("[!.]*.npy"))
        }

    def sources(self) -> Sources:
        files = {SOURCES[name]: file for name, file in self.files.items()} | self._texts()
        if self.is_ready:
            files |= self._ready_sources()
        if self.regions:
            folder = Path(self.regions)
            lists = {f"regions/{region_table.plain_name(file)}": file for file in region_table.files_in(folder)}
            # Never there: the engine then says that the folder, or what it should hold, is missing.
            files |= lists or {"vertex indices of a region": folder / "<region>.txt"}
        return Sources(files=files)

    def items(self, sources: Mapping[str, Any]) -> Items:
        """In a ready folder a sequence is its two files. Else each hangs on the few large files, of which no plan can
        tell what they hold of it; which there are, on the same.
        """
        if not self.is_ready:
            return Items(None, shared=[sources.get(SOURCES[name]) for name in ("vertices", "audio", "index")])
        each = {
            key: [sources[f"the frames of {key}"], sources[f"the sound of {key}"]]
            for key in self.sequences
            if f"the sound of {key}" in sources
        }
        return Items(each)

    def _texts(self) -> dict[str, Path]:
        return given_transcripts.sources(self.root) | published_transcripts.vocaset_sources(self.root)

    def _ready_sources(self) -> dict[str, Path]:
        found = dict[str, Path]()
        for key, (frames, sound) in self.sequences.items():
            if key not in self.skip:
                found[f"the frames of {key}"] = frames
                if sound.exists():
                    found[f"the sound of {key}"] = sound
        return found or {"the frames of a sequence": Path(self.root, READY_FRAMES, "<subject>_<sentence>.npy")}

    def prepare(self, job: Job, *, step: int, limit: int) -> None:
        from stages.preprocess.vocaset.prepare import prepare

        prepare(self, job, dataset="vocaset", step=step, limit=limit)

    def recordings(self) -> tuple[Recordings, Splits]:
        """The data opened and the splits, for `pipe data check`."""
        from stages.preprocess.vocaset.prepare import recordings

        return recordings(self)
