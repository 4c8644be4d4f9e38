"""One clip as a video with its sound and its stills, whatever its pictures show."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.stage import Job
from stages.kinds.sequences import Sequences
from stages.render.choice import Clip
from stages.render.soundtrack import soundtrack
from stages.render.stills import write_png
from stages.render.video import open_video

INDEX, STILLS = "video.json", "stills"


@dataclass(frozen=True)
class Reel:
    """Where clips go, and how they are encoded. rate: frames per second. crf, preset: x264's."""

    data: Sequences
    out: Path
    rate: Fraction
    crf: int
    preset: str

    def record(
        self, clip: Clip, size: tuple[int, int], pictures: Iterable[NDArray[np.uint8]], stills: Collection[int]
    ) -> list[Path]:
        """Write a clip's pictures (height, width, 3), those of `stills` as PNG, too; returns all paths.

        size: width and height.
        """
        file = self.out / f"{clip.name}.mp4"
        made = [file]
        with open_video(file, size, self.rate, self._sound(clip), self.crf, self.preset) as video:
            for number, picture in enumerate(pictures):
                video.write(picture)
                if number in stills:
                    made.append(write_png(self.out / STILLS / still_name(clip, number), picture))
        return made

    def facts(self, clip: Clip, stills: Iterable[int]) -> dict[str, Any]:
        """What the index says of a clip."""
        return {
            "id": clip.item.id,
            "subject": clip.item.subject,
            "condition": clip.item.condition,
            "split": clip.item.split,
            "frames": clip.frames,
            "seconds": float(clip.frames / self.rate),
            "columns": list(clip.columns),
            "sound": self._sound_file(clip) is not None,
            "stills": [still_name(clip, number) for number in stills],
        }

    def say_what_lacks(self, job: Job, clips: Sequence[Clip], wished: Sequence[str]) -> None:
        """A line on clips without sound, and one on those without a truth where that was wished for."""
        silent = [clip.name for clip in clips if self._sound_file(clip) is None]
        if silent:
            job.say(f"no sound for {', '.join(silent)}: silent video")
        alone = [clip.name for clip in clips if not clip.has_truth]
        if alone and wished != ["prediction"]:
            job.say(f"no ground truth for {', '.join(alone)}: prediction alone")

    def _sound_file(self, clip: Clip) -> Path | None:
        """The clip's sound; None where the data have none."""
        known = clip.item.id in self.data.info.sequences
        return self.data.wav(clip.item.id) if known and self.data.wav(clip.item.id).is_file() else None

    def _sound(self, clip: Clip) -> NDArray[np.float32] | None:
        file = self._sound_file(clip)
        return None if file is None else soundtrack(file, clip.frames / self.rate)


def still_name(clip: Clip, number: int) -> str:
    return f"{clip.name}_frame{number:04d}.png"
