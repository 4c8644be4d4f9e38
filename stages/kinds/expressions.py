"""Rows of expression codes that a head model can speak: predictions of the track, or the sequences' own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from faces.errors import DataError
from stages.kinds.head import Head
from stages.kinds.predictions import Info, Item, Predictions, check_alike, prediction_name
from stages.kinds.sequences import Sequences
from stages.kinds.tracks import read_tracks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXPRESSION = "nphm_expression"
"""The track, as of FaceTalk's data set."""
TRUTH = "head model"
"""What the sequences' own codes are called where a network's name stands else."""


class Expressions:
    """What is spoken. info: of predictions of no track, with the names and items of what is made of the codes."""

    def __init__(
        self, head: Head, data: Sequences, predictions: Predictions | None = None, splits: Sequence[str] = ()
    ) -> None:
        """splits: without predictions, whose sentences. DataError where they are not of this head's data."""
        self.head, self.data, self.predictions, self._splits = head, data, predictions, list(splits)
        head.check_alike(data)
        if predictions is not None:
            if predictions.info.track != EXPRESSION:
                track = predictions.info.track
                what = f"of the track {track!r}" if track else "of vertices already"
                raise DataError(f"{predictions.path} holds predictions {what}; rows of {EXPRESSION!r} are wanted")
            check_alike(data, predictions)

    @cached_property
    def info(self) -> Info:
        return spoken(self.data, self.predictions, self._splits)

    @property
    def items(self) -> Mapping[str, Item]:
        return self.info.items

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """(T, E) of an item."""
        if self.predictions is not None:
            rows, where = self.predictions.rows(name), self.predictions.file(name)
        else:
            track = read_tracks(self.data.path).get(EXPRESSION)
            if track is None:
                raise DataError(
                    f"{self.data.path} has no track {EXPRESSION!r}: give sequences that the stage track has made"
                )
            rows, where = track[self.items[name].id], track.folder
        if rows.shape[1] != self.head.info.expression:
            raise DataError(
                f"{where} has rows of {rows.shape[1]} numbers, and the head model's expression codes have "
                f"{self.head.info.expression}: give codes of this head"
            )
        return rows


def spoken(data: Sequences, predictions: Predictions | None, splits: Sequence[str]) -> Info:
    """What there is to speak, told without a head: all predictions, or sentences of some splits by their own codes."""
    if predictions is not None:
        return replace(predictions.info, track="")
    entries = {name: data.entry(name) for name in data.ids_in(splits)}
    items = {
        prediction_name(name, one.subject): Item(name, one.subject, one.subject, one.split, one.frames)
        for name, one in entries.items()
    }
    return Info(data.fps, data.units, data.info.dataset, TRUTH, items, styles=False)
