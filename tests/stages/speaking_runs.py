"""A trained network with its tiny data and features: what the stages are given that speak, or fit a style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.features import ExtractFeatures
from stages.features import Params as FeatureParams
from stages.train import Params, Train
from tests.stages.fake_job import FakeJob
from tests.stages.tiny import make_sequences


def features_of(data: Path, folder: Path) -> Path:
    job = FakeJob.under(folder, {"data": data})
    ExtractFeatures(FeatureParams(encoder="log-mel")).run(job)
    return job.out


def trained(root: Path, model: str, settings: Any, **params: Any) -> dict[str, Path]:
    """Slot → artifact. A and B have taught the network; C and D are new."""
    found = {"data": make_sequences(root / "sequences")}
    found["features"] = features_of(found["data"], root / "f")
    return trained_on(found, root, model, settings, **params)


def trained_on(given: dict[str, Path], root: Path, model: str, settings: Any, **params: Any) -> dict[str, Path]:
    """The same upon data and features that are there."""
    job = FakeJob.under(root / "t", given)
    Train(Params(model=model, **params), {"model": settings}).run(job)
    return given | {"checkpoint": job.out}
