"""One process of `python -m benchmarks.training`: an epoch that is not counted, then one that is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from models.talking_face import DataFacts

MODELS = ("faceformer", "talkingstyle", "selftalk")
WHO = {
    "naive": "as published",
    "checkpointed": "as published, activations computed twice",
    "anew": "ours, text heard in every step",
    "ours": "ours",
}
"""Who trains. The second and the third are SelfTalk's."""
OURS = ("anew", "ours")
BASE, BASE_WIDTH = "base", 768


@dataclass(frozen=True)
class Case:
    """One process. who: of `WHO`. lengths: of its clips, in seconds. encoder: "base" for a speech encoder and a
    recogniser of wav2vec 2.0 base's size, "" for the published ones. batch: clips a step; at_once: of these, how many
    are in the network at a time, 0 as the stage does. precision: "float32" or "bf16". These three are ours."""

    model: str
    who: str
    data: str
    size: str
    lengths: Sequence[float]
    batch: int
    threads: int
    at_once: int = 0
    precision: str = "float32"
    encoder: str = ""

    @property
    def label(self) -> str:
        """Who trains how."""
        return WHO[self.who] + (f", {self.batch} a step" if self.who in OURS else "")

    @property
    def name(self) -> str:
        clips = f"{len(self.lengths)} clips" if len(self.lengths) > 1 else f"a clip of {self.lengths[0]:g} s"
        return f"{self.model}, {self.data}, {clips}, {self.label}"


def measured(case: Case) -> dict[str, Any]:
    """Seconds (wall and processor) of an epoch after the first one, and peak memory in MB."""
    from stages.processor import peak_resident, set_up

    set_up(case.threads)
    wall, processor = ours(case) if case.who in OURS else naive(case)
    peak = peak_resident() / 1e6
    clips = len(case.lengths)
    return asdict(case) | {
        "seconds_per_clip": wall / clips,
        "processor_seconds_per_clip": processor / clips,
        "peak_memory_mb": round(peak),
    }


def told(case: Case) -> DataFacts:
    """What its network is told of the data."""
    from stages.bench.sizes import BASE_ENCODER, facts

    found = facts(case.data, case.size, case.model)
    if case.encoder != BASE:
        return found
    return replace(found, encoder_config=BASE_ENCODER, text_width=BASE_WIDTH if found.text_width else 0)


def published(model: str, settings: Any, facts: DataFacts, *, checkpointing: bool = False) -> nn.Module:
    """The network of the loop as published, in train mode. checkpointing: SelfTalk's."""
    from benchmarks.selftalk_naive import NaiveSelfTalk
    from benchmarks.talkingstyle_naive import NaiveTalkingStyle
    from benchmarks.training_naive import NaiveFaceFormer

    if model == "selftalk":
        return NaiveSelfTalk(settings, facts, checkpointing=checkpointing).train()
    kinds = {"faceformer": NaiveFaceFormer, "talkingstyle": NaiveTalkingStyle}
    return kinds[model](settings, facts).train()


def naive(case: Case) -> tuple[float, float]:
    """As published, all clips held in memory."""
    import torch

    from benchmarks.training_naive import draw_sentences, optimiser_of, train_epoch
    from stages.bench.sizes import settings

    torch.manual_seed(0)
    facts = told(case)
    wanted = settings(case.model, case.data, case.size)
    network = published(case.model, wanted, facts, checkpointing=case.who == "checkpointed")
    clips = draw_sentences(facts, case.lengths)
    optimiser = optimiser_of(network)
    train_epoch(network, optimiser, clips)
    began = time.perf_counter(), time.process_time()
    train_epoch(network, optimiser, [clips[int(i)] for i in torch.randperm(len(clips))])
    return time.perf_counter() - began[0], time.process_time() - began[1]


def ours(case: Case) -> tuple[float, float]:
    """The stage's own loop over artifacts on the disk."""
    import torch

    from models.settings import wants_of
    from pipeline.registry import load_component
    from stages.bench.sizes import settings
    from stages.bench.training import Subject, time_steps
    from stages.train import Params

    torch.manual_seed(0)
    facts, wanted = told(case), settings(case.model, case.data, case.size)
    kind = load_component("models", case.model).network()
    if case.who == "anew":
        from benchmarks.selftalk_anew import HeardAnew

        kind = HeardAnew
    bound = {"micro_batch": case.at_once} if case.at_once else {}
    options = {"batch_size": case.batch, "precision": case.precision, **bound}
    params = Params(model=case.model, epochs=2, save_every=1e9, **options)
    subject = Subject(kind.build(wanted, facts), facts, wants=wants_of(wanted))
    marks = time_steps(subject, case.lengths, params, "cpu").marks
    middle = (len(marks) - 1) // 2
    return marks[-1][0] - marks[middle][0], marks[-1][1] - marks[middle][1]
