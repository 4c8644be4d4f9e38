"""One sequence, looked at by itself; what it comes to is kept for the comparison with the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from faces.errors import DataError
from faces.vertex_order import Order, VertexOrder, size_of
from stages.datacheck.corpus import Corpus, Name, Reader
from stages.datacheck.findings import WARNING, Finding
from stages.datacheck.measure import MotionNumbers, measure_motion, measure_sound
from stages.preprocess.sound import Clip

SPAN = 192
"""Frames that are in memory at a time."""
FAR = 0.06
"""Of a head's size: how far a vertex, but not its neighbours, is out of its way for a frame, to be called a jump."""
NO_NEIGHBOURS = 0.2
CUT = 0.15
"""Of a head's size: how far the whole face goes in one frame, to be called a cut."""
MOST_PEAKS = 40
"""Of one sequence that are looked at."""
MOST_JUMPS = 3
"""Of one sequence that are told one by one."""
QUIET = 0.001
"""Root mean square of full scale: -60 dB."""
CLIPPED = 0.0005
"""Of the samples, in runs at full scale."""


@dataclass
class Seen:
    """What is known of a sequence. size: of its first frame. order: None where it could not be compared."""

    name: Name
    findings: list[Finding] = field(default_factory=list)
    frames: int = 0
    vertices: int = 0
    size: float = 0.0
    order: Order | None = None
    out_of_place: tuple[int, ...] = ()
    motion_digest: str = ""
    seconds: float = 0.0
    rate: int = 0
    sound_digest: str = ""


class Examiner:
    """Looks at sequences, several at a time if need be. neighbours: of each vertex some that share an edge with it."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        model = corpus.facts.model
        self.order = VertexOrder(model.vertices, model.faces) if model is not None and len(model.faces) else None

    def see(self, name: Name) -> Seen:
        seen = Seen(name)
        reader, found = self.corpus.motion(name)
        seen.findings += found
        if reader is not None:
            try:
                seen.findings += self._look(seen, reader)
            except DataError as error:
                seen.findings.append(self.corpus.unreadable(name, error))
        clip, found = self.corpus.sound(name) if _is_wanted(seen) else (None, [])
        seen.findings += found
        if clip is not None:
            seen.findings += self._listen(seen, clip)
        return seen

    def _look(self, seen: Seen, reader: Reader) -> Iterator[Finding]:
        place = self.corpus.place(seen.name)
        if not reader.frames:
            yield Finding(place, "EMPTY", "there is not one frame", "record it again or remove it")
            return
        spans = (reader.read(range(at, min(at + SPAN, reader.frames))) for at in range(0, reader.frames, SPAN))
        numbers = measure_motion(spans, reader.frames)
        seen.frames, seen.motion_digest = reader.frames, numbers.digest
        if numbers.bad:
            yield self._not_a_number(seen.name, numbers)
        if numbers.first is None:
            return
        seen.vertices, seen.size = len(numbers.first), size_of(numbers.first)
        if self.order is not None and len(self.order.vertices) == seen.vertices:
            verdict = self.order.of(numbers.first)
            seen.order, seen.out_of_place = verdict.kind, tuple(map(int, verdict.vertices))
        if not numbers.moved and seen.frames > 1 and not numbers.bad:
            yield Finding(place, "STILL", "nothing moves in it", "export the animation, not the pose", WARNING)
        yield from self._jumps(seen, reader, numbers)

    def _not_a_number(self, name: Name, numbers: MotionNumbers) -> Finding:
        assert numbers.bad
        frame, vertex = numbers.bad
        place, number = self.corpus.frame_place(name, frame)
        more = f", the first of {numbers.bad_frames} such frames" if numbers.bad_frames > 1 else ""
        return Finding(place, "NAN", f"NaN or infinity{more}", "export it again", frame=number, vertex=vertex)

    def _jumps(self, seen: Seen, reader: Reader, numbers: MotionNumbers) -> Iterator[Finding]:
        cuts = np.flatnonzero(numbers.steps > CUT * seen.size)
        for frame in cuts[:MOST_JUMPS]:
            place, number = self.corpus.frame_place(seen.name, int(frame))
            by = numbers.steps[frame] / seen.size
            mend = "cut the take in two there, or remove the head's movement"
            yield Finding(place, "CUT", f"the whole face jumps by {by:.0%} of its size", mend, frame=number)
        told = 0
        for frame in _peaks(numbers.jumps, FAR * seen.size)[:MOST_PEAKS]:
            near_cut = len(cuts) and int(np.abs(cuts - frame).min()) <= 1
            vertex, by = self._jumping(reader, int(frame), seen.size) if not near_cut else (None, 0.0)
            if vertex is not None and told < MOST_JUMPS:
                told += 1
                place, number = self.corpus.frame_place(seen.name, int(frame))
                what = f"a vertex jumps by {by:.0%} of the head's size and back, its neighbours do not"
                yield Finding(place, "JUMP", what, "repair the frame", frame=number, vertex=vertex)

    def _jumping(self, reader: Reader, frame: int, size: float) -> tuple[int | None, float]:
        """The vertex that is farthest out of its way at a frame, and by how much of `size`; None where it goes with
        its neighbours, as a lid that blinks does."""
        before, at, after = reader.read(range(frame - 1, frame + 2))
        off = at - (before + after) / 2
        far = np.linalg.norm(off, axis=1)
        vertex = int(np.argmax(far))
        ring = self._neighbours(vertex) if self.order is not None and len(self.order.vertices) == len(off) else ()
        alone = np.linalg.norm(off[vertex] - np.median(off[ring], axis=0)) if len(ring) else far[vertex]
        limit = (FAR / 2 if len(ring) else NO_NEIGHBOURS) * size
        return (vertex if alone > limit and np.isfinite(alone) else None), float(far[vertex] / size)

    def _neighbours(self, vertex: int) -> NDArray[np.int64]:
        assert self.order is not None
        edges = self.order.edges
        return np.concatenate([edges[edges[:, 0] == vertex, 1], edges[edges[:, 1] == vertex, 0]])

    def _listen(self, seen: Seen, clip: Clip) -> Iterator[Finding]:
        place = self.corpus.sound_place(seen.name)
        seen.seconds, seen.rate = clip.seconds, clip.rate
        numbers = measure_sound(clip)
        seen.sound_digest = numbers.digest
        if numbers.rms < QUIET:
            what = f"nearly silent ({20 * np.log10(max(numbers.rms, 1e-9)):.0f} dB)"
            yield Finding(place, "SILENT", what, "see whether the right channel was taken", WARNING)
        share = numbers.clipped / max(1, len(clip.samples))
        if share > CLIPPED:
            what = f"{share:.1%} of it is cut off at full scale, first at {numbers.first:.2f} s"
            yield Finding(place, "CLIPPED", what, "take a recording with a lower level", WARNING)


def _peaks(values: NDArray[np.float64], limit: float) -> NDArray[np.int64]:
    """Where a value is above the limit and no smaller than those beside it: a spike shows in three frames."""
    padded = np.concatenate([[0.0], values, [0.0]])
    return np.flatnonzero((values > limit) & (values >= padded[:-2]) & (values >= padded[2:]))


def _is_wanted(seen: Seen) -> bool:
    """Whether its sound is to be looked for: what is without motion has been told."""
    return not any(finding.code == "NO-MOTION" for finding in seen.findings)
