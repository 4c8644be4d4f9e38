"""The record around a run: its first and its last event, and a reporter that keeps what happens between them.

A run in which every step is cached leaves no record: it did nothing, and must cost nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cache import digest
from cache.living import me
from pipeline import events, provenance
from pipeline.errand import Errand
from pipeline.plan import Planned, State
from pipeline.progress import Reporter
from pipeline.toml import shown
from pipeline.workspace import Workspace


@contextlib.contextmanager
def recorded(errands: Sequence[Errand], workspace: Workspace, screen: Reporter, **means: Any) -> Iterator[Reporter]:
    """Keep the record of a run; yields the reporter to tell. `means`: device and threads, for its first event."""
    if all(errand.planned[name].state is State.CACHED for errand in errands for name in errand.chosen):
        yield screen
        return
    folder = workspace.store.root / events.FOLDER
    record = events.Record(folder, "+".join(errand.recipe.name for errand in errands)[:60])
    told = events.Told(screen, record, _names(errands))
    _begin(record, errands, means)
    told.outline({errand.recipe.name: errand.labels for errand in errands})
    began, code = time.monotonic(), 1
    try:
        yield told
        code = 0
    except BaseException as error:
        code = getattr(type(error), "exit_code", 75 if isinstance(error, KeyboardInterrupt) else 1)
        told.ended(str(error))
        raise
    finally:
        record.event("end", exit=code, seconds=round(time.monotonic() - began, 3))
        record.close()
        events.prune(folder)


def _begin(record: events.Record, errands: Sequence[Errand], means: Mapping[str, Any]) -> None:
    recipes = {errand.recipe.name: shown(errand.recipe.path) for errand in errands}
    here = {"folder": os.getcwd(), **me(), "pid": os.getpid(), **means}
    record.event("run", command=events.command(), recipes=recipes, **here, **provenance.program())
    for errand in errands:
        for name in errand.chosen:
            entry, names = errand.planned[name], {"recipe": errand.recipe.name, "step": name}
            record.event("planned", **names, state=entry.state.value, reason=entry.reason, **identity(entry))


def _names(errands: Sequence[Errand]) -> dict[str, dict[str, str]]:
    """Label → what an event says of whose it is."""
    return {
        errand.label(name): {"recipe": errand.recipe.name, "step": name} for errand in errands for name in errand.chosen
    }


def identity(entry: Planned) -> dict[str, str]:
    """Digest of the key and name of the artifact, as far as they are known."""
    found = {"key": digest.of_json(entry.key)} if entry.key is not None else {}
    return found | ({"artifact": entry.artifact.name} if entry.artifact else {})
