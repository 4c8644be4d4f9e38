"""Networks that look at a mouth: what they look at, the expert that judges a guided one, and where that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from models.settings import wants_of
from models.sight import Spelling
from pipeline import registry
from pipeline.errors import StageError
from pipeline.stage import Job
from stages.kinds.checkpoint import BEST, EXPERT, Checkpoint, Network, write_config, write_weights
from stages.kinds.sequences import Sequences
from stages.sight import sight_of
from stages.train import PIECES


def expert_of(job: Job, model: str, settings: Any) -> Checkpoint | None:
    """The checkpoint of the expert that guides, if the model is guided. StageError where it is another model's."""
    wanted = wants_of(settings).expert
    if not wanted:
        return None
    expert = Checkpoint(job.inputs["expert"].path)
    if expert.config.model != wanted:
        raise StageError(
            f"{model!r} is guided by {wanted!r}, and step {job.inputs['expert'].label!r} trained "
            f"{expert.config.model!r}: give it the step that trains {wanted!r}"
        )
    return expert


def spelling_of(model: str, settings: Any, expert: Checkpoint | None) -> Spelling | None:
    """What cuts transcripts into pieces, where the model wants them so."""
    if wants_of(settings).text != PIECES:
        return None
    told = registry.load_component("models", model).spelling(settings, expert.facts if expert is not None else None)
    return cast("Spelling", told)


def look(network: Network, settings: Any, data: Sequences, expert: Checkpoint | None, device: str) -> None:
    """Tells a network that wants the mouth whose it looks at, and a guided one who judges it."""
    if wants_of(settings).mouth:
        judges = [] if expert is None else [expert.load_network(device)]
        cast("Any", network).watch(sight_of(data), *judges)


def parted(network: Network, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A state dict's own weights, and those that are kept beside it, under their own names."""
    beside = getattr(network, "beside", "")
    if not beside:
        return dict(state), {}
    own = {name: value for name, value in state.items() if not name.startswith(beside)}
    return own, {name.removeprefix(beside): value for name, value in state.items() if name.startswith(beside)}


def publish_expert(out: Path, expert: Checkpoint, learnt: Mapping[str, Tensor]) -> None:
    """What the expert has become, as a checkpoint of its own in `expert/`, that any step takes that takes an expert."""
    (out / EXPERT).mkdir()
    write_weights(out / EXPERT / BEST, learnt)
    write_config(out / EXPERT, expert.config)
