"""The critic: how badly the mouth of a motion says the sentence, in the eyes and ears of a lip-reading expert.

motion → 25 pictures a second → expert ← sound; loss = 0.1·CTC + 0.9·attention against the transcript, summed over its
pieces (arXiv 2407.01034, section 2). The expert sees every clip alone, and gradients flow back to the motion.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import torch
from torch import Tensor

from models.avguidance.settings import FROZEN, Settings
from models.folded import precise
from models.lipreader.inputs import fitted, prepare_audio
from models.lipreader.learning import LOSSES, LearningLipReader, hidden_by_chance
from models.mouth import Mouth

KEPT = 4096
"""Clips whose sound a frozen expert remembers: of the published size 0.3 MB for four seconds."""


class Critic:
    """Asks `expert` about what `mouth` shows. It is no module: a frozen expert is none of a face's weights."""

    def __init__(self, expert: LearningLipReader, mouth: Mouth, settings: Settings) -> None:
        self.expert, self.mouth = expert, mouth
        self.frozen = settings.expert == FROZEN
        self.hides = settings.time_mask
        expert.checkpoint_frames = settings.checkpoint_frames
        if self.frozen:
            expert.freeze()
        self._heard = OrderedDict[str, Tensor]()

    def losses(self, motion: Tensor, wave: Tensor, text: list[int], *, training: bool) -> dict[str, Tensor]:
        """Positions (T, D), sound (N,) at 16 kHz and the classes of what is said → "ctc", "attention" and "loss".
        No numbers for positions that are none, which no picture can be drawn of."""
        if not torch.isfinite(motion).all():
            return dict.fromkeys(LOSSES, motion.sum() * torch.nan)
        pictures = self.mouth.pictures(motion)[None]
        sound = self._sound(wave, pictures.shape[1], training) if self.expert.settings.listens else None
        found = self.expert.text_losses(self.expert.encode(pictures, sound), [text])
        return {name: found[name] for name in LOSSES}

    def _sound(self, wave: Tensor, pictures: int, training: bool) -> Tensor:
        """(1, 640·T') samples, or what a frozen expert heard in them before."""
        if training and self.hides:
            return prepare_audio(hidden_by_chance(fitted(wave, pictures)), pictures)[None].to(wave)
        prepared = prepare_audio(wave, pictures)[None].to(wave)
        return self._remembered(prepared) if self.frozen else prepared

    def _remembered(self, prepared: Tensor) -> Tensor:
        name = hashlib.blake2b(prepared.cpu().numpy().tobytes(), digest_size=16).hexdigest()
        if name not in self._heard:
            # In full precision, whoever asks first: what is heard must not depend on that.
            with torch.no_grad(), precise(prepared.device):
                self._heard[name] = self.expert.hear(prepared)
            if len(self._heard) > KEPT:
                self._heard.popitem(last=False)
        return self._heard[name]
