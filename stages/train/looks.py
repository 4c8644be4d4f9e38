"""What a guided network shows of itself at each validation: the mouth that its expert sees, and whose losses reach it.

A guidance that does not reach the face is the published code's own mistake, and shows in no loss. So the gradients that
each loss leaves in the face are measured on one batch, and told where the guidance has next to none.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

import torch

from pipeline.registry import load_command
from pipeline.stage import Job
from stages.kinds.checkpoint import MOUTHS
from stages.train.clips import ClipReader
from stages.train.loader import moved

GRADIENTS = "gradients"
"""The place of their norms in a record of the history."""
GUIDANCE = "guidance"
FAINT = 1e-3
"""A guidance with less than this share of the other losses' gradient reaches nobody."""


def looks(network: Any, clips: ClipReader, job: Job, epoch: int) -> dict[str, float] | None:
    """The norms of the gradients of one clip's losses, and in the state folder a video of a mouth that is not trained
    on. None of a network that has neither. The network's mode and all streams stay as they were."""
    if not hasattr(network, "gradient_norms"):
        return None
    module = cast("torch.nn.Module", network)
    training = module.training
    module.eval()
    try:
        batch = moved(clips.batch([clips.takes("train")[0][0]]), job.device)
        norms: dict[str, float] = network.gradient_norms(batch)
        _film(network, clips, job, epoch)
    finally:
        module.train(training)
    return norms


def _film(network: Any, clips: ClipReader, job: Job, epoch: int) -> None:
    """`mouths/epoch-0010.mp4`: the network's mouth and the true one, with the sound."""
    take = (clips.takes("val") or clips.takes("train"))[0][0]
    pictures = network.mouths(moved(clips.batch([take]), job.device))
    folder = job.state / MOUTHS
    folder.mkdir(exist_ok=True)
    load_command("film mouths")(pictures, clips.data.wav(take.name), folder / f"epoch-{epoch:04d}.mp4")


def faintness(norms: dict[str, float]) -> str | None:
    """A warning where there is guidance that does not reach the face, else None."""
    if GUIDANCE not in norms:
        return None
    own, others = norms[GUIDANCE], max((norm for name, norm in norms.items() if name != GUIDANCE), default=0.0)
    if own >= FAINT * others:
        return None
    return (
        f"warning: the guidance hardly reaches the face: the gradient that it leaves there is {own:.2g}, that of the "
        f"other losses {others:.2g}. Raise guidance_weight, or see that shading_gradient is 'attached'"
    )


def publish_looks(job: Job) -> None:
    """The videos, into the checkpoint."""
    if (job.state / MOUTHS).is_dir():
        shutil.copytree(job.state / MOUTHS, Path(job.out) / MOUTHS, dirs_exist_ok=True)
