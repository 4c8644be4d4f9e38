"""SelfTalk (Peng et al., "SelfTalk: A Self-Supervised Commutative Training Diagram to Comprehend 3D Talking Faces",
ACM MM 2023).

speech → wav2vec 2.0 → one decoder layer over the whole clip → offsets from the neutral template; and, in training, the
lips of that motion → interpreter → what a frozen recogniser made of the same speech: its features and its text.

There is no style: a clip has one motion, whoever is asked for. The recogniser is no part of this network: what it makes
of a clip never changes, and comes with the clip. The released code leaves the recogniser's dropout on while it trains,
so that its targets are noisy; ours are not. Nothing here changes a number in eval mode.

Shapes: B clips, L features at 50 Hz, C channels, W the encoder's width, T frames, D = 3 V coordinates, d channels,
N steps of the interpreter, n lip vertices, H channels of the recogniser, K training subjects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from faces.errors import DataError
from models.ctc_errors import ctc_errors
from models.full_attention import Decoder, inside_of
from models.listening import BLOCK, Lesson, ListeningFace, clip_mean
from models.official import OfficialState, fit, modern_name
from models.outward import placed
from models.projected_error import MotionErrors, projected_error, projected_errors
from models.resample import FEATURE_RATE, frame_count
from models.selftalk.interpreter import Interpreter, lip_rows, sizes
from models.selftalk.settings import Settings
from models.talking_face import Clips, DataFacts, Speech
from models.text import Vocabulary

if TYPE_CHECKING:
    from models.motion_prior import MotionPrior

RECOGNISER = "text_encoder."
"""How the frozen recogniser's entries begin in released files."""
READER = ("lip_map.", "transformer.", "lm_head.")
"""The same of the interpreter."""


