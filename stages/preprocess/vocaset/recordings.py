"""What VOCASET's files have in common, in whichever form: templates, topology, regions, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from stages.kinds.card import Check
from stages.kinds.sequences import sequence_id
from stages.preprocess import given_transcripts, published_transcripts
from stages.preprocess.prepare import Name, Sound, first_few
from stages.preprocess.region_files import Regions, read_folder, read_masks
from stages.preprocess.vocaset import Settings

VERTICES = 5023
DISAGREEMENT_S = 0.5
"""Sound and motion of VOCASET differ by a few frames; more than this is worth a look."""
USUAL_RATES = (15, 20, 24, 25, 30, 48, 50, 60, 100, 120)
NEAR = 0.1
"""Of a rate: what sound and motion that end a little apart make of it."""


class Vocaset:
    """Part of a `Recordings`: `frames`, `clip` and `motion` are for those who know the files."""

    units = "m"
    up = "y"
    where = "the sequences"
    """What holds the motion, in a sentence."""

    def __init__(
        self,
        settings: Settings,
        templates: Mapping[str, NDArray[np.float32]],
        faces: NDArray[np.int32],
        vertices: int,
        names: Sequence[Name],
    ) -> None:
        self.root, self.fps = Path(settings.root), settings.native_fps
        self.templates, self.faces, self.vertices, self.names = templates, faces, vertices, names
        self.regions = _read_regions(settings, vertices)

    def frames(self, name: Name) -> int:
        raise NotImplementedError

    def transcripts(self) -> Mapping[str, str]:
        """Those beside the data, which the release does not have; the user's own table wins."""
        ids = [sequence_id(*name) for name in self.names]
        return published_transcripts.read_vocaset(self.root, ids) | given_transcripts.read(self.root, ids)

    def remarks(self, sounds: Mapping[Name, Sound]) -> Iterable[str]:
        return ()

    def checks(self, sounds: Mapping[Name, Sound]) -> Iterator[Check]:
        """DataError where sound and motion say that the frames were recorded at another of the usual rates."""
        yield Check("vertices", f"{VERTICES:,}", f"{self.vertices:,}", self.vertices == VERTICES)
        yield self._rate(sounds)
        yield self._lengths(sounds)

    def _rate(self, sounds: Mapping[Name, Sound]) -> Check:
        found = median(self.frames(name) / sound.seconds for name, sound in sounds.items())
        nearest = min(USUAL_RATES, key=lambda rate: abs(rate - found))
        is_so = abs(found - self.fps) <= NEAR * self.fps
        if not is_so and abs(found - nearest) <= NEAR * nearest:
            raise DataError(
                f"{self.where} hold {found:.1f} frames for a second of sound, and not {self.fps:g}: if that is their "
                f"rate, say recorded_fps = {nearest}"
            )
        return Check("frames for a second of sound", f"{self.fps:g}, within {NEAR:.0%}", f"{found:.1f}", is_so)

    def _lengths(self, sounds: Mapping[Name, Sound]) -> Check:
        apart = {sequence_id(*name): abs(self.frames(name) / self.fps - s.seconds) for name, s in sounds.items()}
        far = [f"{name} {seconds:.2f}" for name, seconds in apart.items() if seconds > DISAGREEMENT_S]
        more = f", more than that in {len(far)} of {len(apart)}: {first_few(far)}" if far else ""
        found = f"{max(apart.values()):.2f} s{more}"
        return Check("sound and motion of a sequence, apart at most", f"{DISAGREEMENT_S:g} s", found, not far)


def _read_regions(settings: Settings, vertices: int) -> Regions:
    masks = settings.files.get("masks")
    regions = read_masks(masks, vertices) if masks else {}
    return regions | (read_folder(Path(settings.regions), vertices) if settings.regions else {})
