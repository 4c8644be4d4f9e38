"""The stage `adopt`: weights from elsewhere → `checkpoint`, as if they had been trained here.

Either a file that a paper's authors published, told by its entries, with the file of its motion prior where it is built
upon one; or the folder of a checkpoint of ours, copied from another store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline import registry
from pipeline.stage import Job, Needs, Sources, Stage, Upstream, param
from stages.adopt.about import HOMES, has_released, released_module
from stages.kinds.checkpoint import prior_of


@dataclass(frozen=True)
class Params:
    weights: str = param(path=True, help="a released .pth, .pth.tar or .pt file, or the folder of a checkpoint of ours")
    model: str = param(help="the network it is of, by its name in recipes; the file must agree")
    prior: str | None = param(
        None, path=True, help="models upon a motion prior: the released file of their first stage"
    )
    fps: float = param(
        0.0, low=0.0, help="frames per second of its motion; 0: of its data set, else the period of its positions"
    )
    units: str | None = param(None, help="unit of its motion; unsaid: of its data set, else 'unknown'")
    subjects: list[str] = param(
        [], help="who was trained on, in the order of the style; empty: as in the official split, else subject1, …"
    )


class Adopt(Stage):
    """Weights from elsewhere → `checkpoint`."""

    name = "adopt"
    Params = Params
    output = "checkpoint"
    libraries = ("torch",)

    def check(self) -> Iterable[str]:
        if self.params.prior and not prior_of(self.params.model):
            yield f"prior: {self.params.model!r} is built upon no motion prior, leave it out"

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return f"{self._name}-{self.params.model}"

    @property
    def _name(self) -> str:
        """The file's own name, as far as a folder's may have it."""
        plain = Path(self.params.weights).name.partition(".")[0].partition("--")[0]
        return "".join(letter if letter.isalnum() or letter in "_-" else "-" for letter in plain) or "weights"

    def sources(self) -> Sources:
        files = {"weights": Path(self.params.weights)}
        if self.params.prior:
            files["prior"] = Path(self.params.prior)
        return Sources(files=files | {f"split of {home.dataset}": home.split for home in HOMES.values()})

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """The model, its prior, and what knows their released files."""
        models = [name for name in (self.params.model, prior_of(self.params.model)) if name]
        yield from (registry.component_module("models", name) for name in models)
        yield from (released_module(name) for name in models if has_released(name))

    def needs(self) -> Needs:
        return Needs(threads="any")

    def run(self, job: Job) -> None:
        from stages.adopt.take import take

        take(job, self.params)
