"""One training run from beginning to end: build the network, give it weights, fit it, publish it."""

from __future__ import annotations

import dataclasses
import json
import math
import resource
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from faces.errors import DataError
from models.talking_face import TalkingFace
from pipeline.errors import StageError
from pipeline.stage import Job
from stages import figures
from stages.kinds import LOG_MEL
from stages.kinds.checkpoint import (
    BEST,
    CURVES,
    HISTORY,
    LAST,
    TRAINING,
    Checkpoint,
    Config,
    fill,
    network_class,
    read_weights,
    write_config,
    write_weights,
)
from stages.kinds.features import Features
from stages.kinds.plain import write_json
from stages.kinds.sequences import Sequences
from stages.train import Params
from stages.train.clips import ClipReader, Take, flat, one_hot
from stages.train.state import Progress, seed_everything
from stages.train.trainer import Trainer, diverged

FROZEN = 0.05
"""Below this share of the truth's motion energy a mouth counts as frozen."""


def train(job: Job, params: Params, settings: Any) -> None:
    """Fill `job.out` with a checkpoint."""
    torch.set_num_threads(max(1, job.workers))
    seed_everything(job.seed)
    clips = ClipReader(Sequences(job.inputs["data"].path), Features(job.inputs["features"].path))
    network = _network(job, params, settings, clips)
    progress = Trainer(job, network, clips, params).fit() if params.epochs else Progress()
    energy = _publish_weights(job, params, network, clips, progress)
    _warn_if_frozen(job, energy, progress)
    write_config(job.out, _config(params, settings, clips))
    write_json(job.out / TRAINING, _training(network, progress, energy))
    _publish_history(job.out, params.model, progress)
    _note_cost(job, progress)


def _network(job: Job, params: Params, settings: Any, clips: ClipReader) -> TalkingFace:
    """Built, moved and filled: given weights come before the speech encoder's own, which they hold already."""
    network = network_class(params.model).build(settings, clips.facts())
    if "prior" in job.inputs:
        _load_prior(network, params.model, job.inputs["prior"].path)
    source = job.inputs["features"].params.get("encoder", LOG_MEL)
    if params.weights:
        fill(network, Path(params.weights).expanduser(), model=params.model)
    elif clips.features.encoder.kind != LOG_MEL:
        network.load_speech_weights(source)
    return cast("TalkingFace", cast("torch.nn.Module", network).to(job.device))


def _load_prior(network: TalkingFace, model: str, path: Path) -> None:
    load = getattr(network, "load_prior", None)
    if load is None:
        raise StageError(f"model {model!r} takes no motion prior: remove `prior` from the inputs of this step")
    load(read_weights(Checkpoint(path).path / BEST))


def _publish_weights(
    job: Job, params: Params, network: TalkingFace, clips: ClipReader, progress: Progress
) -> float | None:
    """The last weights, and the best ones, which the network holds afterwards. Returns the motion energy.

    Nothing is written before all of it is known to be finite.
    """
    module = cast("torch.nn.Module", network)
    last = _copy(module)
    _refuse_non_finite(module, "last", params)
    if progress.best_file:
        module.load_state_dict(read_weights(job.state / progress.best_file))
        _refuse_non_finite(module, "best", params)
    energy = motion_energy(network, clips, job.device)
    if energy is not None and not math.isfinite(energy):
        raise _no_numbers("the motion that it makes is not finite", params)
    write_weights(job.out / LAST, last)
    shutil.copyfile(job.state / progress.best_file if progress.best_file else job.out / LAST, job.out / BEST)
    return energy


