"""What a recipe may set of FaceTalk.

The paper states the steps of the noise, the length of a crop, the share of dropped sound and the causal, aligned
masks; neither sizes nor weights were published, and those here are of networks for the same task (EDGE, DiffPoseTalk).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from models.settings import ListeningSettings, Wants, setting


@dataclass(frozen=True)
class Settings(ListeningSettings):
    """Sizes of the denoiser, what it moves, how noise comes in, and how it is trained."""

    styles: ClassVar[bool] = False
    draws: ClassVar[bool] = True
    takes_frames: ClassVar[bool] = True
    alignment: ClassVar[str] = "interpolate"  # type: ignore[misc]
    """A frame owns one step of speech, as the paper's mask asks; so it is no setting."""

    feature_dim: int = setting(512, "channels d of the denoiser, an even number; unpublished, 512 as EDGE", low=4)
    layers: int = setting(8, "layers of the denoiser; unpublished, 8 as EDGE", low=1)
    heads: int = setting(8, "attention heads of the denoiser; unpublished, 8 as EDGE", low=1)
    feedforward: int = setting(
        1024, "channels of its feed-forward parts; unpublished, 1024 as EDGE; 0 is 2·feature_dim", low=0
    )

    track: str = setting(
        "", "track of the data whose rows are moved, such as 'nphm_expression'; empty: the vertices of the mesh"
    )
    pca: int = setting(
        0, "vertices only: principal components of the training motion that are moved in their place; 0: none", low=0
    )

    diffusion_steps: int = setting(1000, "steps of the noise; 1000 as published", low=2)
    noise_schedule: str = setting(
        "cosine", "how the noise grows; unpublished: 'cosine' as EDGE, or 'linear'", choices=("cosine", "linear")
    )
    reach: int = setting(
        0, "frames to either side whose sound a frame hears beside its own; 0 as published: only its own", low=0
    )
    look_back: int = setting(
        48,
        "frames that a frame sees of the motion up to itself; 48: as many as there are in a crop, so that none of a "
        "longer clip sees more than was trained; 0: all before it",
        low=0,
    )

    crop: int = setting(
        48, "frames of a training clip, cut out at random, and of a window of a long one; 48 (2 s) as published", low=2
    )
    late_start: int = setting(
        240,
        "a crop's first frame is given a drawn number below this, so that frames up to there have positions that were "
        "trained when a clip is spoken whole; 0: always the number 0",
        low=0,
    )
    audio_dropout: float = setting(
        0.25, "share of training clips whose sound is withheld, for guidance; 0.25 as published", low=0.0, high=1.0
    )
    scale_low: float = setting(
        0.7, "a training clip's motion is multiplied by a number drawn between this; unpublished", low=0.0
    )
    scale_high: float = setting(1.3, "… and this; unpublished, and 1 and 1 leave the motion alone", low=0.0)
    velocity_weight: float = setting(
        0.0, "weight of the squared error of changes from frame to frame; 0 as published: none", low=0.0
    )
    frozen_encoder: bool = setting(
        True, "leave a pretrained speech encoder as it is; true as published. One for log-mel features always learns"
    )
    encoder_weights: str | None = setting(
        None,
        "weights of the speech encoder in place of its own, such as voca_pretrained_audio_encoder.pt: of the same "
        "sizes and with the same convolutions",
        path=True,
    )

    def wants(self) -> Wants:
        """The track, if any."""
        return Wants(track=self.track)

    def files(self) -> dict[str, str]:
        """What it is to → the user's file."""
        return {"encoder_weights": self.encoder_weights} if self.encoder_weights else {}

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if self.feature_dim % 2:
            yield f"feature_dim = {self.feature_dim} must be even: positions are pairs of sine and cosine"
        if self.track and self.pca:
            yield f"pca = {self.pca} is of vertices, and track = {self.track!r} has none: leave one of them out"
        if self.scale_low > self.scale_high:
            yield f"scale_low = {self.scale_low:g} is above scale_high = {self.scale_high:g}"
