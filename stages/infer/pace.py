"""How quickly a step spoke: against real time, and until its first frame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.stage import Job


class Pace:
    """Begins when it is made. speech_seconds: of all motions that were made, each style counted. first_frame: seconds
    from here to the first frame. processor: what the process had used by then, its start and imports included."""

    def __init__(self, fps: float) -> None:
        self._began = time.perf_counter()
        self._fps = fps
        self.speech_seconds = self.seconds = 0.0
        self.first_frame = self.processor = 0.0

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Time that the network and its results take."""
        began = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - began

    def made(self, frames: int) -> None:
        """So many frames, of all motions, are ready."""
        if not self.first_frame:
            self.first_frame, self.processor = time.perf_counter() - self._began, time.process_time()
        self.speech_seconds += frames / self._fps

    def tell(self, job: Job) -> None:
        """A line for the user and facts for the record, where anything was made."""
        if not self.speech_seconds:
            return
        times = self.speech_seconds / self.seconds
        pace = f"{times:.3g} times faster" if times >= 1 else f"{1 / times:.3g} times slower"
        job.say(
            f"spoke {self.speech_seconds:.1f} s in {self.seconds:.2f} s, {pace} than real time; "
            f"first frame after {self.first_frame:.2f} s"
        )
        job.note(
            speech_seconds=round(self.speech_seconds, 3),
            seconds=round(self.seconds, 3),
            times_real_time=round(times, 3),
            first_frame_seconds=round(self.first_frame, 3),
            first_frame_processor_seconds=round(self.processor, 3),
        )
