"""Reading FLAME from the file that a user has from its owners: the pickle as it is released, or an archive of arrays.

The release is a Python-2 pickle that holds objects of `chumpy` and `scipy.sparse`, neither of which is needed or
installed. `faces.safe_pickle` lets the names of these two pass beyond plain arrays, to stand-ins that keep the state
they are handed and do nothing, so that arrays are then taken from it as from any other data. A model that asks for
anything else is refused; it can be brought as .npz with the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.arrays import read_npz
from faces.errors import DataError, said
from faces.flame import JOINTS, SHAPES, Flame
from faces.safe_pickle import StandIn, load_pickle

NEEDED = ("v_template", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights", "f")
"""What the model is made of, by the release's own names."""
MOST_CELLS = 1 << 24
"""Of a sparse matrix when it is filled up; FLAME's regressor has 25,115."""


class _Chumpy(StandIn):
    """`chumpy.ch.Ch`: an array under the name `x`."""

    def array(self, where: str) -> NDArray[Any]:
        return _plain(_entry(self.state, "x", where), where)


class _Sparse(StandIn):
    """A compressed sparse matrix of SciPy, by columns; `_SparseRows` by rows."""

    by_rows = False

    def array(self, where: str) -> NDArray[Any]:
        """Filled up."""
        values, inner, starts = (
            _plain(_entry(self.state, name, where), where) for name in ("data", "indices", "indptr")
        )
        shape = _entry(self.state, "_shape", where)
        try:
            rows, columns = (int(size) for size in shape)
            if not 0 < rows * columns <= MOST_CELLS:
                raise ValueError(f"a matrix of {rows} × {columns}")
            if not len(values) == len(inner) == starts[-1] or (np.diff(starts) < 0).any():
                raise ValueError("it names more numbers than it holds")
            full = np.zeros((rows, columns))
            outer = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
            np.add.at(full, (outer, inner) if self.by_rows else (inner, outer), values)
        except (TypeError, ValueError, IndexError) as error:
            raise DataError(f"{where} is a damaged sparse matrix ({said(error)}); download the model again") from error
        return full


class _SparseRows(_Sparse):
    by_rows = True


def _new(budget: Any, kind: Any, base: Any, state: Any) -> Any:
    """What Python 2 calls to make an empty object; here of the stand-ins alone."""
    if not (isinstance(kind, type) and issubclass(kind, StandIn)) or base is not object or state is not None:
        raise ValueError("it rebuilds an object that is neither an array nor a sparse matrix")
    return kind()


_STAND_INS: dict[tuple[str, str], Any] = {
    ("chumpy.ch", "Ch"): _Chumpy,
    ("chumpy", "Ch"): _Chumpy,
    ("copy_reg", "_reconstructor"): _new,
    ("copyreg", "_reconstructor"): _new,
    ("__builtin__", "object"): object,
    ("builtins", "object"): object,
}
for _name, _kind in (("csc", _Sparse), ("csr", _SparseRows)):
    for _module in (_name, f"_{_name}"):
        _STAND_INS[f"scipy.sparse.{_module}", f"{_name}_matrix"] = _kind


def read_flame(file: Path) -> Flame:
    """Read a model, .pkl or .npz.

    Raises:
        DataError: the file is absent or damaged, asks to run code, or is no FLAME model.
    """
    file = Path(file)
    table = read_npz(file) if file.suffix.lower() == ".npz" else load_pickle(file, _STAND_INS)
    if not isinstance(table, Mapping) or not all(name in table for name in NEEDED):
        raise DataError(f"{file} is no FLAME model: it must hold {', '.join(NEEDED)}; give generic_model.pkl")
    parts = {name: _array(table[name], f"{file}, {name},") for name in NEEDED}
    _check(file, parts)
    parents = parts["kintree_table"][0].astype(np.int64)
    return Flame(
        template=parts["v_template"].astype(np.float64),
        directions=parts["shapedirs"].astype(np.float64),
        correctives=parts["posedirs"].astype(np.float64),
        regressor=parts["J_regressor"].astype(np.float64),
        parents=(-1, *(int(parent) for parent in parents[1:])),  # the first is stored as -1 or as 2³² - 1
        weights=parts["weights"].astype(np.float64),
        faces=parts["f"].astype(np.int32),
    )


def _array(value: Any, where: str) -> NDArray[Any]:
    array = value.array(where) if isinstance(value, _Chumpy | _Sparse) else _plain(value, where)
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise DataError(f"{where} holds {array.dtype}, or numbers that are none; download the model again")
    return array


def _plain(value: Any, where: str) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:  # lists of different lengths
        raise DataError(f"{where} is no array ({said(error)}); download the model again") from error


def _entry(state: Any, name: str, where: str) -> Any:
    if not isinstance(state, dict) or name not in state:
        raise DataError(f"{where} is an object without {name!r}; download the model again")
    return state[name]


def _check(file: Path, parts: Mapping[str, NDArray[Any]]) -> None:
    """The shapes fit each other. DataError otherwise, which names the first that does not."""
    vertices, joints = len(np.atleast_1d(parts["v_template"])), len(JOINTS)
    count = parts["shapedirs"].shape[-1] if parts["shapedirs"].ndim == 3 else 0
    wanted = {
        "v_template": (vertices, 3),
        "shapedirs": (vertices, 3, max(count, SHAPES + 1)),
        "posedirs": (vertices, 3, 9 * (joints - 1)),
        "J_regressor": (joints, vertices),
        "kintree_table": (2, joints),
        "weights": (vertices, joints),
        "f": (len(np.atleast_1d(parts["f"])), 3),
    }
    for name, shape in wanted.items():
        if parts[name].shape != shape:
            raise DataError(f"{file}, {name}, is {parts[name].shape}, and in a FLAME model {shape}; give another file")
    if not len(parts["f"]) or parts["f"].dtype.kind == "f":
        raise DataError(f"{file}, f, holds no triangles of whole numbers; download the model again")
    if parts["f"].min() < 0 or parts["f"].max() >= vertices:
        raise DataError(f"{file}, f, names vertices outside the {vertices} of the template; download the model again")
    if any(not 0 <= int(parent) < joint for joint, parent in enumerate(parts["kintree_table"][0][1:], start=1)):
        raise DataError(f"{file}, kintree_table, is no tree of joints; download the model again")
