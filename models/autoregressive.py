"""What faces share whose own frames come back as tokens: FaceFormer's autoregression, and that of its successors.

A decoder's output becomes motion through one linear layer (`outward`), motion becomes the next token through another
(`inward`), to which the speaker's style is added. Departures from the released codes, none of which changes a number in
eval mode: motion feeds back through one folded d×d matrix, keys and values are kept, D-wide products stand outside the
loop, clips come in padded batches, and no table limits a clip to 600 frames. In training, a frame that is fed back and
scored is one and the same: the released codes draw their dropout anew at each step.

Shapes: B clips, L features at 50 Hz, S memory steps (in `predict`: styles), C channels, T frames, D = 3 V coordinates,
d decoder channels, K training subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.feedback import Feedback
from models.folded import decode_folded
from models.listening import BLOCK, Lesson
from models.moving import MovingFace
from models.official import fit
from models.outward import placed
from models.positions import periodic_encoding
from models.projected_error import projected_error
from models.settings import AutoregressiveSettings
from models.talking_face import Clips, DataFacts, Speech
from models.voice import Voice

Score = Callable[[Tensor, Tensor], dict[str, Tensor]]
"""Of one clip: decoder output (T, d) and true offsets (T, D) → {"loss", …}, scalars."""


class AutoregressiveFace(MovingFace):
    """A face makes its decoder and two linear layers, says which is `inward` and which `outward`, and gives `style`.

    See `models.talking_face` for what every method is for.
    """

    settings: AutoregressiveSettings

    def __init__(self, settings: AutoregressiveSettings, facts: DataFacts) -> None:
        super().__init__(settings, facts)
        self._feedback = Feedback()

    @property
    def outward(self) -> nn.Linear:
        """From decoder output to motion, d → D; papers call it by several names."""
        raise NotImplementedError

    def style(self, styles: Tensor) -> Tensor:
        """(B, K) one-hot, or mixtures → (B, d)"""
        raise NotImplementedError

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Load a released checkpoint (`models.official.read_official`), which counts motion in the data's unit."""
        fit(self, state, tables={"PPE.pe": self.settings.period})
        with torch.no_grad():
            self.inward.weight.mul_(self.settings.motion_scale)
            self.outward.weight.div_(self.settings.motion_scale)
            self.outward.bias.div_(self.settings.motion_scale)

    # -- motion ----------------------------------------------------------------------------------------------------

    def decode_own(self, memory: Tensor, style: Tensor) -> Tensor:
        """Autoregression: (B or 1, S, d), (B, d) → decoder output (B, T, d), frame after frame.

        y_0 = s and y_{i+1} = W_in·o_i + b_in + s with o_i = W_out·h_i + b_out: A·h_i + a + s, with no D in the loop.
        """
        fold, constant = self._feedback(self.inward, self.outward)
        frames = memory.shape[1] // self.per_frame
        positions = periodic_encoding(frames, style.shape[1], self.settings.period, style.device)
        given = positions + (constant + style)[:, None]  # (B, T, d): all of a token but A·h
        given = torch.cat(((style + positions[0])[:, None], given[:, 1:]), dim=1)
        if not (torch.is_grad_enabled() or self.training):
            return decode_folded(self.transformer_decoder, memory, fold, given)
        decoding = self.transformer_decoder.begin(memory)
        outputs = [decoding.step(self.position_dropout(given[:, :1]))]
        for i in range(1, frames):
            token = F.linear(outputs[-1], fold) + given[:, i : i + 1]
            outputs.append(decoding.step(self.position_dropout(token)))
        return torch.cat(outputs, dim=1)

    def train(self, mode: bool = True) -> Self:
        """As every module's; forgets what was derived from the weights."""
        self._feedback.forget()
        return super().train(mode)

    # -- training --------------------------------------------------------------------------------------------------

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        """What `scoring` tells, mean over clips, on own earlier frames or, with teacher forcing, on true ones."""
        return self.lesson_losses(self.hear(clips), clips)

    def lesson_losses(self, lesson: Lesson, clips: Clips) -> dict[str, Tensor]:
        """The `losses` of clips that were heard before (`hear`)."""
        return self._measured(lesson, clips, self.settings.teacher_forcing)

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        """Both ways of measuring: "loss" on the network's own frames, as at inference and in published training;
        "teacher_forced" on true ones. They cannot be compared with each other. The speech encoder runs once."""
        lesson = self.hear(clips)
        own, forced = (self._measured(lesson, clips, forced) for forced in (False, True))
        return {**own, "teacher_forced": forced["loss"]}

    def scoring(self) -> Score:
        """How a clip is scored, with what the clips of a batch share computed once. "loss": the mean squared error over
        frames and coordinates, in the network's unit squared."""
        return lambda hidden, truth: {"loss": projected_error(hidden, self.outward, truth)}

    def _measured(self, lesson: Lesson, clips: Clips, forced: bool) -> dict[str, Tensor]:
        return self.scored(self._decoded(lesson, clips.template, self.style(clips.style), forced), lesson, clips)

    def scored(self, decoded: Tensor, lesson: Lesson, clips: Clips) -> dict[str, Tensor]:
        """Mean over decoded rows (B or styles, T, d) of each one's clip. One clip in several styles is heard once, and
        its memory and offsets serve all of them."""
        score, found = self.scoring(), []
        for hidden, clip in zip(decoded, owners(decoded, lesson), strict=True):
            truth = self._offsets(lesson.vertices[clip, : lesson.frames[clip]], clips.template[clip])
            found.append(score(hidden[: len(truth)], truth))
        return {name: torch.stack([scores[name] for scores in found]).mean() for name in found[0]}

    def _decoded(self, lesson: Lesson, template: Tensor, style: Tensor, forced: bool) -> Tensor:
        if forced:
            return self.decode_forced(lesson.memory, style, self._offsets(lesson.vertices, template[:, None]))
        return self.decode_own(lesson.memory, style)

    def _offsets(self, vertices: Tensor, template: Tensor) -> Tensor:
        return (vertices - template) / self.settings.motion_scale

    # -- inference -------------------------------------------------------------------------------------------------

    def predict(self, features: Tensor, template: Tensor, styles: Tensor) -> Tensor:
        """(L, C), (D,), (S, K) → (S, T, D): one clip in S styles. Meant for eval mode; then deterministic."""
        return self.predict_all([Speech(features, template, styles)])[0]

    @torch.no_grad()
    def predict_all(self, speeches: Sequence[Speech]) -> list[Tensor]:
        """(S, T, D) per speech. Decoded together: nothing that follows a clip's end reaches back into it."""
        memory, frames = self.listen_to(speeches)  # (clips, S, d)
        owners = [clip for clip, speech in enumerate(speeches) for _ in speech.styles]
        style = self.style(torch.cat([speech.styles for speech in speeches]))
        hidden = self.decode_own(memory if len(speeches) == 1 else memory[owners], style)  # (rows, T, d)
        rows = hidden.split([len(speech.styles) for speech in speeches])
        clips = zip(rows, frames, speeches, strict=True)
        return [self.to_vertices(own[:, :count], speech.template) for own, count, speech in clips]

    @torch.no_grad()
    def predict_blocks(self, speech: Speech, block: int = BLOCK) -> Iterator[Tensor]:
        """(S, n, D) after (S, n, D): what `predict_all` gives of one speech, never all of it at once.

        Held are the decoder's channels of all frames, 1/240 (VOCASET) and 1/550 (BIWI) of their coordinates.
        """
        memory, _ = self.listen_to([speech])
        hidden = self.decode_own(memory, self.style(speech.styles))  # (S, T, d)
        for part in hidden.split(block, dim=1):
            yield self.to_vertices(part, speech.template)

    def voice(self, memories: Iterable[Tensor], template: Tensor, style: Tensor) -> Iterator[Tensor]:
        """See `ListeningFace.voice`."""
        fold, constant = self._feedback(self.inward, self.outward)
        own = self.style(style[None])
        for hidden in Voice(self.transformer_decoder, fold, constant + own, own).speak(memories):
            yield self.to_vertices(hidden[0], template)

    def to_vertices(self, hidden: Tensor, template: Tensor) -> Tensor:
        """Decoder output (…, d) and (D,) → absolute positions (…, D), in the data's unit."""
        return placed(hidden, self.outward, self.settings.motion_scale, template)


def owners(decoded: Tensor, lesson: Lesson) -> Sequence[int]:
    """Whose each decoded row is: its own clip's, or all are the only clip's."""
    return range(len(decoded)) if len(lesson.frames) == len(decoded) else [0] * len(decoded)
