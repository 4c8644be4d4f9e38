"""The stage `features`: the frozen part of a speech encoder, run once per sequence and kept at its own 50 Hz.

The papers keep the seven convolutions of wav2vec 2.0 frozen and train the transformer behind them, so the convolutions'
output is an exact cache of what never changes. One clip at a time, always: the first convolution of the base models
is followed by a GroupNorm over the *whole* time axis, so padding or chunking would change every frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pipeline.stage import Given, Items, Job, Needs, Slot, Sources, Stage, Upstream, param
from stages.kinds import LOG_MEL
from stages.kinds.checkpoint import BEST, CONFIG
from stages.kinds.sequences import SOUND

CHECKPOINT = "checkpoint"
"""The encoder that is the frozen half of a trained network's own; also the slot that the network comes through."""


@dataclass(frozen=True)
class Params:
    encoder: str = param(
        help="speech encoder: log-mel (no download), a hub id or folder of a wav2vec 2.0, HuBERT or WavLM checkpoint, "
        "or 'checkpoint': the convolutions that the trained network in the input of that name carries"
    )
    hidden: bool = param(
        False, help="also keep the last hidden state of the pretrained transformer, for methods that freeze all of it"
    )
    dtype: str = param("float32", choices=("float32", "float16"), help="stored precision; float16 errs by 2e-4")


class ExtractFeatures(Stage):
    """Sound of `sequences` → `features`."""

    name = "features"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot("sequences", uses=("wav",)),
        CHECKPOINT: Slot("checkpoint", uses=(BEST, CONFIG), optional=True),
    }
    output = "features"
    libraries = ("numpy", "torch", "transformers")

    def check(self) -> Iterable[str]:
        if self.params.hidden and self.params.encoder == LOG_MEL:
            yield "hidden = true needs a pretrained encoder: log-mel has no hidden states"
        if self.params.hidden and self.params.encoder == CHECKPOINT:
            yield "hidden = true needs a pretrained encoder: a network's own transformer is trained, not frozen"

    def slots(self) -> Mapping[str, Slot]:
        """A network only where its convolutions are asked for, and then it must be there."""
        if self.params.encoder == CHECKPOINT:
            return {slot: replace(spec, optional=False) for slot, spec in self.inputs.items()}
        return {slot: spec for slot, spec in self.inputs.items() if slot != CHECKPOINT}

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        encoder = Path(self.params.encoder).name
        return f"{upstream['data'].label}-{encoder}" + ("-hidden" if self.params.hidden else "")

    def sources(self) -> Sources:
        needless = self.params.encoder in (LOG_MEL, CHECKPOINT)
        return Sources() if needless else Sources(pretrained={"encoder": self.params.encoder})

    def needs(self) -> Needs:
        """The band filters run in NumPy, a network where the device is."""
        return Needs(threads="any") if self.params.encoder == LOG_MEL else Needs(gpu=1, threads="all")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        sounds = {Path(name).stem: hash_ for name, hash_ in given["data"].files.items() if name.startswith(f"{SOUND}/")}
        network = given[CHECKPOINT].content if CHECKPOINT in given else None
        return Items(sounds, shared=dict(sources) | ({CHECKPOINT: dict(network)} if network else {}))

    def run(self, job: Job) -> None:
        from stages.features.extract import extract

        extract(job, self.params.encoder, hidden=self.params.hidden, dtype=self.params.dtype)
