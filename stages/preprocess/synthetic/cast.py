"""Who speaks what, and what a sentence then looks and sounds like: the same for every raw layout it is written in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stages.kinds.sequences import sequence_id
from stages.preprocess.split_file import Split, Splits
from stages.preprocess.synthetic.anatomy import Array
from stages.preprocess.synthetic.articulation import animate
from stages.preprocess.synthetic.speech import SAMPLE_RATE, Utterance, compose, speak
from stages.preprocess.synthetic.subjects import VOICE, Subject, draw_subject


@dataclass(frozen=True)
class Cast:
    """Who speaks what, in VOCASET's form. subjects, sentences: how many. seconds: of a sentence. seed: of everything
    drawn. noise: metres, of the capture. fps: frames, and rate: samples, per second. one_voice: whether all have the
    first one's voice, so that their manners show in their faces alone.
    """

    subjects: int
    sentences: int
    seconds: float
    seed: int
    noise: float
    vertices: int = 5023
    fps: float = 60.0
    rate: int = SAMPLE_RATE
    one_voice: bool = False

    def subject(self, number: int) -> Subject:
        subject = draw_subject(self.seed, number, self.vertices)
        if not self.one_voice:
            return subject
        first = draw_subject(self.seed, 0, self.vertices).manner
        voice = {name: getattr(first, name) for name in VOICE}
        return replace(subject, manner=replace(subject.manner, **voice))

    @property
    def names(self) -> list[str]:
        """Of the subjects, in order."""
        return [f"Synthetic_{number + 1:02d}" for number in range(self.subjects)]

    def sentence(self, number: int) -> str:
        """The name of a sentence; the first is number 1."""
        return f"sentence{number:02d}"

    @property
    def splits(self) -> Splits:
        """VOCASET's protocol in small: the last sixth of the subjects tests, the sixth before validates, at least one
        each, on the second half of the sentences; all others train on all sentences.
        """
        held = max(1, self.subjects // 6)
        every = frozenset(range(1, self.sentences + 1))
        late = frozenset(range(self.sentences // 2 + 1, self.sentences + 1))
        train, val, test = self.names[: -2 * held], self.names[-2 * held : -held], self.names[-held:]
        return Splits(
            {"train": Split(tuple(train), every), "val": Split(tuple(val), late), "test": Split(tuple(test), late)}
        )

    @property
    def sequences(self) -> list[tuple[int, int]]:
        """(subject number, sentence number) of all sequences that are in a split; nobody needs the others."""
        splits = self.splits
        return [
            (subject, sentence)
            for subject, name in enumerate(self.names)
            for sentence in range(1, self.sentences + 1)
            if splits.of(name, self.sentence(sentence))
        ]

    def utterance(self, subject: int, sentence: int) -> tuple[Utterance, np.random.Generator]:
        """What is said, and the source of chance for how."""
        rng = np.random.default_rng([self.seed, subject, sentence])
        return compose(rng, self.seconds, self.subject(subject).manner.rate), rng

    def transcripts(self) -> dict[str, str]:
        """Id → what is said, of all sequences."""
        named = {
            (number, sentence): (self.names[number], self.sentence(sentence)) for number, sentence in self.sequences
        }
        return {sequence_id(*name): self.utterance(*numbers)[0].text for numbers, name in named.items()}

    def frames(self, subject: int, sentence: int) -> int:
        """T, without performing it."""
        return int(self.utterance(subject, sentence)[0].seconds * self.fps)


def controls(cast: Cast, subject: Subject, number: int, sentence: int) -> Array:
    """(T, K) of `motion.CONTROLS`: what `perform` poses the head by, one row a frame."""
    utterance, rng = cast.utterance(number, sentence)
    speak(rng, utterance, subject.manner, cast.rate)  # what comes after it is drawn from the same stream
    return animate(rng, utterance, subject.manner, cast.fps)


def perform(cast: Cast, subject: Subject, number: int, sentence: int) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """One sentence by one subject: (T, V, 3) float32 in metres, (N,) int16."""
    utterance, rng = cast.utterance(number, sentence)
    samples = speak(rng, utterance, subject.manner, cast.rate)
    frames = subject.pose(animate(rng, utterance, subject.manner, cast.fps))
    if cast.noise:
        frames += np.float32(cast.noise) * rng.standard_normal(frames.shape, dtype=np.float32)
    return frames, samples


def voice(cast: Cast, subject: Subject, number: int, sentence: int) -> NDArray[np.int16]:
    """The sound of `perform` alone."""
    utterance, rng = cast.utterance(number, sentence)
    return speak(rng, utterance, subject.manner, cast.rate)
