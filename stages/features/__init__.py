"""The stage `features`: the frozen part of a speech encoder, run once per sequence and kept at its own 50 Hz.

The papers keep the seven convolutions of wav2vec 2.0 frozen and train the transformer behind them, so the convolutions'
output is an exact cache of what never changes; so is the text that a frozen recogniser hears (SelfTalk). One clip at a
time, always: the first convolution of the base models is followed by a GroupNorm over the *whole* time axis, so padding
or chunking would change every frame.

A method that freezes the transformer, too (FaceTalk), may be given what it says of each frame: the same convolutions,
brought to the frame rate, through the transformer (`per_frame`). Data may hold these already, as a track (`track`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pipeline.pretrained import TEXT_FILES
from pipeline.stage import Given, Items, Job, Needs, Slot, Sources, Stage, Upstream, of_json, param
from stages.kinds import LOG_MEL, tracks
from stages.kinds.checkpoint import BEST, CONFIG, modules_behind
from stages.kinds.sequences import INDEX, SOUND, Sequences

CHECKPOINT = "checkpoint"
"""The encoder that is the frozen half of a trained network's own; also the slot that the network comes through. As
`recogniser`: the one that was trained here."""
RECOGNISER = "recogniser"
"""The slot that a recogniser of ours comes through."""
TRACK = "track"
"""The encoder of a track that nobody names."""
NO_SOURCE = (LOG_MEL, CHECKPOINT, TRACK)
"""Encoders that are neither downloaded nor a folder of the outside."""
XLSR = "jonatasgrosman/wav2vec2-large-xlsr-53-english"
"""The recogniser of SelfTalk (ACM MM 2023)."""


@dataclass(frozen=True)
class Params:
    encoder: str = param(
        help="speech encoder: log-mel (no download), a hub id or folder of a wav2vec 2.0, HuBERT or WavLM checkpoint, "
        "'checkpoint': the convolutions that the trained network in the input of that name carries, or 'track': that "
        "which made a track, where nobody knows it"
    )
    per_frame: bool = param(
        False,
        help="what the frozen transformer says of each frame of the motion, of convolutions that were brought to the "
        "frame rate (FaceFormer's way), for networks that leave all of it frozen (facetalk); else features at 50 Hz",
    )
    track: str | None = param(
        None,
        help="the track of the data that holds what the encoder says, such as FaceTalk's speech_features: it is read "
        "in place of computing, brought to a step a frame",
    )
    weights: str | None = param(
        None,
        path=True,
        help="per frame only: a file with the encoder's weights, such as voca_pretrained_audio_encoder.pt, in place of "
        "those that its name stands for",
    )
    hidden: bool = param(
        False, help="also keep the last hidden state of the pretrained transformer, for methods that freeze all of it"
    )
    text: bool = param(
        False,
        help="also keep what a frozen CTC recogniser makes of the sound: its last hidden states and logits",
    )
    recogniser: str | None = param(
        None,
        help="text only: which recogniser; unsaid: the encoder itself, with its CTC head; a hub id or folder "
        "of another; or 'checkpoint': the one trained here, in the input 'recogniser'",
    )
    dtype: str = param(
        "float32",
        choices=("float32", "float16"),
        help="stored precision; float16 errs by 2e-4, in hidden states and logits by 5e-4 of each number",
    )

    @property
    def framewise(self) -> bool:
        """Whether features are a frame's each."""
        return self.per_frame or bool(self.track)

    @property
    def hears_itself(self) -> bool:
        """Whether text is what the encoder recognises: one network makes all."""
        return self.text and (self.recogniser or self.encoder) == self.encoder and self.encoder not in NO_SOURCE


