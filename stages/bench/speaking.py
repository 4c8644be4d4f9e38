"""From sound to motion, timed: convolutions of the speech encoder, its transformer, and the network's own frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from models.speech import FineTuning, SpeechEncoder
from models.talking_face import DataFacts, Speech, TalkingFace
from stages.bench import Task
from stages.bench.memory import peaks, reset_peaks
from stages.bench.synthetic import SAMPLES


class Speaker:
    """A network with ears."""

    def __init__(self, network: TalkingFace, facts: DataFacts, task: Task) -> None:
        self.network, self.facts, self.task = network, facts, task
        self.device = task.wish.device
        # Only its convolutions are asked: they are what the stage `features` runs.
        ears = SpeechEncoder({**facts.encoder_config, "num_hidden_layers": 1}, FineTuning())
        self.ears = ears.to(self.device).eval()

    def figures(self, seconds: float, clips: int) -> dict[str, Any]:
        """A row of the table: so many clips of one length at once, each in one style."""
        sounds = [torch.randn(1, int(seconds * SAMPLES), device=self.device) for _ in range(clips)]
        reset_peaks(self.device)
        spent, motion = self._timed(lambda: self.speak(sounds))
        return {
            "seconds": seconds,
            "clips": clips,
            "frames": motion[0].shape[1],
            "time": spent,
            "real_time_factor": clips * seconds / spent,
            "first_frame": self.first_frame(spent),
            **peaks(self.device),
        }

    @staticmethod
    def first_frame(spent: float) -> float:
        """Seconds from the sound to its first frame. A network that is given a whole sound hands all its frames over
        together, when the last one is made."""
        return spent

    def speak(self, sounds: list[Tensor]) -> list[Tensor]:
        """(1, N) each → (1, T, D) each, as the stages `features` and `infer` would make them."""
        kind, half = torch.device(self.device).type, self.task.precision == "bf16"
        template = torch.zeros(3 * self.facts.vertices, device=self.device)
        style = torch.eye(len(self.facts.train_subjects), device=self.device)[:1]
        with torch.no_grad(), torch.autocast(kind, dtype=torch.bfloat16, enabled=half):
            heard = [self.ears.convolve(sound)[0].float() for sound in sounds]
            return self.network.predict_all([Speech(features, template, style) for features in heard])

    def _timed(self, run: Callable[[], list[Tensor]]) -> tuple[float, list[Tensor]]:
        """The median of the repeats, fewer where they take long, and what the last one gave."""
        times: list[float] = []
        while not times or (len(times) < self.task.wish.repeats and sum(times) < self.task.wish.limit):
            began = time.perf_counter()
            made = run()
            if torch.device(self.device).type == "cuda":
                torch.cuda.synchronize(self.device)
            times.append(time.perf_counter() - began)
        return median(times), made
