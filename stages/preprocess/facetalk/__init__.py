"""The data of FaceTalk (Aneja et al., "Audio-Driven Motion Diffusion for Neural Parametric Head Models", CVPR 2024).

A folder a sequence, at 24 frames per second: sound, expression codes of the head model NPHM, its meshes, FLAME meshes,
and features of the speech, as the README of its release describes them. FLAME meshes and sound become `sequences`;
codes and, where asked for, features go along as tracks. Nothing of it is in this project.
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

OUR_SPLITS = Path(__file__).parent.parent / "splits" / "facetalk.toml"

UNITS = ("auto", "m", "mm", "nphm")


@dataclass(frozen=True)
class Settings:
    """Where the folders are, and what of them is taken."""

    root: str = param(path=True, help="folder of the sequences' folders <ID>_<sequence>, data/ in the release")
    masks: str = param("", path=True, help="a pickle of region masks; default: FLAME_masks.pkl in root, if it is there")
    regions: str = param("", path=True, help="folder of <region>.txt; default: regions in root; wins over masks")
    splits: str = param("", path=True, help="a split file of your own; default: ours, by sentence")
    units: str = param("auto", choices=UNITS, help="what 1 is in the FLAME meshes; auto: by the size of the head")
    audio_features: bool = param(False, help="carry the precomputed features too, wave2vec_audio_feats.pkl")
    skip: list[str] = param([], selects=True, help="ids <ID>_<sequence> to leave out")

    native_fps: ClassVar[float] = 24.0
    source: ClassVar[Source] = Source(
        title="FaceTalk's NPHM and FLAME trackings of NeRSemble",
        citation="Aneja et al., FaceTalk: Audio-Driven Motion Diffusion for Neural Parametric Head Models, CVPR 2024; "
        "Kirschstein et al., NeRSemble: Multi-View Radiance Field Reconstruction of Human Heads, SIGGRAPH 2023",
        url="https://shivangi-aneja.github.io/projects/facetalk",
        licence="its owners', which comes with the data",
        terms="research; what comes with the data says the rest",
    )

    @property
    def split_file(self) -> Path:
        return Path(self.splits) if self.splits else OUR_SPLITS

    def sources(self) -> Sources:
        from stages.preprocess.facetalk.layout import find

        return Sources(files=find(self).files(self.skip) | {"the split file": self.split_file})

    def items(self, sources: Mapping[str, Any]) -> Items:
        """A sequence: of all that lies in its folder, and of its subject's template, which is another's."""
        from stages.preprocess.facetalk.layout import PARTS, find
        from stages.preprocess.given_regions import without_regions

        names = {"_".join(name): name for name in find(self).folders}
        each = {key: [sources.get(f"the {part} of {key}") for part in PARTS] for key in names if key not in self.skip}
        parts = tuple(f"the {part} of " for part in PARTS)
        told = (*parts, "the split file")
        shared = {name: hash_ for name, hash_ in without_regions(sources).items() if not name.startswith(told)}
        return Items(each, shared=shared, whole=False)

    def prepare(self, job: Job, *, step: int, limit: int) -> None:
        from stages.preprocess.facetalk.prepare import prepare

        prepare(self, job, dataset="facetalk", step=step, limit=limit)

    def recordings(self) -> tuple[Recordings, Splits]:
        """The data opened and the splits, for `pipe data check`."""
        from stages.preprocess.facetalk.prepare import recordings

        return recordings(self)
