"""Small models of FLAME's form, and the pickle in which the real one is released, written without chumpy or SciPy."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from faces.flame import SHAPES

PARENTS = np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32)
EXPRESSIONS = 100


def tiny_tables(vertices: int = 12, seed: int = 3) -> dict[str, np.ndarray]:
    """The release's names → arrays of a model of `vertices`; nothing of it is any head's."""
    rng = np.random.default_rng(seed)
    weights, regressor = rng.random((vertices, 5)), rng.random((5, vertices)) ** 4
    return {
        "v_template": 0.1 * rng.standard_normal((vertices, 3)),
        "shapedirs": 0.01 * rng.standard_normal((vertices, 3, SHAPES + EXPRESSIONS)),
        "posedirs": 0.01 * rng.standard_normal((vertices, 3, 36)),
        "J_regressor": regressor / regressor.sum(axis=1, keepdims=True),
        "kintree_table": PARENTS,
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "f": np.arange(vertices - vertices % 3, dtype=np.uint32).reshape(-1, 3),
    }


def write_npz(file: Path, tables: dict[str, Any]) -> Path:
    np.savez(file, **tables)
    return file


def write_release(file: Path, tables: dict[str, np.ndarray], protocol: int = 2, **more: Any) -> Path:
    """As the release has it: chumpy arrays, a sparse regressor by columns, texts of the training beside them."""
    chumpy, csc = _foreign("chumpy.ch", "Ch"), _foreign("scipy.sparse.csc", "csc_matrix")
    stored: dict[str, Any] = {**tables, "bs_style": "lbs", "bs_type": "lrotmin"}
    for name in ("v_template", "shapedirs", "posedirs"):
        stored[name] = _with(chumpy, {"x": tables[name], "_dirty_vars": set(), "_itr": None, "_status": "new"})
    stored["J_regressor"] = _with(csc, by_columns(tables["J_regressor"]))
    try:
        file.write_bytes(pickle.dumps(stored | more, protocol=protocol))
    finally:
        for name in ("chumpy.ch", "chumpy", "scipy.sparse.csc", "scipy.sparse", "scipy"):
            if getattr(sys.modules.get(name), "made_by_the_tests", False):
                del sys.modules[name]
    return file


def by_columns(full: np.ndarray) -> dict[str, Any]:
    columns = [np.flatnonzero(column) for column in full.T]
    return {
        "_shape": full.shape,
        "maxprint": 50,
        "data": np.concatenate([full[rows, k] for k, rows in enumerate(columns)]),
        "indices": np.concatenate(columns).astype(np.int32),
        "indptr": np.cumsum([0, *map(len, columns)]).astype(np.int32),
    }


def _with(kind: type, state: dict[str, Any]) -> Any:
    thing = kind()
    thing.__dict__.update(state)
    return thing


def _foreign(module: str, name: str) -> type:
    """A class that pickle names as another library's."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        path = ".".join(parts[:depth])
        if path not in sys.modules:
            sys.modules[path] = ModuleType(path)
            sys.modules[path].made_by_the_tests = True  # type: ignore[attr-defined]
    kind = type(name, (), {"__module__": module})
    setattr(sys.modules[module], name, kind)
    return kind
