"""Arrays and templates that somebody has made, and that are not what they should be."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.stages.preprocess.biwi_files import POINTS, BiwiData, biwi_data, refuse, skips

FIRST = "F2_e01"


def ready(tmp_path: Path) -> Path:
    return biwi_data().normalised.write_ready(tmp_path / "ready")


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((9, 15)), "e01.npy has 5 vertices, but the templates have 6"),
        (np.zeros((9, 6, 2)), r"has the shape \(9, 6, 2\); it must be"),
        (np.zeros((9, 17)), r"has the shape \(9, 17\)"),
        (np.zeros((9, 18), np.int32), "holds int32"),
        (np.full((9, 18), np.nan), "e01.npy, frame 0: NaN or infinite vertices"),
    ],
)
def test_an_array_of_another_shape_or_type(tmp_path: Path, array: np.ndarray, sentence: str) -> None:
    root = ready(tmp_path)
    np.save(root / "vertices_npy" / f"{FIRST}.npy", array)
    refuse(tmp_path, root, sentence)


def test_an_array_that_is_cut_short(tmp_path: Path) -> None:
    file = ready(tmp_path) / "vertices_npy" / f"{FIRST}.npy"
    file.write_bytes(file.read_bytes()[:-5])
    refuse(tmp_path, file.parents[1], rf"{FIRST}\.npy is cut short")


def test_an_array_without_frames(tmp_path: Path) -> None:
    root = ready(tmp_path)
    np.save(root / "vertices_npy" / f"{FIRST}.npy", np.zeros((0, 18)))
    skips(tmp_path, root, [FIRST], "no frames")


@pytest.mark.parametrize("rule", ["frame", "template"])
def test_nothing_is_normalised_twice(tmp_path: Path, rule: str) -> None:
    root = ready(tmp_path)
    refuse(tmp_path, root, rf"templates\.pkl, F1 is normalised already, and normalise = '{rule}'", normalise=rule)
    raw = biwi_data()
    mixed = BiwiData(biwi_data().normalised.motion, raw.templates, raw.audio, raw.faces).write_ready(tmp_path / "mixed")
    (tmp_path / "job").rename(tmp_path / "earlier")
    refuse(tmp_path, mixed, r"vertices_npy/F1_e01\.npy is normalised already", normalise=rule)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ([1], "must hold a dictionary of subject → template"),
        ({}, "must hold a dictionary of subject → template"),
        ({"F1": np.zeros((6, 2))}, r"templates\.pkl, F1: the template is float64 \(6, 2\)"),
        ({"F1": "x"}, r"F1: the template is <U1 \(\)"),
        ({"F1": np.zeros((5, 3))}, r"F1 has 5 vertices, but .*BIWI\.ply has 6"),
        ({"../F1": POINTS}, r"holds the name '../F1'"),
        ({"F1": np.full((6, 3), np.nan)}, r"F1: the template holds NaN"),
    ],
)
def test_templates_that_are_none(tmp_path: Path, table: Any, sentence: str) -> None:
    root = ready(tmp_path)
    (root / "templates.pkl").write_bytes(pickle.dumps(table))
    refuse(tmp_path, root, sentence)


def test_a_pickle_that_tries_to_run_code(tmp_path: Path) -> None:
    root = ready(tmp_path)
    (root / "templates.pkl").write_bytes(pickle.dumps({"F1": Path("x")}))
    refuse(tmp_path, root, r"templates\.pkl is refused: it asks for pathlib")


def test_an_archive_that_is_none(tmp_path: Path) -> None:
    root = ready(tmp_path)
    (root / "templates.npz").write_bytes(b"PK")
    refuse(tmp_path, root, r"templates\.npz is cut short", templates=str(root / "templates.npz"))


def test_no_triangles_beside_ready_arrays(tmp_path: Path) -> None:
    root = ready(tmp_path)
    (root / "BIWI.ply").unlink()
    refuse(
        tmp_path, root, r"BIWI\.ply is missing; put a mesh with the data's triangles there, or name one with topology"
    )
