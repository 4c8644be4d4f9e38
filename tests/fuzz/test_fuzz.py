"""A few hundred mutated files of each format; `python -m tests.fuzz` reads a hundred thousand of each, under watch."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.formats import FORMATS
from tests.fuzz.guard import Guard
from tests.fuzz.mutations import mutated

INPUTS = 200


@pytest.mark.parametrize("name", FORMATS)
def test_a_mutated_file_gives_an_answer_or_a_clear_error(tmp_path: Path, name: str) -> None:
    form = FORMATS[name]
    samples = form.seeds(tmp_path)
    guard = Guard(form, tmp_path, None)
    for sample in samples:
        guard.read(sample.finish(sample.content))
    assert guard.results == {"answers": len(samples)}

    @settings(
        max_examples=INPUTS, deadline=None, database=None, derandomize=True, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(mutated(samples))
    def run(content: bytes) -> None:
        guard.read(content)

    run()
    assert guard.results["errors"] > INPUTS // 10
