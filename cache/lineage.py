"""Which artifacts were made from which, told by content: keys name what was read by digest, never by place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cache.store import Artifact


class Lineage:
    """The relations among some artifacts. Several of equal content stand for each other."""

    def __init__(self, artifacts: Iterable[Artifact]) -> None:
        self._artifacts = list(artifacts)
        self._holders: dict[tuple[str, str], set[str]] = {}
        for artifact in self._artifacts:
            for part in artifact.content.items():
                self._holders.setdefault(part, set()).add(artifact.name)

    def sources(self, artifact: Artifact) -> dict[str, list[str]]:
        """Slot → the names of the artifacts that hold what was read through it; none where they are gone."""
        inputs = artifact.key.get("inputs")
        found: dict[str, list[str]] = {}
        for slot, parts in inputs.items() if isinstance(inputs, dict) else ():
            holders = [self._holders.get(part, set()) for part in parts.items()] if isinstance(parts, dict) else []
            found[slot] = sorted(set.intersection(*holders) - {artifact.name}) if holders else []
        return found

    def users(self, artifact: Artifact) -> Iterator[str]:
        """The names of the artifacts that were made from one."""
        for other in self._artifacts:
            if any(artifact.name in names for names in self.sources(other).values()):
                yield other.name
