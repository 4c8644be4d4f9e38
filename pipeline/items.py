"""Items across keys: what a step that must run can take over from earlier artifacts of its stage.

The key of an item is the step's key without its inputs and outside files, without the parameters that only select, and
with what the stage says that this item depends on (`Stage.items`). An item with an equal key was made before, if not
by this step then for another selection or before other items changed: its files are linked, not made. Sizes are
checked before; a donor that is not whole, or cannot be read, is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from cache import digest
from cache.manifest import Item
from cache.store import Artifact, Store
from pipeline import journal
from pipeline.keys import Key
from pipeline.recipe import Step
from pipeline.stage import Given, Items

MOST_ARTIFACTS = 16
"""The newest of a stage that are looked into."""


@dataclass(frozen=True)
class Donor:
    """An item that exists. folder: of the artifact, or of the unfinished work. files: name in it → size. known: name
    below the payload → digest, of a published one. published: files stand as in an artifact, not as in a work folder.
    """

    folder: Path
    files: Mapping[str, int]
    late: str
    known: Mapping[str, str] = field(default_factory=dict)
    published: bool = True

    def is_whole(self) -> bool:
        try:
            return all((self.folder / name).stat().st_size == size for name, size in self.files.items())
        except OSError:
            return False


@dataclass(frozen=True)
class Reuse:
    """What a step can take over. base: what all its items depend on. each: id → what that one depends on; None where
    ids are not known before the step runs. donors: id → where it is."""

    base: str = ""
    each: Mapping[str, Any] | None = None
    donors: Mapping[str, Donor] = field(default_factory=dict)

    def key(self, name: str) -> str:
        """The key of an item, "" where the stage has none."""
        if not self.base or (self.each is not None and name not in self.each):
            return ""
        return digest.of_json([self.base, name, self.each[name] if self.each is not None else None])

    def __str__(self) -> str:
        """ "479 of 480"."""
        return f"{len(self.donors)} of {len(self.each)}" if self.each is not None else f"{len(self.donors)}"


NOTHING = Reuse()


def find(step: Step, key: Key, inputs: Mapping[str, Artifact], store: Store) -> Reuse:
    """What a step with this key could take over."""
    found = step.stage.items({slot: given(step, slot, artifact) for slot, artifact in inputs.items()}, key["sources"])
    if found is None:
        return NOTHING
    reuse = Reuse(_base(step, key, found), found.each)
    donors: dict[str, Donor] = {}
    wanted = {name: reuse.key(name) for name in found.each} if found.each is not None else None
    for name, key_, donor in _offers(store, step.stage.name):
        fits = (wanted or {}).get(name) == key_ if wanted is not None else reuse.key(name) == key_
        if key_ and fits and name not in donors and donor.is_whole():
            donors[name] = donor
            if wanted is not None and len(donors) == len(wanted):
                break
    return Reuse(reuse.base, reuse.each, donors)


def given(step: Step, slot: str, artifact: Artifact) -> Given:
    """What the stage may see of an artifact while planning."""
    uses, manifest = step.stage.uses(slot), artifact.manifest()
    content = {top: hash_ for top, hash_ in artifact.content.items() if not uses or top in uses}
    files = {name: hash_ for name, (_, hash_) in manifest.files.items()}
    return Given(artifact.path, content, files, {name: item.digest for name, item in manifest.items.items()})


def _base(step: Step, key: Key, items: Items) -> str:
    params = {name: value for name, value in key["params"].items() if not step.params[name].selects}
    rest = {name: value for name, value in key.items() if name not in ("inputs", "sources")}
    return digest.of_json(["item", rest | {"params": params, "shared": items.shared}])


def _offers(store: Store, stage: str) -> Iterator[tuple[str, str, Donor]]:
    """(id, key, donor) of the newest artifacts, damaged ones included, then of unfinished work."""
    made = sorted(store.artifacts(stage), key=lambda a: str(a.record["provenance"].get("finished", "")), reverse=True)
    for artifact in islice(made, MOST_ARTIFACTS):
        yield from _published(artifact)
    for folder in sorted((store.root / "work").glob(f"{stage}-*/")):
        for name, entry in journal.read(folder).items():
            yield name.partition("/")[2], entry.key, Donor(folder, entry.files, entry.late, published=False)


def _published(artifact: Artifact) -> Iterator[tuple[str, str, Donor]]:
    try:
        manifest = artifact.manifest()
    except (TypeError, KeyError, ValueError, AttributeError):
        return
    for name, item in manifest.items.items():
        yield name, item.key, _donor(artifact.path, item, manifest.files)


def _donor(folder: Path, item: Item, files: Mapping[str, tuple[int, str]]) -> Donor:
    sizes = {name: files[name][0] for name in item.files}
    return Donor(folder, sizes, item.late, {name: files[name][1] for name in item.files})
