"""A job without an engine, so that a stage can be tested alone: sequential, in memory, everything said is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pipeline.stage import Input

T = TypeVar("T")


@dataclass
class FakeJob:
    """Implements `pipeline.stage.Job`.

    done: ids that `each` skips, as if an earlier attempt had finished them; finished ids are added.
    said, watched, notes: what the stage told. stop_after: `stopping()` turns true after that many calls of it.
    """

    out: Path
    state: Path
    inputs: Mapping[str, Input] = field(default_factory=dict)
    seed: int = 0
    device: str = "cpu"
    workers: int = 1
    processes: int = 1
    stop_after: int | None = None
    said: list[str] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    done: dict[str, list[Path]] = field(default_factory=dict)

    @classmethod
    def under(cls, folder: Path, inputs: Mapping[str, Path | Input] | None = None, **options: Any) -> FakeJob:
        """A job with fresh `out` and `state` folders below `folder`. A plain path becomes an input of kind = slot."""
        out, state = folder / "out", folder / "state"
        out.mkdir(parents=True)
        state.mkdir(parents=True)
        given = {
            slot: value if isinstance(value, Input) else Input(path=value, kind=slot, label=slot, params={})
            for slot, value in (inputs or {}).items()
        }
        return cls(out=out, state=state, inputs=given, **options)

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
        for name in ids:
            if name in self.done:
                continue
            files = list(make(name))
            for file in files:
                assert file.is_file(), f"{name}: {file} was promised and is not there"
                assert file.is_relative_to(self.out) or file.is_relative_to(self.state), f"{file} is outside the job"
            self.done[name] = files

    def taken_over(self, ids: Iterable[str]) -> set[str]:
        return set()

    def track(self, things: Iterable[T], *, total: int | None = None, unit: str = "steps") -> Iterator[T]:
        yield from things

    def say(self, text: str) -> None:
        self.said.append(text)

    def watch(self, text: str) -> None:
        self.watched.append(text)

    def note(self, **facts: Any) -> None:
        self.notes.update(facts)

    def stopping(self) -> bool:
        if self.stop_after is None:
            return False
        self.stop_after -= 1
        return self.stop_after < 0
