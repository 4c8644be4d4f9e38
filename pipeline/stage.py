"""The contract between the engine and a stage: what a stage declares, and what it is handed when it runs.

A stage is a class with typed parameters, named input slots and one output kind. Its module is imported to *plan*
(on the path that must stay free of NumPy and torch), so everything heavy is imported inside `run`. The engine
finds stages, models and datasets by name in `pipeline.registry`; it never imports them all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from cache.digest import of_json
from cache.files import replacing
from cache.manifest import Manifest
from pipeline.needs import Needs

__all__ = [
    "Given",
    "Input",
    "Items",
    "Job",
    "Needs",
    "Slot",
    "Sources",
    "Stage",
    "Upstream",
    "of_json",
    "param",
    "replacing",
]

T = TypeVar("T")


def param(
    default: Any = dataclasses.MISSING,
    *,
    help: str,
    choices: Sequence[str] | None = None,
    low: float | None = None,
    high: float | None = None,
    exec: bool = False,
    selects: bool = False,
    component: str | None = None,
    path: bool = False,
) -> Any:
    """One parameter of a stage (a `dataclasses.field`).

    Arguments:
        default: the value where a recipe is silent; a list or dict is copied. Left out: the recipe must give it.
        help: one line with the unit and, where there is one, the place in the paper.
        choices: the allowed words. low, high: the allowed range, both included.
        exec: the parameter says *how* to run (workers, device), not *what* comes out, and stays out of the key.
        selects: the parameter changes no item: it says which there are (splits, a limit), or what is made of all of
            them together. It is in the key of the step, not in those of its items.
        component: the table of `pipeline.registry` ("models", "datasets") that the value is a name of. The
            component's module enters the code digest, and its `Settings` fields become parameters of the step too.
        path: a file or folder. Relative paths are taken from the current folder, and the path itself stays out of
            the key: what it holds enters through `Stage.sources`.
    """
    metadata = {
        "help": help,
        "choices": tuple(choices) if choices else None,
        "low": low,
        "high": high,
        "exec": exec,
        "selects": selects,
        "component": component,
        "path": path,
    }
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Slot:
    """A named input of a stage.

    kind: the kind of artifact it takes ("sequences", "features", "checkpoint", "predictions", …).
    uses: the top-level names inside the artifact that the stage reads, e.g. ("wav",); a change elsewhere in the
        artifact then leaves the stage cached. Empty: all of it.
    optional: the stage also runs without it; it is wired only where the recipe says so.
    """

    kind: str
    uses: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class Sources:
    """What a stage reads from outside the store; the content enters the key, the location does not.

    files: name → file, or a folder, which counts by the names and contents of all files below it. A missing one is
        an error unless its name ends in "?".
    pretrained: name → a `transformers` checkpoint, a hub id ("facebook/wav2vec2-base-960h") or a folder.
    """

    files: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    pretrained: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Upstream:
    """What a stage may know, while planning, of the step that fills one of its slots."""

    step: str
    label: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Given:
    """What a stage may look at, while planning, of the artifact in one of its slots.

    path: its folder, of which small plain files may be read. content: top-level name → digest, of what the stage uses.
    manifest: reads the list of all files.
    """

    path: Path
    content: Mapping[str, str]
    manifest: Callable[[], Manifest] = dataclasses.field(repr=False)

    @cached_property
    def files(self) -> dict[str, str]:
        """Relative name → digest."""
        return {name: hash_ for name, (_, hash_) in self._manifest.files.items()}

    @cached_property
    def items(self) -> dict[str, str]:
        """Id → digest of that item's content, whatever file it went into."""
        return {name: item.digest for name, item in self._manifest.items.items()}

    def item(self, name: str) -> str:
        """The digest of an item's content; of all that is used where the artifact does not tell it from the rest."""
        return self.items.get(name) or of_json(self.content)

    @cached_property
    def _manifest(self) -> Manifest:
        return self.manifest()


@dataclass(frozen=True)
class Items:
    """The units that a stage's work falls into, and what each depends on beside code, parameters and seed.

    each: id → a JSON value, digests mostly, that changes when this item must be made anew; None where ids are only
    known once the step runs, and an item depends on its id alone. shared: the same for what all items depend on.
    whole: every id of `each` will be an item; else some of them, and a plan does not count them.
    """

    each: Mapping[str, Any] | None
    shared: Any = None
    whole: bool = True


@dataclass(frozen=True)
class Input:
    """An artifact handed to a running stage. `path` is its folder, to be read only."""

    path: Path
    kind: str
    label: str
    params: Mapping[str, Any]


