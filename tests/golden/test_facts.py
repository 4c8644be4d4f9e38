"""What a case's .json says in numbers and in words."""

from __future__ import annotations

import math

import pytest

from tests.golden.facts import DamagedCase, Facts, tolerance_of
from tests.golden.notes import stated_tolerances

FACTS = {"model": "m", "tolerance": 1e-3}


@pytest.mark.parametrize(
    ("note", "stated"),
    [
        ("out/a: one. out/b/<name>: gradient of out/a by it (float32), tolerance 2e-5. out/c: x", {"b/*": 2e-5}),
        ("out/a_* and out/b_*: gradients, eval mode; their tolerance is 1e-5.", {"a_*": 1e-5, "b_*": 1e-5}),
        ("out/a, out/b and c: tolerance of 2E-5", {"a": 2e-5, "b": 2e-5, "c": 2e-5}),
        ("`out/a_*`, and out/b (3, 4): tolerance: 0.5", {"a_*": 0.5, "b": 0.5}),
        ("out/a: tolerance = .5, out/b: tolerance 1e-6", {"a": 0.5, "b": 1e-6}),
        ("out/a: first. It is float32. The tolerance is 1e-5.", {"a": 1e-5}),
        ("out/a: first. The tolerance of out/b and out/c is 1e-5.", {"b": 1e-5, "c": 1e-5}),
        ("out/a: first. A tolerance of 1e-5 for out/b.", {"b": 1e-5}),
        ("out/a and out/b have tolerance 1e-5.", {"a": 1e-5, "b": 1e-5}),
        ("out/keep_...: tolerance is 3e-2", {"keep_*": 3e-2}),
        ("out/a: differs by up to 5e-5 here: hence the tolerance.", {}),
        ("Tolerance 1e-5 is that of float32.", {}),
    ],
)
def test_tolerances_in_words(note, stated):
    assert stated_tolerances(note) == list(stated.items())


@pytest.mark.parametrize("notes", ["out/a: x, tolerance 1", ["n", "out/a: x, tolerance 1"], {"out/a": "tolerance 1"}])
def test_notes_come_in_several_forms(notes):
    facts = Facts.of({**FACTS, "notes": notes})
    assert [facts.tolerance_for(name) for name in ("a", "b")] == [1.0, 1e-3]


def test_a_name_comes_before_a_pattern():
    facts = Facts.of({**FACTS, "notes": ["out/g_*: tolerance 1e-5", "out/g_b: tolerance 1e-6"]})
    assert [facts.tolerance_for(name) for name in ("g_a", "g_b", "h")] == [1e-5, 1e-6, 1e-3]


@pytest.mark.parametrize("tolerance", [None, "1e-4", True, [], math.nan, math.inf, -1, 10**400])
def test_a_tolerance_must_be_a_number(tolerance):
    raw = {"model": "m", "tolerance": tolerance}
    assert math.isnan(tolerance_of(raw))
    with pytest.raises(DamagedCase, match="`tolerance` must be a number"):
        Facts.of(raw)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", 3),
        ("config", []),
        ("config", {"scales": 2}),
        ("config", {"output_strides": [1]}),
        ("state", ["w"]),
        ("state", {"w": 3}),
        ("state", {"w": [2.5]}),
        ("seed", "x"),
        ("kept", "PPE.pe"),
    ],
)
def test_what_is_of_the_wrong_kind_is_named(name, value):
    inner = next(iter(value)) if name == "config" and value else name
    with pytest.raises(DamagedCase, match=f"`{inner}` must"):
        Facts.of({**FACTS, name: value})


def test_weights_need_a_seed():
    with pytest.raises(DamagedCase, match="`seed` must be"):
        Facts.of({**FACTS, "state": {"w": [2]}})
