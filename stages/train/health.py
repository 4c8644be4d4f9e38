"""Whether what a network makes looks like speech at all, which its loss alone does not tell.

A network that averages its data predicts hardly any motion while its loss looks fine. So at each validation a few clips
are predicted as inference would, but that a network which draws takes few steps, and held against the truth: how much
the face moves, whether the lips open when they should, how far they are off. Definitions are those of the metrics
(docs/metrics.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faces.errors import DataError
from faces.lip_vertices import Middles, lip_middles
from faces.lips import correlation, lve_per_frame, opening
from models.motion_prior import MotionPrior
from models.talking_face import Speech, TalkingFace
from stages.kinds.checkpoint import Network
from stages.kinds.sequences import Sequences
from stages.train import LIP_REGIONS, LIPS
from stages.train.clips import ClipReader, Take, one_hot

Motion = NDArray[np.float32]

FROZEN = 0.05
"""Below this share of the truth's motion energy a mouth counts as frozen."""
LONGEST_S = 10.0
"""Of a longer clip only the beginning is predicted."""
HEALTH, ENERGY = "health", "motion_energy"
"""Their places in a record of the history."""
MOVED = 0.2
"""From this share on a mouth has moved: well above FROZEN, since a network may long be near that."""
YOUNG = 500
"""Steps of the optimiser before which no mouth is given up that has not moved yet."""
PATIENCE = 20
STEPS = 10
"""Of a network that draws its motion, at most: enough to see that it moves, and a fifth of what inference takes."""


@dataclass(frozen=True)
class Health:
    """Predictions beside the truth, over all clips that were looked at.

    motion_energy: theirs over that of the truth, where energy is the mean squared distance of a clip's frames from
        their mean; None where the truth is still, not finite where the predictions are not.
    lip_correlation: "opening_correlation/facepipe"; None where no mouth opens, or the data do not tell lip from lip.
    lve: "lve/facediffuser" over the data's region "lips", in their unit squared; None without the region.

    Of a network that moves a track there is only the energy, that of its rows; nor is there more of predictions that
    are not finite.
    """

    motion_energy: float | None
    lip_correlation: float | None
    lve: float | None

    def record(self) -> dict[str, float | None]:
        """For the history. An energy that is not finite stays so, for `verdict` to see."""
        return asdict(self)


def examine(network: Network, clips: ClipReader, device: str, most: int = 4) -> Health | None:
    """The health of a network on up to `most` sequences, which it was not fitted to where there are such.

    Each is predicted in one style, its own or else the first; a prior, which hears nothing, rebuilds it. None where
    there is no sequence at all, or nothing to look at: a network that makes no motion.
    """
    sequences = (clips.takes("val") or clips.takes("train")) if clips.moves else []
    if not sequences:
        return None
    chosen = [sequences[i] for i in np.linspace(0, len(sequences) - 1, min(most, len(sequences))).round().astype(int)]
    takes = [of_one[0] for of_one in chosen]
    with _listening(network):
        motions = _predicted(network, clips, takes, device)
    sums = _Sums(clips.data) if clips.track is None else _Sums()
    for take, made in zip(takes, motions, strict=True):
        sums.add(_truth(clips, take), made.cpu().numpy())
    return sums.health()


def motion_energy(network: Network, clips: ClipReader, device: str) -> float | None:
    """That of `Health`."""
    found = examine(network, clips, device)
    return found.motion_energy if found else None


class _Sums:
    """What is gathered clip by clip. data: whose lips are looked at, None where motion is not of vertices."""

    def __init__(self, data: Sequences | None = None) -> None:
        found = ((name, data.region(name)) for name in LIP_REGIONS) if data else ()
        regions = {name: indices for name, indices in found if indices is not None}
        self.lips = regions.pop(LIPS, None)
        lips = [] if self.lips is None else [self.lips]
        self.middles: Middles | None = lip_middles(data.info.vertices, regions, lips) if data else None
        self.truth = self.made = 0.0
        self.correlations: list[float] = []
        self.errors: list[NDArray[np.float64]] = []

    def add(self, truth: Motion, made: Motion) -> None:
        """(T, D) each, of lengths that may differ."""
        frames = min(len(truth), len(made))
        truth, made = truth[:frames], made[:frames]
        self.truth += _energy(truth)
        self.made += _energy(made)
        if not math.isfinite(self.made):
            return
        if self.middles is None and self.lips is None:
            return
        faces = truth.reshape(frames, -1, 3), made.reshape(frames, -1, 3)
        if self.middles is not None:
            curves = [opening(face, self.middles.upper, self.middles.lower) for face in faces]
            self.correlations.append(correlation(*curves))
        if self.lips is not None:
            self.errors.append(lve_per_frame(*faces, self.lips))

    def health(self) -> Health:
        if not math.isfinite(self.made):
            return Health(self.made, None, None)
        defined = [value for value in self.correlations if _is_number(value)]
        return Health(
            motion_energy=self.made / self.truth if self.truth > 0 else None,
            lip_correlation=float(np.mean(defined)) if defined else None,
            lve=float(np.concatenate(self.errors).mean()) if self.errors else None,
        )


