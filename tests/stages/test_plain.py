"""What an index says is of the types that its dataclasses declare, or there is no index."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from faces.errors import DataError
from stages.kinds.plain import built
from stages.kinds.predictions import Predictions

ITEM = {"id": "a", "subject": "A", "condition": "B", "split": "test", "frames": 3}


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


@pytest.mark.parametrize("change", [{"fps": 0.0}, {"fps": "25"}, {"items": {"../a": ITEM}}, {"items": {".a\0": ITEM}}])
def test_an_index_of_predictions_that_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    facts = {"fps": 25.0, "units": "m", "dataset": "d", "model": "m", "items": {"a_condition_A-0.5+B-0.5": ITEM}}
    (tmp_path / "predictions.json").write_text(json.dumps(facts))
    assert list(Predictions(tmp_path).items) == ["a_condition_A-0.5+B-0.5"]
    (tmp_path / "predictions.json").write_text(json.dumps(facts | change))
    with pytest.raises(DataError, match=r"predictions\.json"):
        _ = Predictions(tmp_path).items
