"""The stage `train`: fits any network of the `models` table to sequences and features, or publishes given weights.

The training set is read clip by clip, never whole. An interrupted run goes on step-exactly: on a CPU, stopping and
resuming gives the bytes that running straight through gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from models.settings import moves, takes_frames, wants_of
from pipeline.errors import RecipeError
from pipeline.stage import Given, Job, Needs, Slot, Sources, Stage, Upstream, of_json, param
from stages.kinds import tracks
from stages.kinds.checkpoint import BEST, CONFIG, LAST, modules_behind, other_weights
from stages.kinds.features import ENCODER
from stages.kinds.sequences import (
    INDEX,
    REGIONS,
    SOUND,
    TEMPLATES,
    TOPOLOGY,
    TRANSCRIPTS,
    VERTICES,
    Sequences,
    of_data,
)

WRITTEN, PIECES, HEARD = "written", "pieces", "heard"
"""What networks want that learn from transcripts, by letter or in a lip reader's pieces, or from what a recogniser made
of the sound."""
READ = (WRITTEN, PIECES)
MIDDLE = "mean face"
"""What a mouth's camera is fitted to, among the parts of the data that a training hangs on."""
LIPS = "lips"
LIP_REGIONS = (LIPS, "lip_upper", "lip_lower")
"""The data set's regions that the network's health is told of; all others change nothing."""


@dataclass(frozen=True)
class Params:
    model: str = param(help="the network", component="models")
    epochs: int = param(100, low=0, help="passes over the training split; 0 publishes `weights` as they are")
    lr: float = param(1e-4, low=0.0, help="learning rate of the first epoch")
    schedule: str = param(
        "constant", choices=("constant", "step", "cosine", "linear"), help="how the rate falls; constant as most papers"
    )
    warmup: int = param(0, low=0, help="steps of the optimiser in which the rate rises evenly from nothing")
    lr_step: int = param(0, low=0, help="schedule step: epochs after which the rate is multiplied by lr_factor")
    lr_factor: float = param(0.5, low=0.0, high=1.0, help="schedule step: what the rate is multiplied by")
    lr_end: float = param(0.0, low=0.0, high=1.0, help="schedules cosine, linear: share of lr that is left at the end")
    optimiser: str = param("adam", choices=("adam", "adamw"), help="adam as most papers; adamw decays weights")
    weight_decay: float = param(0.01, low=0.0, help="adamw only: decay of the weights; PyTorch's default is 0.01")
    batch_size: int = param(1, low=1, help="clips per batch, of all processes together; 1 as published")
    order: str = param(
        "bucketed",
        choices=("bucketed", "shuffled", "listed"),
        help="of an epoch's clips; bucketed: shuffled, those of like length in one batch; listed: as in the data set",
    )
    accumulate: int = param(1, low=1, help="batches whose gradients make one step of the optimiser")
    accumulation: str = param(
        "mean",
        choices=("mean", "released"),
        help="mean: over all clips of a step; released: sums, a step at every n-th batch from the first, the rest lost",
    )
    micro_batch: int = param(
        0, low=0, exec=True, help="most clips in the network at once; 0: a batch, on a CPU 2 of a large network"
    )
    weights: str | None = param(None, path=True, help="weights to start from: a published .pth, or a .safetensors file")
    prior_weights: str = param(
        "best", choices=("best", "last"), help="models upon a motion prior only: which of its weights are frozen"
    )
    validate_every: int = param(1, low=1, help="epochs from one validation to the next; the last is always validated")
    patience: int = param(0, low=0, help="stop after this many validations without a better loss; 0 never stops early")
    precision: str = param(
        "float32", choices=("float32", "bf16", "fp16"), help="bf16, fp16: automatic mixed precision; fp16 scales losses"
    )
    grad_clip: float = param(0.0, low=0.0, help="largest norm of all gradients together; 0 leaves them alone")
    ema: float = param(
        0.0, low=0.0, high=0.999999, help="decay per step of averaged weights, which are validated and kept; 0: none"
    )
    compile: bool = param(
        False, help="compile the blocks that a network repeats; needs a C++ compiler, on a GPU triton"
    )
    save_every: float = param(60.0, low=0.0, exec=True, help="seconds between saved states")
    frozen_patience: int = param(
        20,
        low=0,
        exec=True,
        help="stop after this many validations of a mouth that has never moved, or once it froze; 0 never",
    )
    log: list[str] = param([], choices=("tensorboard", "wandb"), exec=True, help="where else the numbers go as it runs")
    log_dir: str = param("logs", path=True, exec=True, help="folder for what `log` writes")


