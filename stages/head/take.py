"""The work of the stage `head`: read, check, and write down again in the kind's own form."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.nphm.codes import looked_up
from models.nphm.files import Published, Table, read_mono, read_nphm
from models.nphm.sizes import CanonicalSizes
from pipeline.stage import Job
from stages.head import Params
from stages.kinds.head import NPHM_PER_METRE, Info, Tables, write_head


def take(job: Job, params: Params) -> None:
    """Fill `job.out` with a head model that its authors trained."""
    weights, assets = Path(params.weights), Path(params.assets)
    moving = Path(params.expression) if params.expression else None
    published = read_nphm(weights, moving, assets) if moving else read_mono(weights, assets)
    info, tables = _described(published)
    write_head(job.out, info, tables, published.model)
    job.say(
        f"{len(tables.identities)} heads of {tables.identities.shape[1]} numbers, expression codes of {info.expression}"
    )


def _described(published: Published) -> tuple[Info, Tables]:
    model = published.model
    assert model.deformation is not None
    sizes, deformation = model.identity.sizes, model.deformation.sizes
    identities = _rows(published.identities, sizes.identity)
    expressions = _rows(published.expressions, deformation.expression)
    info = Info(
        "mono" if isinstance(sizes, CanonicalSizes) else "nphm", model.moves, asdict(sizes), asdict(deformation), "",
        "m", "y", NPHM_PER_METRE, (0.0, 0.0, 0.0), {f"subject{row}": "" for row in range(len(identities))}, 0,
    )  # fmt: skip
    return info, Tables(
        model.identity.mean_anchors.numpy(), identities, *_spread(identities), *_spread(expressions),
        np.zeros(0, np.int64),
    )  # fmt: skip


def _rows(table: Table | None, size: int) -> NDArray[np.float32]:
    """(R, size) codes as the model saw them; none where the files hold none."""
    if table is None:
        return np.zeros((0, size), np.float32)
    found: NDArray[np.float32] = looked_up(table.rows, table.rows.new_tensor(range(len(table.rows))).long()).numpy()
    return found


def _spread(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation (D,); zeros of no rows."""
    if not len(rows):
        return np.zeros(rows.shape[1], np.float32), np.zeros(rows.shape[1], np.float32)
    return rows.mean(0), rows.std(0)
