"""The recogniser: speech features → speech encoder → letters, by connectionist temporal classification (Graves et al.,
"Connectionist Temporal Classification", ICML 2006), as wav2vec 2.0 (Baevski et al., NeurIPS 2020) is tuned to text.

It stands where methods with a text branch have a large published recogniser that nobody may be able to download: it is
trained on the transcripts of the data at hand, by the stage `train`, and then frozen.

Shapes: B clips, L features at 50 Hz, C channels, H channels of the speech encoder, S letters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from faces.edits import edit_distance
from faces.errors import DataError
from models.ctc_errors import ctc_errors
from models.listening import speech_encoder
from models.recogniser.settings import Settings
from models.speech import FineTuning, SpeechEncoder, small_config
from models.talking_face import Clips, DataFacts
from models.text import Vocabulary

if TYPE_CHECKING:
    from models.motion_prior import MotionPrior


class Recogniser(nn.Module):
    """The network; `Settings.moves` is false, so it has only the methods that training needs, and `recognise`.

    vocabulary: what the classes of its logits stand for.
    """

    name: ClassVar[str] = "recogniser"

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__()
        for problem in settings.problems():
            raise DataError(problem)
        self.settings = settings
        self.vocabulary = tuple(facts.vocabulary)
        self.letters = Vocabulary(self.vocabulary)
        self.audio_encoder = _speech_encoder(settings, facts)
        self.lm_head = nn.Linear(self.audio_encoder.width, len(self.vocabulary))

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts, prior: MotionPrior | None = None) -> Recogniser:
        """A freshly initialised network. DataError where settings and data do not go together. It takes no prior."""
        return cls(settings, facts)

    def load_speech_weights(self, source: str) -> None:
        """Start from a pretrained speech encoder."""
        self.audio_encoder.load_pretrained(source)

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """DataError: this network is our own."""
        raise DataError("no weights of a recogniser were ever released: train one on transcripts, leave weights out")

    # -- reading -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def recognise(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """One clip, (L, C) → last hidden states (L, H), logits (L, classes). Meant for eval mode."""
        hidden, logits = self(features[None], [len(features)])
        return hidden[0], logits[0]

    def forward(self, features: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor]:
        """(B, L, C), zero-padded, with `lengths` steps per clip → (B, L, H), (B, L, classes).

        A padded clip gets what it would get alone; steps after its end hold nothing of meaning.
        """
        hidden = self.audio_encoder(features.to(self.lm_head.weight.dtype), lengths)
        return hidden, self.lm_head(hidden)

    # -- training ------------------------------------------------------------------------------------------------------

    def frames_to_learn(self, frames: int, feature_length: int) -> int:
        """All of them: it looks at none."""
        return frames

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        """{"loss"}: CTC, nats for each letter, mean over clips. 0 for a clip that is too short for its text."""
        return {"loss": self._loss(clips, self._logits(clips))}

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        """The same, and "letter_errors": the character error rate of every step's best class, mean over clips; an
        empty text counts as one letter."""
        logits = self._logits(clips)
        steps = zip(logits.detach().float().cpu().numpy(), clips.feature_lengths.tolist(), strict=True)
        read = [self.letters.read(own[:length]) for own, length in steps]
        texts = zip(self._texts(clips), read, strict=True)
        wrong = [edit_distance(true, found) / max(len(true), 1) for true, found in texts]
        return {"loss": self._loss(clips, logits), "letter_errors": torch.tensor(wrong, device=logits.device).mean()}

    def _logits(self, clips: Clips) -> Tensor:
        lengths = clips.feature_lengths.tolist()
        if min(lengths) == 0:
            raise DataError("a clip to train on has sound too short for one speech feature; leave it out")
        logits: Tensor = self(clips.features, lengths)[1]
        return logits

    def _loss(self, clips: Clips, logits: Tensor) -> Tensor:
        if clips.text is None or clips.text_lengths is None:
            raise ValueError("losses need clips with text")
        return ctc_errors(logits, clips.feature_lengths, clips.text, clips.text_lengths, self.letters.blank).mean()

    def _texts(self, clips: Clips) -> list[str]:
        assert clips.text is not None, "refused by the loss"
        assert clips.text_lengths is not None, "refused by the loss"
        lengths = clips.text_lengths.tolist()
        return [self.letters.text_of(own[:n].tolist()) for own, n in zip(clips.text, lengths, strict=True)]


def _speech_encoder(settings: Settings, facts: DataFacts) -> SpeechEncoder:
    tuning = FineTuning(settings.dropout, settings.layerdrop, settings.mask_time_prob, settings.mask_time_length)
    small = small_config(facts.channels, settings.width, settings.layers, settings.heads)
    return speech_encoder(facts, tuning, {**small, "num_conv_pos_embeddings": settings.context})
