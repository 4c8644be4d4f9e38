"""Sizes of the lip reader, and how its losses weigh. Defaults are the published ones (Auto-AVSR, ICASSP 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from models.settings import setting

AUDIO_VISUAL, VIDEO = "audio-visual", "video"


@dataclass(frozen=True)
class Sizes:
    """Sizes of both encoders, their fusion and the decoder, and how the two losses weigh.

    Where 0 stands for "as the video encoder's", the properties `…_of_audio` and `…_of_decoder` give the number.
    """

    modality: str = setting(
        AUDIO_VISUAL,
        "'audio-visual' reads lips and hears; 'video' reads lips alone, and its audio encoder and fusion are left out",
        choices=(AUDIO_VISUAL, VIDEO),
    )
    classes: int = setting(
        5049, "pieces of text, the blank (0) and the end (the last) among them; in training as its tokeniser has", low=3
    )
    front_width: int = setting(
        64, "channels that the front ends begin with; behind their four stages there are eight times as many", low=1
    )
    width: int = setting(768, "channels D of the video encoder, of the fused features and of the decoder", low=1)
    layers: int = setting(12, "conformer layers of the video encoder", low=1)
    heads: int = setting(12, "its attention heads", low=1)
    feedforward: int = setting(3072, "channels of its feed-forward parts", low=1)
    kernel: int = setting(31, "frames that a convolution module spans, in both encoders; odd", low=1)
    audio_width: int = setting(0, "channels of the audio encoder; 0: as the video encoder", low=0)
    audio_layers: int = setting(0, "its layers; 0: as the video encoder", low=0)
    audio_heads: int = setting(0, "its attention heads; 0: as the video encoder", low=0)
    audio_feedforward: int = setting(0, "channels of its feed-forward parts; 0: as the video encoder", low=0)
    fusion_width: int = setting(8192, "channels in which lips and sound meet", low=1)
    decoder_layers: int = setting(6, "transformer layers of the decoder", low=1)
    decoder_heads: int = setting(0, "its attention heads; 0: as the video encoder", low=0)
    decoder_feedforward: int = setting(0, "channels of its feed-forward parts; 0: as the video encoder", low=0)
    dropout: float = setting(0.1, "dropout everywhere, also of attention weights and of positions", low=0.0, high=0.9)
    ctc_weight: float = setting(0.1, "weight of the CTC loss; the attention loss has the rest", low=0.0, high=1.0)
    smoothing: float = setting(
        0.1, "share of a target that goes to all other classes in the attention loss", low=0.0, high=0.9
    )

    @property
    def listens(self) -> bool:
        """Whether sound is listened to."""
        return self.modality == AUDIO_VISUAL

    @property
    def end(self) -> int:
        """The class that begins and ends a text."""
        return self.classes - 1

    @property
    def heads_of_decoder(self) -> int:
        return self.decoder_heads or self.heads

    @property
    def feedforward_of_decoder(self) -> int:
        return self.decoder_feedforward or self.feedforward

    @property
    def width_of_audio(self) -> int:
        return self.audio_width or self.width

    @property
    def layers_of_audio(self) -> int:
        return self.audio_layers or self.layers

    @property
    def heads_of_audio(self) -> int:
        return self.audio_heads or self.heads

    @property
    def feedforward_of_audio(self) -> int:
        return self.audio_feedforward or self.feedforward

    def problems(self) -> Iterator[str]:
        """Sentences on settings that do not go together, each beginning with the name of one."""
        if self.modality not in (AUDIO_VISUAL, VIDEO):
            yield f"modality = {self.modality!r} must be {AUDIO_VISUAL!r} or {VIDEO!r}"
        if self.classes < 3:
            yield f"classes = {self.classes} must be 3 at least: the blank, the end and one piece of text"
        if self.kernel % 2 == 0:
            yield f"kernel = {self.kernel} must be odd, so that a frame lies in the middle"
        if self.width % self.heads:
            yield f"width = {self.width} is no multiple of heads = {self.heads}"
        if self.width % self.heads_of_decoder:
            yield f"width = {self.width} is no multiple of decoder_heads = {self.heads_of_decoder}"
        if self.listens and self.width_of_audio % self.heads_of_audio:
            yield f"audio_width = {self.width_of_audio} is no multiple of audio_heads = {self.heads_of_audio}"
