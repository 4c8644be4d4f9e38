"""The work of the stage `adopt`: a network of the file's sizes, filled with its weights, written as a checkpoint."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from faces.errors import DataError
from models.talking_face import DataFacts
from models.text import ENGLISH
from pipeline.errors import StageError
from pipeline.registry import load_component
from pipeline.stage import Job
from stages.adopt import Params
from stages.adopt.about import File, model_in, recognise
from stages.kinds.checkpoint import (
    BEST,
    CONFIG,
    CURVES,
    HISTORY,
    LAST,
    PRIOR,
    TRAINING,
    Config,
    Network,
    build,
    fill,
    prior_of,
    read_weights,
    write_config,
    write_weights,
)
from stages.kinds.plain import write_json

PAIRS_FPS = 25.0
"""At which two speech features make a frame, and networks take them as pairs (BIWI)."""


def take(job: Job, params: Params) -> None:
    """Fill `job.out` with a checkpoint."""
    source = Path(params.weights)
    if source.is_dir():
        _copy(source, job.out, params)
        return
    file = recognise(source)
    if file.model != params.model:
        raise StageError(f"model = {params.model!r}, and {source} is of {file.model!r}")
    state = read_weights(source)
    facts = _facts(file, params, state)
    _tell_rate(job, file, params, state)
    upon = _prior(file, params, facts)
    settings = _settings(file, facts, state)
    network = _filled(file, settings, facts, *(network for _, network in upon))
    module = cast("torch.nn.Module", network)
    _check_finite(module, source)
    write_weights(job.out / BEST, module.state_dict())
    for _, prior in upon:
        write_weights(job.out / PRIOR, cast("torch.nn.Module", prior).state_dict())
    write_config(job.out, _config(file, params, settings, facts, [config for config, _ in upon], state))
    write_json(job.out / TRAINING, _training(module))
    (job.out / HISTORY).write_text("")


def _copy(source: Path, out: Path, params: Params) -> None:
    """A folder of ours as it is."""
    if (model := model_in(source)) != params.model:
        raise StageError(f"model = {params.model!r}, and {source} holds {model!r}")
    if not (source / BEST).is_file():
        raise DataError(f"{source} has no {BEST}: copy the whole folder of the checkpoint")
    for name in (BEST, LAST, PRIOR, CONFIG, TRAINING, HISTORY, CURVES):
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)


def _facts(file: File, params: Params, state: Mapping[str, Tensor]) -> DataFacts:
    """What the network must know of its data. A motion prior hears nothing and has no style."""
    released, home = file.released, file.home
    fps = params.fps or (home.fps if home else 0.0) or released.fps or float(period_of(state, released.table) or 30)
    channels = released.encoder["conv_dim"][-1] if released.encoder else 0
    return DataFacts(
        released.vertices,
        fps,
        _subjects(file, params),
        channels,
        released.encoder_name,
        dict(released.encoder),
        # Of another number of letters nobody knows which they are.
        vocabulary=ENGLISH if released.classes == len(ENGLISH) else (),
        text_width=released.text_width,
    )


def _tell_rate(job: Job, file: File, params: Params, state: Mapping[str, Tensor]) -> None:
    """In all published networks positions repeat after a second of frames: one of another rate than its mesh tells is
    of another data set with the same mesh, as 3D-MEAD's."""
    period, home = period_of(state, file.released.table), file.home
    if home and period and period != home.fps and not params.fps:
        job.say(
            f"warning: {file.path.name} is taken as {home.dataset}'s, at {home.fps:g} frames per second; its positions "
            f"repeat after {period}: if it is of other data, give their rate, --fps {period}"
        )


def _subjects(file: File, params: Params) -> list[str]:
    count = file.released.subjects
    if params.subjects and len(params.subjects) != count:
        raise StageError(f"subjects names {len(params.subjects)}, and {file.path} was trained on {count}")
    return list(params.subjects) or file.subjects


def _settings(file: File, facts: DataFacts, state: Mapping[str, Tensor]) -> Any:
    """The model's settings: what shapes tell, what positions and frame rate tell, else as published."""
    settings = load_component("models", file.model).Settings
    known = {field.name for field in dataclasses.fields(settings)}
    told = dict(file.released.settings)
    if file.released.table:
        told["period"] = period_of(state, file.released.table) or round(facts.fps)
    if "alignment" in known:
        told.setdefault("alignment", "pairs" if facts.fps == PAIRS_FPS else "interpolate")
    return settings(**told)


def period_of(state: Mapping[str, Tensor], table: str) -> int:
    """After how many frames a table of positions (1, N, d) begins anew; 0 where there is none, or it never does."""
    found = state.get(table, state.get(f"module.{table}"))
    if found is None or found.ndim < 2:
        return 0
    rows = found.float().reshape(-1, found.shape[-1])
    again = torch.isclose(rows[1:], rows[:1], atol=1e-3).all(dim=1).nonzero()
    return int(again[0]) + 1 if len(again) else 0


def _prior(file: File, params: Params, facts: DataFacts) -> list[tuple[dict[str, Any], Network]]:
    """The motion prior that the network is built upon, with what a configuration says of it; none where it has none."""
    wanted = prior_of(file.model)
    if not wanted:
        return []
    if not params.prior:
        raise StageError(f"{file.path} is of {file.model!r}, which is built upon {wanted!r}: give that file as prior")
    first = recognise(Path(params.prior))
    if first.model != wanted:
        raise StageError(f"prior is of {first.model!r}, and {file.path} is built upon {wanted!r}: give the first stage")
    settings = _settings(first, facts, {})
    network = _filled(first, settings, facts)
    return [({"model": wanted, "settings": dataclasses.asdict(settings)}, network)]


def _filled(file: File, settings: Any, facts: DataFacts, *prior: Network) -> Network:
    network = build(file.model, dataclasses.asdict(settings), facts, *prior, where=file.path)
    fill(network, file.path, model=file.model)
    return network


def _check_finite(module: torch.nn.Module, source: Path) -> None:
    if bad := [name for name, value in module.named_parameters() if not torch.isfinite(value).all()]:
        raise DataError(f"{source} holds weights that are no numbers, in {bad[0]}; take another copy of the file")


def _config(
    file: File,
    params: Params,
    settings: Any,
    facts: DataFacts,
    priors: list[dict[str, Any]],
    state: Mapping[str, Tensor],
) -> Config:
    home = file.home
    return Config(
        model=file.model,
        settings=dataclasses.asdict(settings),
        facts=dataclasses.asdict(facts),
        dataset=home.dataset if home else "unknown",
        units=params.units or (home.units if home else "unknown"),
        encoder_weights=_digest(state) if file.released.encoder else "",
        prior=priors[0] if priors else {},
    )


def _digest(state: Mapping[str, Tensor]) -> str:
    """Tells the file's speech encoder from others': features made with its convolutions carry it."""
    total = hashlib.blake2b(digest_size=16)
    for name in sorted(name for name in state if "feature_extractor." in name):
        total.update(f"{name} {tuple(state[name].shape)}\n".encode())
        total.update(state[name].contiguous().numpy().tobytes())
    return total.hexdigest()


def _training(module: torch.nn.Module) -> dict[str, Any]:
    """As of a training of no epoch: it was trained elsewhere."""
    nothing = dict.fromkeys(("best_epoch", "best_loss", "motion_energy"))
    count = sum(parameter.numel() for parameter in module.parameters())
    return {"epochs": 0, "steps": 0, **nothing, "parameters": count, "trained_parameters": 0}
