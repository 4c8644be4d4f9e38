"""When a step fails: whether one of the artifacts it read has rotted.

A file of the right size but with other bytes is found by nobody until a stage stumbles over it. So the inputs of a step
that failed are held against their digests, as long as that takes seconds; a damaged one is set aside, so that running
again makes it anew. An error that explains itself otherwise, a full disk say, leads to no check.
"""

from __future__ import annotations

from collections.abc import Mapping

from cache.store import Artifact, Store
from cache.verify import Kind, verify
from pipeline.errors import Interrupted
from pipeline.progress import size_text

CHEAP_BYTES = 4_000_000_000


def of_inputs(error: Exception, inputs: Mapping[str, Artifact], store: Store) -> str:
    """What is wrong with the inputs of a failed step, with what was done and what to do, or ""."""
    if isinstance(error, Interrupted | MemoryError):
        return ""
    told = []
    for slot, artifact in inputs.items():
        report = verify(artifact.path) if artifact.record["bytes"] <= CHEAP_BYTES else None
        wrong = [f for f in report.findings if f.kind in (Kind.DAMAGE, Kind.DENIED)] if report else []
        if report is None or not wrong:
            continue
        told.append(
            f"its input {slot}, {artifact.name}, is {'damaged' if report.damaged else 'not readable'}: {wrong[0]}"
        )
        if report.damaged:
            told[-1] += _set_aside(report.artifact, store)
    return "; ".join(told)


def _set_aside(artifact: Artifact, store: Store) -> str:
    try:
        store.set_aside(artifact)
    except OSError as error:
        return f"; it cannot be set aside ({error.strerror}), remove {artifact.path} and run again"
    return "; it was set aside, run again to make it anew"


def unchecked(inputs: Mapping[str, Artifact]) -> str:
    """A hint at the inputs that were too large to check, or ""."""
    large = [artifact for artifact in inputs.values() if artifact.record["bytes"] > CHEAP_BYTES]
    if not large:
        return ""
    size = size_text(sum(artifact.record["bytes"] for artifact in large))
    names = " ".join(artifact.name for artifact in large)
    return f"its inputs of {size} were not checked for damage; `pipe cache verify {names}` does that"