class Train(Stage):
    """`sequences` and what the model needs beside them → `checkpoint`."""

    name = "train"
    Params = Params
    inputs: ClassVar[Mapping[str, Slot]] = {
        "data": Slot("sequences", uses=("vertices_npy", "templates.npz", "sequences.json", REGIONS, TRANSCRIPTS)),
        "features": Slot("features"),
        "prior": Slot("checkpoint", uses=(BEST, LAST, CONFIG)),
        "codes": Slot("codes"),
        "expert": Slot("checkpoint", uses=(BEST, CONFIG)),
    }
    output = "checkpoint"
    seeded = True
    libraries = ("numpy", "torch", "transformers")
    divisible = True

    def slots(self) -> Mapping[str, Slot]:
        """A motion prior hears no speech. Only what is built upon one takes it, and the codes that it makes; only what
        is guided needs an expert. Where its guidance has no weight one may be named and is not read, so that the weight
        alone can be swept."""
        model = self.settings.get("model")
        needless = [] if getattr(model, "hears", True) else ["features"]
        needless += [] if getattr(model, "prior", "") else ["prior", "codes"]
        needless += [] if getattr(model, "expert_model", "") else ["expert"]
        found = {slot: spec for slot, spec in self.inputs.items() if slot not in needless}
        if "expert" in found and not self._asks:
            found["expert"] = replace(found["expert"], optional=True)
        return found

    @property
    def _asks(self) -> bool:
        """Whether an expert is asked."""
        return bool(wants_of(self.settings.get("model")).expert)

    def check(self) -> Iterable[str]:
        if self.params.epochs == 0 and not self.params.weights:
            yield "epochs = 0 publishes given weights: name their file in `weights`, or set epochs"
        yield from self._rate_problems()
        problems = getattr(self.settings.get("model"), "problems", None)
        if problems is not None:
            yield from problems()

    def _rate_problems(self) -> Iterable[str]:
        """A word that nothing reads is a mistake."""
        stepwise = self.params.schedule == "step"
        if stepwise and not self.params.lr_step:
            yield "lr_step = 0, and schedule = 'step' needs the epochs after which the rate falls"
        if self.params.lr_step and not stepwise:
            yield f"lr_step = {self.params.lr_step} is read by schedule = 'step' only: set that, or leave lr_step out"
        if self.params.lr_end and self.params.schedule not in ("cosine", "linear"):
            yield f"lr_end = {self.params.lr_end:g} is read by the schedules 'cosine' and 'linear' only"

    def label(self, upstream: Mapping[str, Upstream]) -> str:
        return f"{upstream.get('features', upstream['data']).label}-{self.params.model}"

    def sources(self) -> Sources:
        given: dict[str, str] = getattr(self.settings.get("model"), "files", dict)()
        weights = {"weights": self.params.weights} if self.params.weights else {}
        return Sources(files={name: Path(file) for name, file in (weights | given).items()})

    def uses(self, slot: str) -> tuple[str, ...]:
        """Of the prior only the weights that are frozen; of the data, sound and mesh only where wanted, and a track in
        place of all that is of vertices."""
        if slot == "prior":
            return tuple(part for part in super().uses(slot) if part != other_weights(self.params.prior_weights))
        if slot != "data":
            return super().uses(slot)
        needless = (VERTICES, TEMPLATES) if self._track else ()
        moved = (tracks.INDEX, tracks.FOLDER) if self._track else ()
        return (*(part for part in super().uses(slot) if part not in needless), *moved, *self._wanted())

    @property
    def _track(self) -> str:
        """What the network moves in place of vertices, "" where it moves these."""
        return wants_of(self.settings.get("model")).track

    def _wanted(self) -> tuple[str, ...]:
        wanted = wants_of(self.settings.get("model"))
        return ((SOUND,) if wanted.sound else ()) + ((TOPOLOGY,) if wanted.mouth else ())

    def rereads(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """The speech encoder whose transformer is trained on; the features tell its weights."""
        return [str(upstream["features"].params.get("encoder", ""))] if "features" in upstream else ()

    def reads(self, given: Mapping[str, Given]) -> Mapping[str, Mapping[str, str]]:
        """Of data, features and codes only the training and validation sets: a test sentence more trains nothing."""
        data = Sequences(given["data"].path)
        names = [*data.ids("train"), *data.ids("val")]
        wanted = wants_of(self.settings.get("model"))
        moving = moves(self.settings.get("model"))
        lips = () if wanted.track else LIP_REGIONS if moving else (LIPS,)
        looked_at = dict.fromkeys([*lips, *wanted.regions])
        regions = of_json([given["data"].files.get(f"{REGIONS}/{region}.txt") for region in looked_at])
        texts = {TRANSCRIPTS: of_json([data.transcripts.get(name) for name in names])} if wanted.text in READ else {}
        looks = of_data(data, names, given["data"]) | {REGIONS: regions}
        if not moving:
            looks = {part: looks[part] for part in (INDEX, *((VERTICES, REGIONS) if wanted.mouth else ()))}
        if wanted.track:
            looks = {INDEX: looks[INDEX], REGIONS: regions} | tracks.of_track(
                data.path, wanted.track, names, given["data"]
            )
        parts = {"data": looks | texts | self._more(data, names, given["data"])}
        for slot in ("features", "codes"):
            if slot in given:
                learnt = {name: given[slot].item(name) for name in names}
                facts = {top: hash_ for top, hash_ in given[slot].content.items() if top == ENCODER}
                parts[slot] = facts | {"items": of_json(learnt)}
        unread = () if self._asks else ("expert",)
        return {slot: parts.get(slot, entry.content) for slot, entry in given.items() if slot not in unread}

    def _more(self, data: Sequences, names: Iterable[str], given: Given) -> dict[str, str]:
        """Part → digest of what only some networks want: their sound; the mesh, and the mean face that a camera is
        fitted to."""
        wanted = self._wanted()
        sound = {SOUND: of_json([given.files.get(f"{SOUND}/{name}.wav") for name in names])} if SOUND in wanted else {}
        if TOPOLOGY not in wanted:
            return sound
        faces = of_json([data.template_digests[subject] for subject in data.middle_subjects])
        return sound | {TOPOLOGY: given.files.get(TOPOLOGY, ""), MIDDLE: faces}

    def components(self, upstream: Mapping[str, Upstream]) -> Iterable[str]:
        """The models behind the prior and the expert that is asked: editing one trains anew. RecipeError for features
        that this model cannot learn from."""
        self._check_features(upstream)
        behind = ("prior", *(["expert"] if self._asks else []))
        return [module for slot in behind if slot in upstream for module in modules_behind(upstream[slot])]

    def _check_features(self, upstream: Mapping[str, Upstream]) -> None:
        features = upstream.get("features")
        if features is None or takes_frames(self.settings.get("model")):
            return
        words = [f"{name} = {value!r}" for name in ("per_frame", "track") if (value := features.params.get(name))]
        if words:
            raise RecipeError(
                f"{self.params.model} has a speech encoder of its own upon features at 50 Hz, and step "
                f"{features.step!r} makes one of each frame ({', '.join(words)}): leave that out, or train facetalk"
            )

    def needs(self) -> Needs:
        return Needs(gpu=1, threads="all")

    def run(self, job: Job) -> None:
        from stages.train.session import train

        train(job, self.params, self.settings["model"])
