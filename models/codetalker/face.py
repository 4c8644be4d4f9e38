"""CodeTalker (Xing et al., "CodeTalker: Speech-Driven 3D Facial Animation with Discrete Motion Prior", CVPR 2023).

speech → wav2vec 2.0 → memory; style and past motion → biased causal decoder → features → nearest codes of a frozen
motion prior, whose decoder turns them into offsets from the neutral template.

Departures from the released code, none of which changes a code: keys and values are kept, only new frames are
quantised, motion feeds back through one folded matrix, so that vertices are formed once, at the end; clips and styles
come in batches, and no table limits a clip to 600 frames.

Shapes: B clips, L features at 50 Hz, S features given to the decoder, T frames, D = 3 V coordinates, d decoder
channels, Q tokens of Z channels per frame, K training subjects, R rows: every style of every clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faces.errors import DataError
from models.codetalker.frozen import hold_frozen
from models.codetalker.settings import Settings
from models.codetalker.voice import Voice
from models.codetalker_vq.autoencoder import MotionAutoencoder
from models.codetalker_vq.prefix import PrefixDecoding
from models.feedback import Feedback
from models.folded import precise
from models.listening import BLOCK, Lesson, clip_mean
from models.moving import MovingFace, make_decoder
from models.newcomer import with_newcomer
from models.official import OfficialState, fit
from models.positions import periodic_encoding
from models.talking_face import Clips, DataFacts, Speech

if TYPE_CHECKING:
    from models.motion_prior import MotionPrior

ACTIVATIONS = 16
"""Tensors of the prior's size that one of its layers holds of every frame."""


