from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from faces.metrics_codes import of_codes
from faces.metrics_definitions import (
    DEFINITIONS,
    FAMILIES,
    HEARD,
    NAMES,
    SAID_LETTERS,
    SAID_VISEMES,
    SAID_WORDS,
    find,
)
from faces.metrics_measures import of_prediction, of_reading, of_synchrony, of_texts
from faces.metrics_parts import Parts
from faces.metrics_stream import Apart, Moving
from faces.visemes import Visemes

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text(encoding="utf-8")


def test_names_find_their_definitions() -> None:
    assert [item.id for item in find("lve/codetalker")] == ["lve/codetalker"]
    assert [item.id for item in find("lve/talkingstyle")] == ["lve/facediffuser"]
    assert {item.family for item in find("lve")} == {"lve"}
    assert len(find("lve")) == 4
    assert find("lve/nobody") == find("") == ()
    assert len(set(NAMES)) == len(NAMES)
    assert all(find(name) for name in NAMES)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_page_says_what_the_table_says(name: str) -> None:
    """Each definition has a row in docs/metrics.md with its mean and its unit; each alias is named."""
    definition = DEFINITIONS[name]
    (row,) = re.findall(rf"^\| `{re.escape(name)}` \|.*$", PAGE, re.MULTILINE)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    none = "1" if definition.per_second else "–"
    unit = {0: "%" if definition.percent else none, 1: "length", 2: "length²"}[definition.power] + (
        "/s" if definition.per_second else ""
    )
    assert cells[-2:] == [definition.average, unit]
    assert all(f"`{alias}`" in PAGE for alias in definition.aliases)


def test_the_page_names_nothing_that_is_not_there() -> None:
    families = "|".join(FAMILIES)
    named = set(re.findall(rf"`((?:{families})/[\w-]+)`", PAGE))
    assert named == set(NAMES) - set(FAMILIES)


def test_every_measure_is_measured() -> None:
    """A definition whose measure nobody computes would silently be missing from all reports."""
    everything = np.arange(6)
    parts = Parts(6, **{field.name: everything[:2] for field in fields(Parts) if field.name not in ("vertices", "up")})
    rng = np.random.default_rng(0)
    truth, prediction, apart = Moving(np.zeros((6, 3)), parts), Moving(np.zeros((6, 3)), parts), Apart(parts)
    motions = rng.normal(size=(2, 5, 6, 3)).astype(np.float32)
    truth.add(motions[0])
    prediction.add(motions[1])
    apart.add(*motions)
    values = of_prediction(parts, truth, prediction, apart, 25.0, threshold=0.1) | of_texts("heard", "read")
    values |= of_reading("said", "read", Visemes.read()) | of_synchrony(8.0, 3.0)
    for count in (HEARD, SAID_LETTERS, SAID_WORDS, SAID_VISEMES):  # what errors of texts weigh
        del values[count]
    values |= of_codes(rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), 25.0)
    assert set(values) | {"diversity", "diversity_samples", "diversity_codes"} == {
        item.measure for item in DEFINITIONS.values()
    }


def test_planning_needs_no_arrays() -> None:
    """The table is read while a run is planned."""
    code = "import sys, stages.metrics; print(sorted({'numpy', 'numba', 'matplotlib'} & set(sys.modules)))"
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert made.stdout == "[]\n"
