"""Two stages over many items, for `benchmarks.items`: a folder of files is copied one by one, and copied again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.stage import Given, Items, Job, Slot, Sources, Stage, param


@dataclass(frozen=True)
class _Params:
    root: str = param(help="folder of input files", path=True)


class Take(Stage):
    """Each file of a folder."""

    name = "take"
    Params = _Params
    output = "files"

    def sources(self) -> Sources:
        return Sources(files={path.stem: path for path in sorted(Path(self.params.root).iterdir())})

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        return Items(sources)

    def run(self, job: Job) -> None:
        copy(job, Path(self.params.root))


@dataclass(frozen=True)
class _NoParams:
    pass


class Again(Stage):
    """Each file once more."""

    name = "again"
    Params = _NoParams
    inputs: Mapping[str, Slot] = {"before": Slot("files")}
    output = "files again"

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items:
        return Items({Path(name).stem: hash_ for name, hash_ in given["before"].files.items()})

    def run(self, job: Job) -> None:
        copy(job, job.inputs["before"].path / "files")


def copy(job: Job, folder: Path) -> None:
    """As little work as an item can be."""
    (job.out / "files").mkdir(exist_ok=True)

    def make(name: str) -> list[Path]:
        file = job.out / "files" / f"{name}.bin"
        file.write_bytes((folder / f"{name}.bin").read_bytes())
        return [file]

    job.each(sorted(path.stem for path in folder.glob("*.bin")), make)


def recipe(root: Path) -> str:
    """Both stages, as TOML."""
    take = f'[step.take]\nstage = "benchmarks.items_chain:Take"\nroot = "{root}"\n'
    return take + '[step.again]\nstage = "benchmarks.items_chain:Again"\n'
