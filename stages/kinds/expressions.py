"""Rows of expression codes that a head model can speak: predictions of the track, or the sequences' own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from faces.errors import DataError
from pipeline.stage import Given, Slot, of_json
from stages.kinds.head import CODES, WEIGHTS, Head
from stages.kinds.head import INDEX as HEAD_INDEX
from stages.kinds.identities import FOLDER as IDENTITIES
from stages.kinds.predictions import MOTION, Info, Item, Predictions, check_alike, prediction_name
from stages.kinds.sequences import INDEX, REGIONS, TEMPLATES, TOPOLOGY, Sequences
from stages.kinds.tracks import EXPRESSION, read_tracks
from stages.kinds.tracks import FOLDER as TRACKS
from stages.kinds.tracks import INDEX as TRACK_INDEX
from stages.render.choice import spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SLOTS: Mapping[str, Slot] = {
    "predictions": Slot("predictions", optional=True),
    "head": Slot("head", uses=(WEIGHTS, HEAD_INDEX, CODES)),
    "data": Slot("sequences", uses=(TEMPLATES, INDEX, TOPOLOGY, REGIONS, IDENTITIES, TRACKS, TRACK_INDEX)),
}
"""Of stages that speak codes."""
TRUTH = "head model"
"""What the sequences' own codes are called where a network's name stands else."""


class Expressions:
    """What is spoken. info: of predictions of no track, with the names and items of what is made of the codes."""

    def __init__(
        self, head: Head, data: Sequences, predictions: Predictions | None = None, splits: Sequence[str] = ()
    ) -> None:
        """splits: without predictions, whose sentences. DataError where they are not of this head's data."""
        self.head, self.data, self.predictions, self._splits = head.facing(data), data, predictions, list(splits)
        if predictions is not None:
            if predictions.info.track != EXPRESSION:
                track = predictions.info.track
                what = f"of the track {track!r}" if track else "of vertices already"
                wanted = f"rows of {EXPRESSION!r} are wanted" if track else "metrics and render take them as they are"
                raise DataError(f"{predictions.path} holds predictions {what}: {wanted}")
            check_alike(data, predictions)
            head.check_codes(predictions.info.head, predictions.path)
        else:
            self.check_identities()

    def check_identities(self) -> None:
        """DataError where the identity codes, which lie beside the data's own expression codes, are of another head."""
        if (track := read_tracks(self.data.path).get(EXPRESSION)) is not None:
            self.head.check_codes(track.track.head, self.data.path)

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
                f"{self.head.info.expression}: give the head that they were tracked with"
            )
        return rows


def spoken(data: Sequences, predictions: Predictions | None, splits: Sequence[str]) -> Info:
    """What there is to speak, told without a head: all predictions, or sentences of some splits by their own codes."""
    if predictions is not None:
        return replace(predictions.info, track="", head="")
    entries = {name: data.entry(name) for name in data.ids_in(splits)}
    items = {
        prediction_name(name, one.subject): Item(name, one.subject, one.subject, one.split, one.frames)
        for name, one in entries.items()
    }
    return Info(data.fps, data.units, data.info.dataset, TRUTH, items, styles=False)


def reads_codes(given: Mapping[str, Given]) -> dict[str, dict[str, str]]:
    """What a stage reads (`Stage.reads`): the sequences' own codes only where nobody else's are spoken."""
    read = {slot: dict(entry.content) for slot, entry in given.items()}
    if "predictions" in given:
        for part in (TRACKS, TRACK_INDEX):
            read["data"].pop(part, None)
    return read


def code_items(given: Mapping[str, Given], splits: Sequence[str], limit: int = 0) -> tuple[dict[str, Any], list[Any]]:
    """What items hang on, of the slots predictions (if it is wired), data and head: each on its codes and on its
    subject's template and identity code; and what all hang on."""
    data, files = Sequences(given["data"].path), given["data"].files
    made = Predictions(given["predictions"].path) if "predictions" in given else None

    def codes(name: str, item: Item) -> str | None:
        if made is None:
            return files.get(f"{TRACKS}/{EXPRESSION}/{item.id}.npy")
        return given["predictions"].files.get(f"{MOTION}/{name}.npy")

    each = {
        name: [
            codes(name, item),
            data.template_digests.get(item.subject),
            files.get(f"{IDENTITIES}/{item.subject}.npy"),
        ]
        for name, item in chosen(spoken(data, made, splits).items, limit).items()
    }
    whole = [digest for name, digest in sorted(files.items()) if name == TOPOLOGY or name.startswith(f"{REGIONS}/")]
    return each, [given["head"].content, of_json(whole), data.units, data.info.up]


def chosen(items: Mapping[str, Item], limit: int) -> dict[str, Item]:
    """So many of the items, spread over subjects, then sentences; 0: all. By name."""
    names = spread([(item.subject, item.id, name) for name, item in items.items()])
    return {name: items[name] for name in sorted(names[:limit] if limit else names)}
