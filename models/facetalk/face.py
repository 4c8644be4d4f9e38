"""FaceTalk (Aneja et al., "FaceTalk: Audio-Driven Motion Diffusion for Neural Parametric Head Models", CVPR 2024).

speech → wav2vec 2.0, frozen → one step a frame; noise → causal denoiser that hears each frame's own step → motion: the
expression codes of a neural head model, any other track of the data, or displacements of a mesh. Where the features are
what that encoder says of each frame, computed once by the stage `features` or by somebody else, there is none in here.

No code and no weights were published; what the paper states is here, and what it leaves open is a setting
(`models.facetalk.settings`). Departures: motion is standardised, without which codes of a unit ball drown in noise;
crops are numbered from a drawn frame on (`late_start`), and no frame looks back on more than a crop (`look_back`), both
for the sake of clips that are longer than what was trained and are spoken whole.

Shapes: B clips, L features at 50 Hz, C channels, W the encoder's width, T frames, D coordinates, K numbers of a frame
in the space that is drawn in, d channels, S seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from faces.errors import DataError
from models.diffusion.schedule import Schedule
from models.encoder_file import take_encoder
from models.facetalk.denoiser import Denoiser
from models.facetalk.drawing import Said, drawn
from models.facetalk.lesson import Draws, draw, spread
from models.facetalk.memory import Remembered
from models.facetalk.settings import Settings
from models.facetalk.space import Motions, MotionSpace
from models.listening import BLOCK, ListeningFace
from models.padding import Padding, clip_means
from models.resample import align
from models.sampling import Sampling
from models.sound import Wave
from models.talking_face import Clips, DataFacts, Speech

if TYPE_CHECKING:
    from models.motion_prior import MotionPrior

ALIGNMENT = "interpolate"
WHOLE_S = 10.0
"""Seconds up to which a clip is drawn at once where nobody says."""
FRAMES_AT_ONCE = 2**15
"""Of all motions that are drawn together, on a GPU. On a CPU larger batches gain nothing, and padding costs as much as
speech."""


class FaceTalk(ListeningFace):
    """The network; see `models.talking_face` for what every method is for."""

    name: ClassVar[str] = "facetalk"
    settings: Settings

    def __init__(self, settings: Settings, facts: DataFacts) -> None:
        super().__init__(settings, facts)
        self.coordinates = facts.width
        if settings.encoder_weights and self.log_mel:
            raise DataError(
                "encoder_weights is of a pretrained speech encoder, and the features are log-mel: leave it out"
            )
        if facts.framewise:
            _check_framewise(settings)
        self.frozen = settings.frozen_encoder and not self.log_mel and not facts.framewise
        if self.frozen:
            self.audio_encoder.requires_grad_(False)
        self.space = MotionSpace(self.coordinates, settings.pca, each=bool(settings.track))
        self.denoiser = Denoiser(settings, self.space.width)
        self.schedule = Schedule.of(settings.noise_schedule, settings.diffusion_steps)
        self.remembered = Remembered()
        self.register_load_state_dict_pre_hook(lambda module, *given: module.remembered.forget())
        self.sampling = Sampling(steps=min(Sampling.steps, settings.diffusion_steps))

    @classmethod
    def build(cls, settings: Settings, facts: DataFacts, prior: MotionPrior | None = None) -> FaceTalk:
        """A freshly initialised network. DataError where settings and data do not go together. It takes no prior."""
        if facts.track != settings.track:
            raise DataError(
                f"the network moves {settings.track or 'vertices'!r}, and the data give {facts.track or 'vertices'!r}"
            )
        return cls(settings, facts)

    def load_speech_weights(self, source: str) -> None:
        """The encoder of `source`, or where the settings name a file of others, these."""
        super().load_speech_weights(source)
        if self.settings.encoder_weights:
            take_encoder(self.audio_encoder, Path(self.settings.encoder_weights).expanduser())
        self.remembered.forget()

    def load_official(self, state: Mapping[str, Tensor]) -> None:
        """DataError: there is nothing to load."""
        raise DataError(
            "FaceTalk's weights were never published, so this file is another model's: train facetalk, or give the "
            "weights of a checkpoint of it; a published speech encoder is named by encoder_weights"
        )

    def train(self, mode: bool = True) -> FaceTalk:
        """A frozen speech encoder is always in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.audio_encoder.eval()
        return self

    def study(self, motions: Motions) -> None:
        """Learn the space that motion is drawn in. DataError where the training motion has none."""
        self.space.study(motions)

    def sample_with(self, sampling: Sampling) -> None:
        """How motion is drawn from here on. DataError where it cannot be."""
        if problems := list(sampling.problems(self.settings.diffusion_steps)):
            raise DataError("; ".join(problems))
        self.sampling = sampling

    # -- speech ----------------------------------------------------------------------------------------------------

    def frames_for(self, feature_length: int) -> int:
        """T of L features at 50 Hz; of features that are a frame's each, as many."""
        return feature_length if self.framewise else super().frames_for(feature_length)

    def features_of(self, wave: Wave) -> Tensor:
        """Standardised sound (N,) → features (L, C). DataError where they are those of an encoder that is not here."""
        if self.framewise:
            raise DataError(
                "this network hears what a frozen speech encoder said of each frame, and does not hold that encoder: "
                "speak files of sound, with --audio"
            )
        return super().features_of(wave)

    def hear_clips(self, clips: Clips, frames: list[int]) -> Tensor:
        """What the speech encoder says of whole clips, (B, T, W)."""
        lengths = clips.feature_lengths.tolist()
        features = clips.features.to(self.audio_feature_map.weight.dtype)
        if self.frozen:
            return self._hear_frozen(features, lengths, frames, clips.sentences)
        encoded: Tensor = self.audio_encoder(align(features, lengths, frames, ALIGNMENT), frames)
        return encoded

    @torch.no_grad()
    def _hear_frozen(self, features: Tensor, lengths: list[int], frames: list[int], sentences: Tensor | None) -> Tensor:
        """Each clip by itself, so that what is remembered hangs on no batch that it was once in."""
        names = [None] * len(frames) if sentences is None else sentences.tolist()
        return pad_sequence(
            [
                self._hear_one(clip[None, :length], count, name)
                for clip, length, count, name in zip(features, lengths, frames, names, strict=True)
            ],
            batch_first=True,
        )

    def _hear_one(self, features: Tensor, frames: int, sentence: int | None) -> Tensor:
        """(1, L, C) → (T, W)"""
        known = None if sentence is None else self.remembered.get(sentence, frames)
        if known is not None:
            return known.to(features.device)
        aligned = align(features, [features.shape[1]], [frames], ALIGNMENT)
        heard: Tensor = self.audio_encoder(aligned, [frames])[0].float()
        if sentence is not None:
            self.remembered.put(sentence, heard)
        return heard

    def voice(self, memories: Iterable[Tensor], template: Tensor, style: Tensor) -> NoReturn:
        """DataError: a clip is drawn from end to end, again and again."""
        raise DataError(
            "facetalk draws a clip from end to end in many steps, so that no frame can be shown before the sound has "
            "ended: wait for it, with a look ahead below 0 (--ahead -1)"
        )

    # -- training --------------------------------------------------------------------------------------------------

    def losses(self, clips: Clips) -> dict[str, Tensor]:
        """Means over clips, in deviations of the training motion squared: "signal", the squared error of the clean
        motion over a crop's frames and numbers; "velocity", that of changes from frame to frame, of a single frame 0;
        "loss", their weighted sum. DataError where the network was never shown its training motion."""
        frames = self._frames_of(clips)
        signal, velocity = self.errors(clips, draw(frames, self.space.width, self.settings))
        signal, velocity = signal.mean(), velocity.mean()
        return {"loss": signal + self.settings.velocity_weight * velocity, "signal": signal, "velocity": velocity}

    def validation_losses(self, clips: Clips) -> dict[str, Tensor]:
        """ "loss", the signal loss over all frames of the clips, at noise and steps that never change; "unheard", the
        same where the sound is withheld: the difference is what the network has learnt of it."""
        frames = self._frames_of(clips)
        draws = spread(frames, self.space.width, self.settings)
        signal, _ = self.errors(clips, draws)
        device = signal.device
        return {
            name: _mean_of_clips(
                signal[rows.to(device)], draws.lengths[rows].to(device), draws.clips[rows].to(device), len(frames)
            )
            for name, rows in (("loss", _rows(~draws.withheld)), ("unheard", _rows(draws.withheld)))
        }

    def errors(self, clips: Clips, draws: Draws) -> tuple[Tensor, Tensor]:
        """Of every row that was drawn, the squared errors of the signal and of its changes, (rows,) float32 each."""
        self.space.check()
        if clips.vertices is None:
            raise ValueError("losses need clips with vertices and frames")
        heard = self.hear_clips(clips, self._frames_of(clips))
        device = heard.device
        at = draws.starts[:, None] + torch.arange(draws.noise.shape[1])
        clip, at = draws.clips[:, None].to(device), at.to(device)
        at = at.clamp(max=clips.vertices.shape[1] - 1)  # behind a clip's end nobody looks
        truth = self.space.inward(
            clips.vertices[clip, at],
            clips.template[draws.clips.to(device)][:, None],
            draws.factors.to(device)[:, None, None],
        )
        noisy = self.schedule.noised(truth, draws.steps, draws.noise.to(device))
        padding = Padding.of(draws.lengths.tolist(), at.shape[1], device)
        made = self.denoiser(
            noisy,
            draws.steps.to(device),
            self.audio_feature_map(heard[clip, at]),
            inside=None if padding is None else padding.inside,
            withheld=draws.withheld.to(device),
            first=draws.first,
        )
        missed = made.float() - truth
        signal = clip_means(missed.square().mean(-1), padding)
        return signal, _changes(missed, draws.lengths.tolist())

    def _frames_of(self, clips: Clips) -> list[int]:
        if clips.frames is None:
            raise ValueError("losses need clips with vertices and frames")
        lengths, frames = clips.feature_lengths.tolist(), clips.frames.tolist()
        if min(frames) == 0 or min(lengths) == 0:
            raise DataError("a clip to train on has no motion frame, or speech too short for one; leave it out")
        return frames

    # -- inference -------------------------------------------------------------------------------------------------

    def predict(self, features: Tensor, template: Tensor, styles: Tensor) -> Tensor:
        """(L, C), (D,), (S, K) → (S, T, D): one motion, of seed 0, seen S times. Meant for eval mode."""
        return self.predict_all([Speech(features, template, styles)])[0]

    @torch.no_grad()
    def predict_all(self, speeches: Sequence[Speech]) -> list[Tensor]:
        """(S, T, D) per speech, S its seeds; without any, one motion of seed 0, seen as often as there are styles."""
        hidden = self._drawn(speeches)
        pairs = zip(speeches, hidden, strict=True)
        return [_seen(self.to_motion(own, speech.template), speech) for speech, own in pairs]

    @torch.no_grad()
    def predict_blocks(self, speech: Speech, block: int = BLOCK) -> Iterator[Tensor]:
        """(S, n, D) after (S, n, D): what `predict_all` gives of one speech, never all of it at once."""
        [hidden] = self._drawn([speech])
        for part in hidden.split(block, dim=1):
            yield _seen(self.to_motion(part, speech.template), speech)

    def to_motion(self, hidden: Tensor, template: Tensor) -> Tensor:
        """The denoiser's last layer (…, d) and (D,) → absolute motion (…, D), in the data's unit."""
        return self.space.outward(self.denoiser.formed(hidden), template)

    def _drawn(self, speeches: Sequence[Speech]) -> list[Tensor]:
        """(S, T, d) per speech."""
        memory, frames = self.listen_to(speeches)
        conditions = [self.denoiser.condition(own[None, :n])[0] for own, n in zip(memory, frames, strict=True)]
        said = [
            [Said(condition, seed, self._window(len(condition))) for seed in speech.seeds or (0,)]
            for speech, condition in zip(speeches, conditions, strict=True)
        ]
        flat = [one for of_speech in said for one in of_speech]
        made = iter([found for group in self._groups(flat) for found in self._draw(group)])
        return [torch.stack([next(made) for _ in of_speech]) for of_speech in said]

    def _window(self, frames: int) -> int:
        """How many frames of a clip are drawn at once."""
        whole = frames <= WHOLE_S * self.fps if self.sampling.long == "auto" else self.sampling.long == "whole"
        return frames if whole else min(frames, self.settings.crop)

    def _draw(self, said: Sequence[Said]) -> list[Tensor]:
        return drawn(self.denoiser, said, self.schedule, self.sampling)

    def _groups(self, said: Sequence[Said]) -> Iterator[Sequence[Said]]:
        """What is drawn together, in order."""
        alone = self.denoiser.null.device.type == "cpu"
        group: list[Said] = []
        for one in said:
            fits = (len(group) + 1) * max(len(other.condition) for other in (*group, one)) <= FRAMES_AT_ONCE
            alike = not group or (one.condition is group[-1].condition if alone else self._like(one, group[-1]))
            if group and not (fits and alike):
                yield group
                group = []
            group.append(one)
        yield group

    def _like(self, one: Said, other: Said) -> bool:
        """Whether both are cut into windows, or neither."""
        return (one.window < len(one.condition)) == (other.window < len(other.condition))


