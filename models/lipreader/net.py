"""The lip reader: Auto-AVSR's conformer with a CTC and an attention head (Ma et al., "Auto-AVSR: Audio-Visual Speech
Recognition with Automatic Labels", ICASSP 2023; Gulati et al., Interspeech 2020; Watanabe et al., IEEE JSTSP 2017).

lips → front end → conformer ┐
                             ├→ fusion → CTC, decoder → text
sound → front end → conformer┘

Departures from the released code, none of which changes a number in eval mode: positions are computed and never run
out, and pairs of frames have no table of channels.

Batches: attention sees no padding, convolutions along time do, as in the released code. So only a clip alone, or beside
others as long, gets its exact numbers; in a padded batch they differ (`models.lipreader.conformer`).

Shapes: B clips, T frames at 25 fps, S samples at 16 kHz, D channels, V classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from faces.errors import DataError
from models.lipreader.conformer import Encoder
from models.lipreader.decoder import Decoder
from models.lipreader.errors import accuracy, attention_loss, ctc_loss, taught
from models.lipreader.front_ends import AudioFrontEnd, VideoFrontEnd
from models.lipreader.fusion import Fusion
from models.lipreader.inputs import SAMPLES_PER_FRAME, SIDE
from models.lipreader.published import own_state
from models.lipreader.sizes import Sizes
from models.official import OfficialState, fit
from models.padding import Padding


class CtcHead(nn.Module):
    """(B, T, D) → logits (B, T, V)"""

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.ctc_lo = nn.Linear(width, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.ctc_lo(self.dropout(x))
        return logits


class LipReader(nn.Module):
    """The network. Parameter names are the released ones. Class 0 is the blank, the last one begins and ends a text."""

    name: ClassVar[str] = "lipreader"

    def __init__(self, settings: Sizes) -> None:
        super().__init__()
        for problem in settings.problems():
            raise DataError(problem)
        self.settings, s = settings, settings
        self.frozen = False
        self.encoder = Encoder(
            VideoFrontEnd(s.front_width), 8 * s.front_width, s.width, s.heads, s.feedforward, s.layers, s.kernel,
            s.dropout,
        )  # fmt: skip
        if s.listens:
            self.aux_encoder = Encoder(
                AudioFrontEnd(s.front_width), 8 * s.front_width, s.width_of_audio, s.heads_of_audio,
                s.feedforward_of_audio, s.layers_of_audio, s.kernel, s.dropout,
            )  # fmt: skip
            self.fusion = Fusion(s.width, s.width_of_audio, s.fusion_width)
        self.ctc = CtcHead(s.width, s.classes, s.dropout)
        self.decoder = Decoder(
            s.classes, s.width, s.heads_of_decoder, s.feedforward_of_decoder, s.decoder_layers, s.dropout
        )

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Load a released state dict (`models.official.read_official`), old or new. DataError where it does not fit."""
        own = OfficialState(own_state(state))
        own.source = getattr(state, "source", OfficialState.source)
        fit(self, own, tables={})

    # -- use as a critic -----------------------------------------------------------------------------------------------

    def freeze(self) -> LipReader:
        """Never train again: eval mode for good, gradients reach the inputs alone."""
        self.frozen = True
        self.requires_grad_(False)
        return self.eval()

    def train(self, mode: bool = True) -> LipReader:
        """A frozen one stays in eval mode, also inside a network that trains."""
        super().train(mode and not self.frozen)
        return self

    @property
    def checkpoint_frames(self) -> int:
        """Frames whose way from pixels to features is computed again for the gradient instead of being kept: see
        `VideoFrontEnd`. 0: everything is kept."""
        front = self.encoder.frontend
        assert isinstance(front, VideoFrontEnd), "made above"
        return front.checkpoint_frames

    @checkpoint_frames.setter
    def checkpoint_frames(self, frames: int) -> None:
        front = self.encoder.frontend
        assert isinstance(front, VideoFrontEnd), "made above"
        front.checkpoint_frames = frames

    # -- features ------------------------------------------------------------------------------------------------------

    def hear(self, audio: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        """Sound (B, 640·T), prepared and padded with zeros → what `encode` takes in its place, (B, T, D of audio).

        Of a frozen expert a constant of the clip. frames: of each clip; None: all have T. DataError for a video reader.
        """
        if not self.settings.listens:
            raise DataError("this lip reader was built for video alone and hears nothing: give it no sound")
        if audio.ndim != 2 or not audio.shape[1] or audio.shape[1] % SAMPLES_PER_FRAME:
            raise DataError(
                f"sound must be (clips, {SAMPLES_PER_FRAME} samples for each frame), not {tuple(audio.shape)}: "
                "prepare it with the number of its frames"
            )
        inside = _inside(frames, len(audio), audio.shape[1] // SAMPLES_PER_FRAME, audio.device)
        heard: Tensor = self.aux_encoder(audio, inside)
        return heard

    def encode(self, video: Tensor, audio: Tensor | None, frames: Sequence[int] | None = None) -> Tensor:
        """Pictures (B, T, 1, 88, 88), normalised, and sound → features (B, T, D).

        audio: samples (B, 640·T), prepared, or what `hear` made of them (B, T, D of audio); None for a reader of video
        alone. frames: of each clip; None: all have T. Behind a clip's end must be zeros, as if it had been padded after
        it was normalised. DataError where shapes do not go together.
        """
        inside = self._checked(video, audio, frames)
        seen: Tensor = self.encoder(video, inside)
        if audio is None:
            return seen
        heard = audio if audio.ndim == 3 else self.hear(audio, frames)
        fused: Tensor = self.fusion(seen, heard)
        return fused

    def _checked(self, video: Tensor, audio: Tensor | None, frames: Sequence[int] | None) -> Tensor | None:
        """Which frames are inside a clip, None where all are."""
        if video.ndim != 5 or video.shape[2:] != (1, SIDE, SIDE) or not video.shape[0] * video.shape[1]:
            raise DataError(
                f"pictures must be (clips, frames, 1, {SIDE}, {SIDE}), one frame at least, not {tuple(video.shape)}"
            )
        batch, count = video.shape[:2]
        if self.settings.listens != (audio is not None):
            wanted = "audio-visual and needs sound" if self.settings.listens else "for video alone and takes no sound"
            raise DataError(f"this lip reader is {wanted}")
        if audio is not None:
            wide = (batch, count, self.settings.width_of_audio)
            if audio.shape not in ((batch, SAMPLES_PER_FRAME * count), wide):
                raise DataError(
                    f"{batch} clips of {count} frames need sound of shape {(batch, SAMPLES_PER_FRAME * count)}, or "
                    f"heard already {wide}, not {tuple(audio.shape)}"
                )
        if self.training and batch * count < 2:
            raise DataError("a lip reader cannot be trained on a single frame: leave the clip out")
        return _inside(frames, batch, count, video.device)

    # -- training ------------------------------------------------------------------------------------------------------

    def reading_losses(
        self,
        video: Tensor,
        audio: Tensor | None,
        texts: Sequence[Sequence[int]],
        frames: Sequence[int] | None = None,
    ) -> dict[str, Tensor]:
        """How badly B clips say their texts: see `text_losses`; the inputs are those of `encode`."""
        return self.text_losses(self.encode(video, audio, frames), texts, frames)

    def text_losses(
        self, features: Tensor, texts: Sequence[Sequence[int]], frames: Sequence[int] | None = None
    ) -> dict[str, Tensor]:
        """Features (B, T, D) and the classes of each clip's text, without its end → losses in nats a clip.

        "ctc" and "attention" (`models.lipreader.errors`), "loss": the two by their weights, and "accuracy": the share
        of pieces that the decoder finds right, given those before. DataError for what is no piece of text.
        """
        self._check_texts(texts, len(features))
        counts = [features.shape[1]] * len(features) if frames is None else frames
        inside = _inside(frames, len(features), features.shape[1], features.device)
        given, wanted = taught(texts, self.settings.end, features.device)
        ctc = ctc_loss(self.ctc(features), counts, texts)
        logits = self.decoder(given, features, inside)
        attention = attention_loss(logits, wanted, self.settings.smoothing)
        weight = self.settings.ctc_weight
        return {
            "loss": weight * ctc + (1 - weight) * attention,
            "ctc": ctc,
            "attention": attention,
            "accuracy": accuracy(logits.detach(), wanted),
        }

    def _check_texts(self, texts: Sequence[Sequence[int]], clips: int) -> None:
        if len(texts) != clips:
            raise DataError(f"{clips} clips need as many texts, not {len(texts)}")
        strange = next((number for text in texts for number in text if not 0 < number < self.settings.end), None)
        if strange is not None:
            raise DataError(
                f"class {strange} is no piece of text: those of this lip reader are 1 to {self.settings.end - 1}; is "
                "its tokeniser another one's?"
            )


def _inside(frames: Sequence[int] | None, batch: int, count: int, device: torch.device) -> Tensor | None:
    if frames is None:
        return None
    if len(frames) != batch or not all(0 < own <= count for own in frames):
        raise DataError(f"frames = {list(frames)} must give {batch} clips 1 to {count} frames each")
    padding = Padding.of(frames, count, device)
    return None if padding is None else padding.inside
