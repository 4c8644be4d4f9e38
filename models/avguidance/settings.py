"""What a recipe may set of guided training. Defaults are the published values where these can be meant; the released
code's mistakes are options, and its own words for them stand in docs/papers/avguidance.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from models.faceformer.settings import Settings as FaceFormerSettings
from models.settings import Wants, setting

FROZEN, FINETUNE = "frozen", "finetune"
ATTACHED, DETACHED = "attached", "detached"
RESAMPLED, RELEASED, CAPITALS = "resampled", "released", "capitals"


@dataclass(frozen=True)
class Settings(FaceFormerSettings):
    """FaceFormer's, the weights of the losses, what the expert is shown, and whether it learns."""

    expert_model: ClassVar[str] = "lipreader"
    """The model that guides."""

    lip_weight: float = setting(1.0, "weight of the lip loss beside the geometry's; 1 as published", low=0.0)
    guidance_weight: float = setting(
        1e-7,
        "weight of the expert's loss, in nats a clip; 1e-7 as published, for gradients that were not attached and "
        "motion counted in metres: with attached ones it must be chosen anew, and with motion_scale, too",
        low=0.0,
    )
    lips: str = setting("lips", "region of the lip loss; entries that it repeats count as often")
    expert: str = setting(
        FROZEN,
        "'frozen': the expert judges, and stays as it is; 'finetune': it learns along, in train mode, as published",
        choices=(FROZEN, FINETUNE),
    )
    shading_gradient: str = setting(
        ATTACHED,
        "'attached': the rendered light hangs on the vertices; 'detached': as released, where nothing of use reaches "
        "the face",
        choices=(ATTACHED, DETACHED),
    )
    timing: str = setting(
        RESAMPLED,
        "'resampled': 25 pictures a second of any motion; 'released': every frame is a picture, so that lips and sound "
        "of VOCASET's 30 frames a second drift apart",
        choices=(RESAMPLED, RELEASED),
    )
    casing: str = setting(
        CAPITALS,
        "'capitals', which the published expert writes; 'released': as the files have them, without apostrophes",
        choices=(CAPITALS, RELEASED),
    )
    camera: str = setting(
        "fitted",
        "how the mouth is looked at: 'vocaset', 'biwi' as published, 'fitted' to the lips of any face, as large",
        choices=("fitted", "vocaset", "biwi"),
    )
    pixel_std: float = setting(
        0.0, "what grey is divided by; 0: as the expert was trained; 0.4 as published, with an expert of 0.165", low=0.0
    )
    time_mask: bool = setting(
        True,
        "hide spans of the expert's sound in training, as published; else a frozen expert hears each clip only once",
    )
    checkpoint_frames: int = setting(
        32,
        "pictures whose way through a frozen expert is kept at once, and computed twice for that; 0: all, and once",
        low=0,
    )

    def wants(self) -> Wants:
        """The mouth and its sound, which are filmed; where it is guided, an expert, too, and what is said."""
        asked = Wants(regions=(self.lips,), sound=True, mouth=True)
        return replace(asked, text="pieces", expert=self.expert_model) if self.guidance_weight else asked

    def problems(self) -> Iterator[str]:
        """FaceFormer's, and those of its own."""
        yield from super().problems()
        if self.teacher_forcing:
            yield "teacher_forcing = true: guidance looks at motion that the network makes itself, so set it to false"
