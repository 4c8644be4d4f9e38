"""Speech that is still being spoken: how the memory of a face's decoder is made before the clip has ended.

The speech encoder of these networks looks both ways over a whole clip. Here it is run again for every `hop` of sound,
on a window that reaches some way back and a little ahead, and only what it says of the hop itself goes on to the
decoder, which remembers all of its own past. So a frame is known `ahead` after it was spoken, and nothing that was
shown is ever taken back.

Which feature belongs to a frame follows from the clip's length in the published networks ("interpolate" makes both
ends meet, and thereby stretches). A stream has no length: features are taken at the nominal rate r = 50/fps a frame.
At the end of a clip the whole-clip rule has gone r − 1 to 2r − 1 features ahead of that, of its mean half is added, and
so a stream is about as early in the beginning as it is late at the end: 12 ms at 30 fps.

Shapes: N samples at 16 kHz, L features at 50 Hz, C channels, T frames, d decoder channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from faces.errors import DataError
from models.heard import Heard
from models.resample import FEATURE_RATE, feature_length
from models.sound import HOP, WINDOW, standardise
from models.talking_face import Speech

if TYPE_CHECKING:
    from models.listening import ListeningFace


@dataclass(frozen=True)
class Look:
    """How far the speech encoder sees around what it speaks of, in seconds.

    past: before it. ahead: after it, hence the delay; None waits for the end of the sound and is exact. hop: how much
    is spoken at a time; less costs more, for the whole window is encoded each time.
    """

    past: float = 8.0
    ahead: float | None = 0.4
    hop: float = 0.2

    def __post_init__(self) -> None:
        known = [self.past, self.hop, 0.0 if self.ahead is None else self.ahead]
        if not all(0 <= seconds < math.inf for seconds in known) or self.hop == 0:
            raise DataError(f"{self}: give seconds, none below 0, and a hop above 0")


NEAR = Look()


class Rate(NamedTuple):
    """Where features are taken for frames: `start` and `step` are counted in features."""

    step: float
    start: float

    @classmethod
    def of(cls, fps: float) -> Rate:
        step = FEATURE_RATE / fps
        return cls(step, max(0.0, (4 / 3 * step - 1) / 2))

    def at(self, frame: float) -> float:
        return self.start + frame * self.step


class Window(NamedTuple):
    """Frames `first` up to `last` are to be spoken, frames `begin` up to `end` heard: from features `low` to `high`,
    both included."""

    begin: int
    first: int
    last: int
    end: int
    low: int
    high: int

    @property
    def samples(self) -> tuple[int, int]:
        """First sample, and the one after the last."""
        return HOP * self.low, HOP * self.high + WINDOW


class Windows:
    """The windows of a stream, one for each hop, for a network's frame rate and alignment."""

    def __init__(self, network: ListeningFace, look: Look) -> None:
        if look.ahead is None:
            raise ValueError("with ahead = None there is one window, the whole clip")
        self.network = network
        self.rate = Rate.of(network.fps)
        self.hop = max(1, round(look.hop * network.fps))
        self.past, self.ahead = round(look.past * network.fps), round(look.ahead * network.fps)

    def coming(self, first: int, samples: int) -> Window | None:
        """The window that begins to speak at a frame, or None where N samples are not enough for it yet."""
        found, length = self._around(first, first + self.hop), feature_length(samples)
        enough = self.network.frames_for(length) >= found.end and length > found.high
        return found if enough else None

    def closing(self, first: int, samples: int) -> Window:
        """The same when there are no more samples: whatever is left, the look ahead cut."""
        length = feature_length(samples)
        frames = self.network.frames_for(length)
        found = self._around(first, min(first + self.hop, frames), frames)
        return found._replace(high=min(found.high, length - 1))

    def needed(self, first: int) -> int:
        """The earliest sample that windows from a frame on will ask for."""
        return self._around(first, first + 1).samples[0]

    def _around(self, first: int, last: int, frames: int | None = None) -> Window:
        begin, end = max(0, first - self.past), last + self.ahead
        end = end if frames is None else min(end, frames)
        if self.network.per_frame == 2:
            return Window(begin, first, last, end, 2 * begin, 2 * end - 1)
        return Window(begin, first, last, end, int(self.rate.at(begin)), math.ceil(self.rate.at(end - 1)))


@torch.no_grad()
def stream(
    network: ListeningFace, audio_blocks: Iterable[Any], template: Any, style: Any, look: Look
) -> Iterator[Tensor]:
    """Sound as it comes → absolute positions (n, D) float32. With `look.ahead` None nothing comes before the sound has
    ended, and then what `predict` gives.

    Raises:
        DataError: sound that is too short or not of numbers, a template or a style of another size.
    """
    template, style = _fitting(network, template, style)
    if look.ahead is not None:
        for motion in network.voice(memories(network, audio_blocks, look), template, style):
            yield motion.float()
        return
    heard = Heard()
    for block in audio_blocks:
        heard.add(block)
    network.check_length(feature_length(heard.samples))
    features = network.features_of(standardise(heard.whole()))
    for motions in network.predict_blocks(Speech(features, template, style[None])):
        yield motions[0].float()


def _fitting(network: ListeningFace, template: Any, style: Any) -> tuple[Tensor, Tensor]:
    weight = network.audio_feature_map.weight
    given = {"template": template, "style": style}
    found = [torch.as_tensor(value, dtype=weight.dtype, device=weight.device) for value in given.values()]
    sizes = (network.coordinates, network.subjects)
    for name, value, size in zip(given, found, sizes, strict=True):
        if value.shape != (size,):
            raise DataError(f"the {name} has shape {tuple(value.shape)}, and this network takes ({size},)")
    return found[0], found[1]


def memories(network: ListeningFace, audio_blocks: Iterable[Any], look: Look) -> Iterator[Tensor]:
    """Sound → the decoder's memory (1, n·per_frame, d), hop after hop. DataError for sound that is too short."""
    heard, windows = Heard(), Windows(network, look)
    first = 0
    for block in audio_blocks:
        heard.add(block)
        while window := windows.coming(first, heard.samples):
            yield remember(network, heard, window)
            first = window.last
            heard.drop(windows.needed(first))
    network.check_length(feature_length(heard.samples))
    while first < network.frames_for(feature_length(heard.samples)):
        window = windows.closing(first, heard.samples)
        yield remember(network, heard, window)
        first = window.last


def remember(network: ListeningFace, heard: Heard, window: Window) -> Tensor:
    """What the encoder says of a window's own frames: (1, n·per_frame, d)."""
    features = network.features_of(heard.window(*window.samples))
    if len(features) != window.high - window.low + 1:
        raise DataError(
            "this speech encoder's convolutions do not make a feature of 25 ms every 20 ms: it cannot follow a stream; "
            "use ahead = None"
        )
    aligned = features if network.per_frame == 2 else _at_frames(features, window, Rate.of(network.fps))
    own = slice(network.per_frame * (window.first - window.begin), network.per_frame * (window.last - window.begin))
    return network.encode(aligned[None], own)


def _at_frames(features: Tensor, window: Window, rate: Rate) -> Tensor:
    """(L, C) of a window → (end − begin, C), linear in time at the nominal rate; the last feature stands for later."""
    at = torch.arange(window.begin, window.end, dtype=torch.float64) * rate.step + rate.start - window.low
    at = at.clamp(max=len(features) - 1)
    before = at.long().clamp(max=max(0, len(features) - 2))
    share = (at - before).to(features)[:, None]
    after = (before + 1).clamp(max=len(features) - 1)
    return torch.lerp(features[before], features[after], share)
