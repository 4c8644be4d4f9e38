"""A lip reader that learns from faces: their mouths are drawn, their transcripts say what is to be read.

Auto-AVSR is trained on films of people. This one is trained, or tuned, on the meshes of a data set, which are drawn as
guidance draws them. In training, pictures are cut out of larger ones at random and spans of the sound are hidden, as
there; a clip's large pictures never change, and are drawn once. Clips are read one by one, since in a padded batch they
would feel each other (`models.lipreader.net`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from faces.edits import error_rate
from faces.errors import DataError
from faces.text_errors import letters
from models.lipreader.drawn import Drawn
from models.lipreader.inputs import SIDE, fitted, hide_spans, prepare_audio
from models.lipreader.net import LipReader
from models.lipreader.published import other_sizes, settings_of
from models.lipreader.reading import BEAM, CTC_WEIGHT, read_greedily
from models.lipreader.reading import read as search
from models.lipreader.settings import Settings
from models.lipreader.tokeniser import cleaned, tokeniser_of
from models.mouth import Mouth
from models.official import OfficialState
from models.sight import Sight
from models.talking_face import Clips, DataFacts

if TYPE_CHECKING:
    from models.motion_prior import MotionPrior

LOSSES = ("loss", "ctc", "attention")


class LearningLipReader(LipReader):
    """The network with what the stage `train` asks; `Settings.moves` is false. It must be told what it looks at
    (`watch`) before it learns. tokeniser: its pieces of text, which are stored with it."""

    name: ClassVar[str] = "lipreader"
    settings: Settings

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        self.tokeniser = tokeniser_of(facts.tokeniser)
        super().__init__(replace(settings, classes=len(self.tokeniser.classes)))
        self.mouth: Mouth | None = None
        self._drawn: Drawn | None = None

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts, prior: MotionPrior | None = None) -> LearningLipReader:
        """A freshly initialised network. DataError where settings and tokeniser do not go together. It takes no
        prior."""
        return cls(settings, facts)

    def load_speech_weights(self, source: str) -> None:
        """DataError: it hears the sound itself."""
        raise DataError("a lip reader has no pretrained speech encoder: leave the features away")

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Load a released state dict. DataError where it is no lip reader's, of another modality or other sizes, or has
        another number of classes than the tokeniser."""
        source = getattr(state, "source", OfficialState.source)
        told = settings_of({name: tuple(value.shape) for name, value in state.items()}, source)
        if told.modality != self.settings.modality:
            raise DataError(
                f"{source} is an expert of the other modality: set modality = {told.modality!r}, or give a file of "
                f"{self.settings.modality!r}"
            )
        if told.classes != (pieces := len(self.tokeniser.classes)):
            raise DataError(
                f"the weights write {told.classes} pieces of text, and the tokeniser has {pieces}: "
                "name the SentencePiece model and the list of units that they were trained with (tokeniser, units)"
            )
        try:
            super().load_official(state)
        except DataError as error:
            if wrong := other_sizes(told, self.settings):
                raise DataError(f"{source} has other sizes than this expert: set {wrong}") from error
            raise

    def watch(self, sight: Sight) -> None:
        """Whose mouths it looks at from now on."""
        self.mouth = Mouth.of(sight, self.settings.camera, self.settings.pixel_std)
        self._drawn = Drawn(self.mouth.widened(self.settings.rim))

    def frames_to_learn(self, frames: int, feature_length: int) -> int:
        """All of them."""
        return frames

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        """ "ctc", "attention" and their weighted sum "loss", each clip's summed over its pieces of text, as Auto-AVSR
        counts; "accuracy" of the decoder, given what comes before. Means over clips."""
        found = [self.text_losses(features, [text]) for features, text in self._read(clips)]
        return {name: torch.stack([one[name] for one in found]).mean() for name in (*LOSSES, "accuracy")}

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        """The parts of `losses`, and "letter_errors": the mean over clips of each one's character error rate, of what
        CTC writes frame by frame. "loss" is that too: it chooses the best weights, and a small reader's losses are
        least before it reads anything, while its decoder does not know the sentences by heart yet."""
        found, wrong = [], []
        for features, text in self._read(clips):
            found.append(self.text_losses(features, [text]))
            read = self.tokeniser.text_of(read_greedily(self.ctc(features)[0]))
            true = self.tokeniser.text_of(text)
            wrong.append(error_rate(letters(true), letters(read)))
        means = {name: torch.stack([one[name] for one in found]).mean() for name in (*LOSSES, "accuracy")}
        errors = torch.tensor(wrong, device=means["loss"].device).mean()
        return means | {"loss": errors, "letter_errors": errors}

    # -- reading -------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def read(self, motion: Tensor, wave: Tensor | None, *, beam: int = BEAM, ctc_weight: float = CTC_WEIGHT) -> str:
        """What a motion (T, D), absolute positions, says, with its sound (N,) at 16 kHz where the reader listens.
        beam: hypotheses of the search; 0: what CTC writes frame by frame. Meant for eval mode."""
        if self.mouth is None:
            raise ValueError("a lip reader reads once it was told what it looks at")
        pictures = self.mouth.pictures(motion)[None]
        sound = None if wave is None else prepare_audio(wave, pictures.shape[1])[None].to(motion.device)
        features = self.encode(pictures, sound)
        if beam:
            pieces: Sequence[int] = search(self, features[0], beam, ctc_weight)[0].pieces
        else:
            pieces = read_greedily(self.ctc(features)[0])
        return self.tokeniser.text_of(pieces)

    def as_written(self, text: str) -> str:
        """A transcript as this reader would write it: what it reads is held against that."""
        return cleaned(text)

    def _read(self, clips: Clips) -> Iterator[tuple[Tensor, list[int]]]:
        """Per clip its features (1, T', D) and the classes of its text, one after another, so that what is drawn for a
        clip does not depend on those that are read after it."""
        assert clips.vertices is not None, "the settings want the mouth"
        assert clips.frames is not None, "the settings want the mouth"
        assert clips.text is not None, "the settings want text"
        assert clips.text_lengths is not None, "the settings want text"
        counts = zip(clips.frames.tolist(), clips.text_lengths.tolist(), strict=True)
        for number, (frames, pieces) in enumerate(counts):
            yield self._look(clips, number, frames), clips.text[number, :pieces].tolist()

    def _look(self, clips: Clips, number: int, frames: int) -> Tensor:
        if self._drawn is None or clips.vertices is None:
            raise ValueError("a lip reader learns once it was told what it looks at")
        pictures = self._cut(self._drawn(clips.vertices[number, :frames]))[None]
        return self.encode(pictures, self._sound(clips, number, pictures.shape[1]))

    def _cut(self, large: Tensor) -> Tensor:
        """(T', 1, 88 + 2 rim, …) → (T', 1, 88, 88): the middle, in training anywhere."""
        rim = self.settings.rim
        top, left = torch.randint(2 * rim + 1, (2,)).tolist() if self.training else (rim, rim)
        return large[..., top : top + SIDE, left : left + SIDE]

    def _sound(self, clips: Clips, number: int, pictures: int) -> Tensor | None:
        """(1, 640·T') prepared; in training with hidden spans, or silent."""
        if not self.settings.listens:
            return None
        assert clips.sound is not None, "the settings want sound"
        assert clips.sound_lengths is not None, "the settings want sound"
        wave = fitted(clips.sound[number, : int(clips.sound_lengths[number])], pictures)
        if self.training:
            wave = self._disturbed(wave)
        return prepare_audio(wave, pictures)[None].to(clips.sound.device)

    def _disturbed(self, wave: Tensor) -> Tensor:
        if self.settings.silence and torch.rand(()) < self.settings.silence:
            return torch.zeros_like(wave)
        return hidden_by_chance(wave) if self.settings.time_mask else wave


def hidden_by_chance(wave: Tensor) -> Tensor:
    """(S,) with hidden spans, drawn with PyTorch's own stream, so that a training that goes on draws the same."""
    seed = int(torch.randint(2**31, ()).item())
    return hide_spans(wave, torch.Generator().manual_seed(seed), random.Random(seed))
