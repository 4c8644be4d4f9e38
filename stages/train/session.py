"""One training run from beginning to end: build the network, give it weights, fit it, publish it."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from faces.errors import DataError
from models.settings import moves, wants_of
from pipeline.errors import StageError
from pipeline.stage import Job
from stages.kinds import LOG_MEL
from stages.kinds.checkpoint import (
    BEST,
    CURVES,
    HISTORY,
    LAST,
    PRIOR,
    TRAINING,
    Checkpoint,
    Config,
    Network,
    check_prior,
    fill,
    network_class,
    prior_of,
    read_weights,
    weights_file,
    write_config,
    write_weights,
)
from stages.kinds.codes import Codes
from stages.kinds.features import FRAMES, Features
from stages.kinds.plain import write_json
from stages.kinds.sequences import Sequences
from stages.processor import keep_freed_memory, peak_resident, set_up
from stages.train import Params
from stages.train.clips import ClipReader
from stages.train.curves import draw_curves
from stages.train.faults import diverged, telling_of
from stages.train.gathering import gathered
from stages.train.group import Alone, Group
from stages.train.health import FROZEN, hardly_moves, motion_energy
from stages.train.looking import expert_of, look, parted, publish_expert, spelling_of
from stages.train.looks import publish_looks
from stages.train.sinks import opened
from stages.train.state import Progress, seed_everything
from stages.train.trainer import Trainer


class Fitted(NamedTuple):
    """What a training has come to."""

    prior: Checkpoint | None
    expert: Checkpoint | None
    clips: ClipReader
    network: Network
    progress: Progress


def train(job: Job, params: Params, settings: Any) -> None:
    """Fill `job.out` with a checkpoint, which several processes may have trained and this one publishes."""
    with gathered(job, params, settings) if params.epochs else nullcontext(Alone()) as group:
        prior, expert, clips, network, progress = fitted(job, params, settings, group)
    energy = _publish_weights(job, params, network, clips, progress, expert)
    _warn_if_frozen(job, energy, progress, clips.wants.track)
    write_config(job.out, _config(params, settings, clips, prior))
    write_json(job.out / TRAINING, _training(network, progress, energy))
    _publish_history(job.out, params.model, progress)
    publish_looks(job)
    _note_cost(job, progress)


def fitted(job: Job, params: Params, settings: Any, group: Group) -> Fitted:
    """What every process of a group does. All begin with the same weights, and hide and skip other things then."""
    set_up(job.workers)
    keep_freed_memory()
    seed_everything(job.seed)
    prior, expert = _prior(job, params), expert_of(job, params.model, settings)
    clips = _clips(job, params, settings, expert)
    with telling_of(job.device):
        network = _network(job, params, settings, clips, prior)
        look(network, settings, clips.data, expert, job.device)
        progress = _fit(job, params, network, clips, group) if params.epochs else Progress()
    return Fitted(prior, expert, clips, network, progress)


def _fit(job: Job, params: Params, network: Network, clips: ClipReader, group: Group) -> Progress:
    """Only the first process tells other programs."""
    with opened(job, params) if group.rank == 0 else nullcontext() as sinks:
        return Trainer(job, network, clips, params, group, sinks).fit()


def _prior(job: Job, params: Params) -> Checkpoint | None:
    """The checkpoint of the motion prior to build upon, if the model takes one."""
    if "prior" not in job.inputs:
        return None
    prior, wanted = Checkpoint(job.inputs["prior"].path), prior_of(params.model)
    if prior.config.model != wanted:
        raise StageError(
            f"{params.model!r} is built upon {wanted!r}, and step {job.inputs['prior'].label!r} trained "
            f"{prior.config.model!r}: give it the step that trains {wanted!r}"
        )
    return prior


def _clips(job: Job, params: Params, settings: Any, expert: Checkpoint | None) -> ClipReader:
    paths = {slot: given.path for slot, given in job.inputs.items()}
    data = Sequences(paths["data"])
    features = Features(paths["features"]) if "features" in paths else None
    codes = Codes(paths["codes"]) if "codes" in paths else None
    if codes is not None:
        codes.check_prior(paths["prior"] / weights_file(params.prior_weights))
    return ClipReader(
        data,
        features,
        codes,
        wants_of(settings),
        moves=moves(settings),
        spelling=spelling_of(params.model, settings, expert),
    )


def _network(job: Job, params: Params, settings: Any, clips: ClipReader, prior: Checkpoint | None) -> Network:
    """Built, moved and filled: given weights come before the speech encoder's own, which they hold already."""
    upon = []
    if prior is not None:
        check_prior(prior, clips.data)
        upon.append(prior.load_prior(weights=weights_file(params.prior_weights)))
    network = network_class(params.model).build(settings, clips.facts(), *upon)
    if upon:
        clips.check_codes(network.frames_to_learn)
    if params.weights:
        fill(network, Path(params.weights).expanduser(), model=params.model)
    elif clips.features is not None and clips.features.encoder.kind not in (LOG_MEL, FRAMES):
        network.load_speech_weights(job.inputs["features"].params.get("encoder", LOG_MEL))
    return cast("Network", network.to(job.device))


def _publish_weights(
    job: Job, params: Params, network: Network, clips: ClipReader, progress: Progress, expert: Checkpoint | None
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
    own, learnt = parted(network, last)
    write_weights(job.out / LAST, own)
    if learnt and expert is not None:
        best, of_expert = parted(network, _copy(module))
        write_weights(job.out / BEST, best)
        publish_expert(job.out, expert, of_expert)
    else:
        shutil.copyfile(job.state / progress.best_file if progress.best_file else job.out / LAST, job.out / BEST)
    if "prior" in job.inputs:
        shutil.copyfile(job.inputs["prior"].path / weights_file(params.prior_weights), job.out / PRIOR)
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


def _warn_if_frozen(job: Job, energy: float | None, progress: Progress, track: str) -> None:
    if energy is not None and energy < FROZEN and progress.step:
        job.say(hardly_moves(energy, track))


def _config(params: Params, settings: Any, clips: ClipReader, prior: Checkpoint | None) -> Config:
    return Config(
        model=params.model,
        settings=dataclasses.asdict(settings),
        facts=dataclasses.asdict(clips.facts()),
        dataset=clips.data.info.dataset,
        units=clips.data.units,
        encoder_weights=clips.features.encoder.weights if clips.features is not None else "",
        prior={"model": prior.config.model, "settings": prior.config.settings} if prior is not None else {},
        head=clips.track.track.head if clips.track is not None else "",
    )


def _training(network: Network, progress: Progress, energy: float | None) -> dict[str, Any]:
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


def _note_cost(job: Job, progress: Progress) -> None:
    """Time and memory go into the record, not into the payload: they differ from run to run."""
    peak = peak_resident() / 2**20
    job.note(training_seconds=round(progress.seconds, 1), training_steps=progress.step, peak_memory_mb=round(peak))
    if torch.device(job.device).type == "cuda":
        job.note(peak_cuda_mb=round(torch.cuda.max_memory_allocated() / 2**20))