class CodeTalker(MovingFace):
    """The network. Parameter names are the released ones; see `models.talking_face` for what every method is for."""

    name: ClassVar[str] = "codetalker"
    least: ClassVar[int] = 2  # the prior's instance norm is undefined over one frame
    settings: Settings
    autoencoder: MotionAutoencoder

    def __init__(self, settings: Settings, facts: DataFacts, prior: MotionAutoencoder) -> None:
        super().__init__(settings, facts)
        d, wide = settings.feature_dim, 3 * facts.vertices
        self.learnable_style_emb = nn.Embedding(len(facts.train_subjects), d)
        self.vertice_map = nn.Linear(wide, d)
        self.transformer_decoder = make_decoder(settings)
        self.feat_map = nn.Linear(d, prior.settings.tokens * prior.settings.token_width, bias=False)
        nn.init.zeros_(self.feat_map.weight)
        hold_frozen(self, "autoencoder", prior)
        self.context = 0
        self._feedback = Feedback()

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts, prior: MotionPrior | None = None) -> CodeTalker:
        """A freshly initialised network upon a trained prior, which it freezes. DataError where they do not fit."""
        if not isinstance(prior, MotionAutoencoder):
            raise DataError(f"{cls.name} predicts codes of a motion prior: train {Settings.prior!r} first and give it")
        if prior.vertices != facts.vertices:
            raise DataError(
                f"the motion prior was trained for faces of {prior.vertices} vertices, and these have "
                f"{facts.vertices}: train it on the same topology"
            )
        return cls(settings, facts, prior)

    @property
    def inward(self) -> nn.Linear:
        return self.vertice_map

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Load a released stage-2 file (`models.official.read_official`), which counts motion in the data's unit."""
        if any(name.endswith("quantize.embedding.weight") for name in state):
            source = getattr(state, "source", OfficialState.source)
            raise DataError(f"{source} is CodeTalker's first stage, a motion prior: give it to {Settings.prior!r}")
        fit(self, state, tables={"PPE.pe": self.settings.period})
        with torch.no_grad():
            self.vertice_map.weight.mul_(self.autoencoder.settings.motion_scale)

    def bound_context(self, frames: int) -> None:
        """An approximation for clips of any length. Where motion is decoded to be fed back, the prior's transformer
        sees the last `frames` ones only, so that a frame costs the same however long a clip is; what is returned is
        decoded in windows of twice as many, blended. 0: all, exact."""
        if frames < 0 or frames == 1:
            raise DataError(f"context = {frames}: the prior decodes two frames or more; 0 is all of them")
        self.context = frames

    def train(self, mode: bool = True) -> CodeTalker:
        """As every module's, but for the prior, which stays in eval mode; forgets what was derived from the weights."""
        self._feedback.forget()
        super().train(mode)
        self.autoencoder.eval()
        return self

    # -- training --------------------------------------------------------------------------------------------------

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        """Teacher-forced, means over clips: "motion", the squared error of the decoded motion in the prior's unit, and
        "code", the squared distance of features to the true codes; their weighted sum "loss". "codes_right" is no
        loss: the share of codes that were chosen as the prior does."""
        return self.lesson_losses(self.hear(clips), clips)

    def hear(self, clips: Clips) -> Lesson:
        """As every listening face, and what the prior makes of the true motion."""
        lesson = super().hear(clips)
        return lesson._replace(codes=self._targets(clips, lesson))

    def lesson_losses(self, lesson: Lesson, clips: Clips) -> dict[str, Tensor]:
        """`losses` of clips that were heard before."""
        memory, frames, vertices, targets = lesson
        assert targets is not None, "`hear` gives codes"
        offsets = self.autoencoder.offsets_of(vertices, clips.template)  # (B, T, D)
        decoded = self.decode_forced(memory, self.style(clips.style), offsets)
        features = self.feat_map(decoded).to(offsets.dtype)  # (B or styles, T, Q·Z)
        quantised, codes = self.autoencoder.quantise(features)
        ends = frames if len(frames) == len(features) else frames * len(features)
        motion = self.autoencoder.decode_features(quantised, ends)
        motion_error = clip_mean((motion - offsets).square(), frames)
        code_error = clip_mean((features - self.autoencoder.lookup(targets)).square(), frames)
        return {
            "loss": self.settings.motion_weight * motion_error + self.settings.code_weight * code_error,
            "motion": motion_error,
            "code": code_error,
            "codes_right": clip_mean((codes == targets).to(offsets.dtype), frames),
        }

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        """As `losses`: the released code knows no other. One clip in several styles is heard once."""
        return self.losses(clips)

    @torch.no_grad()
    def _targets(self, clips: Clips, lesson: Lesson) -> Tensor:
        """(B, T, Q): what the prior makes of the true motion, asked for only where it was not computed beforehand."""
        codes, frames = clips.codes, lesson.vertices.shape[1]
        if codes is None:
            offsets = self.autoencoder.offsets_of(lesson.vertices, clips.template)
            return self.autoencoder.quantise(self.autoencoder.features(offsets, lesson.frames))[1]
        if codes.shape[1] != frames:
            raise DataError(
                f"codes of {codes.shape[1]} frames were given for a clip that is trained on {frames}: "
                f"encode the motion anew, cut as alignment = {self.settings.alignment!r} cuts it"
            )
        return codes

    # -- a new speaker ---------------------------------------------------------------------------------------------

    def add_subject(self, weights: Sequence[float]) -> list[tuple[nn.Parameter, Tensor]]:
        """See `models.talking_face`."""
        table = self.learnable_style_emb
        table.weight, own = with_newcomer(table.weight, weights, subjects=0)
        table.num_embeddings += 1
        self.subjects += 1
        return [(table.weight, own)]

    # -- inference -------------------------------------------------------------------------------------------------

    def style(self, styles: Tensor) -> Tensor:
        """(B, K) one-hot → the learnt embedding of a subject (B, d); mixtures of subjects give mixtures."""
        table = self.learnable_style_emb.weight
        return styles.to(table.dtype) @ table

    def predict(self, features: Tensor, template: Tensor, styles: Tensor) -> Tensor:
        """(L, C), (D,), (S, K) → (S, T, D): one clip in S styles. Meant for eval mode; then deterministic."""
        return self.predict_all([Speech(features, template, styles)])[0]

    @torch.no_grad()
    def predict_all(self, speeches: Sequence[Speech]) -> list[Tensor]:
        """(S, T, D) per speech."""
        with precise(self.feat_map.weight.device):
            spoken = zip(speeches, self._speak(speeches), strict=True)
            return [torch.cat(list(self._move(found[0], speech.template)), dim=1) for speech, found in spoken]

    @torch.no_grad()
    def predict_blocks(self, speech: Speech, block: int = BLOCK) -> Iterator[Tensor]:
        """(S, n, D) after (S, n, D): what `predict_all` gives of one speech, never all of it at once."""
        with precise(self.feat_map.weight.device):
            [(quantised, _)] = self._speak([speech])
            yield from self._move(quantised, speech.template, block)

    @torch.no_grad()
    def predict_codes(self, speeches: Sequence[Speech]) -> list[Tensor]:
        """(S, T, Q) int64 per speech: the codes behind `predict_all`."""
        with precise(self.feat_map.weight.device):
            return [codes for _, codes in self._speak(speeches)]

    def voice(self, memories: Iterable[Tensor], template: Tensor, style: Tensor) -> Iterator[Tensor]:
        """See `ListeningFace.voice`."""
        for hidden in Voice(self, style).speak(memories):
            yield self.autoencoder.to_vertices(hidden[0], template)

    def exact_bytes(self, frames: int, rows: int) -> int:
        """About how much memory it takes that R motions of T frames look back on all of their frames; 0 where context
        is bounded. Attention keeps no scores on processors and Nvidia's devices, elsewhere those of all pairs."""
        prior = self.autoencoder.settings
        scores = 0 if self.feat_map.weight.device.type in ("cpu", "cuda") else prior.heads * frames
        return 0 if self.context else 4 * rows * frames * (ACTIVATIONS * prior.hidden_size + scores)

    def next_token(self, last: Tensor, style: Tensor) -> Tensor:
        """What the prior makes of the latest frame (B, h) and styles (B, d) → the decoder's next token (B, d)."""
        fold, constant = self._feedback(self.vertice_map, self.autoencoder.vertice_map_reverse)
        return F.linear(last, fold, constant) + style

    def _move(self, quantised: Tensor, template: Tensor, block: int | None = None) -> Iterator[Tensor]:
        """Codes handed on (S, T, Q·Z) and (D,) → absolute positions (S, n, D), all at once or n up to `block`."""
        for hidden in self._decoded(quantised):
            for part in hidden.split(block or hidden.shape[1], dim=1):
                yield self.autoencoder.to_vertices(part, template)

    def _decoded(self, quantised: Tensor) -> Iterator[Tensor]:
        if 0 < 2 * self.context < quantised.shape[1]:
            yield from self.autoencoder.decode_in_windows(quantised, 2 * self.context, self.context)
        else:
            yield self.autoencoder.decode_hidden(quantised)

    def _speak(self, speeches: Sequence[Speech]) -> list[tuple[Tensor, Tensor]]:
        """Codes handed on (S, T, Q·Z) and their numbers (S, T, Q), per speech."""
        memory, frames = self.listen_to(speeches)
        counts = [len(speech.styles) for speech in speeches]
        clips = [clip for clip, count in enumerate(counts) for _ in range(count)]
        style = self.style(torch.cat([speech.styles for speech in speeches]))
        quantised, codes = self.decode_own(memory, style, clips, [frames[clip] for clip in clips])
        parts = zip(frames, quantised.split(counts), codes.split(counts), strict=True)
        return [(rows[:, :count], numbers[:, :count]) for count, rows, numbers in parts]

    def decode_own(self, memory: Tensor, style: Tensor, clips: list[int], frames: list[int]) -> tuple[Tensor, Tensor]:
        """Autoregression: memory (clips, S, d) and, of each row, style (R, d), clip and frames → codes handed on
        (R, T, Q·Z) and their numbers (R, T, Q); zeros after a row's end.

        y_0 = s and y_{i+1} = W_map·o_i + b_map + s, where o_i is the last frame of the prior's decode of frames 0…i:
        not the frame that is returned, which sees all others. With o_i = W_r·h_i + b_r, y_{i+1} = A·h_i + a + s.
        """
        rows, longest = list(range(len(frames))), max(frames)
        positions = periodic_encoding(longest, style.shape[1], self.settings.period, style.device)
        decoding = self.transformer_decoder.begin(memory)
        decoding.keep(clips)
        prefix = PrefixDecoding(self.autoencoder, len(rows), longest, self.context)
        handed_on = style.new_zeros(len(rows), longest, self.feat_map.out_features)
        numbers = torch.zeros(len(rows), longest, self.autoencoder.tokens, dtype=torch.int64, device=style.device)
        token = style
        for i in range(longest):
            features = self.feat_map(decoding.step((token + positions[i])[:, None]))
            quantised, codes = self.autoencoder.quantise(features)  # (rows, 1, …)
            handed_on[rows, i], numbers[rows, i] = quantised[:, 0], codes[:, 0]
            going = [place for place, row in enumerate(rows) if frames[row] > i + 1]
            if not going:
                break
            if len(going) < len(rows):
                rows, style, quantised = [rows[place] for place in going], style[going], quantised[going]
                decoding.keep(going)
                prefix.keep(going)
            token = self.next_token(prefix.step(quantised[:, 0]), style)
        return handed_on, numbers