@contextmanager
def _listening(network: Network) -> Iterator[None]:
    """In evaluation mode, without gradients and in few steps; all is as it was afterwards."""
    module, drawing = cast("torch.nn.Module", network), cast("Any", network)
    training, sampling = module.training, getattr(network, "sampling", None)
    module.eval()
    if sampling is not None:
        drawing.sample_with(replace(sampling, steps=min(sampling.steps, STEPS)))
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(training)
        if sampling is not None:
            drawing.sample_with(sampling)


def _predicted(network: Network, clips: ClipReader, takes: Sequence[Take], device: str) -> list[Tensor]:
    """(T, D) each, of the beginning of each clip's speech; a prior's, of its motion."""
    if clips.features is None:
        return [_rebuilt(cast("MotionPrior", network), clips, take, device) for take in takes]
    speeches = [_beginning(clips, take, device) for take in takes]
    try:
        return [motion[0] for motion in cast("TalkingFace", network).predict_all(speeches)]
    except DataError as error:
        names = ", ".join(take.name for take in takes)
        raise DataError(f"{error} (among {names}; skip in the preprocess step leaves a sequence out)") from None


def _beginning(clips: ClipReader, take: Take, device: str) -> Speech:
    """What is looked at of a clip: its speech, and as many frames of its motion."""
    whole = clips.speech(take.name)
    heard = whole[: round(LONGEST_S * clips.speech_rate)]
    return Speech(
        features=torch.from_numpy(heard).to(device),
        template=clips.template(take.name).to(device),
        styles=one_hot([take.style], len(clips.subjects)).to(device),
        frames=max(1, round(clips.data.entry(take.name).frames * len(heard) / len(whole))),
    )


def _rebuilt(prior: MotionPrior, clips: ClipReader, take: Take, device: str) -> Tensor:
    vertices, template = torch.from_numpy(_truth(clips, take)).to(device), clips.template(take.name).to(device)
    return prior.decode(prior.encode(vertices, template), template)


def _truth(clips: ClipReader, take: Take) -> Motion:
    """(T, D), a copy of the beginning."""
    return clips.motion(take.name)[: round(LONGEST_S * clips.data.fps)].copy()


def _energy(motion: Motion) -> float:
    rows = torch.from_numpy(motion)
    moved = rows - rows[:1]  # the mean of equal frames may round, that of zeros does not
    return (moved - moved.mean(dim=0)).square().sum(dtype=torch.float64).item() / len(motion)


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


_SCALE = " and, where the model has it, motion_scale to suit the size of the motion"


def hardly_moves(energy: float, track: str) -> str:
    """A warning of a network that has learnt to move next to nothing. track: whose rows it moves; "": faces."""
    what, more = (f"rows of the track {track!r}", "") if track else ("faces", _SCALE)
    return (
        f"warning: the predicted {what} hardly move ({100 * energy:.1f} % of the truth's motion energy). Train longer, "
        f"or set lr{more}"
    )


def verdict(history: Sequence[Mapping[str, Any]], patience: int = PATIENCE, track: str = "") -> str | None:
    """The reason to stop, from the records of epochs up to the one that was just validated; None to go on.

    A mouth has frozen where two validations in a row find it still, while the best network of all moved. It does not
    move where `patience` validations in a row find it still, of which the first ones may be: an untrained network
    returns the template, and one that shakes at first may have to calm down before it speaks. patience 0 never stops
    for either, only for motion that is not finite. track: whose rows the network moves; "": faces.
    """
    mover, made = (f"the track {track!r}", "rows") if track else ("the mouth", "faces")
    judged = [record for record in history if record.get(HEALTH, {}).get(ENERGY) is not None]
    if not judged:
        return None
    if not math.isfinite(judged[-1][HEALTH][ENERGY]):
        what = "the training diverged: the motion that the network makes is not finite"
        return f"{what}; lower lr{_now(history[-1])} or set grad_clip"
    still = list(takewhile(lambda record: record[HEALTH][ENERGY] < FROZEN, reversed(judged)))
    best = min(judged, key=lambda record: record["val"]["loss"])
    if patience > 0 and len(still) >= 2 and best[HEALTH][ENERGY] >= MOVED:
        what = (
            f"{mover} has frozen: in epochs {still[1]['epoch']} and {still[0]['epoch']} the {made} that the network "
            f"makes have {_energy_of(still[1])} and {_energy_of(still[0])} of the truth's motion energy, and "
            f"{_energy_of(best)} in epoch {best['epoch']}, the best so far"
        )
    elif 0 < patience <= len(still) and still[0]["step"] >= YOUNG:
        what = (
            f"{mover} does not move: at each of the last {len(still)} validations, up to epoch {still[0]['epoch']}, "
            f"the {made} that the network makes have less than {_percent(FROZEN)} of the truth's motion energy, now "
            f"{_energy_of(still[0])}"
        )
    else:
        return None
    return f"{what}; {_advice(history[-1], track)}"


def _energy_of(record: Mapping[str, Any]) -> str:
    return _percent(record[HEALTH][ENERGY])


def _advice(record: Mapping[str, Any], track: str) -> str:
    """Of a track each number is measured by its own spread, so that nothing is to be scaled."""
    scaled = " and" if track else ", set motion_scale, where the model has it, to the size of the motion, and"
    return f"change lr{_now(record)}{scaled} check the data; frozen_patience = 0 goes on regardless"


def _now(record: Mapping[str, Any]) -> str:
    return f" (now {record['lr']:g})" if "lr" in record else ""


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
