"""What an index says is of the types that its dataclasses declare, or there is no index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from stages.kinds.plain import built


@dataclass(frozen=True)
class Entry:
    frames: int
    passed: bool | None = None


@dataclass(frozen=True)
class Info:
    name: str
    fps: float
    entries: Mapping[str, Entry]
    words: Sequence[str] = ()
    more: Mapping[str, str] = field(default_factory=dict)


INFO = Info("a", 25.0, {"x": Entry(3), "y": Entry(4, True)}, ["b"], {"z": "why"})


def test_what_was_taken_apart_is_built_again() -> None:
    assert built(Info, asdict(INFO)) == INFO
    assert built(Info, {"name": "a", "fps": 25, "entries": {}}) == Info("a", 25, {})


@pytest.mark.parametrize(
    "change",
    [
        {"name": 1}, {"name": None}, {"fps": "25"}, {"fps": True}, {"fps": 10**400}, {"entries": []},
        {"entries": {"x": 3}}, {"entries": {"x": {"frames": 3.0}}}, {"entries": {"x": {"frames": True}}},
        {"entries": {"x": {}}}, {"entries": {"x": {"frames": 3, "passed": 1}}}, {"words": "b"}, {"words": [1]},
        {"more": {"z": 1}}, {"colour": 1},
    ],
)  # fmt: skip
def test_a_field_of_another_type_is_named(change: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        built(Info, asdict(INFO) | change)
    with pytest.raises(TypeError, match="should be a table"):
        built(Info, [change])
