"""A SyncNet before films and sounds: what it says of one sentence, in the form in which that is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from models.sound import Wave
from models.syncnet.distances import synchrony
from models.syncnet.file import read_syncnet
from models.syncnet.mfcc import mfcc
from models.syncnet.net import PICTURES
from models.syncnet.timing import LEAST_WINDOWS, moments, windows_of
from stages.kinds.synchrony import MILLISECONDS, Score
from stages.lipsync.pictures import Picture

Film = Callable[[int], Iterable[Picture]]
"""The first so many pictures of something."""


class Judge:
    """fps: of the motion whose films it sees."""

    def __init__(self, weights: Path, device: str, fps: float) -> None:
        self.network = read_syncnet(weights).to(device)
        self.fps = fps

    def score(self, film: Film, wave: Wave, frames: int, motion: str) -> Score:
        """Of a film of so many frames. motion: digest of what it shows."""
        count = self._windows(frames, wave)
        return self._scored(lambda: film(count + PICTURES - 1), wave, frames, motion)

    def score_still(self, picture: Picture, wave: Wave, frames: int, motion: str) -> Score:
        """The same of one picture that stands for so many frames: all its windows are one."""
        return self._scored(lambda: [picture] * PICTURES, wave, frames, motion)

    def _scored(self, shown: Callable[[], Iterable[Picture]], wave: Wave, frames: int, motion: str) -> Score:
        count = self._windows(frames, wave)
        if count < LEAST_WINDOWS:
            return Score(None, None, None, None, count, frames, [], motion)
        seen = self.network.look(shown()).expand(count, -1)
        found = synchrony(seen, self.network.hear(mfcc(wave), count))
        late = found.offset * MILLISECONDS
        return Score(found.distance, found.confidence, found.offset, late, count, frames, list(found.means), motion)

    def _windows(self, frames: int, wave: Wave) -> int:
        return windows_of(len(moments(frames, self.fps)), len(wave))