def _check_framewise(settings: Settings) -> None:
    """DataError for settings of an encoder that is not there."""
    if settings.encoder_weights:
        raise DataError(
            "encoder_weights is of the network's own speech encoder, and of these features it has none: name the file "
            "in the features step, weights, or leave it out"
        )
    if not settings.frozen_encoder:
        raise DataError(
            "frozen_encoder = false trains the speech encoder, and these features are what a frozen one said: leave "
            "per_frame and track out of the features step, or the encoder frozen"
        )


def _seen(motion: Tensor, speech: Speech) -> Tensor:
    """(S, n, D), of a speech without seeds as often as it has styles, without copies."""
    return motion if speech.seeds else motion.expand(len(speech.styles), -1, -1)


def _changes(missed: Tensor, lengths: list[int]) -> Tensor:
    """(B, T, K) → the mean squared change from each frame to the next, (B,); of a single frame 0."""
    if missed.shape[1] == 1:
        return missed.new_zeros(len(missed))
    changes = missed.diff(dim=1).square().mean(-1)
    counts = torch.tensor(lengths, device=missed.device) - 1
    inside = torch.arange(changes.shape[1], device=missed.device) < counts[:, None]
    return changes.where(inside, 0.0).sum(1) / counts.clamp(min=1)


def _rows(chosen: Tensor) -> Tensor:
    """(rows,) bool → the numbers of those that are True."""
    return chosen.nonzero().flatten()


def _mean_of_clips(errors: Tensor, frames: Tensor, clips: Tensor, count: int) -> Tensor:
    """Errors of rows of so many frames, each of a clip → the mean over clips of each clip's mean over its frames."""
    sums, weights = errors.new_zeros(count), errors.new_zeros(count)
    sums.index_add_(0, clips, errors * frames)
    weights.index_add_(0, clips, frames.to(weights))
    return (sums / weights).mean()
