"""Which artifacts were made from which: as their records tell, or by content where what they name is gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cache.store import Artifact


class Lineage:
    """The relations among some artifacts. Several of equal content stand for each other."""

    def __init__(self, artifacts: Iterable[Artifact]) -> None:
        self._artifacts = {artifact.name: artifact for artifact in artifacts}
        self._holders: dict[tuple[str, str], set[str]] = {}
        for name, artifact in self._artifacts.items():
            for part in artifact.content.items():
                self._holders.setdefault(part, set()).add(name)

    def sources(self, artifact: Artifact) -> dict[str, list[str]]:
        """Slot → the names of the artifacts that hold what was read through it; none where they are gone."""
        told, read = (_table(facts, "inputs") for facts in (artifact.record["provenance"], artifact.key))
        found: dict[str, list[str]] = {}
        for slot in {**read, **told}:
            named = self._artifacts.get(told.get(slot, ""))
            parts = named.content if named else read.get(slot)
            found[slot] = sorted(self._holding(parts) - {artifact.name}) if isinstance(parts, Mapping) else []
        return found

    def users(self, artifact: Artifact) -> Iterator[str]:
        """The names of the artifacts that were made from one."""
        for name, other in self._artifacts.items():
            if any(artifact.name in names for names in self.sources(other).values()):
                yield name

    def _holding(self, parts: Mapping[str, str]) -> set[str]:
        holders = [self._holders.get(part, set()) for part in parts.items()]
        return set.intersection(*holders) if holders else set()


def _table(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = facts.get(name)
    return value if isinstance(value, dict) else {}