def _copy(module: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of all weights, apart from the network that goes on to hold others."""
    return {name: value.detach().to("cpu", copy=True) for name, value in module.state_dict().items()}


def _refuse_non_finite(module: torch.nn.Module, which: str, params: Params) -> None:
    bad = [name for name, value in module.named_parameters() if not torch.isfinite(value).all()]
    if bad:
        more = f" and {len(bad) - 1} others" if len(bad) > 1 else ""
        raise _no_numbers(f"of the {which} weights, {bad[0]}{more} is not finite", params)


def _no_numbers(what: str, params: Params) -> Exception:
    """Training is to blame where there was any, else the weights that were given."""
    if params.epochs == 0:
        return DataError(f"{params.weights} cannot be published: {what}; take another copy of the file")
    return diverged(what, params.lr)


def motion_energy(network: TalkingFace, clips: ClipReader, device: str, most: int = 4) -> float | None:
    """Motion energy of predictions over that of the truth, on up to `most` sequences; None where the truth is still.

    Not finite where the predictions are not.

    Energy is the mean squared distance of a clip's frames from their mean. A network that averages its data predicts
    hardly any motion while its loss looks fine; on sequences it was not fitted to where there are any.
    """
    sequences = clips.takes("val") or clips.takes("train")
    chosen = [sequences[i] for i in np.linspace(0, len(sequences) - 1, min(most, len(sequences))).round().astype(int)]
    cast("torch.nn.Module", network).eval()
    truth = sum(_energy(torch.from_numpy(flat(clips.data.vertices(takes[0].name)).copy())) for takes in chosen)
    made = sum(_energy(_predict(network, clips, takes[0], device)) for takes in chosen)
    if not math.isfinite(made):
        return made
    return made / truth if truth > 0 else None


def _predict(network: TalkingFace, clips: ClipReader, take: Take, device: str) -> Tensor:
    features = torch.from_numpy(clips.features[take.name].astype(np.float32))
    template = clips.template(clips.data.entry(take.name).subject)
    style = one_hot([take.style], len(clips.subjects))
    with torch.no_grad():
        return network.predict(features.to(device), template.to(device), style.to(device))[0].cpu()


def _energy(motion: Tensor) -> float:
    return (motion - motion.mean(dim=0)).double().square().sum(dim=1).mean().item()


def _warn_if_frozen(job: Job, energy: float | None, progress: Progress) -> None:
    if energy is not None and energy < FROZEN and progress.step:
        job.say(
            f"warning: the predicted faces hardly move ({100 * energy:.1f} % of the truth's motion energy). "
            "Train longer, or set lr and, where the model has it, motion_scale to suit the size of the motion"
        )


def _config(params: Params, settings: Any, clips: ClipReader) -> Config:
    return Config(
        model=params.model,
        settings=dataclasses.asdict(settings),
        facts=dataclasses.asdict(clips.facts()),
        dataset=clips.data.info.dataset,
        units=clips.data.units,
        encoder_weights=clips.features.encoder.weights,
    )


def _training(network: TalkingFace, progress: Progress, energy: float | None) -> dict[str, Any]:
    module = cast("torch.nn.Module", network)
    return {
        "epochs": progress.epoch,
        "steps": progress.step,
        "best_epoch": progress.best_epoch if progress.best_file else None,
        "best_loss": progress.best_loss if progress.best_file else None,
        "motion_energy": energy,
        "parameters": sum(p.numel() for p in module.parameters()),
        "trained_parameters": sum(p.numel() for p in module.parameters() if p.requires_grad),
    }


def _publish_history(out: Path, model: str, progress: Progress) -> None:
    lines = [json.dumps(record, allow_nan=False) + "\n" for record in progress.history]
    (out / HISTORY).write_text("".join(lines), encoding="utf-8")
    if progress.history:
        draw_curves(out / CURVES, model, progress.history, progress.best_epoch)


def draw_curves(file: Path, model: str, history: Sequence[dict[str, Any]], best_epoch: int) -> None:
    """Training and validation loss over epochs, logarithmic; they differ in kind for some models (see docs)."""
    figure, axes = figures.panel(f"{model}: training", "epoch", "loss")
    axes.set_yscale("log")
    for key, name, colour in (("train", "training", figures.MODEL), ("val", "validation", figures.OTHER[0])):
        points = [(record["epoch"], record[key]["loss"]) for record in history if key in record]
        if points:
            marker = "." if len(points) < 3 else ""
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, linewidth=1.6, label=name)
    if best_epoch > 0:
        axes.axvline(best_epoch, color=figures.OTHER[1], linestyle=":", label=f"best, epoch {best_epoch}")
    axes.legend(frameon=False)
    figures.save(figure, file)


def _note_cost(job: Job, progress: Progress) -> None:
    """Time and memory go into the record, not into the payload: they differ from run to run."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    job.note(training_seconds=round(progress.seconds, 1), training_steps=progress.step, peak_memory_mb=round(peak))
    if torch.device(job.device).type == "cuda":
        job.note(peak_cuda_mb=round(torch.cuda.max_memory_allocated() / 2**20))