class Job(Protocol):
    """What a running stage is handed.

    out: the folder to fill; it becomes the artifact when `run` returns, all at once or not at all.
    state: a scratch folder that survives a failed or interrupted run of the same key and is never published.
    inputs: slot → artifact; an unwired optional slot is absent.
    seed: the recipe's seed. device: "cpu", "cuda", "cuda:1", "mps". workers: how many threads or processes to use.
    processes: how many may share the work of a `divisible` stage, this one among them, with a device each: the next
        ones after this one's, or what a launcher (`pipeline.launched`) gave them; 1: it works alone.
    """

    out: Path
    state: Path
    inputs: Mapping[str, Input]
    seed: int
    workers: int
    processes: int

    @property
    def device(self) -> str: ...

    def each(
        self,
        ids: Sequence[str],
        make: Callable[[str], Iterable[Path]],
        *,
        unit: str = "sequences",
        threads: int = 1,
        adopt: Callable[[str, Path], Iterable[Path]] | None = None,
        late: Any = None,
    ) -> None:
        """Call `make(id)` for every id that neither an earlier attempt at this key nor an earlier artifact has made.

        `make` writes its files below `out` or `state` and returns their paths; they are journalled, so that a
        killed run keeps every finished item, and they are the item's entry in the manifest. What a kill leaves half
        written is in no journal and is removed: `make` may write in place. With `threads` above one, calls overlap:
        `make` must then not share what it changes.

        What an earlier artifact holds (`Stage.items`) is taken over: its files are linked, or `adopt(id, folder)`
        brings it over from the artifact's folder where it has no files of its own, and returns paths as `make` does.
        late: a JSON value that items depend on and that no plan can know; theirs must equal it.
        """
        ...

    def taken_over(self, ids: Iterable[str]) -> set[str]:
        """Those of the items that `each` will not ask for because an earlier artifact holds them."""
        ...

    def track(self, things: Iterable[T], *, total: int | None = None, unit: str = "steps") -> Iterator[T]:
        """Iterate with a progress bar (plain lines where there is no terminal)."""
        ...

    def say(self, text: str) -> None:
        """Tell the user something worth a line: what was skipped, an estimate, a result."""
        ...

    def watch(self, text: str) -> None:
        """A line about what goes on right now, which replaces the one before. Shown in a terminal only, below the step,
        until it ends; it may be told as often as one likes."""
        ...

    def note(self, **facts: Any) -> None:
        """Facts for the record's provenance (peak memory, counts). They are not content: nothing reruns for them."""
        ...

    def stopping(self) -> bool:
        """True once the user asked to stop (Ctrl-C, SIGTERM): save what is needed in `state`, raise `Interrupted`."""
        ...


class Stage:
    """Base of all stages. A subclass fills in the class attributes and `run`.

    name: the word in recipes. version: to be raised by hand for changes that no syntax tree shows.
    Params: a frozen dataclass of `param(…)` fields. inputs: slot name → `Slot`. output: the kind it makes.
    seeded: the result depends on the recipe's seed, which then enters the key.
    libraries: distributions on whose versions the result hangs, as pip names them; see `pipeline.libraries`.
    divisible: several processes, with a device each, can do its work together; see `Job.processes`.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    Params: ClassVar[type[Any]]
    inputs: ClassVar[Mapping[str, Slot]] = {}
    output: ClassVar[str]
    seeded: ClassVar[bool] = False
    libraries: ClassVar[tuple[str, ...]] = ()
    divisible: ClassVar[bool] = False

    def __init__(self, params: Any, settings: Mapping[str, Any] | None = None) -> None:
        self.params = params
        self.settings = dict(settings or {})
        """component field → an instance of that component's `Settings`, e.g. settings["model"]."""

    def check(self) -> Iterable[str]:
        """Sentences on parameters that do not fit together, each beginning with a parameter's name. Called to plan."""
        return ()

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        """A short readable name for the artifact's folder, e.g. "vocaset-w2v2base-conv". The key decides, not this."""
        return "-".join(dict.fromkeys(u.label for u in upstream.values())) or self.name

    def slots(self) -> Mapping[str, Slot]:
        """The input slots with these parameters: all of `inputs`, or fewer."""
        return self.inputs

    def sources(self) -> Sources:
        """Files and pretrained weights that the stage reads from outside the store."""
        return Sources()

    def uses(self, slot: str) -> tuple[str, ...]:
        """The parts of a slot's artifact that are read with these parameters; what the slot declares, or fewer."""
        return self.inputs[slot].uses

    def reads(self, given: Mapping[str, Given]) -> Mapping[str, Mapping[str, str]]:
        """Slot → name → digest, what is read of the wired inputs; it enters the key. What the slots say, or less: the
        sentences of one split, say, so that one more in another changes nothing. Light, as all of planning."""
        return {slot: entry.content for slot, entry in given.items()}

    def items(self, given: Mapping[str, Given], sources: Mapping[str, Any]) -> Items | None:
        """What the items depend on; None where the step is made as a whole. Light, as all of planning.

        given: by slot, the wired ones. sources: name → content digest of what `sources` names.
        """
        return None

    def rereads(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """Files, folders or checkpoints of a step above that this one opens again, whose content that step's artifact
        tells already, so that they need not be `sources` here too. Only `--audit` asks."""
        return ()

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """Dotted modules that take part beyond this one and its components, e.g. the model behind a checkpoint."""
        return ()

    def needs(self) -> Needs:
        """What a step of it takes while it runs; a recipe may say otherwise. Unsaid, it has all threads to itself."""
        return Needs()

    def run(self, job: Job) -> None:
        """Fill `job.out` from `job.inputs`. Pure: same key, same result, to the byte on one device and thread count."""
        raise NotImplementedError
