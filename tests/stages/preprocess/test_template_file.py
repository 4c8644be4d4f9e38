"""Tables of templates: what is no (V, 3) of finite float32 is named with its subject."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faces.errors import DataError
from stages.preprocess.template_file import read_table


def test_a_table_is_read_flat_or_not_and_sorted(tmp_path: Path) -> None:
    points = np.arange(12.0).reshape(4, 3)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"M2": points.ravel(), "F1": points}, protocol=2))
    found = read_table(tmp_path / "a.pkl")
    assert list(found) == ["F1", "M2"]
    np.testing.assert_array_equal(found["M2"], points.astype(np.float32))


@pytest.mark.parametrize(
    ("template", "match"),
    [
        ([[1.0], [1.0, 2.0]], "a.pkl, F1: the template is no array"),
        (np.full((4, 3), 1e300), "a.pkl, F1: the template holds NaN or infinity"),
        (np.ones((3, 4)), r"a.pkl, F1: the template is float64 \(3, 4\)"),
    ],
)
def test_what_is_no_template(tmp_path: Path, template: Any, match: str) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"F1": template}))
    with pytest.raises(DataError, match=match):
        read_table(tmp_path / "a.pkl")
