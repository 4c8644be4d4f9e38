"""Whether what a network makes looks like speech at all, which its loss alone does not tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from models.motion_prior import MotionPrior
from models.talking_face import TalkingFace
from stages.kinds.checkpoint import Network
from stages.train.clips import ClipReader, Take, flat, one_hot

FROZEN = 0.05
"""Below this share of the truth's motion energy a mouth counts as frozen."""


@dataclass(frozen=True)
class Health:
    """motion_energy: of predictions over that of the truth, None where the truth is still."""

    motion_energy: float | None

    def record(self) -> dict[str, Any]:
        """What `history.jsonl` holds of it."""
        return asdict(self)


def examine(network: Network, clips: ClipReader, device: str) -> Health | None:
    """At each validation. Leaves the network in eval mode."""
    return Health(motion_energy(network, clips, device))


def verdict(history: Sequence[dict[str, Any]]) -> str | None:
    """Why a run with these epochs behind it should stop, if it should."""
    energy = history[-1].get("health", {}).get("motion_energy")
    if energy is not None and not math.isfinite(energy):
        return "the motion that it makes is not finite; lower lr or set grad_clip"
    return None


def motion_energy(network: Network, clips: ClipReader, device: str, most: int = 4) -> float | None:
    """Motion energy of predictions over that of the truth, on up to `most` sequences; None where the truth is still.

    Not finite where the predictions are not.

    Energy is the mean squared distance of a clip's frames from their mean. A network that averages its data predicts
    hardly any motion while its loss looks fine; on sequences it was not fitted to where there are any.
    """
    sequences = clips.takes("val") or clips.takes("train")
    chosen = [sequences[i] for i in np.linspace(0, len(sequences) - 1, min(most, len(sequences))).round().astype(int)]
    cast("torch.nn.Module", network).eval()
    truth = sum(_energy(torch.from_numpy(flat(clips.data.vertices(takes[0].name)).copy())) for takes in chosen)
    made = sum(_energy(_motion(network, clips, takes[0], device)) for takes in chosen)
    if not math.isfinite(made):
        return made
    return made / truth if truth > 0 else None


@torch.no_grad()
def _motion(network: Network, clips: ClipReader, take: Take, device: str) -> Tensor:
    """(T, D): what the network makes of a clip's speech; a prior, of its motion."""
    template = clips.template(take.name).to(device)
    if clips.features is None:
        prior = cast("MotionPrior", network)
        vertices = torch.from_numpy(flat(clips.data.vertices(take.name)).copy()).to(device)
        return prior.decode(prior.encode(vertices, template), template).cpu()
    features = torch.from_numpy(clips.speech(take.name)).to(device)
    style = one_hot([take.style], len(clips.subjects)).to(device)
    return cast("TalkingFace", network).predict(features, template, style)[0].cpu()


def _energy(motion: Tensor) -> float:
    return (motion - motion.mean(dim=0)).double().square().sum(dim=1).mean().item()
