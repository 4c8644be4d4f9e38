"""Items across keys: what a step that must run can take over from earlier artifacts of its stage.

The key of an item is the step's key without its inputs and outside files, without the parameters that only select, and
with what the stage says that this item depends on (`Stage.items`). An item with an equal key was made before, if not
by this step then for another selection or before other items changed: its files are linked, not made. Sizes are
checked before; a donor that is not whole, or cannot be read, is passed over.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from cache import digest
from cache.manifest import Item
from cache.store import Artifact, Store
from pipeline import journal
from pipeline.journal import OUT
from pipeline.keys import Key, given
from pipeline.recipe import Step
from pipeline.stage import Items

MOST_ARTIFACTS = 16
"""The newest whose items can have an equal key that are looked into."""
MOST_DONORS = 3
"""Of one item: they may differ in what is only known later."""


@dataclass(frozen=True)
class Donor:
    """An item that exists. folder: of the artifact, or of the unfinished work. files: name in it → size. known: name
    below the payload → digest, of a published one. published: files stand as in an artifact, not as in a work folder.
    digest: of a published item's content.
    """

    folder: Path
    files: Mapping[str, int]
    late: str
    known: Mapping[str, str] = field(default_factory=dict)
    published: bool = True
    digest: str = ""

    def is_whole(self) -> bool:
        folder = os.fspath(self.folder)
        try:
            return all(os.stat(f"{folder}/{name}").st_size == size for name, size in self.files.items())
        except OSError:
            return False

    def is_matched_by(self, files: Iterable[Path], work: Path) -> bool:
        """Whether files in a work folder are what this published item was when it was published."""
        names = {os.path.relpath(path, work).removeprefix(OUT): path for path in files}
        return digest.of_tree({name: digest.of_file(path) for name, path in names.items()}) == self.digest

    def link(self, work: Path) -> dict[str, int] | None:
        """The donor's files below a work folder: links, which cost nothing, or copies where the disk knows none.

        Returns name below the work folder → size; None where the donor has gone meanwhile.
        """
        source, target = os.fspath(self.folder), os.fspath(work)
        names = {name: f"{OUT}{name}" if self.published else name for name in self.files}
        try:
            for old, new in names.items():
                _link(f"{source}/{old}", f"{target}/{new}", copy=not new.startswith(OUT))
        except FileNotFoundError:
            for new in names.values():  # whoever makes the item must not write into another's file
                Path(target, new).unlink(missing_ok=True)
            return None
        return {new: self.files[old] for old, new in names.items()}


def _link(source: str, target: str, *, copy: bool) -> None:
    """copy: what is not published may be written to again, there or here."""
    for _ in range(2):
        try:
            return _copied(source, target) if copy else os.link(source, target)
        except FileExistsError:
            os.unlink(target)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), exist_ok=True)
        except OSError:
            break
    shutil.copyfile(source, target)


def _copied(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)


@dataclass(frozen=True)
class Reuse:
    """What a step can take over. base: what all its items depend on. each: id → what that one depends on; None where
    ids are not known before the step runs. total: how many items there will be, where known. donors: id → places,
    the newest first. finished: ids that a stopped run of this very key has made.
    """

    base: str = ""
    each: Mapping[str, Any] | None = None
    total: int | None = None
    donors: Mapping[str, Sequence[Donor]] = field(default_factory=dict)
    finished: frozenset[str] = frozenset()
    _keys: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def cached(self) -> int:
        """How many items need not be made."""
        return len(self.donors.keys() | self.finished)

    def key(self, name: str) -> str:
        """The key of an item, "" where the stage has none."""
        if not self.base or (self.each is not None and name not in self.each):
            return ""
        if name not in self._keys:
            self._keys[name] = digest.of_json([self.base, name, self.each[name] if self.each is not None else None])
        return self._keys[name]

    def __str__(self) -> str:
        """ "479 of 480"."""
        return f"{self.cached} of {self.total}" if self.total is not None else f"{self.cached} items"


NOTHING = Reuse()


def find(step: Step, key: Key, inputs: Mapping[str, Artifact], store: Store) -> Reuse:
    """What a step with this key could take over."""
    found = _declared(step, key, inputs)
    if found is None:
        return NOTHING
    reuse = Reuse(_base(step, key, found), found.each, len(found.each) if found.each and found.whole else None)
    own = store.work(step.stage.name, key).path
    donors: dict[str, list[Donor]] = {}
    for name, key_, donor in _offers(store, step, key, own):
        if key_ and key_ == reuse.key(name) and len(donors.get(name, ())) < MOST_DONORS and donor.is_whole():
            donors.setdefault(name, []).append(donor)
    finished = {name.partition("/")[2]: item.key for name, item in journal.read(own).items()}
    current = frozenset(name for name, key_ in finished.items() if key_ and key_ == reuse.key(name))
    return replace(reuse, donors=donors, finished=current)


def _declared(step: Step, key: Key, inputs: Mapping[str, Artifact]) -> Items | None:
    """What the stage says. Inputs that it cannot make sense of are for its run to tell, in its own words."""
    try:
        return step.stage.items(given(step, inputs), key["sources"])
    except Exception as error:
        if hasattr(type(error), "exit_code"):
            return None
        raise


def _base(step: Step, key: Key, items: Items) -> str:
    return digest.of_json(["item", _common(step, key) | {"shared": items.shared}])


def _common(step: Step, key: Mapping[str, Any]) -> Key:
    """What of a step's key is in the keys of all its items."""
    selecting = {name for name, param in step.params.items() if param.selects}
    params = {name: value for name, value in key.get("params", {}).items() if name not in selecting}
    return {name: value for name, value in key.items() if name not in ("inputs", "sources")} | {"params": params}


def _offers(store: Store, step: Step, key: Key, own: Path) -> Iterator[tuple[str, str, Donor]]:
    """(id, key, donor) of the newest artifacts, damaged ones included, then of the unfinished work of other keys."""
    # Only those that can fit are counted: in a wide sweep the newest are the other variants'.
    common, stage = _common(step, key), step.stage.name
    made = [artifact for artifact in store.artifacts(stage) if _common(step, artifact.key) == common]
    made.sort(key=lambda artifact: str(artifact.record["provenance"].get("finished", "")), reverse=True)
    for artifact in islice(made, MOST_ARTIFACTS):
        yield from _published(artifact)
    for folder in sorted(path for path in (store.root / "work").glob(f"{stage}-*/") if path != own):
        for name, entry in journal.read(folder).items():
            yield name.partition("/")[2], entry.key, Donor(folder, entry.files, entry.late, published=False)


def _published(artifact: Artifact) -> Iterator[tuple[str, str, Donor]]:
    try:
        manifest = artifact.manifest()
    except (TypeError, KeyError, ValueError, AttributeError):
        return
    # An item without files of its own lies in a file of all of them, which must be whole.
    broken = any(not item.files for item in manifest.items.values()) and bool(manifest.damage(artifact.path))
    for name, item in manifest.items.items():
        if item.files or not broken:
            yield name, item.key, _donor(artifact.path, item, manifest.files)


def _donor(folder: Path, item: Item, files: Mapping[str, tuple[int, str]]) -> Donor:
    sizes = {name: files[name][0] for name in item.files}
    return Donor(folder, sizes, item.late, {name: files[name][1] for name in item.files}, digest=item.digest)
