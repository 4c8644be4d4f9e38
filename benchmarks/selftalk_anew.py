"""Ours in all, except that the recogniser listens again in every step: what its cached text alone is worth.

It hears the cached convolutions, which are those of the speech encoder. Shapes: L features at 50 Hz, C channels.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn.utils.rnn import pad_sequence

from models.ctc import CtcRecogniser
from models.selftalk.face import SelfTalk
from models.selftalk.settings import Settings
from models.speech import FineTuning, SpeechEncoder
from models.talking_face import Clips, DataFacts
from models.text import Vocabulary


class HeardAnew(SelfTalk):
    """The network, with a recogniser of drawn weights as large as its speech encoder."""

    recogniser: CtcRecogniser

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__(settings, facts)
        encoder = SpeechEncoder(facts.encoder_config, FineTuning())
        head = torch.nn.Linear(encoder.width, len(facts.vocabulary))
        self.recogniser = CtcRecogniser(encoder, head, tuple(facts.vocabulary))

    def losses(self, clips: Clips) -> dict[str, torch.Tensor]:
        """As SelfTalk's, of what is heard now."""
        return super().losses(self.heard(clips))

    def heard(self, clips: Clips) -> Clips:
        """The clips with the recogniser's features and text, clip by clip, as the stage `features` makes them."""
        lengths = clips.feature_lengths.tolist()
        made = [self.recogniser.recognise(one[:n]) for one, n in zip(clips.features, lengths, strict=True)]
        vocabulary, kept = Vocabulary(self.recogniser.vocabulary), lengths
        if self.per_frame == 2:
            assert clips.frames is not None
            pairs = zip(clips.frames.tolist(), lengths, strict=True)
            kept = [2 * self.frames_to_learn(frames, length) for frames, length in pairs]
        read = (vocabulary.read(logits[:n].cpu().numpy()) for (_, logits), n in zip(made, kept, strict=True))
        texts = [torch.tensor(vocabulary.classes_of(text), dtype=torch.int64) for text in read]
        return replace(
            clips,
            text_hidden=pad_sequence([hidden for hidden, _ in made], batch_first=True),
            text=pad_sequence(texts, batch_first=True).to(clips.features.device),
            text_lengths=torch.tensor([len(text) for text in texts], device=clips.features.device),
        )
