"""FACEGOOD's speech and animation curves on ICT-FaceKit's heads: real 4D faces with real speech, both under MIT.

FACEGOOD-Audio2Face holds recorded speech and hand-made animation curves at 30 frames per second; ICT-FaceKit a
morphable head whose expression shapes have ARKit's names. A table joins the two, subjects come from the kit's identity
modes, and clips are cut into sentences at pauses. A user clones both repositories; nothing of them is in this project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pipeline.stage import Items, Job, Sources, param
from stages.kinds.card import Source

OWN_MAPPING = Path(__file__).parent / "mapping.toml"

HEADS = ("face", "whole")


@dataclass(frozen=True)
class Settings:
    """Where the two clones are, who speaks, and where speech is cut."""

    facegood: str = param(path=True, help="clone of FACEGOOD-Audio2Face: the folder that holds code/train")
    ict: str = param(path=True, help="clone of ICT-FaceKit: the folder that holds FaceXModel")
    mapping: str = param("", path=True, help="a table curve → shape, gain of your own; default: the project's")
    head: str = param("face", choices=HEADS, help="face: the kit's full face area alone; whole: neck, teeth, eyes too")
    subjects: int = param(6, low=3, high=99, help="how many; the last sixth, at least one, tests, the one before that "
        "validates, all others train")  # fmt: skip
    modes: int = param(12, low=1, high=100, help="identity modes that a subject's form is drawn from")
    data_seed: int = param(0, low=0, help="what the subjects' forms are drawn from")
    takes: int = param(
        1, low=1, high=99, help="by how many subjects of its split a sentence is spoken; they move alike"
    )
    val_clips: list[str] = param(["1114_3_15"], help="clips whose sentences validate")
    test_clips: list[str] = param(["1114_2_04"], help="clips whose sentences test; all others train")
    silence_db: float = param(
        -40.0, low=-90.0, high=-6.0, help="a frame is silent this far below a clip's loud ones, dB"
    )
    pause: float = param(0.3, low=0.05, high=10.0, help="silence of this many seconds may be cut in its middle")
    shortest: float = param(2.5, low=0.2, high=60.0, help="seconds of a sentence, at least")
    longest: float = param(8.0, low=0.4, high=600.0, help="seconds of a sentence, at most, at least twice `shortest`")
    skip: list[str] = param([], selects=True, help="ids <subject>_<sentence> to leave out")

    native_fps: ClassVar[float] = 30.0
    source: ClassVar[Source] = Source(
        title="FACEGOOD-Audio2Face on ICT-FaceKit",
        citation="FACEGOOD, Audio2Face (github.com/FACEGOOD/FACEGOOD-Audio2Face); Li et al., Learning Formation of "
        "Physically-Based Face Attributes, CVPR 2020",
        url="https://github.com/FACEGOOD/FACEGOOD-Audio2Face and https://github.com/ICT-VGL/ICT-FaceKit",
        licence="MIT, both",
        terms="any use, with the two copyright notices",
    )

    @property
    def mapping_file(self) -> Path:
        return Path(self.mapping) if self.mapping else OWN_MAPPING

    def problems(self) -> Iterator[str]:
        """Sentences on settings that do not go together."""
        if self.longest < 2 * self.shortest:
            yield f"longest = {self.longest:g} must be at least twice shortest = {self.shortest:g}"
        if both := sorted(set(self.val_clips) & set(self.test_clips)):
            yield f"val_clips and test_clips both name {', '.join(both)}; a clip may be in one split only"

    def sources(self) -> Sources:
        from stages.preprocess.ict_facegood.layout import find

        return Sources(files=find(self).files())

    def items(self, sources: Mapping[str, Any]) -> Items:
        """Which sentences there are is heard only when the stage runs; each hangs on all that is read."""
        return Items(None, shared=dict(sources))

    def prepare(self, job: Job, *, step: int, limit: int) -> None:
        from stages.preprocess.ict_facegood.prepare import prepare

        prepare(self, job, step=step, limit=limit)