class ExtractFeatures(Stage):
    """Sound of `sequences` → `features`."""

    name = "features"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot("sequences", uses=("wav",)),
        CHECKPOINT: Slot("checkpoint", uses=(BEST, CONFIG), optional=True),
        RECOGNISER: Slot("checkpoint", uses=(BEST, CONFIG), optional=True),
    }
    output = "features"
    libraries = ("numpy", "torch", "transformers")

    def check(self) -> Iterable[str]:
        if self.params.hidden and self.params.encoder == LOG_MEL:
            yield "hidden = true needs a pretrained encoder: log-mel has no hidden states"
        if self.params.hidden and self.params.encoder == CHECKPOINT:
            yield "hidden = true needs a pretrained encoder: a network's own transformer is trained, not frozen"
        yield from self._text_problems()
        yield from self._frame_problems()

    def _frame_problems(self) -> Iterable[str]:
        params = self.params
        if params.encoder == TRACK and not params.track:
            yield "encoder = 'track' reads a track of the data: name it in track, such as 'speech_features'"
        if params.framewise and params.encoder in (LOG_MEL, CHECKPOINT):
            what = f"track = {params.track!r}" if params.track else "per_frame = true"
            other = f", or {TRACK!r} where nobody knows it" if params.track else ""
            yield (
                f"encoder = {params.encoder!r} has no frozen transformer, and {what} is what one says: name a "
                f"pretrained encoder{other}"
            )
        for name in ("hidden", "text"):
            if params.framewise and getattr(params, name):
                yield f"{name} = true is kept at 50 Hz, and these are one a frame: leave it out, or per_frame and track"
        if params.weights and (not params.framewise or params.encoder in NO_SOURCE):
            yield f"weights = {params.weights!r} is read with a pretrained encoder and per_frame = true: leave it out"

    def _text_problems(self) -> Iterable[str]:
        encoder, recogniser = self.params.encoder, self.params.recogniser
        if recogniser and not self.params.text:
            yield f"recogniser = {recogniser!r} is read with text = true only: set that, or leave recogniser out"
        elif recogniser == LOG_MEL:
            yield f"recogniser = {LOG_MEL!r} is no network: name a recogniser, or train one and say 'checkpoint'"
        elif self.params.text and not recogniser and encoder in NO_SOURCE:
            yield (
                f"text = true needs a recogniser, and encoder = {encoder!r} is none: name one in recogniser, such as "
                f"{XLSR!r}"
            )
        elif self.params.text and self.params.hidden and not self.params.hears_itself:
            yield (
                f"hidden = true keeps the encoder's states and text = true those of recogniser = {recogniser!r}, and "
                "there is room for one: leave hidden out, or make features twice"
            )

    def slots(self) -> Mapping[str, Slot]:
        """A network only where it is asked for, and then it must be there."""
        asked = {CHECKPOINT: self.params.encoder, RECOGNISER: self.params.recogniser if self.params.text else None}
        absent = [slot for slot, source in asked.items() if source != CHECKPOINT]
        return {slot: replace(spec, optional=False) for slot, spec in self.inputs.items() if slot not in absent}

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """The model of a recogniser that was trained here: editing it hears anew."""
        return modules_behind(upstream[RECOGNISER]) if RECOGNISER in upstream else ()

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        encoder = self.params.track or Path(self.params.encoder).name
        words = {"-hidden": self.params.hidden, "-text": self.params.text, "-frames": self.params.framewise}
        return f"{upstream['data'].label}-{encoder}{''.join(word for word, wanted in words.items() if wanted)}"

    def sources(self) -> Sources:
        named = {"encoder": self.params.encoder, RECOGNISER: self._recogniser}
        pretrained = {what: source for what, source in named.items() if source and source not in NO_SOURCE}
        weights = {"weights": Path(self.params.weights)} if self.params.weights else {}
        return Sources(self._vocabulary() | weights, pretrained)

    @property
    def _recogniser(self) -> str:
        """Beside the encoder; "" for none."""
        return (self.params.recogniser or "") if self.params.text and not self.params.hears_itself else ""

    def _vocabulary(self) -> dict[str, Path]:
        """Of a recogniser in a folder; a hub id's commit tells it."""
        source = self.params.encoder if self.params.hears_itself else self._recogniser
        folder = Path(source).expanduser()
        if not source or not folder.is_dir():
            return {}
        return {f"{name}?": folder / name for name in TEXT_FILES}

    def needs(self) -> Needs:
        """The band filters run in NumPy, a network where the device is."""
        light = self.params.encoder in (LOG_MEL, TRACK) and not self.params.text
        return Needs(threads="any") if light else Needs(gpu=1, threads="all")

    def uses(self, slot: str) -> tuple[str, ...]:
        """Features that are a frame's each hang on how many there are. Beside a track, sound is looked at where an
        encoder is held against it."""
        if slot != "data" or not self.params.framewise:
            return super().uses(slot)
        read = (tracks.INDEX, tracks.FOLDER) if self.params.track else ()
        return (INDEX, *read, *((SOUND,) if self.params.encoder != TRACK else ()))

    def reads(self, given: Mapping[str, Given]) -> Mapping[str, Mapping[str, str]]:
        found = {slot: entry.content for slot, entry in given.items()}
        if not self.params.framewise:
            return found
        data, track = Sequences(given["data"].path), self.params.track
        lengths = {INDEX: of_json([data.fps, {name: data.entry(name).frames for name in data.ids()}])}
        if track:
            return found | {"data": lengths | tracks.of_track(data.path, track, data.ids(), given["data"])}
        return found | {"data": lengths | {SOUND: found["data"].get(SOUND, "")}}

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        if self.params.framewise:
            return self._frame_items(given["data"], sources)
        sounds = {Path(name).stem: hash_ for name, hash_ in given["data"].files.items() if name.startswith(f"{SOUND}/")}
        networks = {slot: dict(given[slot].content) for slot in (CHECKPOINT, RECOGNISER) if slot in given}
        return Items(sounds, shared=dict(sources) | networks)

    def _frame_items(self, given: Given, sources: Mapping[str, Any]) -> Items:
        """A sequence: of its sound, or its rows, and of its number of frames."""
        data, track = Sequences(given.path), self.params.track
        place, end = (f"{tracks.FOLDER}/{track}", "npy") if track else (SOUND, "wav")
        each = {name: [given.files.get(f"{place}/{name}.{end}"), data.entry(name).frames] for name in data.ids()}
        return Items(each, shared=[dict(sources), data.fps])

    def run(self, job: Job) -> None:
        from stages.features.extract import extract

        extract(job, self.params)
