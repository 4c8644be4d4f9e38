"""The stage `preprocess`: a data set as its owners hand it out → the kind `sequences`.

What is particular to a data set lives in the component that the parameter `dataset` names: a light module with a
dataclass `Settings` that fulfils `Dataset`. One module per corpus; none imports another but the synthetic ones, which
write a corpus's raw layout and have its reader read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from faces import region_table
from pipeline.errors import StageError
from pipeline.stage import Given, Items, Job, Needs, Sources, Stage, Upstream, param
from stages.kinds.card import Source


class Dataset(Protocol):
    """What the `Settings` of a data set's module offer beside their fields. Light until `prepare`.

    native_fps: frames per second as recorded; 0 where the data say it themselves and are not there yet. source: whose
    data these are, for the card.
    """

    @property
    def source(self) -> Source: ...

    @property
    def native_fps(self) -> float: ...

    def sources(self) -> Sources:
        """The raw files."""
        ...

    # It may also have `items(sources) -> Items | None`, as `Stage.items`, with the digests of `sources`; and
    # `problems() -> Iterable[str]`, sentences on settings that do not go together.

    def prepare(self, job: Job, *, step: int, limit: int) -> None:
        """Fill `job.out` with every `step`-th frame of at most `limit` sequences per subject and split (0: all)."""
        ...


class Preprocess(Stage):
    """Raw data set → vertices at the training rate, sound, templates, topology, regions and splits."""

    name = "preprocess"
    output = "sequences"
    libraries = ("numpy", "numba", "soxr", "av")

    @dataclass(frozen=True)
    class Params:
        dataset: str = param(
            component="datasets", help="synthetic, vocaset, biwi, mead, …, own (a folder of yours), or a module"
        )
        fps: float = param(30.0, low=1.0, help="frames per second to keep; must divide the recorded rate evenly")
        limit: int = param(
            0, low=0, selects=True, help="at most this many sequences per subject and split, for a trial; 0: all"
        )

    params: Params

    def check(self) -> Iterable[str]:
        native = self.dataset.native_fps
        if native and frame_step(native, self.params.fps) == 0:
            rates = ", ".join(f"{native / step:g}" for step in (1, 2, 3, 4))
            yield f"fps = {self.params.fps:g} does not divide {self.params.dataset}'s {native:g} evenly; use {rates}, …"

        offer = getattr(self.dataset, "problems", None)
        yield from offer() if offer else ()

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return self.params.dataset.rpartition(".")[2]

    def sources(self) -> Sources:
        found = self.dataset.sources()
        return replace(found, files={**found.files, region_table.WHAT: region_table.FILE})

    def needs(self) -> Needs:
        return Needs(threads="any")

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items | None:
        """What the data set's module says, if it does. No sequence hangs on the table of published regions."""
        offer = getattr(self.dataset, "items", None)
        raw = {name: digest for name, digest in sources.items() if name != region_table.WHAT}
        found: Items | None = offer(raw) if offer else None
        return replace(found, whole=found.whole and not self.params.limit) if found else None

    def run(self, job: Job) -> None:
        for problem in self.check():
            raise StageError(problem)
        step = frame_step(self.dataset.native_fps, self.params.fps)
        self.dataset.prepare(job, step=step, limit=self.params.limit)

    @property
    def dataset(self) -> Dataset:
        settings: Dataset = self.settings["dataset"]
        return settings


def frame_step(native: float, fps: float) -> int:
    """Keep every n-th frame to come from `native` to `fps` frames per second; 0 where no whole n does it."""
    step = round(native / fps) if fps > 0 else 0
    return step if step >= 1 and abs(step * fps - native) < 1e-6 * native else 0
