"""3D-MEAD: FLAME heads reconstructed from the videos of MEAD (Wang et al., ECCV 2020), 25 frames per second.

Read in the three forms in which users hold it: vertices, as TalkingStyle (Song et al., TVCG 2024) lays them out; the
parameters of EMOTE's reconstruction (Daněček et al., SIGGRAPH Asia 2023), an HDF5 file a sequence; and those as
ProbTalk3D (Wu et al., MIG 2024) keeps them, an array a sequence. Parameters become vertices through the FLAME model
that the user has from its owners. Nothing of all this is in this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.stage import Items, Job, Sources, param
from stages.kinds.card import Source
from stages.preprocess import given_transcripts

if TYPE_CHECKING:
    from stages.preprocess.prepare import Recordings
    from stages.preprocess.split_file import Splits

OUR_SPLITS = Path(__file__).parent.parent / "splits" / "mead.toml"

FORMS = ("auto", "vertices", "parameters")
SHAPES = ("zero", "subject")


@dataclass(frozen=True)
class Settings:
    """Where the files are, which of them count, and what is made of parameters."""

    root: str = param(path=True, help="folder with vertices_npy/, param/ or EMICA-MEAD_flame2020/, and the sound")
    motion: str = param("", path=True, help="folder of the motion; default: the first of those three in root, or root")
    form: str = param("auto", choices=FORMS, help="what the motion is; auto: by the folder's name and what it holds")
    audio: str = param("", path=True, help="folder of the sound, wav or m4a; default: wav and audio in root, and root")
    flame: str = param("", path=True, help="FLAME's model, yours, .pkl or .npz; default: generic_model.pkl in root")
    templates: str = param(
        "", path=True, help="of vertices: .pkl or .npz, or one mesh for all; default: templates.pkl or .npz in root"
    )
    topology: str = param("", path=True, help="of vertices: a mesh; default: FLAME_sample.ply in root or templates/")
    masks: str = param("", path=True, help="a pickle of region masks; default: FLAME_masks.pkl in root, if it is there")
    regions: str = param("", path=True, help="folder of <region>.txt; default: regions in root; wins over masks")
    splits: str = param("", path=True, help="a split file of your own; default: ours, by sentence")
    emotions: list[str] = param([], selects=True, help="the emotions to take, e.g. happy; none named: all")
    levels: list[int] = param([], selects=True, help="the levels of intensity to take, 0 to 2; none named: all")
    expressions: int = param(50, low=1, high=100, help="of parameters: expressions that are used, 50 as published")
    shape: str = param(
        "zero", choices=SHAPES, help="of parameters: zero, FLAME's mean head for all, as published; or the subject's"
    )
    recorded: float = param(25.0, low=1.0, help="frames per second of the data; EMOTE's are 25")
    skip: list[str] = param([], selects=True, help="ids <subject>_<sentence> to leave out")

    source: ClassVar[Source] = Source(
        title="3D-MEAD, FLAME heads reconstructed from MEAD",
        citation="Wang et al., MEAD: A Large-Scale Audio-Visual Dataset for Emotional Talking-Face Generation, ECCV "
        "2020; Daněček et al., Emotional Speech-Driven Animation with Content-Emotion Disentanglement, SIGGRAPH Asia "
        "2023",
        url="https://wywu.github.io/projects/MEAD/MEAD.html",
        licence="MEAD's own; reconstructions and FLAME: of the Max Planck Institute for Intelligent Systems",
        terms="non-commercial research; the FLAME model only after registration at https://flame.is.tue.mpg.de",
    )

    @property
    def native_fps(self) -> float:
        return self.recorded

    @property
    def split_file(self) -> Path:
        return Path(self.splits) if self.splits else OUR_SPLITS

    def sources(self) -> Sources:
        from stages.preprocess.mead.layout import find

        texts = given_transcripts.sources(self.root)
        return Sources(files=find(self).files(self.skip) | {"the split file": self.split_file} | texts)

    def items(self, sources: Mapping[str, Any]) -> Items:
        """A sequence: of its motion, its sound, and what its subject's shape is taken from."""
        from stages.preprocess.given_regions import without_regions
        from stages.preprocess.mead.layout import find

        layout, each = find(self), dict[str, Any]()
        for name in layout.motion.keys() & layout.sound.keys():
            key = "_".join(name)
            parts = [f"the motion of {key}", f"the sound of {key}"]
            if self.shape == "subject" and layout.parametric:
                parts.append(f"the motion of {'_'.join(layout.model_of(name[0], self.skip))}")
            if key not in self.skip:
                each[key] = [sources.get(part) for part in parts]
        told = ("the motion of ", "the sound of ", "the split file", given_transcripts.SOURCE)
        shared = {name: hash_ for name, hash_ in without_regions(sources).items() if not name.startswith(told)}
        return Items(each, shared=shared)

    def prepare(self, job: Job, *, step: int, limit: int) -> None:
        from stages.preprocess.mead.prepare import prepare

        prepare(self, job, dataset="mead", step=step, limit=limit)

    def recordings(self) -> tuple[Recordings, Splits]:
        """The data opened and the splits, for `pipe data check`."""
        from stages.preprocess.mead.prepare import recordings

        return recordings(self)
