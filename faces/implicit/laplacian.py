"""The uniform Laplacian of a mesh: how a vertex's value differs from the mean of its neighbours'."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def averaging(faces: NDArray[np.integer], count: int) -> Any:
    """(V, V) sparse float64: the mean over a vertex's neighbours; of one without any, itself."""
    from scipy.sparse import csr_array, diags_array  # slow to import, and of no use to who only plans

    a, b, c = np.asarray(faces, np.int64).T
    rows, columns = np.concatenate([a, b, b, c, c, a]), np.concatenate([b, a, c, b, a, c])
    linked = csr_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    linked.data[:] = 1  # edges of two triangles count once
    degree = np.asarray(linked.sum(axis=1)).ravel()
    alone = degree == 0
    return csr_array(diags_array(1 / np.maximum(degree, 1)) @ linked + diags_array(alone.astype(np.float64)))
