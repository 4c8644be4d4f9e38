"""FaceFormer (Fan et al., "FaceFormer: Speech-Driven 3D Facial Animation with Transformers", CVPR 2022).

speech → wav2vec 2.0 → memory; style and past motion → biased causal decoder → offsets from the neutral template.

Departures from the released code, none of which changes a number in eval mode: motion feeds back through one folded
d×d matrix, keys and values are kept, cross-attention is written in closed form, D-wide products stand outside the
loop, clips come in padded batches, and no table limits a clip to 600 frames. In training, a frame that is fed back
and scored is one and the same: the released code draws its dropout anew at each step.

Shapes: B clips, L features at 50 Hz, S features given to the decoder, C channels, T frames, D = 3 V coordinates,
d decoder channels, K training subjects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.faceformer.settings import Settings
from models.faceformer.voice import Voice
from models.feedback import Feedback
from models.folded import decode_folded
from models.listening import BLOCK, Lesson
from models.moving import MovingFace, make_decoder
from models.newcomer import with_newcomer
from models.official import fit
from models.positions import periodic_encoding
from models.projected_error import projected_error
from models.talking_face import Clips, DataFacts, Speech

if TYPE_CHECKING:
    from models.motion_prior import MotionPrior


class FaceFormer(MovingFace):
    """The network. Parameter names are the released ones; see `models.talking_face` for what every method is for."""

    name: ClassVar[str] = "faceformer"
    settings: Settings

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__(settings, facts)
        d, wide = settings.feature_dim, 3 * facts.vertices
        self.obj_vector = nn.Linear(len(facts.train_subjects), d, bias=False)
        self.vertice_map = nn.Linear(wide, d)
        self.vertice_map_r = nn.Linear(d, wide)
        self.transformer_decoder = make_decoder(settings)
        self._feedback = Feedback()
        # An untrained network returns the template.
        nn.init.zeros_(self.vertice_map_r.weight)
        nn.init.zeros_(self.vertice_map_r.bias)

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts, prior: MotionPrior | None = None) -> FaceFormer:
        """A freshly initialised network. DataError where settings and data do not go together. It takes no prior."""
        return cls(settings, facts)

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Load a released checkpoint (`models.official.read_official`), which counts motion in the data's unit."""
        fit(self, state, tables={"PPE.pe": self.settings.period})
        with torch.no_grad():
            self.vertice_map.weight.mul_(self.settings.motion_scale)
            self.vertice_map_r.weight.div_(self.settings.motion_scale)
            self.vertice_map_r.bias.div_(self.settings.motion_scale)

    # -- motion ----------------------------------------------------------------------------------------------------

    def decode_own(self, memory: Tensor, style: Tensor) -> Tensor:
        """Autoregression: (B or 1, S, d), (B, d) → decoder output (B, T, d), frame after frame.

        y_0 = s and y_{i+1} = W_map·o_i + b_map + s with o_i = W_r·h_i + b_r, which is A·h_i + a: no D in the loop.
        """
        fold, constant = self._feedback(self.vertice_map, self.vertice_map_r)
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

    def train(self, mode: bool = True) -> FaceFormer:
        """As every module's; forgets what was derived from the weights."""
        self._feedback.forget()
        return super().train(mode)

    # -- training --------------------------------------------------------------------------------------------------

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        """{"loss"}: mean over clips of the mean squared error over frames and coordinates, data units²."""
        return self.lesson_losses(self.hear(clips), clips)

    def lesson_losses(self, lesson: Lesson, clips: Clips) -> dict[str, Tensor]:
        """`losses` of clips that were heard before."""
        return {"loss": self._losses(lesson, clips, (self.settings.teacher_forcing,))[0]}

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        """Both ways of measuring: "loss" on the network's own frames, as at inference and in published training;
        "teacher_forced" is what the released code prints while it trains. They cannot be compared with each other."""
        own, forced = self._losses(self.hear(clips), clips, (False, True))
        return {"loss": own, "teacher_forced": forced}

    def _losses(self, lesson: Lesson, clips: Clips, ways: tuple[bool, ...]) -> list[Tensor]:
        """One loss per way of decoding, True for teacher forcing.

        One clip in several styles is heard once, and its memory and offsets serve all of them.
        """
        style = self.style(clips.style)
        decoded = [self._decoded(lesson, clips.template, style, forced) for forced in ways]
        return [self._error(hidden, lesson, clips.template) for hidden in decoded]

    def _decoded(self, lesson: Lesson, template: Tensor, style: Tensor, forced: bool) -> Tensor:
        if forced:
            return self.decode_forced(lesson.memory, style, self._offsets(lesson.vertices, template[:, None]))
        return self.decode_own(lesson.memory, style)

    def _offsets(self, vertices: Tensor, template: Tensor) -> Tensor:
        return (vertices - template) / self.settings.motion_scale

    def _error(self, decoded: Tensor, lesson: Lesson, template: Tensor) -> Tensor:
        """Mean over rows of `decoded`, each its clip's mean; a single clip is that of all rows."""
        clips = range(len(decoded)) if len(lesson.frames) == len(decoded) else [0] * len(decoded)
        errors = []
        for hidden, clip in zip(decoded, clips, strict=True):
            truth = self._offsets(lesson.vertices[clip, : lesson.frames[clip]], template[clip])
            errors.append(projected_error(hidden[: len(truth)], self.vertice_map_r, truth))
        return torch.stack(errors).mean()

    # -- a new speaker ---------------------------------------------------------------------------------------------

    def add_subject(self, weights: Sequence[float]) -> list[tuple[nn.Parameter, Tensor]]:
        """See `models.talking_face`."""
        table = self.obj_vector
        table.weight, own = with_newcomer(table.weight, weights, subjects=1)
        table.in_features += 1
        self.subjects += 1
        return [(table.weight, own)]

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
        fold, constant = self._feedback(self.vertice_map, self.vertice_map_r)
        own = self.style(style[None])
        for hidden in Voice(self.transformer_decoder, fold, constant + own, own).speak(memories):
            yield self.to_vertices(hidden[0], template)

    def style(self, styles: Tensor) -> Tensor:
        """(B, K) one-hot, or mixtures → (B, d)"""
        embedded: Tensor = self.obj_vector(styles.to(self.obj_vector.weight.dtype))
        return embedded

    def to_vertices(self, hidden: Tensor, template: Tensor) -> Tensor:
        """Decoder output (…, d) and (D,) → absolute positions (…, D), in the data's unit."""
        scale, outward = self.settings.motion_scale, self.vertice_map_r
        return F.linear(hidden, outward.weight * scale, outward.bias * scale + template)