class SelfTalk(ListeningFace):
    """The network. Parameter names are the released ones; see `models.talking_face` for what every method is for."""

    name: ClassVar[str] = "selftalk"
    settings: Settings
    lip_rows: Tensor
    """(3 n,): coordinates of the lips; empty where they are not known."""

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__(settings, facts)
        d, wide = settings.feature_dim, 3 * facts.vertices
        self.joins = self.per_frame
        self.audio_feature_map = nn.Linear(self.joins * self.audio_encoder.width, d)
        feedforward = settings.feedforward or 2 * d
        self.transformer_decoder = Decoder(
            d, settings.heads, feedforward, settings.layers, settings.dropout, normed=False
        )
        self.vertice_map_r = nn.Linear(d, wide)
        # An untrained network returns the template.
        nn.init.zeros_(self.vertice_map_r.weight)
        nn.init.zeros_(self.vertice_map_r.bias)
        self.vocabulary = tuple(facts.vocabulary) if settings.reads_lips else ()
        self.blank = Vocabulary(self.vocabulary).blank if self.vocabulary else 0
        self.register_buffer("lip_rows", lip_rows(settings, facts), persistent=False)
        if settings.reads_lips:
            self._make_interpreter(settings, facts)

    def _make_interpreter(self, settings: Settings, facts: DataFacts) -> None:
        lips, classes, width = sizes(settings, facts)
        self.lip_map = nn.Linear(3 * lips, width)
        self.transformer = Interpreter(
            width,
            settings.interpreter_heads,
            settings.interpreter_feedforward,
            settings.interpreter_layers,
            settings.dropout,
        )
        self.lm_head = nn.Linear(width, classes)

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts, prior: MotionPrior | None = None) -> SelfTalk:
        """A freshly initialised network. DataError where settings and data do not go together. It takes no prior."""
        return cls(settings, facts)

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """Load a released checkpoint (`models.official.read_official`), which counts motion in the data's unit, but for
        its recogniser, and for its interpreter where this network has none."""
        strange = (RECOGNISER,) if self.settings.reads_lips else (RECOGNISER, *READER)
        own = OfficialState({name: v for name, v in state.items() if not modern_name(name).startswith(strange)})
        own.source = getattr(state, "source", OfficialState.source)
        fit(self, own, tables={})
        with torch.no_grad():
            self.vertice_map_r.weight.div_(self.settings.motion_scale)
            self.vertice_map_r.bias.div_(self.settings.motion_scale)
            if self.settings.reads_lips:  # lips are offsets, in the network's unit
                self.lip_map.weight.mul_(self.settings.motion_scale)

    # -- speech ----------------------------------------------------------------------------------------------------

    def listen(self, features: Tensor, lengths: list[int], frames: list[int]) -> Tensor:
        """(B, L, C) at 50 Hz → z (B, T, d), one step a frame.

        "interpolate": the frame rate changes before the transformer. "pairs": the transformer hears all L features, and
        those of a clip's frames are cut out behind it, two to a frame.
        """
        if self.settings.alignment != "pairs":
            return super().listen(features, lengths, frames)
        features = features.to(self.audio_feature_map.weight.dtype)
        if self.hearing and not self.training and max(lengths) > self.hearing:
            clips = zip(features, lengths, strict=True)
            heard = pad_sequence([self._listen_in_windows(clip[:length]) for clip, length in clips], batch_first=True)
            return heard[:, : max(frames)]
        return self._joined(self.audio_encoder(features, lengths)[:, : 2 * max(frames)])

    def encode(self, aligned: Tensor, own: slice) -> Tensor:
        """Features at the encoder's rate (1, S, C) → z of those of these steps that make whole frames (1, n, d)."""
        encoded = self.audio_encoder(aligned, [aligned.shape[1]])[:, own]
        return self._joined(encoded[:, : self.joins * (encoded.shape[1] // self.joins)])

    def _joined(self, encoded: Tensor) -> Tensor:
        """(B, T·joins, W) → (B, T, d)"""
        memory: Tensor = self.audio_feature_map(encoded.unflatten(1, (-1, self.joins)).flatten(2))
        return memory

    def voice(self, memories: Iterable[Tensor], template: Tensor, style: Tensor) -> NoReturn:
        """DataError: no frame is known before the last one was heard."""
        raise DataError(
            "every frame of selftalk looks at the whole sound, so that none can be shown before the sound has ended: "
            "wait for it, with a look ahead below 0 (--ahead -1)"
        )

    # -- motion ----------------------------------------------------------------------------------------------------

    def decode(self, memory: Tensor, frames: Sequence[int]) -> Tensor:
        """z (B, T, d), of each clip its own frames → (B, T, d): every frame sees all others of its clip."""
        decoded: Tensor = self.transformer_decoder(memory, memory, inside_of(frames, memory.shape[1], memory.device))
        return decoded

    def to_vertices(self, hidden: Tensor, template: Tensor) -> Tensor:
        """Decoder output (…, d) and (D,) → absolute positions (…, D), in the data's unit."""
        return placed(hidden, self.vertice_map_r, self.settings.motion_scale, template)

    def lips_of(self, hidden: Tensor) -> Tensor:
        """Decoder output (…, d) → offsets of the lips (…, 3 n), in the network's unit: no other rows are multiplied."""
        outward, rows = self.vertice_map_r, self.lip_rows
        return F.linear(hidden, outward.weight[rows], outward.bias[rows])

    # -- training --------------------------------------------------------------------------------------------------

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        """Means over clips: "position", the squared error over frames and coordinates, and "velocity", that of changes
        from frame to frame, in the network's unit squared; "latent", the squared distance of the interpreter's features
        to the recogniser's, and "text", the CTC loss of what was heard against what is read, per letter; "loss", their
        weighted sum. Without an interpreter the last two are not there. Only "loss" has all gradients."""
        lesson = self.hear(clips)
        hidden = self.decode(lesson.memory, lesson.frames)
        motion = self._motion_errors(hidden, lesson, clips.template)
        losses = {"loss": motion.loss, "position": motion.position, "velocity": motion.velocity}
        if self.settings.reads_lips:
            latent, text = self._reading_errors(hidden, lesson.frames, clips)
            weighted = self.settings.latent_weight * latent + self.settings.text_weight * text
            losses |= {"loss": motion.loss + weighted, "latent": latent, "text": text}
        return losses

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        """ "loss" is the position loss of `losses`, without a weight: what the released code prints while it trains. It
        chooses the best checkpoint by the mesh; the other losses are means to that."""
        lesson = self.hear(clips)
        hidden = self.decode(lesson.memory, lesson.frames)
        errors = [
            projected_error(own, self.vertice_map_r, truth)
            for own, truth in self._pairs(hidden, lesson, clips.template)
        ]
        return {"loss": torch.stack(errors).mean()}

    def _motion_errors(self, hidden: Tensor, lesson: Lesson, template: Tensor) -> MotionErrors:
        weights = self.settings.position_weight, self.settings.velocity_weight
        pairs = self._pairs(hidden, lesson, template)
        errors = [projected_errors(own, self.vertice_map_r, truth, *weights) for own, truth in pairs]
        return MotionErrors(*(torch.stack(part).mean() for part in zip(*errors, strict=True)))

    def _pairs(self, hidden: Tensor, lesson: Lesson, template: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Per clip decoder output (T, d) and true offsets (T, D) of its own frames."""
        for own, vertices, neutral, count in zip(hidden, lesson.vertices, template, lesson.frames, strict=True):
            yield own[:count], (vertices[:count] - neutral) / self.settings.motion_scale

    def _reading_errors(self, hidden: Tensor, frames: list[int], clips: Clips) -> tuple[Tensor, Tensor]:
        """ "latent" and "text" of `losses`."""
        if clips.text_hidden is None or clips.text is None or clips.text_lengths is None:
            raise ValueError("the interpreter learns with clips that hold what a recogniser heard")
        if not len(self.lip_rows):
            raise DataError(
                f"this network's interpreter reads {self.settings.lip_vertices} lip vertices, and nobody says which: "
                "give the data the region, or set latent_weight and text_weight to 0"
            )
        lengths = clips.feature_lengths.tolist()
        steps = [2 * count for count in frames] if self.per_frame == 2 else lengths
        features = self.interpret(self.lips_of(hidden), frames, steps)  # (B, N, H)
        heard = clips.text_hidden[:, : max(steps)]
        latent = clip_mean((features.float() - heard.float()).square(), steps)
        logits = self.lm_head(features)
        return latent, ctc_errors(logits, torch.tensor(steps), clips.text, clips.text_lengths, self.blank).mean()

    # -- reading lips ----------------------------------------------------------------------------------------------

    def interpret(self, lips: Tensor, frames: Sequence[int], steps: Sequence[int]) -> Tensor:
        """Offsets of the lips (B, T, 3 n), in the network's unit → features (B, N, H). frames, steps: of each clip."""
        features: Tensor = self.transformer(self.lip_map(lips), frames, steps)
        return features

    @property
    def reads(self) -> bool:
        """Whether `read_lips` can be asked: there is an interpreter, and its lips and its letters are known."""
        return bool(self.vocabulary) and len(self.lip_rows) > 0

    @torch.no_grad()
    def read_lips(self, motion: Tensor, template: Tensor) -> Tensor:
        """Any motion (T, D), absolute positions, and (D,) → logits (N, classes) at 50 Hz: what its lips say, as classes
        of `vocabulary`. Meant for eval mode. DataError where `reads` is False."""
        if not self.reads:
            raise DataError("this network reads no lips: it has no interpreter, or its lips or letters are not known")
        rows = self.lip_rows
        lips = (motion[:, rows] - template[rows]) / self.settings.motion_scale
        frames = len(lips)
        steps = max(1, frame_count(frames, FEATURE_RATE, self.fps))
        logits: Tensor = self.lm_head(self.interpret(lips[None], [frames], [steps]))[0]
        return logits

    # -- inference -------------------------------------------------------------------------------------------------

    def predict(self, features: Tensor, template: Tensor, styles: Tensor) -> Tensor:
        """(L, C), (D,), (S, K) → (S, T, D): one motion, seen S times. Meant for eval mode; then deterministic."""
        return self.predict_all([Speech(features, template, styles)])[0]

    @torch.no_grad()
    def predict_all(self, speeches: Sequence[Speech]) -> list[Tensor]:
        """(S, T, D) per speech: views of one motion each, which must not be written to."""
        memory, frames = self.listen_to(speeches)
        hidden = self.decode(memory, frames)
        clips = zip(hidden, frames, speeches, strict=True)
        return [_seen(self.to_vertices(own[:count], speech.template), speech) for own, count, speech in clips]

    @torch.no_grad()
    def predict_blocks(self, speech: Speech, block: int = BLOCK) -> Iterator[Tensor]:
        """(S, n, D) after (S, n, D): what `predict_all` gives of one speech, never all of it at once.

        Held are the decoder's channels of all frames, 1/29 (VOCASET) and 1/68 (BIWI) of their coordinates.
        """
        memory, frames = self.listen_to([speech])
        for part in self.decode(memory, frames)[0].split(block):
            yield _seen(self.to_vertices(part, speech.template), speech)


def _seen(motion: Tensor, speech: Speech) -> Tensor:
    """(n, D) → (S, n, D), without copies."""
    return motion.expand(len(speech.styles), -1, -1)
