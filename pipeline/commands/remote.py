"""`pipe cache push` and `pipe cache pull`: artifacts of this store to the remote, and back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cache.errors import RemoteError
from cache.parcel import Parcel
from cache.remote import Moved, Remote
from cache.store import Artifact
from pipeline.errors import RecipeError, StageError
from pipeline.exchange import follow, pace
from pipeline.forms import PLAIN, Form
from pipeline.plan import Planned, State, plan, plan_step
from pipeline.progress import Reporter, reporter, size_text
from pipeline.recipe import Recipe, load
from pipeline.stored import named
from pipeline.workspace import Workspace


@dataclass(frozen=True)
class Wish:
    """Which artifacts, by name or by recipe, and how. `again`: upload also what seems to be there already."""

    names: Sequence[str] = ()
    recipes: Sequence[Path] = ()
    settings: Sequence[str] = ()
    form: Form = PLAIN
    dry: bool = False
    as_json: bool = False
    again: bool = False

    def load(self) -> list[Recipe]:
        return [load(path, self.settings, **self.form._asdict()) for path in self.recipes]


@dataclass
class Session:
    """One command: the remote, the voice and what became of each artifact."""

    workspace: Workspace
    wish: Wish
    remote: Remote
    voice: Reporter
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, workspace: Workspace, wish: Wish) -> Session:
        if not workspace.remote:
            raise RecipeError("there is no remote; name one with --remote, PIPE_REMOTE, or `remote` in pipe.toml")
        return cls(workspace, wish, Remote(workspace.remote), reporter(quiet=wish.as_json))

    def tell(self, name: str, state: str, text: str, moved: Moved) -> None:
        self.rows.append({"name": name, "state": state, **asdict(moved)})
        self.voice.step(name, state, text)

    def end(self, verb: str) -> None:
        """The last line, or the JSON document."""
        self.voice.close()
        self.workspace.stats.save()
        if self.wish.as_json:
            print(json.dumps({"remote": self.remote.address, "artifacts": self.rows}, indent=1))
            return
        files, size = (sum(row[what] for row in self.rows) for what in ("files", "bytes"))
        tense = f"would be {verb}" if self.wish.dry else verb
        print(f"{_files(files)}, {size_text(size)} {tense}; remote {self.remote.address}")


def push(workspace: Workspace, wish: Wish) -> None:
    """Upload the named artifacts, the cached steps of recipes, or all there is."""
    session = Session.open(workspace, wish)
    artifacts = list(_ours(workspace, wish))
    session.voice.expect(artifact.name for artifact in artifacts)
    try:
        for artifact in artifacts:
            if damage := workspace.store.damage(artifact):
                raise StageError(f"{artifact.name} is damaged ({damage}); make it again before it is pushed")
            _push_dry(session, artifact) if wish.dry else _push(session, artifact)
    finally:
        session.voice.close()
    session.end("uploaded")


def _push(session: Session, artifact: Artifact) -> None:
    moved, started = Moved(), time.monotonic()
    pushing = session.remote.push(artifact, moved, again=session.wish.again)
    follow(session.voice, artifact.name, pushing, artifact.record["bytes"])
    if moved.other:
        session.tell(artifact.name, "kept", "the remote has another result under this key, which stays", moved)
    elif moved.files:
        session.tell(artifact.name, "uploaded", pace(moved, f"in {_files(moved.files)}", started), moved)
    else:
        session.tell(artifact.name, "there", "", moved)


def _push_dry(session: Session, artifact: Artifact) -> None:
    absent = session.remote.missing(Parcel.of(artifact))
    moved = Moved(len(absent), sum(size for _, size, _ in absent))
    state = "absent" if absent else "there"
    session.tell(artifact.name, state, f"{_files(len(absent))}, {size_text(moved.bytes)} to upload", moved)


def _ours(workspace: Workspace, wish: Wish) -> Iterator[Artifact]:
    if not wish.names and not wish.recipes:
        yield from workspace.store.artifacts()
    for name in wish.names:
        yield named(workspace.store, name)
    seen: set[str] = set()
    for recipe in wish.load():
        for entry in plan(recipe, workspace).values():
            if entry.artifact is not None and entry.artifact.name not in seen:
                seen.add(entry.artifact.name)
                yield entry.artifact


def pull(workspace: Workspace, wish: Wish) -> None:
    """Fetch the named artifacts, or what recipes lack."""
    if not wish.names and not wish.recipes:
        raise RecipeError("what is to be fetched? Name artifacts or keys, or --recipe RECIPE")
    session = Session.open(workspace, wish)
    try:
        for name in wish.names:
            _pull_named(session, name)
        for recipe in wish.load():
            _pull_recipe(session, recipe)
    finally:
        session.voice.close()
    session.end("fetched")


def _pull_named(session: Session, name: str) -> None:
    stage, _, rest = name.rpartition("/")
    found = session.remote.named(stage, rest.rpartition("--")[2].rpartition(":")[2])
    if len(found) != 1:
        several = f"several artifacts {name!r}: {', '.join(parcel.name for parcel in found)}"
        raise RemoteError(f"remote {session.remote.address} has {several if found else f'no artifact {name!r}'}")
    session.voice.expect([found[0].name])
    _pull(session, found[0].name, found[0])


def _pull_recipe(session: Session, recipe: Recipe) -> None:
    """Step by step: the key of a step is known only when what it reads is here."""
    session.voice.expect(recipe.steps)
    found: dict[str, Planned] = {}
    for name, step in recipe.steps.items():
        entry = plan_step(step, recipe, session.workspace, found)
        if entry.state is not State.CACHED and entry.key is not None:
            parcel = session.remote.find(step.stage.name, entry.key)
            if parcel is None:
                session.tell(name, "absent", "not on the remote", Moved())
            elif (artifact := _pull(session, name, parcel)) is not None:
                entry = replace(entry, state=State.CACHED, artifact=artifact)
        else:
            session.tell(name, "here" if entry.state is State.CACHED else entry.state.value, entry.reason, Moved())
        found[name] = entry


def _pull(session: Session, name: str, parcel: Parcel) -> Artifact | None:
    store = session.workspace.store
    key = parcel.record["key"]
    artifact = store.find(parcel.stage, key)
    if artifact is None and session.wish.dry:
        moved = Moved(len(parcel.once()), parcel.weight)
        session.tell(name, "there", f"{size_text(moved.bytes)} to fetch", moved)
        return None
    moved, done, started = Moved(), list[Artifact](), time.monotonic()
    if artifact is None:
        with store.making(parcel.stage, key, name) as work:
            artifact = store.find(parcel.stage, key)
            if artifact is None:
                pulling = session.remote.pull(parcel, store, work, moved, done)
                follow(session.voice, name, pulling, parcel.weight)
    if done:
        session.tell(name, "fetched", f"{pace(moved, f'in {_files(moved.files)}', started)} → {done[0].name}", moved)
        return done[0]
    session.tell(name, "here", artifact.name if artifact else "", Moved())
    return artifact


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"
