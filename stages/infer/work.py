"""Sentences through a network: several in a batch, or a long one block by block into its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faces.errors import DataError
from models.talking_face import Speech, TalkingFace
from pipeline.stage import Job
from stages.infer.long import block_length, check_finite, check_room, is_long, write_motions
from stages.infer.manners import Manner, seed_of
from stages.infer.pace import Pace
from stages.kinds.checkpoint import Checkpoint, makes_as_told
from stages.kinds.features import Features
from stages.kinds.predictions import MOTION
from stages.kinds.sequences import Sequences

Motions = list[NDArray[np.float32]]


class Inputs(NamedTuple):
    """The three artifacts that a prediction is made from."""

    checkpoint: Checkpoint
    data: Sequences
    features: Features


class Work(NamedTuple):
    """What is at hand while sentences are spoken."""

    job: Job
    network: TalkingFace
    inputs: Inputs
    wanted: Mapping[str, Sequence[Manner]]
    at_once: int
    pace: Pace

    def files(self, name: str) -> list[Path]:
        """One for each manner of a sentence."""
        return [self.job.out / MOTION / f"{manner.file_of(name)}.npy" for manner in self.wanted[name]]

    @property
    def width(self) -> int:
        """D"""
        return self.inputs.checkpoint.facts.width

    def is_long(self, name: str) -> bool:
        """Whether a sentence's motion goes into its files block by block."""
        return is_long(self.network, self.inputs.features.length(name), self.width)

    @torch.no_grad()
    def predict(self, names: Sequence[str]) -> dict[str, Motions]:
        """(T, D) float32 per sentence and manner. The encoder hears a sentence once for every `at_once` of them."""
        self._seed(names[0])
        speeches = [(name, part) for name in names for part in self._speeches(name)]
        made: dict[str, Motions] = {name: [] for name in names}
        # More than one speech of a sentence only where it alone has more manners than go together.
        groups = [speeches] if len(speeches) == len(names) else [[speech] for speech in speeches]
        for group in groups:
            self._check_room(group)
            with self.pace.speaking():
                for (name, _), motion in zip(group, _say(self.network, group), strict=True):
                    made[name].extend(motion.float().cpu().numpy())
                    self.pace.made(motion.shape[0] * motion.shape[1])
        for name, motions in made.items():
            check_finite(name, motions)
        return made

    @torch.no_grad()
    def write(self, name: str) -> list[Path]:
        """A long sentence, straight into its files."""
        self._seed(name)
        files, width = self.files(name), self.width
        for part, speech in enumerate(self._speeches(name)):
            self._check_room([(name, speech)])
            own = files[part * self.at_once :][: speech.motions]
            frames = speech.frames or self.network.frames_for(len(speech.features))
            blocks = self.network.predict_blocks(speech, block_length(len(own), width))  # type: ignore[attr-defined]
            with self.pace.speaking():
                write_motions(own, self._counted(blocks), (frames, width), name)
        return files

    def _counted(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        for block in blocks:
            self.pace.made(block.shape[0] * block.shape[1])
            yield block

    def _seed(self, name: str) -> None:
        torch.manual_seed(seed_of(self.job.seed, name))

    def _check_room(self, group: Sequence[tuple[str, Speech]]) -> None:
        name, longest = max(group, key=lambda pair: len(pair[1].features))
        rows = sum(speech.motions for _, speech in group)
        check_room(self.job, self.network, name, len(longest.features), rows)

    def _speeches(self, name: str) -> list[Speech]:
        heard = self.inputs.features[name].astype(np.float32)
        if not np.isfinite(heard).all():
            raise DataError(
                f"{self.inputs.features.path} holds features of {name} that are not numbers (NaN or infinity): run the "
                "features step again, and look at the sound if they come back"
            )
        device, facts = self.job.device, self.inputs.checkpoint.facts
        features = torch.from_numpy(heard).to(device)
        still = np.zeros(facts.width, np.float32) if facts.track else self.inputs.data.template_of(name).reshape(-1)
        template = torch.from_numpy(still).to(device)
        rows = torch.tensor([manner.style.row(facts.train_subjects) for manner in self.wanted[name]], device=device)
        seeds = [seed_of(manner.number, name) for manner in self.wanted[name] if manner.number is not None]
        told = makes_as_told(self.inputs.checkpoint.config.model)
        frames = self.inputs.data.entry(name).frames if told else 0
        if not seeds:
            return [Speech(features, template, part, (), frames) for part in torch.split(rows, self.at_once)]
        parts = [seeds[start : start + self.at_once] for start in range(0, len(seeds), self.at_once)]
        return [Speech(features, template, rows[:1], part, frames) for part in parts]


def _say(network: TalkingFace, group: Sequence[tuple[str, Speech]]) -> list[Tensor]:
    """What the network refuses, it refuses by the length of a speech: name those that are short."""
    try:
        return network.predict_all([speech for _, speech in group])
    except DataError as error:
        short = [name for name, speech in group if network.frames_for(len(speech.features)) < 2]
        names = ", ".join(short or [name for name, _ in group])
        raise DataError(f"{names}: {error}; leave it out with skip in the preprocess step") from None
