"""Guided training runs on a small head, small enough for a test: data, features and an expert as checkpoints."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from faces.ply import write_ply
from models.avguidance import Settings
from models.lipreader import Settings as ReaderSettings
from pipeline.stage import Input
from stages.features import ExtractFeatures
from stages.features import Params as FeatureParams
from stages.kinds.checkpoint import BEST, LAST, Config, write_config, write_weights
from stages.kinds.sequences import TOPOLOGY, Entry, Info, sequence_id, write_index, write_region, write_transcripts
from stages.train import Params, Train
from tests.models.avguidance import heads
from tests.stages.fake_job import FakeJob
from tests.stages.tiny import RATE, SPLITS, sound

TEXTS = {"s01": "a bee", "s02": "we see", "s03": "no more"}
SMALL = replace(heads.GUIDED, layerdrop=0.0, mask_time_prob=0.0, time_mask=True, guidance_weight=1e-2)
CALM = replace(SMALL, dropout=0.0, encoder_dropout=0.0, time_mask=False)


def make_sequences(folder: Path, fps: float = heads.FPS, transcripts: bool = True) -> Path:
    """A and B are trained on, C and D are new; sentences of B are split. The mouth opens as it is loud."""
    rng = np.random.default_rng(5)
    for name in ("vertices_npy", "wav"):
        (folder / name).mkdir(parents=True)
    entries = {}
    for index, subject in enumerate("ABCD"):
        for number, sentence in enumerate(TEXTS, 1):
            name, seconds = sequence_id(subject, sentence), 0.5 + 0.1 * rng.integers(0, 3)
            wave, frames = sound(seconds, rng), round(seconds * fps)
            loud = np.sqrt([np.square(part).mean() for part in np.array_split(wave, frames)])
            moved = heads.motion(5 * loud, 0.008 + 0.002 * index)
            np.save(folder / "vertices_npy" / f"{name}.npy", moved.reshape(frames, -1))
            soundfile.write(folder / "wav" / f"{name}.wav", wave, RATE, subtype="PCM_16")
            split = {"A": "train", "B": ("train", "val", "test")[number - 1], "C": "val", "D": "test"}[subject]
            entries[name] = Entry(subject, sentence, split, frames, len(wave), RATE)
    template = heads.template().astype(np.float32)
    np.savez(folder / "templates.npz", allow_pickle=False, **dict.fromkeys("ABCD", template))
    write_ply(folder / TOPOLOGY, template, heads.faces())
    write_region(folder, "lips", heads.lips())
    write_index(folder, Info("tiny", fps, "m", "y", heads.VERTICES, SPLITS, entries))
    if transcripts:
        write_transcripts(folder, {name: TEXTS[entry.sentence] for name, entry in entries.items()})
    return folder


def write_expert(folder: Path, settings: ReaderSettings = heads.EXPERT, seed: int = 0) -> Path:
    """A checkpoint of a small expert that has learnt nothing, with weights that matter."""
    folder.mkdir(parents=True)
    for file in (BEST, LAST):
        write_weights(folder / file, heads.expert(settings, seed).state_dict())
    write_config(folder, Config("lipreader", asdict(settings), asdict(heads.reader_facts()), "tiny", "m"))
    return folder


def made(root: Path, reader: ReaderSettings = heads.EXPERT) -> dict[str, Input]:
    """What a guided step is given."""
    data = make_sequences(root / "sequences")
    job = FakeJob.under(root / "f", {"data": data})
    ExtractFeatures(FeatureParams(encoder="log-mel")).run(job)
    return {
        "data": Input(data, "sequences", "tiny", {}),
        "features": Input(job.out, "features", "tiny-log-mel", {"encoder": "log-mel"}),
        "expert": Input(write_expert(root / "expert", reader), "checkpoint", "expert", {"model": "lipreader"}),
    }


def run(job: FakeJob, settings: Settings = SMALL, **params: Any) -> FakeJob:
    given: dict[str, Any] = {"model": "avguidance", "epochs": 2, "lr": 1e-3, "batch_size": 2} | params
    Train(Params(**given), {"model": settings}).run(job)
    return job


def trained(folder: Path, inputs: dict[str, Input], settings: Settings = SMALL, **params: Any) -> FakeJob:
    return run(FakeJob.under(folder, inputs), settings, **params)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())
