"""How many windows of picture and sound there are, and motion of any rate as 25 pictures a second. Light: no NumPy."""

from __future__ import annotations

from dataclasses import dataclass

PICTURES_PER_SECOND = 25
SAMPLES_PER_PICTURE = 640
"""At 16 kHz."""
CUT = 5
"""Pictures that are no beginning of a window; a window is of five, so that the published tool leaves out the last."""
LEAST_WINDOWS = 6
"""Of a sentence. In a shorter one most of the 31 offsets compare with nothing at all."""


@dataclass(frozen=True)
class Moment:
    """A place in time between two frames. share: of the later one."""

    before: int
    after: int
    share: float

    @property
    def nearest(self) -> int:
        """The nearer of the two; of equally near ones the earlier."""
        return self.after if self.share > 0.5 else self.before


def moments(frames: int, fps: float) -> list[Moment]:
    """Places of 25 pictures a second in so many frames, at 0, 1/25, 2/25 … s; at the end the last frame stands."""
    count = round(frames * PICTURES_PER_SECOND / fps)
    if fps == PICTURES_PER_SECOND:
        return [Moment(number, number, 0.0) for number in range(count)]
    places = [number * fps / PICTURES_PER_SECOND for number in range(count)]
    return [_moment(place, frames - 1) for place in places]


def _moment(place: float, last: int) -> Moment:
    before = min(int(place), last)
    after = min(before + 1, last)
    return Moment(before, after, min(place - before, 1.0) if after > before else 0.0)


def windows_of(pictures: int, samples: int) -> int:
    """How many windows a sentence of so many pictures and 16 kHz samples has; 0 where it is too short for one."""
    return max(0, min(pictures, samples // SAMPLES_PER_PICTURE) - CUT)
