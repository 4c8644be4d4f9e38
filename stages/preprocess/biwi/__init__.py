"""BIWI, the 3-D Audiovisual Corpus of Affective Communication B3D(AC)² (Fanelli et al., IEEE Trans. Multimedia 2010).

14 subjects, 40 sentences spoken neutrally (01 …) and with emotion (e01 …), 25 frames per second, 23,370 vertices, head
motion removed; prepared as CodeTalker (Xing et al., CVPR 2023) published it, as FaceXHuBERT (Haque and Yumak, ICMI
2023) did, or otherwise. It is read from what a user may hold: `.vl` frames, packed or not, meshes frame by frame, or
arrays that somebody else has made. Nothing of it is in this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.stage import Items, Job, Sources, param
from stages.kinds.card import Source
from stages.preprocess import given_transcripts, published_transcripts
from stages.preprocess.biwi.variants import SENTENCES, VARIANTS, Variant
from stages.preprocess.given_transcripts import SOURCE as WORDS

if TYPE_CHECKING:
    from stages.preprocess.prepare import Recordings
    from stages.preprocess.split_file import Splits

NORMALISATIONS = ("auto", "frame", "template", "extent", "none")


@dataclass(frozen=True)
class Settings:
    """Where the files are, which of them count, and how heads are brought to one size and place."""

    root: str = param(
        path=True, help="folder with faces/, rigid_scans/ and audio/ or videos/, or vertices_npy/, wav/, templates.pkl"
    )
    variant: str = param(
        "codetalker",
        choices=tuple(VARIANTS),
        help="whose preparation: what `auto` means below, the names of sentences, the official splits",
    )
    frames: str = param("", path=True, help="folder of the frames; default: faces or vertices_npy in root")
    audio: str = param("", path=True, help="folder of the wav files; default: wav and audio in root")
    videos: str = param("", path=True, help="folder of .flv files, for sound that is no wav; default: videos in root")
    templates: str = param("", path=True, help="folder of meshes, or .pkl or .npz; default: rigid_scans or templates.*")
    topology: str = param("", path=True, help="mesh with the triangles; default: the templates', or BIWI.ply in root")
    regions: str = param("", path=True, help="folder of vertex indices; default: those in root or in root/regions")
    splits: str = param("", path=True, help="a split file of your own; default: the official splits")
    sentences: str = param(
        "auto",
        choices=("auto", *SENTENCES),
        selects=True,
        help="auto: emotional alone for codetalker, all for facexhubert, as published",
    )
    normalise: str = param(
        "auto",
        choices=NORMALISATIONS,
        help="frame: each frame by itself, as CodeTalker; template: all by their subject's template; extent: by its "
        "extents along x, y and z, as FaceXHuBERT; none: as they are; auto: none for arrays, else the variant's",
    )
    digits: int = param(
        0,
        low=0,
        high=9,
        help="significant digits that raw frames are rounded to first; 0: as they are; 5: as FaceXHuBERT's text files",
    )
    skip: list[str] = param([], selects=True, help="ids <subject>_<sentence> to leave out")

    native_fps: ClassVar[float] = 25.0
    source: ClassVar[Source] = Source(
        title="BIWI 3D Audiovisual Corpus of Affective Communication, B3D(AC)²",
        citation="Fanelli et al., A 3-D Audio-Visual Corpus of Affective Communication, IEEE Trans. Multimedia 2010",
        url="no longer handed out by its owners, ETH Zürich",
        licence="of ETH Zürich, by agreement",
        terms="research; may not be passed on",
    )

    @property
    def published(self) -> Variant:
        return VARIANTS[self.variant]

    @property
    def which(self) -> str:
        """Which sentences: a key of `SENTENCES`."""
        return self.sentences if self.sentences != "auto" else self.published.sentences

    @property
    def split_file(self) -> Path:
        return Path(self.splits) if self.splits else self.published.splits

    def sources(self) -> Sources:
        from stages.preprocess.biwi.layout import find

        texts = given_transcripts.sources(self.root) | published_transcripts.biwi_sources(self.root)
        return Sources(files=find(self).files(self.skip) | {"the split file": self.split_file} | texts)

    def items(self, sources: Mapping[str, Any]) -> Items:
        """A sequence: of its frames, its sound and its subject's template; those without sound are left out anyway."""
        from stages.preprocess.biwi.layout import find

        layout = find(self)

        def facts(key: str, subject: str) -> list[Any]:
            parts = (f"the frames of {key}", f"the sound of {key}", f"the template of {subject}")
            return [sources.get(part) for part in parts]

        names = {"_".join(name): name for name in layout.motion if name in layout.sound}
        each = {key: facts(key, name[0]) for key, name in names.items() if key not in self.skip}
        told = ("the frames of ", "the sound of ", "the template of ", "regions/", "the split file", WORDS)
        return Items(each, shared={name: hash_ for name, hash_ in sources.items() if not name.startswith(told)})

    def prepare(self, job: Job, *, step: int, limit: int) -> None:
        from stages.preprocess.biwi.prepare import prepare

        prepare(self, job, dataset="biwi", step=step, limit=limit)

    def recordings(self) -> tuple[Recordings, Splits]:
        """The data opened and the splits, for `pipe data check`."""
        from stages.preprocess.biwi.prepare import recordings

        return recordings(self)
