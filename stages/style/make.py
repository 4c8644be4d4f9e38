"""The work of the stage `style`: a trained network in, the same network with one subject more out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from models.talking_face import Styled
from pipeline.errors import Interrupted, StageError
from pipeline.stage import Job
from stages.infer.speak import check
from stages.infer.work import Inputs
from stages.kinds.checkpoint import (
    BEST,
    HISTORY,
    PRIOR,
    TRAINING,
    Checkpoint,
    network_class,
    weights_file,
    write_config,
    write_weights,
)
from stages.kinds.features import Features
from stages.kinds.plain import write_json
from stages.kinds.sequences import Sequences
from stages.processor import set_up
from stages.style import Params
from stages.style.clips import batches, read
from stages.style.fit import Descent, Fitted, Heard, fit, hear
from stages.style.whose import chosen
from stages.train.clips import Take
from stages.train.faults import naming, ran_out
from stages.train.state import seed_everything


def make(job: Job, params: Params) -> None:
    """Fill `job.out` with a checkpoint."""
    set_up(job.workers)
    seed_everything(job.seed)
    paths = {slot: given.path for slot, given in job.inputs.items()}
    inputs = Inputs(Checkpoint(paths["checkpoint"]), Sequences(paths["data"]), Features(paths["features"]))
    newcomer, names = chosen(inputs.data, params)
    check_fits(inputs, params.model, newcomer)
    network = cast("Styled", inputs.checkpoint.load_network(job.device, weights=weights_file(params.weights)))
    subjects = list(inputs.checkpoint.facts.train_subjects)
    try:
        heard = _heard(network, inputs, names, params.at_once, job.device)
        fitted = fit(network, heard, subjects, Descent(params.rates, params.steps), _Tracked(job))
    except RuntimeError as error:
        if not ran_out(error):
            raise
        raise StageError(
            f"out of memory on {job.device}: set at_once to less than {params.at_once}, or give shorter clips"
        ) from error
    _publish(job, inputs.checkpoint, network, newcomer)
    write_json(job.out / TRAINING, _training(network, newcomer, names, fitted))
    _tell(job, newcomer, fitted)


def check_fits(inputs: Inputs, model: str, newcomer: str) -> None:
    """DataError or StageError where the network is another, has no styles, or knows somebody of that name."""
    config = inputs.checkpoint.config
    if config.model != model:
        raise StageError(f"model = {model!r}, and {inputs.checkpoint.path} holds {config.model!r}")
    check(inputs)
    if not hasattr(network_class(model), "add_subject"):
        raise StageError(f"{model!r} has no table of styles: a speaker's style can be fitted to networks that have one")
    if newcomer in inputs.checkpoint.facts.train_subjects:
        raise StageError(
            f"{newcomer} was trained on and has a style already: use that, or fit one beside it under another name"
        )


def _heard(network: Styled, inputs: Inputs, names: Sequence[str], at_once: int, device: str) -> list[Heard]:
    subjects, found = len(inputs.checkpoint.facts.train_subjects), []
    for group in batches(network, inputs.data, inputs.features, names, at_once):
        clips = read(inputs.data, inputs.features, group, subjects).to(device)
        with naming([Take(name, 0) for name in group]):
            found.append(hear(network, clips, len(names)))
    return found


class _Tracked:
    """Steps with a progress bar. Interrupted between two of them where the user asked to stop."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, steps: range) -> Iterator[int]:
        for step in self.job.track(steps, total=len(steps), unit="steps"):
            if self.job.stopping():
                raise Interrupted("the fit of a style was stopped; it is short: the same command begins it anew")
            yield step


def _publish(job: Job, source: Checkpoint, network: Styled, newcomer: str) -> None:
    module = cast("torch.nn.Module", network)
    write_weights(job.out / BEST, module.state_dict())
    if source.config.prior:
        shutil.copyfile(source.path / PRIOR, job.out / PRIOR)
    subjects = [*source.facts.train_subjects, newcomer]
    write_config(job.out, replace(source.config, facts={**source.config.facts, "train_subjects": subjects}))
    (job.out / HISTORY).write_text("")


def _training(network: Styled, newcomer: str, names: Sequence[str], fitted: Fitted) -> dict[str, Any]:
    """As of a training of no epoch, and what was fitted."""
    nothing = dict.fromkeys(("best_epoch", "best_loss", "motion_energy"))
    count = sum(parameter.numel() for parameter in cast("torch.nn.Module", network).parameters())
    style = {
        "subject": newcomer,
        "sequences": list(names),
        "start": fitted.start,
        "start_losses": fitted.starts,
        "loss": fitted.loss,
        "rate": fitted.rate,
        "step": fitted.step,
        "losses": fitted.losses,
    }
    steps = sum(len(losses) - 1 for losses in fitted.losses)
    facts = {"epochs": 0, "steps": steps, **nothing, "parameters": count, "trained_parameters": fitted.entries}
    return facts | {"style": style}


def _tell(job: Job, newcomer: str, fitted: Fitted) -> None:
    first, last = fitted.starts[fitted.start], fitted.loss
    less = f", {1 - last / first:.1%} less" if first else ""
    job.say(f"{newcomer} begins as {fitted.start}, loss {first:.4g}; fitted: {last:.4g}{less}")
    job.note(start=fitted.start, start_loss=first, loss=last, rate=fitted.rate, step=fitted.step)
