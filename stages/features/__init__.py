"""The stage `features`: the frozen part of a speech encoder, run once per sequence and kept at its own 50 Hz.

The papers keep the seven convolutions of wav2vec 2.0 frozen and train the transformer behind them, so the convolutions'
output is an exact cache of what never changes. One clip at a time, always: the first convolution of the base models
is followed by a GroupNorm over the *whole* time axis, so padding or chunking would change every frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pipeline.stage import Given, Items, Job, Slot, Sources, Stage, Upstream, param
from stages.kinds import LOG_MEL
from stages.kinds.sequences import SOUND


@dataclass(frozen=True)
class Params:
    encoder: str = param(
        help="speech encoder: log-mel (no download), or a hub id or folder of a wav2vec 2.0, HuBERT or WavLM checkpoint"
    )
    hidden: bool = param(
        False, help="also keep the last hidden state of the pretrained transformer, for methods that freeze all of it"
    )
    dtype: str = param("float32", choices=("float32", "float16"), help="stored precision; float16 errs by 2e-4")


class ExtractFeatures(Stage):
    """Sound of `sequences` → `features`."""

    name = "features"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {"data": Slot("sequences", uses=("wav",))}
    output = "features"
    libraries = ("numpy", "torch", "transformers")

    def check(self) -> Iterable[str]:
        if self.params.hidden and self.params.encoder == LOG_MEL:
            yield "hidden = true needs a pretrained encoder: log-mel has no hidden states"

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        encoder = Path(self.params.encoder).name
        return f"{upstream['data'].label}-{encoder}" + ("-hidden" if self.params.hidden else "")

    def sources(self) -> Sources:
        return Sources() if self.params.encoder == LOG_MEL else Sources(pretrained={"encoder": self.params.encoder})

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        sounds = {Path(name).stem: hash_ for name, hash_ in given["data"].files.items() if name.startswith(f"{SOUND}/")}
        return Items(sounds, shared=dict(sources))

    def run(self, job: Job) -> None:
        from stages.features.extract import extract

        extract(job, self.params.encoder, hidden=self.params.hidden, dtype=self.params.dtype)
