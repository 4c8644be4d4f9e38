"""An artifact of the kind `head` made by hand: an ellipsoid that fits the eggs of `talking_spheres`, moved by codes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.nphm_head import codes, head
from models.nphm.head import BACKWARD
from models.nphm.sizes import CanonicalSizes, DeformationSizes, IdentitySizes
from stages.kinds.head import Head, Info, Tables, write_head
from stages.kinds.identities import write_identity
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import Track, write_index, write_rows

SLOTS = {"anchors": 15, "pairs": 6, "global_code": 6, "local_code": 4}
EXPRESSION = 6
SCALE = 4.0
"""The ellipsoid is half a unit large and the eggs a tenth of a metre."""


def make_head(folder: Path, data: Path, *, moves: str = BACKWARD, form: str = "mono") -> Path:
    """Of the data's units; knows nobody."""
    folder.mkdir(parents=True)
    mono = form == "mono"
    sizes = CanonicalSizes(**SLOTS, width=20, neighbours=8) if mono else IdentitySizes(**SLOTS, width=24)
    deformation = DeformationSizes(
        **SLOTS, hyper=2 if mono else 0, width=24, bottleneck=4, expression=EXPRESSION
    )  # fmt: skip
    model = head(sizes, deformation, moves)
    there = Sequences(data)
    info = Info(
        form,
        moves,
        asdict(sizes),
        asdict(deformation),
        "eggs",
        there.units,
        there.info.up,
        SCALE,
        (0.0, 0.0, 0.0),
        {},
        0,
    )
    number = np.zeros((1, sizes.identity), np.float32)
    tables = Tables(
        anchors=model.identity.mean_anchors.numpy(), identities=np.concatenate([number, number + 0.01]),
        identity_mean=number[0], identity_deviation=number[0] + 1,
        expression_mean=np.zeros(EXPRESSION, np.float32), expression_deviation=np.full(EXPRESSION, 0.1, np.float32),
        anchor_vertices=np.empty(0, np.int64),
    )  # fmt: skip
    write_head(folder, info, tables, model)
    return folder


def add_codes(data: Path, made: Path, frames: int = 12) -> Path:
    """Give sequences the track, codes that change little by little, and everybody an identity code."""
    known, there = Head(made), Sequences(data)
    model = known.model()
    rows = np.stack([codes(model, number)[1].numpy() for number in range(frames)])
    for number, name in enumerate(there.ids()):
        write_rows(data, "nphm_expression", name, rows + np.float32(0.02 * number))
    write_index(data, {"nphm_expression": Track("made by hand", framewise=True)}, there.ids())
    for subject in there.templates:
        write_identity(data, subject, np.zeros(len(known.tables.identity_mean), np.float32))
    return data
